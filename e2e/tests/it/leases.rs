//! Credentials that Vault issues: one that works is in the Secret at all times, none is issued without need, and none is left behind.

mod changing;
mod clocks;
pub mod faults;
mod immutable;
mod keeping;
mod merged;
mod pki;
mod rotated;
mod signed;
mod write;

use anyhow::Result;
use serde_json::{Value, json};
use vaultbridge_e2e::tenant::in_words;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{Mark, SecretView, Tenant, run, run_alone};

/// An object with a database user; `more` is more of its spec.
pub async fn database_user(t: &Tenant, name: &str, path: &str, more: &str) -> Result<SecretView> {
    let sources = format!("sources: [{{ name: db, read: {{ path: {path} }} }}]\n{more}");
    t.carry(name, &sources).await?;
    t.ready(name).await?;
    t.secret(name).await
}

/// Paths of users of two roles, the usual one and `reader`, which the names of its users tell.
async fn app_and_reader(t: &Tenant) -> Result<[String; 2]> {
    let reader = DatabaseRole {
        name: "reader",
        ..DatabaseRole::default()
    };
    let path = t.database(&DatabaseRole::default()).await?;
    Ok([path, t.database(&reader).await?])
}

/// How often Vault was asked for a user since then.
pub fn issues(t: &Tenant, since: &Mark, path: &str) -> Result<usize> {
    Ok(t.vault_requests(since)?.reads().below(path).len())
}

/// Waits until the Secret holds another user than this one.
pub async fn another_user(t: &Tenant, name: &str, user: &str) -> Result<SecretView> {
    t.secret_when(name, "to hold another user", |secret| {
        secret.text("username").is_ok_and(|now| now != user)
    })
    .await
}

/// The sessions that the status tells of.
fn sessions(object: &Value) -> Vec<Value> {
    object["status"]["sessions"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// Waits until these users and no others of the tenant are in the database.
pub async fn only_users(t: &Tenant, users: &[&str]) -> Result<()> {
    let what = format!("the database to have the users {users:?} alone");
    until(&what, SOON, async || {
        let found = t.database_users().await?;
        let leases = t.leases().await?;
        Ok((found == users && leases.len() == users.len()).then_some(()))
    })
    .await
}

#[test]
fn a_user_that_vault_issues_logs_in_and_costs_one_issue() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let mark = t.mark().await?;
        let secret = database_user(t, "db", &path, "").await?;
        t.logs_in(&secret).await?;
        let user = secret.text("username")?;
        assert_eq!(t.database_users().await?, [user]);
        assert_eq!(t.leases().await?.len(), 1);
        assert_eq!(issues(t, &mark, &path)?, 1);
        let object = t.ready("db").await?;
        let sessions = sessions(&object);
        assert_eq!(sessions.len(), 1, "{object}");
        assert_eq!(sessions[0]["committed"], true, "{object}");
        let source = &object["status"]["sources"][0];
        assert_eq!(source["type"], "Lease", "{object}");
        assert_eq!(source["leaseID"], t.leases().await?[0].as_str(), "{object}");
        let account = t.kube_requests(&mark).await?.writes();
        let account = account.only(|request| !request.is_tried_out());
        let expected = [
            "patch vaultsecrets",
            "update vaultsecrets/status",
            "create secrets",
            "update vaultsecrets/status",
        ];
        assert_eq!(in_words(&account), expected, "{account}");
        Ok(())
    })
}

#[test]
fn a_deleted_object_takes_its_user_along() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        database_user(t, "db", &path, "").await?;
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        only_users(t, &[]).await?;
        t.wait_gone("Secret", "db").await
    })
}

#[test]
fn a_restart_issues_nothing_and_writes_nothing() -> Result<()> {
    run_alone(&vaultbridge_e2e::GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let secret = database_user(t, "db", &path, "").await?;
        let user = secret.text("username")?;
        t.operator()?.kill()?;
        let mark = t.mark().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        // What comes after it in the queue tells that the first one was looked at.
        let other = database_user(t, "other", &path, "").await?;
        assert_eq!(issues(t, &mark, &path)?, 1);
        assert_eq!(
            t.secret("db").await?.resource_version(),
            secret.resource_version()
        );
        let writes = t.kube_requests(&mark).await?.writes();
        let of_db = writes.only(|request| request.name == "db");
        assert_eq!(of_db.len(), 0, "{of_db}");
        let mut users = [user, other.text("username")?];
        users.sort();
        assert_eq!(t.database_users().await?, users);
        Ok(())
    })
}

#[test]
fn a_tampered_secret_is_restored_without_a_new_user() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let secret = database_user(t, "db", &path, "").await?;
        let mark = t.mark().await?;
        let harm = json!({ "stringData": { "password": "tampered with" } });
        t.patch("Secret", "db", &harm).await?;
        let password = secret.text("password")?;
        let restored = t.secret_with("db", "password", &password).await?;
        assert_eq!(restored.text("username")?, secret.text("username")?);
        t.logs_in(&restored).await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        Ok(())
    })
}

#[test]
fn a_deleted_secret_is_made_anew_with_a_new_user_and_the_old_one_goes_after_its_overlap()
-> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let more = "lease: { overlap: 1s, replaced: Revoke }";
        let secret = database_user(t, "db", &path, more).await?;
        t.delete("Secret", "db").await?;
        let anew = another_user(t, "db", &secret.text("username")?).await?;
        t.logs_in(&anew).await?;
        only_users(t, &[&anew.text("username")?]).await
    })
}

#[test]
fn another_mapping_of_the_same_credentials_issues_nothing() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let secret = database_user(t, "db", &path, "").await?;
        let mark = t.mark().await?;
        let edit =
            json!({ "spec": { "data": [{ "key": "USER", "source": "db", "field": "username" }] } });
        t.patch("VaultSecret", "db", &edit).await?;
        let user = secret.text("username")?;
        t.secret_with("db", "USER", &user).await?;
        let label = json!({ "spec": { "destination": { "labels": { "team": "shop" } } } });
        t.patch("VaultSecret", "db", &label).await?;
        t.secret_when("db", "to have the label", |secret| {
            let labels = secret.metadata().labels.as_ref();
            labels.is_some_and(|labels| labels.contains_key("team"))
        })
        .await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        assert_eq!(t.database_users().await?, [user]);
        Ok(())
    })
}

#[test]
fn another_request_is_another_user_and_the_old_one_goes() -> Result<()> {
    run(async |t| {
        let [path, other] = app_and_reader(t).await?;
        let more = "lease: { overlap: 1s, replaced: Revoke }";
        let secret = database_user(t, "db", &path, more).await?;
        let edit = json!({ "spec": { "sources": [{ "name": "db", "read": { "path": other } }] } });
        t.patch("VaultSecret", "db", &edit).await?;
        let anew = another_user(t, "db", &secret.text("username")?).await?;
        t.logs_in(&anew).await?;
        only_users(t, &[&anew.text("username")?]).await
    })
}
