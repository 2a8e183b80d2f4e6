//! The one place where a rejection becomes an answer: in the protocol of the service that the client believes to talk to.

use http::{HeaderValue, Response, StatusCode, header};

use super::{body::ResponseBody, ledger::Ledger, rejection::Rejection};
use crate::{
    cloud::{
        Blame,
        aws::{Dialect, error::render},
    },
    model::Outcome,
};

/// Answers the client, and enters what became of the call.
pub(super) fn respond(rejection: &Rejection, dialect: Dialect<'_>, mut ledger: Ledger) -> Response<ResponseBody> {
    let rendered = render(&rejection.refusal, dialect, ledger.id());
    let (status, outcome) = verdict(rejection.refusal.blame());
    let record = ledger.record();
    tracing::info!(
        id = ledger.id(),
        client = record.map(|record| &*record.client),
        request = record.and_then(|record| record.request.as_ref()).map(tracing::field::display),
        user = record.and_then(|record| record.user.as_ref()).map(tracing::field::display),
        service = record.and_then(|record| record.service.as_ref()).map(tracing::field::display),
        operation = record.and_then(|record| record.operation.as_deref()),
        stage = ?rejection.stage,
        code = rendered.code,
        reason = %rejection.refusal,
        cause = rejection.cause,
        "a call ended at the gateway"
    );
    ledger.sent(rendered.body.len());
    ledger.rejected(outcome, rendered.code, status);
    let mut answer = Response::new(ResponseBody::own(rendered.body));
    *answer.status_mut() = status;
    *answer.headers_mut() = rendered.headers;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn verdict(blame: Blame) -> (StatusCode, Outcome) {
    match blame {
        Blame::Gateway => (StatusCode::SERVICE_UNAVAILABLE, Outcome::Refused),
        Blame::NotAllowed => (StatusCode::FORBIDDEN, Outcome::Refused),
        Blame::NotUnderstood => (StatusCode::BAD_REQUEST, Outcome::Refused),
        Blame::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Outcome::Refused),
        Blame::TooOften => (StatusCode::TOO_MANY_REQUESTS, Outcome::Refused),
        Blame::Upstream => (StatusCode::BAD_GATEWAY, Outcome::Failed),
        Blame::UpstreamSlow => (StatusCode::GATEWAY_TIMEOUT, Outcome::Failed),
    }
}
