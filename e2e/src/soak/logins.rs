//! The oracle of logins: somebody logs in all the time with whatever the Secrets hold, while every credential is renewed and replaced.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::{StreamExt as _, stream};

use super::{furnish, known_leases, objects, row, verdict};
use crate::tenant::Tenant;
use crate::vault_server::DatabaseRole;
use crate::wait::{SOON, until};

/// How long a replaced credential is kept alive.
const OVERLAP: Duration = Duration::from_secs(5);

/// What came of the logins.
#[derive(Default)]
struct Counts {
    attempts: AtomicU64,
    /// Those that were refused a credential that had been replaced for longer than the overlap when they came to an end: this machine was too slow.
    late: AtomicU64,
    refused: AtomicU64,
}

/// Logins at once.
const AT_ONCE: usize = 8;

/// Keeps so many short-lived credentials for that time and logs in with them without a pause. Tells whether every login succeeded and no lease
/// lives of which no object knows.
pub async fn logins(credentials: usize, time: Duration) -> Result<bool> {
    let t = &furnish("soak-logins").await?;
    let role = DatabaseRole {
        default_ttl: "30s",
        max_ttl: "120s",
        ..DatabaseRole::default()
    };
    let path = t.database(&role).await?;
    for number in 0..credentials {
        let replaced = if number % 2 == 0 { "Revoke" } else { "Expire" };
        let spec = format!(
            "sources: [{{ name: db, read: {{ path: {path} }} }}]\nlease: {{ overlap: {}s, replaced: {replaced} }}",
            OVERLAP.as_secs()
        );
        t.carry(&format!("user-{number}"), &spec).await?;
    }
    until("all to be ready", 4 * SOON, async || {
        let found = t.secrets_now("user").await?.len();
        ensure!(found == credentials, "there are {found} Secrets");
        Ok(Some(()))
    })
    .await?;
    let mark = t.mark().await?;
    let counts = Counts::default();
    let start = Instant::now();
    while start.elapsed() < time {
        stream::iter(0..credentials)
            .for_each_concurrent(AT_ONCE, async |number| {
                let name = format!("user-{number}");
                if let Err(error) = log_in(t, &name, &counts).await {
                    counts.refused.fetch_add(1, Ordering::Relaxed);
                    println!("  {:>4} s: {error:#}", start.elapsed().as_secs());
                }
            })
            .await;
    }
    let unknown = unknown_leases(t).await?;
    let asked = mark.vault_requests()?;
    let renewals = asked.clone();
    let renewals = renewals.only(|request| request.path == "sys/leases/renew");
    let Counts {
        attempts,
        late,
        refused,
    } = counts;
    let (attempts, refused) = (attempts.into_inner(), refused.into_inner());
    println!("logins, {credentials} credentials that live for 30 s and 120 s at most, {time:?}");
    row("attempts to log in", attempts);
    row("refused", refused);
    row(
        "of others, begun with what was replaced meanwhile",
        late.into_inner(),
    );
    row("leases renewed", renewals.len());
    row("credentials replaced", asked.reads().below(&path).len());
    row("leases that live", t.leases().await?.len());
    row("of which no object knows", unknown);
    verdict(refused == 0 && attempts > 0 && unknown == 0)
}

/// Logs in with what the Secret holds at this moment.
async fn log_in(t: &Tenant, name: &str, counts: &Counts) -> Result<()> {
    let begun = Instant::now();
    let secret = t.secret(name).await?;
    counts.attempts.fetch_add(1, Ordering::Relaxed);
    let Err(error) = t.logs_in(&secret).await else {
        return Ok(());
    };
    let took = begun.elapsed();
    let replaced = t.secret(name).await?.text("username")? != secret.text("username")?;
    if replaced && took > OVERLAP {
        counts.late.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    Err(error.context(format!("{took:?} after the Secret was read")))
}

/// How many leases live of which no object tells, once nothing is on its way any more.
async fn unknown_leases(t: &Tenant) -> Result<usize> {
    let mut last = 0;
    let settled = until("every lease to be known", SOON, async || {
        let leases = t.leases().await?;
        let known = known_leases(&objects(t).await?);
        last = leases.iter().filter(|id| !known.contains(*id)).count();
        Ok((last == 0).then_some(()))
    });
    match settled.await {
        Ok(()) => Ok(0),
        Err(_) if last > 0 => Ok(last),
        Err(error) => Err(error),
    }
}
