//! What the API server would say to an object: the schema of the CRD, its defaults and its rules, which the very definition holds that is applied to a
//! cluster. So what a pipeline lets pass is not refused afterwards.
//!
//! Defaults come first, as in the API server, because rules see them. Rules are looked at only where the structure is right: they may count on it.

mod rules;
mod structure;

use anyhow::Context as _;
use serde_json::Value;

use crate::api::crd;
pub use rules::Rules;

/// The schema of one kind.
pub struct Schema {
    kind: String,
    root: Value,
    rules: Rules,
}

impl Schema {
    /// Those of our kinds.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let crds = crd::all().context("make the schemas")?;
        crds.into_iter()
            .map(|crd| {
                let crd = serde_json::to_value(crd).context("read the schemas")?;
                let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str);
                let root = crd.pointer("/spec/versions/0/schema/openAPIV3Schema");
                Ok(Self {
                    kind: text("/spec/names/kind").unwrap_or_default().to_owned(),
                    root: root.cloned().context("find the schema")?,
                    rules: Rules::new()?,
                })
            })
            .collect()
    }

    /// The kind that it is of.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Gives the object its defaults. What the API server would refuse is told of, each with its field.
    pub fn check(&mut self, object: &mut Value) -> anyhow::Result<Vec<String>> {
        complete(&self.root, object);
        let mut problems = structure::check(&self.root, &self.kind, object);
        if problems.is_empty() {
            self.rules.check(&self.root, "", object, &mut problems)?;
        }
        Ok(problems)
    }
}

/// Puts defaults where nothing is, and takes away each null, which to the API server is nothing.
fn complete(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            let properties = schema["properties"].as_object();
            for (name, schema) in properties.into_iter().flatten() {
                if members.get(name).is_some_and(Value::is_null) {
                    members.remove(name);
                }
                if let (None, Some(default)) = (members.get(name), schema.get("default")) {
                    members.insert(name.clone(), default.clone());
                }
                if let Some(member) = members.get_mut(name) {
                    complete(schema, member);
                }
            }
            if let (None, Some(schema)) = (properties, schema.get("additionalProperties")) {
                for member in members.values_mut() {
                    complete(schema, member);
                }
            }
        }
        Value::Array(elements) => {
            let schema = &schema["items"];
            for element in elements {
                complete(schema, element);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The path of a member.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests;
