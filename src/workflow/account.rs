//! What a person does with their own account: change the password, see and end sessions.

use super::{Caller, Error, Transaction, transaction::Act};
use crate::{
    clock::Timestamp,
    model::UserName,
    secret::Secret,
    store::{
        Order, Read, Span,
        tables::{
            tokens::{TOKENS, TokenRecord},
            users::USERS,
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
    /// Is it the one that the caller came with?
    pub current: bool,
}

impl Caller {
    /// Changes the caller's password and ends their other sessions. API tokens go on working.
    pub fn change_password(&self, current: &Secret, new: &Secret) -> Result<(), Error> {
        if !self.is_session() {
            return Err(Error::NotAllowed("an API token can't change the password: sign in for that"));
        }
        let (inner, name) = (&*self.workflow.0, &self.user.name);
        // As when signing in: whoever found a session left open must not be able to guess the password.
        inner
            .throttle
            .attempt(name.as_str(), inner.clock.now())
            .map_err(|retry_after| Error::Throttled { retry_after })?;
        let record = self.workflow.read()?.find(&USERS, name)?.ok_or(Error::Unauthenticated)?;
        if !inner.passwords.verify(current, Some(&record.password))? {
            return Err(Error::invalid("current_password", "is not your present password"));
        }
        inner.throttle.succeeded(name.as_str());
        let hash = inner.passwords.hash(new)?;
        self.act(|tx, me| {
            let mut kept = tx.writer.find(&USERS, &me.name)?.ok_or(Error::Unauthenticated)?;
            // Reset by an administrator while this was being hashed: theirs counts.
            if kept.password != record.password {
                return Err(Error::conflict("the password was changed a moment ago"));
            }
            kept.password.clone_from(&hash);
            tx.writer.put(&USERS, &me.name, &kept)?;
            self.end(tx, |_| true)?;
            tx.record(Act { action: "user.change_password", subject: me.name.to_string(), ..Act::default() })
        })
    }

    /// Where the caller is signed in, the newest first.
    pub fn sessions(&self) -> Result<Vec<OwnSession>, Error> {
        let now = self.workflow.0.clock.now();
        let mut sessions: Vec<_> = own(&self.workflow.read()?, &self.user.name)?
            .into_iter()
            .filter(|(_, record)| record.expires_at > now)
            .map(|(key, TokenRecord { id, created_at, expires_at, .. })| OwnSession {
                id,
                created_at,
                expires_at,
                current: key == self.token.sha256,
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
    fn end(&self, tx: &mut Transaction<'_>, which: impl Fn(&TokenRecord) -> bool) -> Result<usize, Error> {
        let mut ended = 0;
        for (key, record) in own(tx.writer, &self.user.name)? {
            if key != self.token.sha256 && which(&record) {
                tx.writer.remove(&TOKENS, &key)?;
                ended += 1;
            }
        }
        Ok(ended)
    }
}

/// The person's sessions, API tokens left out.
fn own(read: &impl Read, user: &UserName) -> Result<Vec<(String, TokenRecord)>, Error> {
    let all = read.all(&TOKENS, &Span::all(), Order::Ascending)?;
    Ok(all.into_iter().filter(|(_, record)| record.user == *user && record.name.is_none()).collect())
}
