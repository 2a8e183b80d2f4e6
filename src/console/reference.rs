//! The OpenAPI document for programs, and the same as a page for people.

#![expect(clippy::indexing_slicing, reason = "what is not in a JSON value is null to an index")]

use std::{collections::BTreeMap, sync::LazyLock};

use askama::Template;
use axum::{
    Router,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;

use super::{State, api::openapi::DOCUMENT, compressed::Compressed, error::Problem};

pub(crate) fn routes() -> Router<State> {
    Router::new().route("/api", get(page)).route("/api/openapi.json", get(document))
}

async fn document(headers: HeaderMap) -> Response {
    static JSON: LazyLock<Written> = LazyLock::new(|| Ok(Compressed::new(serde_json::to_string(&*DOCUMENT)?)?));
    answer(&JSON, &headers, "application/json")
}

async fn page(headers: HeaderMap) -> Response {
    static PAGE: LazyLock<Written> = LazyLock::new(|| {
        let document = serde_json::to_value(&*DOCUMENT)?;
        Ok(Compressed::new(Reference::of(&document).render()?)?)
    });
    answer(&PAGE, &headers, "text/html; charset=utf-8")
}

/// What never changes while the gateway runs is written once.
type Written = Result<Compressed, Box<dyn std::error::Error + Send + Sync>>;

fn answer(written: &Written, headers: &HeaderMap, kind: &'static str) -> Response {
    match written {
        Ok(text) => text.answer(headers, kind),
        Err(error) => Problem::internal(error).into_response(),
    }
}

#[derive(Template)]
#[template(path = "reference.html")]
struct Reference {
    about: Vec<String>,
    /// What many operations answer, told once.
    common: Vec<Answer>,
    chapters: Vec<Chapter>,
    schemas: Vec<Shape>,
}

/// The operations on one kind of thing.
struct Chapter {
    id: String,
    name: String,
    about: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    title: String,
    about: Vec<String>,
    public: bool,
    parameters: Vec<Field>,
    body: Option<String>,
    answers: Vec<Answer>,
    /// The statuses of the common ones that it answers, too.
    also: Vec<String>,
}

#[derive(PartialEq)]
struct Answer {
    status: String,
    about: String,
    shape: String,
}

/// A schema that has a name.
struct Shape {
    name: String,
    about: String,
    /// For what is no object: its form.
    form: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    form: String,
    required: bool,
    about: String,
}

impl Reference {
    fn of(document: &Value) -> Self {
        let operations = operations(document);
        let common = common(&operations);
        let chapters = items(document, "tags").map(|tag| {
            let name = text(tag, "name");
            let of_it = operations.iter().filter(|(_, _, operation)| operation["tags"][0] == name.as_str());
            Chapter {
                id: name.to_lowercase().replace(' ', "-"),
                about: text(tag, "description"),
                operations: of_it
                    .map(|(path, method, operation)| Operation::of(path, method, operation, &common))
                    .collect(),
                name,
            }
        });
        Self {
            about: paragraphs(&text(&document["info"], "description")),
            chapters: chapters.collect(),
            common,
            schemas: members(&document["components"]["schemas"])
                .map(|(name, schema)| Shape::of(name, schema))
                .collect(),
        }
    }
}

fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let at = |(path, item)| members(item).map(move |(method, operation)| (path, method, operation));
    members(&document["paths"]).flat_map(at).collect()
}

/// What at least so many operations answer in the same words is told once for all of them.
const MANY: usize = 6;

fn common(operations: &[(&String, &String, &Value)]) -> Vec<Answer> {
    let mut counted: BTreeMap<_, usize> = BTreeMap::new();
    for (status, answer) in operations.iter().flat_map(|(_, _, operation)| members(&operation["responses"])) {
        if status.as_str() >= "400" {
            let Answer { status, about, shape } = Answer::of(status, answer);
            *counted.entry((status, about, shape)).or_default() += 1;
        }
    }
    let many = counted.into_iter().filter(|(_, count)| *count >= MANY);
    many.map(|((status, about, shape), _)| Answer { status, about, shape }).collect()
}

