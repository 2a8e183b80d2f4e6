//! Real cloud credentials. Their secrets go in and never come out, but to the data plane.

use super::{
    Caller, Error, Page, PageRequest, Transaction, Workflow, caller::demand, error::Checks, random, requests, roles,
    transaction::Act,
};
use crate::{
    model::{
        AssumedRole, Checked, CloudId, Credential, CredentialId, EnvironmentId, Keys, Permission, RoleArn, User,
        UserName,
    },
    secret::Secret,
    store::{
        self, Order, Read, Sealed, Sealer, Span,
        tables::{
            credentials::{CREDENTIALS, CredentialRecord, secret_place, session_token_place},
            environments::ENVIRONMENTS,
        },
    },
};

const LONGEST_NAME: usize = 200;
const LONGEST_SECRET: usize = 512;
/// Session tokens have no stated limit; AWS's are up to some KiB.
const LONGEST_SESSION_TOKEN: usize = 16 * 1024;

/// A credential to be added.
#[derive(Clone, Debug)]
pub struct NewCredential {
    /// The name that people read.
    pub name: String,
    /// The cloud it is for.
    pub cloud: CloudId,
    /// How it comes by its keys.
    pub keys: NewKeys,
    /// Where it may be picked at approval.
    pub environments: Vec<EnvironmentId>,
}

/// How a credential that is to be added comes by its keys.
#[derive(Clone, Debug)]
pub enum NewKeys {
    /// The gateway is to assume a role.
    Role(AssumedRole),
    /// As given.
    Static {
        /// The real access key id.
        access_key_id: String,
        /// The real secret access key.
        secret_access_key: Secret,
        /// The session token, if it is a temporary one.
        session_token: Option<Secret>,
    },
}

/// What is to change; what is none stays. A key does not become a role, nor a role a key.
#[derive(Clone, Debug, Default)]
pub struct CredentialChange {
    /// The name that people read.
    pub name: Option<String>,
    /// Another access key id; only together with its secret.
    pub access_key_id: Option<String>,
    /// Another secret access key; a session token not given with it is dropped.
    pub secret_access_key: Option<Secret>,
    /// Another session token; only together with the secret.
    pub session_token: Option<Secret>,
    /// Another role.
    pub role_arn: Option<RoleArn>,
    /// Another credential that assumes the role.
    pub source_credential: Option<CredentialId>,
    /// Another external id, or none any more.
    pub external_id: Option<Option<String>>,
    /// Another length of the role's sessions, in seconds.
    pub session_seconds: Option<u32>,
    /// Where it may be picked at approval.
    pub environments: Option<Vec<EnvironmentId>>,
}

/// May administer credentials.
#[derive(Clone, Debug)]
pub struct CredentialAdministrator<'c> {
    caller: &'c Caller,
}

impl Caller {
    /// The credentials that the caller may administer, or pick when they decide; the oldest first.
    pub fn credentials(
        &self,
        environment: Option<&EnvironmentId>,
        page: &PageRequest,
    ) -> Result<Page<Credential>, Error> {
        let holds = |permission: Permission| {
            self.user.roles.iter().any(|held| self.user.may(permission, held.environment.as_ref()))
        };
        if !holds(Permission::CredentialsManage) && !holds(Permission::AccessRequestsManage) {
            return Err(Error::Forbidden { permission: Permission::CredentialsManage });
        }
        let span = page.rest(Span::all(), Order::Ascending, |id| CredentialId::new(id).ok())?;
        let reader = self.workflow.read()?;
        page.fill(&reader, &CREDENTIALS, &span, Order::Ascending, |record| {
            let credential = record.credential;
            let belongs = environment.is_none_or(|id| credential.environments.contains(id));
            Ok((belongs && sees(&self.user, &credential)).then_some(credential))
        })
    }

    /// One credential.
    pub fn credential(&self, id: &CredentialId) -> Result<Credential, Error> {
        let found = self.workflow.read()?.find(&CREDENTIALS, id)?.map(|record| record.credential);
        found.filter(|credential| sees(&self.user, credential)).ok_or(Error::NotFound("credential"))
    }

