//! No value that was ever stored is to be seen anywhere but in the Secrets.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vaultbridge_e2e::certificates::Identity;
use vaultbridge_e2e::vault_server::Listener;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, operator, run_alone};

/// Values of every kind that a log, an error or an event might be tempted to quote.
async fn store(t: &Tenant) -> Result<()> {
    for (path, data) in [
        ("plain", json!({ "password": "a plain password, 4711" })),
        (
            "nested",
            json!({ "deep": { "list": ["deep in a list 1", { "name": "deeper in an object 2" }] } }),
        ),
        (
            "odd",
            json!({ "key with spaces": "value under an odd key" }),
        ),
        ("twin", json!({ "password": "a second password, 0815" })),
        (
            "large-1",
            json!({ "one": "too large a value ".repeat(40_000) }),
        ),
        (
            "large-2",
            json!({ "two": "too large a value ".repeat(40_000) }),
        ),
        (
            "escaped",
            json!({ "password": "\"quoted\" <b>&amp;</b> \\ päss\nwörd" }),
        ),
        (
            "not-json",
            json!({ "config": "this is no docker config at all" }),
        ),
    ] {
        t.put(path, data).await?;
    }
    Ok(())
}

fn object(name: &str, paths: &[&str], more: &Value) -> Value {
    let sources: Vec<Value> = paths
        .iter()
        .enumerate()
        .map(|(number, path)| json!({ "name": format!("s{number}"), "kv": { "path": format!("$tenant/{path}") } }))
        .collect();
    let mut object = json!({
        "kind": "VaultSecret",
        "metadata": { "name": name },
        "spec": { "auth": { "role": "$tenant" }, "sources": sources, "refresh": { "interval": "2s" } },
    });
    if let (Some(spec), Some(more)) = (object["spec"].as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    object
}

/// Objects that fail, each for another reason.
fn failures() -> Vec<(&'static str, Value)> {
    let field = |name: &str| json!({ "data": [{ "key": "k", "source": "s0", "field": name }] });
    let of_type = |name: &str, field: &str| {
        json!({
            "data": [{ "key": ".dockerconfigjson", "source": "s0", "field": field }],
            "destination": { "type": name },
        })
    };
    vec![
        (
            "FieldNotFound",
            object("no-field", &["plain"], &field("absent")),
        ),
        (
            "FieldNotFound",
            object("no-pointer", &["nested"], &field("/deep/list/7")),
        ),
        (
            "KeyConflict",
            object("twins", &["plain", "twin"], &json!({})),
        ),
        ("InvalidKeyName", object("odd-key", &["odd"], &json!({}))),
        (
            "SecretTooLarge",
            object("too-large", &["large-1", "large-2"], &json!({})),
        ),
        ("PathNotFound", object("no-path", &["absent"], &json!({}))),
        (
            "InvalidValue",
            object(
                "no-docker",
                &["not-json"],
                &of_type("kubernetes.io/dockerconfigjson", "config"),
            ),
        ),
        (
            "LoginFailed",
            object(
                "no-role",
                &["plain"],
                &json!({ "auth": { "role": "no-such-role" } }),
            ),
        ),
        (
            "LoginFailed",
            object(
                "no-audience",
                &["plain"],
                &json!({ "auth": { "role": "$tenant", "audiences": ["somebody-else"] } }),
            ),
        ),
        (
            "SecretConflict",
            object(
                "conflict",
                &["plain"],
                &json!({ "destination": { "name": "a-stranger" } }),
            ),
        ),
    ]
}

/// Objects that succeed, by both methods of logging in.
async fn successes(t: &Tenant) -> Result<()> {
    let jwt = json!({ "auth": { "role": "$tenant", "method": "JWT" } });
    let renamed = json!({ "destination": { "labels": { "team": "shop" } } });
    for object in [
        object("plain", &["plain"], &json!({})),
        object(
            "by-jwt",
            &["plain", "escaped"],
            &json!({ "auth": jwt["auth"], "conflictPolicy": "LastWins" }),
        ),
        object("nested", &["nested"], &renamed),
        object("escaped", &["escaped"], &json!({})),
    ] {
        t.apply(&object.to_string()).await?;
    }
    for name in ["plain", "by-jwt", "nested", "escaped"] {
        t.ready(name).await?;
    }
    Ok(())
}

/// What else may go wrong in a day.
async fn misfortune(t: &Tenant) -> Result<()> {
    t.patch(
        "Secret",
        "plain",
        &json!({ "stringData": { "password": "tampered with" } }),
    )
    .await?;
    t.secret_with("plain", "password", "a plain password, 4711")
        .await?;
    t.policy(&[("$tenant/data/nothing", &["read"])]).await?;
    t.complains("nested", "PermissionDenied").await?;
    t.policy(&[("$tenant/data/*", &["read"])]).await?;
    t.vault().seal().await?;
    t.reports("plain", "Synced", "False", "VaultSealed").await?;
    t.vault().unseal().await?;
    t.vault()
        .delete(&format!("{}/data/escaped", t.name()))
        .await?;
    t.complains("escaped", "SourceDeleted").await?;
    t.put("plain", json!({ "password": "another password, 1234" }))
        .await?;
    t.secret_with("plain", "password", "another password, 1234")
        .await?;
    t.operator()?.stop().await?;
    t.operator()?.start_again()?;
    t.operator()?.ready().await
}

/// A server that wants to see a certificate, whose key is a secret as well.
async fn secure(t: &Tenant) -> Result<()> {
    let secure = Tenant::new(t.ground().clone(), "secure")
        .await?
        .with_own_vault(Listener::MutualTls)
        .await?;
    let Identity { certificate, key } = secure.vault().client_identity();
    for line in key.lines().filter(|line| !line.starts_with("-----")) {
        t.ground().canaries().remember_text(line);
    }
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "name": "client-certificate", "namespace": operator::NAMESPACE },
        "stringData": { "tls.crt": certificate, "tls.key": key },
    });
    objects::apply(t.ground().control_plane().client(), &secret).await?;
    let spec = json!({
        "address": secure.vault().address(),
        "tls": {
            "caBundle": secure.vault().ca(),
            "clientCertificateRef": { "name": "client-certificate" },
        },
    });
    t.ground().connect(secure.name(), &spec).await?;
    secure.app("app", "behind two certificates", "2s").await?;
    Ok(())
}

