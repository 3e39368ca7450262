//! Who owns what of a Secret, read from `managedFields`.
//!
//! This is how an edit made while the operator was down is noticed without reading the Secret: the API server records which
//! manager last set each field. If ours owns as many keys of `data` as we wrote and nobody else owns any, the data is as
//! we left it. The same record tells which labels and annotations are ours to take away again.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use crate::api::{GROUP, MANAGER, PART_MANAGER};

/// The operation of what was applied by server-side apply.
pub(super) const APPLY: &str = "Apply";

/// What of a Secret belongs to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// What belongs to the manager of Secrets that are ours as a whole.
    pub whole: Share,
    /// What belongs to each manager of a part, by its name.
    pub parts: BTreeMap<String, Share>,
    /// Whether anything belongs to somebody else.
    pub others: bool,
    /// Whether somebody has said whether the Secret is immutable, which in earnest can only be that it is: it cannot be taken back.
    pub immutable: bool,
}

/// What of a Secret belongs to one manager of ours, and who is in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many keys of `data` it owns.
    pub our_keys: usize,
    /// How many keys of `data` somebody else set last, or applied with the same value. For a part: of its own keys.
    pub foreign_keys: usize,
    /// How many annotations of our domain somebody else set last, or applied with the same value. For a part: of its own.
    pub foreign_marks: usize,
    /// Labels that it set.
    pub labels: Vec<String>,
    /// Annotations that it set.
    pub annotations: Vec<String>,
    /// Whether it set any of this by another way than by applying it: such fields do not go when they are applied no more.
    pub updated: bool,
}

/// Who has set which key, label and annotation, as hashes: enough to see that one has changed hands. It is kept of every Secret, so it is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setters(Box<[(u64, u64)]>);

impl Setters {
    /// Takes them from the entries.
    pub fn of(entries: &[ManagedFieldsEntry]) -> Self {
        let mut setters: BTreeMap<u64, u64> = BTreeMap::new();
        for entry in entries {
            let Some(hand) = hand(entry) else { continue };
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            // What is applied so is not noted as data.
            let texts = names(fields.and_then(|fields| fields.get("f:stringData")));
            let keys = hand.keys.iter().chain(&texts).map(|name| (".data", name));
            let labels = hand.labels.iter().map(|name| (".metadata.labels", name));
            let notes = hand.annotations.iter();
            let notes = notes.map(|name| (".metadata.annotations", name));
            let setter = hash(&(hand.manager, hand.applied));
            for (above, name) in keys.chain(labels).chain(notes) {
                let of_field = setters.entry(hash(&format!("{above}.{name}"))).or_default();
                *of_field = of_field.wrapping_add(setter);
            }
        }
        Self(setters.into_iter().collect())
    }

    /// Who has set these fields, such as `.data.password`, all in one hash.
    pub fn of_fields(&self, fields: &[String]) -> u64 {
        let setter = |field: &String| {
            let at = self
                .0
                .binary_search_by_key(&hash(field), |(field, _)| *field);
            at.ok().map(|at| self.0[at].1)
        };
        hash(&fields.iter().map(setter).collect::<Vec<_>>())
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What one entry owns.
pub(super) struct Hand<'a> {
    pub(super) manager: &'a str,
    applied: bool,
    pub(super) keys: Vec<String>,
    /// What was applied as `stringData`: the API server keeps it as data, and tells nobody else who applies that key.
    pub(super) texts: Vec<String>,
    pub(super) labels: Vec<String>,
    pub(super) annotations: Vec<String>,
    anything: bool,
    immutable: bool,
}

/// Sorts the fields by owner.
pub fn owners(entries: &[ManagedFieldsEntry]) -> Owners {
    let hands: Vec<Hand<'_>> = entries.iter().filter_map(hand).collect();
    let is_known = |manager: &str| manager == MANAGER || manager.starts_with(PART_MANAGER);
    let mut owners = Owners {
        whole: share(MANAGER, &hands, |_| true),
        parts: BTreeMap::new(),
        others: hands
            .iter()
            .any(|hand| hand.anything && !is_known(hand.manager)),
        immutable: hands.iter().any(|hand| hand.immutable),
    };
    for hand in &hands {
        let manager = hand.manager;
        if manager.starts_with(PART_MANAGER) && !owners.parts.contains_key(manager) {
            let own = hands.iter().filter(|hand| hand.manager == manager);
            let own = own.flat_map(|hand| hand.keys.iter().chain(&hand.annotations));
            let own: BTreeSet<&String> = own.collect();
            let part = share(manager, &hands, |name| own.contains(name));
            owners.parts.insert(manager.to_owned(), part);
        }
    }
    owners
}

/// The manager that has set a key, if one is named for it. What is applied as `stringData` is not noted as `data`.
pub fn setter<'a>(entries: &'a [ManagedFieldsEntry], key: &str) -> Option<&'a str> {
    let has = |fields: Option<&Value>| names(fields).iter().any(|name| name == key);
    let mut entries = entries.iter();
    let entry = entries.find(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.is_some_and(|fields| has(fields.get("f:data")) || has(fields.get("f:stringData")))
    });
    entry?.manager.as_deref()
}

/// The keys of `data` that a manager owns.
pub fn keys_of(entries: &[ManagedFieldsEntry], manager: &str) -> BTreeSet<String> {
    let hands = entries.iter().filter_map(hand);
    let own = hands.filter(|hand| hand.manager == manager);
    own.flat_map(|hand| hand.keys).collect()
}

