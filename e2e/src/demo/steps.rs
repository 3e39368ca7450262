//! The story of one Secret, step by step.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use super::leases;
use super::story::{Story, kubectl, note, show};

use crate::Tenant;
use crate::components::{Components, ETCD, KUBERNETES, KWOK, POSTGRES};
use crate::ground::{Ground, GroundOptions};
use crate::vault_server::VaultKind;

/// What the team of the story writes.
const OBJECT: &str = "\
apiVersion: vaultbridge.dev/v1alpha1
kind: VaultSecret
metadata: { name: orders }
spec:
  auth: { role: $tenant }
  sources:
  - name: app
    kv: { path: $tenant/orders }
  refresh: { interval: 2s }
";

/// Shows the whole life of a Secret on real servers, and ends by itself. Fails when a step does not come about.
pub async fn demo() -> Result<()> {
    // A first run builds the servers, which is not part of the story.
    let part = VaultKind::from_env()?.part();
    tokio::task::spawn_blocking(|| {
        Components::ensure(&[&ETCD, &KUBERNETES, &KWOK, &POSTGRES, part])
    })
    .await??;
    let mut story = Story::begin();
    story.step("A Kubernetes control plane, a Vault server and the operator start");
    // They need Helm, which would have to be built first, and change nothing of what is to be seen.
    let options = GroundOptions {
        fences: false,
        ..GroundOptions::default()
    };
    let ground = Ground::own(&options).await?;
    let kind = ground.vault().kind().name();
    note(&format!(
        "Kubernetes at {}, {kind} at {}",
        ground.control_plane().address(),
        ground.vault().address()
    ));
    story.done();

    story.step("The platform team has connected Vault, once for all");
    show(&kubectl(&ground, &["get", "vaultconnections"])?);
    story.done();

    let tenant = publish(&mut story, &ground).await?;
    heal(&mut story, &tenant).await?;

    story.step("The team deletes its object");
    story.start_clock();
    tenant.delete("VaultSecret", "orders").await?;
    tenant.wait_gone("Secret", "orders").await?;
    story.measured("the Secret was gone after");
    story.done();

    leases::lend(&mut story, &tenant).await?;

    story.step("What the operator told about it, and whether it told too much");
    show(&kubectl(
        &ground,
        &["-n", tenant.name(), "events", "--no-headers"],
    )?);
    ground.ensure_no_leak().await?;
    note("No stored value is in a log, an object, an event or a metric.");
    story.done();
    ground.operator()?.stop().await?;
    story.end();
    drop(tenant);
    ground.remove()
}

/// The first Secret comes about.
async fn publish(story: &mut Story, ground: &Arc<Ground>) -> Result<Tenant> {
    story.step("The shop team keeps a password in Vault, and writes one object");
    let tenant = Tenant::new(ground.clone(), "shop").await?;
    tenant
        .put(
            "orders",
            json!({ "username": "orders", "password": "first password" }),
        )
        .await?;
    show(&OBJECT.replace("$tenant", tenant.name()));
    story.start_clock();
    tenant.apply(OBJECT).await?;
    let secret = tenant
        .secret_with("orders", "password", "first password")
        .await?;
    story.measured("the Secret was there after");
    tenant.ready("orders").await?;
    show(&kubectl(ground, &["-n", tenant.name(), "get", "vsec"])?);
    note(&format!(
        "The Secret has the keys {}",
        secret.keys().join(", ")
    ));
    story.done();
    Ok(tenant)
}

/// The Secret follows Vault, and survives people.
async fn heal(story: &mut Story, tenant: &Tenant) -> Result<()> {
    story.step("The password changes in Vault; the object asks for a look every 2 seconds");
    story.start_clock();
    tenant
        .put(
            "orders",
            json!({ "username": "orders", "password": "second password" }),
        )
        .await?;
    tenant
        .secret_with("orders", "password", "second password")
        .await?;
    story.measured("the Secret had it after");
    story.done();

    story.step("Somebody tampers with the Secret");
    story.start_clock();
    tenant
        .patch(
            "Secret",
            "orders",
            &json!({ "stringData": { "password": "tampered", "extra": "key" } }),
        )
        .await?;
    let healed = tenant.secret_when("orders", "to be healed", |secret| {
        secret
            .text("password")
            .is_ok_and(|text| text == "second password")
            && secret.bytes("extra").is_none()
    });
    healed.await?;
    story.measured("it was healed after");
    story.done();

    story.step("Somebody deletes the Secret");
    let old = tenant.secret("orders").await?.uid().to_owned();
    story.start_clock();
    tenant.delete("Secret", "orders").await?;
    tenant
        .secret_when("orders", "to be back", |secret| secret.uid() != old)
        .await?;
    story.measured("it was back after");
    story.done();
    Ok(())
}
