//! What is gone in Vault is told apart, spoils no Secret unless that is asked for, and heals when it is back.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::{READ, Tenant, run, source};

/// Four ready objects, each of a path of its own, and then each path is gone in another way.
async fn four_ways_to_go(t: &Tenant) -> Result<()> {
    for name in ["deleted", "destroyed", "vanished", "forbidden"] {
        t.put(name, json!({ "value": format!("what was {name}") }))
            .await?;
        t.carry(name, &source(name)).await?;
    }
    for name in ["deleted", "destroyed", "vanished", "forbidden"] {
        t.ready(name).await?;
    }
    t.forget("deleted").await?;
    t.destroy("destroyed", 1).await?;
    t.vanish("vanished").await?;
    let left = ["deleted", "destroyed", "vanished"].map(|name| format!("$tenant/data/{name}"));
    let rules: Vec<(&str, &[&str])> = left.iter().map(|path| (path.as_str(), READ)).collect();
    t.policy(&rules).await
}

#[test]
fn deleted_destroyed_vanished_and_forbidden_are_told_apart_and_keep_the_secret() -> Result<()> {
    run(async |t| {
        four_ways_to_go(t).await?;
        let path = |name: &str| format!("{}/{name}", t.name());
        let keeps = "keeps its last value";
        t.complains_with(
            "deleted",
            "SourceDeleted",
            &[&path("deleted"), "was deleted", "undelete", keeps],
        )
        .await?;
        t.complains_with(
            "destroyed",
            "SourceDeleted",
            &[
                &path("destroyed"),
                "was destroyed",
                "write a new version",
                keeps,
            ],
        )
        .await?;
        t.complains_with(
            "vanished",
            "SourceDeleted",
            &[&path("vanished"), "does not exist in Vault any more", keeps],
        )
        .await?;
        let policy_path = format!("{}/data/forbidden", t.name());
        t.complains_with(
            "forbidden",
            "PermissionDenied",
            &[&path("forbidden"), t.name(), &policy_path, "\"read\""],
        )
        .await?;
        for name in ["deleted", "destroyed", "vanished", "forbidden"] {
            let value = t.secret(name).await?.text("value")?;
            assert_eq!(value, format!("what was {name}"));
        }
        Ok(())
    })
}

#[test]
fn what_was_deleted_destroyed_vanished_or_forbidden_heals_when_it_is_back() -> Result<()> {
    run(async |t| {
        four_ways_to_go(t).await?;
        for (name, reason) in [
            ("deleted", "SourceDeleted"),
            ("destroyed", "SourceDeleted"),
            ("vanished", "SourceDeleted"),
            ("forbidden", "PermissionDenied"),
        ] {
            t.complains(name, reason).await?;
        }
        t.undelete("deleted", 1).await?;
        for name in ["destroyed", "vanished"] {
            t.put(name, json!({ "value": format!("{name} and back") }))
                .await?;
        }
        t.policy(&[("$tenant/data/*", READ)]).await?;
        for name in ["deleted", "destroyed", "vanished", "forbidden"] {
            t.ready(name).await?;
        }
        for (name, value) in [
            ("deleted", "what was deleted"),
            ("destroyed", "destroyed and back"),
            ("vanished", "vanished and back"),
            ("forbidden", "what was forbidden"),
        ] {
            assert_eq!(t.secret(name).await?.text("value")?, value);
        }
        Ok(())
    })
}

/// Two sources, of which `app` is to go, under a policy for missing ones.
async fn two_sources(t: &Tenant, policy: &str) -> Result<()> {
    t.put("app", json!({ "password": "it will be missed" }))
        .await?;
    t.put("base", json!({ "host": "db.internal" })).await?;
    let spec = format!(
        "sources:
- {{ name: app, kv: {{ path: $tenant/app }} }}
- {{ name: base, kv: {{ path: $tenant/base }} }}
destination: {{ missingSourcePolicy: {policy} }}"
    );
    t.carry("app", &spec).await?;
    t.ready("app").await?;
    assert_eq!(t.secret("app").await?.keys(), ["host", "password"]);
    Ok(())
}

#[test]
fn with_retain_a_missing_source_keeps_its_last_value_until_it_returns() -> Result<()> {
    run(async |t| {
        two_sources(t, "Retain").await?;
        let before = t.secret("app").await?;
        t.vanish("app").await?;
        let words = ["does not exist in Vault any more", "missingSourcePolicy"];
        t.complains_with("app", "SourceDeleted", &words).await?;
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 2).await?;
        let after = t.secret("app").await?;
        assert_eq!(after.resource_version(), before.resource_version());
        t.put("app", json!({ "password": "it is back" })).await?;
        t.secret_with("app", "password", "it is back").await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn with_prune_a_missing_source_takes_its_keys_along_until_it_returns() -> Result<()> {
    run(async |t| {
        two_sources(t, "Prune").await?;
        t.forget("app").await?;
        let pruned = t.secret_when("app", "to be pruned", |secret| secret.keys() == ["host"]);
        pruned.await?;
        let object = t.wait("VaultSecret", "app", "to tell what is missing", |object| {
            object["status"]["sources"][0]["missing"] == true
        });
        object.await?;
        t.ready("app").await?;
        t.undelete("app", 1).await?;
        t.secret_with("app", "password", "it will be missed")
            .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn with_delete_a_missing_source_takes_the_secret_along_until_it_returns() -> Result<()> {
    run(async |t| {
        two_sources(t, "Delete").await?;
        t.vanish("app").await?;
        t.wait_gone("Secret", "app").await?;
        let words = ["does not exist in Vault any more", "the Secret was deleted"];
        t.complains_with("app", "SourceDeleted", &words).await?;
        // Status and event are one after the other; by the next poll both are written.
        let told = t.ground().mark().await?;
        t.polls(&told, "app", 1).await?;
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 2).await?;
        t.complains_with("app", "SourceDeleted", &words).await?;
        let asked = t.ground().kube_requests(&mark).await?;
        let written = asked.in_namespace(t.name()).writes();
        assert_eq!(
            written.len(),
            0,
            "the same words are written once: {written}"
        );
        t.put("app", json!({ "password": "it is back" })).await?;
        t.secret_with("app", "password", "it is back").await?;
        let object = t.ready("app").await?;
        assert_eq!(object["status"]["revision"], 2, "{object}");
        Ok(())
    })
}

#[test]
fn a_wrong_path_never_deletes_or_prunes_a_secret() -> Result<()> {
    run(async |t| {
        for policy in ["Delete", "Prune"] {
            two_sources(t, policy).await?;
            let before = t.secret("app").await?;
            let wrong = json!({ "spec": { "sources": [
                { "name": "app", "kv": { "path": format!("{}/typing-eror", t.name()) } },
                { "name": "base", "kv": { "path": format!("{}/base", t.name()) } },
            ] } });
            t.patch("VaultSecret", "app", &wrong).await?;
            let words = ["typing-eror does not exist", "correct kv.path"];
            t.complains_with("app", "PathNotFound", &words).await?;
            let after = t.secret("app").await?;
            assert_eq!(after.uid(), before.uid(), "{policy}");
            assert_eq!(after.keys(), ["host", "password"], "{policy}");
            t.delete("VaultSecret", "app").await?;
            t.wait_gone("Secret", "app").await?;
        }
        Ok(())
    })
}