pub(super) fn hand(entry: &ManagedFieldsEntry) -> Option<Hand<'_>> {
    let fields = &entry.fields_v1.as_ref()?.0;
    let metadata = fields.get("f:metadata");
    Some(Hand {
        manager: entry.manager.as_deref().unwrap_or_default(),
        applied: entry.operation.as_deref() == Some(APPLY),
        keys: names(fields.get("f:data")),
        texts: names(fields.get("f:stringData")),
        labels: names(metadata.and_then(|metadata| metadata.get("f:labels"))),
        annotations: names(metadata.and_then(|metadata| metadata.get("f:annotations"))),
        anything: fields.as_object().is_some_and(|fields| !fields.is_empty()),
        immutable: fields.get("f:immutable").is_some(),
    })
}

/// What belongs to that manager; `counts` tells which fields of others count.
fn share(manager: &str, hands: &[Hand<'_>], counts: impl Fn(&String) -> bool) -> Share {
    let mut share = Share::default();
    for hand in hands {
        if hand.manager == manager {
            share.our_keys += hand.keys.len();
            share.labels.extend(hand.labels.iter().cloned());
            share.annotations.extend(hand.annotations.iter().cloned());
            share.updated |= !hand.applied;
        } else {
            let marks = hand.annotations.iter().filter(|name| is_ours(name));
            let keys = hand.keys.iter().chain(&hand.texts);
            share.foreign_keys += keys.filter(|name| counts(name)).count();
            share.foreign_marks += marks.filter(|name| counts(name)).count();
        }
    }
    share
}

/// Whether the annotation or label is in our domain, where nobody else has business.
pub fn is_ours(name: &str) -> bool {
    name.strip_prefix(GROUP)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn names(fields: Option<&Value>) -> Vec<String> {
    let members = fields.and_then(Value::as_object).into_iter().flatten();
    members
        .filter_map(|(name, _)| name.strip_prefix("f:"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            manager: Some(manager.into()),
            fields_v1: Some(FieldsV1(fields)),
            ..Default::default()
        }
    }

    #[test]
    fn keys_of_data_are_counted_by_manager() {
        let ours = entry(
            MANAGER,
            json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}, "f:type": {}}),
        );
        let theirs = entry("kubectl-edit", json!({"f:data": {"f:c": {}}}));
        let owners = owners(&[ours, theirs]);
        assert_eq!((owners.whole.our_keys, owners.whole.foreign_keys), (2, 1));
    }

    #[test]
    fn a_foreign_label_is_no_edit_but_a_foreign_hand_on_our_annotation_is() {
        let label = entry(
            "argo",
            json!({"f:metadata": {"f:labels": {"f:x": {}}, "f:annotations": {"f:y": {}}}}),
        );
        assert_eq!(owners(&[label]).whole, Share::default());
        let state = entry(
            "kubectl",
            json!({"f:metadata": {"f:annotations": {"f:vaultbridge.dev/state": {}}}}),
        );
        assert_eq!(owners(&[state]).whole.foreign_marks, 1);
    }

    #[test]
    fn that_a_secret_is_immutable_is_known_whoever_made_it_so() {
        for manager in [MANAGER, "kubectl"] {
            let made = entry(manager, json!({"f:immutable": {}}));
            assert!(owners(&[made]).immutable);
        }
        let usual = entry(MANAGER, json!({"f:data": {"f:a": {}}}));
        assert!(!owners(&[usual]).immutable);
    }

    #[test]
    fn our_labels_and_annotations_are_named() {
        let ours = entry(
            MANAGER,
            json!({"f:metadata": {"f:labels": {".": {}, "f:team": {}}, "f:annotations": {"f:note": {}}}}),
        );
        let whole = owners(&[ours]).whole;
        assert_eq!(
            (whole.labels, whole.annotations),
            (vec!["team".to_owned()], vec!["note".to_owned()])
        );
    }

    fn applied(manager: &str, fields: Value) -> ManagedFieldsEntry {
        ManagedFieldsEntry {
            operation: Some(APPLY.into()),
            ..entry(manager, fields)
        }
    }

    #[test]
    fn of_a_part_only_a_hand_on_its_own_fields_counts() {
        let mark = "f:vaultbridge.dev/state.a";
        let ours = applied(
            "vaultbridge/a",
            json!({"f:data": {"f:a": {}, "f:b": {}}, "f:metadata": {"f:annotations": {mark: {}}}}),
        );
        let theirs = entry("helm", json!({"f:data": {"f:c": {}}, "f:type": {}}));
        let beside = applied("vaultbridge/b", json!({"f:data": {"f:d": {}}}));
        let of = |entries: &[ManagedFieldsEntry]| owners(entries).parts["vaultbridge/a"].clone();
        let part = of(&[ours.clone(), theirs.clone(), beside.clone()]);
        assert_eq!(
            (part.our_keys, part.foreign_keys, part.foreign_marks),
            (2, 0, 0)
        );
        assert!(!part.updated);
        let taken = entry(
            "kubectl-edit",
            json!({"f:data": {"f:b": {}}, "f:metadata": {"f:annotations": {mark: {}}}}),
        );
        let part = of(&[ours, taken]);
        assert_eq!((part.foreign_keys, part.foreign_marks), (1, 1));
        assert!(owners(&[theirs]).others);
        assert!(!owners(&[beside]).others);
    }
}
