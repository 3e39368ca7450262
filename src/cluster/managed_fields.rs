//! Who owns what of a Secret, read from `managedFields`.
//!
//! This is how an edit made while the operator was down is noticed without reading the Secret: the API server records which
//! manager last set each field. If ours owns as many keys of `data` as we wrote and nobody else owns any, the data is as
//! we left it. The same record tells which labels and annotations are ours to take away again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use crate::api::{GROUP, MANAGER};

/// What of a Secret belongs to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// How many keys of `data` our manager owns.
    pub our_keys: usize,
    /// How many keys of `data` somebody else set last, or applied with the same value.
    pub foreign_keys: usize,
    /// How many annotations of our domain somebody else set last, or applied with the same value.
    pub foreign_marks: usize,
    /// Whether somebody has said whether the Secret is immutable, which in earnest can only be that it is: it cannot be taken back.
    pub immutable: bool,
    /// Labels that our manager set.
    pub labels: Vec<String>,
    /// Annotations that our manager set.
    pub annotations: Vec<String>,
}

/// Sorts the fields by owner.
pub fn owners(entries: &[ManagedFieldsEntry]) -> Owners {
    let mut owners = Owners::default();
    for entry in entries {
        let Some(fields) = entry.fields_v1.as_ref().map(|fields| &fields.0) else {
            continue;
        };
        let keys = names(fields.get("f:data"));
        let metadata = fields.get("f:metadata");
        let labels = names(metadata.and_then(|metadata| metadata.get("f:labels")));
        let annotations = names(metadata.and_then(|metadata| metadata.get("f:annotations")));
        owners.immutable |= fields.get("f:immutable").is_some();
        if entry.manager.as_deref() == Some(MANAGER) {
            owners.our_keys += keys.len();
            owners.labels.extend(labels);
            owners.annotations.extend(annotations);
        } else {
            owners.foreign_keys += keys.len();
            owners.foreign_marks += annotations.iter().filter(|name| is_ours(name)).count();
        }
    }
    owners
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
        assert_eq!((owners.our_keys, owners.foreign_keys), (2, 1));
    }

    #[test]
    fn a_foreign_label_is_no_edit_but_a_foreign_hand_on_our_annotation_is() {
        let label = entry(
            "argo",
            json!({"f:metadata": {"f:labels": {"f:x": {}}, "f:annotations": {"f:y": {}}}}),
        );
        assert_eq!(owners(&[label]), Owners::default());
        let state = entry(
            "kubectl",
            json!({"f:metadata": {"f:annotations": {"f:vaultbridge.dev/state": {}}}}),
        );
        assert_eq!(owners(&[state]).foreign_marks, 1);
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
        let owners = owners(&[ours]);
        assert_eq!(
            (owners.labels, owners.annotations),
            (vec!["team".to_owned()], vec!["note".to_owned()])
        );
    }
}
