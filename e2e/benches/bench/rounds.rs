//! What is measured, round by round.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use vaultbridge::api::VaultSecret;
use vaultbridge_e2e::Ground;
use vaultbridge_e2e::wait::until;

use crate::bare::Bare;
use crate::meter::{Cost, Meter, peak_memory};
use crate::setup::Shop;

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
    pub idle: Cost,
    /// The most memory that the operator had, from cold and after the restart, in MiB.
    pub peak: f64,
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

/// Nothing happens but polls.
pub async fn idle(ground: &Ground, seconds: u64) -> Result<Cost> {
    let operator = Some(ground.operator()?.service().id()?);
    let meter = Meter::start(ground, operator).await?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    meter.end(ground, operator).await
}

/// The most memory that the operator has had since it was started, in MiB.
pub fn peak(ground: &Ground) -> Result<f64> {
    peak_memory(ground.operator()?.service().id()?)
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
    let label = ListParams::default().labels("app.kubernetes.io/managed-by=vaultbridge");
    let right = api.list(&label).await?.into_iter().filter(|secret| {
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let number = name.strip_prefix("app-").unwrap_or_default();
        let expected = format!("password-of-{number}");
        let data = secret.data.as_ref();
        data.is_some_and(|data| {
            data.len() == 2
                && data
                    .get("password")
                    .is_some_and(|one| one.0 == expected.as_bytes())
        })
    });
    let right = right.count();
    ensure!(
        right == shop.objects,
        "{right} of {} Secrets hold what Vault holds",
        shop.objects
    );
    Ok(())
}
