//! Is the claim true? The signature, over the request as it arrived, under the secret that this gateway gave out.

use std::{io, sync::Arc};

use http::{header, request::Parts};
use http_body::Body;

use super::{
    Deps,
    authorize::{forecheck, rules_read_body},
    chunked::Chunked,
    hold::{For, Held, HoldError},
    ledger::Ledger,
    rejection::{Rejection, Stage},
    spool::SpoolError,
    unsigned::Unsigned,
    upload::Upload,
};
use crate::{
    clock::Timestamp,
    cloud::{Refusal, aws},
    model::LiveGrant,
    sigv4::{self, EventChain, PathStyle, Payload, SignatureError, Streaming},
};

/// A body that takes so few bytes, and a connection takes them in any case.
const SMALL: u64 = 16 * 1024;

/// What shows whose call it is.
#[expect(clippy::large_enum_variant, reason = "nearly all calls are signed, and a box would cost each an allocation")]
pub(super) enum Proof {
    /// Its own signature.
    Signature(sigv4::Verified),
    /// The credentials that its tunnel was asked for with; it has no signature by design.
    Tunnel(Unsigned),
}

/// A request of which it is known whose it is, with the grant that its key belongs to.
pub(super) struct Verified<'t> {
    pub(super) proof: Proof,
    pub(super) scope: aws::Claim<'static, 't>,
    pub(super) live: Arc<LiveGrant>,
    pub(super) body: VerifiedBody,
}

/// What is known of a body, from what was signed of it.
pub(super) enum VerifiedBody {
    /// Its chunks, and what follows them, must turn out right, or it is cut off before its end.
    Chunked(Box<Chunked>),
    /// It must turn out to have this SHA-256, or be cut off before its end.
    Declared([u8; 32]),
    /// Each message of its event stream must turn out right, or it is cut off there. Goes on with this chain.
    Events(EventChain),
    /// It has the hash that was signed.
    Held(Held),
    /// Nothing: the client did not sign it.
    Unsigned,
}

/// Verifies what the request with the head `parts` claims.
pub(super) async fn verify<'t>(
    deps: &Deps,
    claim: sigv4::Claim,
    scope: aws::Claim<'static, 't>,
    parts: &Parts,
    upload: &mut Upload,
    ledger: &mut Ledger,
) -> Result<Verified<'t>, Rejection> {
    let style = if scope.path_is_encoded_once() { PathStyle::EncodedOnce } else { PathStyle::EncodedTwice };
    let reject = |refusal| Stage::Verify.rejects(refusal);
    // Before the body is read: a stale or foreign signature shall not cost memory.
    let now = deps.clock.now();
    claim.check_clock(now).map_err(|_| reject(untimely(&claim, now)))?;
    let Some(live) = find(deps, &claim) else { return Err(reject(unknown(deps, claim, parts, style))) };
    let secret = &live.grant.secret_access_key;
    let check = |claim: sigv4::Claim, payload, ledger: &mut Ledger| {
        let verify = |claim: sigv4::Claim, key: &_| claim.verify(parts, style, key, payload, deps.clock.now());
        let signature = deps.client_keys.verify(claim, secret, verify).map_err(|error| reject(wrong(&error)))?;
        ledger.proves(&live.grant);
        Ok(signature)
    };
    // What the head says is called, for the record: the body is not read.
    let refuse = |refused, ledger: &mut Ledger| {
        let named = scope.name(parts, &[], |service| live.grant.services.contains(service));
        ledger.calls(&named.call.service, named.call.operation.map(|operation| operation.name));
        refused
    };
    // The key of a claim that was found true.
    let key = |claim: &sigv4::Claim| deps.client_keys.key(&claim.access_key_id, secret, &claim.scope);
    let is_read = scope.needs_body_to_name(parts) || rules_read_body(&live, &scope, parts);
    let (signature, body) = match claim.payload {
        // The SDK for Rust signs the head of an event stream as that of a request without a body, and says nothing of one.
        None if begins_events(parts) && scope.takes_events(parts) => {
            let signature = check(claim, Payload::EMPTY, ledger)?;
            let chain = signature.chain(&key(signature.claim())).of_events(secret);
            (signature, VerifiedBody::Events(chain))
        }
        None => match forecheck(&live, &scope, now) {
            // Its owner alone may know what becomes of a key, and until the body is here nobody knows whose call it is: so
            // the body is asked for, but takes no room.
            Err(refused) if upload.size_hint().upper().is_none_or(|length| length > SMALL) => {
                let sha256 = digest(deps, upload, ledger).await?;
                check(claim, Payload::Sha256(sha256), ledger)?;
                return Err(refuse(refused, ledger));
            }
            // What is small is held in any case: the record shall say what was called.
            _ => {
                let why = if is_read { For::Reading } else { For::Hash };
                let held = hold(deps, upload, ledger, why).await?;
                (check(claim, Payload::Sha256(held.sha256), ledger)?, VerifiedBody::Held(held))
            }
        },
        Some(declared @ Payload::Sha256(sha256)) => {
            let signature = check(claim, declared, ledger)?;
            if upload.is_end_stream() || is_read {
                // The signature is right, so its owner may know at once what no body can mend.
                forecheck(&live, &scope, now).map_err(|refused| refuse(refused, ledger))?;
                let held = hold(deps, upload, ledger, For::Reading).await?;
                signature.check_body(&held.sha256).map_err(|error| reject(wrong(&error)))?;
                (signature, VerifiedBody::Held(held))
            } else {
                (signature, VerifiedBody::Declared(sha256))
            }
        }
        Some(Payload::Unsigned) if scope.takes_unsigned_body(parts) => {
            let signature = check(claim, Payload::Unsigned, ledger)?;
            let body = if is_read {
                forecheck(&live, &scope, now).map_err(|refused| refuse(refused, ledger))?;
                VerifiedBody::Held(hold(deps, upload, ledger, For::Reading).await?)
            } else {
                VerifiedBody::Unsigned
            };
            (signature, body)
        }
        Some(Payload::Unsigned) => {
            let what = "A body that is not signed (UNSIGNED-PAYLOAD) is not accepted for this service.".to_owned();
            return Err(reject(Refusal::UnsupportedAuth { what }));
        }
        // Chunks and messages are signed as the head is.
        Some(Payload::Streaming(form)) if form.signed_with().is_some_and(|with| with != claim.scope.algorithm()) => {
            return Err(reject(unaccepted(form)));
        }
        Some(Payload::Streaming(form)) if scope.takes_chunks() && Chunked::reads(form) => {
            let signature = check(claim, Payload::Streaming(form), ledger)?;
            let chunked =
                Chunked::read(&parts.headers, form, signature.chain(&key(signature.claim()))).map_err(reject)?;
            (signature, VerifiedBody::Chunked(Box::new(chunked)))
        }
        Some(Payload::Streaming(form @ Streaming::Events)) if scope.takes_events(parts) => {
            let signature = check(claim, Payload::Streaming(form), ledger)?;
            let chain = signature.chain(&key(signature.claim())).of_events(secret);
            (signature, VerifiedBody::Events(chain))
        }
        Some(Payload::Streaming(form)) => return Err(reject(unaccepted(form))),
    };
    Ok(Verified { proof: Proof::Signature(signature), scope, live, body })
}

