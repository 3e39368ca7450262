//! One path that many objects use: how often it is read, and how soon a change of it is everywhere.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use vaultbridge_e2e::Ground;

use crate::meter::Meter;
use crate::setup::{MANAGED, Sharing, password, share};
use crate::sight::Sight;

/// What one change of the path caused.
pub struct Shared {
    /// How many objects use the path.
    pub objects: usize,
    /// How often each of them looks.
    pub interval: Duration,
    /// When each Secret held the new value, since it was put into Vault.
    pub times: Vec<Duration>,
    /// How often the path was read meanwhile.
    pub reads: usize,
    /// What was written to Kubernetes meanwhile.
    pub writes: usize,
    /// How many cores were busy with something else meanwhile.
    pub elsewhere: f64,
}

/// Makes so many objects with one path in one namespace, and changes what is there.
pub async fn change(ground: &Ground, objects: usize) -> Result<Shared> {
    let sharing = Sharing::new(objects);
    let api: Api<Secret> = Api::namespaced(ground.control_plane().client().clone(), sharing.name);
    let mut secrets = Sight::open(api, MANAGED).await?;
    share(ground, &sharing).await?;
    arrivals(&mut secrets, &sharing, "the first").await?;
    crate::calm::wait(ground).await?;
    let operator = Some(ground.operator()?.service().id()?);
    let mark = ground.mark().await?;
    let meter = Meter::start(ground, operator).await?;
    let start = Instant::now();
    sharing.put(ground, "the second").await?;
    let arrivals = arrivals(&mut secrets, &sharing, "the second").await?;
    let elsewhere = meter.end(ground, operator).await?.cores_elsewhere();
    let reads = mark.vault_requests()?.below(sharing.name).reads().len();
    // The last status follows the last Secret.
    crate::calm::wait(ground).await?;
    let writes = ground.kube_requests(&mark).await?.writes();
    let writes = writes.in_namespace(sharing.name).len();
    Ok(Shared {
        objects,
        interval: sharing.interval,
        times: arrivals
            .into_iter()
            .map(|time| time.saturating_duration_since(start))
            .collect(),
        reads,
        writes,
        elsewhere,
    })
}

/// Waits until every Secret holds the value, and returns when each did.
async fn arrivals(
    secrets: &mut Sight<Secret>,
    sharing: &Sharing,
    value: &str,
) -> Result<Vec<Instant>> {
    let (mut there, mut times) = (HashSet::new(), Vec::new());
    while there.len() < sharing.objects {
        let (time, secret) = secrets.next().await?;
        if password(&secret) == value.as_bytes() && there.insert(secret.name_any()) {
            times.push(time);
        }
    }
    Ok(times)
}
