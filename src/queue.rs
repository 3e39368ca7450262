//! Which objects wait for a pass, and since when: what the metrics tell of the queue.
//!
//! The queue itself is the Kubernetes library's, and cannot be looked into. This is a note of every wake-up, by an event or by the time
//! that a pass asked for, which is struck out when the pass begins.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Key;

/// When each object is due.
#[derive(Default)]
pub struct Queue {
    due: Mutex<HashMap<Key, Instant>>,
}

impl Queue {
    /// The object is to have a pass at that time, or earlier if that was said before.
    pub fn wants(&self, object: &Key, at: Instant) {
        self.lock()
            .entry(object.clone())
            .and_modify(|due| *due = at.min(*due))
            .or_insert(at);
    }

    /// A pass over the object begins now. Returns how long it has waited for it since it was due.
    pub fn begins(&self, object: &Key, now: Instant) -> Duration {
        let due = self.lock().remove(object);
        due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due))
    }

    /// The object is gone.
    pub fn forget(&self, object: &Key) {
        self.lock().remove(object);
    }

    /// How many objects are due and wait.
    pub fn waiting(&self, now: Instant) -> usize {
        self.lock().values().filter(|due| **due <= now).count()
    }

    /// A panic elsewhere while this was locked cannot have left it half changed.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "only the distance counts")]
    #[tokio::test(start_paused = true)]
    async fn an_object_waits_from_when_it_was_first_due() {
        let (queue, orders) = (Queue::default(), Key::new("shop", "orders"));
        let start = Instant::now();
        let second = Duration::from_secs(1);
        queue.wants(&orders, start + 60 * second);
        assert_eq!(queue.waiting(start), 0);
        queue.wants(&orders, start + second);
        queue.wants(&orders, start + 2 * second);
        assert_eq!(queue.waiting(start + second), 1);
        assert_eq!(queue.begins(&orders, start + 3 * second), 2 * second);
        assert_eq!(queue.begins(&orders, start + 9 * second), Duration::ZERO);
        assert_eq!(queue.waiting(start + 99 * second), 0);
    }
}
