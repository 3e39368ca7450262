//! The chart on a real API server: installed, upgraded, taken away.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::helm::{chart, helm, rendered};
use vaultbridge_e2e::operator::{ACCOUNT, NAMESPACE, Operator};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, run_alone};

/// Installs the release, or upgrades it, with these values besides.
pub async fn release(t: &Tenant, more: &[&str]) -> Result<String> {
    let kubeconfig = t.ground().control_plane().kubeconfig();
    let chart = chart()?;
    let mut args = vec!["upgrade", "--install", "vaultbridge", &chart];
    args.extend(["--namespace", NAMESPACE, "--create-namespace"]);
    let address = format!("connection.spec.address=\"{}\"", t.vault().address());
    for value in ["connection.create=true", &address].iter().chain(more) {
        args.extend(["--set-json", value]);
    }
    helm(&args, Some(&kubeconfig)).await
}

/// A cluster-wide object as it is now.
async fn object(t: &Tenant, version: &str, kind: &str, name: &str) -> Result<Value> {
    let client = t.ground().control_plane().client();
    let api = objects::api(client, version, kind, NAMESPACE).await?;
    Ok(serde_json::to_value(api.get(name).await?)?)
}

/// The pod that the Deployment would make is one that a namespace admits which is held to the strictest standard.
async fn is_restricted(t: &Tenant) -> Result<()> {
    let client = t.ground().control_plane().client();
    let strict = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": NAMESPACE, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } },
    });
    objects::apply(client, &strict).await?;
    let all = rendered(&[]).await?;
    let deployment = all.iter().find(|object| object["kind"] == "Deployment");
    let template = &deployment.context("find the Deployment")?["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "tried", "namespace": NAMESPACE },
        "spec": template["spec"],
    });
    objects::create(client, &pod)
        .await
        .context("a pod of the chart")?;
    pod["metadata"]["name"] = "refused".into();
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
    let refusal = objects::refusal(client, &pod).await?;
    ensure!(refusal.contains("allowPrivilegeEscalation"), "{refusal}");
    Ok(())
}

#[test]
fn a_release_brings_all_that_the_operator_needs_and_leaves_what_people_made() -> Result<()> {
    let without = GroundOptions {
        operator: false,
        ..GroundOptions::default()
    };
    run_alone(&without, async |t| {
        release(t, &[]).await?;
        let connection = object(t, objects::API_VERSION, "VaultConnection", "default").await?;
        is_restricted(t).await?;
        let control_plane = t.ground().control_plane();
        let folder = t.ground().folder().join("operator");
        let flags = [
            "--allow-plain-http",
            "--leader-elect",
            "--pod-name",
            "one",
            "--pod-uid",
            "1",
        ];
        let operator = Operator::start_as(control_plane, ACCOUNT, &folder, &flags).await?;
        operator.ready().await?;
        let before = t.app("app", "first password", "1h").await?;

        release(t, &["log.level=\"debug\""]).await?;
        let kept = object(t, objects::API_VERSION, "VaultConnection", "default").await?;
        assert_eq!(kept["metadata"]["uid"], connection["metadata"]["uid"]);
        let deployment = object(t, "apps/v1", "Deployment", "vaultbridge").await?;
        let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
        ensure!(args.to_string().contains("--log-level=debug"), "{args}");
        let after = t.secret("app").await?;
        assert_eq!(after.resource_version(), before.resource_version());
        // The first revision made the VaultConnection by a hook, so it is no part of what is gone back to.
        let back = ["rollback", "vaultbridge", "1", "--namespace", NAMESPACE];
        helm(&back, Some(&control_plane.kubeconfig())).await?;
        let kept = object(t, objects::API_VERSION, "VaultConnection", "default").await?;
        assert_eq!(kept["metadata"]["uid"], connection["metadata"]["uid"]);
        release(t, &["log.level=\"info\""]).await?;
        operator.ready().await?;

        operator.stop().await?;
        let kubeconfig = control_plane.kubeconfig();
        let said = helm(
            &["uninstall", "vaultbridge", "--namespace", NAMESPACE],
            Some(&kubeconfig),
        )
        .await?;
        ensure!(
            said.contains("CustomResourceDefinition"),
            "it tells what it keeps: {said}"
        );
        until("the Deployment to go", SOON, async || {
            Ok(object(t, "apps/v1", "Deployment", "vaultbridge")
                .await
                .is_err()
                .then_some(()))
        })
        .await?;
        let left = t.secret("app").await?;
        assert_eq!(left.uid(), before.uid());
        ensure!(
            t.get("VaultSecret", "app").await?.is_some(),
            "the object stays"
        );
        let keys = t.ground().operator_secret("vaultbridge-keys").await?;
        ensure!(
            keys.is_some(),
            "the keys stay: without them credentials would be issued anew"
        );
        Ok(())
    })
}
