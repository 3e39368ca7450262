//! What has no lease and is changed by Vault itself is read again, and followed soon.

use anyhow::{Context as _, Result};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{SecretView, Tenant, run};

/// An object with the password of a static user, looked at that often.
async fn static_user(t: &Tenant, path: &str, interval: &str) -> Result<SecretView> {
    let spec = format!(
        "sources: [{{ name: db, read: {{ path: {path} }} }}]\nrefresh: {{ interval: {interval} }}"
    );
    t.carry("db", &spec).await?;
    t.ready("db").await?;
    t.secret("db").await
}

async fn another_password(t: &Tenant, old: &SecretView) -> Result<SecretView> {
    let old = old.text("password")?;
    t.secret_when("db", "to hold another password", |secret| {
        secret.text("password").is_ok_and(|now| now != old)
    })
    .await
}

#[test]
fn a_look_at_a_password_that_has_not_changed_writes_nothing() -> Result<()> {
    run(async |t| {
        let path = t.static_database("batch", "24h").await?;
        let secret = static_user(t, &path, "1s").await?;
        t.logs_in(&secret).await?;
        let mark = t.mark().await?;
        t.asks(&mark, &path, 3).await?;
        let writes = t.kube_requests(&mark).await?.writes();
        assert_eq!(writes.len(), 0, "{writes}");
        assert_eq!(t.vault_requests(&mark)?.logins().len(), 0);
        Ok(())
    })
}

#[test]
fn a_password_that_somebody_rotates_is_found_by_the_next_look() -> Result<()> {
    run(async |t| {
        let path = t.static_database("batch", "24h").await?;
        let old = static_user(t, &path, "2s").await?;
        let mark = t.mark().await?;
        t.rotate_static_database("batch").await?;
        let new = another_password(t, &old).await?;
        t.logs_in(&new).await?;
        assert_eq!(new.text("username")?, old.text("username")?);
        // It is read in the session that was there before.
        assert_eq!(t.vault_requests(&mark)?.logins().len(), 0);
        let revision = t.ready("db").await?["status"]["revision"].as_i64();
        assert_eq!(revision.context("find the revision")?, 2);
        Ok(())
    })
}

#[test]
fn a_password_that_vault_rotates_is_followed_at_that_time_and_not_at_the_interval() -> Result<()> {
    run(async |t| {
        let path = t.static_database("batch", "10s").await?;
        let old = static_user(t, &path, "1h").await?;
        another_password(t, &old).await?;
        // It may be rotated again between the look at the Secret and the login.
        until("the password to log in", SOON, async || {
            let secret = t.secret("db").await?;
            Ok(t.logs_in(&secret).await.is_ok().then_some(()))
        })
        .await
    })
}
