//! What a VaultSecret writes: the Secret's name, type and metadata, and what becomes of it.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::BoundedText;

/// The Secret to write.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.immutable) || !self.immutable || !has(self.creationPolicy) || self.creationPolicy == 'Create'")
    .message("immutable goes with creationPolicy: Create; whether a Secret that others share is immutable is for those to say who make it"))]
#[x_kube(validation = Rule::new("!has(self.adoptionPolicy) || self.adoptionPolicy == 'Refuse' || !has(self.creationPolicy) || self.creationPolicy == 'Create'")
    .message("adoptionPolicy: Adopt takes over whole Secrets, so it goes with creationPolicy: Create; what merges into a Secret takes nothing from anybody"))]
pub struct Destination {
    /// Name of the Secret. Empty: the name of this object. When it changes, the old Secret is deleted.
    #[serde(default)]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self == '' || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')")
        .message("must be a valid Secret name: lower-case letters, digits, '-' and '.', starting and ending with a letter or digit"))]
    pub name: String,

    /// Type of the Secret.
    #[serde(default, rename = "type")]
    pub secret_type: SecretType,

    /// Labels to put on the Secret. Labels that others put there are left alone.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 317 && !k.startsWith('vaultbridge.dev/') && k != 'app.kubernetes.io/managed-by')")
        .message("vaultbridge.dev/ and app.kubernetes.io/managed-by are reserved for the operator"))]
    #[x_kube(validation = Rule::new("self.all(k, self[k].matches('^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$'))")
        .message("label values have at most 63 letters, digits, '-', '_' and '.', and start and end with a letter or digit"))]
    pub labels: BTreeMap<String, BoundedText<63>>,

    /// Annotations to put on the Secret. Annotations that others put there are left alone.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new("self.all(k, size(k) <= 317 && !k.startsWith('vaultbridge.dev/') && !k.startsWith('kubernetes.io/service-account.'))")
        .message("vaultbridge.dev/ and kubernetes.io/service-account. are reserved"))]
    pub annotations: BTreeMap<String, BoundedText<4096>>,

    /// If true, the Secret is immutable: kubelets do not watch it, and nobody changes its values by mistake. When they change in Vault, it is deleted and created.
    #[serde(default)]
    pub immutable: bool,

    /// Whether the whole Secret is this object's, or only its own keys in a Secret that others share.
    #[serde(default)]
    pub creation_policy: CreationPolicy,

    /// What to do about a Secret of that name that somebody else made.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,

    /// What becomes of the Secret, or of this object's keys in it, when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// What becomes of the Secret when a path in Vault that existed is gone.
    #[serde(default)]
    pub missing_source_policy: MissingSourcePolicy,
}

/// Types of Secret that we write, each with values that we can judge. Never `kubernetes.io/service-account-token` nor bootstrap tokens: those grant power.
/// Nor types of other programs, which take such a Secret for their own.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SecretType {
    /// Any keys.
    #[default]
    Opaque,
    /// Keys `tls.crt` and `tls.key`.
    #[serde(rename = "kubernetes.io/tls")]
    Tls,
    /// Key `.dockerconfigjson`.
    #[serde(rename = "kubernetes.io/dockerconfigjson")]
    DockerConfigJson,
    /// Key `.dockercfg`, the older form of the same.
    #[serde(rename = "kubernetes.io/dockercfg")]
    DockerCfg,
    /// Keys `username` or `password`.
    #[serde(rename = "kubernetes.io/basic-auth")]
    BasicAuth,
    /// Key `ssh-privatekey`.
    #[serde(rename = "kubernetes.io/ssh-auth")]
    SshAuth,
}

/// Whether the whole Secret is the object's, or only its own keys.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CreationPolicy {
    /// The Secret is made, and all its data is this object's.
    #[default]
    Create,
    /// The Secret is made if it is not there, and this object owns its own keys only.
    CreateOrMerge,
    /// The Secret is made by somebody else, and this object owns its own keys only.
    Merge,
}

/// What to do about a Secret that somebody else made.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AdoptionPolicy {
    /// It is left alone.
    #[default]
    Refuse,
    /// It is taken over as a whole: its data is replaced.
    Adopt,
}

/// What becomes of the Secret when the VaultSecret is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeletionPolicy {
    /// It is deleted as well, by owner reference; of a Secret that others share, this object's keys are removed.
    #[default]
    Delete,
    /// It stays.
    Retain,
}

/// What becomes of the Secret when a path in Vault that existed is gone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MissingSourcePolicy {
    /// It keeps its last value.
    #[default]
    Retain,
    /// The keys of that source are removed.
    Prune,
    /// The Secret is deleted.
    Delete,
}

impl SecretType {
    /// Every type.
    const ALL: [Self; 6] = [
        Self::Opaque,
        Self::Tls,
        Self::DockerConfigJson,
        Self::DockerCfg,
        Self::BasicAuth,
        Self::SshAuth,
    ];

    /// Whether the API server's word for a type is one of these.
    pub fn is_known(name: &str) -> bool {
        Self::ALL.iter().any(|one| one.as_str() == name)
    }

    /// The type as the API server knows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "Opaque",
            Self::Tls => "kubernetes.io/tls",
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::DockerCfg => "kubernetes.io/dockercfg",
            Self::BasicAuth => "kubernetes.io/basic-auth",
            Self::SshAuth => "kubernetes.io/ssh-auth",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_schema_is_known_by_its_word() {
        let schema = serde_json::to_string(&schemars::schema_for!(SecretType)).unwrap();
        let words =
            schema.matches("\"kubernetes.io/").count() + schema.matches("\"Opaque\"").count();
        assert_eq!(words, SecretType::ALL.len(), "{schema}");
        for one in SecretType::ALL {
            assert!(schema.contains(&format!("{:?}", one.as_str())), "{schema}");
            assert!(SecretType::is_known(one.as_str()));
        }
    }
}
