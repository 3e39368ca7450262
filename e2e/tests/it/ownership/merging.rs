//! In a Secret that others share, an object owns its keys and nothing else.

use anyhow::{Context as _, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{Tenant, run, source};

use super::adopting::{hands, owners_of};

/// What somebody else has made: a key `theirs` that holds `of theirs`.
pub const THEIRS: &str = "{ kind: Secret, metadata: { name: app, labels: { whose: theirs } }, data: { theirs: b2YgdGhlaXJz } }";

/// The same, made in a way that leaves no name on the key.
const NAMELESS: &str =
    "{ kind: Secret, metadata: { name: app }, stringData: { theirs: of theirs } }";

/// An object of that name that puts the fields of its path into the Secret `app`.
pub async fn merging(t: &Tenant, name: &str, policy: &str, more: &str) -> Result<Value> {
    let spec = format!(
        "{}\ndestination: {{ name: app, creationPolicy: {policy}{more} }}",
        source(name)
    );
    t.carry(name, &spec).await
}

/// Somebody applies this to the Secret `app`, by server-side apply without force.
async fn apply_as(t: &Tenant, manager: &str, fields: &Value) -> Result<()> {
    let mut fields = fields.clone();
    fields["apiVersion"] = "v1".into();
    fields["kind"] = "Secret".into();
    fields["metadata"]["name"] = "app".into();
    let api = t.api("Secret").await?;
    let params = PatchParams::apply(manager);
    api.patch("app", &params, &Patch::Apply(&fields))
        .await
        .with_context(|| format!("apply as {manager}"))?;
    Ok(())
}

#[test]
fn the_api_server_takes_a_resource_version_that_is_applied_as_a_precondition() -> Result<()> {
    run(async |t| {
        let first = t.apply(THEIRS).await?;
        t.patch(
            "Secret",
            "app",
            &json!({ "metadata": { "labels": { "moved": "on" } } }),
        )
        .await?;
        let api = t.api("Secret").await?;
        let apply = async |uid: &Value, version: &Value| {
            let fields = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": { "name": "app", "uid": uid, "resourceVersion": version },
                "stringData": { "late": "of a late writer" },
            });
            let params = PatchParams::apply("late");
            let answer = api.patch("app", &params, &Patch::Apply(&fields)).await;
            match answer {
                Ok(_) => 200,
                Err(kube::Error::Api(status)) => status.code,
                Err(_) => 0,
            }
        };
        let meta = &first["metadata"];
        assert_eq!(apply(&meta["uid"], &meta["resourceVersion"]).await, 409);
        let now = t.secret("app").await?;
        let version = Value::from(now.resource_version());
        assert_eq!(apply(&meta["uid"], &version).await, 200);
        t.delete("Secret", "app").await?;
        assert_eq!(apply(&meta["uid"], &version).await, 409, "it was made anew");
        assert!(t.secret_now("app").await?.is_none());
        Ok(())
    })
}

#[test]
fn keys_are_put_beside_those_of_others_and_follow_vault() -> Result<()> {
    run(async |t| {
        t.put(
            "one",
            json!({ "password": "of the first hour", "user": "of the merged" }),
        )
        .await?;
        let before = t.apply(THEIRS).await?;
        merging(t, "one", "Merge", ", labels: { team: shop }").await?;
        t.ready("one").await?;
        let secret = t.secret("app").await?;
        assert_eq!(before["metadata"]["uid"], secret.uid());
        assert_eq!(secret.keys(), ["password", "theirs", "user"]);
        assert_eq!(owners_of(&secret, "password"), ["vaultbridge/one Apply"]);
        assert_eq!(owners_of(&secret, "theirs"), ["a-person Apply"]);
        let metadata = secret.metadata();
        let labels = metadata.labels.clone().unwrap_or_default();
        assert_eq!(
            (labels["whose"].as_str(), labels["team"].as_str()),
            ("theirs", "shop")
        );
        assert!(!labels.contains_key("app.kubernetes.io/managed-by"));
        assert_eq!(metadata.owner_references, None);
        t.put("one", json!({ "password": "of the second hour" }))
            .await?;
        let secret = t
            .secret_with("app", "password", "of the second hour")
            .await?;
        assert_eq!(
            secret.keys(),
            ["password", "theirs"],
            "what is dropped goes"
        );
        Ok(())
    })
}

