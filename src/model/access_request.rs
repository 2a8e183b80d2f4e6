//! An access request and its life. The state machine is [`Status::after`], a pure function.

use serde::{Deserialize, Serialize};

use super::{AccessRequestId, CloudId, CredentialId, EnvironmentId, PolicyGroupId, ServiceId, UserName};
use crate::clock::Timestamp;

/// A person's wish to use services of a cloud in an environment, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessRequest {
    /// Its id.
    pub id: AccessRequestId,
    /// Where the services are to be used.
    pub environment: EnvironmentId,
    /// The cloud.
    pub cloud: CloudId,
    /// The services asked for, sorted, without repeats.
    pub services: Vec<ServiceId>,
    /// Where it stands.
    pub status: Status,
    /// Who asked.
    pub requested_by: UserName,
    /// Why.
    pub justification: String,
    /// For how long access is wanted, in seconds from approval; until revoked if none is given.
    pub duration_seconds: Option<u64>,
    /// The policy group whose rules who asked wants their calls to keep.
    #[serde(default)]
    pub requested_policy_group: Option<PolicyGroupId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who approved or denied it.
    pub decided_by: Option<UserName>,
    /// When that was.
    pub decided_at: Option<Timestamp>,
    /// What the decider had to say.
    pub decision_comment: Option<String>,
    /// The real credential behind it, picked at approval.
    pub credential: Option<CredentialId>,
    /// The policy group whose rules its calls must keep, picked at approval.
    #[serde(default)]
    pub policy_group: Option<PolicyGroupId>,
    /// When access ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Operations that hand out cloud credentials and are allowed all the same, as `service:Operation`.
    pub allow_credential_operations: Vec<String>,
    /// Counts the changes; a decision on an older version than the stored one is a conflict.
    pub version: u64,
}

/// Where an access request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for a decision.
    Pending,
    /// Approved; the secret has not been read yet, so the key does not work yet.
    Approved,
    /// In use.
    Active,
    /// Refused by an approver.
    Denied,
    /// Taken back by who asked, before a decision.
    Withdrawn,
    /// Ended by an approver.
    Revoked,
    /// Ended by time.
    Expired,
    /// Put away.
    Archived,
}

/// What can be done to an access request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Say yes.
    Approve,
    /// Put it away; ends access if there is any.
    Archive,
    /// Say no.
    Deny,
    /// Time has run out.
    Expire,
    /// Read the secret, the one time.
    Reveal,
    /// End access.
    Revoke,
    /// Make a new key pair.
    Rotate,
    /// Take the request back.
    Withdraw,
}

impl Status {
    /// Every status there is.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Approved,
        Self::Active,
        Self::Denied,
        Self::Withdrawn,
        Self::Revoked,
        Self::Expired,
        Self::Archived,
    ];

    /// The status that `action` leads to, or none if it can't be done from here.
    pub const fn after(self, action: Action) -> Option<Self> {
        match (self, action) {
            (Self::Pending, Action::Approve) => Some(Self::Approved),
            (Self::Pending, Action::Deny) => Some(Self::Denied),
            (Self::Pending, Action::Withdraw) => Some(Self::Withdrawn),
            (Self::Approved, Action::Reveal) | (Self::Active, Action::Reveal | Action::Rotate) => Some(Self::Active),
            (Self::Approved | Self::Active, Action::Revoke) => Some(Self::Revoked),
            (Self::Approved | Self::Active, Action::Expire) => Some(Self::Expired),
            (Self::Approved | Self::Active | Self::Revoked | Self::Expired, Action::Archive) => Some(Self::Archived),
            _ => None,
        }
    }

    /// The word for it in the REST API: `pending`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Active => "active",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Archived => "archived",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const ACTIONS: [Action; 8] = [
        Action::Approve,
        Action::Archive,
        Action::Deny,
        Action::Expire,
        Action::Reveal,
        Action::Revoke,
        Action::Rotate,
        Action::Withdraw,
    ];

    proptest! {
        /// No sequence of steps leads to working access without an approval, nor back to it once it has ended.
        #[test]
        fn access_needs_an_approval_and_ends_for_good(steps in vec(select(&ACTIONS[..]), 0..12)) {
            let (mut status, mut approved, mut ended) = (Status::Pending, false, false);
            for step in steps {
                let Some(next) = status.after(step) else { continue };
                approved |= step == Action::Approve;
                ended |= matches!(step, Action::Archive | Action::Deny | Action::Expire | Action::Revoke | Action::Withdraw);
                prop_assert!(next != Status::Active || (approved && !ended));
                status = next;
            }
        }
    }

    #[test]
    fn names_are_those_that_serde_writes() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
    }
}
