//! Passwords: argon2id, and never more hashing at once than memory and processors can bear.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _};

use super::{Error, error::Checks, random};
use crate::secret::Secret;

const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// How many hash at once: each takes 19 MiB and one processor.
const AT_ONCE: usize = 2;
/// How many may wait for their turn; more are sent away, so that a flood of sign-ins can't take every thread.
const WAITING: usize = 32;

/// Hashes and verifies.
#[derive(Default)]
pub(super) struct Passwords {
    turns: Mutex<Turns>,
    freed: Condvar,
}

#[derive(Default)]
struct Turns {
    running: usize,
    waiting: usize,
}

/// A hash that no password has, with the same cost: for a name that nobody has.
///
/// The salt is `nobody, nobody..` and the hash all zeros.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LCBub2JvZHkuLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Passwords {
    /// The hash to keep, as a PHC string.
    pub(super) fn hash(&self, password: &Secret) -> Result<String, Error> {
        let mut checks = Checks::default();
        let length = password.expose().len();
        checks.require(length >= SHORTEST, "password", format!("must have {SHORTEST} characters or more"));
        checks.require(length <= LONGEST, "password", format!("must not be longer than {LONGEST} bytes"));
        checks.done()?;
        let salt = random::bytes::<16>()?;
        let _turn = self.turn()?;
        let hash: PasswordHash = hasher()
            .hash_password_with_salt(password.expose().as_bytes(), salt.as_slice())
            .map_err(|_| Error::invalid("password", "can't be used"))?;
        Ok(hash.to_string())
    }

    /// Is it the password behind `hash`? Without a hash it takes as long, and the answer is no.
    pub(super) fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, Error> {
        if password.expose().len() > LONGEST {
            return Ok(false);
        }
        let _turn = self.turn()?;
        Ok(hasher().verify_password(password.expose().as_bytes(), hash.unwrap_or(NOBODY)).is_ok())
    }

    fn turn(&self) -> Result<Turn<'_>, Error> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.waiting >= WAITING {
            return Err(Error::Throttled { retry_after: std::time::Duration::from_secs(1) });
        }
        turns.waiting += 1;
        let mut turns =
            self.freed.wait_while(turns, |turns| turns.running >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
        turns.waiting -= 1;
        turns.running += 1;
        Ok(Turn(self))
    }
}

struct Turn<'a>(&'a Passwords);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
        self.0.freed.notify_one();
    }
}

/// OWASP's first choice for argon2id, which is the crate's default: 19 MiB, two passes, one lane.
fn hasher() -> Argon2<'static> {
    Argon2::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifies_what_it_hashed_and_nothing_else() {
        let passwords = Passwords::default();
        let hash = passwords.hash(&Secret::new("correct horse")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(&Secret::new("correct horse"), Some(&hash)).unwrap());
        assert!(!passwords.verify(&Secret::new("correct hors"), Some(&hash)).unwrap());
        assert!(!passwords.verify(&Secret::new("correct horse"), None).unwrap());
        assert!(passwords.hash(&Secret::new("short")).is_err());
    }

    /// If the string could not be read, an unknown name would be answered at once, and so be told from a known one.
    #[test]
    fn nobody_has_a_hash_that_costs_as_much() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let some: PasswordHash = hasher().hash_password_with_salt(b"x", b"0123456789abcdef").unwrap();
        assert_eq!(nobody.params, some.params);
        assert_eq!(nobody.hash.unwrap().len(), some.hash.unwrap().len());
    }

    #[test]
    fn a_turn_is_given_back() {
        let passwords = Passwords::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * AT_ONCE {
                scope.spawn(|| assert!(!passwords.verify(&Secret::new("x"), None).unwrap()));
            }
        });
        let turns = passwords.turns.lock().unwrap();
        assert_eq!((turns.running, turns.waiting), (0, 0));
    }
}
