//! Real cloud credentials. Their secrets go in and never come out, but to the data plane.

use super::{
    Caller, Error, Page, PageRequest, Transaction, Workflow,
    caller::demand,
    error::Checks,
    random, requests,
    transaction::{Act, Touched},
};
use crate::{
    model::{Checked, CloudId, Credential, CredentialId, EnvironmentId, Permission, User},
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
    /// The real access key id.
    pub access_key_id: String,
    /// The real secret access key.
    pub secret_access_key: Secret,
    /// The session token, if it is a temporary one.
    pub session_token: Option<Secret>,
    /// Where it may be picked at approval.
    pub environments: Vec<EnvironmentId>,
}

/// What is to change; what is none stays.
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

    pub(super) fn workflow(&self) -> &Workflow {
        &self.caller.workflow
    }

    pub(super) fn checks_of(&self, new: &NewCredential) -> Result<(), Error> {
        let mut checks = Checks::default();
        checks.text(&new.name, LONGEST_NAME, "name");
        let known = self.caller.workflow.0.services.contains_key(&new.cloud);
        checks.require(known, "cloud", "must be a cloud that this gateway knows");
        check_key(&mut checks, &new.access_key_id);
        check_secrets(&mut checks, &new.secret_access_key, new.session_token.as_ref());
        checks.done()
    }

    pub(super) fn keep(&self, new: &NewCredential, checked: Option<&Checked>) -> Result<Credential, Error> {
        self.act(|tx| {
            let id = CredentialId::new(random::id(tx.now)?).map_err(|_| Error::Random)?;
            let credential = Credential {
                id: id.clone(),
                name: new.name.clone(),
                cloud: new.cloud.clone(),
                access_key_id: new.access_key_id.clone(),
                environments: checked_environments(tx, &new.environments)?,
                created_at: tx.now,
                checked: checked.cloned(),
            };
            let (secret, token) = seal(tx.sealer, &id, &new.secret_access_key, new.session_token.as_ref())?;
            let record =
                CredentialRecord { credential: credential.clone(), secret_access_key: secret, session_token: token };
            tx.writer.put(&CREDENTIALS, &id, &record)?;
            record_act(tx, "credential.create", &credential, None)?;
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

    pub(super) fn alter(
        &self,
        id: &CredentialId,
        change: &CredentialChange,
        checked: Option<&Checked>,
    ) -> Result<Credential, Error> {
        self.act(|tx| {
            let mut record = tx.writer.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?;
            let mut changed = Vec::new();
            if let Some(name) = change.name.clone().filter(|name| *name != record.credential.name) {
                record.credential.name = name;
                changed.push("name");
            }
            if let Some(secret) = &change.secret_access_key {
                (record.secret_access_key, record.session_token) =
                    seal(tx.sealer, id, secret, change.session_token.as_ref())?;
                if let Some(key) = &change.access_key_id {
                    record.credential.access_key_id.clone_from(key);
                }
                // What was known of the key before says nothing of this one.
                record.credential.checked = checked.cloned();
                tx.touched.push(Touched::Credential(id.clone()));
                changed.push("secret");
            }
            if let Some(environments) = &change.environments {
                let next = checked_environments(tx, environments)?;
                refuse_unlinking(tx, &record.credential, &next)?;
                if next != record.credential.environments {
                    record.credential.environments = next;
                    changed.push("environments");
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
) -> Result<(Sealed, Option<Sealed>), store::Error> {
    let token =
        session_token.map(|token| sealer.seal(&session_token_place(id), token.expose().as_bytes())).transpose()?;
    Ok((sealer.seal(&secret_place(id), secret.expose().as_bytes())?, token))
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
