//! Percent-encoding and `key=value` lists, read so that no second reading is possible.

use std::ops::Deref;

use smallvec::SmallVec;

/// What is longer once decoded costs an allocation: longer than the ARNs and names that people give.
const SHORT: usize = 128;

/// A decoded text.
#[derive(Debug)]
pub(super) enum Decoded<'b> {
    /// It held nothing to decode.
    AsItWas(&'b [u8]),
    /// What came of it.
    New(SmallVec<[u8; SHORT]>),
}

impl Deref for Decoded<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::AsItWas(text) => text,
            Self::New(text) => text,
        }
    }
}

/// The raw values of every pair whose key is `key` once decoded.
pub(super) fn values<'b>(list: &'b [u8], key: &str) -> impl Iterator<Item = &'b [u8]> {
    pairs(list).filter(move |(found, _)| decoded(found).eq(key.bytes().map(Some))).map(|(_, value)| value)
}

/// How often a key comes that is `key` in whatever case.
pub(super) fn count_in_any_case(list: &[u8], key: &str) -> usize {
    pairs(list).filter(|(found, _)| is_in_any_case(found, key)).count()
}

/// Is `text` `plain` in whatever case, once decoded?
pub(super) fn is_in_any_case(text: &[u8], plain: &str) -> bool {
    decoded(text)
        .map(|byte| byte.map(|byte| byte.to_ascii_lowercase()))
        .eq(plain.bytes().map(|byte| Some(byte.to_ascii_lowercase())))
}

/// The pairs of a query string or form. `;` parts them as `&` does for some old parsers, so it does here.
pub(super) fn pairs(list: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    list.split(|byte| matches!(byte, b'&' | b';')).filter(|pair| !pair.is_empty()).map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
        let (key, value) = pair.split_at_checked(at).unwrap_or((pair, b""));
        (key, value.strip_prefix(b"=").unwrap_or(value))
    })
}

/// `text` decoded, `+` as a space; none if an escape is broken.
pub(super) fn decode(text: &[u8]) -> Option<Decoded<'_>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Decoded::AsItWas(text));
    }
    if text.len() > SHORT {
        return decoded(text).collect::<Option<_>>().map(Decoded::New);
    }
    let (mut bytes, mut length) = ([0; SHORT], 0);
    for (to, byte) in bytes.iter_mut().zip(decoded(text)) {
        *to = byte?;
        length += 1;
    }
    Some(Decoded::New(SmallVec::from_buf_and_len(bytes, length)))
}

/// The byte whose two digits begin `text`, and what follows them.
fn unescaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], after) = text.split_first_chunk()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    Some((byte, after))
}

/// Is `text` `plain`, once decoded?
pub(super) fn decodes_to(text: impl AsRef<[u8]>, plain: &str) -> bool {
    decoded(text.as_ref()).eq(plain.bytes().map(Some))
}

/// No `%` without two hexadecimal digits behind it.
pub(super) fn is_well_encoded(text: &str) -> bool {
    let mut parts = text.as_bytes().split(|byte| *byte == b'%');
    parts.next();
    parts.all(|behind| unescaped(behind).is_some())
}

/// Does the path hold `.` or `..` as a segment of its own, plain or behind encoded slashes? One that is not well encoded
/// may.
pub(super) fn has_dot_segment(path: &str) -> bool {
    let may_have_dot = path.contains('.') || path.as_bytes().windows(3).any(|part| part.eq_ignore_ascii_case(b"%2e"));
    let is_dots = |part: &[u8]| matches!(part, b"." | b"..");
    let slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let decoded = |segment: &str| decode(segment.as_bytes()).is_none_or(|plain| plain.split(slash).any(is_dots));
    may_have_dot && path.split('/').any(decoded)
}

fn decoded(text: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        rest = after;
        Some(match first {
            b'%' => {
                let found = unescaped(after);
                rest = found.map_or(&[], |(_, after)| after);
                found.map(|(byte, _)| byte)
            }
            b'+' => Some(b' '),
            byte => Some(*byte),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_they_are_written() {
        let list = b"a=1&%61=2;A=3&&b&=x&a%zz=4";
        assert_eq!(values(list, "a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(values(list, "b").collect::<Vec<_>>(), [b""]);
        assert_eq!(count_in_any_case(list, "a"), 3);
    }

    #[test]
    fn dot_segments_are_seen_through_encoding() {
        for hidden in [".", "..", "%2e", "%2E.", "a%2F..%2Fb", "..%5c", "a/./b", "a/%2e%2e", ".%zz"] {
            assert!(has_dot_segment(hidden), "{hidden}");
        }
        for plain in ["a.b", "...", "v1.0", "a%2Fb", "a/b", "a/...", "%252e"] {
            assert!(!has_dot_segment(plain), "{plain}");
        }
    }
}
