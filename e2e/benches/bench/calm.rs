//! Waits until the servers have digested what was done before, so that a round does not pay for the one before it.

use std::time::Duration;

use anyhow::Result;
use vaultbridge_e2e::Ground;

use crate::meter::Meter;

/// How long one look takes.
const LOOK: Duration = Duration::from_secs(1);

/// How much of a core the servers may use while they are calm.
const CALM: f64 = 0.15;

/// How many looks there are at most: a machine that is busy with other things never gets calm.
const LOOKS: usize = 10;

/// Waits until API server, etcd and Vault use little CPU; gives up after a while.
pub async fn wait(ground: &Ground) -> Result<()> {
    for _ in 0..LOOKS {
        let meter = Meter::start(ground, None).await?;
        tokio::time::sleep(LOOK).await;
        let cost = meter.end(ground, None).await?;
        if cost.total_cpu() / 1000.0 < CALM * cost.wall.as_secs_f64() {
            break;
        }
    }
    Ok(())
}
