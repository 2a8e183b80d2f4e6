//! Spans of time as people write them: `30d`, `12h`, `45m`.

use std::time::Duration;

/// No span of time that could be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number with a unit, such as 45m, 12h, 30d or 2w, of at most ten years")]
pub struct DurationError;

const LONGEST: u64 = 3660 * 86_400;

/// Reads a span: a whole number and one of `s`, `m`, `h`, `d`, `w`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(DurationError)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(DurationError),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError);
    }
    let number: u64 = digits.parse().map_err(|_| DurationError)?;
    let span = number.checked_mul(seconds).filter(|&span| span <= LONGEST).ok_or(DurationError)?;
    Ok(Duration::from_secs(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_with_a_unit() {
        for (text, seconds) in [("0s", 0), ("45m", 2700), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "30", "+1d", "-1d", "1.5h", "1 d", "1y", "1D", "9999d", "99999999999999999999d", "1é"] {
            assert_eq!(parse_duration(text), Err(DurationError), "{text}");
        }
    }
}
