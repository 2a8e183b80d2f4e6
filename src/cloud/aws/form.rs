//! Percent-encoding and `key=value` lists, read so that no second reading is possible.

use std::borrow::Cow;

/// The raw values of every pair whose key is `key` once decoded.
pub(super) fn values<'b>(list: &'b [u8], key: &str) -> impl Iterator<Item = &'b [u8]> {
    pairs(list).filter(move |(found, _)| decoded(found).eq(key.bytes().map(Some))).map(|(_, value)| value)
}

/// How often a key comes that is `key` in whatever case.
pub(super) fn count_in_any_case(list: &[u8], key: &str) -> usize {
    let same = |found: &[u8]| {
        decoded(found)
            .map(|byte| byte.map(|byte| byte.to_ascii_lowercase()))
            .eq(key.bytes().map(|byte| Some(byte.to_ascii_lowercase())))
    };
    pairs(list).filter(|(found, _)| same(found)).count()
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
pub(super) fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        decoded(text).collect::<Option<Vec<u8>>>().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(text))
    }
}

/// Is `text` `plain`, once decoded?
pub(super) fn decodes_to(text: impl AsRef<[u8]>, plain: &str) -> bool {
    decoded(text.as_ref()).eq(plain.bytes().map(Some))
}

/// No `%` without two hexadecimal digits behind it.
pub(super) fn is_well_encoded(text: &str) -> bool {
    decoded(text.as_bytes()).all(|byte| byte.is_some())
}

/// Does the path segment hold `.` or `..` as a segment of its own, plain or behind encoded slashes?
pub(super) fn has_dot_segment(segment: &str) -> bool {
    if !segment.contains('.') && !segment.contains('%') {
        return false;
    }
    decode(segment.as_bytes())
        .is_none_or(|plain| plain.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| matches!(part, b"." | b"..")))
}

fn decoded(text: &[u8]) -> impl Iterator<Item = Option<u8>> {
    let mut bytes = text.iter().copied();
    std::iter::from_fn(move || match bytes.next()? {
        b'%' => {
            let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            let high = digit();
            let low = digit();
            Some(high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok()))
        }
        b'+' => Some(Some(b' ')),
        byte => Some(Some(byte)),
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
        for hidden in [".", "..", "%2e", "%2E.", "a%2F..%2Fb", "..%5c", "%zz"] {
            assert!(has_dot_segment(hidden), "{hidden}");
        }
        for plain in ["a.b", "...", "v1.0", "a%2Fb"] {
            assert!(!has_dot_segment(plain), "{plain}");
        }
    }
}