#[test]
fn what_others_do_with_their_keys_costs_neither_reads_nor_writes() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "left in peace" })).await?;
        t.apply(THEIRS).await?;
        let spec = format!(
            "{}\ndestination: {{ name: app, creationPolicy: Merge }}\nrefresh: {{ interval: 0s }}",
            source("one")
        );
        t.carry("one", &spec).await?;
        t.ready("one").await?;
        t.put("fence", json!({ "value": "polled meanwhile" }))
            .await?;
        t.carry("fence", &source("fence")).await?;
        t.ready("fence").await?;
        let mark = t.mark().await?;
        for round in 0..3 {
            let theirs = json!({ "stringData": { "theirs": format!("round {round}"), "more": "of theirs" } });
            t.patch("Secret", "app", &theirs).await?;
        }
        t.polls(&mark, "fence", 2).await?;
        assert_eq!(t.reads_of("one", &mark)?, 0);
        let requests = t.kube_requests(&mark).await?;
        let of_ours = requests.only(|request| request.name == "app" || request.name == "one");
        assert_eq!(of_ours.len(), 0, "{of_ours}");
        assert_eq!(t.secret("app").await?.text("password")?, "left in peace");
        Ok(())
    })
}

#[test]
fn a_key_of_somebody_else_is_told_with_its_manager_and_taken_up_once_it_is_let_go() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "theirs": "wanted by us" })).await?;
        t.apply(THEIRS).await?;
        merging(t, "one", "Merge", "").await?;
        let words = [
            "key theirs is set by a-person",
            "nothing was overwritten",
            "spec.data",
        ];
        t.complains_with("one", "SecretConflict", &words).await?;
        assert_eq!(t.secret("app").await?.text("theirs")?, "of theirs");
        let gone = json!({ "data": { "theirs": null } });
        t.patch("Secret", "app", &gone).await?;
        t.secret_with("app", "theirs", "wanted by us").await?;
        t.ready("one").await?;
        Ok(())
    })
}

#[test]
fn a_key_that_is_noted_for_nobody_is_neither_overwritten_nor_taken_along() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "theirs": "wanted by us" })).await?;
        t.apply(NAMELESS).await?;
        merging(t, "one", "Merge", "").await?;
        let words = ["key theirs is set by a-person"];
        t.complains_with("one", "SecretConflict", &words).await?;
        assert_eq!(t.secret("app").await?.text("theirs")?, "of theirs");
        t.put("one", json!({ "ours": "beside theirs" })).await?;
        t.secret_with("app", "ours", "beside theirs").await?;
        t.delete("VaultSecret", "one").await?;
        t.wait_gone("VaultSecret", "one").await?;
        assert_eq!(t.secret("app").await?.text("theirs")?, "of theirs");
        Ok(())
    })
}

#[test]
fn two_objects_share_a_secret_and_tell_each_other_by_name_where_they_clash() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "first": "of one" })).await?;
        t.put("two", json!({ "second": "of two" })).await?;
        for name in ["one", "two"] {
            merging(t, name, "CreateOrMerge", "").await?;
            t.ready(name).await?;
        }
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["first", "second"]);
        assert_eq!(owners_of(&secret, "first"), ["vaultbridge/one Apply"]);
        assert_eq!(owners_of(&secret, "second"), ["vaultbridge/two Apply"]);
        t.put("two", json!({ "first": "wanted by two" })).await?;
        let words = ["key first is set by VaultSecret one"];
        t.complains_with("two", "SecretConflict", &words).await?;
        assert_eq!(t.secret("app").await?.text("second")?, "of two");
        t.delete("VaultSecret", "one").await?;
        let secret = t.secret_with("app", "first", "wanted by two").await?;
        assert_eq!(
            owners_of(&secret, "first"),
            ["vaultbridge/two Apply"],
            "{:?}",
            hands(&secret)
        );
        t.ready("two").await?;
        // The last one takes along what nobody else has anything in.
        t.delete("VaultSecret", "two").await?;
        t.wait_gone("VaultSecret", "two").await?;
        t.wait_gone("Secret", "app").await
    })
}

