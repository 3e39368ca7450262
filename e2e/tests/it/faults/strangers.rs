//! An object that the operator cannot read stands beside healthy ones.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, operator, run_alone};

/// Installs one of the custom resource definitions with a schema that admits anything, as an old or a foreign one might.
async fn loosen(t: &Tenant, plural: &str) -> Result<()> {
    let file = operator::project().join(format!("crds/{plural}.yaml"));
    let mut crd = objects::read(&file)?.remove(0);
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] =
        json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    objects::apply(t.ground().control_plane().client(), &crd).await?;
    Ok(())
}

/// Applies an object that the real schema refuses, as soon as the loose one is in force.
async fn apply_strange(t: &Tenant, yaml: &str) -> Result<Value> {
    until("the loose schema to be in force", SOON, async || {
        t.apply(yaml).await.map(Some)
    })
    .await
}

/// Waits until the metrics say of the object that it is not ready, or nothing any more.
async fn counts_as_not_ready(t: &Tenant, name: &str, counts: bool) -> Result<()> {
    let (namespace, metric) = (t.name(), "vaultbridge_vaultsecret_ready");
    let line = format!(r#"{metric}{{namespace="{namespace}",name="{name}"}} 0"#);
    until("the metrics to follow", SOON, async || {
        let text = t.operator()?.metrics().await?;
        Ok((text.contains(&line) == counts).then_some(()))
    })
    .await
}

#[test]
fn an_object_that_cannot_be_read_is_told_and_disturbs_nobody() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("healthy", "first password", "1s").await?;
        loosen(t, "vaultsecrets").await?;
        let strange = "kind: VaultSecret
            metadata: { name: strange }
            spec:
              auth: { role: $tenant }
              sources: [{ name: app, kv: { path: $tenant/healthy } }]
              refresh: { interval: 5 }";
        apply_strange(t, strange).await?;
        let words = ["cannot be read", "integer `5`, expected a string", "CRDs"];
        let event = t
            .event("VaultSecret", "strange", "InvalidSpec", &words)
            .await?;
        assert!(event.warning, "{event}");
        counts_as_not_ready(t, "strange", true).await?;
        apply_strange(
            t,
            "{ kind: VaultSecret, metadata: { name: doomed }, spec: 5 }",
        )
        .await?;
        counts_as_not_ready(t, "doomed", true).await?;
        t.delete("VaultSecret", "doomed").await?;
        counts_as_not_ready(t, "doomed", false).await?;
        t.password("healthy", "second password").await?;
        t.secret_with("healthy", "password", "second password")
            .await?;

        t.operator()?.stop().await?;
        t.password("healthy", "third password").await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        t.secret_with("healthy", "password", "third password")
            .await?;
        t.app("new", "first password", "1s").await?;

        let mended = json!({ "spec": { "refresh": { "interval": "5s" } } });
        t.patch("VaultSecret", "strange", &mended).await?;
        t.secret_with("strange", "password", "third password")
            .await?;
        Ok(())
    })
}

#[test]
fn a_connection_that_cannot_be_read_is_told_and_disturbs_nobody() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        loosen(t, "vaultconnections").await?;
        apply_strange(
            t,
            "{ kind: VaultConnection, metadata: { name: strange }, spec: { address: 5 } }",
        )
        .await?;
        t.apply_app("app", "1s").await?;
        t.password("app", "first password").await?;
        t.ready("app").await?;
        let elsewhere = json!({ "spec": { "connectionRef": { "name": "strange" } } });
        t.patch("VaultSecret", "app", &elsewhere).await?;
        let message = t.complains("app", "VaultUnavailable").await?;
        assert!(
            message.contains("strange") && message.contains("CRDs"),
            "{message}"
        );
        let event = t
            .event("VaultConnection", "strange", "InvalidSpec", &["CRDs"])
            .await
            .context("the connection itself tells")?;
        assert!(event.warning, "{event}");
        t.app("healthy", "first password", "1s").await?;
        Ok(())
    })
}
