//! The clocks of the operator and of Vault differ by an hour, and nobody notices.

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, part, run_alone, source};

use super::faults::{PROMPT, demand, well};
use super::pki::certificate;
use super::{another_user, database_user, issues, only_users};

/// What is as it should be whatever the clock says.
#[derive(Debug, Clone, Copy)]
enum Promise {
    /// A lease is renewed, and nothing is issued without need.
    Renewed,
    /// A user is replaced before the end that no renewal moves.
    Replaced,
    /// Replaced and deleted users are revoked.
    Revoked,
    /// A value of a KV engine is followed.
    Followed,
    /// A certificate is issued once for most of its life.
    Certificate,
    /// A short one is replaced before it ends.
    ShortCertificate,
}

const PROMISES: [Promise; 6] = [
    Promise::Renewed,
    Promise::Replaced,
    Promise::Revoked,
    Promise::Followed,
    Promise::Certificate,
    Promise::ShortCertificate,
];

async fn is_kept(t: &Tenant, promise: Promise) -> Result<()> {
    match promise {
        Promise::Renewed => is_renewed(t).await,
        Promise::Replaced => is_replaced(t).await,
        Promise::Revoked => is_revoked(t).await,
        Promise::Followed => is_followed(t).await,
        Promise::Certificate => lasts(t).await,
        Promise::ShortCertificate => super::pki::is_replaced_before_its_end(t).await,
    }
}

async fn is_renewed(t: &Tenant) -> Result<()> {
    let role = DatabaseRole {
        default_ttl: "12s",
        ..DatabaseRole::default()
    };
    let path = t.database(&role).await?;
    let mark = t.mark().await?;
    let secret = database_user(t, "db", &path, "").await?;
    until("two renewals of the lease", SOON, async || {
        let requests = t.vault_requests(&mark)?;
        let renewals = requests.only(|request| request.path == "sys/leases/renew");
        Ok((renewals.len() >= 2).then_some(()))
    })
    .await?;
    t.logs_in(&secret).await?;
    only_users(t, &[&secret.text("username")?]).await?;
    assert_eq!(issues(t, &mark, &path)?, 1);
    Ok(())
}

async fn is_replaced(t: &Tenant) -> Result<()> {
    let role = DatabaseRole {
        default_ttl: "12s",
        max_ttl: "24s",
        ..DatabaseRole::default()
    };
    let path = t.database(&role).await?;
    let old = database_user(t, "db", &path, "").await?;
    let new = another_user(t, "db", &old.text("username")?).await?;
    t.logs_in(&old).await?;
    t.logs_in(&new).await
}

async fn is_revoked(t: &Tenant) -> Result<()> {
    let path = t.database(&DatabaseRole::default()).await?;
    let old = database_user(t, "db", &path, PROMPT).await?;
    let mark = t.mark().await?;
    demand(t, "db", "1").await?;
    another_user(t, "db", &old.text("username")?).await?;
    well(t, "db").await?;
    assert_eq!(issues(t, &mark, &path)?, 1);
    t.delete("VaultSecret", "db").await?;
    t.wait_gone("VaultSecret", "db").await?;
    only_users(t, &[]).await
}

async fn is_followed(t: &Tenant) -> Result<()> {
    t.put("app", json!({ "password": "the first one" })).await?;
    t.carry("app", &source("app")).await?;
    t.secret_with("app", "password", "the first one").await?;
    t.ready("app").await?;
    let mark = t.mark().await?;
    t.put("app", json!({ "password": "the second one" }))
        .await?;
    t.secret_with("app", "password", "the second one").await?;
    t.polls(&mark, "app", 2).await?;
    let writes = t.kube_requests(&mark).await?.writes().resource("secrets");
    let writes = writes.in_namespace(t.name());
    assert_eq!(writes.len(), 1, "{writes}");
    Ok(())
}

/// Half an hour is less than what the clocks differ by.
async fn lasts(t: &Tenant) -> Result<()> {
    let mount = t.authority("shop").await?;
    certificate(t, "tls", &mount, ", ttl: 30m").await?;
    let object = t.ready("tls").await?;
    let time = |value: &Value| -> Result<Timestamp> {
        let text = value.as_str().context("find a time")?;
        Ok(text.parse()?)
    };
    let status = &object["status"];
    let next = time(&status["nextActionTime"]).with_context(|| format!("{object}"))?;
    let written = time(&status["lastChangeTime"]).with_context(|| format!("{object}"))?;
    let minutes = next.duration_since(written).as_mins();
    ensure!((12..=20).contains(&minutes), "in {minutes} min: {object}");
    Ok(())
}

fn an_hour(sign: i64) -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let operator = t.operator()?;
        operator.start_with_wrong_clock(sign * 3600)?;
        operator.ready().await?;
        let all = PROMISES.map(async |promise| {
            let kept = part(t.ground(), async |t| is_kept(t, promise).await);
            kept.await
                .with_context(|| format!("{promise:?}, by {sign} h"))
        });
        try_join_all(all).await?;
        Ok(())
    })
}

#[test]
fn an_operator_whose_clock_is_an_hour_ahead_keeps_every_promise() -> Result<()> {
    an_hour(1)
}

#[test]
fn an_operator_whose_clock_is_an_hour_behind_keeps_every_promise() -> Result<()> {
    an_hour(-1)
}
