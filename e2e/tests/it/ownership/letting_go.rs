//! A Secret goes from one object to another: nobody puts anything into it that goes with the object that had it.

use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use vaultbridge_e2e::tenant::condition;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{Tenant, run, source};

use super::adopting::{hands, owners_of};
use super::merging::{THEIRS, merging};

/// An object `first` that has the Secret `app` as a whole.
async fn first(t: &Tenant, more: &str) -> Result<()> {
    t.put("first", json!({ "password": "of the first" }))
        .await?;
    let spec = format!("{}\ndestination: {{ name: app{more} }}", source("first"));
    t.carry("first", &spec).await?;
    t.ready("first").await.map(drop)
}

/// It asks for another Secret, which somebody else has for now: so it lets go of nothing yet.
async fn is_stuck(t: &Tenant) -> Result<()> {
    t.apply("{ kind: Secret, metadata: { name: elsewhere }, stringData: { in: the way } }")
        .await?;
    moves(t).await?;
    let words = ["Secret elsewhere exists"];
    t.complains_with("first", "SecretConflict", &words).await
}

async fn moves(t: &Tenant) -> Result<()> {
    let elsewhere = json!({ "spec": { "destination": { "name": "elsewhere" } } });
    t.patch("VaultSecret", "first", &elsewhere).await.map(drop)
}

/// Another object, `second`, that asks for the Secret `app` in that way.
async fn second(t: &Tenant, way: &str) -> Result<Value> {
    t.put("second", json!({ "more": "of the second" })).await?;
    let spec = format!("{}\ndestination: {{ name: app, {way} }}", source("second"));
    t.carry("second", &spec).await
}

const WAYS: [&str; 3] = [
    "adoptionPolicy: Adopt",
    "creationPolicy: CreateOrMerge",
    "creationPolicy: Merge",
];

/// The second one has what it asked for, and nothing of it goes when the first one does.
async fn stands(t: &Tenant) -> Result<()> {
    t.secret_with("app", "more", "of the second").await?;
    t.ready("second").await?;
    t.delete("VaultSecret", "first").await?;
    t.wait_gone("VaultSecret", "first").await?;
    crate::matrix::fence(t).await?;
    let secret = t.secret("app").await?;
    assert_eq!(secret.text("more")?, "of the second");
    Ok(())
}

async fn clear(t: &Tenant) -> Result<()> {
    for name in ["first", "second"] {
        if t.get("VaultSecret", name).await?.is_some() {
            t.delete("VaultSecret", name).await?;
            t.wait_gone("VaultSecret", name).await?;
        }
    }
    for name in ["app", "elsewhere"] {
        until("the Secret to be gone", SOON, async || {
            if t.secret_now(name).await?.is_none() {
                return Ok(Some(()));
            }
            // It may go by itself meanwhile.
            let _ = t.delete("Secret", name).await;
            Ok(None)
        })
        .await?;
    }
    Ok(())
}

/// Waits until the object, which may still tell of something else, tells of that.
async fn comes_to_say(t: &Tenant, name: &str, words: &str) -> Result<()> {
    t.wait("VaultSecret", name, words, |object| {
        let ready = condition(object, "Ready");
        let message = ready.and_then(|ready| ready["message"].as_str());
        message.is_some_and(|message| message.contains(words))
    })
    .await
    .map(drop)
}

/// Once the first one has let go, the Secret is gone; who only merges waits for another one.
async fn made_for(t: &Tenant, way: &str) -> Result<()> {
    if way.ends_with(": Merge") {
        comes_to_say(t, "second", "Secret app does not exist").await?;
        t.apply(THEIRS).await?;
    }
    Ok(())
}

