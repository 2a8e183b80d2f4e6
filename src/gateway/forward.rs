//! Sends the call to the cloud and hands its answer on as it arrives.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, Response, StatusCode, Version};
use tokio::time::Instant;

use super::{
    Deps,
    body::{ANSWER_SILENCE, BodyError, ResponseBody},
    hop,
    intercept::{Intercepted, Target},
    leash::{GLANCE, Leash, Tie},
    ledger::Ledger,
    rejection::{Rejection, Stage},
    resign::Signed,
    upstream::{CloudResponse, causes, dial_error},
};
use crate::{clock::Clock, cloud::Refusal};

/// Where clouds put their id of a call.
const CLOUD_REQUEST_IDS: [&str; 3] = ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"];

/// Calls the cloud host. The ledger goes along with the answer; without one, it comes back.
pub(super) async fn forward(
    deps: &Deps,
    connection: &Intercepted,
    signed: Signed,
    mut ledger: Ledger,
) -> Result<Response<ResponseBody>, (Rejection, Ledger)> {
    let Signed { request, leash } = signed;
    let target = &connection.target;
    let answer = tokio::select! {
        // First the look whether access still stands: once it has ended, not a byte more.
        biased;
        end = watch(&leash, ledger.counter(), &deps.clock, target) => Err(end),
        answer = deps.upstream.call(&connection.pool, request) => answer.map_err(|error| unanswered(target, &error, &mut ledger)),
    };
    match answer {
        Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let reason = "it wants to change the protocol".to_owned();
            Err((
                Stage::Forward.rejects(Refusal::UpstreamUnavailable { host: target.name.to_string(), reason }),
                ledger,
            ))
        }
        Ok(answer) => Ok(hand_on(answer, connection.post.tie(leash), ledger)),
        Err(rejection) => Err((rejection, ledger)),
    }
}

fn hand_on(answer: CloudResponse, tie: Tie, mut ledger: Ledger) -> Response<ResponseBody> {
    let (mut head, body) = answer.into_parts();
    ledger.answered(head.status, cloud_request_id(&head.headers));
    hop::strip(&mut head.headers, |_| false);
    head.version = Version::HTTP_11;
    Response::from_parts(head, ResponseBody::cloud(body, tie, ledger))
}

fn cloud_request_id(headers: &HeaderMap) -> Option<&str> {
    CLOUD_REQUEST_IDS.iter().find_map(|name| headers.get(*name)).and_then(|id| id.to_str().ok())
}

/// Ends when access does, or when neither an answer has come nor a byte of the request has gone for too long.
async fn watch(leash: &Leash, passed: Arc<AtomicU64>, clock: &Clock, target: &Target) -> Rejection {
    let (mut before, mut moved) = (0, Instant::now());
    while !leash.is_off() {
        let now = passed.load(Ordering::Relaxed);
        if now != before {
            (before, moved) = (now, Instant::now());
        } else if moved.elapsed() >= ANSWER_SILENCE {
            let reason = format!("nothing came for {} minutes", ANSWER_SILENCE.as_secs() / 60);
            return Stage::Forward.rejects(Refusal::UpstreamTimeout { host: target.name.to_string(), reason });
        }
        clock.sleep(GLANCE).await;
    }
    Stage::Forward.rejects(Refusal::NotActive)
}

fn unanswered(target: &Target, error: &(dyn std::error::Error + 'static), ledger: &mut Ledger) -> Rejection {
    let chain = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let unavailable = |reason| Refusal::UpstreamUnavailable { host: target.name.to_string(), reason };
    let refusal = match (causes(error).find_map(|cause| cause.downcast_ref::<BodyError>()), dial_error(error)) {
        (Some(BodyError::HashMismatch), _) => Refusal::PayloadHashMismatch,
        (Some(body), _) => {
            if let BodyError::Client(cause) = body {
                ledger.broke_off(cause);
            }
            Refusal::Malformed { what: body.to_string() }
        }
        (None, Some(dial)) => unavailable(dial.to_string()),
        (None, None) => unavailable("the connection broke before it answered".to_owned()),
    };
    Stage::Forward.fails(refusal, chain)
}