    /// The credentials whose role is assumed with this one, of those that the caller sees; the oldest first.
    pub fn assumed_with(&self, id: &CredentialId) -> Result<Vec<Credential>, Error> {
        self.credential(id)?;
        let mut standing = roles::standing_on(&self.workflow.read()?, id)?;
        standing.retain(|credential| sees(&self.user, credential));
        Ok(standing)
    }

    /// The handle for credentials: needs `credentials.manage`, account-wide.
    pub fn credential_administrator(&self) -> Result<CredentialAdministrator<'_>, Error> {
        self.demand(Permission::CredentialsManage, None)?;
        Ok(CredentialAdministrator { caller: self })
    }
}

impl CredentialAdministrator<'_> {
    /// Adds a credential, without asking the cloud.
    pub fn create(&self, new: &NewCredential) -> Result<Credential, Error> {
        self.checks_of(new)?;
        self.keep(new, None)
    }

    /// Who has the handle.
    pub(super) fn user(&self) -> &UserName {
        &self.caller.user.name
    }

    pub(super) fn workflow(&self) -> &Workflow {
        &self.caller.workflow
    }

    pub(super) fn checks_of(&self, new: &NewCredential) -> Result<(), Error> {
        let mut checks = Checks::default();
        checks.text(&new.name, LONGEST_NAME, "name");
        let known = self.caller.workflow.0.services.contains_key(&new.cloud);
        checks.require(known, "cloud", "must be a cloud that this gateway knows");
        match &new.keys {
            NewKeys::Role(role) => roles::check(&mut checks, role),
            NewKeys::Static { access_key_id, secret_access_key, session_token } => {
                check_key(&mut checks, access_key_id);
                check_secrets(&mut checks, secret_access_key, session_token.as_ref());
            }
        }
        checks.done()
    }

    pub(super) fn keep(&self, new: &NewCredential, checked: Option<&Checked>) -> Result<Credential, Error> {
        self.act(|tx| {
            let id = CredentialId::new(random::id(tx.now)?).map_err(|_| Error::Random)?;
            let (secret_access_key, session_token) = match &new.keys {
                NewKeys::Role(role) => {
                    roles::check_source(tx.writer, &new.cloud, None, role)?;
                    (None, None)
                }
                NewKeys::Static { secret_access_key, session_token, .. } => {
                    seal(tx.sealer, &id, secret_access_key, session_token.as_ref())?
                }
            };
            let credential = Credential {
                id: id.clone(),
                name: new.name.clone(),
                cloud: new.cloud.clone(),
                keys: new.keys.kept(),
                environments: checked_environments(tx, &new.environments)?,
                created_at: tx.now,
                checked: checked.cloned(),
            };
            let record = CredentialRecord { credential: credential.clone(), secret_access_key, session_token };
            tx.writer.put(&CREDENTIALS, &id, &record)?;
            record_act(tx, "credential.create", &credential, credential.keys.role().map(roles::told))?;
            Ok(credential)
        })
    }

    /// Changes a credential; a new secret takes effect with the next call, and the cloud is not asked about it.
    pub fn change(&self, id: &CredentialId, change: &CredentialChange) -> Result<Credential, Error> {
        self.checks_of_change(change)?;
        self.alter(id, change, None)
    }

    #[expect(clippy::unused_self, reason = "for who holds the handle only")]
    pub(super) fn checks_of_change(&self, change: &CredentialChange) -> Result<(), Error> {
        let mut checks = Checks::default();
        if let Some(name) = &change.name {
            checks.text(name, LONGEST_NAME, "name");
        }
        if let Some(key) = &change.access_key_id {
            check_key(&mut checks, key);
        }
        if let Some(secret) = &change.secret_access_key {
            check_secrets(&mut checks, secret, change.session_token.as_ref());
        } else {
            let alone = change.access_key_id.is_some() || change.session_token.is_some();
            checks.require(!alone, "secret_access_key", "must be given with the key id or session token it is for");
        }
        checks.done()
    }

    /// Changes it. If the cloud was `asked`, only what it was asked about: such keys as there were then, with the change.
    pub(super) fn alter(
        &self,
        id: &CredentialId,
        change: &CredentialChange,
        asked: Option<(&Keys, &Checked)>,
    ) -> Result<Credential, Error> {
        let checked = asked.map(|(_, checked)| checked);
        self.act(|tx| {
            let mut record = tx.writer.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?;
            if asked.is_some_and(|(keys, _)| *keys != record.credential.keys) {
                return Err(replaced_meanwhile());
            }
            let mut changed = Vec::new();
            if let Some(name) = change.name.clone().filter(|name| *name != record.credential.name) {
                record.credential.name = name;
                changed.push("name".to_owned());
            }
            change.fits(&record.credential.keys)?;
            if let Some(secret) = &change.secret_access_key {
                (record.secret_access_key, record.session_token) =
                    seal(tx.sealer, id, secret, change.session_token.as_ref())?;
                if let Some(access_key_id) = change.access_key_id.clone() {
                    record.credential.keys = Keys::Static { access_key_id };
                }
                // What was known of the key before says nothing of this one.
                record.credential.checked = checked.cloned();
                roles::touch(tx, id)?;
                changed.push("secret".to_owned());
            }
            if let Some(role) = change.role(&record.credential.keys) {
                roles::check_whole(tx.writer, &record.credential.cloud, Some(id), &role)?;
                changed.push(roles::told(&role));
                record.credential.keys = Keys::Role(role);
                record.credential.checked = checked.cloned();
                roles::touch(tx, id)?;
            }
            if let Some(environments) = &change.environments {
                let next = checked_environments(tx, environments)?;
                refuse_unlinking(tx, &record.credential, &next)?;
                if next != record.credential.environments {
                    record.credential.environments = next;
                    changed.push("environments".to_owned());
                }
            }
            if !changed.is_empty() {
                tx.writer.put(&CREDENTIALS, id, &record)?;
                record_act(tx, "credential.change", &record.credential, Some(changed.join(", ")))?;
            }
            Ok(record.credential)
        })
    }

    /// Deletes a credential that stands behind no living access request.
    pub fn delete(&self, id: &CredentialId) -> Result<(), Error> {
        self.act(|tx| {
            let record = tx.writer.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?;
            requests::refuse_if_credential_in_use(tx, id, &[])?;
            roles::refuse_if_source(tx, id)?;
            tx.writer.remove(&CREDENTIALS, id)?;
            record_act(tx, "credential.delete", &record.credential, None)
        })
    }

    pub(super) fn act<T>(&self, mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        self.caller.act(|tx, me| {
            demand(me, Permission::CredentialsManage, None)?;
            work(tx)
        })
    }
}

