//! Guessing passwords is slow, and fills neither memory nor disk. Nobody is locked out for good.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Timestamp;

/// So many failures cost nothing: people mistype.
const FREE: u32 = 5;
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// After so long without an attempt the failures are forgotten.
const FORGET: Duration = Duration::from_mins(15);
/// Names share so many places: an attacker who tries many names can't make us forget one, only make some wait.
const PLACES: usize = 4096;

/// How many failed sign-ins are recorded at once, and how fast that recovers: whoever floods the sign-in must not fill
/// the disk. The same for names that exist and names that do not, so that the time taken tells nothing.
const RECORDS: u32 = 30;
const RECORD_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Throttle {
    places: Mutex<Vec<Place>>,
    hasher: RandomState,
    records: Mutex<(u32, Timestamp)>,
}

#[derive(Clone, Copy)]
struct Place {
    failures: u32,
    last: Timestamp,
}

impl Default for Throttle {
    fn default() -> Self {
        let long_ago = Timestamp::from_millis(i64::MIN);
        Self {
            places: Mutex::new(vec![Place { failures: 0, last: long_ago }; PLACES]),
            hasher: RandomState::new(),
            records: Mutex::new((RECORDS, long_ago)),
        }
    }
}

impl Throttle {
    /// May `name` try now? If so the attempt counts as a failure until [`Throttle::succeeded`], so that many at once
    /// gain nothing. If not: when. An attempt that is turned away does not count.
    pub(super) fn attempt(&self, name: &str, now: Timestamp) -> Result<(), Duration> {
        self.with(name, |place| {
            if now.since(place.last) >= FORGET {
                place.failures = 0;
            }
            // A clock that was set back must not make anyone wait until it is there again.
            place.last = place.last.min(now);
            let wait = wait_after(place.failures);
            let remaining = wait.saturating_sub(now.since(place.last));
            if !remaining.is_zero() {
                return Err(remaining);
            }
            *place = Place { failures: place.failures.saturating_add(1), last: now };
            Ok(())
        })
    }

    pub(super) fn succeeded(&self, name: &str) {
        self.with(name, |place| place.failures = 0);
    }

    /// May one more failed sign-in be recorded?
    pub(super) fn may_record(&self, now: Timestamp) -> bool {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *records;
        let recovered = now.since(since).as_secs() / RECORD_EVERY.as_secs();
        let left = left.saturating_add(u32::try_from(recovered).unwrap_or(u32::MAX)).min(RECORDS);
        let since = if recovered > 0 || now < since { now } else { since };
        *records = (left.saturating_sub(1), since);
        left > 0
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(self.hasher.hash_one(name) % PLACES as u64).unwrap_or(0);
        #[expect(clippy::expect_used, reason = "the index is below PLACES, the length of the vector")]
        act(places.get_mut(index).expect("a place"))
    }
}

fn wait_after(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1 << more.min(6)).min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn waits_grow_to_a_minute_and_are_forgotten() {
        let throttle = Throttle::default();
        let mut now = at(1_764_000_000);
        for _ in 0..FREE {
            throttle.attempt("dora", now).unwrap();
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = throttle.attempt("dora", now).unwrap_err();
            assert_eq!(wait, Duration::from_secs(expected));
            now = now.plus(wait);
            throttle.attempt("dora", now).unwrap();
        }
        throttle.attempt("dora", now.plus(FORGET)).unwrap();
        throttle.attempt("dora", now.plus(FORGET)).unwrap();
    }

    #[test]
    fn success_ends_the_waiting_and_a_clock_set_back_does_not_prolong_it() {
        let throttle = Throttle::default();
        for _ in 0..FREE {
            throttle.attempt("dora", at(1000)).unwrap();
        }
        assert_eq!(throttle.attempt("dora", at(0)).unwrap_err(), Duration::from_secs(1));
        throttle.succeeded("dora");
        throttle.attempt("dora", at(0)).unwrap();
    }

    #[test]
    fn a_flood_leaves_few_records() {
        let throttle = Throttle::default();
        let recorded = (0..1000).filter(|_| throttle.may_record(at(1000))).count();
        assert_eq!(recorded, RECORDS as usize);
        assert!(!throttle.may_record(at(1009)));
        assert!(throttle.may_record(at(1010)));
        assert!(!throttle.may_record(at(1010)));
    }
}
