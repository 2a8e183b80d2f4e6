//! Is a real credential any good, and whose is it? The cloud is asked; what it says is kept beside the credential.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{CredentialAdministrator, CredentialChange, Error, NewCredential, Workflow, credentials, grants};
use crate::{
    cloud::CheckError,
    model::{Checked, CloudIdentity, Credential, CredentialId, Principal},
    store::{Read as _, tables::credentials::CREDENTIALS},
};

/// Asks the cloud whose a credential is. Blocks, but not for ever.
pub type Checker = Arc<dyn Fn(&CloudIdentity) -> Result<Principal, CheckError> + Send + Sync>;

/// So many wait for the cloud at once: each holds a thread.
const AT_ONCE: usize = 4;

/// The way to the clouds, once somebody has given one.
pub(super) struct Check {
    checker: OnceLock<Checker>,
    places: Semaphore,
}

impl Default for Check {
    fn default() -> Self {
        Self { checker: OnceLock::new(), places: Semaphore::new(AT_ONCE) }
    }
}

impl Workflow {
    /// Gives the use cases their way to ask a cloud; the first one counts.
    pub fn check_with(&self, checker: Checker) {
        let _ = self.0.check.checker.set(checker);
    }

    fn check(&self, identity: &CloudIdentity) -> Result<Checked, Error> {
        let check = &self.0.check;
        let busy = |_| Error::Throttled { retry_after: Duration::from_secs(5) };
        let _place = check.places.try_acquire().map_err(busy)?;
        let offline =
            || CheckError::Unreachable { host: "the cloud".into(), reason: "there is no way to it here".into() };
        let checker = check.checker.get().ok_or_else(offline)?;
        let principal = checker(identity)?;
        Ok(Checked { principal, at: self.0.clock.now() })
    }
}

