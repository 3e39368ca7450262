//! What is kept of a Secret: what decisions need, and none of its values.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::managed_fields::{self, Owners, Setters};
use crate::api::{GROUP, MANAGED_BY, MANAGER, SEALED_ANNOTATION};

/// Where `kubectl apply` keeps the whole object that it was given: of a Secret, with its values. Kept nowhere, and not carried over.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is kept of a Secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecretMeta {
    /// UID.
    pub uid: String,
    /// Resource version: the precondition of the next write.
    pub resource_version: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Labels; empty for a Secret that carries neither our label nor our annotation.
    pub labels: BTreeMap<String, String>,
    /// Annotations without the sealed values, which are long and hardly ever needed; likewise.
    pub annotations: BTreeMap<String, String>,
    /// Whether there are sealed values.
    pub sealed: bool,
    /// Owner references; likewise.
    pub owner_references: Vec<OwnerReference>,
    /// Finalizers; likewise.
    pub finalizers: Vec<String>,
    /// Who set what of it.
    pub owners: Owners,
    /// Who set what of it, without names, whosever it is.
    pub setters: Setters,
    /// Its type; known only of one that was asked for by itself.
    pub secret_type: Option<String>,
    /// How many keys it has; likewise.
    pub keys: Option<u64>,
    /// Whether everything is kept of it, although it may be foreign.
    pub whole: bool,
}

impl SecretMeta {
    /// Reduces a Secret's metadata to what decisions need.
    pub fn reduce(meta: ObjectMeta) -> Self {
        Self::read(meta, false)
    }

    /// The same with all that there is to know, whosever it is.
    pub fn looked_at(meta: ObjectMeta, secret_type: String, keys: Option<u64>) -> Self {
        Self {
            secret_type: Some(secret_type),
            keys,
            ..Self::read(meta, true)
        }
    }

    fn read(meta: ObjectMeta, whole: bool) -> Self {
        let managed = meta.managed_fields.unwrap_or_default();
        let identity = Self {
            setters: Setters::of(&managed),
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            whole,
            ..Self::default()
        };
        let (labels, mut annotations) = (
            meta.labels.unwrap_or_default(),
            meta.annotations.unwrap_or_default(),
        );
        annotations.remove(LAST_APPLIED);
        let before = annotations.len();
        annotations.retain(|name, _| !is_sealed(name));
        let sealed = annotations.len() < before;
        let marked = sealed
            || labels.get(MANAGED_BY).is_some_and(|value| value == MANAGER)
            || annotations.keys().any(|name| managed_fields::is_ours(name));
        let owner_references = meta.owner_references.unwrap_or_default();
        if !whole && !marked && !owner_references.iter().any(is_vault_secret) {
            return identity;
        }
        Self {
            labels,
            annotations,
            sealed,
            owner_references,
            finalizers: meta.finalizers.unwrap_or_default(),
            owners: managed_fields::owners(&managed),
            ..identity
        }
    }

    /// Whether the cache's object is newer than one that arrives now: a watch may still bring the state before our own
    /// write. Resource versions of one kind are comparable numbers (Kubernetes 1.35 promises it; etcd has always done so).
    pub fn is_newer_than(&self, other: &Self) -> bool {
        match (
            self.resource_version.parse::<u64>(),
            other.resource_version.parse::<u64>(),
        ) {
            (Ok(known), Ok(arriving)) => known > arriving,
            _ => false,
        }
    }
}

/// Whether the annotation holds sealed values, of a whole Secret or of a part.
fn is_sealed(name: &str) -> bool {
    let rest = name.strip_prefix(SEALED_ANNOTATION);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether the owner is one of our objects.
pub fn is_vault_secret(owner: &OwnerReference) -> bool {
    owner.kind == "VaultSecret" && owner.api_version.split('/').next() == Some(GROUP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_that_kubectl_apply_leaves_is_not_kept() {
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let meta = ObjectMeta {
            labels: Some([text(MANAGED_BY, MANAGER)].into()),
            annotations: Some([text(LAST_APPLIED, "values"), text("note", "kept")].into()),
            ..ObjectMeta::default()
        };
        let kept = SecretMeta::reduce(meta);
        assert_eq!(kept.annotations, [text("note", "kept")].into());
    }
}