#[test]
fn what_an_object_has_yet_to_let_go_is_neither_taken_over_nor_merged_into_before_it_has()
-> Result<()> {
    run(async |t| {
        for kept in ["", ", deletionPolicy: Retain"] {
            for way in WAYS {
                first(t, kept).await?;
                is_stuck(t).await?;
                let before = t.secret("app").await?;
                second(t, way).await?;
                let words = ["Secret app", "VaultSecret first", "by itself"];
                t.complains_with("second", "SecretConflict", &words).await?;
                let after = t.secret("app").await?;
                assert_eq!(before.resource_version(), after.resource_version(), "{way}");
                // What was in its way goes, and by that the Secret that it had.
                t.delete("Secret", "elsewhere").await?;
                t.secret_with("elsewhere", "password", "of the first")
                    .await?;
                made_for(t, way).await?;
                stands(t).await?;
                clear(t).await?;
            }
        }
        Ok(())
    })
}

#[test]
fn whoever_waited_before_the_other_was_renamed_gets_the_name_once_that_has_let_go() -> Result<()> {
    run(async |t| {
        for way in WAYS {
            first(t, "").await?;
            second(t, way).await?;
            let words = ["already written by VaultSecret first"];
            t.complains_with("second", "SecretConflict", &words).await?;
            moves(t).await?;
            t.secret_with("elsewhere", "password", "of the first")
                .await?;
            made_for(t, way).await?;
            stands(t).await?;
            clear(t).await?;
        }
        Ok(())
    })
}

#[test]
fn what_a_deleted_object_leaves_under_an_earlier_name_goes_to_who_waits_for_it() -> Result<()> {
    run(async |t| {
        for way in WAYS {
            first(t, ", deletionPolicy: Retain").await?;
            is_stuck(t).await?;
            second(t, way).await?;
            let words = ["still VaultSecret first's"];
            t.complains_with("second", "SecretConflict", &words).await?;
            // Nothing of the Secret changes with that.
            t.delete("VaultSecret", "first").await?;
            t.wait_gone("VaultSecret", "first").await?;
            t.secret_with("app", "more", "of the second").await?;
            t.ready("second").await?;
            clear(t).await?;
        }
        Ok(())
    })
}

#[test]
fn what_is_given_up_for_a_part_of_it_is_merged_into_by_who_waited_and_taken_over_by_nobody()
-> Result<()> {
    run(async |t| {
        first(t, "").await?;
        second(t, WAYS[1]).await?;
        let words = ["already written by VaultSecret first"];
        t.complains_with("second", "SecretConflict", &words).await?;
        let shares = json!({ "spec": { "destination": { "creationPolicy": "Merge" } } });
        t.patch("VaultSecret", "first", &shares).await?;
        t.secret_with("app", "more", "of the second").await?;
        for name in ["first", "second"] {
            t.ready(name).await?;
        }
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["more", "password"]);
        t.put("third", json!({ "third": "never written" })).await?;
        let spec = format!(
            "{}\ndestination: {{ name: app, adoptionPolicy: Adopt }}",
            source("third")
        );
        t.carry("third", &spec).await?;
        t.complains_with("third", "SecretConflict", &["holds keys of VaultSecret"])
            .await?;
        // They keep what they have, and follow Vault, whoever waits for the whole.
        t.put("second", json!({ "more": "of the second still" }))
            .await?;
        t.secret_with("app", "more", "of the second still").await?;
        t.delete("VaultSecret", "first").await?;
        t.wait_gone("VaultSecret", "first").await?;
        let left = t.secret_when("app", "to have lost the keys of the first", |secret| {
            secret.keys() == ["more"]
        });
        left.await.map(drop)
    })
}

/// Somebody applies this to the Secret `app` in the name of another object.
async fn forge(t: &Tenant, manager: &str, fields: &Value) -> Result<()> {
    let mut fields = fields.clone();
    fields["apiVersion"] = "v1".into();
    fields["kind"] = "Secret".into();
    fields["metadata"]["name"] = "app".into();
    let params = PatchParams::apply(manager);
    let api = t.api("Secret").await?;
    api.patch("app", &params, &Patch::Apply(&fields)).await?;
    Ok(())
}