fn begins_events(parts: &Parts) -> bool {
    parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == aws::event_stream::CONTENT_TYPE)
}

fn untimely(claim: &sigv4::Claim, now: Timestamp) -> Refusal {
    match claim.ends().filter(|end| *end <= now) {
        Some(ended_at) => Refusal::UrlExpired { ended_at, now },
        None => Refusal::ClockSkew { signed_at: claim.at(), now },
    }
}

/// The grant behind the claimed key, from the newest snapshot.
fn find(deps: &Deps, claim: &sigv4::Claim) -> Option<Arc<LiveGrant>> {
    // No key that this gateway gives out comes with a session token.
    let id = Some(claim.access_key_id.as_str()).filter(|_| claim.session_token.is_none())?;
    deps.grants.load().grants.get(id).cloned()
}

/// Takes as long as a wrong signature, so that the time does not tell which keys exist.
fn unknown(deps: &Deps, claim: sigv4::Claim, parts: &Parts, style: PathStyle) -> Refusal {
    let key = deps.client_keys.decoy(&claim.access_key_id, &claim.scope);
    let payload = claim.payload.unwrap_or(Payload::EMPTY);
    let _ = std::hint::black_box(claim.verify(parts, style, &key, payload, deps.clock.now()));
    Refusal::UnknownKey
}

fn wrong(error: &SignatureError) -> Refusal {
    match error {
        SignatureError::PayloadMismatch => Refusal::PayloadHashMismatch,
        _ => Refusal::SignatureMismatch,
    }
}

fn unaccepted(form: Streaming) -> Refusal {
    let what = format!("A body in signed chunks ({}) is not accepted for this service.", form.name());
    Refusal::UnsupportedAuth { what }
}

pub(super) async fn hold(deps: &Deps, upload: &mut Upload, ledger: &mut Ledger, why: For) -> Result<Held, Rejection> {
    let held = deps.live.load_full().budget.hold(upload, why).await.map_err(|error| not_here(error, ledger))?;
    ledger.took(held.length());
    Ok(held)
}

async fn digest(deps: &Deps, upload: &mut Upload, ledger: &mut Ledger) -> Result<[u8; 32], Rejection> {
    let digest = deps.live.load_full().budget.digest(upload).await;
    let (sha256, length) = digest.map_err(|error| not_here(error, ledger))?;
    ledger.took(length);
    Ok(sha256)
}

/// For a body that is needed and could not be had.
fn not_here(error: HoldError, ledger: &mut Ledger) -> Rejection {
    if let HoldError::Broken(error) = &error {
        ledger.broke_off(error);
    }
    let cause = error.to_string();
    let refusal = match error {
        HoldError::TooLarge { limit, setting } => Refusal::BodyTooLarge { limit, setting },
        HoldError::NoMemory | HoldError::Spool(SpoolError::NoRoom) => {
            unavailable("too many large requests at one time; try again")
        }
        HoldError::Spool(SpoolError::Disk(error)) if is_full(&error) => {
            unavailable("the disk that large requests are kept on is full; tell your administrator")
        }
        HoldError::Spool(SpoolError::Disk(_)) => {
            unavailable("large requests can't be kept on disk; tell your administrator")
        }
        HoldError::Broken(_) | HoldError::Stalled | HoldError::TooSlow => Refusal::Malformed { what: cause.clone() },
    };
    Stage::Verify.fails(refusal, cause)
}

fn unavailable(reason: &str) -> Refusal {
    Refusal::GatewayUnavailable { reason: reason.to_owned() }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
