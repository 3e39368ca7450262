//! Proves what the wanted Secret is made of: values, record, metadata of ours and of others, and when nothing has to be written.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::Reason;
use crate::reconcile::dress::{Metadata, metadata};
use crate::reconcile::fixture::{
    self, edit, found, fresh, job, keys, ordinary, running, synced, touch,
};
use crate::reconcile::settle::{Before, Settled, settle};
use crate::vault::KvOutcome;

type Change = fn(&mut Record);

fn wanted(observed: &Observed, reading: KvOutcome, trigger: Trigger) -> Result<Desired, Failure> {
    let job = job(observed);
    let Settled::Render(settled) =
        settle(&job, Before::of_pass(observed), vec![reading.into()], false)?
    else {
        panic!("not to be rendered");
    };
    let data = values(&job.mapping, &documents(&job, &settled, None))?;
    types::check(job.destination.secret_type, &data, &job.mapping)?;
    let why = (trigger, &keys());
    Ok(build(&job, data, &settled, None, observed, why))
}

fn good(observed: &Observed, reading: KvOutcome, trigger: Trigger) -> Desired {
    wanted(observed, reading, trigger).unwrap_or_else(|failure| panic!("{failure:?}"))
}

fn owner(kind: &str, name: &str) -> OwnerReference {
    OwnerReference {
        api_version: if kind == "VaultSecret" {
            "vaultbridge.dev/v1alpha1"
        } else {
            "apps/v1"
        }
        .into(),
        kind: kind.into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        ..OwnerReference::default()
    }
}

#[test]
fn the_first_sync_writes_every_field_under_revision_one() {
    let observed = fresh();
    let desired = good(&observed, ordinary(), Trigger::FirstSync);
    let keys: Vec<_> = desired.data.keys().map(String::as_str).collect();
    assert_eq!(
        (keys, desired.record.revision, desired.write),
        (vec!["password", "user"], 1, true)
    );
    assert_eq!(desired.record.time, observed.now);
}

#[test]
fn what_stands_there_already_is_not_written_again() {
    let observed = running();
    for trigger in [
        Trigger::SpecChanged,
        Trigger::Retry(Duration::ZERO),
        Trigger::RefreshDue,
    ] {
        let desired = good(&observed, ordinary(), trigger);
        assert!(!desired.write, "{trigger:?}");
        assert_eq!(
            desired.record,
            observed.record.clone().unwrap(),
            "{trigger:?}"
        );
    }
}

#[test]
fn an_edit_that_changes_nothing_of_the_secret_writes_nothing() {
    let mut observed = running();
    edit(&mut observed, "/refresh/interval", json!("5m"));
    assert!(!good(&observed, ordinary(), Trigger::SpecChanged).write);
}

#[test]
fn what_somebody_else_touched_is_written_even_if_all_that_can_be_compared_is_equal() {
    assert!(good(&running(), ordinary(), Trigger::TargetChanged).write);
}

#[test]
fn another_value_is_the_next_revision_and_the_same_value_in_another_version_is_not() {
    let observed = running();
    let same = good(
        &observed,
        found(4, &json!({"user": "app", "password": "hunter2"})),
        Trigger::RefreshDue,
    );
    assert_eq!((same.write, same.record.revision), (true, 1));
    assert_eq!(same.record.time, observed.record.as_ref().unwrap().time);
    let other = good(
        &observed,
        found(4, &json!({"user": "app", "password": "other"})),
        Trigger::RefreshDue,
    );
    assert_eq!(
        (other.write, other.record.revision, other.record.time),
        (true, 2, observed.now)
    );
}

#[test]
fn revisions_go_on_counting_after_the_secret_was_deleted() {
    let mut observed = synced();
    (observed.target, observed.record) = (None, None);
    assert_eq!(
        good(&observed, ordinary(), Trigger::TargetMissing)
            .record
            .revision,
        2
    );
}

#[test]
fn a_record_moved_from_another_secret_is_not_taken_for_ours() {
    let mut observed = running();
    edit(&mut observed, "/destination/name", json!("elsewhere"));
    let desired = good(&observed, ordinary(), Trigger::SpecChanged);
    assert_eq!((desired.write, desired.record.revision), (true, 2));
    assert_ne!(desired.record.mac, observed.record.unwrap().mac);
}

#[test]
fn any_difference_in_the_record_is_written() {
    let changes: [(&str, Change); 5] = [
        ("owner", |record| record.owner_uid = "other".into()),
        ("owner's name", |record| record.owner_name = "other".into()),
        ("request", |record| record.request = "other".into()),
        ("keys", |record| record.keys = 9),
        ("sources", |record| record.sources.clear()),
    ];
    for (what, change) in changes {
        let mut observed = synced();
        let mut record = observed.record.clone().unwrap();
        change(&mut record);
        fixture::stand(&mut observed, &record);
        assert!(
            good(&observed, ordinary(), Trigger::Retry(Duration::ZERO)).write,
            "{what}"
        );
    }
    let mut observed = synced();
    let mut record = observed.record.clone().unwrap();
    record.generation = 99;
    fixture::stand(&mut observed, &record);
    assert!(
        !good(&observed, ordinary(), Trigger::Retry(Duration::ZERO)).write,
        "generation alone"
    );
}

