//! What whoever runs the machine may do without signing in: root, and the service's own user. They could change the
//! state's files as well; here it is done in order, and written down.

use super::{Error, Workflow, tokens, transaction::Act};
use crate::{
    clock::Timestamp,
    model::UserName,
    secret::Secret,
    store::{
        Order, Read as _, Span,
        tables::{
            second_factors::SECOND_FACTORS,
            users::{self, USERS},
        },
    },
};

impl Workflow {
    /// Takes a person's second factor away: the last way back for the only administrator. Ends their sessions. `by` says
    /// who asked, as the machine calls them.
    pub fn reset_second_factor_locally(&self, name: &UserName, by: &str) -> Result<(), Error> {
        self.commit(None, |tx| {
            let mut record = tx.writer.find(&USERS, name)?.ok_or(Error::NotFound("user"))?;
            if !record.user.second_factor {
                return Err(Error::conflict(format!("{name} has no second factor")));
            }
            record.user.second_factor = false;
            users::put(tx.writer, &record)?;
            tx.writer.remove(&SECOND_FACTORS, name)?;
            tokens::end_sessions(tx, name)?;
            tx.record(Act {
                action: "second_factor.reset",
                subject: name.to_string(),
                detail: Some(format!("on the machine itself, by {by}")),
                ..Act::default()
            })
        })
    }

    /// Gives a person a new password. Ends their sessions and API tokens.
    pub fn reset_password_locally(&self, name: &UserName, password: &Secret, by: &str) -> Result<(), Error> {
        let password = self.0.passwords.hash(password)?;
        self.commit(None, |tx| {
            let mut record = tx.writer.find(&USERS, name)?.ok_or(Error::NotFound("user"))?;
            record.password.clone_from(&password);
            users::put(tx.writer, &record)?;
            tokens::end_all(tx, name)?;
            tx.record(Act {
                action: "user.reset_password",
                subject: name.to_string(),
                detail: Some(format!("on the machine itself, by {by}")),
                ..Act::default()
            })
        })
    }

    /// Writes down that this state is of a backup, and ends all sessions: some may have been ended since it was made.
    pub fn note_restored(&self, made_at: Timestamp) -> Result<(), Error> {
        self.commit(None, |tx| {
            for (name, _) in tx.writer.all(&USERS, &Span::all(), Order::Ascending)? {
                tokens::end_sessions(tx, &name)?;
            }
            tx.record(Act {
                action: "backup.restore",
                subject: "backup".into(),
                detail: Some(format!("of {made_at}")),
                ..Act::default()
            })
        })
    }
}
