//! Objects, their namespaces and their service accounts go in whatever order people like.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{run, run_alone};

use super::{PROMPT, database_user, issues, only_users};

#[test]
fn a_namespace_with_leased_credentials_goes_with_its_users() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        for name in ["one", "two", "three"] {
            database_user(t, name, &path, "").await?;
        }
        let mark = t.mark().await?;
        t.delete("Namespace", t.name()).await?;
        t.wait_gone("Namespace", t.name()).await?;
        only_users(t, &[]).await?;
        assert_eq!(issues(t, &mark, &path)?, 0, "nothing is issued into it");
        Ok(())
    })
}

#[test]
fn a_service_account_that_is_deleted_before_the_object_takes_no_user_hostage() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        t.service_account("reader").await?;
        t.role("reader", "reader", json!({})).await?;
        let role = t.name().to_owned() + "-reader";
        t.role(&role, "reader", json!({})).await?;
        let more = format!("auth: {{ role: {role}, serviceAccountName: reader }}");
        database_user(t, "db", &path, &more).await?;
        t.delete("ServiceAccount", "reader").await?;
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        only_users(t, &[]).await
    })
}

#[test]
fn an_object_whose_finalizer_is_removed_by_force_takes_its_user_along() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        database_user(t, "db", &path, PROMPT).await?;
        let force = json!({ "metadata": { "finalizers": null } });
        t.patch("VaultSecret", "db", &force).await?;
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        only_users(t, &[]).await
    })
}

#[test]
fn an_object_that_goes_while_the_operator_is_down_takes_its_users_along_when_it_is_back()
-> Result<()> {
    run_alone(&vaultbridge_e2e::GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        database_user(t, "db", &path, "").await?;
        t.operator()?.kill()?;
        t.delete("VaultSecret", "db").await?;
        t.delete("ServiceAccount", "default").await?;
        t.operator()?.start_again()?;
        t.wait_gone("VaultSecret", "db").await?;
        only_users(t, &[]).await
    })
}

#[test]
fn an_object_that_is_told_to_leave_its_credentials_goes_at_once_and_they_live_on() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let secret = database_user(t, "db", &path, "lease: { revokeOnDelete: Leave }").await?;
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        t.wait_gone("Secret", "db").await?;
        only_users(t, &[&secret.text("username")?]).await
    })
}
