//! For tests: an installation in a temporary directory, with a clock that stands still.

use std::time::Duration;

use tempfile::TempDir;

use super::{
    AccessRequestView, Approval, Attach, Caller, Error, KnownServices, NewAccessRequest, NewCredential, NewEnvironment,
    NewKeys, Workflow, caller::TokenOf,
};
use crate::{
    clock::{Clock, Timestamp},
    model::{
        AccessKeyId, AccessRequestId, CloudId, CloudIdentity, Credential, EnvironmentId, IdentitySource, LiveGrant,
        Publisher, Role, RoleAssignment, ServiceId, User, UserName,
    },
    secret::Secret,
    store::{
        MasterKey, Store,
        tables::users::{self, UserRecord},
    },
};

pub(super) const DAY: Duration = Duration::from_hours(24);

pub(super) struct Fixture {
    pub(super) directory: TempDir,
    pub(super) clock: Clock,
    pub(super) workflow: Workflow,
}

impl Fixture {
    /// An empty installation.
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_790_000_000_000));
        let workflow = open(&directory, &clock);
        Self { directory, clock, workflow }
    }

    /// With the environments `dev` and `prod`, and the administrator `root`.
    pub(super) fn furnished() -> Self {
        let fixture = Self::new();
        let root = fixture.person("root", &[(Role::Admin, None)]);
        for slug in ["dev", "prod"] {
            let new = NewEnvironment { id: env(slug), name: slug.into(), accounts: vec![], credentials: vec![] };
            root.environment_administrator(None).unwrap().create(&new).unwrap();
        }
        fixture
    }

    /// The same directory, after a restart.
    pub(super) fn restarted(self) -> Self {
        let Self { directory, clock, workflow } = self;
        drop(workflow);
        let workflow = open(&directory, &clock);
        Self { directory, clock, workflow }
    }

    /// Adds a person, or gives them other roles, past the rules; they can't sign in, but are here.
    pub(super) fn person(&self, name: &str, roles: &[(Role, Option<&str>)]) -> Caller {
        let roles = roles
            .iter()
            .map(|&(role, environment)| RoleAssignment { role, environment: environment.map(env) })
            .collect();
        let user =
            User { name: user(name), roles, disabled: false, created_at: self.clock.now(), second_factor: false };
        let record = UserRecord { user: user.clone(), password: String::new() };
        self.workflow.commit(None, |tx| Ok(users::put(tx.writer, &record)?)).unwrap();
        let token = TokenOf { sha256: String::new(), is_session: true, expires_at: Timestamp::MAX };
        Caller { workflow: self.workflow.clone(), user, token }
    }

    pub(super) fn credential(&self, key: &str, environments: &[&str]) -> Credential {
        let new = NewCredential {
            name: key.into(),
            cloud: CloudId::aws(),
            keys: NewKeys::Static {
                access_key_id: format!("AKIA{key:0>16}"),
                secret_access_key: Secret::new(format!("secret-of-{key}")),
                session_token: None,
            },
            environments: environments.iter().map(|slug| env(slug)).collect(),
        };
        self.person("root", &[(Role::Admin, None)]).credential_administrator().unwrap().create(&new).unwrap()
    }

    pub(super) fn advance(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    /// The grant that the data plane finds under a key.
    pub(super) fn grant(&self, key: &AccessKeyId) -> Option<std::sync::Arc<LiveGrant>> {
        self.workflow.subscribe().load().grants.get(key).cloned()
    }

    pub(super) fn is_active(&self, key: &AccessKeyId) -> bool {
        self.grant(key).is_some_and(|live| {
            assert_eq!(live.grant.active, !live.ended.is_set());
            assert_eq!(live.grant.active, live.identity.is_some());
            live.grant.active
        })
    }
}

/// The keys behind a grant, which are no role's.
pub(super) fn keys(live: &LiveGrant) -> CloudIdentity {
    match live.identity.as_ref().unwrap() {
        IdentitySource::Keys(keys) => CloudIdentity::clone(keys),
        IdentitySource::Role(role) => panic!("{role:?}"),
    }
}

fn open(directory: &TempDir, clock: &Clock) -> Workflow {
    let key = MasterKey::from_bytes(&[7; 32]).unwrap();
    let store = Store::open(&directory.path().join("csg.redb"), &key).unwrap();
    let services = ["dynamodb", "lambda", "sts"].map(|id| ServiceId::new(id).unwrap());
    let services = KnownServices::from([(CloudId::aws(), services.into())]);
    Workflow::open(store, clock.clone(), services, Publisher::new()).unwrap()
}

pub(super) fn env(slug: &str) -> EnvironmentId {
    EnvironmentId::new(slug).unwrap()
}

pub(super) fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub(super) fn wish(services: &[&str], duration: Option<Duration>) -> NewAccessRequest {
    NewAccessRequest {
        cloud: CloudId::aws(),
        services: services.iter().map(|id| ServiceId::new(id).unwrap()).collect(),
        justification: "a table for the orders".into(),
        duration,
        policy_group: None,
    }
}

pub(super) fn submit(caller: &Caller, environment: &str, duration: Option<Duration>) -> AccessRequestId {
    caller.requester(&env(environment)).unwrap().submit(&wish(&["dynamodb"], duration)).unwrap().request.id
}

pub(super) fn approval(credential: &Credential) -> Approval {
    Approval {
        credential: credential.id.clone(),
        policy_group: Attach::AsAsked,
        expires_at: None,
        allow_credential_operations: vec![],
        comment: None,
    }
}

pub(super) fn approve(
    caller: &Caller,
    id: &AccessRequestId,
    credential: &Credential,
) -> Result<AccessRequestView, Error> {
    caller.approver(id)?.approve(&approval(credential))
}
