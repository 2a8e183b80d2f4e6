//! Codes that change with the time (RFC 6238, over RFC 4226), as authenticator apps make them: six digits, every 30
//! seconds, HMAC-SHA-1. That hash is what every app understands; HMAC does not need what SHA-1 has lost.

use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::{clock::Timestamp, model::UserName, secret::Secret};

pub(super) const KEY_BYTES: usize = 20;
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
/// Clocks differ, and people type slowly: a code is taken one step early or late (RFC 6238, section 5.2).
const SLACK: u64 = 1;
/// What authenticator apps call this appliance.
const ISSUER: &str = "Cloud%20Service%20Gateway";

/// The step whose code this is, if it is one of now and newer than `used`.
///
/// Every code is compared, each in constant time, so that the time taken tells nothing of them.
pub(super) fn step(key: &[u8], code: &str, used: Option<u64>, now: Timestamp) -> Option<u64> {
    let current = u64::try_from(now.millis() / 1000 / STEP_SECONDS).ok()?;
    let mut found = None;
    for step in current.saturating_sub(SLACK)..=current.saturating_add(SLACK) {
        let same: bool = at(key, step).as_bytes().ct_eq(code.as_bytes()).into();
        if same && used.is_none_or(|used| step > used) {
            found = Some(step);
        }
    }
    found
}

/// The code of a step: RFC 4226, section 5.3.
fn at(key: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().map_or(0, |byte| byte & 15));
    let picked = tag.iter().skip(offset).take(4).fold(0_u32, |number, &byte| number << 8 | u32::from(byte));
    format!("{:0DIGITS$}", (picked & 0x7fff_ffff) % 1_000_000)
}

/// The key as people type it: RFC 4648 base 32, without padding, which 20 bytes do not need.
pub(super) fn text(key: &[u8; KEY_BYTES]) -> Secret {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letters = key.chunks(5).flat_map(|chunk| {
        let bits = chunk.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        (0..8)
            .rev()
            .map(move |place| char::from(ALPHABET.get((bits >> (place * 5) & 31) as usize).copied().unwrap_or(b'A')))
    });
    Secret::new(letters.collect::<String>())
}

/// What the QR code says, as authenticator apps read it. Names hold nothing that would have to be escaped there.
pub(super) fn address(user: &UserName, key: &Secret) -> Secret {
    let key = key.expose();
    Secret::new(format!(
        "otpauth://totp/{ISSUER}:{user}?secret={key}&issuer={ISSUER}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
    ))
}

/// For tests: the code that an app shows at `now`.
#[cfg(test)]
pub(super) fn code(key: &Secret, now: Timestamp) -> Secret {
    let letters = key.expose().bytes().map(|byte| match byte {
        b'A'..=b'Z' => byte - b'A',
        digit => digit - b'2' + 26,
    });
    let letters: Vec<u8> = letters.collect();
    let bytes: Vec<u8> = letters
        .chunks(8)
        .flat_map(|chunk| {
            let bits = chunk.iter().fold(0_u64, |number, &letter| number << 5 | u64::from(letter));
            bits.to_be_bytes()[3..].to_vec()
        })
        .collect();
    Secret::new(at(&bytes, u64::try_from(now.millis() / 1000 / STEP_SECONDS).unwrap()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8; 20] = b"12345678901234567890";

    fn at_seconds(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// The last six of the eight digits of RFC 6238, appendix B.
    #[test]
    fn agrees_with_the_rfc() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = at_seconds(seconds);
            assert_eq!(step(KEY, code, None, now), Some(u64::try_from(seconds / 30).unwrap()), "{seconds}");
            assert_eq!(super::code(&text(KEY), now).expose(), code);
        }
    }

    #[test]
    fn a_code_is_taken_a_step_early_or_late_once() {
        let now = at_seconds(2_000_000_000);
        let current = 2_000_000_000 / 30;
        for step_of in current - 3..=current + 3 {
            let expected = (current - 1..=current + 1).contains(&step_of).then_some(step_of);
            assert_eq!(step(KEY, &at(KEY, step_of), None, now), expected, "{step_of}");
        }
        let code = at(KEY, current);
        assert_eq!(step(KEY, &code, Some(current - 1), now), Some(current));
        assert_eq!(step(KEY, &code, Some(current), now), None, "used");
        assert_eq!(step(KEY, &code, Some(current + 1), now), None, "older than one that was used");
        for wrong in ["", "27903", "0279037", "279038", "２７９０３７"] {
            assert_eq!(step(KEY, wrong, None, now), None, "{wrong}");
        }
    }

    #[test]
    fn the_key_is_written_as_apps_read_it() {
        // RFC 4648's "foobar" vectors do not fill 20 bytes; this is what `base32` of coreutils prints.
        assert_eq!(text(KEY).expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let address = address(&UserName::new("dora").unwrap(), &text(KEY));
        assert_eq!(
            address.expose(),
            "otpauth://totp/Cloud%20Service%20Gateway:dora?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Cloud%20Service%20Gateway&algorithm=SHA1&digits=6&period=30"
        );
    }
}
