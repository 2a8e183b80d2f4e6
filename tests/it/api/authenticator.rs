//! An authenticator app: the other side of RFC 6238, written apart from ours.

use csg::clock::Timestamp;
use ring::hmac;

/// The code that the app shows at `now` for a key in base 32.
pub(crate) fn code(key: &str, now: Timestamp) -> String {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in key.chars().filter(|letter| !letter.is_whitespace()) {
        bits = bits << 5 | u32::try_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap()).unwrap();
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &(now.millis() / 30_000).to_be_bytes());
    let from = usize::from(tag.as_ref()[19] & 0xf);
    let number = u32::from_be_bytes(tag.as_ref()[from..from + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}
