//! How much may be under way at once, and who is next.
//!
//! A server is asked no more than its administrator allows, and a machine has so many threads. Whoever asks for much must not keep those waiting who ask for
//! little: a place that gets free goes to the party that has the fewest, and only among equals to the one that has waited
//! longest. A party alone may have all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// So many places, for which parties wait.
pub struct Limit {
    inner: Mutex<Inner>,
}

struct Inner {
    /// While anybody waits there is none.
    free: usize,
    /// Those who have a place, or wait for one.
    parties: HashMap<Arc<str>, Party>,
    arrivals: u64,
}

#[derive(Default)]
struct Party {
    has: usize,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    arrival: u64,
    place: oneshot::Sender<Place>,
}

/// The right to have one thing under way, until it is dropped.
pub struct Place {
    limit: Arc<Limit>,
    party: Arc<str>,
}

impl Limit {
    /// So many places, at least one.
    pub fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                free: places.max(1),
                parties: HashMap::new(),
                arrivals: 0,
            }),
        })
    }

    /// Waits for a place in the name of that party. `None` cannot come while the limit lives.
    pub async fn place(self: &Arc<Self>, party: &Arc<str>) -> Option<Place> {
        let turn = {
            let mut inner = self.lock();
            if inner.free > 0 {
                inner.free -= 1;
                inner.parties.entry(Arc::clone(party)).or_default().has += 1;
                return Some(self.place_of(Arc::clone(party)));
            }
            inner.arrivals += 1;
            let arrival = inner.arrivals;
            let (place, turn) = oneshot::channel();
            let of_party = inner.parties.entry(Arc::clone(party)).or_default();
            of_party.waiting.push_back(Waiting { arrival, place });
            turn
        };
        turn.await.ok()
    }

    fn place_of(self: &Arc<Self>, party: Arc<str>) -> Place {
        Place {
            limit: Arc::clone(self),
            party,
        }
    }

    fn give_back(self: &Arc<Self>, party: &Arc<str>) {
        let next = {
            let mut inner = self.lock();
            if let Some(party) = inner.parties.get_mut(party) {
                party.has = party.has.saturating_sub(1);
            }
            let next = inner.next();
            if next.is_none() {
                inner.free += 1;
            }
            next
        };
        if let Some((party, place)) = next {
            // Who has stopped waiting at this very moment drops the place, which gives it to the next.
            drop(place.send(self.place_of(party)));
        }
    }

    /// A panic elsewhere while the places were locked cannot have left them half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Who gets the place that is free now, if anybody waits. Forgets parties that have none and want none.
    fn next(&mut self) -> Option<(Arc<str>, oneshot::Sender<Place>)> {
        self.parties.retain(|_, party| {
            while party.waiting.front().is_some_and(Waiting::is_over) {
                party.waiting.pop_front();
            }
            party.has > 0 || !party.waiting.is_empty()
        });
        let first = |party: &Party| Some((party.has, party.waiting.front()?.arrival));
        let (name, party) = self
            .parties
            .iter_mut()
            .filter(|(_, party)| !party.waiting.is_empty())
            .min_by_key(|(_, party)| first(party))?;
        let Waiting { arrival: _, place } = party.waiting.pop_front()?;
        party.has += 1;
        Some((Arc::clone(name), place))
    }
}

impl Waiting {
    /// Whether the one who waited is gone.
    fn is_over(&self) -> bool {
        self.place.is_closed()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.limit.give_back(&self.party);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::BoxFuture;

    use super::*;

    type Queued = BoxFuture<'static, Option<Place>>;

    /// Somebody who asks for a place, and has asked when this returns.
    fn ask(limit: &Arc<Limit>, party: &str) -> Queued {
        let (limit, party) = (Arc::clone(limit), Arc::from(party));
        let mut asking = async move { limit.place(&party).await }.boxed();
        match (&mut asking).now_or_never() {
            Some(place) => std::future::ready(place).boxed(),
            None => asking,
        }
    }

    fn got(asking: &mut Queued) -> Option<Place> {
        asking.now_or_never().flatten()
    }

    #[test]
    fn a_party_alone_has_all_places_and_one_that_has_none_is_next() {
        let limit = Limit::new(2);
        let mut greedy: Vec<Queued> = (0..10).map(|_| ask(&limit, "greedy")).collect();
        let mut running: Vec<Place> = greedy.iter_mut().take(2).filter_map(got).collect();
        assert_eq!(running.len(), 2);
        assert!(got(&mut greedy[2]).is_none(), "there are only two");
        let mut modest = ask(&limit, "modest");
        running.pop();
        assert!(got(&mut greedy[2]).is_none(), "another one has none");
        let place = got(&mut modest);
        assert!(place.is_some());
        drop(place);
        assert!(got(&mut greedy[2]).is_some());
    }

    #[test]
    fn among_equals_whoever_has_waited_longest_is_next() {
        let limit = Limit::new(1);
        let place = got(&mut ask(&limit, "a"));
        let mut queue = ["b", "c", "b", "d"].map(|party| ask(&limit, party));
        drop(place);
        let mut order = Vec::new();
        while let Some(next) = (0..4).find_map(|who| Some((who, got(&mut queue[who])?))) {
            order.push(next.0);
            queue[next.0] = std::future::pending().boxed();
        }
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn who_stops_waiting_leaves_the_place_to_the_next_also_when_it_had_come() {
        let limit = Limit::new(1);
        let place = got(&mut ask(&limit, "a"));
        let (early, late, mut last) = (ask(&limit, "b"), ask(&limit, "c"), ask(&limit, "d"));
        drop(early);
        drop(place);
        drop(late);
        assert!(got(&mut last).is_some());
    }

    #[test]
    fn what_was_given_back_is_free_and_nobody_is_remembered() {
        let limit = Limit::new(3);
        for round in 0..10 {
            let places: Vec<_> = (0..3)
                .filter_map(|number| got(&mut ask(&limit, &format!("{round}-{number}"))))
                .collect();
            assert_eq!(places.len(), 3, "round {round}");
        }
        let inner = limit.lock();
        assert_eq!((inner.free, inner.parties.len()), (3, 0));
    }
}
