//! What the operator may not do with its rights, tried with its own token.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use vaultbridge_e2e::helm::rendered;
use vaultbridge_e2e::operator::{ACCOUNT, NAMESPACE};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, run_alone};

use crate::rollout::workloads::{ROLLOUTS, WORKLOADS, workload};

/// A thief: somebody who has the operator's token.
struct Thief<'a> {
    t: &'a Tenant,
    client: Client,
}

/// Puts the chart's policies, with its default values, into the cluster, and waits until they are in force.
async fn fenced(t: &Tenant) -> Result<Thief<'_>> {
    let control_plane = t.ground().control_plane();
    for object in rendered(&[]).await? {
        let kind = object["kind"].as_str().unwrap_or_default();
        if kind.starts_with("ValidatingAdmissionPolicy") {
            objects::apply(control_plane.client(), &object).await?;
        }
    }
    let client = control_plane.client_of(NAMESPACE, ACCOUNT).await?;
    let thief = Thief { t, client };
    until("the policies to be in force", SOON, async || {
        let patch = json!({ "metadata": { "labels": { "a": "thief" } } });
        // A first attempt that is too early must leave nothing behind.
        let dry = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let attempts = [
            thief.token(&["elsewhere"], 600).await,
            thief.create("kubernetes.io/service-account-token").await,
            // Of the policies that every ground has, this one is laxer.
            thief
                .patch_with("Secret", "probe", &dry, &Patch::Merge(&label()))
                .await,
            thief
                .patch_with("Deployment", "probe", &dry, &Patch::Merge(&patch))
                .await,
        ];
        for attempt in attempts {
            refused("a first attempt", attempt)?;
        }
        Ok(Some(()))
    })
    .await?;
    Ok(thief)
}

impl Thief<'_> {
    async fn token(&self, audiences: &[&str], seconds: i64) -> Result<(), String> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), self.t.name());
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: audiences
                    .iter()
                    .map(|&audience| audience.to_owned())
                    .collect(),
                expiration_seconds: Some(seconds),
                bound_object_ref: None,
            },
            ..TokenRequest::default()
        };
        let params = PostParams::default();
        let answer = api.create_token_request("default", &params, &request).await;
        answer.map(drop).map_err(|error| error.to_string())
    }

    /// Tries whether a Secret of that type could be made.
    async fn create(&self, kind: &str) -> Result<(), String> {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "made-by-a-thief",
                "annotations": { "kubernetes.io/service-account.name": "default" },
            },
            "type": kind,
        });
        let api = self.api("Secret").await?;
        let object: DynamicObject = serde_json::from_value(secret).map_err(|e| e.to_string())?;
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let made = api.create(&dry, &object).await;
        made.map(drop).map_err(|error| error.to_string())
    }

    async fn api(&self, kind: &str) -> Result<Api<DynamicObject>, String> {
        let version = match kind {
            "Secret" => "v1",
            "Rollout" => "argoproj.io/v1alpha1",
            "VaultSecret" => objects::API_VERSION,
            _ => "apps/v1",
        };
        let api = objects::api(&self.client, version, kind, self.t.name()).await;
        api.map_err(|error| format!("{error:#}"))
    }

    async fn patch(&self, kind: &str, name: &str, change: &Value) -> Result<(), String> {
        self.patch_with(kind, name, &PatchParams::default(), &Patch::Merge(change))
            .await
    }

    async fn patch_with(
        &self,
        kind: &str,
        name: &str,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<(), String> {
        let patched = self.api(kind).await?.patch(name, params, patch).await;
        patched.map(drop).map_err(|error| error.to_string())
    }

    async fn delete(&self, name: &str) -> Result<(), String> {
        let deleted = self
            .api("Secret")
            .await?
            .delete(name, &DeleteParams::default())
            .await;
        deleted.map(drop).map_err(|error| error.to_string())
    }
}

