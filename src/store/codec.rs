//! Typed tables: keys whose bytes sort as the keys do, values as JSON.

use std::{marker::PhantomData, ops::Bound};

use serde::{Serialize, de::DeserializeOwned};

use super::Error;
use crate::{
    clock::Timestamp,
    model::{AccessKeyId, AccessRequestId, CredentialId, EnvironmentId, PolicyGroupId, ServiceId, UserName},
};

/// A table: its name, and the types of its keys and values.
pub struct Table<K, V> {
    pub(super) name: &'static str,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Table<K, V> {
    /// The table called `name`; it exists as soon as something is written to it.
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    pub(super) fn encode_value(&self, value: &V) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(value).map_err(|error| self.damaged(&error))
    }

    pub(super) fn decode_value(&self, bytes: &[u8]) -> Result<V, Error> {
        serde_json::from_slice(bytes).map_err(|error| self.damaged(&error))
    }

    pub(super) fn decode_key(&self, mut bytes: &[u8]) -> Result<K, Error> {
        K::decode(&mut bytes)
            .filter(|_| bytes.is_empty())
            .ok_or_else(|| Error::Damaged { table: self.name, reason: "its key has another form".into() })
    }

    /// Says where, not what: serde's own message may quote the value.
    fn damaged(&self, error: &serde_json::Error) -> Error {
        let reason = format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column());
        Error::Damaged { table: self.name, reason }
    }
}

/// A key: its bytes sort as the keys do, and show where they end, so that keys can be put together to pairs.
pub trait Key: Sized {
    /// Adds the key's bytes to `out`.
    fn encode(&self, out: &mut Vec<u8>);
    /// Takes the key's bytes from the beginning of `bytes`.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

pub(super) fn encode(key: &impl Key) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    key.encode(&mut out);
    out
}

/// The one key of a table that holds one value.
impl Key for () {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(0);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        bytes.split_off_first().filter(|&&byte| byte == 0).map(|_| ())
    }
}

/// Text without a zero byte; a zero byte ends it, and sorts before all that could follow.
impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        decode_text(bytes).map(str::to_owned)
    }
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    debug_assert!(!text.as_bytes().contains(&0), "a zero byte inside a key would end it");
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

fn decode_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    let text = bytes.split_off(..end)?;
    bytes.split_off_first()?;
    std::str::from_utf8(text).ok()
}

macro_rules! id_keys {
    ($($id:ident),*) => {$(
        impl Key for $id {
            fn encode(&self, out: &mut Vec<u8>) {
                encode_text(self.as_str(), out);
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                Self::new(decode_text(bytes)?).ok()
            }
        }

        /// No id is empty, so an empty text says that there is none.
        impl Key for Option<$id> {
            fn encode(&self, out: &mut Vec<u8>) {
                encode_text(self.as_ref().map_or("", $id::as_str), out);
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let text = decode_text(bytes)?;
                if text.is_empty() { Some(None) } else { $id::new(text).ok().map(Some) }
            }
        }
    )*};
}

id_keys!(AccessKeyId, AccessRequestId, CredentialId, EnvironmentId, PolicyGroupId, ServiceId, UserName);

impl Key for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.split_off(..8)?.try_into().ok()?))
    }
}

/// The sign bit is turned round, so that times before 1970 sort before the others.
impl Key for Timestamp {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.millis().cast_unsigned() ^ (1 << 63)).encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        u64::decode(bytes).map(|number| Self::from_millis((number ^ (1 << 63)).cast_signed()))
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::decode(bytes)?, B::decode(bytes)?))
    }
}

/// A stretch of keys.
pub struct Span<K> {
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    of: PhantomData<fn(K)>,
}

impl<K: Key> Span<K> {
    /// All keys.
    pub const fn all() -> Self {
        Self { lower: Bound::Unbounded, upper: Bound::Unbounded, of: PhantomData }
    }

    /// Only the keys after `key`.
    #[must_use]
    pub fn after(self, key: &K) -> Self {
        Self { lower: Bound::Excluded(encode(key)), ..self }
    }

    /// Only the keys before `key`.
    #[must_use]
    pub fn before(self, key: &K) -> Self {
        Self { upper: Bound::Excluded(encode(key)), ..self }
    }

    pub(super) fn as_slices(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (self.lower.as_ref().map(Vec::as_slice), self.upper.as_ref().map(Vec::as_slice))
    }

    pub(super) fn is_empty(&self) -> bool {
        match (&self.lower, &self.upper) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(lower), Bound::Included(upper)) => lower > upper,
            (Bound::Included(lower) | Bound::Excluded(lower), Bound::Included(upper) | Bound::Excluded(upper)) => {
                lower >= upper
            }
        }
    }
}

impl<A: Key, B: Key> Span<(A, B)> {
    /// The pairs that begin with `first`.
    pub fn of(first: &A) -> Self {
        Self::beginning(encode(first))
    }

    /// The pairs that begin with `first` or with less.
    pub fn up_to(first: &A) -> Self {
        Self { lower: Bound::Unbounded, ..Self::of(first) }
    }
}

impl<K: Key> Span<K> {
    /// The keys whose bytes begin with these.
    fn beginning(bytes: Vec<u8>) -> Self {
        // The smallest bytes that are larger than all that begin with these.
        let mut upper = bytes.clone();
        while upper.last() == Some(&u8::MAX) {
            upper.pop();
        }
        let upper = match upper.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(upper)
            }
            None => Bound::Unbounded,
        };
        Self { lower: Bound::Included(bytes), upper, of: PhantomData }
    }
}

impl<B: Key> Span<(String, B)> {
    /// The pairs whose text begins with `start`.
    pub fn starting(start: &str) -> Self {
        Self::beginning(start.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_sort_as_keys_do(
            a in ("[a-z]{0,3}", any::<i64>().prop_map(Timestamp::from_millis)),
            b in ("[a-z]{0,3}", any::<i64>().prop_map(Timestamp::from_millis)),
        ) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
            prop_assert_eq!(<(String, Timestamp)>::decode(&mut encode(&a).as_slice()), Some(a));
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_but_not_quoted() {
        let table = Table::<String, u64>::new("numbers");
        let error = table.decode_value(b"\"hunter2\"").unwrap_err().to_string();
        assert!(error.contains("numbers") && !error.contains("hunter2"), "{error}");
        assert!(table.decode_key(b"a\0b").is_err());
        assert!(table.decode_key(b"a").is_err());
    }
}
