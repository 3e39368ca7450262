//! What answers at a path, and what goes into a request, may become something else while an object has its credentials.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{Mark, Tenant, run, source};

use super::faults::demand;
use super::{database_user, issues, only_users};

/// Lets some time go by in which an operator that wanted to do something would have done it: that of some polls of another object.
async fn some_polls(t: &Tenant) -> Result<Mark> {
    t.put("app", json!({ "key": "of a neighbour" })).await?;
    let refresh = "refresh: { interval: 1s }";
    t.carry("neighbour", &format!("{}\n{refresh}", source("app")))
        .await?;
    t.ready("neighbour").await?;
    let mark = t.mark().await?;
    t.polls(&mark, "app", 4).await?;
    Ok(mark)
}

/// Replaces the engine at the mount of the tenant's database by one that only holds what it is given.
async fn only_holds(t: &Tenant, path: &str, user: &str) -> Result<()> {
    let mount = t.database_mount();
    t.vault().delete(&format!("sys/mounts/{mount}")).await?;
    t.vault().mount_kv(&mount, 1).await?;
    holds(t, path, user).await
}

async fn holds(t: &Tenant, path: &str, user: &str) -> Result<()> {
    let mount = t.database_mount();
    let below = path.strip_prefix(&format!("{mount}/"));
    let data = json!({ "username": user, "password": format!("that of {user}") });
    t.put_v1(&mount, below.context("find the path")?, &data)
        .await
}

fn kind(object: &Value) -> &Value {
    &object["status"]["sources"][0]["type"]
}

#[test]
fn a_path_that_gives_a_lease_one_day_is_not_read_again_from_then_on() -> Result<()> {
    run(async |t| {
        let role = DatabaseRole::default();
        let path = t.database(&role).await?;
        only_holds(t, &path, "nobody").await?;
        database_user(t, "db", &path, "refresh: { interval: 1s }").await?;
        t.secret_with("db", "username", "nobody").await?;
        assert_ne!(kind(&t.ready("db").await?), "Lease");

        let mount = t.database_mount();
        t.vault().delete(&format!("sys/mounts/{mount}")).await?;
        t.database(&role).await?;
        let secret = super::another_user(t, "db", "nobody").await?;
        t.logs_in(&secret).await?;
        let is_lease = |object: &Value| kind(object) == "Lease";
        t.wait("VaultSecret", "db", "to tell of a lease", is_lease)
            .await?;
        let user = secret.text("username")?;
        only_users(t, &[&user]).await?;
        let mark = some_polls(t).await?;
        assert_eq!(issues(t, &mark, &path)?, 0);
        t.secret_with("db", "username", &user).await?;
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        only_users(t, &[]).await
    })
}

#[test]
fn a_path_that_gives_no_lease_any_more_is_read_again_from_then_on() -> Result<()> {
    run(async |t| {
        let role = DatabaseRole {
            default_ttl: "12s",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let more = "lease: { overlap: 1s, replaced: Revoke }\nrefresh: { interval: 1s }";
        database_user(t, "db", &path, more).await?;
        only_holds(t, &path, "nobody").await?;
        t.secret_with("db", "username", "nobody").await?;
        let is_static =
            |object: &Value| kind(object) != "Lease" && super::sessions(object).len() == 1;
        t.wait(
            "VaultSecret",
            "db",
            "to have one session without a lease",
            is_static,
        )
        .await?;
        holds(t, &path, "quebec5romeo").await?;
        t.secret_with("db", "username", "quebec5romeo").await?;
        let mark = t.mark().await?;
        t.asks(&mark, &path, 3).await?;
        assert_eq!(t.vault_requests(&mark)?.logins().len(), 0);
        Ok(())
    })
}

/// What is known at Vault of the secret-id in the Secret.
async fn team(t: &Tenant, path: &str) -> Result<String> {
    let accessor = t.secret("ci").await?.text("secret_id_accessor")?;
    let body = json!({ "secret_id_accessor": accessor });
    let found = t
        .vault()
        .write(&format!("{path}-accessor/lookup"), &body)
        .await?;
    let team = found["data"]["metadata"]["team"].as_str();
    team.map(str::to_owned).context("find the team")
}

async fn note(t: &Tenant, team: &str) -> Result<()> {
    let text = json!({ "team": team }).to_string();
    let note =
        json!({ "kind": "Secret", "metadata": { "name": "note" }, "stringData": { "text": text } });
    t.apply(&note.to_string()).await?;
    Ok(())
}

#[test]
fn another_value_of_a_parameter_from_a_secret_wakes_nobody_and_is_used_at_the_next_request()
-> Result<()> {
    run(async |t| {
        let path = t.approle("ci").await?;
        note(t, "one").await?;
        let from = "parametersFrom: [{ name: metadata, secretKeyRef: { name: note, key: text } }]";
        let spec = format!("sources: [{{ name: ci, write: {{ path: {path}, {from} }} }}]");
        t.carry("ci", &spec).await?;
        t.ready("ci").await?;
        assert_eq!(team(t, &path).await?, "one");
        let old = t.secret("ci").await?.text("secret_id")?;

        let changed = t.mark().await?;
        note(t, "two").await?;
        some_polls(t).await?;
        let asked = t.vault_requests(&changed)?;
        let asked = asked.only(|request| request.path == path);
        ensure!(asked.is_empty(), "{asked}");

        demand(t, "ci", "1").await?;
        t.secret_when("ci", "to hold another secret-id", |secret| {
            secret.text("secret_id").is_ok_and(|now| now != old)
        })
        .await?;
        assert_eq!(team(t, &path).await?, "two");
        Ok(())
    })
}
