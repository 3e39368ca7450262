//! The Secret itself is as asked for: its name, type, labels and annotations, and what becomes of it in the end.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::certificates::Authority;
use vaultbridge_e2e::{SecretView, Tenant, run, source};

/// A ready object `app` with one key, and this destination.
async fn with_destination(t: &Tenant, destination: &str) -> Result<Value> {
    let spec = format!("{}\ndestination: {destination}", source("app"));
    t.carry("app", &spec).await?;
    t.ready("app").await
}

async fn stored(t: &Tenant) -> Result<()> {
    t.put("app", json!({ "password": "kept in its place" }))
        .await?;
    Ok(())
}

fn label<'a>(secret: &'a SecretView, name: &str) -> Option<&'a str> {
    let labels = secret.metadata().labels.as_ref()?;
    labels.get(name).map(String::as_str)
}

fn annotation<'a>(secret: &'a SecretView, name: &str) -> Option<&'a str> {
    let annotations = secret.metadata().annotations.as_ref()?;
    annotations.get(name).map(String::as_str)
}

fn owners(secret: &SecretView) -> usize {
    secret.metadata().owner_references.iter().flatten().count()
}

#[test]
fn a_destination_has_the_name_type_labels_and_annotations_that_are_asked_for() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        let destination = "{ name: other.name, labels: { team: shop, empty: '' }, annotations: { note: 'two words' } }";
        let object = with_destination(t, destination).await?;
        assert_eq!(object["status"]["secretName"], "other.name", "{object}");
        let secret = t.secret("other.name").await?;
        assert_eq!(secret.kind(), "Opaque");
        assert_eq!(label(&secret, "team"), Some("shop"));
        assert_eq!(label(&secret, "empty"), Some(""));
        assert_eq!(
            label(&secret, "app.kubernetes.io/managed-by"),
            Some("vaultbridge")
        );
        assert_eq!(annotation(&secret, "note"), Some("two words"));
        assert!(t.secret_now("app").await?.is_none(), "another was made");
        Ok(())
    })
}

#[test]
fn labels_and_annotations_of_others_stay_and_ours_go_when_they_are_dropped() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        let first = "{ labels: { team: shop, old: label }, annotations: { old: note } }";
        with_destination(t, first).await?;
        let foreign = json!({ "metadata": {
            "labels": { "foreign": "label" },
            "annotations": { "foreign": "note" },
            "finalizers": ["example.com/wait"],
        } });
        t.patch("Secret", "app", &foreign).await?;
        with_destination(t, "{ labels: { team: store } }").await?;
        let secret = t
            .secret_when("app", "to have the new labels", |secret| {
                label(secret, "team") == Some("store")
            })
            .await?;
        assert_eq!(label(&secret, "old"), None);
        assert_eq!(annotation(&secret, "old"), None);
        assert_eq!(label(&secret, "foreign"), Some("label"));
        assert_eq!(annotation(&secret, "foreign"), Some("note"));
        let finalizers = secret.metadata().finalizers.clone();
        assert_eq!(finalizers, Some(vec!["example.com/wait".to_owned()]));
        assert_eq!(secret.text("password")?, "kept in its place");
        let notes = t.notes("app").await?;
        ensure!(
            !notes.iter().any(|note| note.contains("somebody else")),
            "nobody but the object's author changed anything: {notes:?}"
        );
        let free = json!({ "metadata": { "finalizers": null } });
        t.patch("Secret", "app", &free).await?;
        Ok(())
    })
}

#[test]
fn a_label_of_ours_that_somebody_takes_away_or_changes_comes_back() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{ labels: { team: shop } }").await?;
        for change in [Value::Null, "thieves".into()] {
            let labels = json!({ "metadata": { "labels": { "team": change } } });
            let touched = t.patch("Secret", "app", &labels).await?;
            let touched = touched["metadata"]["resourceVersion"].clone();
            let healed = t.secret_when("app", "to have its label again", |secret| {
                label(secret, "team") == Some("shop") && touched != secret.resource_version()
            });
            healed.await?;
        }
        Ok(())
    })
}

/// A type of Secret, and fields that make one.
type Kind = (&'static str, Vec<(&'static str, String)>);

