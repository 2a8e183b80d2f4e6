//! Two lists, each newest first and each with a cursor of its own, shown as one.

use std::collections::VecDeque;

use crate::clock::Timestamp;

/// As much of a list as was fetched.
#[derive(Debug)]
pub(crate) struct Side<C, T> {
    /// What was fetched, each item with where the list goes on behind it.
    pub(crate) items: VecDeque<(C, Timestamp, T)>,
    /// Where the list goes on behind all of them, and the time that nothing there is newer than. None: it ends there.
    pub(crate) rest: Option<(C, Timestamp)>,
    /// Where it goes on behind what was taken.
    place: Place<C>,
}

/// Where a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<C> {
    Start,
    Behind(C),
    End,
}

impl<C: Clone, T> Side<C, T> {
    /// The items fetched from `place` on.
    pub(crate) fn new(
        place: Place<C>,
        items: impl IntoIterator<Item = (C, Timestamp, T)>,
        rest: Option<(C, Timestamp)>,
    ) -> Self {
        Self { items: items.into_iter().collect(), rest, place }
    }

    /// The time of the next item; or, if that was not fetched, the latest that it may have.
    fn head(&self) -> Option<Timestamp> {
        self.items.front().map(|(_, at, _)| *at).or(self.rest.as_ref().map(|(_, at)| *at))
    }

    fn take(&mut self) -> Option<T> {
        let (place, _, item) = self.items.pop_front()?;
        self.place = Place::Behind(place);
        Some(item)
    }

    fn place(self) -> Place<C> {
        match (self.items.is_empty(), self.rest) {
            (false, _) => self.place,
            (true, Some((place, _))) => Place::Behind(place),
            (true, None) => Place::End,
        }
    }
}

/// At most `limit` items of both, newest first, and where each list goes on. Stops short where the next item of a list
/// was not fetched and may be newer than what was fetched of the other.
pub(crate) fn merge<A, B, T, U, V>(
    mut one: Side<A, T>,
    mut other: Side<B, U>,
    limit: usize,
    from_one: impl Fn(T) -> V,
    from_other: impl Fn(U) -> V,
) -> (Vec<V>, Place<A>, Place<B>)
where
    A: Clone,
    B: Clone,
{
    let mut merged = Vec::new();
    while merged.len() < limit {
        let next = if one.head() >= other.head() { one.take().map(&from_one) } else { other.take().map(&from_other) };
        match next {
            Some(item) => merged.push(item),
            None => break,
        }
    }
    (merged, one.place(), other.place())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// What an index into a list that is newest first holds, fetched `count` at a time.
    fn fetch(list: &[i64], place: Place<usize>, count: usize) -> Side<usize, i64> {
        let start = match place {
            Place::Start => 0,
            Place::Behind(start) => start,
            Place::End => list.len(),
        };
        let end = list.len().min(start + count);
        let items = (start..end).map(|n| (n + 1, Timestamp::from_millis(list[n]), list[n]));
        let rest = list.get(end).map(|_| (end, Timestamp::from_millis(list[end.max(1) - 1])));
        Side::new(place, items, rest)
    }

    proptest! {
        #[test]
        fn every_item_comes_once_and_in_order(
            mut one in vec(0..50_i64, 0..30),
            mut other in vec(0..50_i64, 0..30),
            counts in (1..9_usize, 1..9_usize, 1..9_usize),
        ) {
            one.sort_unstable_by_key(|at| -at);
            other.sort_unstable_by_key(|at| -at);
            let (mut places, mut found) = ((Place::Start, Place::Start), Vec::new());
            for _ in 0..200 {
                let sides = (fetch(&one, places.0, counts.0), fetch(&other, places.1, counts.1));
                let (items, first, second) = merge(sides.0, sides.1, counts.2, |at| (at, 1), |at| (at, 2));
                prop_assert!(items.len() <= counts.2);
                found.extend(items);
                places = (first, second);
                if places == (Place::End, Place::End) {
                    break;
                }
            }
            let mut all: Vec<_> = one.iter().map(|&at| (at, 1)).chain(other.iter().map(|&at| (at, 2))).collect();
            all.sort_unstable_by_key(|&(at, which)| (-at, which));
            prop_assert!(found.windows(2).all(|pair| pair[0].0 >= pair[1].0), "in order: {found:?}");
            found.sort_unstable_by_key(|&(at, which)| (-at, which));
            prop_assert_eq!(found, all);
        }
    }
}