#[test]
fn a_missing_secret_is_waited_for_and_merged_into_as_soon_as_it_appears() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "that has waited" }))
            .await?;
        let mark = t.ground().mark().await?;
        merging(t, "one", "Merge", "").await?;
        let words = ["Secret app does not exist", "creationPolicy: CreateOrMerge"];
        t.complains_with("one", "SecretConflict", &words).await?;
        assert_eq!(t.reads_of("one", &mark)?, 0);
        assert!(t.secret_now("app").await?.is_none());
        t.apply(THEIRS).await?;
        t.secret_with("app", "password", "that has waited").await?;
        t.ready("one").await?;
        // It is made anew by its owner, without our keys.
        t.delete("Secret", "app").await?;
        t.complains_with("one", "SecretConflict", &words).await?;
        t.apply(THEIRS).await?;
        t.secret_with("app", "password", "that has waited").await?;
        t.ready("one").await?;
        Ok(())
    })
}

#[test]
fn a_deleted_object_takes_its_keys_and_leaves_the_rest() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "taken along" })).await?;
        t.apply(THEIRS).await?;
        merging(
            t,
            "one",
            "Merge",
            ", labels: { team: shop }, annotations: { note: ours }",
        )
        .await?;
        t.ready("one").await?;
        t.delete("VaultSecret", "one").await?;
        t.wait_gone("VaultSecret", "one").await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["theirs"]);
        let metadata = secret.metadata();
        let labels = metadata.labels.clone().unwrap_or_default();
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["whose"]);
        assert_eq!(metadata.annotations, None);
        let managers: Vec<_> = hands(&secret).into_iter().map(|hand| hand.0).collect();
        assert_eq!(managers, ["a-person"]);
        Ok(())
    })
}

#[test]
fn a_last_label_and_a_last_key_that_are_dropped_take_nothing_along_that_is_noted_for_nobody()
-> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "dropped at last" }))
            .await?;
        t.apply("{ kind: Secret, metadata: { name: app, labels: { whose: theirs } }, stringData: { theirs: of theirs } }")
            .await?;
        // Somebody takes all names off.
        let nobody = json!({ "metadata": { "managedFields": [{}] } });
        t.patch("Secret", "app", &nobody).await?;
        let data = "data: [{ key: password, source: app, field: password, optional: true }]";
        let spec = |labels: &str| {
            let destination =
                format!("destination: {{ name: app, creationPolicy: Merge{labels} }}");
            format!("{}\n{data}\n{destination}", source("one"))
        };
        t.carry("one", &spec(", labels: { team: shop }")).await?;
        t.secret_with("app", "password", "dropped at last").await?;
        t.carry("one", &spec("")).await?;
        let label = t.secret_when("app", "to have lost our label", |secret| {
            let labels = secret.metadata().labels.clone().unwrap_or_default();
            labels.keys().collect::<Vec<_>>() == ["whose"]
        });
        label.await?;
        t.put("one", json!({ "other": "not asked for" })).await?;
        let left = t.secret_when("app", "to have lost the key", |secret| {
            secret.keys() == ["theirs"]
        });
        left.await?;
        t.ready("one").await?;
        Ok(())
    })
}

#[test]
fn a_retained_part_stays_and_is_taken_up_by_an_object_of_the_same_name() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "that stays" })).await?;
        t.apply(THEIRS).await?;
        merging(t, "one", "Merge", ", deletionPolicy: Retain").await?;
        let object = t.ready("one").await?;
        assert!(object["metadata"]["finalizers"].is_null(), "{object}");
        t.delete("VaultSecret", "one").await?;
        t.wait_gone("VaultSecret", "one").await?;
        assert_eq!(t.secret("app").await?.text("password")?, "that stays");
        t.put("one", json!({ "password": "taken up again" }))
            .await?;
        merging(t, "one", "Merge", "").await?;
        let secret = t.secret_with("app", "password", "taken up again").await?;
        assert_eq!(owners_of(&secret, "password"), ["vaultbridge/one Apply"]);
        t.delete("VaultSecret", "one").await?;
        t.wait_gone("VaultSecret", "one").await?;
        assert_eq!(t.secret("app").await?.keys(), ["theirs"]);
        Ok(())
    })
}

