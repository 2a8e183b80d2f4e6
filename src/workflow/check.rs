//! Is a real credential any good, and whose is it? The cloud is asked; what it says is kept beside the credential.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{
    CredentialAdministrator, CredentialChange, Error, NewCredential, NewKeys, Workflow, credentials, grants, roles,
};
use crate::{
    cloud::CheckError,
    model::{Checked, CloudIdentity, Credential, CredentialId, IdentitySource, Keys, Principal},
    store::{Read as _, tables::credentials::CREDENTIALS},
};

/// Asks the cloud whose a credential is; a role is assumed anew for that. Blocks, but not for ever.
pub type Checker = Arc<dyn Fn(&IdentitySource) -> Result<Principal, CheckError> + Send + Sync>;

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

    fn check(&self, identity: &IdentitySource) -> Result<Checked, Error> {
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
        let sealer = workflow.0.store.sealer();
        let identity = grants::identity(&workflow.read()?, sealer, id, self.user())?;
        let found = workflow.check(&identity);
        // A place that was not free says nothing of the credential.
        if let Err(error @ Error::Throttled { .. }) = found {
            return Err(error);
        }
        let changed = self.act(|tx| {
            let mut kept = tx.writer.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?;
            if grants::identity(tx.writer, tx.sealer, id, self.user())?.fingerprint() != identity.fingerprint() {
                return Err(credentials::replaced_meanwhile());
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
        let checked = self.workflow().check(&self.identity_of(new)?)?;
        self.keep(new, Some(&checked))
    }

    fn identity_of(&self, new: &NewCredential) -> Result<IdentitySource, Error> {
        match new.keys.clone() {
            NewKeys::Role(role) => {
                let (workflow, reader) = (self.workflow(), self.workflow().read()?);
                // Looked at before AWS is asked, and again when it is kept.
                roles::check_source(&reader, &new.cloud, None, &role)?;
                grants::assuming(&reader, workflow.0.store.sealer(), &role, self.user())
            }
            NewKeys::Static { access_key_id, secret_access_key, session_token } => {
                let keys = CloudIdentity { access_key_id, secret_access_key, session_token };
                Ok(IdentitySource::Keys(Arc::new(keys)))
            }
        }
    }

    /// As [`CredentialAdministrator::change`], but another key or role must be one that the cloud takes, and of the account
    /// that the credential was of.
    pub fn change_checked(&self, id: &CredentialId, change: &CredentialChange) -> Result<Credential, Error> {
        self.checks_of_change(change)?;
        let before = self.workflow().read()?.find(&CREDENTIALS, id)?.ok_or(Error::NotFound("credential"))?.credential;
        change.fits(&before.keys)?;
        let identity = match (&before.keys, &change.secret_access_key, change.role(&before.keys)) {
            (Keys::Role(_), _, Some(role)) => {
                let (workflow, reader) = (self.workflow(), self.workflow().read()?);
                roles::check_whole(&reader, &before.cloud, Some(id), &role)?;
                grants::assuming(&reader, workflow.0.store.sealer(), &role, self.user())?
            }
            (Keys::Static { access_key_id }, Some(secret), _) => IdentitySource::Keys(Arc::new(CloudIdentity {
                access_key_id: change.access_key_id.as_ref().unwrap_or(access_key_id).clone(),
                secret_access_key: secret.clone(),
                session_token: change.session_token.clone(),
            })),
            _ => return self.change(id, change),
        };
        let checked = self.workflow().check(&identity)?;
        let account = |checked: &Checked| checked.principal.account;
        match before.checked.as_ref().map(account).filter(|before| *before != checked.principal.account) {
            Some(before) => Err(Error::OtherAccount { before, found: account(&checked) }),
            None => self.alter(id, change, Some((&before.keys, &checked))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;
    use crate::{
        model::{AccountId, AssumedRole, CloudId, Role, RoleArn},
        secret::Secret,
        workflow::{PageRequest, fixture::Fixture},
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
            let IdentitySource::Keys(keys) = identity else { panic!("{identity:?}") };
            seen.lock().unwrap().push(keys.secret_access_key.expose().to_owned());
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

    /// What AWS said was said of another role, or of what is no more.
    #[test]
    fn what_happens_during_the_check_of_a_role_counts() {
        let fixture = Fixture::furnished();
        let source = fixture.credential("one", &[]).id;
        let root = fixture.person("root", &[(Role::Admin, None)]);
        let meanwhile = Arc::new(Mutex::new(None::<Act>));
        let happens = Arc::clone(&meanwhile);
        fixture.workflow.check_with(Arc::new(move |identity| {
            if let Some(act) = happens.lock().unwrap().take() {
                act();
            }
            let IdentitySource::Role(session) = identity else { return Ok(principal("123456789012")) };
            Ok(principal(session.role.role_arn.account().unwrap().as_str()))
        }));
        let during = |act: Act| *meanwhile.lock().unwrap() = Some(act);
        let administrator = root.credential_administrator().unwrap();
        let new = |source: &CredentialId| NewCredential {
            name: "a role".into(),
            cloud: CloudId::aws(),
            keys: NewKeys::Role(AssumedRole {
                role_arn: RoleArn::new("arn:aws:iam::123456789012:role/gateway").unwrap(),
                source_credential: source.clone(),
                external_id: None,
                session_seconds: 3600,
            }),
            environments: vec![],
        };
        let id = administrator.create_checked(&new(&source)).unwrap().id;
        let external = CredentialChange { external_id: Some(Some("ours".into())), ..CredentialChange::default() };
        let elsewhere = CredentialChange {
            role_arn: Some(RoleArn::new("arn:aws:iam::210987654321:role/gateway").unwrap()),
            ..CredentialChange::default()
        };
        let does = |id: &CredentialId, change: CredentialChange| -> Act {
            let (root, id) = (root.clone(), id.clone());
            Box::new(move || drop(root.credential_administrator().unwrap().change(&id, &change).unwrap()))
        };

        during(does(&id, elsewhere));
        assert!(matches!(administrator.change_checked(&id, &external), Err(Error::Conflict { .. })));
        let kept = root.credential(&id).unwrap();
        assert_eq!((kept.checked, kept.keys.role().unwrap().external_id.clone()), (None, None));

        // The key that the role is assumed with.
        let secret = Some(Secret::new("another"));
        during(does(&source, CredentialChange { secret_access_key: secret, ..CredentialChange::default() }));
        assert!(matches!(administrator.test(&id), Err(Error::Conflict { .. })));
        assert!(administrator.test(&id).unwrap().checked.is_some());

        let other = fixture.credential("two", &[]).id;
        let (of, gone) = (root.clone(), other.clone());
        during(Box::new(move || of.credential_administrator().unwrap().delete(&gone).unwrap()));
        assert!(matches!(administrator.create_checked(&new(&other)), Err(Error::Invalid(_))));
        assert!(root.credential(&other).is_err());
        assert_eq!(root.credentials(None, &PageRequest { limit: 9, cursor: None }).unwrap().items.len(), 2);
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
