//! Whatever fails around issued credentials, those in the Secret log in, and none is left that is not there.

mod database;
mod endings;
mod ends;
mod frozen;
mod middle;
mod spoilt;
mod walk;

use anyhow::Result;
use serde_json::{Value, json};
use vaultbridge_e2e::proxy::{Proxy, Way};
use vaultbridge_e2e::tenant::condition;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run, run_alone};

use super::{another_user, app_and_reader, database_user, issues, only_users, sessions};

/// What makes an old user go soon after it was replaced.
pub const PROMPT: &str = "lease: { overlap: 1s, replaced: Revoke }";

/// Applies an object for a database user, and does not wait.
pub async fn ask(t: &Tenant, name: &str, path: &str, more: &str) -> Result<Value> {
    let spec = format!("sources: [{{ name: db, read: {{ path: {path} }} }}]\n{more}");
    t.carry(name, &spec).await
}

/// Demands new credentials.
pub async fn demand(t: &Tenant, name: &str, word: &str) -> Result<()> {
    let demand = json!({ "metadata": { "annotations": { "vaultbridge.dev/force-sync": word } } });
    t.patch("VaultSecret", name, &demand).await?;
    Ok(())
}

/// Waits until the object has one session, and that one is the Secret's.
pub async fn settled(t: &Tenant, name: &str) -> Result<()> {
    t.wait("VaultSecret", name, "to have its one session", |object| {
        let sessions = sessions(object);
        sessions.len() == 1 && sessions[0]["committed"] == true
    })
    .await?;
    Ok(())
}

/// Waits until the Secret's user, who must log in, is the only one of the tenant.
pub async fn well(t: &Tenant, name: &str) -> Result<String> {
    settled(t, name).await?;
    let secret = t.secret(name).await?;
    t.logs_in(&secret).await?;
    let user = secret.text("username")?;
    only_users(t, &[&user]).await?;
    Ok(user)
}

/// Waits until a creation of a Secret is refused, or is not any more.
async fn refuses_secrets(t: &Tenant, refused: bool, probe: &str) -> Result<()> {
    until("the policy to be in force", SOON, async || {
        t.delete("Secret", "probe").await?;
        Ok((t.refusal(probe).await.is_ok() == refused).then_some(()))
    })
    .await
}

#[test]
fn a_quota_that_refuses_the_secret_costs_no_user() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        t.apply("{ kind: ResourceQuota, metadata: { name: few }, spec: { hard: { count/secrets: '0' } } }")
            .await?;
        t.wait("ResourceQuota", "few", "to be in force", |quota| {
            quota["status"]["hard"]["count/secrets"] == "0"
        })
        .await?;
        let mark = t.mark().await?;
        ask(t, "db", &path, "").await?;
        t.complains_with("db", "QuotaExceeded", &["exceeded quota: few"])
            .await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        assert_eq!(t.leases().await?, [""; 0]);
        t.delete("ResourceQuota", "few").await?;
        t.ready("db").await?;
        well(t, "db").await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

#[test]
fn a_policy_that_refuses_the_secret_costs_no_user() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        t.refuse("CREATE", "secrets", &[("false", "no Secret is made here")])
            .await?;
        let probe = "{ kind: Secret, metadata: { name: probe } }";
        refuses_secrets(t, true, probe).await?;
        let mark = t.mark().await?;
        ask(t, "db", &path, "").await?;
        t.complains_with("db", "AdmissionDenied", &["no Secret is made here"])
            .await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        t.refuse_no_more().await?;
        well(t, "db").await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

