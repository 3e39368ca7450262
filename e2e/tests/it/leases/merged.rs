//! Credentials in a Secret that others share: issued once, kept alive, replaced, restored and revoked as in any other.

use anyhow::{Context as _, Result};
use serde_json::json;
use vaultbridge_e2e::operator::Operator;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{GroundOptions, SecretView, Tenant, run, run_alone};

use super::faults::demand;
use super::{another_user, issues, only_users};
use crate::ownership::adopting::owners_of;

const THEIRS: &str = "{ kind: Secret, metadata: { name: db }, data: { theirs: b2YgdGhlaXJz } }";

/// A database user in a Secret of others.
async fn merged(t: &Tenant, path: &str, more: &str) -> Result<SecretView> {
    t.apply(THEIRS).await?;
    let merge = format!("destination: {{ creationPolicy: Merge }}\n{more}");
    super::database_user(t, "db", path, &merge).await
}

#[test]
fn a_merged_user_costs_one_issue_and_goes_with_its_object() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let mark = t.mark().await?;
        let secret = merged(t, &path, "").await?;
        t.logs_in(&secret).await?;
        assert_eq!(secret.keys(), ["password", "theirs", "username"]);
        assert_eq!(owners_of(&secret, "password"), ["vaultbridge/db Apply"]);
        for round in 0..3 {
            let theirs = json!({ "stringData": { "theirs": format!("round {round}") } });
            t.patch("Secret", "db", &theirs).await?;
        }
        assert_eq!(t.database_users().await?, [secret.text("username")?]);
        assert_eq!(issues(t, &mark, &path)?, 1);
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        only_users(t, &[]).await?;
        assert_eq!(t.secret("db").await?.keys(), ["theirs"]);
        Ok(())
    })
}

#[test]
fn a_merged_user_that_is_demanded_anew_takes_the_place_of_the_old_one() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let old = merged(t, &path, "lease: { overlap: 1s, replaced: Revoke }").await?;
        demand(t, "db", "1").await?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        t.logs_in(&new).await?;
        assert_eq!(new.text("theirs")?, "of theirs");
        only_users(t, &[&new.text("username")?]).await
    })
}

#[test]
fn a_merged_user_whose_key_is_taken_away_is_restored_and_none_is_issued() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let secret = merged(t, &path, "").await?;
        let mark = t.mark().await?;
        t.patch("Secret", "db", &json!({ "data": { "password": null } }))
            .await?;
        let restored = t
            .secret_with("db", "password", &secret.text("password")?)
            .await?;
        t.logs_in(&restored).await?;
        let edit = json!({ "stringData": { "password": "edited by hand" } });
        t.patch_as("kubectl-edit", "Secret", "db", &edit).await?;
        let words = ["key password is set by kubectl-edit"];
        t.complains_with("db", "SecretConflict", &words).await?;
        t.patch("Secret", "db", &json!({ "data": { "password": null } }))
            .await?;
        t.secret_with("db", "password", &secret.text("password")?)
            .await?;
        t.ready("db").await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        Ok(())
    })
}

#[test]
fn nothing_is_issued_for_a_key_that_is_somebody_elses() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        t.apply(THEIRS).await?;
        let mark = t.mark().await?;
        let spec = format!(
            "sources: [{{ name: db, read: {{ path: {path} }} }}]
data: [{{ key: theirs, source: db, field: password }}]
destination: {{ creationPolicy: Merge }}"
        );
        t.carry("db", &spec).await?;
        let words = ["key theirs is set by a-person"];
        t.complains_with("db", "SecretConflict", &words).await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        let gone = json!({ "data": { "theirs": null } });
        t.patch("Secret", "db", &gone).await?;
        t.ready("db").await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        Ok(())
    })
}

#[test]
fn a_user_survives_every_change_of_the_policy() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let mark = t.mark().await?;
        let secret = super::database_user(t, "db", &path, "").await?;
        let user = secret.text("username")?;
        for (creation, owner) in [
            ("Merge", "vaultbridge/db Apply"),
            ("Create", "vaultbridge Update"),
            ("CreateOrMerge", "vaultbridge/db Apply"),
        ] {
            let change = json!({ "spec": { "destination": { "creationPolicy": creation } } });
            t.patch("VaultSecret", "db", &change).await?;
            t.ready("db").await?;
            let secret = t
                .secret_when("db", owner, |secret| {
                    owners_of(secret, "password") == [owner]
                })
                .await?;
            assert_eq!(secret.text("username")?, user, "{creation}");
            t.logs_in(&secret).await.context(creation)?;
            let harm = json!({ "data": { "password": null } });
            t.patch("Secret", "db", &harm).await?;
            t.secret_with("db", "password", &secret.text("password")?)
                .await
                .context("it was not restored")?;
        }
        assert_eq!(issues(t, &mark, &path)?, 1);
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("Secret", "db").await?;
        only_users(t, &[]).await
    })
}

#[test]
fn a_restart_finds_merged_credentials_and_writes_nothing() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let secret = merged(t, &path, "").await?;
        t.operator()?.kill()?;
        let theirs = json!({ "stringData": { "theirs": "while nobody looked" } });
        t.patch("Secret", "db", &theirs).await?;
        let mark = t.mark().await?;
        let operator: &Operator = t.operator()?;
        operator.start_again()?;
        operator.ready().await?;
        super::database_user(t, "other", &path, "").await?;
        assert_eq!(issues(t, &mark, &path)?, 1, "that of the other");
        let writes = t.kube_requests(&mark).await?.writes();
        let of_db = writes.only(|request| request.name == "db");
        assert_eq!(of_db.len(), 0, "{of_db}");
        assert_eq!(
            t.secret("db").await?.text("username")?,
            secret.text("username")?
        );
        Ok(())
    })
}

#[test]
fn a_secret_that_is_made_for_a_user_to_share_is_one_request_and_goes_with_the_last_key()
-> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let mark = t.mark().await?;
        let merge = "destination: { creationPolicy: CreateOrMerge }";
        let secret = super::database_user(t, "db", &path, merge).await?;
        t.logs_in(&secret).await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        let writes = t.kube_requests(&mark).await?.writes().resource("secrets");
        let writes = writes.only(|request| !request.is_tried_out());
        let verbs: Vec<_> = writes.iter().map(|one| one.verb.as_str()).collect();
        assert_eq!(verbs, ["create", "patch"], "{writes}");
        assert_eq!(owners_of(&secret, "password"), ["vaultbridge/db Apply"]);
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        t.wait_gone("Secret", "db").await?;
        only_users(t, &[]).await
    })
}
