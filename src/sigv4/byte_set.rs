//! Sets of bytes, as tables: the head of every call is held against them byte by byte.

/// A set of bytes.
pub(super) struct Set([bool; 256]);

impl Set {
    /// The bytes of these ranges, both ends included, one after the other.
    #[expect(clippy::indexing_slicing, reason = "a byte is an index into 256")]
    pub(super) const fn of(ranges: &[u8]) -> Self {
        let (mut table, mut rest) = ([false; 256], ranges);
        while let [first, last, after @ ..] = rest {
            let mut byte = *first as usize;
            while byte <= *last as usize {
                table[byte] = true;
                byte += 1;
            }
            rest = after;
        }
        Self(table)
    }

    /// Are all bytes of `text` in it?
    pub(super) fn holds(&self, text: &str) -> bool {
        text.bytes().all(|byte| self.0.get(usize::from(byte)).is_some_and(|is_in| *is_in))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn holds_its_ranges_alone() {
        let set = super::Set::of(b"09az");
        assert!(set.holds("") && set.holds("0123456789abcxyz"));
        for text in ["/", ":", "`", "{", "A", "\u{0}"] {
            assert!(!set.holds(text), "{text}");
        }
    }
}
