//! Its rights are those of its manifest: each is needed, none is missing, and a missing one is named.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vaultbridge_e2e::audit::Place;
use vaultbridge_e2e::vault_server::{DatabaseRole, Listener};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{Tenant, objects, operator, run_alone};

use crate::leading;
use crate::rollout::workloads::{ROLLOUTS, WORKLOADS, workload};

/// What the manifest grants, as `verb resource`.
pub fn granted(manifest: &[Value]) -> BTreeSet<String> {
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(|one| one.as_str().map(str::to_owned))
            .collect()
    };
    let rules = manifest
        .iter()
        .filter_map(|object| object["rules"].as_array());
    let mut granted = BTreeSet::new();
    for rule in rules.flatten() {
        for resource in texts(&rule["resources"]) {
            let verbs = texts(&rule["verbs"]);
            granted.extend(verbs.iter().map(|verb| format!("{verb} {resource}")));
        }
    }
    granted
}

/// A day in which the operator does everything that it can do.
async fn busy_day(t: &Tenant) -> Result<()> {
    let secure = Tenant::new(t.ground().clone(), "secure")
        .await?
        .with_own_vault(Listener::Tls)
        .await?;
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "vault-ca", "namespace": operator::NAMESPACE },
        "data": { "ca.crt": secure.vault().ca() },
    });
    objects::apply(t.ground().control_plane().client(), &map).await?;
    let reference = json!({ "kind": "ConfigMap", "name": "vault-ca", "key": "ca.crt" });
    let spec = json!({ "address": secure.vault().address(), "tls": { "caBundleRef": reference } });
    t.ground().connect("by-reference", &spec).await?;
    secure.password("app", "first password").await?;
    secure.apply_app("app", "10m").await?;
    let elsewhere = json!({ "spec": { "connectionRef": { "name": "by-reference" } } });
    secure.patch("VaultSecret", "app", &elsewhere).await?;
    secure.ready("app").await?;

    t.app("app", "first password", "1s").await?;
    t.password("app", "second password").await?;
    t.secret_with("app", "password", "second password").await?;
    for count in 1..=2 {
        t.delete("Secret", "app").await?;
        until("the event of the repair", SOON, async || {
            let events = t.events("VaultSecret", "app").await?;
            Ok(events
                .iter()
                .any(|event| event.count >= count)
                .then_some(()))
        })
        .await?;
    }
    let elsewhere = json!({ "spec": { "destination": { "name": "renamed" } } });
    t.patch("VaultSecret", "app", &elsewhere).await?;
    t.wait_gone("Secret", "app").await?;
    t.patch_as(
        "vaultbridge",
        "Secret",
        "renamed",
        &json!({ "data": { "password": "Zm9yZ2Vk" } }),
    )
    .await?;
    t.secret_with("renamed", "password", "second password")
        .await?;
    t.apply("{ kind: Secret, metadata: { name: shared }, data: { theirs: b2YgdGhlaXJz } }")
        .await?;
    let merge =
        json!({ "spec": { "destination": { "name": "shared", "creationPolicy": "Merge" } } });
    t.apply_app("part", "1s").await?;
    t.password("part", "merged password").await?;
    t.patch("VaultSecret", "part", &merge).await?;
    t.secret_with("shared", "password", "merged password")
        .await?;
    t.apply(ROLLOUTS).await?;
    let mut targets = Vec::new();
    for (kind, _) in WORKLOADS {
        workload(t, kind, "app", 0, &json!({})).await?;
        targets.push(json!({ "kind": kind, "name": "app" }));
        targets.push(json!({ "kind": kind, "selector": { "matchLabels": { "uses": "app" } } }));
    }
    let rollout = json!({ "spec": { "rollout": { "targets": targets } } });
    t.patch("VaultSecret", "app", &rollout).await?;
    t.reports("app", "RolledOut", "True", "RolledOut").await?;
    t.password("app", "third password").await?;
    for (kind, _) in WORKLOADS {
        let words = format!("restarted {kind} app");
        t.event("VaultSecret", "app", "RollingOut", &[&words])
            .await?;
    }
    let path = t.database(&DatabaseRole::default()).await?;
    t.carry(
        "issued",
        &format!("sources: [{{ name: db, read: {{ path: {path} }} }}]"),
    )
    .await?;
    t.ready("issued").await?;
    t.delete("VaultSecret", "issued").await?;
    t.wait_gone("VaultSecret", "issued").await
}

/// Another instance has led and died, and this one waits until it may follow.
async fn stands_by_for_a_while(t: &Tenant) -> Result<()> {
    t.operator()?.stop().await?;
    leading::another_leads(t, "another", 2).await?;
    t.operator()?.start_again()?;
    t.operator()?.ready().await
}

#[test]
fn every_right_of_the_manifest_is_used_and_none_is_missed() -> Result<()> {
    run_alone(&leading::options(), async |t| {
        stands_by_for_a_while(t).await?;
        busy_day(t).await?;
        let manifest = objects::read(&operator::project().join("deploy/rbac.yaml"))?;
        let control_plane = t.ground().control_plane();
        control_plane.audit().settle(control_plane.client()).await?;
        let requests = control_plane
            .audit()
            .since(Place::START)?
            .of_account(operator::NAMESPACE, operator::ACCOUNT)
            .only(|request| !request.resource.is_empty());
        let refused = requests.clone().only(|request| request.code == 403);
        assert_eq!(refused.len(), 0, "rights are missing: {refused}");
        let used: BTreeSet<String> = requests
            .iter()
            .map(|request| format!("{} {}", request.verb, request.resource))
            .collect();
        assert_eq!(used, granted(&manifest), "used, and granted");
        Ok(())
    })
}

#[test]
fn a_missing_right_keeps_it_unready_and_is_named() -> Result<()> {
    run_alone(&leading::options(), async |t| {
        let client = t.ground().control_plane().client();
        let manifest = objects::read(&operator::project().join("deploy/rbac.yaml"))?;
        let role = manifest
            .iter()
            .find(|object| object["kind"] == "ClusterRole");
        let role = role.context("find the ClusterRole of the manifest")?;
        let mut lacking = role.clone();
        if let Some(rules) = lacking["rules"].as_array_mut() {
            rules.retain(|rule| rule["resources"] != json!(["configmaps"]));
        }
        assert_ne!(lacking, *role, "a rule was taken out");
        t.operator()?.stop().await?;
        objects::apply(client, &lacking).await?;
        t.operator()?.start_again()?;
        until("the log to name the right", SOON, async || {
            let log = t.operator()?.log()?;
            let named =
                |line: &str| line.contains("WARN") && line.contains("configmaps is forbidden");
            Ok(log.lines().any(named).then_some(()))
        })
        .await?;
        assert_eq!(t.operator()?.healthz().await?, 200);
        assert_eq!(t.operator()?.readyz().await?, 503);
        objects::apply(client, role).await?;
        t.operator()?.ready().await
    })
}
