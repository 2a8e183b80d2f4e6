//! How the REST API says no: RFC 9457 `application/problem+json`, for everything, whoever found the fault.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{audit, cloud::CheckError, model::Status, workflow};

/// An answer that tells what is wrong and what to do. `title` is the same for each `type`, `detail` is of the case.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The kind of problem: `urn:csg:problem:` and a word.
    #[schema(format = "uri", examples("urn:csg:problem:conflict"))]
    #[serde(rename = "type", serialize_with = "as_urn")]
    kind: &'static str,
    pub(crate) title: &'static str,
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    #[serde(serialize_with = "as_number")]
    pub(crate) status: StatusCode,
    /// What happened, why, and what to do.
    pub(crate) detail: String,
    /// What is wrong, field by field.
    #[schema(required = false)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
    /// For a conflict: the status that the access request has now.
    #[schema(value_type = Option<Status>, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    current_status: Option<&'static str>,
    /// When trying again makes sense.
    #[serde(skip)]
    retry_after: Option<Duration>,
}

/// What is wrong with one field of a body or one parameter of a query.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Its name, or its path where it lies deeper; empty if the whole is meant.
    pub(crate) field: String,
    pub(crate) detail: String,
}

fn as_urn<S: serde::Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:csg:problem:{kind}"))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into(), errors: Vec::new(), current_status: None, retry_after: None }
    }

    /// 409, with where the access request stands if it is about one.
    fn conflict(detail: impl Into<String>, current: Option<Status>) -> Self {
        let problem = Self::new(StatusCode::CONFLICT, "conflict", "This can't be done as things stand", detail);
        Self { current_status: current.map(Status::name), ..problem }
    }

    /// 424: something that this depends on did not work, through no fault of the request's form or of ours.
    fn failed_dependency(kind: &'static str, title: &'static str, detail: String) -> Self {
        Self::new(StatusCode::FAILED_DEPENDENCY, kind, title, detail)
    }

    /// 403.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this", detail)
    }

    /// 410 for what could be had once.
    fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", "This is no longer to be had", detail)
    }

    /// 500. What happened goes to the log; the client is told no more than where to look.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request to the console failed");
        let detail = "The gateway could not do this; its log says why.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed inside the gateway", detail)
    }

    /// 422 for one field.
    pub(crate) fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// 422: well-formed, but not what is asked for here.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let told: Vec<_> = errors
            .iter()
            .map(|error| {
                if error.field.is_empty() { error.detail.clone() } else { format!("{}: {}", error.field, error.detail) }
            })
            .collect();
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "Some of what was sent can't be used",
            told.join("; "),
        );
        Self { errors, ..problem }
    }

    /// 400: not even well-formed.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "What was sent can't be read", detail)
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        let detail = "The Allow header names the methods that this address takes.";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This address does not take this method",
            detail,
        )
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here", detail)
    }

    /// 401, where the password was right.
    fn second_factor_required(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "second_factor_required", "A second factor is needed", detail)
    }

    /// 408.
    pub(crate) fn timeout() -> Self {
        let detail = "The body did not arrive in time; send it again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long to arrive", detail)
    }

    /// 413.
    pub(crate) fn too_large(limit: usize) -> Self {
        let detail = format!("A body may have at most {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large", detail)
    }

    /// 429.
    pub(crate) fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", "Too many at once", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// 401.
    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first", detail)
    }

    /// 415.
    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "Send JSON, with Content-Type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body has the wrong type", detail)
    }
}

impl From<workflow::Error> for Problem {
    fn from(error: workflow::Error) -> Self {
        use workflow::Error;
        let detail = capital(&error.to_string());
        match error {
            Error::Check(CheckError::Refused { .. }) => {
                Self::failed_dependency("credential_refused", "The cloud refuses this credential", detail)
            }
            Error::Check(_) => Self::failed_dependency("cloud_unreachable", "The cloud could not be asked", detail),
            Error::Conflict { status, .. } => Self::conflict(detail, status),
            Error::Forbidden { .. } | Error::NotAllowed(_) => Self::forbidden(detail),
            Error::Gone(_) => Self::gone(detail),
            Error::Invalid(errors) => Self::invalid(
                errors
                    .into_iter()
                    .map(|error| FieldError { field: error.field.into_owned(), detail: error.message })
                    .collect(),
            ),
            Error::OtherAccount { .. } => Self::conflict(detail, None),
            Error::NotFound(_) => Self::not_found(detail),
            Error::Random => Self::internal(&error),
            Error::SecondFactorRequired => Self::second_factor_required(detail),
            Error::Storage(cause) => Self::internal(&cause),
            Error::Throttled { retry_after } => Self::too_many(detail, retry_after),
            Error::Unauthenticated => Self::unauthenticated(detail),
        }
    }
}

impl From<audit::Error> for Problem {
    fn from(error: audit::Error) -> Self {
        Self::internal(&error)
    }
}

/// The words as a sentence.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut answer = (self.status, body).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"csg\""));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
        }
        // For whoever shows it as a page.
        answer.extensions_mut().insert(self);
        answer
    }
}
