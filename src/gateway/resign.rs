//! Puts the real identity in the place of the client's: the same request, signed with the real key.

use std::sync::Arc;

use http::{Request, Version, header, request::Parts};

use super::{
    Deps,
    authorize::Permitted,
    body::RequestBody,
    events::EventStream,
    hop,
    leash::Leash,
    ledger::Ledger,
    rejection::{Rejection, Stage},
    roles,
    streamed::Streamed,
    upload::Upload,
    upstream,
    verify::{Proof, VerifiedBody},
};
use crate::{
    cloud::{Refusal, aws},
    model::CloudIdentity,
    sigv4::{self, Algorithm, PathStyle, Scope, Signing},
};

/// A permitted request under the real identity, ready to leave, and the leash of its grant.
pub(super) struct Signed {
    pub(super) request: Request<RequestBody>,
    pub(super) leash: Leash,
}

/// The keys that `permitted` is to be signed with; none where it goes as it is.
pub(super) async fn real_identity(
    deps: &Arc<Deps>,
    permitted: &Permitted<'_>,
) -> Result<Option<Arc<CloudIdentity>>, Rejection> {
    let Proof::Signature(_) = &permitted.proof else { return Ok(None) };
    let source = permitted.live.identity.as_ref().ok_or_else(|| unavailable("its credential has no secret"))?;
    roles::identity(deps, source).await.map(Some).map_err(unavailable)
}

/// Signs `permitted`, whose head is `parts` and whose body, if it is not held, comes from `upload`, with the keys of `identity`.
pub(super) fn resign(
    deps: &Deps,
    permitted: Permitted<'_>,
    identity: Option<&CloudIdentity>,
    mut parts: Parts,
    upload: Upload,
    ledger: &mut Ledger,
) -> Result<Signed, Rejection> {
    let Permitted { proof, scope, live, body, call, .. } = permitted;
    hop::strip(&mut parts.headers, |name| {
        aws::is_read_to_name(name)
            || match &proof {
                Proof::Signature(signature) => signature.claim().protects(name),
                Proof::Tunnel(_) => matches!(name, "authorization" | "host") || name.starts_with("x-amz"),
            }
    });
    // A request's trailers end here, as nobody signed them.
    parts.headers.remove(header::TRAILER);
    // Our own: that of the client is for its hop (RFC 9110, section 2.5).
    parts.version = Version::HTTP_11;
    if let [account] = &live.grant.accounts[..] {
        aws::expect_owner(&mut parts.headers, &call, account);
    }
    let signature = match proof {
        Proof::Signature(signature) => signature,
        Proof::Tunnel(_) => {
            upstream::in_origin_form(&mut parts.uri);
            let passed = ledger.counter();
            let body = match body {
                VerifiedBody::Held(held) => RequestBody::held(held),
                _ => RequestBody::Streamed(Box::new(Streamed::new(upload, None, passed))),
            };
            return Ok(Signed { request: Request::from_parts(parts, body), leash: Leash::new(live, &deps.clock) });
        }
    };
    let claim = signature.claim();
    let identity = identity.ok_or_else(|| unavailable("its credential has no secret"))?;
    let now = deps.clock.now();
    let today = match claim.scope.algorithm() {
        Algorithm::EcdsaP256 => Scope::asymmetric_at(now, claim.scope.region(), scope.signing_name()),
        Algorithm::HmacSha1 | Algorithm::HmacSha256 => Scope::at(now, scope.region(), scope.signing_name()),
    };
    let signing = Signing {
        access_key_id: &identity.access_key_id,
        key: &deps.cloud_keys.key(&identity.access_key_id, &identity.secret_access_key, &today),
        session_token: identity.session_token.as_ref(),
        style: if scope.path_is_encoded_once() { PathStyle::EncodedOnce } else { PathStyle::EncodedTwice },
        also: &claim.signed_headers,
        payload: signature.payload(),
        now,
    };
    if let VerifiedBody::Chunked(chunked) = &body {
        chunked.declare_length(&mut parts.headers, &upload);
    }
    let chain = sigv4::sign(&mut parts, &signing).map_err(unavailable)?;
    upstream::in_origin_form(&mut parts.uri);
    let passed = ledger.counter();
    let streamed = |upload, sha256, passed| RequestBody::Streamed(Box::new(Streamed::new(upload, sha256, passed)));
    let body = match body {
        VerifiedBody::Chunked(chunked) => RequestBody::Chunked(Box::new(chunked.recode(upload, chain, passed))),
        VerifiedBody::Declared(sha256) => streamed(upload, Some(sha256), passed),
        VerifiedBody::Events(client) => {
            let cloud = chain.of_events(&identity.secret_access_key);
            let stream = EventStream::new(upload, client, cloud, deps.clock.clone(), passed);
            RequestBody::Events(Box::new(stream))
        }
        VerifiedBody::Held(held) => RequestBody::held(held),
        VerifiedBody::Unsigned => streamed(upload, None, passed),
    };
    Ok(Signed { request: Request::from_parts(parts, body), leash: Leash::new(live, &deps.clock) })
}

fn unavailable(cause: impl std::fmt::Display) -> Rejection {
    let reason = "the cloud credential behind this access request can't be used; tell your administrator".to_owned();
    Stage::Resign.fails(Refusal::GatewayUnavailable { reason }, cause.to_string())
}
