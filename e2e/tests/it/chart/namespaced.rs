//! The operator with rights in some namespaces only.

use anyhow::{Result, ensure};
use serde_json::json;
use vaultbridge_e2e::helm::rendered;
use vaultbridge_e2e::operator::{ACCOUNT, NAMESPACE, Operator};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, run_alone};

use super::installed::release;
use super::of_kind;

const ELSEWHERE: &str = "elsewhere";

/// Makes a namespace that nobody watches, with a VaultSecret in it, and one that is watched and closed to the operator.
async fn surroundings(t: &Tenant) -> Result<()> {
    let client = t.ground().control_plane().client();
    let object = json!({
        "apiVersion": objects::API_VERSION, "kind": "VaultSecret",
        "metadata": { "name": "app", "namespace": ELSEWHERE },
        "spec": {
            "auth": { "role": "app" },
            "sources": [{ "name": "app", "kv": { "path": "secret/app" } }],
        },
    });
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": ELSEWHERE } });
    objects::apply(client, &namespace).await?;
    objects::create(client, &object).await?;
    let closed = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "vaultbridge-secrets", "namespace": "closed" },
    });
    objects::delete(client, &closed).await
}

#[test]
fn rights_in_the_namespaces_that_it_watches_are_enough() -> Result<()> {
    let without = GroundOptions {
        operator: false,
        ..GroundOptions::default()
    };
    run_alone(&without, async |t| {
        let client = t.ground().control_plane().client();
        let closed =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "closed" } });
        objects::apply(client, &closed).await?;
        let watched = format!("watchNamespaces=[\"{}\",\"closed\"]", t.name());
        release(t, &[&watched]).await?;
        surroundings(t).await?;

        let control_plane = t.ground().control_plane();
        let folder = t.ground().folder().join("operator");
        let namespaces = format!("--watch-namespaces={},closed", t.name());
        let flags = ["--allow-plain-http", namespaces.as_str()];
        let mark = t.mark().await?;
        let operator = Operator::start_as(control_plane, ACCOUNT, &folder, &flags).await?;
        operator.ready().await?;
        t.app("app", "first password", "1s").await?;
        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;
        t.delete("Secret", "app").await?;
        t.secret_with("app", "password", "second password").await?;

        let user = format!("system:serviceaccount:{NAMESPACE}:{ACCOUNT}");
        let asked = t.ground().kube_requests(&mark).await?;
        let refused = asked.only(|request| {
            request.user == user && request.code == 403 && request.namespace != "closed"
        });
        ensure!(refused.is_empty(), "it lacks a right: {refused:?}");
        let api = objects::api(client, objects::API_VERSION, "VaultSecret", ELSEWHERE).await?;
        let elsewhere = api.get("app").await?;
        ensure!(elsewhere.data.get("status").is_none(), "{elsewhere:?}");
        operator.stop().await
    })
}

#[test]
fn where_it_watches_some_namespaces_nothing_but_servers_is_granted_cluster_wide() -> Result<()> {
    vaultbridge_e2e::block_on(async {
        let all = rendered(&[
            "watchNamespaces=[\"shop\",\"bank\"]",
            "rbac.aggregate=false",
        ])
        .await?;
        for role in of_kind(&all, "ClusterRole") {
            for rule in role["rules"].as_array().into_iter().flatten() {
                let resources = rule["resources"].to_string();
                ensure!(resources.contains("vaultconnections"), "{rule}");
            }
        }
        let mut namespaces: Vec<_> = of_kind(&all, "Role")
            .iter()
            .filter_map(|role| role["metadata"]["namespace"].as_str())
            .collect();
        namespaces.sort_unstable();
        assert_eq!(namespaces, ["bank", "default", "shop", NAMESPACE]);
        Ok(())
    })?
}
