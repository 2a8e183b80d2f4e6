//! What handlers take from a request, with a [`Problem`] for all that can be wrong with it.

use std::time::Duration;

use axum::{
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
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type());
        }
        parse(&body(request).await?).map(Self)
    }
}

/// For calls whose body may be left out: none if it is empty.
impl<S: Sync, T: DeserializeOwned> OptionalFromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Problem> {
        let json = is_json(request.headers());
        let body = body(request).await?;
        match (body.is_empty(), json) {
            (true, _) => Ok(None),
            (false, false) => Err(Problem::unsupported_media_type()),
            (false, true) => parse(&body).map(|body| Some(Self(body))),
        }
    }
}

/// The whole body of a request, within its limits of size and time.
pub(crate) async fn body(request: Request) -> Result<Vec<u8>, Problem> {
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect();
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

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
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
