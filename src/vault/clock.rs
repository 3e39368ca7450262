//! The clock by which tokens and readings age: one that never jumps.

use tokio::time::Instant;

/// The present. Only the async parts of this layer look at it; what they decide by it is in pure functions.
pub(super) fn now() -> Instant {
    Instant::now()
}
