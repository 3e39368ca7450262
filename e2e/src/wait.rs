//! Waiting with a deadline: the only place where the harness sleeps.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::Ended;

/// How long a test waits for something that should happen soon. Generous: it is only reached when the test fails.
pub const SOON: Duration = Duration::from_secs(90);

/// The longest that something may take in which a whole node or a release has its part.
pub const SLOW: Duration = Duration::from_mins(2);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// Tries until the attempt brings something. An error of an attempt counts as "not yet" and is told in the end, so it
/// can be used for servers that are still starting; only that a process has [`Ended`] fails at once.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(Some(value)) => return Ok(value),
            Err(error) if error.is::<Ended>() => {
                return Err(error.context(format!("wait for {what}")));
            }
            Err(error) if start.elapsed() >= deadline => {
                bail!("waited {deadline:?} for {what}: {error:#}");
            }
            Ok(None) if start.elapsed() >= deadline => bail!("waited {deadline:?} for {what}"),
            Ok(None) | Err(_) => (),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Lets time go by. Only for what has no event to wait for, such as the moment at which a storm kills.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
