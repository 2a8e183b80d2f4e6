//! What a person does with their own account: change the password, see and end sessions.

use super::{Caller, Error, SignedIn, Transaction, sign_in, transaction::Act};
use crate::{
    clock::Timestamp,
    model::UserName,
    secret::Secret,
    store::{
        Read,
        tables::{
            tokens::{self, TokenRecord},
            users::{self, USERS, UserRecord},
        },
    },
};

/// Somewhere that a person is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSession {
    /// Its id.
    pub id: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// The address that it was begun from, as far as it is known.
    pub address: Option<String>,
    /// The program that it was begun with, as that calls itself.
    pub client: Option<String>,
    /// When it was used last, to some minutes.
    pub last_used_at: Option<Timestamp>,
    /// Is it the one that the caller came with?
    pub current: bool,
}

impl Caller {
    /// Changes the caller's password, ends their other sessions, and gives this one a new token. API tokens go on
    /// working.
    pub fn change_password(&self, current: &Secret, new: &Secret) -> Result<SignedIn, Error> {
        let record = self.check_password(current, "current_password")?;
        let hash = self.workflow.0.passwords.hash(new)?;
        let session = sign_in::renewed(self)?;
        self.act(|tx, me| {
            let mut kept = tx.writer.find(&USERS, &me.name)?.ok_or(Error::Unauthenticated)?;
            // Reset by an administrator while this was being hashed: theirs counts.
            if kept.password != record.password {
                return Err(Error::conflict("the password was changed a moment ago"));
            }
            kept.password.clone_from(&hash);
            users::put(tx.writer, &kept)?;
            self.end(tx, |_| true)?;
            self.replace_session(tx, &session)?;
            tx.record(Act { action: "user.change_password", subject: me.name.to_string(), ..Act::default() })?;
            Ok(session.signed_in(kept.user))
        })
    }

    /// Before a change that a session left open must not be enough for: the password once more, as slowed down as when
    /// signing in.
    pub(super) fn check_password(&self, password: &Secret, field: &'static str) -> Result<UserRecord, Error> {
        self.demand_session()?;
        let (inner, name) = (&*self.workflow.0, &self.user.name);
        let throttled = |retry_after| Error::Throttled { retry_after };
        let attempt = inner.throttle.attempt(name.as_str(), None, inner.clock.now()).map_err(throttled)?;
        let record = self.workflow.read()?.find(&USERS, name)?.ok_or(Error::Unauthenticated)?;
        if !inner.passwords.verify(password, Some(&record.password))? {
            return Err(Error::invalid(field, "is not your present password"));
        }
        attempt.succeeded();
        Ok(record)
    }

    /// An API token that leaked must not become more than it is.
    pub(super) fn demand_session(&self) -> Result<(), Error> {
        const NO: &str = "an API token can't change how its owner signs in: sign in for that";
        if self.is_session() { Ok(()) } else { Err(Error::NotAllowed(NO)) }
    }

    /// Where the caller is signed in, the newest first.
    pub fn sessions(&self) -> Result<Vec<OwnSession>, Error> {
        let now = self.workflow.0.clock.now();
        let mut sessions: Vec<_> = own(&self.workflow.read()?, &self.user.name)?
            .into_iter()
            .filter(|(_, record)| record.expires_at > now)
            .map(|(key, record)| {
                let TokenRecord { id, created_at, expires_at, address, client, last_used_at, .. } = record;
                let current = key == self.token.sha256;
                OwnSession { id, created_at, expires_at, address, client, last_used_at, current }
            })
            .collect();
        sessions.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(sessions)
    }

    /// Ends one other session of the caller's, or all others; tells how many.
    pub fn end_sessions(&self, id: Option<&str>) -> Result<usize, Error> {
        self.act(|tx, me| {
            let ended = self.end(tx, |record| id.is_none_or(|id| record.id == id))?;
            if ended > 0 {
                let detail = Some(format!("{ended} elsewhere"));
                tx.record(Act { action: "session.end", subject: me.name.to_string(), detail, ..Act::default() })?;
            }
            Ok(ended)
        })
    }

    /// Ends sessions other than the one that the caller came with.
    pub(super) fn end(&self, tx: &mut Transaction<'_>, which: impl Fn(&TokenRecord) -> bool) -> Result<usize, Error> {
        let mut ended = 0;
        for (key, record) in own(tx.writer, &self.user.name)? {
            if key != self.token.sha256 && which(&record) {
                tokens::remove(tx.writer, &key)?;
                ended += 1;
            }
        }
        Ok(ended)
    }
}

/// The person's sessions, API tokens left out.
fn own(read: &impl Read, user: &UserName) -> Result<Vec<(String, TokenRecord)>, Error> {
    Ok(tokens::of(read, user)?.into_iter().filter(|(_, record)| record.name.is_none()).collect())
}
