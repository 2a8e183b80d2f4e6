//! The OpenAPI document: made of what stands at the handlers and their types, and of what holds for all of them.

use std::{collections::BTreeMap, sync::LazyLock};

use utoipa::{
    Modify, OpenApi as _, ToSchema as _,
    openapi::{
        Components, Content, HttpMethod, OpenApi, PathItem, Ref, RefOr, Response,
        header::HeaderBuilder,
        path::{Operation, ParameterIn},
        response::ResponseBuilder,
        schema::{ArrayItems, ObjectBuilder, Schema, Type},
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{
    access_request_steps, access_requests, audit, ca, clouds, credentials, environments, me, policy_groups,
    second_factor, sessions, settings, system, tokens, usage, users,
};
use crate::console::error::Problem;

/// The document.
pub(crate) static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(Document::openapi);

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Cloud Service Gateway",
        description = "Applications call cloud services with a key that works only at this gateway. Here that access is \
            asked for, decided, watched and ended.\n\n\
            Times are RFC 3339. Lists take `limit` and `cursor`; `next_cursor` of an answer is the `cursor` of the next \
            page, and null at the end. Fields and parameters that nobody knows are refused. Errors are RFC 9457 problems: \
            `type` names the kind, `detail` says what to do.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This gateway")),
    tags(
        (name = "Sessions", description = "Signing in and out."),
        (name = "API tokens", description = "For programs that act as the caller."),
        (name = "Access requests", description = "`pending` → `approved` → (secret read) `active` → `revoked` or \
            `expired` → `archived`; `pending` → `denied` or `withdrawn`. Anything else is 409 with the present status."),
        (name = "Clouds", description = "What can be asked for."),
        (name = "Environments", description = "Where people work."),
        (name = "Credentials", description = "The real cloud credentials. Their secrets go in and never come out."),
        (name = "Policy groups", description = "Rules about the names of what calls create, attached at approval."),
        (name = "People", description = "People and their roles, account-wide or in one environment."),
        (name = "Audit", description = "What cloud clients called, and what people did."),
        (name = "Certificate authority", description = "Whom clients of the gateway are to trust."),
        (name = "System", description = "Is the gateway itself well?"),
        (name = "Settings", description = "What the installation decides for itself."),
    ),
    paths(
        sessions::create,
        sessions::delete,
        sessions::list,
        sessions::end,
        me::show,
        second_factor::change_password,
        second_factor::show,
        second_factor::begin,
        second_factor::confirm,
        second_factor::disable,
        tokens::list,
        tokens::create,
        tokens::delete,
        access_requests::create,
        access_requests::list_in_environment,
        access_requests::list,
        access_requests::show,
        access_request_steps::approve,
        access_request_steps::deny,
        access_request_steps::withdraw,
        access_request_steps::secret,
        access_request_steps::rotate,
        access_request_steps::revoke,
        access_request_steps::archive,
        usage::of_access_request,
        clouds::list,
        environments::list,
        environments::create,
        environments::show,
        environments::change,
        environments::delete,
        usage::of_environment,
        credentials::list,
        credentials::create,
        credentials::show,
        credentials::change,
        credentials::delete,
        credentials::test,
        policy_groups::list,
        policy_groups::create,
        policy_groups::show,
        policy_groups::replace,
        policy_groups::delete,
        users::list,
        users::create,
        users::show,
        users::change,
        users::tokens,
        users::delete_token,
        second_factor::reset,
        audit::list,
        ca::show,
        settings::show,
        settings::change,
        system::show,
    ),
    components(schemas(Problem)),
    modifiers(&Common)
)]
struct Document;

/// What holds for every operation: who may call, and how it says no.
struct Common;

