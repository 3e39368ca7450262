//! The clock by which tokens and readings age: one that never jumps.

use tokio::time::Instant;

/// The present. Only the async parts of this layer look at it; what they decide by it is in pure functions.
#[expect(
    clippy::disallowed_methods,
    reason = "ages and deadlines need a clock; this is the only place of this layer that reads it"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
