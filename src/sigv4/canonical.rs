//! The canonical request: the bytes that client and server both arrive at, whatever happened to the request between them.
//!
//! Made from the bytes as received, never from a parsed and rewritten form.

use http::{HeaderMap, request::Parts};
use ring::digest;

use super::{Payload, Scope, SignedHeaders, date::Moment, header, hex};

/// How a service wants the path in the canonical request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathStyle {
    /// S3's way: as the client meant it, encoded once; dots and repeated slashes are part of a key's name.
    ///
    /// S3 decodes as in a form, `%2F` and `+` included (measured: aws/aws-sdk-net#4473).
    EncodedOnce,
    /// Everyone else's: dot segments and repeated slashes resolved, then what is on the wire encoded once more.
    EncodedTwice,
}

/// The string to sign, of which the signature is made.
pub(super) fn string_to_sign(at: &Moment, scope: &Scope, canonical_request: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    out.extend_from_slice(scope.algorithm().name().as_bytes());
    out.push(b'\n');
    out.extend_from_slice(at.as_str().as_bytes());
    out.push(b'\n');
    scope.write(&mut out);
    out.push(b'\n');
    out.extend_from_slice(&hex::encode(digest::digest(&digest::SHA256, canonical_request).as_ref()));
    out
}

/// The canonical request of `parts`.
pub(super) fn request(parts: &Parts, style: PathStyle, signed: &SignedHeaders, payload: &Payload) -> Vec<u8> {
    request_without(parts, style, signed, payload, &[])
}

/// The canonical request of `parts`, with these parameters left out of its query: what was put there after signing.
pub(super) fn request_without(
    parts: &Parts,
    style: PathStyle,
    signed: &SignedHeaders,
    payload: &Payload,
    left_out: &[&str],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b'\n');
    write_path(parts.uri.path().as_bytes(), style, &mut out);
    out.push(b'\n');
    write_query(parts.uri.query().unwrap_or_default().as_bytes(), left_out, &mut out);
    out.push(b'\n');
    for name in signed.iter() {
        write_header(&parts.headers, name, &mut out);
    }
    out.push(b'\n');
    out.extend_from_slice(signed.as_str().as_bytes());
    out.push(b'\n');
    payload.write(&mut out);
    out
}

fn write_path(path: &[u8], style: PathStyle, out: &mut Vec<u8>) {
    match style {
        PathStyle::EncodedOnce => {
            decoded(path).for_each(|byte| push_encoded(byte, byte == b'/', out));
        }
        PathStyle::EncodedTwice => write_normalized_path(path, out),
    }
}

/// RFC 3986 §5.2.4, and repeated slashes are one, as AWS has it.
fn write_normalized_path(path: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let mut directory = true;
    for segment in path.split(|&byte| byte == b'/') {
        directory = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().skip(start).rposition(|&byte| byte == b'/').unwrap_or(0);
                out.truncate(start + parent);
            }
            name => {
                out.push(b'/');
                for &byte in name {
                    push_encoded(byte, false, out);
                }
            }
        }
    }
    if directory || out.len() == start {
        out.push(b'/');
    }
}

/// Pairs sorted by encoded name, then value; each once decoded and encoded again, so that `%2f` and `%2F` are one.
fn write_query(query: &[u8], left_out: &[&str], out: &mut Vec<u8>) {
    if query.is_empty() {
        return;
    }
    let mut encoded = Vec::with_capacity(query.len() * 2);
    let mut pairs = Vec::new();
    for pair in query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |&byte| byte == b'=').peekable();
        if halves.peek().is_some_and(|name| left_out.iter().any(|left_out| left_out.as_bytes() == *name)) {
            continue;
        }
        let mut half = || {
            let start = encoded.len();
            decoded(halves.next().unwrap_or_default()).for_each(|byte| push_encoded(byte, false, &mut encoded));
            start..encoded.len()
        };
        pairs.push((half(), half()));
    }
    let text = |range: &std::ops::Range<usize>| encoded.get(range.clone()).unwrap_or_default();
    pairs.sort_by(|a, b| (text(&a.0), text(&a.1)).cmp(&(text(&b.0), text(&b.1))));
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(text(name));
        out.push(b'=');
        out.extend_from_slice(text(value));
    }
}

/// `name:value,value\n`, each value trimmed and its runs of spaces made one. A tab inside a value stays a tab, as in the
/// specification and the reference signer (botocore makes it a space).
///
/// Bytes, not text: HTTP permits any byte from 0x80 in a value.
fn write_header(headers: &HeaderMap, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    for (index, value) in header::values(headers, name).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let mut words = value.as_bytes().split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        if let Some(word) = words.next() {
            out.extend_from_slice(word);
        }
        for word in words {
            out.push(b' ');
            out.extend_from_slice(word);
        }
    }
    out.push(b'\n');
}

/// Undoes the encoding of forms: `+` is a space, a `%` that begins no escape stands for itself.
pub(super) fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            rest = after;
            return Some(high << 4 | low);
        }
        let (&byte, after) = rest.split_first()?;
        rest = after;
        Some(if byte == b'+' { b' ' } else { byte })
    })
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters, and `plain` ones.
fn push_encoded(byte: u8, plain: bool, out: &mut Vec<u8>) {
    if plain || byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        out.push(byte);
    } else {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
        out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
    }
}