fn kinds() -> Result<Vec<Kind>> {
    let pair = Authority::new("shop")?.server(&["orders.shop"])?;
    let auths = r#"{"auths":{"registry.shop":{"auth":"cm9ib3Q6d2FscnVz"}}}"#;
    let older = r#"{"registry.shop":{"username":"robot","password":"walrus"}}"#;
    Ok(vec![
        (
            "kubernetes.io/tls",
            vec![("tls.crt", pair.certificate), ("tls.key", pair.key.clone())],
        ),
        (
            "kubernetes.io/dockerconfigjson",
            vec![(".dockerconfigjson", auths.to_owned())],
        ),
        (
            "kubernetes.io/dockercfg",
            vec![(".dockercfg", older.to_owned())],
        ),
        (
            "kubernetes.io/basic-auth",
            vec![("username", "orders".to_owned())],
        ),
        ("kubernetes.io/ssh-auth", vec![("ssh-privatekey", pair.key)]),
    ])
}

#[test]
fn every_type_says_which_keys_it_misses_and_is_written_once_they_are_there() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "other": "not what is needed" }))
            .await?;
        let name = |kind: &'static str| kind.trim_start_matches("kubernetes.io/");
        let kinds = kinds()?;
        for &(kind, ref fields) in &kinds {
            let spec = format!("{}\ndestination: {{ type: {kind} }}", source("app"));
            t.carry(name(kind), &spec).await?;
            let mut words = vec![kind, "spec.data", "spec.destination.type"];
            words.extend(fields.iter().map(|(key, _)| *key));
            t.complains_with(name(kind), "FieldNotFound", &words)
                .await?;
            let written = t.secret_now(name(kind)).await?;
            assert!(written.is_none(), "{kind} was written");
        }
        let all = kinds.iter().flat_map(|(_, fields)| fields.iter());
        let all: serde_json::Map<String, Value> = all
            .map(|(key, value)| ((*key).to_owned(), value.as_str().into()))
            .collect();
        t.put("app", all.into()).await?;
        for &(kind, ref fields) in &kinds {
            let secret = t.secret(name(kind)).await?;
            assert_eq!(secret.kind(), kind);
            for (key, value) in fields {
                assert_eq!(secret.text(key)?, *value, "{kind}");
            }
        }
        Ok(())
    })
}

#[test]
fn a_value_that_does_not_suit_the_type_is_told_and_the_secret_stays_as_it_was() -> Result<()> {
    run(async |t| {
        let authority = Authority::new("shop")?;
        let pair = authority.server(&["orders.shop"])?;
        let other = authority.server(&["orders.shop"])?;
        t.put("app", json!({ "crt": pair.certificate, "key": pair.key }))
            .await?;
        let spec = format!(
            "{}\ndata: [{{ key: tls.crt, source: app, field: crt }}, {{ key: tls.key, source: app, field: key }}]\ndestination: {{ type: kubernetes.io/tls }}",
            source("app")
        );
        t.carry("app", &spec).await?;
        t.ready("app").await?;
        for (crt, key, word) in [
            (&pair.certificate, &other.key, "of different pairs"),
            (
                &pair.certificate,
                &pair.key.replace('\n', ""),
                "lost its line ends",
            ),
            (&pair.key, &pair.key, "has no certificate"),
        ] {
            t.put("app", json!({ "crt": crt, "key": key })).await?;
            let object = t
                .wait("VaultSecret", "app", "to complain of the value", |object| {
                    object["status"]["conditions"].to_string().contains(word)
                })
                .await?;
            let told = object["status"].to_string();
            let words = [
                "InvalidValue",
                "kubernetes.io/tls",
                "of source",
                "spec.data",
            ];
            vaultbridge_e2e::says(&told, &words)?;
            assert_eq!(t.secret("app").await?.text("tls.key")?, pair.key);
        }
        t.put("app", json!({ "crt": other.certificate, "key": other.key }))
            .await?;
        t.secret_with("app", "tls.key", &other.key).await?;
        Ok(())
    })
}

#[test]
fn a_type_that_grants_power_is_refused_by_the_schema() -> Result<()> {
    run(async |t| {
        for kind in [
            "kubernetes.io/service-account-token",
            "bootstrap.kubernetes.io/token",
            "helm.sh/release.v1",
        ] {
            let yaml = format!(
                "{{ kind: VaultSecret, metadata: {{ name: app }}, spec: {{ auth: {{ role: r }}, sources: [{{ name: a, kv: {{ path: a/b }} }}], destination: {{ type: {kind} }} }} }}"
            );
            t.expect_refusal(&yaml, &["spec.destination.type", kind, "Opaque"])
                .await?;
        }
        Ok(())
    })
}

