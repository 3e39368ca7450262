//! What a connection refers to cannot be read, because the API server does not give it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vaultbridge_e2e::tenant::condition;
use vaultbridge_e2e::vault_server::Listener;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, operator, run_alone};

/// Gives the operator these rights on `ConfigMaps` of its namespace, and no others.
async fn config_maps(t: &Tenant, verbs: &[&str]) -> Result<()> {
    let manifest = objects::read(&operator::project().join("deploy/rbac.yaml"))?;
    let role = manifest.into_iter().find(|object| object["kind"] == "Role");
    let mut role: Value = role.context("find the Role of the manifest")?;
    role["rules"][0]["verbs"] = json!(verbs);
    objects::apply(t.ground().control_plane().client(), &role).await?;
    Ok(())
}

/// Has the operator look again at what the connection refers to.
async fn touch(t: &Tenant) -> Result<()> {
    let touched = jiff::Timestamp::now().to_string();
    let content = [("ca.crt", &*t.vault().ca()), ("touched", &*touched)];
    t.give_operator("ConfigMap", &content).await
}

/// Waits until the operator has looked, in vain, at what the connection refers to.
async fn unread(t: &Tenant) -> Result<()> {
    until("the log to tell", SOON, async || {
        // The right may have gone only after the last look.
        touch(t).await?;
        let log = t.operator()?.log()?;
        let tells = |line: &str| {
            line.contains("WARN")
                && line.contains("what spec.tls refers to cannot be read")
                && line.contains("cannot get resource \"configmaps\"")
        };
        Ok(log.lines().any(tells).then_some(()))
    })
    .await
}

#[test]
fn a_server_is_watched_with_its_last_certificates_while_they_cannot_be_read() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let t = &t.neighbour(Listener::Tls).await?;
        t.give_operator("ConfigMap", &[("ca.crt", &t.vault().ca())])
            .await?;
        let by_reference = json!({ "kind": "ConfigMap", "name": t.name() });
        t.connect(json!({ "tls": { "caBundleRef": by_reference } }))
            .await?;
        t.app("app", "first password", "1s").await?;
        config_maps(t, &["list", "watch"]).await?;
        unread(t).await?;

        t.vault().seal().await?;
        t.connection_is("False", "VaultSealed").await?;
        t.reports("app", "Synced", "False", "VaultSealed").await?;
        t.vault().unseal().await?;
        t.connection_is("True", "Connected").await?;
        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;

        // A spec that nobody could look at is not told of as if it had been.
        t.connect(json!({ "tls": { "caBundleRef": by_reference }, "timeout": "20s" }))
            .await?;
        let words = "what spec.tls refers to cannot be read";
        t.connection_says("False", "KubernetesUnavailable", words)
            .await?;
        // Nor by any later look, whatever the server does that the earlier spec names.
        t.vault().seal().await?;
        t.reports("app", "Synced", "False", "VaultSealed").await?;
        t.connection_says("False", "KubernetesUnavailable", words)
            .await?;
        t.vault().unseal().await?;
        t.password("app", "third password").await?;
        t.secret_with("app", "password", "third password").await?;
        t.connection_says("False", "KubernetesUnavailable", words)
            .await?;

        config_maps(t, &["get", "list", "watch"]).await?;
        // The pauses have grown: a touch is quicker, once the right is in force.
        until("the connection to be looked at", SOON, async || {
            touch(t).await?;
            let object = t
                .get("VaultConnection", t.name())
                .await?
                .unwrap_or_default();
            let ready = condition(&object, "Ready");
            Ok(ready.filter(|ready| ready["status"] == "True").map(|_| ()))
        })
        .await?;
        t.connection_is("True", "Connected").await?;
        t.password("app", "fourth password").await?;
        t.secret_with("app", "password", "fourth password").await?;
        Ok(())
    })
}
