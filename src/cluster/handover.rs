//! Whose fields of a Secret become whose: `managedFields` as they are to be written. The API server works them out by itself wherever somebody only writes
//! what is theirs; here are the moments in which what stands there already changes hands.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value, json};

use super::managed_fields::{APPLY, Hand, hand, setter};
use crate::api::{MANAGER, PART_MANAGER};

/// The operation of what was not applied.
const UPDATE: &str = "Update";

/// The entries in which all that `from` owns is owned by the part `to` instead, as if that had applied it. Type and immutability are nobody's: they are of
/// whoever made the Secret, and no part takes them away again.
pub(super) fn handed_over(
    entries: Vec<ManagedFieldsEntry>,
    from: &str,
    to: &str,
) -> Vec<ManagedFieldsEntry> {
    let is_of_part = |entry: &ManagedFieldsEntry| {
        let manager = entry.manager.as_deref();
        manager == Some(from) || manager == Some(to)
    };
    let (ours, mut others): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_of_part);
    let mut fields = Value::Object(Map::new());
    for FieldsV1(one) in ours.into_iter().filter_map(|entry| entry.fields_v1) {
        unite(&mut fields, one);
    }
    without(&mut fields, OF_THE_MAKER);
    others.push(entry(to, APPLY, fields));
    others
}

/// The entries in which all the data is owned by the manager of Secrets that are ours as a whole, with these labels and annotations, and nothing as a part: those
/// that there are have been the object's own, or of objects that are gone.
pub fn taken_over<'a>(
    entries: Vec<ManagedFieldsEntry>,
    keys: impl Iterator<Item = &'a String>,
    labels: impl Iterator<Item = &'a String>,
    annotations: impl Iterator<Item = &'a String>,
) -> Vec<ManagedFieldsEntry> {
    let mut taken = json!({
        "f:data": fields(keys),
        "f:type": {},
        "f:metadata": { "f:labels": fields(labels), "f:annotations": fields(annotations) },
    });
    let mut left = Vec::with_capacity(entries.len() + 1);
    for mut entry in entries {
        match entry.manager.as_deref() {
            Some(manager) if manager.starts_with(PART_MANAGER) => continue,
            Some(MANAGER) => {
                if let Some(FieldsV1(own)) = entry.fields_v1.take() {
                    unite(&mut taken, own);
                }
                continue;
            }
            Some(_) | None => {}
        }
        if let Some(FieldsV1(fields)) = &mut entry.fields_v1 {
            without(fields, OF_THE_MAKER);
            without(fields, &["f:data", "f:stringData"]);
        }
        left.push(entry);
    }
    left.push(entry(MANAGER, UPDATE, taken));
    left
}

/// What belongs to whoever made the Secret.
const OF_THE_MAKER: &[&str] = &["f:type", "f:immutable"];

fn entry(manager: &str, operation: &str, fields: Value) -> ManagedFieldsEntry {
    ManagedFieldsEntry {
        api_version: Some("v1".into()),
        fields_type: Some("FieldsV1".into()),
        fields_v1: Some(FieldsV1(fields)),
        manager: Some(manager.into()),
        operation: Some(operation.into()),
        ..ManagedFieldsEntry::default()
    }
}

fn fields<'a>(names: impl Iterator<Item = &'a String>) -> Value {
    let fields = names.map(|name| (format!("f:{name}"), json!({})));
    Value::Object(fields.collect())
}

fn without(fields: &mut Value, names: &[&str]) {
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// Adds fields to fields.
fn unite(fields: &mut Value, more: Value) {
    let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) else {
        return;
    };
    for (name, below) in more {
        unite(fields.entry(name).or_insert_with(|| json!({})), below);
    }
}

/// What goes with a part, and the entries without it.
pub(super) struct Leaving {
    pub(super) keys: BTreeSet<String>,
    pub(super) labels: BTreeSet<String>,
    pub(super) annotations: BTreeSet<String>,
    pub(super) left: Vec<ManagedFieldsEntry>,
}