/// It was refused, by a policy that says what the operator may do.
fn refused(what: &str, outcome: Result<(), String>) -> Result<()> {
    let told = outcome
        .err()
        .with_context(|| format!("{what}: it was done"))?;
    ensure!(told.contains("Vaultbridge may"), "{what}: {told}");
    Ok(())
}

/// Our label, on a Secret of somebody else.
fn label() -> Value {
    json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": "vaultbridge" } } })
}

/// A Deployment and a Secret to see by whether the policies are in force.
async fn probe(t: &Tenant) -> Result<()> {
    t.apply("{ kind: Secret, metadata: { name: probe } }")
        .await?;
    workload(t, "Deployment", "probe", 0, &json!({}))
        .await
        .map(drop)
}

#[test]
fn whoever_has_the_operators_token_gets_tokens_for_vault_only_and_for_ten_minutes() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        probe(t).await?;
        let thief = fenced(t).await?;
        thief
            .token(&["vault"], 600)
            .await
            .map_err(anyhow::Error::msg)?;
        refused("another audience", thief.token(&["elsewhere"], 600).await)?;
        refused(
            "one more audience",
            thief.token(&["vault", "elsewhere"], 600).await,
        )?;
        refused("the API server's own", thief.token(&[], 600).await)?;
        refused("a long life", thief.token(&["vault"], 3600).await)
    })
}

#[test]
fn whoever_has_the_operators_token_touches_no_secret_of_others_and_makes_none_with_power()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        probe(t).await?;
        t.apply("{ kind: Secret, metadata: { name: theirs }, data: { theirs: c3RheXM= } }")
            .await?;
        let thief = fenced(t).await?;
        for kind in [
            "kubernetes.io/service-account-token",
            "bootstrap.kubernetes.io/token",
        ] {
            refused(kind, thief.create(kind).await)?;
        }
        refused("deleted", thief.delete("theirs").await)?;
        refused("labelled", thief.patch("Secret", "theirs", &label()).await)?;
        for (what, data) in [("changed", json!("Zm9yZ2Vk")), ("taken out", Value::Null)] {
            let change = json!({ "data": { "theirs": data } });
            refused(what, thief.patch("Secret", "theirs", &change).await)?;
        }
        let apply = PatchParams::apply("vaultbridge/thief").force();
        let own = |value: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "theirs" }, "data": { "theirs": value } });
        let forced = thief
            .patch_with("Secret", "theirs", &apply, &Patch::Apply(&own("Zm9yZ2Vk")))
            .await;
        refused("applied by force", forced)?;
        // The same value may be applied. It is theirs nevertheless.
        let shared = thief
            .patch_with("Secret", "theirs", &apply, &Patch::Apply(&own("c3RheXM=")))
            .await;
        shared.map_err(anyhow::Error::msg)?;
        let forced = thief
            .patch_with("Secret", "theirs", &apply, &Patch::Apply(&own("Zm9yZ2Vk")))
            .await;
        refused("applied by force once it is shared", forced)?;
        let forget = json!({ "metadata": { "managedFields": [{}] } });
        refused(
            "forgotten whose it is",
            thief.patch("Secret", "theirs", &forget).await,
        )?;
        assert_eq!(t.secret("theirs").await?.text("theirs")?, "stays");
        Ok(())
    })
}

