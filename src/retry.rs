//! The one place that tries something a second time.
//!
//! Longer waits belong to the schedule of an object, where they can be seen and interrupted. What stays here is
//! the single quick try that hides a connection which a load balancer closed under us, and the pauses of watches.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};

/// How long to wait before the second try; up to as much again is added at random.
const PAUSE: Duration = Duration::from_millis(50);

/// Runs `operation`, and once more after a moment if it fails with an error that is `worthwhile` to try again.
/// Only for what may safely happen twice.
pub async fn once_more<T, E, F>(
    operation: impl FnMut() -> F,
    worthwhile: impl FnMut(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let once = ConstantBuilder::default()
        .with_delay(PAUSE)
        .with_max_times(1)
        .with_jitter();
    operation.retry(once).when(worthwhile).await
}

/// The pauses between attempts to begin a watch again: half a second at first, five seconds at most. The libraries' usual
/// half minute would leave edits unseen for as long after the API server is back.
pub fn of_watches() -> backon::ExponentialBuilder {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_passing_failure_is_tried_once_more_and_not_twice() {
        let tries = Cell::new(0);
        let always_failing = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>("reset")
        };
        assert_eq!(once_more(always_failing, |_| true).await, Err("reset"));
        assert_eq!(tries.get(), 2);
    }

    #[tokio::test]
    async fn a_lasting_failure_is_not_tried_again() {
        let tries = Cell::new(0);
        let refused = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>("forbidden")
        };
        assert_eq!(
            once_more(refused, |error| *error == "reset").await,
            Err("forbidden")
        );
        assert_eq!(tries.get(), 1);
    }
}
