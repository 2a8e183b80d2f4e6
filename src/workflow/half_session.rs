//! Who has shown the password, and not the code yet. Kept in memory only: after a restart one begins again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Error, random};
use crate::{clock::Timestamp, secret::Secret, store::tables::users::UserRecord};

const LIFE: Duration = Duration::from_mins(5);
/// So many codes may be tried with one.
const TRIES: u32 = 5;
/// So many are kept; each took a password to make, and the oldest goes for the newest.
const MOST: usize = 1_000;

/// Proves a half session.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token; it is not kept here.
    pub secret: Secret,
    /// How long it is good.
    pub life: Duration,
}

/// By SHA-256 of the token.
#[derive(Default)]
pub(super) struct HalfSessions(Mutex<HashMap<String, Half>>);

struct Half {
    /// As the person was when the password was right.
    record: UserRecord,
    expires_at: Timestamp,
    tries_left: u32,
}

impl HalfSessions {
    pub(super) fn begin(&self, record: UserRecord, now: Timestamp) -> Result<Token, Error> {
        let secret = random::token("csg_half_")?;
        self.with(|open| {
            open.retain(|_, half| half.expires_at > now);
            if open.len() >= MOST {
                let oldest = open.iter().min_by_key(|(_, half)| half.expires_at).map(|(key, _)| key.clone());
                oldest.map(|key| open.remove(&key));
            }
            let half = Half { record, expires_at: now.plus(LIFE), tries_left: TRIES };
            open.insert(random::token_sha256(&secret), half);
        });
        Ok(Token { secret, life: LIFE })
    }

    /// Whose it is, if one more code may be tried with it.
    pub(super) fn attempt(&self, token: &Secret, now: Timestamp) -> Option<UserRecord> {
        let key = random::token_sha256(token);
        self.with(|open| {
            let half = open.get_mut(&key).filter(|half| half.expires_at > now)?;
            let record = half.record.clone();
            half.tries_left -= 1;
            if half.tries_left == 0 {
                open.remove(&key);
            }
            Some(record)
        })
    }

    pub(super) fn is_open(&self, token: &Secret, now: Timestamp) -> bool {
        self.with(|open| open.get(&random::token_sha256(token)).is_some_and(|half| half.expires_at > now))
    }

    pub(super) fn end(&self, token: &Secret) {
        self.with(|open| open.remove(&random::token_sha256(token)));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, Half>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
