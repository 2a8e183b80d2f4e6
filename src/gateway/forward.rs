//! Sends the call to the cloud and hands its answer on as it arrives.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use http::{HeaderMap, HeaderName, Response, StatusCode, Version};
use tokio::time::Instant;

use super::{
    Deps,
    body::{ANSWER_SILENCE, BodyError, ResponseBody},
    hop,
    intercept::Intercepted,
    last_word::LastWord,
    ledger::Ledger,
    rejection::{Rejection, Stage},
    resign::Signed,
    turn::Turn,
    upstream::{CloudResponse, causes, dial_error},
};
use crate::cloud::{Refusal, aws::Dialect};

/// Where clouds put their id of a call.
static CLOUD_REQUEST_IDS: [HeaderName; 3] = [
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amz-request-id"),
    HeaderName::from_static("x-amzn-request-id"),
];

/// Calls the cloud host, `elsewhere` if that is one. The ledger goes along with the answer; without one, it comes back.
pub(super) async fn forward(
    deps: &Deps,
    connection: &Intercepted,
    elsewhere: Option<Arc<str>>,
    signed: Signed,
    dialect: Dialect<'static>,
    turn: Turn,
    mut ledger: Ledger,
) -> Result<Response<ResponseBody>, (Rejection, Ledger)> {
    let Signed { request, leash } = signed;
    let host = elsewhere.as_ref().unwrap_or(&connection.target.name);
    turn.asks(leash);
    let (live, pool) = connection.way(deps, elsewhere.as_ref());
    let answer = tokio::select! {
        // First the look whether access still stands: once it has ended, not a byte more.
        biased;
        end = watch(&turn, ledger.counter(), host) => Err(end),
        answer = live.upstream.call(&pool, connection.accepted.thread, request) => answer.map_err(|error| unanswered(host, &error, &mut ledger)),
    };
    match answer {
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let reason = "it wants to change the protocol".to_owned();
            Err((Stage::Forward.rejects(Refusal::UpstreamUnavailable { host: host.to_string(), reason }), ledger))
        }
        Ok(answer) => Ok(hand_on(answer, host, dialect, turn, ledger)),
        Err(rejection) => Err((rejection, ledger)),
    }
}

fn hand_on(
    answer: CloudResponse,
    host: &Arc<str>,
    dialect: Dialect<'static>,
    turn: Turn,
    mut ledger: Ledger,
) -> Response<ResponseBody> {
    turn.answers();
    let (mut head, body) = answer.into_parts();
    ledger.answered(head.status, cloud_request_id(&head.headers));
    hop::strip(&mut head.headers, |_| false);
    head.version = Version::HTTP_11;
    let last_word = LastWord::new(&head, dialect, host);
    Response::from_parts(head, ResponseBody::cloud(body, last_word, turn, ledger))
}

fn cloud_request_id(headers: &HeaderMap) -> Option<&str> {
    CLOUD_REQUEST_IDS.iter().find_map(|name| headers.get(name)).and_then(|id| id.to_str().ok())
}

/// Ends when access does, or when neither an answer has come nor a byte of the request has gone for too long.
///
/// It sets no alarm of its own: while the cloud is asked, [`Turns::poll_end`](super::turn::Turns::poll_end) has the call
/// polled again and again.
async fn watch(turn: &Turn, passed: Arc<AtomicU64>, host: &str) -> Rejection {
    let (mut before, mut moved) = (0, Instant::now());
    let refusal = poll_fn(|_| {
        let (now, at) = (passed.load(Ordering::Relaxed), Instant::now());
        if turn.is_off() {
            return Poll::Ready(Refusal::NotActive);
        }
        if now != before {
            (before, moved) = (now, at);
        } else if at.duration_since(moved) >= ANSWER_SILENCE {
            let reason = format!("nothing came for {} minutes", ANSWER_SILENCE.as_secs() / 60);
            return Poll::Ready(Refusal::UpstreamTimeout { host: host.to_owned(), reason });
        }
        Poll::Pending
    });
    Stage::Forward.rejects(refusal.await)
}

fn unanswered(host: &str, error: &(dyn std::error::Error + 'static), ledger: &mut Ledger) -> Rejection {
    let chain = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let unavailable = |reason| Refusal::UpstreamUnavailable { host: host.to_string(), reason };
    let refusal = match (causes(error).find_map(|cause| cause.downcast_ref::<BodyError>()), dial_error(error)) {
        (Some(body), _) => {
            if let BodyError::Client(cause) = body {
                ledger.broke_off(cause);
            }
            body.refusal()
        }
        (None, Some(dial)) => unavailable(dial.to_string()),
        (None, None) => unavailable("the connection broke before it answered".to_owned()),
    };
    Stage::Forward.fails(refusal, chain)
}
