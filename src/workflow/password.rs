//! Passwords: argon2id, and never more hashing at once than memory and processors can bear.

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use subtle::ConstantTimeEq;

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
        hash(password, salt.as_slice()).map_err(|_| Error::invalid("password", "can't be used"))
    }

    /// Is it the password behind `hash`? Without a hash it takes as long, and the answer is no.
    pub(super) fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, Error> {
        if password.expose().len() > LONGEST {
            return Ok(false);
        }
        let _turn = self.turn()?;
        Ok(matches(password, hash.unwrap_or(NOBODY)).unwrap_or(false))
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

/// With OWASP's first choice for argon2id, which is the crate's default: 19 MiB, two passes, one lane.
fn hash(password: &Secret, salt: &[u8]) -> Result<String, argon2::password_hash::Error> {
    let params = Params::default();
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(Salt::new(salt)?),
        hash: Some(Output::new(&derive(&params, password, salt)?)?),
    };
    Ok(hash.to_string())
}

/// None if `hash` is not one that [`hash`] makes.
fn matches(password: &Secret, hash: &str) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok().filter(|hash| hash.algorithm == ARGON2ID_IDENT)?;
    let found = derive(&Params::try_from(&hash).ok()?, password, hash.salt.as_ref()?.as_ref()).ok()?;
    Some(found.as_slice().ct_eq(hash.hash.as_ref()?.as_bytes()).into())
}

fn derive(params: &Params, password: &Secret, salt: &[u8]) -> Result<[u8; Params::DEFAULT_OUTPUT_LEN], argon2::Error> {
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, &mut out, memory(params))?;
    Ok(out)
}

/// The memory to hash in, taken in a piece so large that the C library maps it apart and gives it back at once. Left
/// to itself it keeps some 20 MiB for every thread that ever hashed. What is not touched of the piece costs nothing.
fn memory(params: &Params) -> Vec<Block> {
    const MAPPED_APART: usize = 33 * 1024 * 1024;
    let mut blocks = Vec::with_capacity(params.block_count().max(MAPPED_APART / Block::SIZE));
    blocks.resize(params.block_count(), Block::new());
    blocks
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

    #[test]
    fn agrees_with_the_library() {
        use argon2::{PasswordHasher as _, PasswordVerifier as _};
        let theirs: PasswordHash =
            Argon2::default().hash_password_with_salt(b"correct horse", b"0123456789abcdef").unwrap();
        let ours = hash(&Secret::new("correct horse"), b"0123456789abcdef").unwrap();
        assert_eq!(theirs.to_string(), ours);
        Argon2::default().verify_password(b"correct horse", ours.as_str()).unwrap();
    }

    /// If the string could not be read, an unknown name would be answered at once, and so be told from a known one.
    #[test]
    fn nobody_has_a_hash_that_costs_as_much() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let some = hash(&Secret::new("x"), b"0123456789abcdef").unwrap();
        let some = PasswordHash::new(&some).unwrap();
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