#[test]
fn whoever_has_the_operators_token_restarts_workloads_and_changes_nothing_else_of_them()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        probe(t).await?;
        t.apply(ROLLOUTS).await?;
        t.app("app", "a password", "1h").await?;
        let thief = fenced(t).await?;
        for (kind, _) in WORKLOADS {
            workload(t, kind, "web", 0, &json!({})).await?;
            let annotation = |name: &str| json!({ "spec": { "template": { "metadata": { "annotations": { name: "now" } } } } });
            let restart = thief
                .patch(kind, "web", &annotation("vaultbridge.dev/web"))
                .await;
            restart
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("restart {kind}"))?;
            let container = json!({ "name": "web", "image": "thief" });
            for (what, change) in [
                (
                    "an annotation of others",
                    annotation("sidecar.istio.io/inject"),
                ),
                (
                    "a label",
                    json!({ "spec": { "template": { "metadata": { "labels": { "a": "b" } } } } }),
                ),
                (
                    "an image",
                    json!({ "spec": { "template": { "spec": { "containers": [container] } } } }),
                ),
                (
                    "a service account",
                    json!({ "spec": { "template": { "spec": { "serviceAccountName": "admin" } } } }),
                ),
                ("its number", json!({ "spec": { "minReadySeconds": 77 } })),
                (
                    "its owner",
                    json!({ "metadata": { "annotations": { "a": "b" } } }),
                ),
            ] {
                refused(
                    &format!("{kind}: {what}"),
                    thief.patch(kind, "web", &change).await,
                )?;
            }
        }
        let spec = json!({ "spec": { "suspend": true } });
        refused(
            "the spec of a VaultSecret",
            thief.patch("VaultSecret", "app", &spec).await,
        )?;
        let note = json!({ "metadata": { "annotations": { "a": "b" } } });
        refused(
            "a note on a VaultSecret",
            thief.patch("VaultSecret", "app", &note).await,
        )
    })
}

#[test]
fn within_its_fences_the_operator_does_all_that_it_is_for() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        probe(t).await?;
        t.app("app", "first password", "1s").await?;
        t.apply("{ kind: Secret, metadata: { name: shared }, data: { theirs: c3RheXM= } }")
            .await?;
        fenced(t).await?;
        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;
        for (name, shared, policy) in [
            ("merges", "shared", "Merge"),
            ("makes", "made", "CreateOrMerge"),
            ("joins", "made", "CreateOrMerge"),
        ] {
            let key = json!([{ "key": name, "source": "app", "field": "password" }]);
            let spec = format!(
                "sources: [{{ name: app, kv: {{ path: $tenant/app }} }}]
data: {key}
destination: {{ name: {shared}, creationPolicy: {policy} }}
refresh: {{ interval: 1s }}"
            );
            t.carry(name, &spec).await?;
            t.secret_with(shared, name, "second password").await?;
        }
        t.password("app", "third password").await?;
        for (name, shared) in [("merges", "shared"), ("makes", "made"), ("joins", "made")] {
            t.secret_with(shared, name, "third password").await?;
        }
        assert_eq!(t.secret("shared").await?.text("theirs")?, "stays");
        t.delete("Secret", "app").await?;
        t.secret_with("app", "password", "third password").await?;
        let typed = json!({ "spec": { "destination": { "type": "kubernetes.io/basic-auth" } } });
        t.patch("VaultSecret", "app", &typed).await?;
        t.secret_when("app", "to be of another type", |secret| {
            secret.kind() == "kubernetes.io/basic-auth"
        })
        .await?;
        workload(t, "Deployment", "web", 0, &json!({})).await?;
        let rollout = json!({ "spec": { "rollout": { "minInterval": "0s", "targets": [{ "kind": "Deployment", "name": "web" }] } } });
        t.patch("VaultSecret", "app", &rollout).await?;
        t.reports("app", "RolledOut", "True", "RolledOut").await?;
        t.password("app", "fourth password").await?;
        t.event(
            "VaultSecret",
            "app",
            "RollingOut",
            &["restarted Deployment web"],
        )
        .await?;
        for name in ["merges", "makes", "joins"] {
            t.delete("VaultSecret", name).await?;
            t.wait_gone("VaultSecret", name).await?;
        }
        t.wait_gone("Secret", "made").await?;
        assert_eq!(t.secret("shared").await?.keys(), ["theirs"]);
        let adopts = "sources: [{ name: app, kv: { path: $tenant/app } }]
destination: { name: shared, adoptionPolicy: Adopt }";
        t.carry("adopts", adopts).await?;
        t.complains_with("adopts", "AdmissionDenied", &["allowAdoption"])
            .await
    })
}