#[test]
fn what_others_have_put_into_a_whole_secret_outlives_the_object_that_moves_away_and_goes()
-> Result<()> {
    run(async |t| {
        first(t, "").await?;
        // As a second object of an earlier version could, which did not keep off.
        let key = json!({ "data": { "more": "b2YgdGhlIHNlY29uZA==" } });
        forge(t, "vaultbridge/second", &key).await?;
        second(t, WAYS[1]).await?;
        t.complains_with("second", "SecretConflict", &["VaultSecret first"])
            .await?;
        // The first one puts its Secret right again, so it comes once more, while that is stuck.
        is_stuck(t).await?;
        forge(t, "vaultbridge/second", &key).await?;
        t.delete("Secret", "elsewhere").await?;
        t.secret_with("elsewhere", "password", "of the first")
            .await?;
        let left = t.secret_when("app", "to be the second's alone", |secret| {
            secret.keys() == ["more"]
        });
        let left = left.await?;
        assert_eq!(left.metadata().owner_references, None, "{:?}", hands(&left));
        stands(t).await?;
        let secret = t.secret("app").await?;
        assert_eq!(owners_of(&secret, "more"), ["vaultbridge/second Apply"]);
        assert_eq!(secret.metadata().owner_references, None);
        let labels = secret.metadata().labels.clone().unwrap_or_default();
        assert!(
            !labels.contains_key("app.kubernetes.io/managed-by"),
            "{labels:?}"
        );
        Ok(())
    })
}

#[test]
fn a_part_whose_object_is_gone_or_never_was_does_not_keep_a_secret_from_being_taken_over()
-> Result<()> {
    run(async |t| {
        t.apply(THEIRS).await?;
        t.put("one", json!({ "password": "that was left" })).await?;
        merging(t, "one", "Merge", ", deletionPolicy: Retain").await?;
        t.ready("one").await?;
        second(t, WAYS[0]).await?;
        let words = ["holds keys of VaultSecret one"];
        t.complains_with("second", "SecretConflict", &words).await?;
        let secret = t.secret("app").await?;
        let notes = secret.metadata().annotations.clone().unwrap_or_default();
        let record = notes.get("vaultbridge.dev/state.one");
        let forged = record
            .cloned()
            .unwrap_or_default()
            .replace("\"one\"", "\"never\"");
        ensure!(forged.contains("never"), "{forged}");
        let forged =
            json!({ "metadata": { "annotations": { "vaultbridge.dev/state.never": forged } } });
        forge(t, "vaultbridge/never", &forged).await?;
        t.delete("VaultSecret", "one").await?;
        t.wait_gone("VaultSecret", "one").await?;
        t.secret_with("app", "more", "of the second").await?;
        t.ready("second").await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["more"]);
        let managers: Vec<_> = hands(&secret).into_iter().map(|hand| hand.0).collect();
        ensure!(
            !managers.iter().any(|name| name.starts_with("vaultbridge/")),
            "{managers:?}"
        );
        let notes = secret.metadata().annotations.clone().unwrap_or_default();
        assert_eq!(notes.keys().collect::<Vec<_>>(), ["vaultbridge.dev/state"]);
        // It is the object's own as a whole, so it goes with its name.
        let renamed = json!({ "spec": { "destination": { "name": "renamed" } } });
        t.patch("VaultSecret", "second", &renamed).await?;
        t.wait_gone("Secret", "app").await
    })
}

#[test]
fn a_secret_on_its_way_out_is_said_to_be_made_anew_only_by_who_makes_it() -> Result<()> {
    run(async |t| {
        let held = "{ kind: Secret, metadata: { name: app, finalizers: [example.com/held] }, stringData: { theirs: held } }";
        t.apply(held).await?;
        t.delete("Secret", "app").await?;
        t.put("one", json!({ "password": "put in at last" }))
            .await?;
        merging(t, "one", "Merge", "").await?;
        let words = ["is being deleted", "somebody creates in its place"];
        t.complains_with("one", "SecretConflict", &words).await?;
        let free = json!({ "metadata": { "finalizers": null } });
        t.patch("Secret", "app", &free).await?;
        comes_to_say(t, "one", "does not exist").await?;
        t.apply(THEIRS).await?;
        t.secret_with("app", "password", "put in at last")
            .await
            .map(drop)
    })
}