/// What these managers own alone. What others have set as well stays, as theirs.
pub(super) fn leaving(entries: Vec<ManagedFieldsEntry>, managers: &[&str]) -> Leaving {
    let is_going = |entry: &ManagedFieldsEntry| {
        let manager = entry.manager.as_deref().unwrap_or_default();
        managers.contains(&manager)
    };
    let (going, left): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_going);
    let going: Vec<Hand<'_>> = going.iter().filter_map(hand).collect();
    let staying: Vec<Hand<'_>> = left.iter().filter_map(hand).collect();
    let alone = |names: for<'a> fn(&'a Hand<'_>) -> &'a Vec<String>| {
        let kept: BTreeSet<&String> = staying.iter().flat_map(names).collect();
        let ours = going.iter().flat_map(names);
        let alone = ours.filter(|name| !kept.contains(name));
        alone.cloned().collect::<BTreeSet<_>>()
    };
    let mut keys = alone(|hand| &hand.keys);
    keys.retain(|key| setter(&left, key).is_none());
    Leaving {
        keys,
        labels: alone(|hand| &hand.labels),
        annotations: alone(|hand| &hand.annotations),
        left: left.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::managed_fields::owners;

    fn applied(manager: &str, fields: Value) -> ManagedFieldsEntry {
        entry(manager, APPLY, fields)
    }

    fn updated(manager: &str, fields: Value) -> ManagedFieldsEntry {
        entry(manager, UPDATE, fields)
    }

    #[test]
    fn what_others_have_set_as_well_stays_when_a_part_goes() {
        let part = applied(
            "vaultbridge/a",
            json!({"f:data": {"f:a": {}, "f:b": {}, "f:c": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}),
        );
        let helm = updated("helm", json!({"f:data": {"f:b": {}}}));
        let person = applied("a-person", json!({"f:stringData": {"f:c": {}}}));
        let gone = leaving(vec![part, helm.clone(), person.clone()], &["vaultbridge/a"]);
        assert_eq!(Vec::from_iter(gone.keys), ["a"]);
        assert_eq!(Vec::from_iter(gone.labels), ["x"]);
        assert_eq!(gone.left, [helm, person]);
    }

    #[test]
    fn what_is_handed_over_counts_as_applied_and_leaves_the_type_to_its_maker() {
        let whole = updated(
            MANAGER,
            json!({"f:data": {".": {}, "f:a": {}}, "f:type": {}, "f:metadata": {"f:labels": {"f:x": {}}}}),
        );
        let part = applied("vaultbridge/a", json!({"f:data": {"f:b": {}}}));
        let other = updated("helm", json!({"f:data": {"f:c": {}}}));
        let handed = handed_over(vec![whole, part, other.clone()], MANAGER, "vaultbridge/a");
        let wanted = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}, "f:metadata": {"f:labels": {"f:x": {}}}});
        assert_eq!(handed, [other, entry("vaultbridge/a", APPLY, wanted)]);
    }

    #[test]
    fn what_is_taken_over_leaves_others_their_labels_and_none_of_the_data() {
        let other = updated(
            "helm",
            json!({"f:data": {"f:a": {}}, "f:type": {}, "f:metadata": {"f:labels": {"f:x": {}}}}),
        );
        let part = applied("vaultbridge/a", json!({"f:data": {"f:b": {}}}));
        let left = applied(
            "vaultbridge/gone",
            json!({"f:data": {"f:c": {}}, "f:metadata": {"f:annotations": {"f:vaultbridge.dev/state.gone": {}}}}),
        );
        let [a, note] = ["a", "note"].map(str::to_owned);
        let (keys, notes) = ([&a].into_iter(), [&note].into_iter());
        let taken = taken_over(vec![other, part, left], keys, [].into_iter(), notes);
        let owners = owners(&taken);
        assert_eq!(
            taken[0].fields_v1.as_ref().unwrap().0,
            json!({"f:metadata": {"f:labels": {"f:x": {}}}})
        );
        assert_eq!((owners.whole.our_keys, owners.whole.foreign_keys), (1, 0));
        assert_eq!(owners.whole.annotations, ["note"]);
        assert!(owners.parts.is_empty());
    }
}
