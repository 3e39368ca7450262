//! What is remembered and for how long, alike for readings and lists.

use std::cmp::Reverse;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use crate::vault::clock;
use crate::vault::flight::Flights;

/// The longest that something is remembered that nobody asks for.
pub(super) const UNUSED_KEPT: Duration = Duration::from_hours(1);
/// The most bytes that all remembered paths, or all remembered lists, may take, values apart: room for tens of thousands.
pub(super) const MAX_REMEMBERED: usize = 32 * 1024 * 1024;
/// What remembering one takes beside its words.
pub(super) const REMEMBERING: usize = 512;

/// When something was last asked for, and until when somebody may come back.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked(Option<(Instant, Instant)>);

impl Asked {
    /// Notes that it is asked for, by somebody who may come back for so long.
    pub(super) fn note(&mut self, now: Instant, useful: Duration) {
        let until = now + useful.min(UNUSED_KEPT);
        let until = self.0.map_or(until, |(_, known)| known.max(until));
        self.0 = Some((now, until));
    }

    /// When it was last asked for, if somebody may come back still.
    fn last(self, now: Instant) -> Option<Instant> {
        self.0
            .and_then(|(last, until)| (now < until).then_some(last))
    }
}

/// Forgets what nobody comes back to, and what is not worth it, at once; of more than there is `room` for, what was not asked for the longest. `worth` tells when
/// one was asked for and how many bytes it takes.
pub(super) fn sweep<K: Hash + Eq + Clone, S: Default, E>(
    flights: &Flights<K, S, E>,
    room: usize,
    worth: impl Fn(&K, &S) -> Option<(Asked, usize)>,
) {
    let now = clock::now();
    let last = |key: &K, held: &S| {
        let (asked, bytes) = worth(key, held)?;
        Some((asked.last(now)?, bytes))
    };
    let mut remembered = Vec::new();
    flights.sweep(|key, held| {
        let known = last(key, held);
        remembered.extend(known);
        known.is_some()
    });
    if let Some(end) = surplus(remembered, room) {
        flights.sweep(|key, held| last(key, held).is_some_and(|(asked, _)| asked > end));
    }
}

/// Until when those were last asked for that must go, so that the rest takes at most `room` bytes; `None` if nobody must.
pub(super) fn surplus(mut remembered: Vec<(Instant, usize)>, room: usize) -> Option<Instant> {
    remembered.sort_unstable_by_key(|(asked, _)| Reverse(*asked));
    let mut bytes = 0_usize;
    let too_many = remembered.into_iter().find(|(_, size)| {
        bytes = bytes.saturating_add(*size);
        bytes > room
    });
    too_many.map(|(asked, _)| asked)
}