#[test]
fn a_key_of_ours_that_somebody_takes_away_comes_back_and_one_that_is_changed_is_told() -> Result<()>
{
    run(async |t| {
        t.put(
            "one",
            json!({ "password": "as in Vault", "user": "untouched" }),
        )
        .await?;
        t.apply(THEIRS).await?;
        merging(t, "one", "Merge", "").await?;
        t.ready("one").await?;
        t.patch("Secret", "app", &json!({ "data": { "password": null } }))
            .await?;
        let secret = t.secret_with("app", "password", "as in Vault").await?;
        assert_eq!(owners_of(&secret, "password"), ["vaultbridge/one Apply"]);
        let edit = json!({ "stringData": { "password": "edited by hand" } });
        t.patch_as("kubectl-edit", "Secret", "app", &edit).await?;
        let words = ["key password is set by kubectl-edit"];
        t.complains_with("one", "SecretConflict", &words).await?;
        assert_eq!(t.secret("app").await?.text("password")?, "edited by hand");
        t.patch("Secret", "app", &json!({ "data": { "password": null } }))
            .await?;
        t.secret_with("app", "password", "as in Vault").await?;
        t.ready("one").await?;
        Ok(())
    })
}

#[test]
fn a_key_that_others_apply_with_the_same_value_is_shared_and_stays_when_they_let_it_go()
-> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "equal on both sides" }))
            .await?;
        let theirs = json!({ "stringData": { "keep": "of theirs" } });
        apply_as(t, "helm", &theirs).await?;
        let data = |password: &str| {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(password);
            json!({ "data": { "password": text } })
        };
        apply_as(t, "helm", &data("equal on both sides")).await?;
        merging(t, "one", "Merge", "").await?;
        t.ready("one").await?;
        let both = ["helm Apply", "vaultbridge/one Apply"];
        assert_eq!(owners_of(&t.secret("app").await?, "password"), both);
        apply_as(t, "helm", &theirs).await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.text("password")?, "equal on both sides");
        assert_eq!(owners_of(&secret, "password"), ["vaultbridge/one Apply"]);
        t.ready("one").await?;
        Ok(())
    })
}

#[test]
fn a_key_that_others_apply_as_text_is_theirs_as_well_and_not_overwritten() -> Result<()> {
    run(async |t| {
        t.put(
            "one",
            json!({ "password": "the same here", "other": "ours alone" }),
        )
        .await?;
        let text = |password: &str| json!({ "stringData": { "password": password } });
        apply_as(t, "helm", &text("the same here")).await?;
        merging(t, "one", "Merge", "").await?;
        t.ready("one").await?;
        t.put(
            "one",
            json!({ "password": "changed there", "other": "ours alone" }),
        )
        .await?;
        let words = ["key password is set by helm"];
        t.complains_with("one", "SecretConflict", &words).await?;
        assert_eq!(t.secret("app").await?.text("password")?, "the same here");
        apply_as(t, "helm", &text("changed there")).await?;
        t.ready("one").await?;
        apply_as(t, "helm", &text("theirs since then")).await?;
        t.complains_with("one", "SecretConflict", &words).await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.text("password")?, "theirs since then");
        t.delete("VaultSecret", "one").await?;
        t.wait_gone("VaultSecret", "one").await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["password"]);
        assert_eq!(secret.text("password")?, "theirs since then");
        Ok(())
    })
}

