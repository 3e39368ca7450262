//! Requests that make something are sent once.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Mark, Tenant, run, run_alone};

use super::faults::demand;

/// How often something was asked of the path since then.
fn requests(t: &Tenant, since: &Mark, path: &str) -> Result<usize> {
    let requests = t.vault_requests(since)?;
    Ok(requests.only(|request| request.path == path).len())
}

#[test]
fn a_secret_id_is_made_once_whatever_else_happens() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.approle("ci").await?;
        t.put("app", json!({ "color": "green" })).await?;
        let mark = t.mark().await?;
        // Beside a source that is polled, so that polls can be seen to pass it by.
        let spec = format!(
            "sources: [{{ name: ci, write: {{ path: {path} }} }}, {{ name: app, kv: {{ path: $tenant/app }} }}]"
        );
        t.carry("ci", &spec).await?;
        let object = t.ready("ci").await?;
        let source = &object["status"]["sources"];
        assert_eq!(source[1]["type"], "Written", "{source}");
        let secret = t.secret("ci").await?;
        let secret_id = secret.text("secret_id")?;
        t.approle_logs_in("ci", &secret_id).await?;
        let polls = format!("{}/data/app", t.name());
        t.asks(&mark, &polls, 3).await?;

        t.operator()?.kill()?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        t.put("app", json!({ "color": "red" })).await?;
        let secret = t.secret_with("ci", "color", "red").await?;
        assert_eq!(secret.text("secret_id")?, secret_id);
        assert_eq!(requests(t, &mark, &path)?, 1);
        assert_eq!(t.secret_ids("ci").await?, 1);
        Ok(())
    })
}

#[test]
fn another_request_is_sent_and_the_same_one_is_not() -> Result<()> {
    run(async |t| {
        let path = t.approle("ci").await?;
        let mark = t.mark().await?;
        let spec = format!("sources: [{{ name: ci, write: {{ path: {path} }} }}]");
        t.carry("ci", &spec).await?;
        t.ready("ci").await?;
        let first = t.secret("ci").await?.text("secret_id")?;
        let edit =
            json!({ "spec": { "data": [{ "key": "ID", "source": "ci", "field": "secret_id" }] } });
        t.patch("VaultSecret", "ci", &edit).await?;
        t.secret_with("ci", "ID", &first).await?;
        assert_eq!(requests(t, &mark, &path)?, 1);
        let write = json!({ "path": path, "parameters": { "ttl": "10m" } });
        let edit = json!({ "spec": { "sources": [{ "name": "ci", "write": write }] } });
        t.patch("VaultSecret", "ci", &edit).await?;
        t.secret_when("ci", "to hold another secret-id", |secret| {
            secret.text("ID").is_ok_and(|now| now != first)
        })
        .await?;
        assert_eq!(requests(t, &mark, &path)?, 2);
        Ok(())
    })
}

#[test]
fn a_request_is_repeated_after_its_refresh_interval() -> Result<()> {
    run(async |t| {
        let path = t.approle("ci").await?;
        let spec =
            format!("sources: [{{ name: ci, write: {{ path: {path}, refreshInterval: 10s }} }}]");
        t.carry("ci", &spec).await?;
        t.ready("ci").await?;
        let first = t.secret("ci").await?.text("secret_id")?;
        let new = t.secret_when("ci", "to hold another secret-id", |secret| {
            secret.text("secret_id").is_ok_and(|now| now != first)
        });
        t.approle_logs_in("ci", &new.await?.text("secret_id")?)
            .await
    })
}

#[test]
fn a_parameter_that_is_missing_is_told_with_the_fix_and_taken_from_its_secret_once_it_is_there()
-> Result<()> {
    run(async |t| {
        let path = t.approle("ci").await?;
        let mark = t.mark().await?;
        let from = "parametersFrom: [{ name: metadata, secretKeyRef: { name: note, key: text } }]";
        let spec = format!("sources: [{{ name: ci, write: {{ path: {path}, {from} }} }}]");
        t.carry("ci", &spec).await?;
        let words = [
            "parameter metadata",
            "key text of Secret note",
            "does not exist; create it",
        ];
        t.complains_with("ci", "InvalidSpec", &words).await?;
        assert_eq!(t.vault_requests(&mark)?.logins().len(), 0);
        let note = r#"{ kind: Secret, metadata: { name: note }, stringData: { text: '{"team": "a team of tests"}' } }"#;
        t.apply(note).await?;
        t.ready("ci").await?;
        let secret = t.secret("ci").await?;
        let lookup = format!("{path}-accessor/lookup");
        let body = json!({ "secret_id_accessor": secret.text("secret_id_accessor")? });
        let found = t.vault().write(&lookup, &body).await?;
        let team = &found["data"]["metadata"]["team"];
        assert_eq!(team, "a team of tests", "{found}");
        Ok(())
    })
}

