//! Workloads as people make them, and what the tests ask of them.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vaultbridge_e2e::{Mark, Tenant};

/// The kinds that can be restarted, with their plurals.
pub const WORKLOADS: [(&str, &str); 4] = [
    ("Deployment", "deployments"),
    ("StatefulSet", "statefulsets"),
    ("DaemonSet", "daemonsets"),
    ("Rollout", "rollouts"),
];

/// The kind of Argo Rollouts, as far as the operator knows of it.
pub const ROLLOUTS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: rollouts.argoproj.io }
spec:
  group: argoproj.io
  scope: Namespaced
  names: { kind: Rollout, plural: rollouts, singular: rollout }
  versions:
  - name: v1alpha1
    served: true
    storage: true
    subresources: { status: {} }
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }";

/// The kind with its version, as `Tenant::api` wants it.
pub fn versioned(kind: &str) -> String {
    let version = match kind {
        "Rollout" => "argoproj.io/v1alpha1",
        _ => "apps/v1",
    };
    format!("{version}/{kind}")
}

/// Creates a workload whose pods take their environment from the Secret of its name, with `replicas` pods, the label `uses` with its name, and
/// more fields of the spec.
pub async fn workload(
    t: &Tenant,
    kind: &str,
    name: &str,
    replicas: u32,
    more: &Value,
) -> Result<Value> {
    let from = json!([{ "secretRef": { "name": name } }]);
    let container = json!({ "name": "app", "image": "example.com/app:1", "envFrom": from });
    let mut spec = json!({
        "selector": { "matchLabels": { "app": name } },
        "template": { "metadata": { "labels": { "app": name } }, "spec": { "containers": [container] } },
    });
    match kind {
        "StatefulSet" => spec["serviceName"] = name.into(),
        // Only nodes that nobody has.
        "DaemonSet" if replicas == 0 => {
            spec["template"]["spec"]["nodeSelector"] = json!({ "no": "node" });
        }
        _ => {}
    }
    if kind != "DaemonSet" {
        spec["replicas"] = replicas.into();
    }
    merge(&mut spec, more);
    let versioned = versioned(kind);
    let (version, kind) = versioned.rsplit_once('/').context("find the version")?;
    let object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": { "name": name, "labels": { "uses": name } },
        "spec": spec,
    });
    t.apply(&object.to_string()).await?;
    if kind == "Rollout" {
        healthy(t, name).await?;
    }
    found(t, kind, name).await
}

/// Says what Argo's controller would say.
pub async fn healthy(t: &Tenant, name: &str) -> Result<()> {
    let kind = versioned("Rollout");
    let object = t.get(&kind, name).await?.context("find the Rollout")?;
    let generation = object["metadata"]["generation"].to_string();
    let status = json!({ "status": { "phase": "Healthy", "observedGeneration": generation } });
    let patch = kube::api::Patch::Merge(&status);
    let api = t.api(&kind).await?;
    api.patch_status(name, &kube::api::PatchParams::default(), &patch)
        .await?;
    Ok(())
}

fn merge(object: &mut Value, more: &Value) {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (name, value) in more {
                merge(object.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more.clone(),
    }
}

/// The workload as it is now.
pub async fn found(t: &Tenant, kind: &str, name: &str) -> Result<Value> {
    let found = t.get(&versioned(kind), name).await?;
    found.with_context(|| format!("find {kind} {name}"))
}

/// What our annotation on the pod template says: the revision that it was restarted for.
pub fn mark(workload: &Value, object: &str) -> Option<i64> {
    let annotations = &workload["spec"]["template"]["metadata"]["annotations"];
    let text = annotations[format!("vaultbridge.dev/{object}")].as_str()?;
    text.rsplit_once('-')?.1.parse().ok()
}

/// The targets that restart workloads of these kinds and of the application's name.
pub async fn aim(t: &Tenant, name: &str, min_interval: &str, targets: &Value) -> Result<()> {
    let rollout = json!({ "minInterval": min_interval, "targets": targets });
    let change = json!({ "spec": { "rollout": rollout } });
    t.patch("VaultSecret", name, &change).await?;
    Ok(())
}

pub fn named(kind: &str, name: &str) -> Value {
    json!({ "kind": kind, "name": name })
}

/// Waits until an application's workloads all run with that revision.
pub async fn rolled_out(t: &Tenant, name: &str, revision: i64) -> Result<Value> {
    let what = format!("to be rolled out with revision {revision}");
    t.wait("VaultSecret", name, &what, |object| {
        let status = &object["status"];
        let condition = vaultbridge_e2e::tenant::condition(object, "RolledOut");
        status["rolloutLook"]["revision"] == revision
            && status["observedGeneration"] == object["metadata"]["generation"]
            && condition.is_some_and(|condition| condition["status"] == "True")
    })
    .await
}

/// Waits until a workload was restarted for that revision.
pub async fn restarted(t: &Tenant, kind: &str, name: &str, revision: i64) -> Result<Value> {
    let what = format!("to be restarted for revision {revision}");
    t.wait(&versioned(kind), name, &what, |workload| {
        mark(workload, name) == Some(revision)
    })
    .await
}

/// What the operator asked about workloads of the tenant since a mark, in words.
pub async fn asked(t: &Tenant, since: &Mark) -> Result<Vec<String>> {
    let requests = t.kube_requests(since).await?;
    let about = |resource: &str| WORKLOADS.iter().any(|(_, plural)| *plural == resource);
    let requests = requests.only(|request| about(&request.resource));
    let words = requests
        .iter()
        .map(|request| format!("{} {} {}", request.verb, request.resource, request.code));
    Ok(words.collect())
}