#[test]
fn the_owner_of_a_whole_secret_and_those_who_merge_keep_off_each_other() -> Result<()> {
    run(async |t| {
        t.put("whole", json!({ "password": "of the whole" }))
            .await?;
        t.put("one", json!({ "more": "of the part" })).await?;
        let spec = format!("{}\ndestination: {{ name: app }}", source("whole"));
        t.carry("whole", &spec).await?;
        t.ready("whole").await?;
        merging(t, "one", "CreateOrMerge", "").await?;
        t.complains_with("one", "SecretConflict", &["VaultSecret whole"])
            .await?;
        assert_eq!(t.secret("app").await?.keys(), ["password"]);
        t.delete("VaultSecret", "whole").await?;
        t.secret_with("app", "more", "of the part").await?;
        t.ready("one").await?;
        let spec = format!(
            "{}\ndestination: {{ name: app, adoptionPolicy: Adopt }}",
            source("whole")
        );
        t.carry("whole", &spec).await?;
        t.complains_with(
            "whole",
            "SecretConflict",
            &["holds keys of VaultSecret one"],
        )
        .await?;
        assert_eq!(t.secret("app").await?.keys(), ["more"]);
        t.delete("VaultSecret", "one").await?;
        t.secret_with("app", "password", "of the whole").await?;
        t.ready("whole").await?;
        Ok(())
    })
}

#[test]
fn a_part_moves_with_its_name_and_leaves_the_rest_where_it_was() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "that moves" })).await?;
        t.apply(THEIRS).await?;
        merging(t, "one", "CreateOrMerge", "").await?;
        t.ready("one").await?;
        let elsewhere = json!({ "spec": { "destination": { "name": "elsewhere" } } });
        t.patch("VaultSecret", "one", &elsewhere).await?;
        t.secret_with("elsewhere", "password", "that moves").await?;
        let left = t.secret_when("app", "to have lost the key", |secret| {
            secret.keys() == ["theirs"]
        });
        left.await?;
        t.patch(
            "VaultSecret",
            "one",
            &json!({ "spec": { "destination": { "name": "app" } } }),
        )
        .await?;
        t.secret_with("app", "password", "that moves").await?;
        t.wait_gone("Secret", "elsewhere").await
    })
}

#[test]
fn a_type_that_is_not_that_of_the_secret_is_told() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "username": "of another type" }))
            .await?;
        t.apply(THEIRS).await?;
        merging(t, "one", "Merge", ", type: kubernetes.io/basic-auth").await?;
        let words = [
            "type Opaque",
            "spec.destination.type says kubernetes.io/basic-auth",
        ];
        t.complains_with("one", "SecretConflict", &words).await?;
        merging(t, "one", "Merge", ", type: Opaque").await?;
        t.secret_with("app", "username", "of another type").await?;
        Ok(())
    })
}

#[test]
fn a_path_that_is_gone_takes_the_keys_along_and_not_the_secret() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "gone with its path" }))
            .await?;
        t.apply(THEIRS).await?;
        merging(t, "one", "Merge", ", missingSourcePolicy: Delete").await?;
        t.ready("one").await?;
        t.vanish("one").await?;
        let left = t.secret_when("app", "to have lost the key", |secret| {
            secret.keys() == ["theirs"]
        });
        left.await?;
        let words = ["the keys of this object were taken out of the Secret"];
        t.complains_with("one", "SourceDeleted", &words).await?;
        t.put("one", json!({ "password": "back again" })).await?;
        t.secret_with("app", "password", "back again").await?;
        Ok(())
    })
}

#[test]
fn a_restart_leaves_a_shared_secret_alone_and_an_immutable_one_is_told() -> Result<()> {
    run(async |t| {
        t.put("one", json!({ "password": "never merged" })).await?;
        t.apply("{ kind: Secret, metadata: { name: app }, immutable: true, data: { theirs: b2YgdGhlaXJz } }")
            .await?;
        merging(t, "one", "Merge", "").await?;
        t.complains_with("one", "SecretConflict", &["immutable"])
            .await?;
        t.delete("VaultSecret", "one").await?;
        until("the object to be gone", SOON, async || {
            Ok(t.get("VaultSecret", "one").await?.is_none().then_some(()))
        })
        .await?;
        let secret = t.secret("app").await?;
        ensure!(secret.keys() == ["theirs"], "{:?}", secret.keys());
        Ok(())
    })
}