#[test]
fn labels_and_annotations_of_others_are_carried_over_and_ours_are_set_anew() {
    let mut observed = fresh();
    edit(
        &mut observed,
        "/destination/labels",
        json!({"team": "shop", "old": "x"}),
    );
    edit(
        &mut observed,
        "/destination/annotations",
        json!({"note": "a"}),
    );
    fixture::write(&mut observed);
    touch(&mut observed, |secret| {
        secret.labels.insert("argo".into(), "yes".into());
        secret.annotations.insert("reloader".into(), "on".into());
        secret.finalizers.push("theirs".into());
    });
    edit(
        &mut observed,
        "/destination/labels",
        json!({"team": "orders"}),
    );
    edit(&mut observed, "/destination/annotations", json!({}));
    let Metadata {
        labels,
        annotations,
        owner_references: _,
        finalizers,
    } = metadata(&job(&observed), observed.target.as_deref());
    let text = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        labels,
        text(&[
            ("app.kubernetes.io/managed-by", "vaultbridge"),
            ("argo", "yes"),
            ("team", "orders")
        ])
    );
    assert_eq!(annotations, text(&[("reloader", "on")]));
    assert_eq!(finalizers, ["theirs"]);
}

#[test]
fn owner_references_of_others_stay_and_ours_keeps_its_place() {
    let mut observed = running();
    touch(&mut observed, |secret| {
        secret
            .owner_references
            .insert(0, owner("Deployment", "web"));
        secret.owner_references.push(owner("VaultSecret", "stray"));
    });
    let names = |observed: &Observed| {
        let references = metadata(&job(observed), observed.target.as_deref()).owner_references;
        references
            .into_iter()
            .map(|one| one.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&observed), ["web", "orders"]);
    edit(
        &mut observed,
        "/destination/deletionPolicy",
        json!("Retain"),
    );
    assert_eq!(names(&observed), ["web"]);
}

#[test]
fn a_secret_of_a_type_that_its_values_do_not_suit_is_not_made() {
    let mut observed = fresh();
    edit(
        &mut observed,
        "/destination/type",
        json!("kubernetes.io/ssh-auth"),
    );
    for (fields, reason) in [
        (json!({"a": "x"}), Reason::FieldNotFound),
        (json!({"ssh-privatekey": "x"}), Reason::InvalidValue),
    ] {
        let failure = wanted(&observed, found(1, &fields), Trigger::FirstSync).err();
        assert_eq!(failure.map(|failure| failure.reason), Some(reason));
    }
}

fn names() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[a-d]", "[xy]", 0..4)
}

fn as_json(map: &BTreeMap<String, String>) -> Value {
    serde_json::to_value(map).unwrap()
}

proptest! {
    #[test]
    fn whatever_stands_there_and_is_asked_for_one_write_makes_it_intact(
        before in names(), foreign in names(), after in names(), retain: bool,
    ) {
        let mut observed = fresh();
        edit(&mut observed, "/destination/labels", as_json(&before));
        edit(&mut observed, "/destination/annotations", as_json(&before));
        fixture::write(&mut observed);
        touch(&mut observed, |secret| {
            for (name, value) in &foreign {
                secret.labels.entry(name.clone()).or_insert_with(|| value.clone());
                secret.annotations.entry(name.clone()).or_insert_with(|| value.clone());
            }
            secret.owner_references.push(owner("Deployment", "web"));
        });
        edit(&mut observed, "/destination/labels", as_json(&after));
        edit(&mut observed, "/destination/annotations", as_json(&after));
        if retain {
            edit(&mut observed, "/destination/deletionPolicy", json!("Retain"));
        }
        let desired = good(&observed, ordinary(), Trigger::SpecChanged);
        fixture::stand(&mut observed, &desired.record);
        let (job, secret) = (job(&observed), observed.target.clone().unwrap());
        prop_assert!(is_dressed(&job, &secret), "{:?}", secret);
        prop_assert!(!good(&observed, ordinary(), Trigger::Retry(Duration::ZERO)).write);
        for (name, value) in &after {
            prop_assert_eq!(secret.labels.get(name), Some(value));
        }
        for (name, value) in foreign.iter().filter(|(name, _)| !before.contains_key(*name) && !after.contains_key(*name)) {
            prop_assert_eq!(secret.labels.get(name), Some(value));
        }
        prop_assert!(secret.owner_references.iter().any(|one| one.name == "web"));
    }
}
