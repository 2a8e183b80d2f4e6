//! May this call go? Pure: a grant, a call and the time come in, a permit or the reason against it comes out.

mod names;

pub use names::looks_at_names;

use crate::{
    clock::Timestamp,
    model::{AccountId, Call, Grant, Operation, ServiceId},
};

/// The proof that a grant covers a call; only [`evaluate`] makes one.
#[derive(Debug)]
pub struct Permit {
    operation: Operation,
}

/// Why a grant does not cover a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The call addresses an account outside the environment's.
    #[error("account {account} is not among the environment's")]
    AccountNotAllowed {
        /// The account that the call names.
        account: AccountId,
    },
    /// The operation's answer would hold cloud credentials, and the approver did not allow it by name.
    #[error("{operation} hands out credentials")]
    CredentialOperation {
        /// The operation.
        operation: &'static str,
    },
    /// Revoked, archived, replaced or expired, or its owner is disabled.
    #[error("the grant is not active")]
    NotActive,
    /// A rule of the grant's policy group forbids the call.
    #[error("{operation} violates {policy}")]
    Policy {
        /// The operation.
        operation: &'static str,
        /// The rule's type: `csg.resource.name.prefix`.
        policy: &'static str,
    },
    /// The grant is for other services.
    #[error("the service is not granted")]
    ServiceNotGranted,
    /// The call could not be named, so no rule can be applied to it.
    #[error("the operation is not known")]
    UnknownOperation,
}

/// Decides. The order of the questions is the order in which a client should learn about its troubles.
pub fn evaluate(grant: &Grant, call: &Call, now: Timestamp) -> Result<Permit, Denial> {
    stands(grant, [&call.service], now)?;
    if let Some(account) = call.accounts.iter().find(|named| !may_address(grant, named)) {
        return Err(Denial::AccountNotAllowed { account: *account });
    }
    let operation = call.operation.ok_or(Denial::UnknownOperation)?;
    if operation.hands_out_credentials && !allows_by_name(grant, call, operation) {
        return Err(Denial::CredentialOperation { operation: operation.name });
    }
    if let Some(policy) = names::broken(&grant.policies, call) {
        return Err(Denial::Policy { operation: operation.name, policy: policy.rule.type_name() });
    }
    Ok(Permit { operation })
}

/// Is the grant in force, and does it cover one of these services? The first questions of [`evaluate`]; alone, for when
/// more is not known yet.
pub fn stands<'s>(
    grant: &Grant,
    services: impl IntoIterator<Item = &'s ServiceId>,
    now: Timestamp,
) -> Result<(), Denial> {
    if !grant.active || grant.expires_at.is_some_and(|end| end <= now) {
        return Err(Denial::NotActive);
    }
    let is_granted = services.into_iter().any(|service| grant.services.contains(service));
    if is_granted { Ok(()) } else { Err(Denial::ServiceNotGranted) }
}

impl Permit {
    /// The operation that is permitted.
    pub const fn operation(&self) -> Operation {
        self.operation
    }
}

fn may_address(grant: &Grant, account: &AccountId) -> bool {
    grant.accounts.is_empty() || grant.accounts.contains(account)
}

fn allows_by_name(grant: &Grant, call: &Call, operation: Operation) -> bool {
    grant.allow_credential_operations.iter().any(|allowed| {
        allowed
            .split_once(':')
            .is_some_and(|(service, name)| service == call.service.as_str() && name == operation.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{AccessKeyId, AccessRequestId, CloudId, CredentialId, EnvironmentId, Names, Twins, UserName},
        secret::Secret,
    };

    const NOW: i64 = 1_000_000;

    fn grant() -> Grant {
        Grant {
            access_key_id: AccessKeyId::new("CSGAAAAAAAAAAAAAAAAA").unwrap(),
            secret_access_key: Secret::new("secret"),
            request: AccessRequestId::new("r-1").unwrap(),
            user: UserName::new("dora").unwrap(),
            environment: EnvironmentId::new("dev").unwrap(),
            services: vec![ServiceId::new("dynamodb").unwrap(), ServiceId::new("redshift").unwrap()],
            active: true,
            expires_at: None,
            allow_credential_operations: Vec::new(),
            accounts: Vec::new(),
            policies: std::sync::Arc::default(),
            credential: CredentialId::new("c-1").unwrap(),
        }
    }

    fn call(service: &str, operation: Option<(&'static str, bool)>, account: Option<&str>) -> Call {
        Call {
            cloud: CloudId::aws(),
            service: ServiceId::new(service).unwrap(),
            operation: operation
                .map(|(name, hands_out_credentials)| Operation { hands_out_credentials, ..Operation::plain(name) }),
            accounts: account.iter().flat_map(|ids| ids.split(' ')).map(|id| AccountId::new(id).unwrap()).collect(),
            twins: Twins::new(),
            names: Names::Untold,
        }
    }

    #[test]
    fn a_call_goes_only_as_far_as_its_grant() {
        let plain = || call("dynamodb", Some(("PutItem", false)), None);
        let credentials = || call("redshift", Some(("GetClusterCredentials", true)), None);
        let elsewhere = || call("dynamodb", Some(("PutItem", false)), Some("210987654321"));
        let ends = |at| Grant { expires_at: Some(Timestamp::from_millis(at)), ..grant() };
        let allows = |name: &str| Grant { allow_credential_operations: vec![name.to_owned()], ..grant() };
        let within = |account: &str| Grant { accounts: vec![AccountId::new(account).unwrap()], ..grant() };
        let refused_credentials = || Some(Denial::CredentialOperation { operation: "GetClusterCredentials" });
        let table = [
            (grant(), plain(), None),
            (Grant { active: false, ..grant() }, plain(), Some(Denial::NotActive)),
            (ends(NOW + 1), plain(), None),
            (ends(NOW), plain(), Some(Denial::NotActive)),
            (grant(), call("sns", Some(("Publish", false)), None), Some(Denial::ServiceNotGranted)),
            (Grant { services: Vec::new(), ..grant() }, plain(), Some(Denial::ServiceNotGranted)),
            (grant(), call("dynamodb", None, None), Some(Denial::UnknownOperation)),
            (grant(), credentials(), refused_credentials()),
            (allows("redshift:GetClusterCredentials"), credentials(), None),
            (allows("redshift:GetClusterCredentialsWithIAM"), credentials(), refused_credentials()),
            (allows("sts:GetClusterCredentials"), credentials(), refused_credentials()),
            (allows("redshift:*"), credentials(), refused_credentials()),
            (grant(), elsewhere(), None),
            (within("210987654321"), elsewhere(), None),
            (
                within("123456789012"),
                elsewhere(),
                Some(Denial::AccountNotAllowed { account: AccountId::new("210987654321").unwrap() }),
            ),
            (
                within("123456789012"),
                call("dynamodb", Some(("PutItem", false)), Some("123456789012 210987654321")),
                Some(Denial::AccountNotAllowed { account: AccountId::new("210987654321").unwrap() }),
            ),
            (within("123456789012"), plain(), None),
        ];
        for (number, (grant, call, denial)) in table.into_iter().enumerate() {
            let decision = evaluate(&grant, &call, Timestamp::from_millis(NOW));
            assert_eq!(decision.err(), denial, "row {number}");
        }
    }
}
