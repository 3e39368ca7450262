//! The other tables: an object changes its policy, and a Secret comes from elsewhere.

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};
use vaultbridge_e2e::{SecretView, Tenant, run};

use super::{OURS, THEIRS, Table, foreign, has, is_ready, object, owned, policies, table, tell};
use crate::ownership::adopting::hands;

/// Changes the policies of an object.
async fn change(t: &Tenant, name: &str, destination: &Value) -> Result<()> {
    let change = json!({ "spec": { "destination": destination } });
    t.patch("VaultSecret", name, &change).await.map(drop)
}

fn has_finalizer(object: &Value) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    let mut finalizers = finalizers.into_iter().flatten();
    finalizers.any(|one| one == "vaultbridge.dev/keys")
}

async fn finalizer(t: &Tenant, name: &str, wanted: bool) -> Result<()> {
    let what = format!("to have the finalizer: {wanted}");
    t.wait("VaultSecret", name, &what, |object| {
        has_finalizer(object) == wanted
    })
    .await
    .map(drop)
}

/// A ready object of that combination; where it merges, in a Secret of others unless it makes its own.
async fn begin(t: &Tenant, name: &str, combination: &str) -> Result<SecretView> {
    let policies = policies(combination)?;
    if policies.creation == "Merge" {
        foreign(t, name).await?;
    }
    object(t, name, policies).await?;
    t.ready(name).await?;
    t.secret_with(name, "ours", OURS).await
}

/// The Secret is the object's as a whole.
async fn is_whole(t: &Tenant, name: &str, before: &SecretView) -> Result<()> {
    ensure!(is_ready(t, name).await?, "it is not ready");
    let secret = t.secret_when(name, "to be ours alone", |secret| secret.keys() == ["ours"]);
    let secret = secret.await?;
    ensure!(secret.uid() == before.uid(), "it was made anew");
    owned(&secret, "ours", "vaultbridge Update")?;
    let managers: Vec<_> = hands(&secret).into_iter().map(|hand| hand.0).collect();
    ensure!(
        !managers.iter().any(|name| name.starts_with("vaultbridge/")),
        "{managers:?}"
    );
    let annotations = secret.metadata().annotations.clone().unwrap_or_default();
    let marks: Vec<_> = annotations
        .keys()
        .filter(|name| name.contains("vaultbridge.dev/"))
        .collect();
    ensure!(marks == ["vaultbridge.dev/state"], "{marks:?}");
    finalizer(t, name, false).await
}

async fn given_up(t: &Tenant, name: &str, creation: &str) -> Result<()> {
    let before = begin(t, name, "Create, Delete, Refuse").await?;
    change(t, name, &json!({ "creationPolicy": creation })).await?;
    ensure!(is_ready(t, name).await?, "it is not ready");
    let manager = format!("vaultbridge/{name} Apply");
    let secret = t.secret_when(name, "to be shared", |secret| {
        let owners = secret.metadata().owner_references.iter().flatten().count();
        let annotations = secret.metadata().annotations.clone().unwrap_or_default();
        owners == 0 && !annotations.contains_key("vaultbridge.dev/state")
    });
    let secret = secret.await?;
    ensure!(secret.uid() == before.uid(), "it was made anew");
    owned(&secret, "ours", &manager)?;
    ensure!(
        secret.metadata().labels.is_none(),
        "{:?}",
        secret.metadata().labels
    );
    finalizer(t, name, true).await?;
    let added = json!({ "data": { "theirs": THEIRS } });
    t.patch("Secret", name, &added).await?;
    t.delete("VaultSecret", name).await?;
    t.wait_gone("VaultSecret", name).await?;
    has(&t.secret(name).await?, &["theirs"])
}

