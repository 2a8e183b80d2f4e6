//! The one form of time that a signature knows: `20150830T123600Z`.

use time::{
    Date, Month, OffsetDateTime, PrimitiveDateTime, format_description::StaticFormatDescription,
    macros::format_description,
};

use crate::clock::Timestamp;

/// ISO 8601's basic form; the zeros stand for digits. Read and written by hand: every call does both.
const ISO_BASIC: [u8; 16] = *b"00000000T000000Z";
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
        let utc = OffsetDateTime::from_unix_timestamp(now.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        // A Timestamp's year lies between 0 and 9999.
        let century = |year: i32| u8::try_from(year).unwrap_or_default();
        let (year, (hour, minute, second)) = (utc.year(), utc.to_hms());
        let numbers = [century(year / 100), century(year % 100), utc.month().into(), utc.day(), hour, minute, second];
        let mut text = ISO_BASIC;
        // Four pairs and a `T`, three and a `Z`.
        let (date, time) = text.split_at_mut(9);
        let places = date.as_chunks_mut().0.iter_mut().chain(time.as_chunks_mut().0);
        places.zip(numbers).for_each(|(place, number)| *place = [b'0' + number / 10, b'0' + number % 10]);
        Self { at: Timestamp::from_millis(now.seconds() * 1000), text }
    }

    /// Reads `20150830T123600Z`.
    pub(super) fn parse_iso_basic(text: &[u8]) -> Option<Self> {
        let text: [u8; 16] = text.try_into().ok()?;
        let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        if !text.iter().zip(&ISO_BASIC).all(fits) {
            return None;
        }
        let mut digits = text.iter().filter(|byte| byte.is_ascii_digit()).map(|digit| digit - b'0');
        let mut number = || Some(digits.next()? * 10 + digits.next()?);
        let year = i32::from(number()?) * 100 + i32::from(number()?);
        let date = Date::from_calendar_date(year, Month::try_from(number()?).ok()?, number()?).ok()?;
        let utc = date.with_hms(number()?, number()?, number()?).ok()?.assume_utc();
        Some(Self { at: Timestamp::from_millis(utc.unix_timestamp() * 1000), text })
    }

    /// Reads `Sun, 30 Aug 2015 12:36:00 GMT`.
    pub(super) fn parse_http_date(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let utc = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc();
        // What reads back differently (a sign before the year, a wrong day of the week) was not in the form.
        (utc.format(HTTP_DATE).ok()? == text).then(|| Self::of(Timestamp::from_millis(utc.unix_timestamp() * 1000)))
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
        for text in ["00000101T000000Z", "19691231T235959Z", "20240229T000000Z", "99991231T235959Z"] {
            let moment = Moment::parse_iso_basic(text.as_bytes()).unwrap();
            assert_eq!((moment.as_str(), Moment::of(moment.at())), (text, moment));
        }
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
