//! One at a time per key, while the others wait for what comes of it.
//!
//! A hundred objects that need the same token must cause one login, and when that login fails, one failure and
//! not a hundred in a row. So whoever waited while another tried and failed gets that failure; whoever comes
//! later tries anew, because nothing is remembered.

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The cells of all keys, made when first asked for. `S` is what a key holds, `F` why an attempt failed.
pub(super) struct Flights<K, S, F> {
    cells: Mutex<HashMap<K, Arc<Cell<S, F>>>>,
}

/// What one key holds, and the queue of those who want to change it.
pub(super) struct Cell<S, F> {
    failures: AtomicU64,
    inner: tokio::sync::Mutex<Inner<S, F>>,
}

/// The exclusive right to look at and change what a key holds.
pub(super) struct Turn<'a, S, F> {
    failures: &'a AtomicU64,
    inner: tokio::sync::MutexGuard<'a, Inner<S, F>>,
}

struct Inner<S, F> {
    state: S,
    failure: Option<F>,
}

impl<K: Hash + Eq + Clone, S: Default, F> Flights<K, S, F> {
    /// No keys yet.
    pub(super) fn new() -> Self {
        Self {
            cells: Mutex::new(HashMap::new()),
        }
    }

    /// The cell of `key`.
    pub(super) fn cell(&self, key: &K) -> Arc<Cell<S, F>> {
        let mut cells = self.lock();
        if let Some(cell) = cells.get(key) {
            return Arc::clone(cell);
        }
        let cell = Arc::new(Cell::new());
        cells.insert(key.clone(), Arc::clone(&cell));
        cell
    }

    /// The cell of `key`, if there is one.
    pub(super) fn known(&self, key: &K) -> Option<Arc<Cell<S, F>>> {
        self.lock().get(key).map(Arc::clone)
    }

    /// Takes out every cell whose key is `chosen`. Those who hold one already finish with it.
    pub(super) fn take(&self, chosen: impl Fn(&K) -> bool) -> Vec<Arc<Cell<S, F>>> {
        self.lock()
            .extract_if(|key, _| chosen(key))
            .map(|(_, cell)| cell)
            .collect()
    }

    /// How many keys are `chosen`.
    pub(super) fn count(&self, chosen: impl Fn(&K) -> bool) -> usize {
        self.lock().keys().filter(|key| chosen(key)).count()
    }

    /// Forgets every key whose state is not to be `kept`, and all failures; passes over those that somebody is using right now.
    pub(super) fn sweep(&self, mut kept: impl FnMut(&K, &mut S) -> bool) {
        self.lock().retain(|key, cell| {
            // Nobody else can get at a cell that only the map holds: cells are handed out under the map's lock.
            let Some(cell) = Arc::get_mut(cell) else {
                return true;
            };
            let inner = cell.inner.get_mut();
            // Only those who were waiting when it came about would be told of it.
            inner.failure = None;
            kept(key, &mut inner.state)
        });
    }

    /// A panic elsewhere while the map was locked cannot have left it half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Cell<S, F>>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Default, F> Cell<S, F> {
    fn new() -> Self {
        let inner = Inner {
            state: S::default(),
            failure: None,
        };
        Self {
            failures: AtomicU64::new(0),
            inner: tokio::sync::Mutex::new(inner),
        }
    }
}

impl<S, F: Clone> Cell<S, F> {
    /// Waits for its turn, in order of arrival. Fails with the failure of another if one happened meanwhile.
    pub(super) async fn turn(&self) -> Result<Turn<'_, S, F>, F> {
        let seen = self.failures.load(Ordering::Acquire);
        let turn = self.turn_regardless().await;
        match &turn.inner.failure {
            Some(failure) if self.failures.load(Ordering::Acquire) != seen => Err(failure.clone()),
            _ => Ok(turn),
        }
    }

    /// Waits for its turn, and takes it whatever happened to others.
    pub(super) async fn turn_regardless(&self) -> Turn<'_, S, F> {
        Turn {
            failures: &self.failures,
            inner: self.inner.lock().await,
        }
    }
}

impl<S, F: Clone> Turn<'_, S, F> {
    /// Ends the turn with a failure, which those who are waiting now will get too.
    pub(super) fn failed(mut self, failure: F) -> F {
        self.inner.failure = Some(failure.clone());
        self.failures.fetch_add(1, Ordering::Release);
        failure
    }
}

impl<S, F> Deref for Turn<'_, S, F> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inner.state
    }
}

impl<S, F> DerefMut for Turn<'_, S, F> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.inner.state
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::future::join_all;

    use super::*;

    async fn attempt(flights: &Flights<u8, (), String>, tries: &AtomicUsize) -> Result<(), String> {
        let cell = flights.cell(&1);
        let turn = cell.turn().await?;
        let number = tries.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::task::yield_now().await;
        Err(turn.failed(format!("failure {number}")))
    }

    #[tokio::test]
    async fn those_who_waited_share_the_failure_and_the_next_tries_again() {
        let (flights, tries) = (Flights::new(), AtomicUsize::new(0));
        let outcomes = join_all((0..100).map(|_| attempt(&flights, &tries))).await;
        assert!(
            outcomes
                .iter()
                .all(|outcome| *outcome == Err("failure 1".into())),
            "{outcomes:?}"
        );
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        assert_eq!(attempt(&flights, &tries).await, Err("failure 2".into()));
    }

    #[tokio::test]
    async fn a_turn_that_is_given_up_lets_the_next_one_try() {
        let (flights, tries) = (Flights::<u8, (), String>::new(), AtomicUsize::new(0));
        let cell = flights.cell(&1);
        drop(cell.turn().await);
        assert_eq!(attempt(&flights, &tries).await, Err("failure 1".into()));
    }

    #[tokio::test]
    async fn a_sweep_passes_over_what_is_in_use() {
        let flights = Flights::<u8, u8, String>::new();
        let held = flights.cell(&1);
        *held.turn().await.unwrap_or_else(|_| unreachable!()) = 7;
        flights.sweep(|_, _| false);
        assert_eq!(*flights.cell(&1).turn_regardless().await, 7);
        drop(held);
        flights.sweep(|_, _| false);
        assert_eq!(*flights.cell(&1).turn_regardless().await, 0);
    }
}
