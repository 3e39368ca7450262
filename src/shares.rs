//! Which passes may run, so that no namespace takes all the places.
//!
//! A pass holds its place while it waits for Vault. A namespace with thousands of objects whose paths are slow would hold them
//! all, and everybody else would stand behind it. So nobody may hold more places than are still free: one namespace alone
//! gets half of them, two of them a third each, and there is always one left for whoever has none. An object that comes too
//! early is set aside, which costs nothing, and is woken when a place of its namespace is given back.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::cluster::Key;

/// The places of all passes.
pub struct Shares {
    places: usize,
    wake: mpsc::UnboundedSender<Key>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    taken: usize,
    namespaces: HashMap<String, Share>,
}

#[derive(Default)]
struct Share {
    taken: usize,
    aside: VecDeque<Key>,
    /// The same, to be found.
    names: BTreeSet<String>,
}

/// The right to run one pass, until it is dropped.
pub struct Place {
    shares: Arc<Shares>,
    namespace: String,
}

impl Shares {
    /// So many places, all of them free. Whoever was set aside is woken through `wake`.
    pub fn new(places: u16, wake: mpsc::UnboundedSender<Key>) -> Arc<Self> {
        Arc::new(Self {
            places: usize::from(places),
            wake,
            inner: Mutex::default(),
        })
    }

    /// A place for a pass over that object; `None` if its namespace has its share, and then the object is woken later. At most as
    /// many may ask at once as there are places.
    pub fn admit(self: &Arc<Self>, object: &Key) -> Option<Place> {
        let mut inner = self.lock();
        let free = self.places.saturating_sub(inner.taken);
        let share = inner
            .namespaces
            .entry(object.namespace.clone())
            .or_default();
        if share.taken > 0 && share.taken >= free {
            share.set_aside(object);
            return None;
        }
        share.taken += 1;
        share.names.remove(&object.name);
        inner.taken += 1;
        Some(Place {
            shares: Arc::clone(self),
            namespace: object.namespace.clone(),
        })
    }

    /// Takes a place back, and wakes who may have it now: two, so that a namespace grows into the room that others have left;
    /// and all with the last place, for nobody else would wake them if those two were gone.
    fn give_back(&self, namespace: &str) {
        let mut inner = self.lock();
        inner.taken -= 1;
        let Some(share) = inner.namespaces.get_mut(namespace) else {
            return;
        };
        share.taken -= 1;
        let count = if share.taken == 0 { usize::MAX } else { 2 };
        for key in share.next(count) {
            let _ = self.wake.send(key);
        }
        if share.taken == 0 {
            inner.namespaces.remove(namespace);
        }
    }

    /// A panic elsewhere while the places were locked cannot have left them half changed.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    fn set_aside(&mut self, object: &Key) {
        if self.names.insert(object.name.clone()) {
            self.aside.push_back(object.clone());
        }
    }

    /// The next so many that were set aside, in the order in which they came.
    fn next(&mut self, count: usize) -> Vec<Key> {
        let names = &mut self.names;
        // Whoever got a place in another way meanwhile is not among the names any more.
        let waiting = std::iter::from_fn(|| self.aside.pop_front());
        waiting
            .filter(|key| names.remove(&key.name))
            .take(count)
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shares.give_back(&self.namespace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(places: u16) -> (Arc<Shares>, mpsc::UnboundedReceiver<Key>) {
        let (wake, woken) = mpsc::unbounded_channel();
        (Shares::new(places, wake), woken)
    }

    fn ask(shares: &Arc<Shares>, namespace: &str, names: std::ops::Range<u32>) -> Vec<Place> {
        names
            .filter_map(|number| shares.admit(&Key::new(namespace, &number.to_string())))
            .collect()
    }

    fn names(woken: &mut mpsc::UnboundedReceiver<Key>) -> Vec<String> {
        std::iter::from_fn(|| woken.try_recv().ok())
            .map(|key| key.name)
            .collect()
    }

    #[test]
    fn a_namespace_gets_half_of_the_places_and_there_is_one_for_whoever_has_none() {
        let (shares, _woken) = shares(8);
        let greedy = ask(&shares, "greedy", 0..100);
        assert_eq!(greedy.len(), 4);
        let second = ask(&shares, "second", 0..100);
        assert_eq!(second.len(), 2);
        let others: Vec<_> = ["third", "fourth"]
            .map(|namespace| ask(&shares, namespace, 0..1).len())
            .into();
        assert_eq!(others, [1, 1]);
    }

    #[test]
    fn a_single_place_is_for_whoever_comes() {
        let (shares, _woken) = shares(1);
        for namespace in ["one", "other", "one"] {
            assert_eq!(ask(&shares, namespace, 0..1).len(), 1, "{namespace}");
        }
    }

    #[test]
    fn who_was_set_aside_is_woken_in_order_when_a_place_is_given_back_and_each_once() {
        let (shares, mut woken) = shares(4);
        let mut running = ask(&shares, "greedy", 0..5);
        ask(&shares, "greedy", 2..5);
        assert_eq!((running.len(), names(&mut woken).len()), (2, 0));
        running.pop();
        assert_eq!(names(&mut woken), ["2", "3"]);
        running.pop();
        assert_eq!(names(&mut woken), ["4"]);
    }

    #[test]
    fn nobody_is_forgotten_when_those_who_are_woken_do_not_come() {
        let (shares, mut woken) = shares(4);
        let running = ask(&shares, "greedy", 0..9);
        drop(running);
        assert_eq!(names(&mut woken).len(), 7, "all, with the last place");
    }

    #[test]
    fn a_namespace_grows_into_the_room_that_others_have_left() {
        let (shares, mut woken) = shares(8);
        let others: Vec<_> = (0..5)
            .flat_map(|number| ask(&shares, &format!("other-{number}"), 0..1))
            .collect();
        let mut running = ask(&shares, "greedy", 0..100);
        assert_eq!(running.len(), 2);
        drop(others);
        while running.len() < 4 {
            drop(running.remove(0));
            let next = names(&mut woken);
            assert!(!next.is_empty(), "nobody was woken");
            running.extend(
                next.iter()
                    .filter_map(|name| shares.admit(&Key::new("greedy", name))),
            );
        }
    }
}
