//! Sizes and durations as people write them: `16MiB`, `400d`.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];
const SPANS: &[(&str, u64)] = &[("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 7 * 86_400)];

/// A number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let bytes =
        if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { number_and_unit(text, SIZES) };
    bytes.ok_or_else(|| format!("must be a size such as 16MiB (units: {}), not \"{text}\"", units(SIZES)))
}

/// A span of time.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    number_and_unit(text.trim(), SPANS)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("must be a duration such as 400d (units: {}), not \"{}\"", units(SPANS), text.trim()))
}

fn number_and_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn units(of: &[(&str, u64)]) -> String {
    of.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("16777216", Some(16 << 20)),
            ("16MiB", Some(16 << 20)),
            (" 16 mib ", Some(16 << 20)),
            ("1kB", Some(1000)),
            ("3GiB", Some(3 << 30)),
            ("", None),
            ("MiB", None),
            ("1.5MiB", None),
            ("-1MiB", None),
            ("16M", None),
            ("99999999999GiB", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn reads_durations() {
        for (text, seconds) in [
            ("400d", Some(400 * 86_400)),
            ("90 s", Some(90)),
            ("15m", Some(900)),
            ("2w", Some(14 * 86_400)),
            ("0d", Some(0)),
            ("400", None),
            ("d", None),
            ("1d12h", None),
            ("1ä", None),
        ] {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
