//! The image and the chart on a real node, as a platform team would have them. `make e2e-node` builds the image first.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use vaultbridge_e2e::helm::{chart, helm};
use vaultbridge_e2e::node::{Node, WITNESS_IMAGE};
use vaultbridge_e2e::operator::{NAMESPACE, project};
use vaultbridge_e2e::stopwatch::Stopwatch;
use vaultbridge_e2e::wait::{SLOW, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, run_alone};

/// Installs the release or upgrades it, with these values besides, and waits until its pods are ready.
async fn release(t: &Tenant, vault: &str, more: &[&str]) -> Result<String> {
    let kubeconfig = t.ground().control_plane().kubeconfig();
    let chart = chart()?;
    let mut args = vec!["upgrade", "--install", "vaultbridge", &chart];
    args.extend(["--namespace", NAMESPACE, "--wait", "--timeout", "110s"]);
    let spec = format!("connection.spec.address=\"{vault}\"");
    // The Vault of the tests speaks plain http; all else is as the chart has it.
    let plain = "extraArgs=[\"--allow-plain-http\"]";
    for value in ["connection.create=true", &spec, plain].iter().chain(more) {
        args.extend(["--set-json", value]);
    }
    helm(&args, Some(&kubeconfig)).await
}

/// The Deployment of an application that reads its Secret once, when it starts.
fn application(t: &Tenant) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "app", "namespace": t.name() },
        "spec": {
            "selector": { "matchLabels": { "app": "app" } },
            "template": {
                "metadata": { "labels": { "app": "app" } },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "automountServiceAccountToken": false,
                    "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
                    "volumes": [{ "name": "secret", "secret": { "secretName": "app" } }],
                    "containers": [{
                        "name": "app", "image": WITNESS_IMAGE, "imagePullPolicy": "Never",
                        "args": ["/secret/password"],
                        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
                        "volumeMounts": [{ "name": "secret", "mountPath": "/secret" }],
                    }],
                },
            },
        },
    })
}

/// What the pods of the application say that run now.
async fn said(t: &Tenant, node: &Node) -> Result<Vec<String>> {
    let client = t.ground().control_plane().client();
    let pods = objects::api(client, "v1", "Pod", t.name()).await?;
    let mut said = Vec::new();
    for pod in pods.list(&ListParams::default()).await? {
        if pod.metadata.deletion_timestamp.is_none() && pod.data["status"]["phase"] == "Running" {
            let name = pod.metadata.name.unwrap_or_default();
            said.push(node.log(t.name(), &name)?);
        }
    }
    Ok(said)
}

fn archive() -> PathBuf {
    let name = format!("vaultbridge-{}-amd64.tar", env!("CARGO_PKG_VERSION"));
    project().join("target/image").join(name)
}

#[test]
fn the_image_and_the_chart_do_their_work_on_a_real_node() -> Result<()> {
    if let Some(why) = Node::impossible() {
        anyhow::bail!("no node can run here: {why}");
    }
    let without = GroundOptions {
        operator: false,
        ..GroundOptions::default()
    };
    run_alone(&without, async |t| {
        let node = Node::start(t.ground().control_plane(), &t.ground().folder().join("n")).await?;
        let outcome = on(t, &node).await;
        node.tear_down()?;
        outcome
    })
}

/// Waits until all pods of the application have started with this password.
async fn runs_with(t: &Tenant, node: &Node, password: &str) -> Result<()> {
    until(
        &format!("pods that started with {password:?}"),
        SLOW,
        async || {
            let said = said(t, node).await?;
            let right = said.iter().all(|one| one.contains(password));
            Ok((right && !said.is_empty()).then_some(()))
        },
    )
    .await
}

/// The pod that leads.
async fn leader(t: &Tenant) -> Result<String> {
    let client = t.ground().control_plane().client();
    let leases = objects::api(client, "coordination.k8s.io/v1", "Lease", NAMESPACE).await?;
    let lease = leases.get("vaultbridge").await?;
    let holder = lease.data["spec"]["holderIdentity"]
        .as_str()
        .unwrap_or_default();
    Ok(holder.split('_').next().unwrap_or_default().to_owned())
}

/// Takes the leader's pod away without any grace, and tells how long it took until another one led and had written a change.
async fn another_leads(t: &Tenant) -> Result<()> {
    let client = t.ground().control_plane().client();
    let first = leader(t).await?;
    let pods = Api::<Pod>::namespaced(client.clone(), NAMESPACE);
    let watch = Stopwatch::start();
    pods.delete(&first, &DeleteParams::default().grace_period(0))
        .await?;
    t.password("app", "third password").await?;
    until("another leader", SLOW, async || {
        let now = leader(t).await?;
        Ok((now != first && !now.is_empty()).then_some(()))
    })
    .await?;
    t.secret_with("app", "password", "third password").await?;
    watch.tell("from the loss of the leader to a change that another one has written");
    Ok(())
}

async fn on(t: &Tenant, node: &Node) -> Result<()> {
    node.import(&archive()).context("run make image first")?;
    let client = t.ground().control_plane().client();
    for namespace in [NAMESPACE, t.name()] {
        let strict = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": namespace, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
        });
        objects::apply(client, &strict).await?;
    }
    let vault = node.reachable(t.vault().address()).await?;
    release(t, &vault, &[]).await?;
    let kubeconfig = t.ground().control_plane().kubeconfig();
    let tested = ["test", "vaultbridge", "--namespace", NAMESPACE];
    helm(&tested, Some(&kubeconfig)).await?;

    t.password("app", "first password").await?;
    objects::create(client, &application(t)).await?;
    let object = "
kind: VaultSecret
metadata: { name: app }
spec:
  auth: { role: $tenant }
  sources: [{ name: app, kv: { path: $tenant/app } }]
  rollout: { targets: [{ kind: Deployment, name: app }] }
  refresh: { interval: 2s, jitterPercent: 0 }";
    t.apply(object).await?;
    runs_with(t, node, "first password").await?;
    t.password("app", "second password").await?;
    runs_with(t, node, "second password").await?;

    let before = t.secret("app").await?;
    release(
        t,
        &vault,
        &[
            "log.level=\"debug\"",
            "podAnnotations={\"upgraded\":\"yes\"}",
        ],
    )
    .await?;
    let back = [
        "rollback",
        "vaultbridge",
        "--namespace",
        NAMESPACE,
        "--wait",
    ];
    helm(&back, Some(&kubeconfig)).await?;
    let after = t.secret("app").await?;
    assert_eq!(after.resource_version(), before.resource_version());
    runs_with(t, node, "second password").await?;

    another_leads(t).await?;
    runs_with(t, node, "third password").await?;

    let gone = [
        "uninstall",
        "vaultbridge",
        "--namespace",
        NAMESPACE,
        "--wait",
    ];
    helm(&gone, Some(&kubeconfig)).await?;
    let left = t.secret("app").await?;
    let some = format!("watchNamespaces=[\"{}\"]", t.name());
    release(t, &vault, &[&some]).await?;
    t.password("app", "fourth password").await?;
    runs_with(t, node, "fourth password").await?;
    assert_eq!(t.secret("app").await?.uid(), left.uid());
    helm(&gone, Some(&kubeconfig)).await?;
    ensure!(
        t.get("VaultSecret", "app").await?.is_some(),
        "the object stays"
    );
    Ok(())
}