impl NewKeys {
    /// What is kept of them, secrets aside.
    pub(super) fn kept(&self) -> Keys {
        match self {
            Self::Role(role) => Keys::Role(role.clone()),
            Self::Static { access_key_id, .. } => Keys::Static { access_key_id: access_key_id.clone() },
        }
    }
}

impl CredentialChange {
    /// Is it of what such keys have?
    pub(super) fn fits(&self, keys: &Keys) -> Result<(), Error> {
        let mut checks = Checks::default();
        let is_role = keys.role().is_some();
        let of_keys = [
            ("access_key_id", self.access_key_id.is_some()),
            ("secret_access_key", self.secret_access_key.is_some()),
            ("session_token", self.session_token.is_some()),
        ];
        let of_roles = [
            ("role_arn", self.role_arn.is_some()),
            ("source_credential", self.source_credential.is_some()),
            ("external_id", self.external_id.is_some()),
            ("session_duration", self.session_seconds.is_some()),
        ];
        for (field, given) in of_keys {
            checks.require(
                !(given && is_role),
                field,
                "must not be given: the gateway assumes a role for this credential",
            );
        }
        for (field, given) in of_roles {
            checks.require(!given || is_role, field, "must not be given: this credential is a key");
        }
        checks.done()
    }

    /// The role as it is to be; none if it stays, or the keys are none of a role.
    pub(super) fn role(&self, keys: &Keys) -> Option<AssumedRole> {
        let before = keys.role()?;
        let role = AssumedRole {
            role_arn: self.role_arn.as_ref().unwrap_or(&before.role_arn).clone(),
            source_credential: self.source_credential.as_ref().unwrap_or(&before.source_credential).clone(),
            external_id: self.external_id.as_ref().unwrap_or(&before.external_id).clone(),
            session_seconds: self.session_seconds.unwrap_or(before.session_seconds),
        };
        Some(role).filter(|role| role != before)
    }
}