#[test]
fn a_change_of_type_makes_the_secret_anew() -> Result<()> {
    run(async |t| {
        t.put(
            "app",
            json!({ "username": "orders", "password": "and its type" }),
        )
        .await?;
        with_destination(t, "{ type: Opaque }").await?;
        let before = t.secret("app").await?;
        let mark = t.ground().mark().await?;
        let object = with_destination(t, "{ type: kubernetes.io/basic-auth }").await?;
        let after = t.secret("app").await?;
        assert_eq!(after.kind(), "kubernetes.io/basic-auth");
        assert_ne!(after.uid(), before.uid());
        assert_eq!(after.text("password")?, "and its type");
        assert_eq!(object["status"]["revision"], 2, "{object}");
        let asked = t.ground().kube_requests(&mark).await?;
        let writes = asked.in_namespace(t.name()).resource("secrets").writes();
        let done: Vec<_> = writes
            .iter()
            .map(|one| (one.verb.as_str(), one.is_tried_out()))
            .collect();
        let tried_first = [("create", true), ("delete", false), ("create", false)];
        assert_eq!(done, tried_first, "{writes}");
        Ok(())
    })
}

#[test]
fn a_secret_that_somebody_made_immutable_is_made_anew_when_it_must_change() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{ labels: { team: shop } }").await?;
        let before = t.secret("app").await?;
        t.patch("Secret", "app", &json!({ "immutable": true }))
            .await?;
        t.put("app", json!({ "password": "it must change" }))
            .await?;
        let after = t.secret_with("app", "password", "it must change").await?;
        assert_ne!(after.uid(), before.uid());
        assert_eq!(label(&after, "team"), Some("shop"));
        t.ready("app").await?;
        Ok(())
    })
}

/// Somebody puts a label, an annotation and an owner on the Secret.
async fn adorn(t: &Tenant) -> Result<()> {
    let owner = t
        .apply("{ kind: ConfigMap, metadata: { name: owner } }")
        .await?;
    let uid = &owner["metadata"]["uid"];
    let secret = t.secret("app").await?;
    let ours = serde_json::to_value(&secret.metadata().owner_references)?;
    let mut owners = ours.as_array().cloned().unwrap_or_default();
    owners.push(json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid }));
    let adorned = json!({ "metadata": {
        "labels": { "foreign": "label" },
        "annotations": { "foreign": "note" },
        "ownerReferences": owners,
    } });
    t.patch("Secret", "app", &adorned).await?;
    Ok(())
}

fn is_adorned(secret: &SecretView) -> bool {
    label(secret, "foreign") == Some("label")
        && annotation(secret, "foreign") == Some("note")
        && owners(secret) == 2
}

#[test]
fn what_others_have_put_on_a_secret_that_is_made_anew_is_carried_over_and_stays_theirs()
-> Result<()> {
    run(async |t| {
        t.put("app", json!({ "username": "orders", "password": "first" }))
            .await?;
        with_destination(t, "{ labels: { team: shop } }").await?;
        adorn(t).await?;
        let before = t.secret("app").await?;
        with_destination(
            t,
            "{ type: kubernetes.io/basic-auth, labels: { team: shop } }",
        )
        .await?;
        let typed = t
            .secret_when("app", "to be adorned again", is_adorned)
            .await?;
        assert_ne!(typed.uid(), before.uid());

        t.patch("Secret", "app", &json!({ "immutable": true }))
            .await?;
        t.put("app", json!({ "username": "orders", "password": "second" }))
            .await?;
        t.secret_with("app", "password", "second").await?;
        let anew = t
            .secret_when("app", "to be adorned again", is_adorned)
            .await?;
        assert_ne!(anew.uid(), typed.uid());

        // An update takes away what is ours and not asked for any more, and leaves theirs.
        with_destination(t, "{ type: kubernetes.io/basic-auth }").await?;
        let updated = t
            .secret_when("app", "to have lost our label", |secret| {
                label(secret, "team").is_none()
            })
            .await?;
        assert_eq!(updated.uid(), anew.uid());
        assert!(is_adorned(&updated), "{:?}", updated.metadata());
        let bare = json!({ "metadata": { "labels": { "foreign": null } } });
        t.patch("Secret", "app", &bare).await?;
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 2).await?;
        let last = t.secret("app").await?;
        assert_eq!(label(&last, "foreign"), None, "it was theirs to take away");
        Ok(())
    })
}

#[test]
fn with_delete_the_secret_goes_with_its_object() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        let object = with_destination(t, "{}").await?;
        let secret = t.secret("app").await?;
        let owners = secret.metadata().owner_references.clone();
        let owner = owners.iter().flatten().next().context("find the owner")?;
        assert_eq!(owner.uid, object["metadata"]["uid"].as_str().unwrap_or("?"));
        assert_eq!(owner.controller, Some(true));
        t.delete("VaultSecret", "app").await?;
        t.wait_gone("Secret", "app").await
    })
}

