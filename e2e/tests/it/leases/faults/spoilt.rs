//! What the Secret or the operator's key tells is wrong, old or gone.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use vaultbridge_e2e::operator::NAMESPACE;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{GroundOptions, SecretView, Tenant, objects, run, run_alone};

use super::{PROMPT, another_user, database_user, demand, issues, only_users, sessions, well};

#[test]
fn a_secret_that_somebody_made_immutable_is_made_anew_with_new_credentials() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        t.patch("Secret", "db", &json!({ "immutable": true }))
            .await?;
        let mark = t.mark().await?;
        demand(t, "db", "1").await?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        assert_ne!(new.uid(), old.uid());
        well(t, "db").await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

/// The Secret as somebody keeps it in a backup.
async fn backup(t: &Tenant, name: &str) -> Result<Value> {
    let mut secret = t.get("Secret", name).await?.context("find the Secret")?;
    let keep = secret["metadata"].take();
    secret["metadata"] = json!({
        "name": keep["name"],
        "namespace": keep["namespace"],
        "labels": keep["labels"],
        "annotations": keep["annotations"],
        "ownerReferences": keep["ownerReferences"],
    });
    Ok(secret)
}

/// Puts a Secret back as a backup has it, with everything that says what it is.
async fn restore(t: &Tenant, name: &str, backup: &Value) -> Result<()> {
    let params = PatchParams::default();
    let api = t.api("Secret").await?;
    api.patch(name, &params, &Patch::Merge(backup)).await?;
    Ok(())
}

/// An object whose user was replaced by another. Returns the first Secret, as it is read and as a backup has it.
async fn replaced(t: &Tenant, name: &str, more: &str) -> Result<(SecretView, Value)> {
    let path = t.database(&DatabaseRole::default()).await?;
    let old = database_user(t, name, &path, more).await?;
    let backup = backup(t, name).await?;
    demand(t, name, "1").await?;
    another_user(t, name, &old.text("username")?).await?;
    Ok((old, backup))
}

#[test]
fn a_secret_restored_from_a_backup_ends_with_credentials_that_work() -> Result<()> {
    run(async |t| {
        let (old, backup) = replaced(t, "db", PROMPT).await?;
        let old_user = old.text("username")?;
        let second = well(t, "db").await?;
        restore(t, "db", &backup).await?;
        another_user(t, "db", &old_user).await?;
        let third = well(t, "db").await?;
        assert_ne!(third, old_user, "it was revoked before: {second}");
        Ok(())
    })
}

#[test]
fn a_secret_restored_while_the_operator_was_down_ends_with_credentials_that_work() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let (old, backup) = replaced(t, "db", PROMPT).await?;
        let old_user = old.text("username")?;
        well(t, "db").await?;
        t.operator()?.kill()?;
        restore(t, "db", &backup).await?;
        t.operator()?.start_again()?;
        another_user(t, "db", &old_user).await?;
        well(t, "db").await?;
        Ok(())
    })
}

#[test]
fn a_secret_restored_within_the_overlap_keeps_the_credentials_that_it_names() -> Result<()> {
    run(async |t| {
        let long = "lease: { overlap: 1h, replaced: Revoke }";
        let (old, backup) = replaced(t, "db", long).await?;
        let old_user = old.text("username")?;
        t.ready("db").await?;
        restore(t, "db", &backup).await?;
        // What it was restored to says that nothing was demanded yet.
        let restored = t
            .secret_when("db", "to hold a user of today", |secret| {
                secret.text("username").is_ok_and(|user| user != old_user)
            })
            .await?;
        t.logs_in(&restored).await?;
        t.logs_in(&old).await
    })
}

#[test]
fn a_lost_key_of_the_operator_is_told_and_costs_new_credentials_and_harms_none() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        t.operator()?.kill()?;
        let client = t.ground().control_plane().client();
        let secrets = objects::api(client, "v1", "Secret", NAMESPACE).await?;
        secrets
            .delete("vaultbridge-keys", &DeleteParams::default())
            .await
            .context("delete the operator's key")?;
        t.operator()?.start_again()?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        t.logs_in(&new).await?;
        t.ready("db").await?;
        t.event("VaultSecret", "db", "LeaseLost", &["sealed"])
            .await?;
        t.logs_in(&old).await?;
        let object = t
            .wait("VaultSecret", "db", "to know both sessions", |object| {
                sessions(object).len() == 2
            })
            .await?;
        assert_eq!(t.database_users().await?.len(), 2, "{object}");
        Ok(())
    })
}

/// Somebody spoils the password in the Secret, and the operator puts it right.
async fn is_restored(t: &Tenant, secret: &SecretView) -> Result<()> {
    let password = secret.text("password")?;
    let harm = json!({ "stringData": { "password": "tampered with" } });
    t.patch("Secret", "db", &harm).await?;
    t.secret_with("db", "password", &password).await?;
    Ok(())
}

#[test]
fn a_new_key_of_the_operator_takes_over_with_new_credentials_and_the_old_one_can_go_then()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        let client = t.ground().control_plane().client();
        let secrets = objects::api(client, "v1", "Secret", NAMESPACE).await?;
        let with_keys = async |data: Value| {
            t.operator()?.kill()?;
            let change = Patch::Merge(json!({ "data": data }));
            let params = PatchParams::default();
            secrets.patch("vaultbridge-keys", &params, &change).await?;
            t.operator()?.start_again()?;
            t.operator()?.ready().await
        };
        let keys = secrets.get("vaultbridge-keys").await?;
        let first = keys.data["data"]["current"].as_str().unwrap_or_default();
        let first = String::from_utf8(STANDARD.decode(first)?)?;
        with_keys(json!({ "k2": STANDARD.encode([7; 32]), "current": STANDARD.encode("k2") }))
            .await?;
        let mark = t.mark().await?;
        is_restored(t, &old).await?;
        assert_eq!(issues(t, &mark, &path)?, 0, "the first key still opens");

        demand(t, "db", "1").await?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        well(t, "db").await?;
        let object = t.get("VaultSecret", "db").await?.context("find db")?;
        let sealed = &sessions(&object)[0]["sealed"];
        ensure!(
            sealed.as_str().is_some_and(|text| text.starts_with("k2:")),
            "{object}"
        );
        with_keys(json!({ first: null })).await?;
        let mark = t.mark().await?;
        is_restored(t, &new).await?;
        assert_eq!(issues(t, &mark, &path)?, 0, "the second key opens");
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        only_users(t, &[]).await
    })
}
