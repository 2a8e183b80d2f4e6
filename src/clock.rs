//! Time: the only caller of the system clock, so that everything else takes `now` as an argument.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description};
use utoipa::openapi::{
    KnownFormat, RefOr,
    schema::{ObjectBuilder, Schema, SchemaFormat, Type},
};

/// A point in time: milliseconds since the Unix epoch, UTC.
///
/// Serialises as RFC 3339 with milliseconds (`2026-11-23T20:05:48.123Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 time, or lies outside the years 0 to 9999.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-12-31T23:59:59Z")]
pub struct TimestampError;

impl Timestamp {
    /// The last moment that both RFC 3339 and X.509 can write: 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799_000);

    /// From milliseconds since the Unix epoch, brought into the years that RFC 3339 can write.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(-62_167_219_200_000, Self::MAX.0))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `span` more.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment less `span`.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads an RFC 3339 time, of any offset.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimestampError> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).map(Self::from_millis).map_err(|_| TimestampError)
    }

    /// As HTTP writes it, to the second: `Sun, 30 Aug 2015 12:36:00 GMT` (RFC 9110, section 5.6.7).
    pub fn http_date(self) -> String {
        let layout =
            format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        self.to_utc().format(layout).unwrap_or_default()
    }

    /// The calendar form, UTC.
    pub fn to_utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
            .to_offset(UtcOffset::UTC)
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new().schema_type(Type::String).examples(["2026-12-31T23:59:59Z"]);
        schema.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).description(Some("RFC 3339.")).into()
    }
}

impl utoipa::ToSchema for Timestamp {}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let signed = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => signed(after),
            Err(before) => -signed(before.duration()),
        })
    }
}

impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        let span = Duration::from_millis(at.0.unsigned_abs());
        if at.0 < 0 { UNIX_EPOCH - span } else { UNIX_EPOCH + span }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        f.write_str(&self.to_utc().format(layout).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Where `now` comes from: the system, or, in a test, a hand that sets it.
#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `at` until [`Clock::set`]; clones share it.
    pub fn manual(at: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(at.0))))
    }

    /// Sets a manual clock and all its clones; does nothing to the system's.
    pub fn set(&self, at: Timestamp) {
        if let Source::Manual(now) = &self.0 {
            now.store(at.0, Ordering::SeqCst);
        }
    }

    /// The present moment.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => SystemTime::now().into(),
            Source::Manual(now) => Timestamp(now.load(Ordering::SeqCst)),
        }
    }

    /// Waits for `span` of real time.
    #[expect(clippy::disallowed_methods, reason = "the one place that waits for time")]
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_rfc3339() {
        for text in ["1969-12-31T23:59:59.999Z", "2015-08-30T12:36:00.000Z", "9999-12-31T23:59:59.000Z"] {
            assert_eq!(Timestamp::parse_rfc3339(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Timestamp::parse_rfc3339("2026-01-01T02:00:00+02:00").unwrap().to_string(),
            "2026-01-01T00:00:00.000Z"
        );
        assert!(Timestamp::parse_rfc3339("2026-01-01").is_err());
    }

    #[test]
    fn writes_the_date_of_http() {
        for (text, date) in [
            ("2015-08-30T12:36:00.999Z", "Sun, 30 Aug 2015 12:36:00 GMT"),
            ("0001-01-01T00:00:00Z", "Mon, 01 Jan 0001 00:00:00 GMT"),
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text).unwrap().http_date(), date);
        }
    }

    #[test]
    fn goes_through_system_time_and_back() {
        for millis in [-1, 0, 1, 1_764_000_000_123] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(Timestamp::from(SystemTime::from(at)), at);
        }
    }

    #[test]
    fn a_manual_clock_is_shared_by_its_clones() {
        let clock = Clock::manual(Timestamp::from_millis(5));
        let other = clock.clone();
        clock.set(Timestamp::from_millis(7));
        assert_eq!(other.now().millis(), 7);
    }
}
