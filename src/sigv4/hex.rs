//! SHA-256 in hex, as AWS writes it: lower case. By hand, because every call does it five times.

/// The 64 digits of 32 bytes; of fewer, the rest is zeros.
pub(super) fn encode(bytes: &[u8]) -> [u8; 64] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    let mut text = [b'0'; 64];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    text
}

/// Reads 64 digits. Upper case is another text, and AWS compares texts.
pub(super) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    // Beyond 15: no digit.
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 0xff,
    };
    let text: &[u8; 64] = text.try_into().ok()?;
    let (mut bytes, mut all) = ([0; 32], 0);
    for (byte, &[high, low]) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        let (high, low) = (value(high), value(low));
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all <= 15).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_the_crate(bytes: [u8; 32]) {
            let text = super::encode(&bytes);
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), hex::encode(bytes));
            prop_assert_eq!(super::decode(&text), Some(bytes));
        }

        #[test]
        fn takes_lower_case_hex_alone(bytes: [u8; 32], at in 0..64_usize, other: u8) {
            let mut text = super::encode(&bytes);
            text[at] = other;
            let expected = if other.is_ascii_uppercase() { None } else { hex::decode(text).ok() };
            prop_assert_eq!(super::decode(&text).map(|bytes| bytes.to_vec()), expected);
        }
    }

    #[test]
    fn takes_64_digits_alone() {
        assert_eq!(super::decode(&[b'0'; 64]), Some([0; 32]));
        for length in [0, 1, 62, 63, 65, 66, 128] {
            assert_eq!(super::decode(&vec![b'0'; length]), None, "{length}");
        }
    }
}