#[test]
fn a_shared_secret_that_becomes_immutable_is_told_when_a_value_changes_and_holds_nobody_up()
-> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "cast in stone" })).await?;
        t.apply(THEIRS).await?;
        merging(t, "one", "Merge", "").await?;
        t.ready("one").await?;
        t.patch("Secret", "app", &json!({ "immutable": true }))
            .await?;
        let mark = t.mark().await?;
        t.polls(&mark, "one", 2).await?;
        t.ready("one").await?;
        t.put("one", json!({ "password": "too late" })).await?;
        let words = ["Secret app is immutable", "have it made anew"];
        t.complains_with("one", "SecretConflict", &words).await?;
        assert_eq!(t.secret("app").await?.text("password")?, "cast in stone");
        // Made anew without that, it has the new value.
        t.delete("Secret", "app").await?;
        t.apply(THEIRS).await?;
        t.secret_with("app", "password", "too late").await?;
        t.ready("one").await?;
        t.patch("Secret", "app", &json!({ "immutable": true }))
            .await?;
        t.delete("VaultSecret", "one").await?;
        t.wait_gone("VaultSecret", "one").await?;
        assert_eq!(t.secret("app").await?.keys(), ["password", "theirs"]);
        Ok(())
    })
}

#[test]
fn parts_of_a_secret_without_labels_are_not_in_each_others_way_and_follow_vault() -> Result<()> {
    run(async |t| {
        t.apply("{ kind: Secret, metadata: { name: app }, data: {} }")
            .await?;
        for name in ["one", "two"] {
            t.put(name, json!({ name: "of the first hour" })).await?;
            merging(t, name, "Merge", "").await?;
            t.ready(name).await?;
        }
        for hour in ["of the second hour", "of the third hour"] {
            for name in ["one", "two"] {
                t.put(name, json!({ name: hour })).await?;
                t.secret_with("app", name, hour).await?;
                t.ready(name).await?;
            }
        }
        let secret = t.secret("app").await?;
        for name in ["one", "two"] {
            let owner = format!("vaultbridge/{name} Apply");
            assert_eq!(owners_of(&secret, name), [owner]);
        }
        Ok(())
    })
}

#[test]
fn two_objects_that_swap_their_names_are_told_the_way_out_and_it_is_one() -> Result<()> {
    run(async |t| {
        let pairs = [("first", "left"), ("second", "right")];
        let names = async |object: &str, name: &str| -> Result<()> {
            let named = json!({ "spec": { "destination": { "name": name } } });
            t.patch("VaultSecret", object, &named).await.map(drop)
        };
        for (object, name) in pairs {
            t.put(
                object,
                json!({ "password": format!("known to the {object}") }),
            )
            .await?;
            let destination = format!("destination: {{ name: {name}, adoptionPolicy: Adopt }}");
            let spec = format!("{}\n{destination}", source(object));
            t.carry(object, &spec).await?;
            t.ready(object).await?;
        }
        for (object, other) in [("first", "right"), ("second", "left")] {
            names(object, other).await?;
        }
        comes_to_say(t, "first", "waits in turn for Secret left").await?;
        comes_to_say(t, "second", "waits in turn for Secret right").await?;
        names("first", "third").await?;
        t.secret_with("left", "password", "known to the second")
            .await?;
        names("first", "right").await?;
        t.secret_with("right", "password", "known to the first")
            .await?;
        for (object, _) in pairs {
            t.ready(object).await?;
        }
        Ok(())
    })
}