const BEARER: &str = "bearer";
const COOKIE: &str = "cookie";
const CSRF: &str = "csrf";

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_with(Components::new);
        for (name, scheme) in schemes() {
            components.add_security_scheme(name, scheme);
        }
        refer(components);
        for (method, operation) in document.paths.paths.values_mut().flat_map(operations) {
            // "Nobody in particular" is an empty list to some generators of clients, and not a list of an empty choice.
            match &operation.security {
                None => operation.security = Some(callers(&method)),
                Some(callers) if *callers == [SecurityRequirement::default()] => operation.security = Some(Vec::new()),
                Some(_) => {}
            }
            for (status, words) in refusals(operation) {
                let response = || ResponseBuilder::new().description(words).build().into();
                operation.responses.responses.entry(status.to_owned()).or_insert_with(response);
            }
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && status.as_str() >= "400"
                {
                    problem(status, response);
                }
            }
        }
    }
}

/// Lists name the schema of their items, instead of repeating it.
fn refer(components: &mut Components) {
    for (name, schema) in &mut components.schemas {
        let (Some(item), RefOr::T(Schema::Object(page))) = (name.strip_prefix("Page_"), schema) else { continue };
        if let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items") {
            items.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(item).into()));
        }
    }
}

fn schemes() -> [(&'static str, SecurityScheme); 3] {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A session's token (`POST /sessions`) or an API token (`POST /tokens`)."))
        .build();
    let cookie = "The console's session. Over TLS its name is `__Host-csg_session`.";
    let csrf = "Goes with the cookie on everything but reading; the console's pages hold it.";
    [
        (BEARER, SecurityScheme::Http(bearer)),
        (COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description("csg_session", cookie)))),
        (CSRF, SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("x-csrf-token", csrf)))),
    ]
}

/// With a token; or with the console's cookie, which has to be meant where something is changed.
fn callers(method: &HttpMethod) -> Vec<SecurityRequirement> {
    let none = <[&str; 0]>::default();
    let cookie = SecurityRequirement::new(COOKIE, none);
    let cookie = if *method == HttpMethod::Get { cookie } else { cookie.add(CSRF, none) };
    vec![SecurityRequirement::new(BEARER, none), cookie]
}

/// The refusals that follow from what an operation takes.
fn refusals(operation: &Operation) -> BTreeMap<&'static str, &'static str> {
    let mut refusals = BTreeMap::from([("500", "The gateway could not do this; its log says why.")]);
    if operation.security.as_ref().is_some_and(|callers| !callers.is_empty()) {
        refusals.insert("401", "Sign in first: no token, or one that has ended.");
        refusals.insert("403", "The caller may not do this.");
    }
    let takes = |place: ParameterIn| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    if takes(ParameterIn::Path) {
        refusals.insert("404", "There is no such thing, or none that the caller may see.");
    }
    if takes(ParameterIn::Query) {
        refusals.insert("422", "A parameter can't be used; `errors` says which.");
    }
    if operation.request_body.is_some() {
        refusals.extend([
            ("400", "The body is not JSON."),
            ("408", "The body did not arrive within 30 seconds."),
            ("413", "The body is larger than 1 MiB."),
            ("415", "The body has another type than `application/json`."),
            ("422", "Some of the body can't be used; `errors` says what, field by field."),
        ]);
    }
    refusals
}

/// Every refusal is an RFC 9457 problem.
fn problem(status: &str, response: &mut Response) {
    let content = Content::new(Some(Ref::from_schema_name(Problem::name())));
    response.content.insert("application/problem+json".into(), content.into());
    let (header, words) = match status {
        "401" => ("www-authenticate", "RFC 6750, section 3."),
        "429" => ("retry-after", "When to try again, in seconds."),
        _ => return,
    };
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let header_value = HeaderBuilder::new().schema(Some(text)).description(Some(words)).build();
    response.headers.insert(header.into(), header_value.into());
}

/// The operations at one address.
pub(crate) fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    let all = [
        (HttpMethod::Get, get),
        (HttpMethod::Post, post),
        (HttpMethod::Put, put),
        (HttpMethod::Patch, patch),
        (HttpMethod::Delete, delete),
    ];
    all.into_iter().filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation))).collect()
}
