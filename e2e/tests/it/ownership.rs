//! A Secret that is not ours is never touched, and of two objects that want the same one exactly one gets it.

pub mod adopting;
mod contested;
mod fixed;
mod letting_go;
mod merging;

use anyhow::{Result, ensure};
use serde_json::json;
use vaultbridge_e2e::{Tenant, run, source};

const FOREIGN: &str = "{ kind: Secret, metadata: { name: app, labels: { whose: theirs } }, stringData: { password: theirs } }";

#[test]
fn a_foreign_secret_is_left_alone_without_asking_vault_and_taken_over_once_it_is_gone() -> Result<()>
{
    run(async |t| {
        t.put("app", json!({ "password": "ours at last" })).await?;
        let before = t.apply(FOREIGN).await?;
        let mark = t.ground().mark().await?;
        t.carry("app", &source("app")).await?;
        let words = [
            "Secret app exists",
            "not made by this object",
            "delete it",
            "spec.destination.name",
        ];
        t.complains_with("app", "SecretConflict", &words).await?;
        // Another object is polled twice: time enough for a pass over the first to have asked Vault as well.
        t.put("fence", json!({ "value": "polled meanwhile" }))
            .await?;
        t.carry("fence", &source("fence")).await?;
        t.polls(&mark, "fence", 3).await?;
        assert_eq!(t.reads_of("app", &mark)?, 0, "{}", t.vault_requests(&mark)?);
        let after = t.secret("app").await?;
        assert_eq!(
            before["metadata"]["resourceVersion"],
            after.resource_version()
        );
        t.delete("Secret", "app").await?;
        t.secret_with("app", "password", "ours at last").await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_foreign_secret_that_only_wears_our_label_is_not_ours() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "never written" })).await?;
        let spoof = "kind: Secret
metadata:
  name: app
  labels: { app.kubernetes.io/managed-by: vaultbridge }
  annotations: { vaultbridge.dev/state: '{\"v\":1}' }
stringData: { password: theirs }";
        t.apply(spoof).await?;
        t.carry("app", &source("app")).await?;
        t.complains_with("app", "SecretConflict", &["not made by this object"])
            .await?;
        assert_eq!(t.secret("app").await?.text("password")?, "theirs");
        t.delete("VaultSecret", "app").await?;
        t.wait_gone("VaultSecret", "app").await?;
        assert_eq!(t.secret("app").await?.text("password")?, "theirs");
        Ok(())
    })
}

#[test]
fn a_copy_that_somebody_makes_of_a_secret_is_theirs() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "copied by hand" }))
            .await?;
        t.carry("app", &source("app")).await?;
        t.ready("app").await?;
        let mut copy = t.get("Secret", "app").await?.unwrap_or_default();
        let metadata = &copy["metadata"];
        copy["metadata"] = json!({
            "name": "copy",
            "labels": metadata["labels"],
            "annotations": metadata["annotations"],
        });
        let copy = t.apply(&copy.to_string()).await?;
        let spec = format!("{}\ndestination: {{ name: renamed }}", source("app"));
        t.carry("app", &spec).await?;
        t.wait_gone("Secret", "app").await?;
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 2).await?;
        let kept = t.secret("copy").await?;
        assert_eq!(copy["metadata"]["resourceVersion"], kept.resource_version());
        Ok(())
    })
}

/// Two objects, `older` and `younger`, that both want the Secret `shared`; the older has it.
async fn rivals(t: &Tenant) -> Result<()> {
    for name in ["older", "younger"] {
        t.put(name, json!({ "whose": format!("that of the {name}") }))
            .await?;
        let spec = format!("{}\ndestination: {{ name: shared }}", source(name));
        let object = t.carry(name, &spec).await?;
        if name == "older" {
            t.ready("older").await?;
            next_second(&object).await?;
        }
    }
    let words = [
        "already written by VaultSecret older",
        "spec.destination.name",
    ];
    t.complains_with("younger", "SecretConflict", &words).await
}

#[test]
fn of_two_objects_the_one_that_has_the_secret_keeps_it_and_the_other_asks_vault_nothing()
-> Result<()> {
    run(async |t| {
        let mark = t.ground().mark().await?;
        rivals(t).await?;
        let mark_two = t.ground().mark().await?;
        t.polls(&mark_two, "older", 2).await?;
        assert_eq!(
            t.reads_of("younger", &mark)?,
            0,
            "{}",
            t.vault_requests(&mark)?
        );
        let secret = t.secret("shared").await?;
        assert_eq!(secret.text("whose")?, "that of the older");
        t.ready("older").await?;
        Ok(())
    })
}