#[test]
fn a_parameter_from_a_secret_is_told_nowhere_when_vault_quotes_it_in_its_refusal() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.approle("ci").await?;
        let canary = "tango4uniform4victor";
        let direct = t.vault().write(&path, &json!({ "ttl": canary })).await;
        let words = direct.err().map(|error| format!("{error:#}"));
        let words = words.context("have Vault refuse a parameter")?;
        ensure!(words.contains(canary), "Vault quotes nothing: {words}");

        let note = format!(
            "{{ kind: Secret, metadata: {{ name: note }}, stringData: {{ text: {canary} }} }}"
        );
        t.apply(&note).await?;
        let from = "parametersFrom: [{ name: ttl, secretKeyRef: { name: note, key: text } }]";
        let spec = format!("sources: [{{ name: ci, write: {{ path: {path}, {from} }} }}]");
        t.carry("ci", &spec).await?;
        t.complains_with("ci", "InvalidSpec", &["quotes a secret parameter"])
            .await?;
        let object = t.get("VaultSecret", "ci").await?.context("find ci")?;
        let events = t.events("VaultSecret", "ci").await?;
        let log = t.operator()?.log()?;
        let events = events.into_iter().map(|event| event.note);
        for place in events.chain([object.to_string(), log]) {
            ensure!(!place.contains(canary), "{canary} is told: {place}");
        }
        Ok(())
    })
}

#[test]
fn a_request_whose_answer_does_not_fit_the_mapping_is_not_sent_again_until_somebody_asks()
-> Result<()> {
    run(async |t| {
        let path = t.approle("ci").await?;
        t.put("app", json!({ "color": "green" })).await?;
        let mark = t.mark().await?;
        let data = |field: &str| json!([{ "key": "ID", "source": "ci", "field": field }]);
        let spec = format!(
            "sources: [{{ name: ci, write: {{ path: {path} }} }}]\ndata: {}",
            data("secret_if")
        );
        t.carry("ci", &spec).await?;
        let words = ["secret_if", "vaultbridge.dev/force-sync"];
        t.complains_with("ci", "FieldNotFound", &words).await?;
        // Another object's polls tell that the time of several tries went by.
        t.carry("app", "sources: [{ name: app, kv: { path: $tenant/app } }]")
            .await?;
        t.asks(&mark, &format!("{}/data/app", t.name()), 4).await?;
        assert_eq!(requests(t, &mark, &path)?, 1);
        demand(t, "ci", "again").await?;
        until("another try", SOON, async || {
            Ok((requests(t, &mark, &path)? == 2).then_some(()))
        })
        .await?;
        let edit = json!({ "spec": { "data": data("secret_id") } });
        t.patch("VaultSecret", "ci", &edit).await?;
        t.ready("ci").await?;
        assert_eq!(requests(t, &mark, &path)?, 3);
        Ok(())
    })
}

#[test]
fn a_wrapping_token_unwraps_once() -> Result<()> {
    run(async |t| {
        let path = t.approle("ci").await?;
        let spec = format!("sources: [{{ name: ci, write: {{ path: {path}, wrapTTL: 10m }} }}]");
        t.carry("ci", &spec).await?;
        let object = t.ready("ci").await?;
        let source = &object["status"]["sources"][0];
        assert_eq!(source["type"], "Token", "{object}");
        ensure!(source["expirationTime"].is_string(), "{object}");
        let token = t.secret("ci").await?.text("token")?;
        let unwrap = async || {
            let (vault, path) = (t.vault(), "sys/wrapping/unwrap");
            vault.api_as(&token, Method::POST, path, &Value::Null).await
        };
        let answer = unwrap().await?;
        let secret_id = answer["data"]["secret_id"].as_str().unwrap_or_default();
        t.approle_logs_in("ci", secret_id).await?;
        ensure!(unwrap().await.is_err(), "it was unwrapped twice");
        Ok(())
    })
}

#[test]
fn a_token_that_is_issued_is_replaced_before_it_ends_and_goes_with_the_object() -> Result<()> {
    run(async |t| {
        let path = t.token_maker().await?;
        let parameters = "{ ttl: 30s, explicit_max_ttl: 30s }";
        let write = format!("{{ path: {path}, result: Auth, parameters: {parameters} }}");
        let spec = format!("sources: [{{ name: robot, write: {write} }}]");
        t.carry("robot", &spec).await?;
        let object = t.ready("robot").await?;
        let secret = t.secret("robot").await?;
        let token = secret.text("client_token")?;
        let own = t.looks_at_itself(&token).await?;
        let source = &object["status"]["sources"][0];
        assert_eq!(source["type"], "Token", "{object}");
        assert_eq!(source["accessor"], own["accessor"], "{object}");
        let new = t.secret_when("robot", "to hold another token", |secret| {
            secret.text("client_token").is_ok_and(|now| now != token)
        });
        let new = new.await?.text("client_token")?;
        t.looks_at_itself(&token).await?;
        t.looks_at_itself(&new).await?;
        t.delete("VaultSecret", "robot").await?;
        t.wait_gone("VaultSecret", "robot").await?;
        until("the token to be dead", SOON, async || {
            Ok(t.looks_at_itself(&new).await.is_err().then_some(()))
        })
        .await
    })
}
