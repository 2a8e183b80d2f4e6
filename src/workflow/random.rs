//! Random ids, keys and tokens.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};
use zeroize::Zeroizing;

use super::Error;
use crate::{clock::Timestamp, model::AccessKeyId, secret::Secret};

/// Digits that sort as their values do, without letters that look like digits (Crockford's base 32).
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// RFC 4648 base 32: the letters and digits that AWS makes key ids from.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Where AWS has `AKIA`: tells a person, or a scanner for leaked keys, that this one works only at a gateway.
const KEY_PREFIX: &str = "CSGA";

pub(super) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    SystemRandom::new().fill(&mut *bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}

/// An id that sorts by time, as a ULID does: 48 bits of milliseconds, 80 random bits.
pub(super) fn id(now: Timestamp) -> Result<String, Error> {
    let random = bytes::<10>()?.iter().fold(0_u128, |number, &byte| number << 8 | u128::from(byte));
    Ok(digits(u128::from(millis(now)) << 80 | random, 26, CROCKFORD))
}

/// An event's id: sorts by time, then by commit, then by its place in the commit.
pub(super) fn event_id(now: Timestamp, version: u64, place: u32) -> String {
    [(u128::from(millis(now)), 10), (u128::from(version), 13), (u128::from(place), 7)]
        .map(|(number, length)| digits(number, length, CROCKFORD))
        .concat()
}

/// The ids of all events before `at` sort before this.
pub(super) fn event_id_bound(at: Timestamp) -> String {
    digits(u128::from(millis(at)), 10, CROCKFORD)
}

/// An access key id of AWS's form: 20 upper-case letters and digits.
pub(super) fn access_key_id() -> Result<AccessKeyId, Error> {
    let number = bytes::<10>()?.iter().fold(0_u128, |number, &byte| number << 8 | u128::from(byte));
    AccessKeyId::new(format!("{KEY_PREFIX}{}", digits(number, 16, BASE32))).map_err(|_| Error::Random)
}

/// A secret access key of AWS's form: 40 characters, 240 random bits.
pub(super) fn secret_access_key() -> Result<Secret, Error> {
    Ok(Secret::new(STANDARD.encode(bytes::<30>()?.as_slice())))
}

/// A bearer token of 256 random bits. The prefix says what it is to whoever finds it.
pub(super) fn token(prefix: &str) -> Result<Secret, Error> {
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes::<32>()?.as_slice()))))
}

/// A password for somebody to begin with: 100 random bits, in groups that can be read to them over the telephone.
pub(super) fn password() -> Result<Secret, Error> {
    let number = bytes::<13>()?.iter().fold(0_u128, |number, &byte| number << 8 | u128::from(byte));
    let digits = Zeroizing::new(digits(number, 20, CROCKFORD));
    let mut text = String::with_capacity(23);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place.is_multiple_of(5) {
            text.push('-');
        }
        text.push(digit);
    }
    Ok(Secret::new(text))
}

/// A code that is written down and typed again: 80 random bits in groups of four.
pub(super) fn recovery_code() -> Result<Secret, Error> {
    let number = bytes::<10>()?.iter().fold(0_u128, |number, &byte| number << 8 | u128::from(byte));
    let groups = [60, 40, 20, 0].map(|below| digits(number >> below, 4, CROCKFORD));
    Ok(Secret::new(groups.join("-")))
}

/// What is kept of a token. It is random, so that a fast hash is as good as a slow one.
pub(super) fn token_sha256(token: &Secret) -> String {
    hex::encode(digest::digest(&digest::SHA256, token.expose().as_bytes()))
}

fn millis(now: Timestamp) -> u64 {
    u64::try_from(now.millis()).unwrap_or(0)
}

/// The last `length` digits of `number` in base 32, the highest first.
fn digits(number: u128, length: usize, alphabet: &[u8; 32]) -> String {
    (0..length)
        .rev()
        .map(|place| {
            let digit = number.checked_shr(u32::try_from(place * 5).unwrap_or(u32::MAX)).unwrap_or(0) & 31;
            char::from(alphabet.get(digit as usize).copied().unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let early = id(Timestamp::from_millis(1_764_000_000_000)).unwrap();
        let late = id(Timestamp::from_millis(1_764_000_000_001)).unwrap();
        assert!(early < late);
        assert_eq!(early.len(), 26);
        let now = Timestamp::from_millis(1_764_000_000_000);
        let ids = [event_id(now, 1, 0), event_id(now, 1, 1), event_id(now, 2, 0), event_id(now.plus(MS), 1, 0)];
        assert!(ids.is_sorted());
        assert!(ids[2] < event_id_bound(now.plus(MS)) && event_id_bound(now.plus(MS)) < ids[3]);
    }

    const MS: std::time::Duration = std::time::Duration::from_millis(1);

    #[test]
    fn keys_look_like_those_of_aws() {
        let key = access_key_id().unwrap();
        assert_eq!(key.as_str().len(), 20);
        assert!(key.as_str().starts_with("CSGA"));
        assert!(key.as_str().chars().all(|c| matches!(c, 'A'..='Z' | '2'..='7')));
        assert_eq!(secret_access_key().unwrap().expose().len(), 40);
    }
}
