//! API tokens: for programs that act as a person. They can do what the person can, but make no further tokens.

use std::time::Duration;

use super::{Administrator, Caller, Error, Transaction, error::Checks, random, transaction::Act};
use crate::{
    clock::Timestamp,
    model::UserName,
    secret::Secret,
    store::{
        Read,
        tables::tokens::{self as table, TokenRecord},
    },
};

const DEFAULT_LIFE: Duration = Duration::from_hours(90 * 24);
const LONGEST_LIFE: Duration = Duration::from_hours(366 * 24);

/// An API token to be made.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// What people call it.
    pub name: String,
    /// How long it is valid: 90 days if not said, a year at most.
    pub duration: Option<Duration>,
}

/// What is known of an API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Caller {
    /// Makes an API token. It is shown this once.
    pub fn create_api_token(&self, new: &NewApiToken) -> Result<(ApiToken, Secret), Error> {
        // Else a token that leaked could be made to live for ever.
        if !self.is_session() {
            return Err(Error::NotAllowed("an API token can't make API tokens: sign in for that"));
        }
        let life = new.duration.unwrap_or(DEFAULT_LIFE);
        let mut checks = Checks::default();
        checks.text(&new.name, 100, "name");
        checks.require(!life.is_zero() && life <= LONGEST_LIFE, "duration", "must be more than 0 and at most 366d");
        checks.done()?;
        let token = random::token("csg_api_")?;
        let made = self.act(|tx, me| {
            let record = TokenRecord {
                id: random::id(tx.now)?,
                user: me.name.clone(),
                name: Some(new.name.clone()),
                created_at: tx.now,
                expires_at: tx.now.plus(life),
                address: None,
                client: None,
                last_used_at: None,
            };
            table::put(tx.writer, &random::token_sha256(&token), &record)?;
            record_act(tx, "token.create", &record.id, &new.name)?;
            Ok(ApiToken {
                id: record.id,
                name: new.name.clone(),
                created_at: record.created_at,
                expires_at: record.expires_at,
            })
        })?;
        Ok((made, token))
    }

    /// The caller's API tokens, the oldest first.
    pub fn api_tokens(&self) -> Result<Vec<ApiToken>, Error> {
        of(&self.workflow.read()?, &self.user.name)
    }

    /// Ends one of the caller's API tokens.
    pub fn delete_api_token(&self, id: &str) -> Result<(), Error> {
        self.act(|tx, me| delete(tx, &me.name, id))
    }
}

impl Administrator<'_> {
    /// A person's API tokens, the oldest first.
    pub fn api_tokens(&self, user: &UserName) -> Result<Vec<ApiToken>, Error> {
        self.user(user)?;
        of(&self.caller.workflow.read()?, user)
    }

    /// Ends one of a person's API tokens.
    pub fn delete_api_token(&self, user: &UserName, id: &str) -> Result<(), Error> {
        self.act(|tx, _| delete(tx, user, id))
    }
}

/// The person's API tokens, sessions left out.
fn of(read: &impl Read, user: &UserName) -> Result<Vec<ApiToken>, Error> {
    let theirs = table::of(read, user)?.into_iter().filter_map(|(_, record)| {
        let TokenRecord { id, name, created_at, expires_at, .. } = record;
        name.map(|name| ApiToken { id, name, created_at, expires_at })
    });
    let mut theirs: Vec<_> = theirs.collect();
    theirs.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(theirs)
}

fn delete(tx: &mut Transaction<'_>, user: &UserName, id: &str) -> Result<(), Error> {
    let (key, name) = table::of(tx.writer, user)?
        .into_iter()
        .find(|(_, record)| record.id == id)
        .and_then(|(key, record)| Some((key, record.name?)))
        .ok_or(Error::NotFound("token"))?;
    table::remove(tx.writer, &key)?;
    record_act(tx, "token.delete", id, &name)
}

/// Ends all sessions and API tokens of a person.
pub(super) fn end_all(tx: &mut Transaction<'_>, user: &UserName) -> Result<(), Error> {
    end(tx, user, |_| true)
}

/// Ends all sessions of a person; API tokens go on working.
pub(super) fn end_sessions(tx: &mut Transaction<'_>, user: &UserName) -> Result<(), Error> {
    end(tx, user, |record| record.name.is_none())
}

fn end(tx: &mut Transaction<'_>, user: &UserName, which: impl Fn(&TokenRecord) -> bool) -> Result<(), Error> {
    for (key, record) in table::of(tx.writer, user)? {
        if which(&record) {
            table::remove(tx.writer, &key)?;
        }
    }
    Ok(())
}

fn record_act(tx: &mut Transaction<'_>, action: &'static str, id: &str, name: &str) -> Result<(), Error> {
    tx.record(Act { action, subject: id.to_owned(), detail: Some(name.to_owned()), ..Act::default() })
}
