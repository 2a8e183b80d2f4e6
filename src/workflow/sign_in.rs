//! Signing in and out.

use std::time::Duration;

use super::{Caller, Error, Transaction, Workflow, random, transaction::Act};
use crate::{
    clock::Timestamp,
    model::{User, UserName},
    secret::Secret,
    store::{
        Read as _,
        tables::{
            tokens::{TOKENS, TokenRecord},
            users::USERS,
        },
    },
};

const SESSION_LIFE: Duration = Duration::from_hours(12);

/// A new session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// What proves it from now on; it is not kept here.
    pub token: Secret,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who signed in.
    pub user: User,
}

impl Workflow {
    /// Begins a session. A wrong name, a wrong password and a disabled person are not told apart, not by time either.
    pub fn sign_in(&self, name: &str, password: &Secret) -> Result<SignedIn, Error> {
        let inner = &*self.0;
        let now = inner.clock.now();
        inner.throttle.attempt(name, now).map_err(|retry_after| Error::Throttled { retry_after })?;
        let record = match UserName::new(name) {
            Ok(name) => self.read()?.find(&USERS, &name)?,
            Err(_) => None,
        };
        let right = inner.passwords.verify(password, record.as_ref().map(|record| record.password.as_str()))?;
        let Some(record) = record.as_ref().filter(|record| right && !record.user.disabled) else {
            self.record_failure(record.map(|record| record.user.name), now)?;
            return Err(Error::Unauthenticated);
        };
        inner.throttle.succeeded(name);
        let name = &record.user.name;
        let session = new_session(name, now)?;
        self.commit(Some(name), |tx| {
            // The password may have been reset, or the person disabled, while it was being verified.
            let current = tx.writer.find(&USERS, name)?.ok_or(Error::Unauthenticated)?;
            if current.user.disabled || current.password != record.password {
                return Err(Error::Unauthenticated);
            }
            session.keep(tx)?;
            tx.record(Act { action: "session.create", subject: name.to_string(), ..Act::default() })?;
            Ok(session.signed_in(current.user))
        })
    }

    /// A name that nobody has is not written down: people type passwords there.
    fn record_failure(&self, name: Option<UserName>, now: Timestamp) -> Result<(), Error> {
        if !self.0.throttle.may_record(now) {
            return Ok(());
        }
        let subject = name.map_or_else(|| "unknown user".to_owned(), |name| name.to_string());
        self.commit(None, |tx| tx.record(Act { action: "session.refuse", subject: subject.clone(), ..Act::default() }))
    }
}

impl Caller {
    /// Ends the session, or the API token, that the caller came with.
    pub fn sign_out(&self) -> Result<(), Error> {
        self.act(|tx, me| {
            tx.writer.remove(&TOKENS, &self.token.sha256)?;
            tx.record(Act { action: "session.end", subject: me.name.to_string(), ..Act::default() })
        })
    }
}

/// A session that is not kept yet.
pub(super) struct NewSession {
    token: Secret,
    record: TokenRecord,
}

pub(super) fn new_session(user: &UserName, now: Timestamp) -> Result<NewSession, Error> {
    let record = TokenRecord {
        id: random::id(now)?,
        user: user.clone(),
        name: None,
        created_at: now,
        expires_at: now.plus(SESSION_LIFE),
    };
    Ok(NewSession { token: random::token("csg_session_")?, record })
}

impl NewSession {
    pub(super) fn keep(&self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        Ok(tx.writer.put(&TOKENS, &random::token_sha256(&self.token), &self.record)?)
    }

    pub(super) fn signed_in(&self, user: User) -> SignedIn {
        SignedIn { token: self.token.clone(), expires_at: self.record.expires_at, user }
    }
}
