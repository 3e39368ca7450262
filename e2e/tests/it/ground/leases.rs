//! What Vault issues is real: it logs in to the database, hangs on its lease, and is counted.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{Tenant, run};

use super::jwt;

/// A user and the lease, as Vault issues them to a token.
struct Issued {
    user: String,
    password: String,
    lease: String,
    seconds: u64,
}

/// Reads what issues a user, with this token; the root token when it is empty.
async fn issue(t: &Tenant, token: &str, path: &str) -> Result<Issued> {
    let token = if token.is_empty() {
        t.vault().root_token()
    } else {
        token
    };
    let answer = t
        .vault()
        .api_as(token, Method::GET, path, &Value::Null)
        .await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("read the answer");
    Ok(Issued {
        user: text(&answer["data"]["username"])?,
        password: text(&answer["data"]["password"])?,
        lease: text(&answer["lease_id"])?,
        seconds: answer["lease_duration"].as_u64().unwrap_or_default(),
    })
}

async fn login(t: &Tenant) -> Result<String> {
    let body = json!({ "role": t.name(), "jwt": jwt(t, "vault").await? });
    t.vault().login("kubernetes", &body).await
}

#[test]
fn an_issued_user_logs_in_until_its_lease_is_revoked() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let db = t.ground().postgres().await?;
        let [one, two] = [issue(t, "", &path).await?, issue(t, "", &path).await?];
        db.can_log_in(&one.user, &one.password).await?;
        db.can_log_in(&two.user, &two.password).await?;
        let mut users = vec![one.user.clone(), two.user.clone()];
        users.sort();
        assert_eq!(t.database_users().await?, users);
        let mut leases = vec![one.lease.clone(), two.lease.clone()];
        leases.sort();
        assert_eq!(t.leases().await?, leases);
        assert_eq!(t.vault().leases(&path).await?, leases);

        t.vault().revoke_lease(&one.lease).await?;
        let said = db.refuses(&one.user, &one.password).await?;
        assert_eq!(t.database_users().await?.join(", "), two.user, "{said}");
        assert_eq!(t.leases().await?.join(", "), two.lease);
        assert_eq!(t.vault().lease(&one.lease).await?, None);
        db.can_log_in(&two.user, &two.password).await
    })
}

#[test]
fn a_lease_ends_with_the_token_that_asked_for_it() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let db = t.ground().postgres().await?;
        let (token, other) = (login(t).await?, login(t).await?);
        let mine = issue(t, &token, &path).await?;
        let kept = issue(t, &other, &path).await?;
        t.vault()
            .api_as(&token, Method::POST, "auth/token/revoke-self", &Value::Null)
            .await?;
        until("the lease to end with its token", SOON, async || {
            Ok((t.leases().await?.join(", ") == kept.lease).then_some(()))
        })
        .await?;
        db.refuses(&mine.user, &mine.password).await?;
        db.can_log_in(&kept.user, &kept.password).await
    })
}

#[test]
fn the_times_of_a_role_are_those_of_its_next_leases() -> Result<()> {
    run(async |t| {
        let times = |default_ttl, max_ttl| DatabaseRole {
            default_ttl,
            max_ttl,
            ..DatabaseRole::default()
        };
        let path = t.database(&times("10m", "20m")).await?;
        let before = issue(t, "", &path).await?;
        assert_eq!(before.seconds, 600);
        t.database(&times("30s", "1m")).await?;
        let after = issue(t, "", &path).await?;
        assert_eq!(after.seconds, 30);
        let lease = t.vault().lease(&after.lease).await?;
        let lease = lease.context("look up a lease that lives")?;
        ensure!(
            lease.renewable && (1..=30).contains(&lease.ttl),
            "{lease:?}"
        );
        let old = t.vault().lease(&before.lease).await?;
        ensure!(old.as_ref().is_some_and(|old| old.ttl > 500), "{old:?}");
        Ok(())
    })
}

#[test]
fn a_static_users_password_changes_when_it_is_rotated_and_its_name_does_not() -> Result<()> {
    run(async |t| {
        let path = t.static_database("batch", "24h").await?;
        let db = t.ground().postgres().await?;
        let token = login(t).await?;
        let read = async || {
            let vault = t.vault();
            let mut answer = vault
                .api_as(&token, Method::GET, &path, &Value::Null)
                .await?;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let data = answer["data"].take();
            let (user, password) = (text(&data["username"]), text(&data["password"]));
            user.zip(password).context("read the answer")
        };
        let (user, old) = read().await?;
        db.can_log_in(&user, &old).await?;
        t.rotate_static_database("batch").await?;
        let (same, new) = read().await?;
        assert_eq!(same, user);
        db.can_log_in(&user, &new).await?;
        db.refuses(&user, &old).await?;
        assert_eq!(t.leases().await?, [""; 0], "a static user has no lease");
        Ok(())
    })
}

#[test]
fn a_tenant_chooses_what_tokens_its_role_gives() -> Result<()> {
    run(async |t| {
        let settings = json!({
            "token_ttl": "2m",
            "token_max_ttl": "3m",
            "token_no_default_policy": true,
        });
        t.tokens_are(&settings).await?;
        for mount in ["kubernetes", "jwt"] {
            let body = json!({ "role": t.name(), "jwt": jwt(t, "vault").await? });
            let path = format!("auth/{mount}/login");
            let answer = t.vault().api_as("", Method::POST, &path, &body).await?;
            let auth = &answer["auth"];
            assert_eq!(auth["lease_duration"], 120, "{mount}");
            assert_eq!(auth["policies"], json!([t.name()]), "{mount}");
        }
        t.tokens_are(&json!({ "token_period": "20s" })).await?;
        let token = login(t).await?;
        let own = t
            .vault()
            .api_as(&token, Method::GET, "auth/token/lookup-self", &Value::Null)
            .await?;
        assert_eq!(own["data"]["period"], 20);
        let policies = own["data"]["policies"].to_string();
        ensure!(policies.contains("\"default\""), "{policies}");
        Ok(())
    })
}