#[test]
fn the_loser_takes_over_when_the_winner_is_deleted() -> Result<()> {
    run(async |t| {
        rivals(t).await?;
        t.delete("VaultSecret", "older").await?;
        t.secret_with("shared", "whose", "that of the younger")
            .await?;
        t.ready("younger").await?;
        Ok(())
    })
}

#[test]
fn the_loser_takes_over_when_the_winner_moves_to_another_name() -> Result<()> {
    run(async |t| {
        rivals(t).await?;
        let elsewhere = json!({ "spec": { "destination": { "name": "elsewhere" } } });
        t.patch("VaultSecret", "older", &elsewhere).await?;
        t.secret_with("shared", "whose", "that of the younger")
            .await?;
        t.secret_with("elsewhere", "whose", "that of the older")
            .await?;
        for name in ["older", "younger"] {
            t.ready(name).await?;
        }
        Ok(())
    })
}

#[test]
fn the_older_of_two_that_were_both_waiting_gets_the_name() -> Result<()> {
    run(async |t| {
        t.apply(FOREIGN).await?;
        for name in ["younger-by-name", "a-younger"] {
            t.put(name, json!({ "whose": format!("that of {name}") }))
                .await?;
            let spec = format!("{}\ndestination: {{ name: app }}", source(name));
            let object = t.carry(name, &spec).await?;
            t.complains(name, "SecretConflict").await?;
            next_second(&object).await?;
        }
        t.delete("Secret", "app").await?;
        t.secret_with("app", "whose", "that of younger-by-name")
            .await?;
        t.ready("younger-by-name").await?;
        t.complains_with("a-younger", "SecretConflict", &["younger-by-name"])
            .await
    })
}

/// Waits until the clock shows another second than the one in which the object was created: creation times have whole
/// seconds, and within one the UID decides who is older.
async fn next_second(object: &serde_json::Value) -> Result<()> {
    let created = object["metadata"]["creationTimestamp"].as_str();
    let created: jiff::Timestamp = created.unwrap_or_default().parse()?;
    let soon = vaultbridge_e2e::wait::SOON;
    vaultbridge_e2e::wait::until("the next second", soon, async || {
        let second = jiff::Timestamp::now().as_second();
        Ok((second > created.as_second()).then_some(()))
    })
    .await
}

#[test]
fn a_secret_deleted_by_hand_while_a_rival_waits_comes_back_to_its_owner() -> Result<()> {
    run(async |t| {
        rivals(t).await?;
        let before = t.secret("shared").await?;
        t.delete("Secret", "shared").await?;
        let after = t.secret_when("shared", "to be back", |secret| {
            secret.uid() != before.uid()
        });
        let after = after.await?;
        let whose = after.text("whose")?;
        ensure!(whose == "that of the older", "it went to another: {whose}");
        Ok(())
    })
}

#[test]
fn a_secret_that_somebody_has_labelled_outlives_the_last_who_merged_into_it() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "ours at last" })).await?;
        let spec = format!(
            "{}\ndestination: {{ name: shared, creationPolicy: CreateOrMerge }}",
            source("app")
        );
        t.carry("app", &spec).await?;
        t.ready("app").await?;
        let label = json!({ "metadata": { "labels": { "theirs": "stays" } } });
        t.patch("Secret", "shared", &label).await?;
        t.delete("VaultSecret", "app").await?;
        t.wait_gone("VaultSecret", "app").await?;
        let left = t.secret("shared").await?;
        assert_eq!(left.keys(), [""; 0]);
        let labels = left.metadata().labels.clone().unwrap_or_default();
        assert_eq!(labels.get("theirs").map(String::as_str), Some("stays"));
        Ok(())
    })
}

#[test]
fn keys_in_a_secret_of_others_go_with_the_object_whatever_its_policy_says_by_then() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "ours at last" })).await?;
        t.apply("{ kind: Secret, metadata: { name: shared }, data: { theirs: c3RheXM= } }")
            .await?;
        let spec = |policy: &str| {
            format!(
                "{}\ndestination: {{ name: shared, creationPolicy: {policy} }}",
                source("app")
            )
        };
        t.carry("app", &spec("Merge")).await?;
        t.ready("app").await?;
        assert_eq!(t.secret("shared").await?.keys(), ["password", "theirs"]);
        t.carry("app", &spec("Create")).await?;
        t.complains("app", "SecretConflict").await?;
        t.delete("VaultSecret", "app").await?;
        t.wait_gone("VaultSecret", "app").await?;
        assert_eq!(t.secret("shared").await?.keys(), ["theirs"]);
        Ok(())
    })
}