#[test]
fn with_retain_the_secret_stays_and_an_object_of_the_same_name_takes_it_up_again() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{ deletionPolicy: Retain }").await?;
        let before = t.secret("app").await?;
        assert_eq!(owners(&before), 0);
        t.delete("VaultSecret", "app").await?;
        t.wait_gone("VaultSecret", "app").await?;
        // A Secret that would go with its object goes within the time in which this one is made and deleted.
        t.carry("fence", &source("app")).await?;
        t.ready("fence").await?;
        t.delete("VaultSecret", "fence").await?;
        t.wait_gone("Secret", "fence").await?;
        assert_eq!(t.secret("app").await?.uid(), before.uid());
        let object = with_destination(t, "{}").await?;
        let after = t.secret("app").await?;
        assert_eq!(after.uid(), before.uid());
        assert_eq!(after.text("password")?, "kept in its place");
        assert_eq!(owners(&after), 1);
        let owner = after.metadata().owner_references.iter().flatten().next();
        let owner = owner.map(|owner| owner.uid.as_str());
        assert_eq!(owner, object["metadata"]["uid"].as_str());
        Ok(())
    })
}

#[test]
fn another_object_does_not_take_up_a_retained_secret() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{ deletionPolicy: Retain, name: kept }").await?;
        let before = t.secret("kept").await?;
        t.delete("VaultSecret", "app").await?;
        t.wait_gone("VaultSecret", "app").await?;
        t.carry(
            "thief",
            &format!("{}\ndestination: {{ name: kept }}", source("app")),
        )
        .await?;
        t.complains_with(
            "thief",
            "SecretConflict",
            &["kept", "not made by this object"],
        )
        .await?;
        let after = t.secret("kept").await?;
        assert_eq!(after.resource_version(), before.resource_version());
        Ok(())
    })
}

#[test]
fn a_switch_of_the_deletion_policy_sets_and_removes_the_owner_reference() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{}").await?;
        let first = t.secret("app").await?;
        for (policy, count) in [("Retain", 0), ("Delete", 1)] {
            with_destination(t, &format!("{{ deletionPolicy: {policy} }}")).await?;
            let secret = t.secret_when("app", "to have the right owners", |secret| {
                owners(secret) == count
            });
            let secret = secret.await?;
            assert_eq!(secret.uid(), first.uid(), "{policy}");
            assert_eq!(secret.text("password")?, "kept in its place");
        }
        let object = t.ready("app").await?;
        assert_eq!(object["status"]["revision"], 1, "no value has changed");
        Ok(())
    })
}

#[test]
fn a_renamed_destination_appears_before_the_old_secret_goes() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{ name: old }").await?;
        let mark = t.ground().mark().await?;
        let object = with_destination(t, "{ name: new }").await?;
        assert_eq!(object["status"]["secretName"], "new", "{object}");
        t.secret_with("new", "password", "kept in its place")
            .await?;
        t.wait_gone("Secret", "old").await?;
        let asked = t.ground().kube_requests(&mark).await?;
        let writes = asked.in_namespace(t.name()).resource("secrets").writes();
        let verbs: Vec<_> = writes.iter().map(|one| one.verb.as_str()).collect();
        assert_eq!(verbs, ["create", "delete"], "{writes}");
        Ok(())
    })
}

#[test]
fn a_rename_that_is_refused_keeps_the_old_secret() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{ name: old }").await?;
        t.apply("{ kind: Secret, metadata: { name: taken }, stringData: { whose: somebody's } }")
            .await?;
        let spec = format!("{}\ndestination: {{ name: taken }}", source("app"));
        t.carry("app", &spec).await?;
        t.complains_with("app", "SecretConflict", &["taken"])
            .await?;
        assert_eq!(
            t.secret("old").await?.text("password")?,
            "kept in its place"
        );
        t.delete("Secret", "taken").await?;
        t.secret_with("taken", "password", "kept in its place")
            .await?;
        t.wait_gone("Secret", "old").await
    })
}

#[test]
fn an_object_that_is_being_deleted_writes_nothing_any_more() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        with_destination(t, "{}").await?;
        let hold = json!({ "metadata": { "finalizers": ["example.com/wait"] } });
        t.patch("VaultSecret", "app", &hold).await?;
        t.delete("VaultSecret", "app").await?;
        // Who has seen this one has seen the deletion before it.
        t.carry("fence", &source("app")).await?;
        t.ready("fence").await?;
        t.delete("Secret", "app").await?;
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 3).await?;
        assert!(t.secret_now("app").await?.is_none(), "it was made again");
        let free = json!({ "metadata": { "finalizers": null } });
        t.patch("VaultSecret", "app", &free).await?;
        t.wait_gone("VaultSecret", "app").await
    })
}
