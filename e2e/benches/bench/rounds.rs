//! What is measured, round by round.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use vaultbridge::api::VaultSecret;
use vaultbridge_e2e::Ground;
use vaultbridge_e2e::wait::until;

use crate::bare::Bare;
use crate::harm::Outage;
use crate::meter::{Cost, Meter, memory, peak_memory};
use crate::setup::{MANAGED, Shop, password, password_of};
use crate::shared::Shared;

/// How long the servers are watched while the operator does not run.
const STILL: Duration = Duration::from_secs(20);

/// How long after a restart writes are counted.
const SETTLED: Duration = Duration::from_secs(3);

/// The longest that a round may take.
const LONGEST: Duration = Duration::from_mins(15);

/// All that was measured.
pub struct Rounds {
    pub objects: usize,
    pub still: Cost,
    pub cold: Cost,
    pub restart: Restart,
    pub idle: Idle,
    /// How long each of the edited Secrets was wrong.
    pub repairs: Vec<Duration>,
    /// Absent if it was not asked for.
    pub outage: Option<Outage>,
    pub shared: Shared,
    pub bare: Bare,
}

/// A restart with everything in sync.
pub struct Restart {
    /// Until the operator said that it is ready.
    pub ready: Duration,
    /// Until a while later.
    pub cost: Cost,
    /// The most memory that the operator had before, in MiB.
    pub peak_before: f64,
}

/// The servers alone.
pub async fn still(ground: &Ground) -> Result<Cost> {
    let meter = Meter::start(ground, None).await?;
    tokio::time::sleep(STILL).await;
    meter.end(ground, None).await
}

/// From the start of the operator until every Secret and every status is right.
pub async fn cold(ground: &Ground, shop: &Shop) -> Result<Cost> {
    let operator = ground.operator()?;
    let meter = Meter::start(ground, None).await?;
    operator.start_again()?;
    // The operator's own word first, because it costs the API server nothing; then the API server's.
    until("every object to be ready", LONGEST, async || {
        let metrics = operator.metrics().await?;
        let ready = metrics.lines().filter(|line| {
            line.starts_with("vaultbridge_vaultsecret_ready{") && line.ends_with(" 1")
        });
        Ok((ready.count() >= shop.objects).then_some(()))
    })
    .await?;
    until("every status to be right", LONGEST, async || {
        Ok((synced(ground).await? >= shop.objects).then_some(()))
    })
    .await?;
    let cost = meter.end(ground, Some(operator.service().id()?)).await?;
    check_secrets(ground, shop).await?;
    Ok(cost)
}

/// A stop and a start while everything is in sync.
pub async fn restart(ground: &Ground) -> Result<Restart> {
    let operator = ground.operator()?;
    let peak_before = peak_memory(operator.service().id()?)?;
    operator.stop().await?;
    let meter = Meter::start(ground, None).await?;
    let start = std::time::Instant::now();
    operator.start_again()?;
    operator.ready().await?;
    let ready = start.elapsed();
    tokio::time::sleep(SETTLED).await;
    let cost = meter.end(ground, Some(operator.service().id()?)).await?;
    Ok(Restart {
        ready,
        cost,
        peak_before,
    })
}

/// A while in which nothing happens but polls.
pub struct Idle {
    pub cost: Cost,
    /// The memory that the operator had at its end, in MiB.
    pub memory: f64,
    /// The most that it had since it was started, in MiB.
    pub peak: f64,
}

/// Nothing happens but polls.
pub async fn idle(ground: &Ground, seconds: u64) -> Result<Idle> {
    let operator = ground.operator()?.service().id()?;
    let meter = Meter::start(ground, Some(operator)).await?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(Idle {
        cost: meter.end(ground, Some(operator)).await?,
        memory: memory(operator)?,
        peak: peak_memory(operator)?,
    })
}

async fn synced(ground: &Ground) -> Result<usize> {
    let api: Api<VaultSecret> = Api::all(ground.control_plane().client().clone());
    let all = api.list(&ListParams::default().match_any()).await?;
    let is_ready = |object: &&VaultSecret| {
        let status = object.status.as_ref();
        status.is_some_and(|status| {
            let mut conditions = status.conditions.iter();
            conditions.any(|one| one.type_ == "Ready" && one.status == "True")
        })
    };
    Ok(all.iter().filter(is_ready).count())
}

async fn check_secrets(ground: &Ground, shop: &Shop) -> Result<()> {
    let api: Api<Secret> = Api::all(ground.control_plane().client().clone());
    let label = ListParams::default().labels(MANAGED);
    let right = api.list(&label).await?.into_iter().filter(|secret| {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let number = name.strip_prefix("app-").map(str::parse);
        let keys = secret.data.as_ref().map_or(0, BTreeMap::len);
        matches!(number, Some(Ok(number)) if password(secret) == password_of(number).as_bytes())
            && keys == 2
    });
    let right = right.count();
    ensure!(
        right == shop.objects,
        "{right} of {} Secrets hold what Vault holds",
        shop.objects
    );
    Ok(())
}
