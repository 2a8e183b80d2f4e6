//! The one form of time that a signature knows: `20150830T123600Z`.

use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::StaticFormatDescription, macros::format_description,
};

use crate::clock::Timestamp;

const ISO_BASIC: StaticFormatDescription = format_description!("[year][month][day]T[hour][minute][second]Z");
/// RFC 9110 §5.6.7, the preferred form; what a `Date` header holds.
const HTTP_DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A moment to the second, with its text at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    at: Timestamp,
    text: [u8; 16],
}

impl Moment {
    /// `now`, cut to the second.
    pub(super) fn of(now: Timestamp) -> Self {
        let mut text = *b"00000101T000000Z";
        // Every Timestamp lies in the years 0 to 9999, so the text always has 16 bytes and this can't fail.
        let written = now.to_utc().format_into(&mut text.as_mut_slice(), ISO_BASIC);
        debug_assert!(matches!(written, Ok(16)));
        Self { at: Timestamp::from_millis(now.seconds() * 1000), text }
    }

    /// Reads `20150830T123600Z`.
    pub(super) fn parse_iso_basic(text: &[u8]) -> Option<Self> {
        Self::parse(text, ISO_BASIC)
    }

    /// Reads `Sun, 30 Aug 2015 12:36:00 GMT`.
    pub(super) fn parse_http_date(text: &[u8]) -> Option<Self> {
        Self::parse(text, HTTP_DATE)
    }

    fn parse(text: &[u8], form: StaticFormatDescription) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let moment: OffsetDateTime = PrimitiveDateTime::parse(text, form).ok()?.assume_utc();
        // What reads back differently (a sign before the year, a wrong day of the week) was not in the form.
        (moment.format(form).ok()? == text).then(|| Self::of(Timestamp::from_millis(moment.unix_timestamp() * 1000)))
    }

    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// `20150830`.
    pub(super) fn day(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let iso = Moment::parse_iso_basic(b"20150830T123600Z").unwrap();
        assert_eq!(Moment::parse_http_date(b"Sun, 30 Aug 2015 12:36:00 GMT"), Some(iso));
        assert_eq!((iso.as_str(), iso.day()), ("20150830T123600Z", "20150830"));
        assert_eq!(Moment::of(iso.at().plus(std::time::Duration::from_millis(999))), iso);
    }

    #[test]
    fn refuses_what_is_nearly_a_date() {
        for text in [
            "",
            "20150830T123600",
            "20150830t123600z",
            "20150830T123660Z",
            "20150230T123600Z",
            "20151330T123600Z",
            "+2015083T123600Z",
            "2015-08-30T12:36:00Z",
            "20150830T123600Z ",
            "２0150830T1236Z",
        ] {
            assert_eq!(Moment::parse_iso_basic(text.as_bytes()), None, "{text}");
        }
        for text in [
            "Mon, 30 Aug 2015 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:00 UTC",
            "sun, 30 aug 2015 12:36:00 gmt",
            "Sun, 30 Aug 15 12:36:00 GMT",
            "20150830T123600Z",
        ] {
            assert_eq!(Moment::parse_http_date(text.as_bytes()), None, "{text}");
        }
    }
}
