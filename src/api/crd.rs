//! The CustomResourceDefinitions, as they are printed into `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use super::{VaultConnection, VaultSecret};

/// Both definitions, in the order in which they are applied.
pub fn all() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [VaultConnection::crd(), VaultSecret::crd()]
        .into_iter()
        .map(tidied)
        .collect()
}

/// Takes two things out of the derived schema. Defaults that say nothing (empty strings, lists and objects, false, zero): the
/// API server would write them into every stored object, and a person who wrote eight lines would read forty; the operator assumes
/// the same values. And `nullable`: an explicit null would count as set in the CEL rules, so it is refused instead.
fn tidied(crd: CustomResourceDefinition) -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut value = serde_json::to_value(crd)?;
    simplify(&mut value);
    serde_json::from_value(value)
}

fn simplify(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let is_schema = members.contains_key("type")
                || members.contains_key("enum")
                || members.contains_key("properties");
            if is_schema && members.get("default").is_some_and(is_silent) {
                members.remove("default");
            }
            if is_schema {
                members.remove("nullable");
            }
            members.values_mut().for_each(simplify);
        }
        Value::Array(elements) => elements.iter_mut().for_each(simplify),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_silent(default: &Value) -> bool {
    match default {
        Value::Null | Value::Object(_) => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
    }
}

/// Name and content of the files in `crds/`.
pub fn files() -> anyhow::Result<Vec<(String, String)>> {
    all()?
        .into_iter()
        .map(|crd| {
            Ok((
                format!("{}.yaml", crd.spec.names.plural),
                serde_saphyr::to_string(&crd)?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_in_crds_are_what_the_types_say() {
        for (name, text) in files().unwrap() {
            let path = format!("{}/crds/{name}", env!("CARGO_MANIFEST_DIR"));
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "crds/{name} is not current: run `make crds`");
        }
    }
}
