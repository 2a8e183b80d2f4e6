//! The second factor: a code of an authenticator app, or one of the recovery codes, asked for after the password.
//!
//! Its key is shown while it is set up and never again; recovery codes are shown once. API tokens are for programs and
//! need no code; making one takes a session, which did.

mod recovery;
mod totp;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{Administrator, Caller, Error, SignedIn, Transaction, random, sign_in, tokens, transaction::Act};
use crate::{
    clock::Timestamp,
    model::UserName,
    secret::Secret,
    store::{
        self, Read as _,
        tables::{
            second_factors::{SECOND_FACTORS, SecondFactorRecord, key_place},
            users::{self, USERS, UserRecord},
        },
    },
};

/// So long the first code may take: to find the telephone and an app.
const TO_CONFIRM: Duration = Duration::from_mins(15);

/// What an authenticator app has to be told.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The key, as people type it.
    pub key: Secret,
    /// The same and all else, as an `otpauth:` address: what the QR code says.
    pub address: Secret,
}

/// How one's own second factor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondFactorView {
    /// When it was set up.
    pub created_at: Timestamp,
    /// How many recovery codes were not used yet.
    pub recovery_codes_left: usize,
}

impl Caller {
    /// The caller's second factor, if signing in needs it.
    pub fn second_factor(&self) -> Result<Option<SecondFactorView>, Error> {
        let reader = self.workflow.read()?;
        if !reader.find(&USERS, &self.user.name)?.is_some_and(|record| record.user.second_factor) {
            return Ok(None);
        }
        let record = reader.find(&SECOND_FACTORS, &self.user.name)?;
        Ok(record.map(|SecondFactorRecord { created_at, recovery_codes, .. }| SecondFactorView {
            created_at,
            recovery_codes_left: recovery_codes.len(),
        }))
    }

    /// Makes the key of a second factor, which does not count before [`Caller::confirm_second_factor`].
    ///
    /// It takes the password: whoever found a session left open must not be able to lock its owner out.
    pub fn begin_second_factor(&self, password: &Secret) -> Result<Enrolment, Error> {
        self.check_password(password, "password")?;
        let bytes = random::bytes::<{ totp::KEY_BYTES }>()?;
        self.act(|tx, me| {
            refuse_if_on(me.second_factor)?;
            let key = tx.sealer.seal(&key_place(&me.name), bytes.as_slice()).map_err(store::Error::from)?;
            let record = SecondFactorRecord { key, created_at: tx.now, last_step: None, recovery_codes: Vec::new() };
            tx.writer.put(&SECOND_FACTORS, &me.name, &record)?;
            Ok(())
        })?;
        let key = totp::text(&bytes);
        Ok(Enrolment { address: totp::address(&self.user.name, &key), key })
    }

    /// Turns the second factor on, which takes a code: so it is known that the app has the key. Ends other sessions,
    /// which began without one, and gives this one a new token.
    ///
    /// The recovery codes are shown this once.
    pub fn confirm_second_factor(&self, code: &Secret) -> Result<(Vec<Secret>, SignedIn), Error> {
        self.demand_session()?;
        let (codes, kept) = recovery::codes()?;
        let session = sign_in::renewed(self)?;
        let signed_in = self.try_code(|tx| {
            let mut user = own(tx, self)?;
            refuse_if_on(user.user.second_factor)?;
            let record = tx.writer.find(&SECOND_FACTORS, &self.user.name)?;
            let Some(mut record) = record.filter(|record| tx.now < record.created_at.plus(TO_CONFIRM)) else {
                return Err(Error::conflict("the second factor is not being set up any more: begin again"));
            };
            if !spend_step(tx, &self.user.name, &mut record, &plain(code, "otp")?)? {
                return Err(Error::invalid("otp", WRONG));
            }
            record.recovery_codes.clone_from(&kept);
            tx.writer.put(&SECOND_FACTORS, &self.user.name, &record)?;
            user.user.second_factor = true;
            users::put(tx.writer, &user)?;
            self.end(tx, |_| true)?;
            self.replace_session(tx, &session)?;
            record_act(tx, "second_factor.enable", &self.user.name)?;
            Ok(session.signed_in(user.user))
        })?;
        Ok((codes, signed_in))
    }

