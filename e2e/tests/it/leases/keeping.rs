//! Credentials are kept alive for as long as Vault lets them live, and replaced in time.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, run, run_alone};

use super::faults::demand;
use super::{another_user, database_user, issues, only_users, sessions};
use crate::rollout::workloads::{rolled_out, versioned, workload};

#[test]
fn a_lease_is_renewed_and_outlives_what_was_granted_first() -> Result<()> {
    run(async |t| {
        let role = DatabaseRole {
            default_ttl: "12s",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let mark = t.mark().await?;
        let secret = database_user(t, "db", &path, "").await?;
        let lease = t.leases().await?.remove(0);
        until("two renewals of the lease", SOON, async || {
            let requests = t.vault_requests(&mark)?;
            let renewals = requests.only(|request| request.path == "sys/leases/renew");
            Ok((renewals.len() >= 2).then_some(()))
        })
        .await?;
        assert_eq!(t.leases().await?, [lease]);
        assert_eq!(
            t.secret("db").await?.resource_version(),
            secret.resource_version()
        );
        t.logs_in(&secret).await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

#[test]
fn credentials_are_replaced_before_the_end_that_no_renewal_moves_and_the_old_ones_still_work()
-> Result<()> {
    run(async |t| {
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
    })
}

#[test]
fn a_lease_that_somebody_revokes_is_replaced_and_told() -> Result<()> {
    run(async |t| {
        let role = DatabaseRole {
            default_ttl: "12s",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let old = database_user(t, "db", &path, "lease: { overlap: 1s }").await?;
        let lease = t.leases().await?.remove(0);
        t.vault().revoke_lease(&lease).await?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        t.logs_in(&new).await?;
        t.event("VaultSecret", "db", "LeaseLost", &["does not know lease"])
            .await?;
        Ok(())
    })
}

#[test]
fn a_demand_for_new_credentials_is_met_once() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let more = "lease: { overlap: 1s, replaced: Revoke }";
        let old = database_user(t, "db", &path, more).await?;
        let mark = t.mark().await?;
        let demand =
            json!({ "metadata": { "annotations": { "vaultbridge.dev/force-sync": "1" } } });
        t.patch("VaultSecret", "db", &demand).await?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        t.logs_in(&new).await?;
        only_users(t, &[&new.text("username")?]).await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

#[test]
fn a_suspended_object_keeps_its_credentials_alive() -> Result<()> {
    run(async |t| {
        let role = DatabaseRole {
            default_ttl: "12s",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let secret = database_user(t, "db", &path, "").await?;
        t.patch("VaultSecret", "db", &json!({ "spec": { "suspend": true } }))
            .await?;
        t.reports("db", "Synced", "False", "Suspended").await?;
        let mark = t.mark().await?;
        until("two renewals of the lease", SOON, async || {
            let requests = t.vault_requests(&mark)?;
            let renewals = requests.only(|request| request.path == "sys/leases/renew");
            Ok((renewals.len() >= 2).then_some(()))
        })
        .await?;
        t.logs_in(&secret).await
    })
}

#[test]
fn a_restart_with_fifty_live_leases_issues_and_writes_nothing() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let sources = format!("sources: [{{ name: db, read: {{ path: {path} }} }}]");
        t.carry_many("db", 50, &sources).await?;
        for number in 0..50 {
            t.ready(&format!("db-{number}")).await?;
        }
        t.operator()?.kill()?;
        let mark = t.mark().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        let metric = r#"vaultbridge_reconcile_total{outcome="in_sync""#;
        until("a pass over each object", SOON, async || {
            let passes = t.operator()?.metric(metric).await?;
            Ok((passes >= Some(50.0)).then_some(()))
        })
        .await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        let writes = t.kube_requests(&mark).await?.writes();
        assert_eq!(writes.len(), 0, "{writes}");
        assert_eq!(t.database_users().await?.len(), 50);
        for secret in t.secrets_now("db-").await? {
            t.logs_in(&secret).await?;
        }
        Ok(())
    })
}

#[test]
fn replaced_credentials_live_until_what_uses_them_runs_with_the_new_ones() -> Result<()> {
    run(async |t| {
        workload(t, "Deployment", "db", 0, &json!({})).await?;
        let path = t.database(&DatabaseRole::default()).await?;
        let more = "lease: { overlap: 1s, replaced: Revoke }\nrollout: { targets: [{ kind: Deployment, name: db }] }";
        let old = database_user(t, "db", &path, more).await?;
        rolled_out(t, "db", 1).await?;
        // There is no node, so its pod never starts.
        let pods = |count: u32| json!({ "spec": { "replicas": count } });
        let deployment = versioned("Deployment");
        t.patch(&deployment, "db", &pods(1)).await?;
        let demand =
            json!({ "metadata": { "annotations": { "vaultbridge.dev/force-sync": "1" } } });
        t.patch("VaultSecret", "db", &demand).await?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        t.reports("db", "RolledOut", "Unknown", "RollingOut")
            .await?;
        let object = t.ready("db").await?;
        let kept = sessions(&object);
        assert_eq!(kept.len(), 2, "{object}");
        assert!(
            kept.iter().all(|one| one["retireTime"].is_null()),
            "{object}"
        );
        t.logs_in(&old).await?;
        t.logs_in(&new).await?;

        t.patch(&deployment, "db", &pods(0)).await?;
        rolled_out(t, "db", 2).await?;
        only_users(t, &[&new.text("username")?]).await
    })
}

/// A time that the status tells.
fn time(value: &Value) -> Result<Timestamp> {
    let text = value
        .as_str()
        .with_context(|| format!("{value} for a time"))?;
    Ok(text.parse()?)
}

#[test]
fn replaced_credentials_are_kept_for_the_whole_overlap_however_long_issuing_took() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let hour = "lease: { overlap: 1h, replaced: Revoke }";
        let old = database_user(t, "db", &path, hour).await?;
        t.order(&["hold before LogIn"])?;
        demand(t, "db", "1").await?;
        t.obeyed().await?;
        let held = Timestamp::now();
        // The status has whole seconds.
        until("three seconds to be over", SOON, async || {
            Ok((Timestamp::now() > held + Duration::from_secs(3)).then_some(()))
        })
        .await?;
        let begun = Timestamp::from_second(Timestamp::now().as_second())?;
        t.order(&["let before LogIn go on"])?;
        another_user(t, "db", &old.text("username")?).await?;
        let retires = |object: &Value| {
            let sessions = sessions(object);
            sessions.len() == 2 && sessions.iter().any(|one| !one["retireTime"].is_null())
        };
        let object = t
            .wait(
                "VaultSecret",
                "db",
                "to tell when the old session ends",
                retires,
            )
            .await?;
        let [replaced, new] = <[Value; 2]>::try_from(sessions(&object)).unwrap_or_default();
        ensure!(time(&new["issueTime"])? >= begun, "after {begun}: {object}");
        let end = begun + Duration::from_hours(1);
        ensure!(
            time(&replaced["retireTime"])? >= end,
            "after {end}: {object}"
        );
        Ok(())
    })
}
