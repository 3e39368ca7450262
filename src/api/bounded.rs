//! Bounds and rules that several fields of the schema share.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// CEL rule for the name of a Kubernetes object.
pub const OBJECT_NAME: &str =
    "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')";

/// What to do about a name that breaks [`OBJECT_NAME`].
pub const OBJECT_NAME_FIX: &str = "must be the name of an object: lower-case letters, digits, '-' and '.', starting and ending with a letter or digit";

/// CEL rule for a Vault namespace, or none.
pub const VAULT_NAMESPACE: &str = r"self == '' || (self.matches('^[^/%?#\\x00-\\x1f\\x7f]+(/[^/%?#\\x00-\\x1f\\x7f]+)*/?$') && !self.split('/').exists(s, s == '.' || s == '..'))";

/// What to do about a text that breaks [`VAULT_NAMESPACE`].
pub const VAULT_NAMESPACE_FIX: &str =
    "must be a Vault namespace such as team-a or team-a/dev, without a leading slash";

/// The schema of a selector of namespaces.
pub fn bounded_selector(_: &mut SchemaGenerator) -> Schema {
    selector(
        "namespace",
        "as everywhere in Kubernetes, an empty selector `{}` matches every namespace",
    )
}

/// The schema of a label selector, bounded as labels themselves are; of what, and what an empty one means.
pub fn selector(of: &str, when_empty: &str) -> Schema {
    schemars::json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "description": format!("Labels of {of}s; {when_empty}."),
        "properties": {
            "matchLabels": {
                "type": "object",
                "description": format!("Labels that a {of} must have, all of them."),
                "maxProperties": 64,
                "additionalProperties": { "type": "string", "maxLength": 63 },
            },
            "matchExpressions": {
                "type": "array",
                "description": "Conditions on labels that must hold, all of them.",
                "maxItems": 64,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "type": "string",
                            "description": "Key of the label.",
                            "minLength": 1,
                            "maxLength": 317,
                        },
                        "operator": {
                            "type": "string",
                            "description": "In and NotIn compare the label with values; Exists and DoesNotExist take none.",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "type": "array",
                            "description": "Values for In and NotIn.",
                            "maxItems": 256,
                            "items": { "type": "string", "maxLength": 63 },
                        },
                    },
                },
            },
        },
    })
}

/// A string with a length bound in the schema, which the cost estimate of CEL rules on maps needs.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct BoundedText<const MAX: u32>(pub String);

impl<const MAX: u32> JsonSchema for BoundedText<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("BoundedText{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "maxLength": MAX })
    }
}
