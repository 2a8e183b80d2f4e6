//! Signing in and out.
//!
//! With a second factor it goes in two steps: the password gives a half session, which is good for nothing but showing
//! a code with it. Both steps in one call do the same.

use std::time::Duration;

use super::{Caller, Error, Origin, Transaction, Workflow, half_session, random, second_factor, transaction::Act};
use crate::{
    clock::Timestamp,
    model::{User, UserName},
    secret::Secret,
    store::{
        Read as _,
        tables::{
            tokens::{self, TOKENS, TokenRecord},
            users::{USERS, UserRecord},
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

/// What the right password leads to.
#[derive(Clone, Debug)]
pub enum Begun {
    /// A code is needed, with this.
    Half(half_session::Token),
    /// Nothing else is needed.
    Whole(SignedIn),
}

impl Workflow {
    /// Begins a session. A wrong name, a wrong password, a wrong code and a disabled person are not told apart, the
    /// first two not by time either. Only who has the right password is told that a code is needed.
    pub fn sign_in(
        &self,
        name: &str,
        password: &Secret,
        code: Option<&Secret>,
        origin: &Origin,
    ) -> Result<SignedIn, Error> {
        let record = self.check_name_and_password(name, password, origin)?;
        match code {
            None if record.user.second_factor => Err(Error::SecondFactorRequired),
            _ => self.begin_session(&record, code, origin),
        }
    }

    /// The first of two steps: the password.
    pub fn begin_sign_in(&self, name: &str, password: &Secret, origin: &Origin) -> Result<Begun, Error> {
        let record = self.check_name_and_password(name, password, origin)?;
        if record.user.second_factor {
            self.0.half_sessions.begin(record, self.0.clock.now()).map(Begun::Half)
        } else {
            self.begin_session(&record, None, origin).map(Begun::Whole)
        }
    }

    /// The second: the code. A wrong one is [`Error::Invalid`]; when the half session has ended, for the time or for
    /// too many codes, it is [`Error::Unauthenticated`].
    pub fn finish_sign_in(&self, half: &Secret, code: &Secret, origin: &Origin) -> Result<SignedIn, Error> {
        let inner = &*self.0;
        let record = inner.half_sessions.attempt(half, inner.clock.now()).ok_or(Error::Unauthenticated)?;
        match self.begin_session(&record, Some(code), origin) {
            Ok(signed_in) => {
                inner.half_sessions.end(half);
                Ok(signed_in)
            }
            Err(Error::Unauthenticated) if inner.half_sessions.is_open(half, inner.clock.now()) => {
                Err(Error::invalid("otp", "is not right, or was used already"))
            }
            Err(error) => Err(error),
        }
    }

    /// Does the half session still wait for a code?
    pub fn waits_for_code(&self, half: &Secret) -> bool {
        self.0.half_sessions.is_open(half, self.0.clock.now())
    }

    fn check_name_and_password(&self, name: &str, password: &Secret, origin: &Origin) -> Result<UserRecord, Error> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let throttled = |retry_after| Error::Throttled { retry_after };
        let attempt = inner.throttle.attempt(name, origin.address, now).map_err(throttled)?;
        let record = match UserName::new(name) {
            Ok(name) => self.read()?.find(&USERS, &name)?,
            Err(_) => None,
        };
        let right = inner.passwords.verify(password, record.as_ref().map(|record| record.password.as_str()))?;
        match record {
            Some(record) if right && !record.user.disabled => {
                attempt.succeeded();
                Ok(record)
            }
            other => {
                self.record_failure(other.map(|record| record.user.name), None, now)?;
                Err(Error::Unauthenticated)
            }
        }
    }

    /// For who has the password of `record`: with the code that it needs.
    fn begin_session(&self, record: &UserRecord, code: Option<&Secret>, origin: &Origin) -> Result<SignedIn, Error> {
        let (inner, name) = (&*self.0, &record.user.name);
        let now = inner.clock.now();
        let throttled = |retry_after| Error::Throttled { retry_after };
        let attempt = match code.filter(|_| record.user.second_factor) {
            Some(_) => Some(inner.throttle.attempt_code(name.as_str(), now).map_err(throttled)?),
            None => None,
        };
        let session = new_session(name, origin, now)?;
        let begun = self.commit(Some(name), |tx| {
            // The password may have been reset, or the person disabled, while it was being verified.
            let current = tx.writer.find(&USERS, name)?.ok_or(Error::Unauthenticated)?;
            if current.user.disabled || current.password != record.password {
                return Err(Error::Unauthenticated);
            }
            if current.user.second_factor {
                let code = second_factor::plain(code.ok_or(Error::SecondFactorRequired)?, "otp");
                if !second_factor::spend(tx, name, &code.map_err(|_| Error::Unauthenticated)?)? {
                    return Err(Error::Unauthenticated);
                }
            }
            session.keep(tx)?;
            tx.record(Act { action: "session.create", subject: name.to_string(), ..Act::default() })?;
            Ok(session.signed_in(current.user))
        });
        match (&begun, attempt) {
            (Ok(_), Some(attempt)) => attempt.succeeded(),
            // Somebody has the password, and not the second factor: worth knowing.
            (Err(Error::Unauthenticated), Some(_)) => {
                self.record_failure(Some(name.clone()), Some("wrong code"), now)?;
            }
            _ => {}
        }
        begun
    }

    /// A name that nobody has is not written down: people type passwords there.
    fn record_failure(&self, name: Option<UserName>, detail: Option<&str>, now: Timestamp) -> Result<(), Error> {
        if !self.0.throttle.may_record(now) {
            return Ok(());
        }
        let subject = name.map_or_else(|| "unknown user".to_owned(), |name| name.to_string());
        self.commit(None, |tx| {
            let (subject, detail) = (subject.clone(), detail.map(str::to_owned));
            tx.record(Act { action: "session.refuse", subject, detail, ..Act::default() })
        })
    }
}

impl Caller {
    /// Ends the session, or the API token, that the caller came with.
    pub fn sign_out(&self) -> Result<(), Error> {
        self.act(|tx, me| {
            tokens::remove(tx.writer, &self.token.sha256)?;
            tx.record(Act { action: "session.end", subject: me.name.to_string(), ..Act::default() })
        })
    }

    /// Keeps `session` in the place of the one that the caller came with.
    pub(super) fn replace_session(&self, tx: &mut Transaction<'_>, session: &NewSession) -> Result<(), Error> {
        // Ended meanwhile: it must not come back.
        if !tokens::remove(tx.writer, &self.token.sha256)? {
            return Err(Error::Unauthenticated);
        }
        session.keep(tx)
    }
}

/// A session that is not kept yet.
pub(super) struct NewSession {
    token: Secret,
    record: TokenRecord,
}

pub(super) fn new_session(user: &UserName, origin: &Origin, now: Timestamp) -> Result<NewSession, Error> {
    let record = TokenRecord {
        id: random::id(now)?,
        user: user.clone(),
        name: None,
        created_at: now,
        expires_at: now.plus(SESSION_LIFE),
        address: origin.address.map(|address| address.to_canonical().to_string()),
        client: origin.client.clone(),
        last_used_at: Some(now),
    };
    Ok(NewSession { token: random::token("csg_session_")?, record })
}

/// The caller's session under a new token: one that somebody may have seen before it could do more is worth nothing.
pub(super) fn renewed(caller: &Caller) -> Result<NewSession, Error> {
    let record = caller.workflow.read()?.find(&TOKENS, &caller.token.sha256)?.ok_or(Error::Unauthenticated)?;
    Ok(NewSession { token: random::token("csg_session_")?, record })
}

impl NewSession {
    pub(super) fn keep(&self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        Ok(tokens::put(tx.writer, &random::token_sha256(&self.token), &self.record)?)
    }

    pub(super) fn signed_in(&self, user: User) -> SignedIn {
        SignedIn { token: self.token.clone(), expires_at: self.record.expires_at, user }
    }
}
