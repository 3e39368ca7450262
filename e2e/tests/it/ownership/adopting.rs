//! A Secret that somebody else made is taken over as a whole where its object says so, and by nobody else.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{SecretView, Tenant, run, source};

/// Who owns what of a Secret: manager, operation, and the keys of its data, in the order of the managers.
pub fn hands(secret: &SecretView) -> Vec<(String, String, Vec<String>)> {
    let entries = secret.metadata().managed_fields.iter().flatten();
    let mut hands: Vec<_> = entries
        .map(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            let data = fields.and_then(|fields| fields["f:data"].as_object());
            let keys = data.into_iter().flatten().map(|(name, _)| name);
            let keys = keys.filter_map(|name| name.strip_prefix("f:"));
            (
                entry.manager.clone().unwrap_or_default(),
                entry.operation.clone().unwrap_or_default(),
                keys.map(str::to_owned).collect(),
            )
        })
        .collect();
    hands.sort();
    hands
}

/// The managers that own a key, with their operations.
pub fn owners_of(secret: &SecretView, key: &str) -> Vec<String> {
    let hands = hands(secret).into_iter();
    let owners = hands.filter(|(_, _, keys)| keys.iter().any(|one| one == key));
    owners
        .map(|(manager, operation, _)| format!("{manager} {operation}"))
        .collect()
}

/// An object that takes over the Secret of its name.
pub async fn adopting(t: &Tenant, more: &str) -> Result<Value> {
    let spec = format!(
        "{}\ndestination: {{ adoptionPolicy: Adopt{more} }}",
        source("app")
    );
    t.carry("app", &spec).await
}

#[test]
fn what_others_made_is_taken_over_with_its_labels_and_without_its_other_keys() -> Result<()> {
    run(async |t| {
        t.put(
            "app",
            json!({ "password": "ours after adoption", "same": "equal on both sides" }),
        )
        .await?;
        let theirs = "kind: Secret
metadata:
  name: app
  labels: { whose: theirs, app.kubernetes.io/managed-by: Helm }
  annotations: { note: theirs }
stringData: { password: theirs, same: equal on both sides, more: of theirs }";
        let before = t.apply(theirs).await?;
        adopting(t, "").await?;
        let object = t.ready("app").await?;
        let secret = t.secret("app").await?;
        assert_eq!(before["metadata"]["uid"], secret.uid(), "it was made anew");
        assert_eq!(secret.keys(), ["password", "same"]);
        assert_eq!(secret.text("password")?, "ours after adoption");
        for key in ["password", "same"] {
            assert_eq!(
                owners_of(&secret, key),
                ["vaultbridge Update"],
                "{key}: {:?}",
                hands(&secret)
            );
        }
        let labels = secret.metadata().labels.clone().unwrap_or_default();
        assert_eq!(labels["whose"], "theirs");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "vaultbridge");
        let annotations = secret.metadata().annotations.clone().unwrap_or_default();
        assert_eq!(annotations["note"], "theirs");
        let owner = secret.metadata().owner_references.iter().flatten().next();
        let owner = owner.context("it has no owner")?;
        assert_eq!(object["metadata"]["uid"], owner.uid.as_str());
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 2).await?;
        assert_eq!(
            t.secret("app").await?.resource_version(),
            secret.resource_version()
        );
        Ok(())
    })
}

#[test]
fn what_is_taken_over_with_another_type_is_made_anew_with_the_labels_of_others() -> Result<()> {
    run(async |t| {
        t.put(
            "app",
            json!({ "username": "an adopted user", "password": "of another type" }),
        )
        .await?;
        let theirs = "{ kind: Secret, metadata: { name: app, labels: { whose: theirs } }, stringData: { old: theirs } }";
        let before = t.apply(theirs).await?;
        adopting(t, ", type: kubernetes.io/basic-auth").await?;
        t.ready("app").await?;
        let secret = t
            .secret_when("app", "to have its labels again", |secret| {
                let labels = secret.metadata().labels.clone().unwrap_or_default();
                labels.get("whose").is_some_and(|whose| whose == "theirs")
            })
            .await?;
        assert_ne!(before["metadata"]["uid"], secret.uid());
        assert_eq!(secret.kind(), "kubernetes.io/basic-auth");
        assert_eq!(secret.keys(), ["password", "username"]);
        Ok(())
    })
}