    /// Turns the second factor off: takes the password and a code. Gives the session a new token.
    pub fn disable_second_factor(&self, password: &Secret, code: &Secret) -> Result<SignedIn, Error> {
        self.check_password(password, "password")?;
        let session = sign_in::renewed(self)?;
        self.try_code(|tx| {
            let mut user = own(tx, self)?;
            if !user.user.second_factor {
                return Err(Error::conflict("there is no second factor to turn off"));
            }
            if !spend(tx, &self.user.name, &plain(code, "otp")?)? {
                return Err(Error::invalid("otp", WRONG));
            }
            tx.writer.remove(&SECOND_FACTORS, &self.user.name)?;
            user.user.second_factor = false;
            users::put(tx.writer, &user)?;
            self.replace_session(tx, &session)?;
            record_act(tx, "second_factor.disable", &self.user.name)?;
            Ok(session.signed_in(user.user))
        })
    }

    /// Commits what takes a code, slowing down whoever guesses.
    fn try_code<T>(&self, mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let inner = &*self.workflow.0;
        let throttled = |retry_after| Error::Throttled { retry_after };
        let attempt = inner.throttle.attempt_code(self.user.name.as_str(), inner.clock.now()).map_err(throttled)?;
        let done = self.act(|tx, _| work(tx))?;
        attempt.succeeded();
        Ok(done)
    }
}

const WRONG: &str =
    "is not the present code: wait for the next one, and look whether the clock of your telephone is right";

impl Administrator<'_> {
    /// Takes a person's second factor away, for who has lost it: then the password alone lets them in, until they set
    /// up another. Their sessions end.
    ///
    /// Not one's own: whoever found an administrator's session left open could do it.
    pub fn reset_second_factor(&self, name: &UserName) -> Result<(), Error> {
        if *name == self.caller.user.name {
            return Err(Error::NotAllowed("turn off your own second factor on the page of your account"));
        }
        self.act(|tx, _| {
            let mut record = tx.writer.find(&USERS, name)?.ok_or(Error::NotFound("user"))?;
            if !record.user.second_factor {
                return Err(Error::conflict(format!("{name} has no second factor")));
            }
            record.user.second_factor = false;
            users::put(tx.writer, &record)?;
            tx.writer.remove(&SECOND_FACTORS, name)?;
            tokens::end_sessions(tx, name)?;
            record_act(tx, "second_factor.reset", name)
        })
    }
}

/// Uses up a code of the app, or a recovery code. Was it one?
pub(super) fn spend(tx: &mut Transaction<'_>, user: &UserName, code: &str) -> Result<bool, Error> {
    // Without a record nothing is right: deny.
    let Some(mut record) = tx.writer.find(&SECOND_FACTORS, user)? else { return Ok(false) };
    let recovered = recovery::spend(&mut record.recovery_codes, code);
    let spent = recovered || spend_step(tx, user, &mut record, code)?;
    if spent {
        tx.writer.put(&SECOND_FACTORS, user, &record)?;
    }
    if recovered {
        let left = format!("{} left", record.recovery_codes.len());
        let (action, subject) = ("second_factor.use_recovery_code", user.to_string());
        tx.record(Act { action, subject, detail: Some(left), ..Act::default() })?;
    }
    Ok(spent)
}

fn spend_step(
    tx: &Transaction<'_>,
    user: &UserName,
    record: &mut SecondFactorRecord,
    code: &str,
) -> Result<bool, Error> {
    let key = tx.sealer.unseal(&key_place(user), &record.key).map_err(store::Error::from)?;
    let step = totp::step(&key, code, record.last_step, tx.now);
    record.last_step = step.or(record.last_step);
    Ok(step.is_some())
}

/// The code as it is compared: people type codes in groups. Nothing that is a code is longer.
pub(super) fn plain(code: &Secret, field: &'static str) -> Result<String, Error> {
    let plain: String = code.expose().chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if plain.is_empty() || plain.len() > 64 { Err(Error::invalid(field, WRONG)) } else { Ok(plain) }
}

fn own(tx: &Transaction<'_>, caller: &Caller) -> Result<UserRecord, Error> {
    tx.writer.find(&USERS, &caller.user.name)?.ok_or(Error::Unauthenticated)
}

fn refuse_if_on(on: bool) -> Result<(), Error> {
    if on { Err(Error::conflict("there is a second factor already: turn it off first")) } else { Ok(()) }
}

fn record_act(tx: &mut Transaction<'_>, action: &'static str, user: &UserName) -> Result<(), Error> {
    tx.record(Act { action, subject: user.to_string(), ..Act::default() })
}
