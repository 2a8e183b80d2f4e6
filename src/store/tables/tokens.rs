//! Sessions and API tokens: what a bearer token stands for. The token itself is nowhere.

use serde::{Deserialize, Serialize};

use super::{
    super::{Error, Order, Read, Span, Table, Writer},
    counts,
};
use crate::{clock::Timestamp, model::UserName};

/// By SHA-256 of the token, in hex. Written by [`put`] and [`remove`] alone, which keep the indexes.
pub const TOKENS: Table<String, TokenRecord> = Table::new("tokens");

/// Whose they are.
const TOKENS_BY_USER: Table<(UserName, String), ()> = Table::new("tokens_by_user");

/// When they end; true for sessions.
pub const TOKENS_BY_END: Table<(Timestamp, String), bool> = Table::new("tokens_by_end");

/// A session or an API token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Names it in lists; not a secret.
    pub id: String,
    /// Whose it is.
    pub user: UserName,
    /// What people call it; a session has no name.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The address that it was begun from, as far as it is known.
    #[serde(default)]
    pub address: Option<String>,
    /// The program that it was begun with, as that calls itself.
    #[serde(default)]
    pub client: Option<String>,
    /// When it was used last, to some minutes.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
}

/// Keeps what the token stands for now.
pub fn put(writer: &mut Writer, sha256: &String, record: &TokenRecord) -> Result<(), Error> {
    let before = writer.find(&TOKENS, sha256)?;
    writer.put(&TOKENS, sha256, record)?;
    reindex(writer, sha256, before.as_ref(), Some(record))
}

/// Forgets the token; was there one?
pub fn remove(writer: &mut Writer, sha256: &String) -> Result<bool, Error> {
    let Some(before) = writer.find(&TOKENS, sha256)? else { return Ok(false) };
    writer.remove(&TOKENS, sha256)?;
    reindex(writer, sha256, Some(&before), None)?;
    Ok(true)
}

/// Everything of the person's: sessions and API tokens.
pub fn of(read: &impl Read, user: &UserName) -> Result<Vec<(String, TokenRecord)>, Error> {
    let theirs = read.all(&TOKENS_BY_USER, &Span::of(user), Order::Ascending)?;
    let found = theirs.into_iter().filter_map(|((_, sha256), ())| {
        let record = read.find(&TOKENS, &sha256).transpose()?;
        Some(record.map(|record| (sha256, record)))
    });
    found.collect()
}

/// Takes the entries of the token as it was out of the indexes, and puts in those of it as it is.
pub(in crate::store) fn reindex(
    writer: &mut Writer,
    sha256: &str,
    before: Option<&TokenRecord>,
    now: Option<&TokenRecord>,
) -> Result<(), Error> {
    let whose = |record: &TokenRecord| (record.user.clone(), sha256.to_owned());
    let ends = |record: &TokenRecord| (record.expires_at, sha256.to_owned());
    let is_session = |record: &TokenRecord| record.name.is_none();
    let same = before.map(|record| (whose(record), ends(record))) == now.map(|record| (whose(record), ends(record)));
    if same {
        return Ok(());
    }
    if let Some(before) = before {
        writer.remove(&TOKENS_BY_USER, &whose(before))?;
        writer.remove(&TOKENS_BY_END, &ends(before))?;
    }
    if let Some(now) = now {
        writer.put(&TOKENS_BY_USER, &whose(now), &())?;
        writer.put(&TOKENS_BY_END, &ends(now), &is_session(now))?;
    }
    let counted = |record| if is_session(record) { counts::SESSIONS } else { counts::API_TOKENS };
    counts::moved(writer, before.map(counted), now.map(counted))
}
