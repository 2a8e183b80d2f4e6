//! Guessing passwords and codes is slow, and fills neither memory nor disk. Nobody is locked out for good.
//!
//! Attempts are counted for a name from one address, for a name from anywhere, and for an address with any name.
//! Whoever has signed in from where they are is held to the first alone: others who guess their password elsewhere, or
//! other passwords where they are, don't make them wait. The address is that of the connection: behind a program that
//! ends TLS all come from one, so that there it is the names that count.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Timestamp;

/// After so long without an attempt the failures are forgotten.
const FORGET: Duration = Duration::from_mins(15);
/// So long somebody is known where they have signed in, unless the appliance restarts.
const KNOWN: Duration = Duration::from_hours(30 * 24);
/// Names and addresses share so many places: an attacker who tries many can't make us forget one, only make some wait.
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
    known_until: Timestamp,
}

/// What attempts are counted for.
#[derive(Clone, Copy, Hash)]
enum Subject<'a> {
    Address(IpAddr),
    /// The second factor of somebody whose password is known already.
    Code(&'a str),
    Name(&'a str),
    NameFrom(&'a str, Option<IpAddr>),
}

impl Subject<'_> {
    /// How many failures cost nothing, since people mistype; and the longest wait after more.
    fn limits(self) -> (u32, Duration) {
        match self {
            // Several people may share an address.
            Self::Address(_) => (30, Duration::from_mins(1)),
            // Six digits, three of which are right at a time: at this pace a year of guessing finds one in six.
            Self::Code(_) => (5, Duration::from_mins(10)),
            Self::Name(_) => (20, Duration::from_mins(1)),
            Self::NameFrom(..) => (5, Duration::from_mins(1)),
        }
    }

    fn wait_after(self, failures: u32) -> Duration {
        let (free, longest) = self.limits();
        match failures.checked_sub(free) {
            None => Duration::ZERO,
            Some(more) => Duration::from_secs(1 << more.min(16)).min(longest),
        }
    }
}

/// An attempt that may be made. It counts as a failure until it has succeeded, so that many at once gain nothing.
#[must_use]
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    subjects: Vec<Subject<'a>>,
    now: Timestamp,
}

impl Default for Throttle {
    fn default() -> Self {
        let long_ago = Timestamp::from_millis(i64::MIN);
        let place = Place { failures: 0, last: long_ago, known_until: long_ago };
        Self {
            places: Mutex::new(vec![place; PLACES]),
            hasher: RandomState::new(),
            records: Mutex::new((RECORDS, long_ago)),
        }
    }
}

impl Throttle {
    /// May the password of `name` be tried now, from `address` if that is known? If not: when.
    pub(super) fn attempt<'a>(
        &'a self,
        name: &'a str,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Attempt<'a>, Duration> {
        let address = address.map(network);
        let from = Subject::NameFrom(name, address);
        let mut subjects = vec![from];
        if self.with(from, |place| place.known_until <= now) {
            subjects.push(Subject::Name(name));
            subjects.extend(address.map(Subject::Address));
        }
        self.admit(subjects, now)
    }

    /// May a code of the second factor of `name` be tried now? If not: when.
    pub(super) fn attempt_code<'a>(&'a self, name: &'a str, now: Timestamp) -> Result<Attempt<'a>, Duration> {
        self.admit(vec![Subject::Code(name)], now)
    }

    /// An attempt that is turned away does not count.
    fn admit<'a>(&'a self, subjects: Vec<Subject<'a>>, now: Timestamp) -> Result<Attempt<'a>, Duration> {
        let remaining = |subject: &Subject<'_>| {
            self.with(*subject, |place| {
                if now.since(place.last) >= FORGET {
                    place.failures = 0;
                }
                // A clock that was set back must not make anyone wait until it is there again.
                place.last = place.last.min(now);
                subject.wait_after(place.failures).saturating_sub(now.since(place.last))
            })
        };
        let wait = subjects.iter().map(remaining).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        for subject in &subjects {
            self.with(*subject, |place| {
                place.failures = place.failures.saturating_add(1);
                place.last = now;
            });
        }
        Ok(Attempt { throttle: self, subjects, now })
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

    fn with<T>(&self, subject: Subject<'_>, act: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let index = usize::try_from(self.hasher.hash_one(subject) % PLACES as u64).unwrap_or(0);
        #[expect(clippy::expect_used, reason = "the index is below PLACES, the length of the vector")]
        act(places.get_mut(index).expect("a place"))
    }
}