async fn one_change(t: &Tenant, row: usize, what: &str, expected: &str) -> Result<()> {
    let name = format!("change-{row}");
    let name = name.as_str();
    match (what, expected) {
        ("Create to Merge", "given up") => given_up(t, name, "Merge").await,
        ("Create to CreateOrMerge", "given up") => given_up(t, name, "CreateOrMerge").await,
        ("CreateOrMerge to Create, alone", "taken back") => {
            let before = begin(t, name, "CreateOrMerge, Delete, Refuse").await?;
            change(t, name, &json!({ "creationPolicy": "Create" })).await?;
            is_whole(t, name, &before).await
        }
        ("CreateOrMerge to Create, shared", "refused") => {
            begin(t, name, "CreateOrMerge, Delete, Refuse").await?;
            t.patch("Secret", name, &json!({ "data": { "theirs": THEIRS } }))
                .await?;
            change(t, name, &json!({ "creationPolicy": "Create" })).await?;
            t.complains_with(name, "SecretConflict", &["adoptionPolicy: Adopt"])
                .await?;
            has(&t.secret(name).await?, &["ours", "theirs"])
        }
        ("Merge to Create, Refuse", "refused") => {
            begin(t, name, "Merge, Delete, Refuse").await?;
            change(t, name, &json!({ "creationPolicy": "Create" })).await?;
            t.complains_with(name, "SecretConflict", &["adoptionPolicy: Adopt"])
                .await?;
            has(&t.secret(name).await?, &["ours", "theirs"])
        }
        ("Merge to Create, Adopt", "taken over") => {
            let before = begin(t, name, "Merge, Delete, Refuse").await?;
            let wanted = json!({ "creationPolicy": "Create", "adoptionPolicy": "Adopt" });
            change(t, name, &wanted).await?;
            is_whole(t, name, &before).await
        }
        ("Merge, Delete to Retain", "finalizer goes") => {
            begin(t, name, "Merge, Delete, Refuse").await?;
            finalizer(t, name, true).await?;
            change(t, name, &json!({ "deletionPolicy": "Retain" })).await?;
            finalizer(t, name, false).await
        }
        ("Merge, Retain to Delete", "finalizer comes") => {
            begin(t, name, "Merge, Retain, Refuse").await?;
            finalizer(t, name, false).await?;
            change(t, name, &json!({ "deletionPolicy": "Delete" })).await?;
            finalizer(t, name, true).await
        }
        _ => bail!("no test knows this"),
    }
}

#[test]
fn every_change_of_policy_is_as_its_row_says() -> Result<()> {
    run(async |t| {
        let Table { rows, .. } = table("Change")?;
        assert_eq!(rows.len(), 8);
        for (number, row) in rows.iter().enumerate() {
            let (what, expected) = (&row[0], &row[1]);
            let tried = Box::pin(one_change(t, number, what, expected)).await;
            tried.with_context(|| format!("change [{what}]: {expected}"))?;
            tell(&format!("change [{what}]: {expected}"));
        }
        Ok(())
    })
}

/// A Secret with the key `ours` as one of these programs leaves it.
async fn made_by(t: &Tenant, whose: &str, name: &str) -> Result<()> {
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "namespace": t.name() },
        "data": { "ours": THEIRS },
    });
    let api = t.api("Secret").await?;
    let (manager, applied) = match whose {
        "Helm" => {
            secret["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
            secret["metadata"]["annotations"] = json!({ "meta.helm.sh/release-name": "shop" });
            ("helm", false)
        }
        "kubectl apply" => {
            let copy = json!({ "kubectl.kubernetes.io/last-applied-configuration": "{}" });
            secret["metadata"]["annotations"] = copy;
            ("kubectl-client-side-apply", false)
        }
        "kubectl apply --server-side" => ("kubectl", true),
        "another operator" => {
            let owner = t
                .apply("{ kind: ConfigMap, metadata: { name: owner } }")
                .await?;
            let uid = &owner["metadata"]["uid"];
            secret["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "controller": true,
            }]);
            ("externalsecrets.external-secrets.io/shop", false)
        }
        _ => bail!("no test knows this"),
    };
    if applied {
        let params = PatchParams::apply(manager);
        api.patch(name, &params, &Patch::Apply(&secret)).await?;
    } else {
        let object: DynamicObject = serde_json::from_value(secret)?;
        let params = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        api.create(&params, &object).await?;
    }
    Ok(())
}

#[test]
fn every_handover_is_as_its_row_says() -> Result<()> {
    run(async |t| {
        let Table { columns, rows } = table("From")?;
        assert_eq!((columns.len(), rows.len()), (3, 4));
        for (number, row) in rows.iter().enumerate() {
            for (column, combination) in ["Create, Delete, Adopt", "Merge, Delete, Refuse"]
                .iter()
                .enumerate()
            {
                let (whose, expected) = (&row[0], &row[column + 1]);
                let name = format!("handover-{number}-{column}");
                let cell = format!("handover [{whose}] {}: {expected}", columns[column + 1]);
                made_by(t, whose, &name)
                    .await
                    .with_context(|| cell.clone())?;
                let before = t.secret(&name).await?;
                object(t, &name, policies(combination)?).await?;
                let ready = is_ready(t, &name).await?;
                let after = t.secret(&name).await?;
                match (ready, expected.as_str()) {
                    (true, "taken over") => {
                        ensure!(before.uid() == after.uid(), "{cell}: it was made anew");
                        assert_eq!(after.text("ours")?, OURS, "{cell}");
                        owned(&after, "ours", "vaultbridge Update")?;
                    }
                    (false, "refused") => {
                        assert_eq!(
                            before.resource_version(),
                            after.resource_version(),
                            "{cell}"
                        );
                    }
                    (ready, _) => bail!("{cell}: ready: {ready}"),
                }
                tell(&cell);
            }
        }
        Ok(())
    })
}