/// The operator's own keys are secrets as well.
async fn remember_keys(t: &Tenant) -> Result<()> {
    let keys = t.ground().operator_secret("vaultbridge-keys").await?;
    let keys = keys.context("find the key Secret")?;
    for (id, value) in keys["data"].as_object().context("read the key Secret")? {
        if id != "current" {
            let text = value.as_str().context("read a key")?;
            t.ground()
                .canaries()
                .remember_text(text.trim_end_matches('='));
            assert!(STANDARD.decode(text)?.len() == 32, "{id} is a key");
        }
    }
    Ok(())
}

#[test]
fn after_a_busy_day_no_secret_value_is_in_plain_sight() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        secure(t).await?;
        t.apply("{ kind: Secret, metadata: { name: a-stranger }, stringData: { key: value } }")
            .await?;
        store(t).await?;
        successes(t).await?;
        for (reason, object) in failures() {
            t.apply(&object.to_string()).await?;
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            t.complains(name, reason).await?;
        }
        misfortune(t).await?;
        remember_keys(t).await?;
        let trace = t.operator()?.log()?;
        assert!(trace.contains(" TRACE "), "the log tells everything it can");
        until("the last events", SOON, async || {
            let events = t.events("VaultSecret", "escaped").await?;
            Ok(events
                .iter()
                .any(|event| event.reason == "SourceDeleted")
                .then_some(()))
        })
        .await?;
        t.ground().ensure_no_leak().await
    })
}
