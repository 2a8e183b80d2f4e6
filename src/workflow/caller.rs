//! Who asks: proven by a token, and the way to every handle.

use std::{collections::BTreeSet, time::Duration};

use super::{Error, Workflow, random, transaction::Transaction};
use crate::{
    clock::Timestamp,
    model::{EnvironmentId, Permission, User},
    secret::Secret,
    store::{
        Read as _,
        tables::{
            environments::ENVIRONMENTS,
            tokens::{self, TOKENS},
            users::USERS,
        },
    },
};

/// Each use would be a write to the disk; so often is enough to tell a session that is in use from a forgotten one.
const NOTED_EVERY: Duration = Duration::from_mins(5);

/// A person who has proven who they are.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) workflow: Workflow,
    pub(super) user: User,
    pub(super) token: TokenOf,
}

/// The token that the caller came with.
#[derive(Clone, Debug)]
pub(super) struct TokenOf {
    pub(super) sha256: String,
    pub(super) is_session: bool,
    pub(super) expires_at: Timestamp,
}

/// What a person may do in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The environment; account-wide if none.
    pub environment: Option<EnvironmentId>,
    /// What may be done there, besides what may be done account-wide.
    pub permissions: Vec<Permission>,
}

impl Workflow {
    /// Who holds this token: of a session, or an API token.
    pub fn caller(&self, token: &Secret) -> Result<Caller, Error> {
        let sha256 = random::token_sha256(token);
        let reader = self.read()?;
        let now = self.0.clock.now();
        let record = reader.find(&TOKENS, &sha256)?.ok_or(Error::Unauthenticated)?;
        let user = reader.find(&USERS, &record.user)?.ok_or(Error::Unauthenticated)?.user;
        if record.expires_at <= now || user.disabled {
            return Err(Error::Unauthenticated);
        }
        if record.last_used_at.is_none_or(|last| now.since(last) >= NOTED_EVERY) {
            self.note_use(&sha256);
        }
        let token = TokenOf { sha256, is_session: record.name.is_none(), expires_at: record.expires_at };
        Ok(Caller { workflow: self.clone(), user, token })
    }

    /// Who can't be noted is let in all the same: the disk may be full, and somebody has to see to it.
    fn note_use(&self, sha256: &String) {
        let noted = self.commit(None, |tx| {
            // It may have ended meanwhile, and must not come back.
            if let Some(mut record) = tx.writer.find(&TOKENS, sha256)? {
                record.last_used_at = Some(tx.now);
                tokens::put(tx.writer, sha256, &record)?;
            }
            Ok(())
        });
        if let Err(error) = noted {
            tracing::warn!(%error, "the last use of a session could not be noted");
        }
    }
}

impl Caller {
    /// The person.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Did they come with a session, rather than an API token?
    pub fn is_session(&self) -> bool {
        self.token.is_session
    }

    /// When their token ends.
    pub fn token_expires_at(&self) -> Timestamp {
        self.token.expires_at
    }

    /// What they may do, account-wide first, then by environment.
    pub fn scopes(&self) -> Vec<Scope> {
        let places: BTreeSet<_> = self.user.roles.iter().map(|held| held.environment.clone()).collect();
        let scope = |environment: Option<EnvironmentId>| {
            let held = self.user.roles.iter().filter(|held| held.environment == environment);
            let permissions: BTreeSet<_> = held.flat_map(|held| held.role.permissions()).copied().collect();
            Scope { environment, permissions: permissions.into_iter().collect() }
        };
        places.into_iter().map(scope).collect()
    }

    /// May the person do this there? For showing or hiding things; the handles check for themselves.
    pub fn may(&self, permission: Permission, environment: Option<&EnvironmentId>) -> bool {
        self.user.may(permission, environment)
    }

    /// Refuses who may not; who may not even know of the environment is told that there is none.
    pub(super) fn demand(&self, permission: Permission, environment: Option<&EnvironmentId>) -> Result<(), Error> {
        if let Some(id) = environment {
            let exists = self.workflow.read()?.find(&ENVIRONMENTS, id)?.is_some();
            if !exists || !sees_environment(&self.user, id) {
                return Err(Error::NotFound("environment"));
            }
        }
        demand(&self.user, permission, environment)
    }

    /// Commits in the person's name, as they are at that moment: disabled since, they can do nothing.
    pub(super) fn act<T>(
        &self,
        mut work: impl FnMut(&mut Transaction<'_>, &User) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.workflow.commit(Some(&self.user.name), |tx| {
            let me = tx.user(&self.user.name)?.filter(|user| !user.disabled).ok_or(Error::Unauthenticated)?;
            work(tx, &me)
        })
    }
}

pub(super) fn demand(user: &User, permission: Permission, environment: Option<&EnvironmentId>) -> Result<(), Error> {
    if user.may(permission, environment) { Ok(()) } else { Err(Error::Forbidden { permission }) }
}

/// Whoever holds a role there, or account-wide, knows that the environment exists.
pub(super) fn sees_environment(user: &User, id: &EnvironmentId) -> bool {
    user.roles.iter().any(|held| held.environment.as_ref().is_none_or(|place| place == id))
}