impl CredentialAdministrator<'_> {
    /// Asks the cloud whose the credential is, and keeps what it says.
    pub fn test(&self, id: &CredentialId) -> Result<Credential, Error> {
        let workflow = self.workflow();
        let record = workflow.read()?.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?;
        let identity = grants::unseal_identity(workflow.0.store.sealer(), &record)?;
        let found = workflow.check(&identity);
        // A place that was not free says nothing of the credential.
        if let Err(error @ Error::Throttled { .. }) = found {
            return Err(error);
        }
        let changed = self.act(|tx| {
            let mut kept = tx.writer.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?;
            if kept.secret_access_key != record.secret_access_key {
                return Err(Error::conflict("the secret was replaced meanwhile: test it again"));
            }
            let said = match &found {
                Ok(checked) => {
                    kept.credential.checked = Some(checked.clone());
                    tx.writer.put(&CREDENTIALS, id, &kept)?;
                    format!("it is of account {}", checked.principal.account)
                }
                Err(error) => error.to_string(),
            };
            credentials::record_act(tx, "credential.test", &kept.credential, Some(said))?;
            Ok(kept.credential)
        })?;
        found.map(|_| changed)
    }

    /// Adds a credential that the cloud takes.
    pub fn create_checked(&self, new: &NewCredential) -> Result<Credential, Error> {
        self.checks_of(new)?;
        let checked = self.workflow().check(&CloudIdentity {
            access_key_id: new.access_key_id.clone(),
            secret_access_key: new.secret_access_key.clone(),
            session_token: new.session_token.clone(),
        })?;
        self.keep(new, Some(&checked))
    }

    /// As [`CredentialAdministrator::change`], but a new secret must be one that the cloud takes, and of the account
    /// that the credential was of.
    pub fn change_checked(&self, id: &CredentialId, change: &CredentialChange) -> Result<Credential, Error> {
        let Some(secret) = &change.secret_access_key else { return self.change(id, change) };
        self.checks_of_change(change)?;
        let before = self.workflow().read()?.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?.credential;
        let checked = self.workflow().check(&CloudIdentity {
            access_key_id: change.access_key_id.clone().unwrap_or(before.access_key_id),
            secret_access_key: secret.clone(),
            session_token: change.session_token.clone(),
        })?;
        let account = |checked: &Checked| checked.principal.account;
        match before.checked.as_ref().map(account).filter(|before| *before != checked.principal.account) {
            Some(before) => Err(Error::OtherAccount { before, found: account(&checked) }),
            None => self.alter(id, change, Some(&checked)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;
    use crate::{
        model::{AccountId, Role},
        secret::Secret,
        workflow::fixture::Fixture,
    };

    fn principal(account: &str) -> Principal {
        let arn = format!("arn:aws:iam::{account}:user/x");
        Principal { account: AccountId::new(account).unwrap(), arn, user_id: "AIDAX".into() }
    }

    #[test]
    fn a_cloud_is_shown_the_very_secret_that_is_kept() {
        let fixture = Fixture::furnished();
        let id = fixture.credential("one", &[]).id;
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&shown);
        fixture.workflow.check_with(Arc::new(move |identity| {
            seen.lock().unwrap().push(identity.secret_access_key.expose().to_owned());
            Ok(principal("123456789012"))
        }));
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let administrator = root.credential_administrator().unwrap();
        let tested = administrator.test(&id).unwrap();
        assert_eq!(tested.checked.unwrap().principal.account.as_str(), "123456789012");
        let new = Secret::new("another");
        let change = CredentialChange { secret_access_key: Some(new), ..CredentialChange::default() };
        assert!(administrator.change_checked(&id, &change).unwrap().checked.is_some());
        assert_eq!(*shown.lock().unwrap(), ["secret-of-one", "another"]);
        // A change of something else asks nobody.
        let change = CredentialChange { name: Some("name".into()), ..CredentialChange::default() };
        assert!(administrator.change_checked(&id, &change).unwrap().checked.is_some());
        assert_eq!(shown.lock().unwrap().len(), 2);
    }

    type Act = Box<dyn FnOnce() + Send>;

    /// A check takes seconds, in which anything may happen.
    #[test]
    fn what_happens_during_a_check_counts() {
        let fixture = Fixture::furnished();
        let id = fixture.credential("one", &[]).id;
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let meanwhile = Arc::new(Mutex::new(None::<Act>));
        let happens = Arc::clone(&meanwhile);
        fixture.workflow.check_with(Arc::new(move |_| {
            let act = happens.lock().unwrap().take();
            if let Some(act) = act {
                act();
            }
            Ok(principal("123456789012"))
        }));
        let administrator = root.credential_administrator().unwrap();

        let (other, of) = (root.clone(), id.clone());
        *meanwhile.lock().unwrap() = Some(Box::new(move || {
            let new = Some(Secret::new("another"));
            let change = CredentialChange { secret_access_key: new, ..CredentialChange::default() };
            other.credential_administrator().unwrap().change(&of, &change).unwrap();
        }));
        assert!(matches!(administrator.test(&id), Err(Error::Conflict { .. })));
        assert!(root.credential(&id).unwrap().checked.is_none(), "said of a secret that is no more");

        let (workflow, name) = (fixture.workflow.clone(), root.user().name.clone());
        *meanwhile.lock().unwrap() = Some(Box::new(move || {
            let demoted = workflow.commit(None, |tx| {
                let users = &crate::store::tables::users::USERS;
                let mut record = tx.writer.find(users, &name)?.unwrap();
                record.user.roles.clear();
                Ok(tx.writer.put(users, &name, &record)?)
            });
            demoted.unwrap();
        }));
        assert!(matches!(administrator.test(&id), Err(Error::Forbidden { .. })));
    }

    #[test]
    fn only_so_many_wait_for_a_cloud_at_once() {
        let fixture = Fixture::furnished();
        let id = fixture.credential("one", &[]).id;
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let (begun, end) = (Arc::new(Barrier::new(AT_ONCE + 1)), Arc::new(Barrier::new(AT_ONCE + 1)));
        let gates = (Arc::clone(&begun), Arc::clone(&end));
        fixture.workflow.check_with(Arc::new(move |_| {
            gates.0.wait();
            gates.1.wait();
            Ok(principal("123456789012"))
        }));
        std::thread::scope(|scope| {
            let test = || root.credential_administrator().unwrap().test(&id);
            let waiting: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(test)).collect();
            begun.wait();
            assert!(matches!(test(), Err(Error::Throttled { .. })));
            end.wait();
            assert!(waiting.into_iter().all(|one| one.join().unwrap().is_ok()));
        });
    }
}
