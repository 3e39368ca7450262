//! With pods that come and go: a restart is told as done when all of them are new, and not before.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vaultbridge_e2e::nodes::NODE;
use vaultbridge_e2e::{Tenant, run, says};

use super::workloads::{aim, named, rolled_out, versioned, workload};

/// Fields of a workload whose pods run on the pretended node.
fn on_the_node() -> Value {
    json!({ "template": { "spec": { "nodeName": NODE } } })
}

/// Creates a workload with that many pods, and waits until all of them are available.
async fn running(t: &Tenant, kind: &str, replicas: u32, more: &Value) -> Result<()> {
    t.ground().nodes().await?;
    workload(t, kind, "app", replicas, more).await?;
    let available = if kind == "DaemonSet" {
        "numberAvailable"
    } else {
        "availableReplicas"
    };
    let all = |object: &Value| object["status"][available] == replicas;
    t.wait(&versioned(kind), "app", "to be available", all)
        .await?;
    Ok(())
}

/// For which revision each pod of the tenant that is not on its way out was started: 0 is none.
async fn pods(t: &Tenant) -> Result<Vec<i64>> {
    let api = t.api("v1/Pod").await?;
    let pods = api.list(&kube::api::ListParams::default()).await?;
    let mut revisions = Vec::new();
    for pod in pods.items {
        if pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let annotations = pod.metadata.annotations.unwrap_or_default();
        revisions.push(match annotations.get("vaultbridge.dev/app") {
            Some(text) => {
                let (_, revision) = text.rsplit_once('-').context("read the annotation")?;
                revision.parse()?
            }
            None => 0,
        });
    }
    Ok(revisions)
}

/// A change in Vault reaches all pods of such a workload.
async fn replaces_all_its_pods(t: &Tenant, kind: &str, count: u32) -> Result<()> {
    t.app("app", "first password", "1s").await?;
    running(t, kind, count, &on_the_node()).await?;
    aim(t, "app", "0s", &json!([named(kind, "app")])).await?;
    rolled_out(t, "app", 1).await?;
    let expected = |revision: i64| vec![revision; usize::try_from(count).unwrap_or_default()];
    assert_eq!(pods(t).await?, expected(0));
    for (revision, password) in [(2, "second password"), (3, "third password")] {
        t.password("app", password).await?;
        rolled_out(t, "app", revision).await?;
        assert_eq!(pods(t).await?, expected(revision));
    }
    Ok(())
}

#[test]
fn a_deployment_is_rolled_out_when_all_its_pods_are_new() -> Result<()> {
    run(async |t| replaces_all_its_pods(t, "Deployment", 3).await)
}

#[test]
fn a_stateful_set_is_rolled_out_when_all_its_pods_are_new() -> Result<()> {
    run(async |t| replaces_all_its_pods(t, "StatefulSet", 2).await)
}

#[test]
fn a_daemon_set_is_rolled_out_when_its_pod_on_each_node_is_new() -> Result<()> {
    run(async |t| replaces_all_its_pods(t, "DaemonSet", 1).await)
}

#[test]
fn a_partition_holds_pods_back_and_is_named() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let mut partitioned = on_the_node();
        let rolling = json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
        partitioned["updateStrategy"] = rolling;
        running(t, "StatefulSet", 2, &partitioned).await?;
        aim(t, "app", "0s", &json!([named("StatefulSet", "app")])).await?;
        rolled_out(t, "app", 1).await?;
        t.password("app", "second password").await?;
        let why = t
            .reports("app", "RolledOut", "False", "RolloutStalled")
            .await?;
        says(&why, &["StatefulSet app", "partition 1"])?;
        let mut revisions = pods(t).await?;
        revisions.sort_unstable();
        assert_eq!(revisions, [0, 2]);
        Ok(())
    })
}