impl Answer {
    fn of(status: &str, answer: &Value) -> Self {
        let shapes = members(&answer["content"]).map(|(_, content)| form(&content["schema"]));
        Self {
            status: status.to_owned(),
            about: text(answer, "description"),
            shape: shapes.collect::<Vec<_>>().join(" or "),
        }
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value, common: &[Answer]) -> Self {
        let parameter = |parameter: &Value| Field {
            name: text(parameter, "name"),
            form: form(&parameter["schema"]),
            required: parameter["required"] == true,
            about: text(parameter, "description"),
        };
        let answers = members(&operation["responses"]).map(|(status, answer)| Answer::of(status, answer));
        let (also, answers): (Vec<_>, Vec<_>) = answers.partition(|answer| common.contains(answer));
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        Self {
            id: text(operation, "operationId"),
            method: method.to_uppercase(),
            path: path.to_owned(),
            title: text(operation, "summary"),
            about: paragraphs(&text(operation, "description")),
            public: operation["security"][0].as_object().is_some_and(serde_json::Map::is_empty),
            parameters: items(operation, "parameters").map(parameter).collect(),
            body: (!body.is_null()).then(|| form(body)),
            also: also.into_iter().map(|answer| answer.status).collect(),
            answers,
        }
    }
}

impl Shape {
    fn of(name: &str, schema: &Value) -> Self {
        let parts = items(schema, "allOf").chain([schema]);
        let field = |part: &Value, (name, schema): (&String, &Value)| Field {
            name: name.clone(),
            form: form(schema),
            required: items(part, "required").any(|required| required == name.as_str()),
            about: text(schema, "description"),
        };
        Self {
            name: name.to_owned(),
            about: text(schema, "description"),
            form: if schema["properties"].is_object() { String::new() } else { form(schema) },
            fields: parts
                .flat_map(|part| members(&part["properties"]).map(move |member| field(part, member)))
                .collect(),
        }
    }
}

/// A text as it is to be read: what stood between backquotes is code.
fn spans(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.split('`').enumerate().map(|(n, part)| (n % 2 == 1, part))
}

/// The words of a form, and which of them name a schema.
fn words(form: &str) -> impl Iterator<Item = (bool, &str)> {
    let is_name = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    form.split(' ').map(move |word| (is_name(word), word))
}

/// A schema in a few words: `list of ServiceId`, `"a" or "b"`, `RFC 3339 time or null`.
fn form(schema: &Value) -> String {
    let all = |name: &str, between: &str| items(schema, name).map(form).collect::<Vec<_>>().join(between);
    if let Some(name) = schema["$ref"].as_str() {
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    for (name, between) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        if schema[name].is_array() {
            return all(name, between);
        }
    }
    if schema["enum"].is_array() {
        return items(schema, "enum").map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    let kind = if kind.starts_with("array") { format!("list of {}", form(&schema["items"])) } else { kind };
    let kind = if kind == "object" && schema["properties"].is_object() { inline(schema) } else { kind };
    let limits = [("format", ""), ("pattern", ""), ("minimum", "≥ "), ("maximum", "≤ "), ("default", "default ")];
    let told = limits.iter().filter(|(name, _)| !schema[name].is_null()).map(|(name, sign)| {
        let value = &schema[name];
        format!(", {sign}{}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    });
    std::iter::once(kind).chain(told).collect()
}

fn inline(schema: &Value) -> String {
    let fields: Vec<_> =
        members(&schema["properties"]).map(|(name, schema)| format!("{name}: {}", form(schema))).collect();
    format!("{{{}}}", fields.join(", "))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn paragraphs(text: &str) -> Vec<String> {
    text.split("\n\n").filter(|paragraph| !paragraph.is_empty()).map(str::to_owned).collect()
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}
