//! What handlers take from a request, with a [`Problem`] for all that can be wrong with it.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Path, Request},
    http::{HeaderMap, header, request::Parts},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::error::{FieldError, Problem};

/// The largest body that is taken.
pub(crate) const BODY_LIMIT: usize = 1 << 20;
/// A body has to arrive within this time.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A JSON body. Unknown fields are refused by the types themselves.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        parse(&json(request).await?).map(Self)
    }
}

/// For calls whose body may be left out: none if it is empty, or `null`.
impl<S: Sync, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Problem> {
        let json = is_json(request.headers());
        let body = body(request.into_body()).await?;
        match (body.is_empty(), json) {
            (true, _) => Ok(None),
            (false, false) => Err(Problem::unsupported_media_type()),
            (false, true) => parse::<Option<T>>(&body).map(|body| body.map(Self)),
        }
    }
}

/// The bytes of a JSON body.
pub(crate) async fn json(request: Request) -> Result<Vec<u8>, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::unsupported_media_type());
    }
    body(request.into_body()).await
}

/// The whole body of a request, within its limits of size and time.
pub(crate) async fn body(body: Body) -> Result<Vec<u8>, Problem> {
    let body = Limited::new(body, BODY_LIMIT).collect();
    match tokio::time::timeout(BODY_TIME, body).await {
        Err(_) => Err(Problem::timeout()),
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(BODY_LIMIT)),
        Ok(Err(_)) => Err(Problem::malformed("The body ended before its end.")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a JSON body; what is wrong with it is told by field.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            Problem::invalid_field(if field == "." { String::new() } else { field }, plain(&error))
        } else {
            Problem::malformed(format!("The body is not JSON: {error}."))
        }
    })?;
    json.end().map_err(|error| Problem::malformed(format!("The body is not JSON: {error}.")))?;
    Ok(value)
}

/// The message without serde's "at line 1 column 2", which tells nothing about a field that is named.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
}

/// The parameters of a query. Unknown ones are refused: a filter with a slip of the pen must not show everything.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|rejection| {
            let detail =
                std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
            let (field, detail) = detail.split_once(": ").unwrap_or(("", detail.as_str()));
            let error = FieldError { field: field.into(), detail: detail.into() };
            Problem::invalid(vec![error])
        })
    }
}

/// An id in the path. What does not have the form of an id names nothing.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Problem::not_found("Nothing has this id.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Wish {
        name: String,
        roles: Vec<Role>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read into")]
    struct Role {
        role: crate::model::Role,
    }

    async fn refusal(content_type: &str, body: impl Into<Body>) -> serde_json::Value {
        let request = Request::post("/").header("content-type", content_type).body(body.into()).unwrap();
        let problem = <Json<Wish> as FromRequest<()>>::from_request(request, &()).await.err().expect("a refusal");
        serde_json::to_value(problem).unwrap()
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_body_is_told_by_field() {
        let json = "application/json; charset=utf-8";
        for (content_type, body, status, field, says) in [
            ("text/plain", "{}", 415, None, "application/json"),
            ("application/jsonx", "{}", 415, None, "application/json"),
            (json, "", 400, None, "EOF"),
            (json, "{\"name\":", 400, None, "EOF"),
            (json, "{\"name\": \"a\", \"roles\": []} {", 400, None, "trailing"),
            (json, "\u{feff}{}", 400, None, "not JSON"),
            (json, "[]", 422, Some(""), "expected"),
            (json, "{}", 422, Some(""), "missing field `name`"),
            (json, "{\"name\": 1}", 422, Some("name"), "expected a string"),
            (json, "{\"name\": \"a\", \"nam\": \"b\"}", 422, Some("nam"), "unknown field `nam`"),
            (json, "{\"name\": \"a\", \"name\": \"b\"}", 422, Some(""), "duplicate field `name`"),
            (
                json,
                "{\"name\": \"a\", \"roles\": [{\"role\": \"king\"}]}",
                422,
                Some("roles[0].role"),
                "unknown variant",
            ),
        ] {
            let problem = refusal(content_type, body).await;
            assert_eq!(problem["status"], status, "{body}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains(says), "{body}: {problem}");
            assert_eq!(problem["errors"][0]["field"].as_str(), field, "{body}: {problem}");
        }
    }

    #[tokio::test]
    async fn a_body_too_large_or_too_deep_is_refused() {
        let problem = refusal("application/json", vec![b' '; BODY_LIMIT + 1]).await;
        assert_eq!(problem["status"], 413);
        let problem = refusal("application/json", "[".repeat(BODY_LIMIT)).await;
        assert_eq!(problem["status"], 422, "{problem}");
        let problem = refusal("application/json", format!("{{\"name\": \"a\", \"roles\": {}", "[".repeat(200))).await;
        assert_eq!(problem["status"], 400, "{problem}");
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_query_is_told() {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only read into")]
        struct Filter {
            limit: Option<u16>,
        }
        for (query, says) in [("limit=a", "limit"), ("limt=5", "unknown field `limt`"), ("limit=-1", "limit")] {
            let (mut parts, ()) = Request::get(format!("/?{query}")).body(()).unwrap().into_parts();
            let problem =
                Query::<Filter>::from_request_parts(&mut parts, &Arc::new(())).await.err().expect("a refusal");
            assert_eq!(problem.status.as_u16(), 422);
            assert!(problem.detail.contains(says), "{}", problem.detail);
        }
    }
}