/// The credentials linked to an environment.
pub(super) fn linked(read: &impl Read, id: &EnvironmentId) -> Result<Vec<CredentialId>, Error> {
    let all = read.all(&CREDENTIALS, &Span::all(), Order::Ascending)?;
    let linked = all.into_iter().filter(|(_, record)| record.credential.environments.contains(id));
    Ok(linked.map(|(credential, _)| credential).collect())
}

/// Links these credentials to the environment, and no others.
pub(super) fn set_links(tx: &mut Transaction<'_>, id: &EnvironmentId, wanted: &[CredentialId]) -> Result<(), Error> {
    for (key, mut record) in tx.writer.all(&CREDENTIALS, &Span::all(), Order::Ascending)? {
        let mut next = record.credential.environments.clone();
        next.retain(|environment| environment != id);
        if wanted.contains(&key) {
            next.push(id.clone());
            next.sort();
        }
        if next != record.credential.environments {
            refuse_unlinking(tx, &record.credential, &next)?;
            record.credential.environments = next;
            tx.writer.put(&CREDENTIALS, &key, &record)?;
            record_act(tx, "credential.change", &record.credential, Some("environments".into()))?;
        }
    }
    Ok(())
}

/// Living access must not stand on a credential that could not be picked for it any more.
fn refuse_unlinking(tx: &Transaction<'_>, credential: &Credential, next: &[EnvironmentId]) -> Result<(), Error> {
    requests::refuse_if_credential_in_use(tx, &credential.id, next)
}

fn sees(user: &User, credential: &Credential) -> bool {
    let everywhere = user.may(Permission::CredentialsManage, None) || user.may(Permission::AccessRequestsManage, None);
    everywhere
        || credential.environments.iter().any(|id| {
            user.may(Permission::CredentialsManage, Some(id)) || user.may(Permission::AccessRequestsManage, Some(id))
        })
}

fn checked_environments(tx: &Transaction<'_>, environments: &[EnvironmentId]) -> Result<Vec<EnvironmentId>, Error> {
    let mut checks = Checks::default();
    for id in environments {
        let exists = tx.writer.find(&ENVIRONMENTS, id)?.is_some();
        checks.require(exists, "environments", format!("must not name {id}: there is no such environment"));
    }
    checks.done()?;
    let mut environments = environments.to_vec();
    environments.sort();
    environments.dedup();
    Ok(environments)
}

/// The form that the IAM API documents for access key ids.
fn check_key(checks: &mut Checks, key: &str) {
    let good = (16..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    checks.require(good, "access_key_id", "must be 16 to 128 letters, digits or underscores");
}

/// A secret signs, a session token is sent as a header: neither may hold what a header can't.
fn check_secrets(checks: &mut Checks, secret: &Secret, session_token: Option<&Secret>) {
    let good = |text: &str, longest: usize| {
        (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    checks.require(
        good(secret.expose(), LONGEST_SECRET),
        "secret_access_key",
        "must be printable ASCII without spaces, not empty",
    );
    let token = session_token.is_none_or(|token| good(token.expose(), LONGEST_SESSION_TOKEN));
    checks.require(token, "session_token", "must be printable ASCII without spaces, not empty");
}

fn seal(
    sealer: &Sealer,
    id: &CredentialId,
    secret: &Secret,
    session_token: Option<&Secret>,
) -> Result<(Option<Sealed>, Option<Sealed>), store::Error> {
    let token =
        session_token.map(|token| sealer.seal(&session_token_place(id), token.expose().as_bytes())).transpose()?;
    Ok((Some(sealer.seal(&secret_place(id), secret.expose().as_bytes())?), token))
}

/// What a cloud has said of the keys that there were says nothing of those that there are.
pub(super) fn replaced_meanwhile() -> Error {
    Error::conflict("what it is made of was replaced meanwhile: test it again")
}

pub(super) fn record_act(
    tx: &mut Transaction<'_>,
    action: &'static str,
    credential: &Credential,
    what: Option<String>,
) -> Result<(), Error> {
    let detail = match what {
        Some(what) => format!("{}: {what}", credential.name),
        None => credential.name.clone(),
    };
    tx.record(Act { action, subject: credential.id.to_string(), detail: Some(detail), ..Act::default() })
}
