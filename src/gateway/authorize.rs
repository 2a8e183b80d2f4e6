//! May this call go? The rules are `policy`'s; here the call is named for them, and their word is final.

use std::sync::Arc;

use http::request::Parts;

use super::{
    Deps,
    ledger::Ledger,
    rejection::{Rejection, Stage},
    verify::{Proof, Verified, VerifiedBody},
};
use crate::{
    clock::Timestamp,
    cloud::{Refusal, aws},
    model::{Call, LiveGrant},
    policy::{self, Denial, Permit},
};

/// A verified request that the grant covers.
pub(super) struct Permitted<'t> {
    pub(super) proof: Proof,
    pub(super) scope: aws::Claim<'static, 't>,
    pub(super) live: Arc<LiveGrant>,
    pub(super) body: VerifiedBody,
    pub(super) call: Call,
    pub(super) dialect: aws::Dialect<'static>,
    _permit: Permit,
}

/// Asks the rules about `verified`, as the grant stands now.
pub(super) fn authorize<'t>(
    deps: &Deps,
    verified: Verified<'t>,
    parts: &Parts,
    ledger: &mut Ledger,
) -> Result<Permitted<'t>, Rejection> {
    let Verified { proof, scope, live, body } = verified;
    let held = if let VerifiedBody::Held(held) = &body { held.bytes() } else { None };
    let mut named = scope.name(parts, held.unwrap_or_default(), |service| live.grant.services.contains(service));
    ledger.calls(&named.call.service, named.call.operation.map(|operation| operation.name));
    // The body may have taken its time: what counts is whether access stands now.
    let newest = deps.grants.load().grants.get(&live.grant.access_key_id).cloned();
    let live = newest.ok_or_else(|| Stage::Authorize.rejects(Refusal::NotActive))?;
    // Named once more: what made do without a signature must be what goes.
    if let Proof::Tunnel(unsigned) = &proof
        && !named.call.operation.is_some_and(|operation| unsigned.suits(operation.auth))
    {
        return Err(Stage::Authorize.rejects(unsigned.refusal()));
    }
    // Rules may have come since the body was let pass; what was not kept then can't be read now, and is untold.
    if policy::looks_at_names(&live.grant, &named.call) {
        named.call.names = scope.names(&named.call, named.dialect, parts, held);
    }
    match policy::evaluate(&live.grant, &named.call, deps.clock.now()) {
        Ok(permit) => {
            Ok(Permitted { proof, scope, live, body, call: named.call, dialect: named.dialect, _permit: permit })
        }
        Err(denial) => Err(Stage::Authorize.rejects(refusal(&denial))),
    }
}

/// What can be said of a verified call before its body is here, which alone tells what is called: a body that is refused
/// whatever it says shall not be asked for.
pub(super) fn forecheck(live: &LiveGrant, scope: &aws::Claim<'_, '_>, now: Timestamp) -> Result<(), Rejection> {
    policy::stands(&live.grant, scope.services().map(|service| &service.id), now)
        .map_err(|denial| Stage::Authorize.rejects(refusal(&denial)))
}

/// Do rules of the grant look at names that only the body tells? A call that its body names is held in any case.
pub(super) fn rules_read_body(live: &LiveGrant, scope: &aws::Claim<'_, '_>, parts: &Parts) -> bool {
    if live.grant.policies.is_empty() {
        return false;
    }
    let call = scope.name(parts, &[], |service| live.grant.services.contains(service)).call;
    policy::looks_at_names(&live.grant, &call) && scope.names_in_body(&call)
}

fn refusal(denial: &Denial) -> Refusal {
    match denial {
        Denial::AccountNotAllowed { account } => Refusal::AccountNotAllowed { account: account.to_string() },
        Denial::CredentialOperation { operation } => {
            Refusal::CredentialOperation { operation: (*operation).to_owned() }
        }
        Denial::NotActive => Refusal::NotActive,
        Denial::Policy { operation, policy } => {
            Refusal::Policy { operation: (*operation).to_owned(), policy: (*policy).to_owned() }
        }
        Denial::ServiceNotGranted => Refusal::NotGranted,
        Denial::UnknownOperation => Refusal::UnknownOperation,
    }
}