#[test]
fn a_policy_that_refuses_the_secret_only_in_earnest_leaves_no_user_behind() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        // A dry run has no record yet, so it passes.
        let recorded = "!has(object.metadata.annotations) || !('vaultbridge.dev/state' in object.metadata.annotations)";
        t.refuse("CREATE", "secrets", &[(recorded, "not in earnest")])
            .await?;
        let probe = "{ kind: Secret, metadata: { name: probe, annotations: { vaultbridge.dev/state: '' } } }";
        refuses_secrets(t, true, probe).await?;
        ask(t, "db", &path, "").await?;
        t.complains_with("db", "AdmissionDenied", &["not in earnest"])
            .await?;
        only_users(t, &[]).await?;
        t.refuse_no_more().await?;
        well(t, "db").await?;
        Ok(())
    })
}

#[test]
fn a_permission_that_is_taken_away_spoils_no_credentials_and_is_told() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        t.policy(&[("$tenant/data/*", &["read"])]).await?;
        demand(t, "db", "1").await?;
        t.complains_with("db", "PermissionDenied", &["capability \"read\"", &path])
            .await?;
        let user = old.text("username")?;
        only_users(t, &[&user]).await?;
        assert_eq!(well(t, "db").await?, user);
        t.allow(&path, &["read"]).await?;
        another_user(t, "db", &user).await?;
        well(t, "db").await?;
        Ok(())
    })
}

#[test]
fn a_vault_that_is_sealed_when_credentials_are_due_keeps_the_old_ones_until_it_is_back()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        let mark = t.mark().await?;
        t.vault().seal().await?;
        demand(t, "db", "1").await?;
        t.complains("db", "VaultSealed").await?;
        t.reports("db", "Ready", "True", "Synced").await?;
        t.logs_in(&t.secret("db").await?).await?;
        t.vault().unseal().await?;
        another_user(t, "db", &old.text("username")?).await?;
        well(t, "db").await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

#[test]
fn a_vault_that_is_sealed_in_the_middle_of_an_issue_leaves_nothing_behind() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let proxy = Proxy::start(t.vault().address()).await?;
        let spec = json!({ "address": proxy.address(), "timeout": "10s" });
        t.ground().connect("default", &spec).await?;
        let path = t.database(&DatabaseRole::default()).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        // The request for a user is on its way and does not arrive.
        proxy.set(Way::Without("/creds/"));
        demand(t, "db", "1").await?;
        t.wait("VaultSecret", "db", "to have begun a session", |object| {
            sessions(object).len() == 2
        })
        .await?;
        t.vault().seal().await?;
        proxy.set(Way::Open);
        let object = t
            .wait("VaultSecret", "db", "to tell of it", |object| {
                condition(object, "Synced").is_some_and(|one| one["status"] == "False")
            })
            .await?;
        assert_eq!(sessions(&object).len(), 2, "it is not forgotten: {object}");
        t.logs_in(&t.secret("db").await?).await?;
        t.vault().unseal().await?;
        another_user(t, "db", &old.text("username")?).await?;
        well(t, "db").await?;
        Ok(())
    })
}

#[test]
fn credentials_live_on_while_the_api_server_is_away_for_longer_than_their_lease() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let role = DatabaseRole {
            default_ttl: "12s",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let secret = database_user(t, "db", &path, PROMPT).await?;
        t.ground().control_plane().apiserver().kill()?;
        let place = t.vault().audit().log().end()?;
        until("two renewals without an API server", SOON, async || {
            let asked = t.vault().audit().since(place)?;
            let renewals = asked.only(|request| request.path == "sys/leases/renew");
            Ok((renewals.len() >= 2).then_some(()))
        })
        .await?;
        t.logs_in(&secret).await?;
        t.ground().control_plane().start_apiserver().await?;
        assert_eq!(well(t, "db").await?, secret.text("username")?);
        Ok(())
    })
}

#[test]
fn a_token_that_somebody_revokes_is_replaced_with_what_hung_on_it() -> Result<()> {
    run(async |t| {
        let role = DatabaseRole {
            default_ttl: "12s",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        t.vault().revoke_tokens_of(t.name()).await?;
        another_user(t, "db", &old.text("username")?).await?;
        well(t, "db").await?;
        Ok(())
    })
}
