//! Calls that carry nothing that could be verified here: because their operation is unsigned by design, or because they
//! carry a bearer token, which is the cloud's and not ours.
//!
//! Nothing in such a call says under which grant it is made. The tunnel can: a client that asks for it with the key as
//! the proxy's credentials (`HTTPS_PROXY=http://KEY:SECRET@gateway:3128`) has proven a grant for all that comes through
//! it. Then, and only for an operation that is so by design, the call goes on as it came; all else is refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::PROXY_AUTHORIZATION, request::Parts};
use ring::digest;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    Deps,
    authorize::{forecheck, rules_read_body},
    hold::{For, Held},
    intercept::Target,
    ledger::Ledger,
    rejection::{Rejection, Stage},
    upload::Upload,
    verify::{Proof, Verified, VerifiedBody, hold},
};
use crate::{
    cloud::Refusal,
    model::{AccessKeyId, Auth, LiveGrant, Snapshot},
};

/// What a call carries instead of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// Nothing.
    Bare,
    /// `Authorization: Bearer`.
    Bearer,
}

impl Unsigned {
    /// Is it how callers of such an operation show who they are, by the cloud's design and in no other way?
    pub(super) fn suits(self, auth: Auth) -> bool {
        matches!((self, auth), (Self::Bare, Auth::Unsigned) | (Self::Bearer, Auth::Bearer))
    }

    /// For a call that has to be signed.
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Bare => Refusal::MissingToken,
            Self::Bearer => {
                let what = "Bearer tokens can't be verified here. Please use AWS4-HMAC-SHA256.".to_owned();
                Refusal::UnsupportedAuth { what }
            }
        }
    }

    /// Finds the grant that `target`'s tunnel was asked for with, if the call with the head `parts` may do without a
    /// signature.
    pub(super) async fn vouch<'t>(
        self,
        deps: &Deps,
        target: &'t Target,
        parts: &Parts,
        upload: &mut Upload,
        ledger: &mut Ledger,
    ) -> Result<Verified<'t>, Rejection> {
        let reject = |refusal| Stage::Verify.rejects(refusal);
        let live = target.vouched.as_ref().and_then(|key| deps.grants.load().grants.get(key).cloned());
        // A body is read for those alone of whom it is known who they are, and whom the grant lets do anything here.
        let is_read = |live: &LiveGrant| {
            target.host.claims().any(|claim| claim.needs_body_to_name(parts) || rules_read_body(live, &claim, parts))
        };
        let held = match &live {
            Some(live) if is_read(live) => {
                let mut stands = target.host.claims().map(|claim| forecheck(live, &claim, deps.clock.now()));
                if let Some(Err(refused)) = stands.next()
                    && stands.all(|other| other.is_err())
                {
                    ledger.claims(Some(live.grant.access_key_id.clone()), target.host.home());
                    ledger.proves(&live.grant);
                    return Err(refused);
                }
                Some(hold(deps, upload, ledger, For::Reading).await?)
            }
            _ => None,
        };
        let bytes = held.as_ref().and_then(Held::bytes).unwrap_or_default();
        let scope = target.host.claims().find(|claim| {
            let granted = |service: &_| live.as_ref().is_none_or(|live| live.grant.services.contains(service));
            claim.name(parts, bytes, granted).call.operation.is_some_and(|operation| self.suits(operation.auth))
        });
        let scope = scope.ok_or_else(|| reject(self.refusal()))?;
        let live = live.ok_or_else(|| {
            let what = "This operation is not signed, so nothing says under which access request it is called. Give \
                        the proxy your key: HTTPS_PROXY=http://ACCESS_KEY_ID:SECRET_ACCESS_KEY@GATEWAY:3128 (the \
                        secret percent-encoded)";
            reject(Refusal::UnsupportedAuth { what: what.to_owned() })
        })?;
        ledger.claims(Some(live.grant.access_key_id.clone()), scope.region());
        ledger.proves(&live.grant);
        let body = held.map_or(VerifiedBody::Unsigned, VerifiedBody::Held);
        Ok(Verified { proof: Proof::Tunnel(self), scope, live, body })
    }
}

/// The proxy's credentials are not those of any key.
#[derive(Debug)]
pub(super) struct WrongCredentials;

/// The key that the proxy's credentials prove, if there are any. Whether its grant stands is asked with each call.
pub(super) fn vouched(grants: &Snapshot, headers: &HeaderMap) -> Result<Option<AccessKeyId>, WrongCredentials> {
    let mut all = headers.get_all(PROXY_AUTHORIZATION).iter();
    let Some(first) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(WrongCredentials);
    }
    let (scheme, encoded) = first.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(WrongCredentials)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(WrongCredentials);
    }
    let text = STANDARD.decode(encoded.trim()).map(Zeroizing::new).map_err(|_| WrongCredentials)?;
    let text = std::str::from_utf8(&text).map_err(|_| WrongCredentials)?;
    let (id, secret) = text.split_once(':').ok_or(WrongCredentials)?;
    let live = grants.grants.get(id);
    // An unknown id takes as long as a wrong secret, and hashes are of one length.
    let expected = live.map_or("nobody's", |live| live.grant.secret_access_key.expose());
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    let same: bool = hash(secret).as_ref().ct_eq(hash(expected).as_ref()).into();
    live.filter(|_| same).map(|live| Some(live.grant.access_key_id.clone())).ok_or(WrongCredentials)
}
