//! Room that is shared: so much for all together, of which no address has more than a quarter.
//!
//! Whose body it is can't be known before it is here, since the signature is over its hash. So what a body takes is counted
//! against the address that it comes from, which nobody can claim to be another's: one machine that begins bodies and never
//! ends them leaves the others their room, whatever key it names.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One address may have this part of the room.
const PART: usize = 4;

/// Of an IPv6 address, what a network gives to one machine, which then makes up the rest as it likes (RFC 4291,
/// section 2.5.4).
const PREFIX: u32 = 64;

/// Room of so many units.
#[derive(Clone, Debug)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    /// What one address may have.
    share: usize,
    shares: Arc<Mutex<HashMap<IpAddr, Arc<Semaphore>>>>,
}

/// Some of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    all: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

impl Room {
    /// Room of `all` units. One address may have a quarter, or `least` if that is more.
    pub(super) fn new(all: usize, least: usize) -> Self {
        let all = all.min(Semaphore::MAX_PERMITS);
        let share = (all / PART).max(least).min(all);
        Self { all: Arc::new(Semaphore::new(all)), share, shares: Arc::default() }
    }

    /// Waits until there are so many units for the address `client`. None if there never can be.
    pub(super) async fn take(&self, client: IpAddr, units: usize) -> Option<Place> {
        let many = u32::try_from(units).ok().filter(|_| units <= self.share)?;
        // The own share first: who waits for that keeps nothing from others.
        let share = self.share_of(client).acquire_many_owned(many).await.ok()?;
        let all = Arc::clone(&self.all).acquire_many_owned(many).await.ok()?;
        Some(Place { all, share })
    }

    /// A place of nothing, to be enlarged.
    pub(super) fn begin(&self, client: IpAddr) -> Option<Place> {
        let share = self.share_of(client).try_acquire_many_owned(0).ok()?;
        Some(Place { all: Arc::clone(&self.all).try_acquire_many_owned(0).ok()?, share })
    }

    fn share_of(&self, client: IpAddr) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        // Before it grows, those go that nobody holds anything of.
        if shares.len() == shares.capacity() {
            shares.retain(|_, share| Arc::strong_count(share) > 1);
        }
        Arc::clone(shares.entry(network(client)).or_insert_with(|| Arc::new(Semaphore::new(self.share))))
    }
}

impl Place {
    /// How many units it has.
    pub(super) fn units(&self) -> usize {
        self.all.num_permits()
    }

    /// Makes it one of `units`, if they are free. Does not wait: two that hold a part each would wait for each other.
    pub(super) fn enlarge(&mut self, units: usize) -> Option<()> {
        let missing = u32::try_from(units.saturating_sub(self.units())).ok()?;
        if missing > 0 {
            let share = Arc::clone(self.share.semaphore()).try_acquire_many_owned(missing).ok()?;
            self.all.merge(Arc::clone(self.all.semaphore()).try_acquire_many_owned(missing).ok()?);
            self.share.merge(share);
        }
        Some(())
    }
}

fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << PREFIX))),
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    fn from(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[tokio::test]
    async fn one_address_leaves_the_others_their_room() {
        let room = Room::new(16, 1);
        let mut ones = room.take(from("192.0.2.1"), 3).await.unwrap();
        ones.enlarge(4).unwrap();
        assert!(ones.enlarge(5).is_none());
        assert_eq!((ones.units(), room.all.available_permits()), (4, 12));
        let mut waits = Box::pin(room.take(from("192.0.2.1"), 1));
        assert!(std::future::poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending())).await);
        let others = room.take(from("192.0.2.2"), 4).await.unwrap();
        drop(ones);
        assert_eq!(waits.await.unwrap().units(), 1);
        assert!(room.take(from("192.0.2.3"), 5).await.is_none(), "it would wait for ever");
        drop(others);
        assert_eq!(room.all.available_permits(), 16);
    }

    #[tokio::test]
    async fn all_together_have_a_bound() {
        let room = Room::new(8, 1);
        let places: Vec<_> = (1..5).map(|last| (room.begin(from(&format!("192.0.2.{last}"))).unwrap(), last)).collect();
        let mut held: Vec<_> = places
            .into_iter()
            .map(|(mut place, _)| {
                place.enlarge(2).unwrap();
                place
            })
            .collect();
        let mut late = room.begin(from("192.0.2.9")).unwrap();
        assert!(late.enlarge(1).is_none());
        held.pop();
        late.enlarge(2).unwrap();
    }

    #[test]
    fn a_machine_with_many_addresses_of_version_6_is_one() {
        let room = Room::new(16, 1);
        let mut first = room.begin(from("2001:db8::1")).unwrap();
        first.enlarge(4).unwrap();
        assert!(room.begin(from("2001:db8::ffff:2")).unwrap().enlarge(1).is_none());
        assert!(room.begin(from("2001:db8:0:1::1")).unwrap().enlarge(1).is_some());
    }

    #[test]
    fn the_largest_body_has_room_and_addresses_that_hold_nothing_are_forgotten() {
        let room = Room::new(16, 9);
        room.begin(from("192.0.2.1")).unwrap().enlarge(9).unwrap();
        for last in 0..=255 {
            room.begin(from(&format!("192.0.2.{last}"))).unwrap().enlarge(9).unwrap();
        }
        assert!(room.shares.lock().unwrap().len() < 32);
    }
}