impl Attempt<'_> {
    /// The password, or the code, was right.
    pub(super) fn succeeded(self) {
        for subject in &self.subjects {
            self.throttle.with(*subject, |place| match subject {
                // Else an attacker's own account would cover up their guesses at others.
                Subject::Address(_) => place.failures = place.failures.saturating_sub(1),
                Subject::Code(_) | Subject::Name(_) => place.failures = 0,
                Subject::NameFrom(..) => {
                    place.failures = 0;
                    place.known_until = self.now.plus(KNOWN);
                }
            });
        }
    }
}

/// With IPv6 everybody has a whole network of addresses to come from.
fn network(address: IpAddr) -> IpAddr {
    const FIRST_64: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & FIRST_64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: u32 = 5;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// As many tries as there may be at one moment, up to `most`.
    fn tries(throttle: &Throttle, name: impl Fn(u32) -> String, from: impl Fn(u32) -> IpAddr) -> u32 {
        (0..100)
            .take_while(|&n| throttle.attempt(&name(n), Some(from(n)), at(1000)).is_ok())
            .count()
            .try_into()
            .unwrap()
    }

    #[test]
    fn waits_grow_to_a_minute_and_are_forgotten() {
        let throttle = Throttle::default();
        let attempt = |now| throttle.attempt("dora", None, now).map(drop);
        let mut now = at(1_764_000_000);
        for _ in 0..FREE {
            attempt(now).unwrap();
        }
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = attempt(now).unwrap_err();
            assert_eq!(wait, Duration::from_secs(expected));
            now = now.plus(wait);
            attempt(now).unwrap();
        }
        attempt(now.plus(FORGET)).unwrap();
        attempt(now.plus(FORGET)).unwrap();
    }

    #[test]
    fn success_ends_the_waiting_and_a_clock_set_back_does_not_prolong_it() {
        let throttle = Throttle::default();
        let last = (0..FREE).map(|_| throttle.attempt("dora", None, at(1000)).unwrap()).last().unwrap();
        assert_eq!(throttle.attempt("dora", None, at(0)).err(), Some(Duration::from_secs(1)));
        last.succeeded();
        throttle.attempt("dora", None, at(0)).map(drop).unwrap();
    }

    #[test]
    fn a_name_is_guarded_from_everywhere_and_an_address_with_every_name() {
        let throttle = Throttle::default();
        let many = |n: u32| IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()]);
        let guessed = tries(&throttle, |_| "dora".into(), many);
        assert_eq!(guessed, 20, "one name from many addresses");
        let throttle = Throttle::default();
        let sprayed = tries(&throttle, |n| format!("name{n}"), |_| address("10.0.0.1"));
        assert!((28..=30).contains(&sprayed), "many names from one address: {sprayed}");
        let throttle = Throttle::default();
        let roaming = tries(&throttle, |n| format!("name{n}"), |n| address(&format!("2001:db8::{n:x}")));
        assert!((28..=30).contains(&roaming), "one network: {roaming}");
    }

    #[test]
    fn who_is_known_where_they_are_waits_for_nobody_else() {
        let throttle = Throttle::default();
        throttle.attempt("dora", Some(address("10.0.0.1")), at(0)).unwrap().succeeded();
        for n in 0..20 {
            throttle.attempt("dora", Some(address(&format!("10.0.1.{n}"))), at(1000)).map(drop).unwrap();
        }
        assert!(throttle.attempt("dora", Some(address("10.0.1.99")), at(1000)).is_err());
        throttle.attempt("dora", Some(address("10.0.0.1")), at(1000)).map(drop).unwrap();
    }

    #[test]
    fn an_account_of_ones_own_does_not_cover_up_guesses_at_others() {
        let throttle = Throttle::default();
        let mut guesses = 0;
        while guesses < 100 && throttle.attempt(&format!("name{guesses}"), Some(address("10.0.0.1")), at(1000)).is_ok()
        {
            throttle.attempt("mallory", Some(address("10.0.0.1")), at(1000)).unwrap().succeeded();
            guesses += 1;
        }
        assert!(guesses <= 30, "{guesses}");
    }

    #[test]
    fn guessing_codes_gets_slower_than_guessing_passwords() {
        let throttle = Throttle::default();
        let mut now = at(1_764_000_000);
        let day = now.plus(Duration::from_hours(24));
        let mut tries = 0;
        while now < day {
            match throttle.attempt_code("dora", now) {
                Ok(_) => tries += 1,
                Err(wait) => now = now.plus(wait),
            }
        }
        assert!((140..170).contains(&tries), "{tries}");
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
