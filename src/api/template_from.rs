//! Templates that several objects share: texts of ConfigMaps.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bounded::{OBJECT_NAME, OBJECT_NAME_FIX};

/// Where the text of a template is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TemplateFrom {
    /// A key of a ConfigMap of this namespace that bears the label `vaultbridge.dev/templates: "true"`. It is watched: an edit is followed at once.
    pub config_map_key_ref: ConfigMapKeyRef,
}

/// A key of a ConfigMap of this namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message(OBJECT_NAME_FIX))]
    pub name: String,

    /// Its key.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[-._a-zA-Z0-9]+$')").message("must be a key of a ConfigMap: letters, digits, '-', '_' and '.'"))]
    pub key: String,
}