#[test]
fn what_another_controller_owns_is_not_taken_over_until_it_is_let_go() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "once it is let go" }))
            .await?;
        let owner = t
            .apply("{ kind: ConfigMap, metadata: { name: owner } }")
            .await?;
        let uid = owner["metadata"]["uid"].as_str().unwrap_or_default();
        let theirs = format!(
            "kind: Secret
metadata:
  name: app
  ownerReferences: [{{ apiVersion: v1, kind: ConfigMap, name: owner, uid: {uid}, controller: true }}]
stringData: {{ password: theirs }}"
        );
        t.apply(&theirs).await?;
        let mark = t.ground().mark().await?;
        adopting(t, "").await?;
        let words = ["controlled by ConfigMap owner", "spec.destination.name"];
        t.complains_with("app", "SecretConflict", &words).await?;
        assert_eq!(t.reads_of("app", &mark)?, 0);
        let free = json!({ "metadata": { "ownerReferences": null } });
        t.patch("Secret", "app", &free).await?;
        t.secret_with("app", "password", "once it is let go")
            .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn what_grants_power_or_holds_the_state_of_a_program_is_never_taken_over() -> Result<()> {
    run(async |t| {
        for (name, kind) in [
            ("power", "bootstrap.kubernetes.io/token"),
            ("release", "helm.sh/release.v1"),
        ] {
            let theirs = format!(
                "{{ kind: Secret, metadata: {{ name: {name} }}, type: {kind}, stringData: {{ release: theirs }} }}"
            );
            t.apply(&theirs).await?;
            for policy in ["adoptionPolicy: Adopt", "creationPolicy: Merge"] {
                let spec = format!("{}\ndestination: {{ {policy} }}", source("app"));
                t.carry(name, &spec).await?;
                t.complains_with(name, "SecretConflict", &[kind, "left alone"])
                    .await?;
                assert_eq!(t.secret(name).await?.text("release")?, "theirs");
            }
        }
        Ok(())
    })
}

#[test]
fn what_another_object_has_is_not_taken_over_before_that_is_gone() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "of the heir" })).await?;
        t.put("first", json!({ "password": "of the first" }))
            .await?;
        let spec = format!(
            "{}\ndestination: {{ name: app, deletionPolicy: Retain }}",
            source("first")
        );
        t.carry("first", &spec).await?;
        t.ready("first").await?;
        adopting(t, "").await?;
        t.complains_with("app", "SecretConflict", &["VaultSecret first"])
            .await?;
        assert_eq!(t.secret("app").await?.text("password")?, "of the first");
        t.delete("VaultSecret", "first").await?;
        let secret = t.secret_with("app", "password", "of the heir").await?;
        assert_eq!(owners_of(&secret, "password"), ["vaultbridge Update"]);
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn credentials_go_into_a_secret_that_is_taken_over_and_cost_one_issue() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        t.apply("{ kind: Secret, metadata: { name: app }, stringData: { username: theirs, more: of theirs } }")
            .await?;
        let mark = t.mark().await?;
        let spec = format!(
            "sources: [{{ name: db, read: {{ path: {path} }} }}]\ndestination: {{ adoptionPolicy: Adopt }}"
        );
        t.carry("app", &spec).await?;
        t.ready("app").await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["password", "username"]);
        t.logs_in(&secret).await?;
        let asked = crate::leases::issues(t, &mark, &path)?;
        ensure!(asked == 1, "it was asked for {asked} times");
        Ok(())
    })
}
