//! CBOR (RFC 8949), as Smithy's RPC v2 and the older AWS JSON protocols over CBOR write it.
//!
//! A tag may give what it stands before another meaning, as references to earlier strings do: what is tagged is no text.

use std::borrow::Cow;

use super::{
    Doubt,
    value::{Allowance, DEEPEST, Value},
};

/// Reads a whole body; one of no length has no members.
pub(super) fn read(body: &[u8]) -> Result<Value<'_>, Doubt> {
    if body.is_empty() {
        return Ok(Value::Members(Vec::new()));
    }
    let mut reader = Reader { rest: body, allowance: Allowance::default() };
    let value = reader.value(0)?.ok_or(Doubt)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Doubt) }
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MEMBERS: u8 = 5;
const TAG: u8 = 6;

struct Reader<'b> {
    rest: &'b [u8],
    allowance: Allowance,
}

/// What an item begins with: its major type, and a number; none if the item ends with a break of its own.
struct Head(u8, Option<u64>);

impl<'b> Reader<'b> {
    /// The next value; none if a break ends what it would be in.
    fn value(&mut self, depth: u32) -> Result<Option<Value<'b>>, Doubt> {
        if self.rest.first() == Some(&0xff) {
            self.take(1)?;
            return Ok(None);
        }
        self.allowance.take()?;
        if depth > DEEPEST {
            return Err(Doubt);
        }
        let Head(kind, number) = self.head()?;
        Ok(Some(match (kind, number) {
            (0 | 1, Some(_)) => Value::Other,
            (BYTES | TEXT, _) => self.string(kind, number)?,
            (LIST, count) => {
                let mut all = Vec::new();
                while self.goes_on(count, all.len())? {
                    let Some(item) = self.value(depth + 1)? else { break };
                    all.push(item);
                }
                counted(count, all.len())?;
                Value::List(all)
            }
            (MEMBERS, count) => {
                let mut all = Vec::new();
                while self.goes_on(count, all.len())? {
                    let Some(key) = self.value(depth + 1)? else { break };
                    let (Value::Text(key), Some(value)) = (key, self.value(depth + 1)?) else { return Err(Doubt) };
                    all.push((key, value));
                }
                counted(count, all.len())?;
                Value::Members(all)
            }
            (TAG, Some(_)) => {
                self.value(depth + 1)?.ok_or(Doubt)?;
                Value::Other
            }
            // null and undefined
            (7, Some(22 | 23)) => Value::Null,
            (7, Some(_)) => Value::Other,
            _ => return Err(Doubt),
        }))
    }

    fn goes_on(&self, count: Option<u64>, so_far: usize) -> Result<bool, Doubt> {
        if self.rest.is_empty() && count != Some(so_far as u64) {
            return Err(Doubt);
        }
        Ok(count != Some(so_far as u64))
    }

    fn string(&mut self, kind: u8, length: Option<u64>) -> Result<Value<'b>, Doubt> {
        let bytes = if let Some(length) = length {
            Cow::Borrowed(self.take(usize::try_from(length).map_err(|_| Doubt)?)?)
        } else {
            let mut all = Vec::new();
            while self.rest.first() != Some(&0xff) {
                let Head(inner, Some(length)) = self.head()? else { return Err(Doubt) };
                let piece = self.take(usize::try_from(length).map_err(|_| Doubt)?)?;
                // Each piece is text by itself.
                if inner != kind || (kind == TEXT && std::str::from_utf8(piece).is_err()) {
                    return Err(Doubt);
                }
                all.extend_from_slice(piece);
            }
            self.take(1)?;
            Cow::Owned(all)
        };
        if kind == BYTES {
            return Ok(Value::Other);
        }
        Ok(Value::Text(match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| Doubt)?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).map_err(|_| Doubt)?),
        }))
    }

    fn head(&mut self) -> Result<Head, Doubt> {
        let &[first] = self.take(1)? else { return Err(Doubt) };
        let number = match first & 0x1f {
            small @ 0..24 => u64::from(small),
            size @ 24..=27 => self.take(1 << (size - 24))?.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
            31 => return Ok(Head(first >> 5, None)),
            _ => return Err(Doubt),
        };
        // A float's bits are no number of a simple value.
        let is_float = first >> 5 == 7 && first & 0x1f > 24;
        Ok(Head(first >> 5, Some(if is_float { 0 } else { number })))
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Doubt> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Doubt)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// A break is for what has no count.
fn counted(count: Option<u64>, found: usize) -> Result<(), Doubt> {
    if count.is_none_or(|count| count == found as u64) { Ok(()) } else { Err(Doubt) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            place::Step::Member,
            value::{MOST_VALUES, found},
        },
        *,
    };

    fn name(body: &[u8]) -> Result<Vec<String>, Doubt> {
        let value = read(body)?;
        Ok(found(&value, &[Member("Name")], true)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_read_in_every_form_that_cbor_has() {
        let one = || Ok(vec!["ab".to_owned()]);
        for (body, expected) in [
            (&b"\xa1\x64Name\x62ab"[..], one()),
            (b"\xbf\x64Name\x62ab\xff", one()),
            (b"\xa1\x78\x04Name\x79\0\x02ab", one()),
            (b"\xa1\x7a\0\0\0\x04Name\x7b\0\0\0\0\0\0\0\x02ab", one()),
            (b"\xa1\x64Name\x7f\x61a\x61b\xff", one()),
            (b"\xa1\x7f\x62Na\x62me\xff\x62ab", one()),
            (b"\xa2\x61x\xc1\xfb\0\0\0\0\0\0\0\0\x64Name\x62ab", one()),
            (b"\xa3\x61x\x83\x01\x20\x42zz\x61y\xf9\0\x16\x64Name\x62ab", one()),
            (b"\xa1\x64Name\xf6", Ok(vec![])),
            (b"", Ok(vec![])),
            (b"\xa0", Ok(vec![])),
            (b"\xa2\x64Name\x62ab\x64Name\x62ab", Err(Doubt)),
            (b"\xa2\x64Name\x62ab\x64name\x62ab", Err(Doubt)),
            (b"\xa1\x64Name\x42ab", Err(Doubt)),
            (b"\xa1\x64Name\xc0\x62ab", Err(Doubt)),
            (b"\xd9\xd9\xf7\xa1\x64Name\x62ab", Err(Doubt)),
            (b"\xd9\x01\0\xa1\x64Name\xd8\x19\0", Err(Doubt)),
            (b"\xa1\x44Name\x62ab", Err(Doubt)),
            (b"\xa1\x64Name\x62ab\0", Err(Doubt)),
            (b"\xa1\x64Name", Err(Doubt)),
            (b"\xa1\x64Name\xff", Err(Doubt)),
            (b"\xa2\x64Name\x62ab\xff", Err(Doubt)),
            (b"\xbf\x64Name\x62ab", Err(Doubt)),
            (b"\xbf\x64Name\xff", Err(Doubt)),
            (b"\xa1\x64Name\x7f\x42ab\xff", Err(Doubt)),
            (b"\xa1\x64Name\x62\xff\xff", Err(Doubt)),
            (b"\xa1\x64Name\x7b\xff\xff\xff\xff\xff\xff\xff\xff", Err(Doubt)),
            (b"\xa1\x64Name\x7c", Err(Doubt)),
        ] {
            assert_eq!(name(body), expected, "{body:02x?}");
        }
    }

    #[test]
    fn no_body_costs_more_than_is_allowed() {
        assert_eq!(read(&vec![0x81; 100_000]), Err(Doubt));
        assert_eq!(read(&[0x9f; 10]), Err(Doubt));
        assert_eq!(read(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\0"), Err(Doubt));
        let many = [&b"\x9f"[..], &vec![0; MOST_VALUES as usize], b"\xff"].concat();
        assert_eq!(read(&many), Err(Doubt));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_stumble(body in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let _ = read(&body);
        }
    }
}
