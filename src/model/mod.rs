//! The nouns of the product, without I/O: people, environments, credentials, access requests, grants, records.

pub mod access_request;
pub mod call;
pub mod call_record;
pub mod credential;
pub mod environment;
pub mod grant;
pub mod host_pattern;
pub mod ids;
pub mod people;
pub mod policy_group;
pub mod snapshot;
pub mod workflow_event;

pub use access_request::{AccessRequest, Action, Status};
pub use call::{Accounts, Auth, Call, Creates, Names, Operation, Twins};
pub use call_record::{CallRecord, Outcome};
pub use credential::{AssumedRole, Checked, CloudIdentity, Credential, IdentitySource, Keys, Principal, RoleSession};
pub use environment::Environment;
pub use grant::{Ended, Grant, LiveGrant};
pub use host_pattern::HostPattern;
pub use ids::{
    AccessKeyId, AccessRequestId, AccountId, CloudId, CredentialId, EnvironmentId, PolicyGroupId, RoleArn, ServiceId,
    UserName,
};
pub use people::{Permission, Role, RoleAssignment, User};
pub use policy_group::{Conditions, Pattern, Policy, PolicyGroup, PolicyStatus, Rule, RuleType};
pub use snapshot::{Publisher, Snapshot, Subscriber};
pub use workflow_event::WorkflowEvent;
