//! Part of step 2: from `data` and `dataFrom`, as a person wrote them, to the mapping that `render` knows.

use super::failure::Failure;
use crate::api::VaultSecret;
use crate::api::vault_secret::{ConflictPolicy, DataEntry, DataFrom};
use crate::render::{self, Content, Mapping};
use crate::sensitive::is_pointer;

/// The keys that the object asks for; fails where it names a source that it does not have.
pub fn mapping(object: &VaultSecret) -> Result<Mapping, Failure> {
    let spec = &object.spec;
    let known = |name: &String| spec.sources.iter().any(|source| source.name == *name);
    let unknown = |field: String, name: &str| {
        Failure::invalid(format!(
            "{field} names source {name}, which is not one of spec.sources"
        ))
    };
    let mut entries = Vec::with_capacity(spec.data.len());
    for DataEntry {
        key,
        source,
        field,
        value,
        optional,
    } in &spec.data
    {
        if field.starts_with('/') && !is_pointer(field) {
            return Err(Failure::invalid(format!(
                "spec.data[{key}].field: in a JSON pointer write ~0 for ~ and ~1 for /; a ~ alone leads nowhere"
            )));
        }
        let content = match (source, value) {
            (Some(source), None) if known(source) => Content::Field {
                source: source.clone(),
                field: field.clone(),
            },
            (Some(source), None) => {
                return Err(unknown(format!("spec.data[{key}].source"), source));
            }
            (None, Some(value)) => Content::Literal(value.clone()),
            (Some(_), Some(_)) | (None, None) => {
                return Err(Failure::invalid(format!(
                    "spec.data[{key}]: set exactly one of source and value"
                )));
            }
        };
        entries.push(render::Entry {
            key: key.clone(),
            content,
            optional: *optional,
        });
    }
    if let Some(copy) = spec.data_from.iter().find(|copy| !known(&copy.source)) {
        return Err(unknown("spec.dataFrom[].source".into(), &copy.source));
    }
    let conflict_policy = match spec.conflict_policy {
        ConflictPolicy::Error => render::ConflictPolicy::Error,
        ConflictPolicy::FirstWins => render::ConflictPolicy::FirstWins,
        ConflictPolicy::LastWins => render::ConflictPolicy::LastWins,
    };
    Ok(Mapping {
        entries,
        copies: spec.data_from.iter().map(copy).collect(),
        conflict_policy,
    })
}

fn copy(DataFrom { source }: &DataFrom) -> render::Copy {
    render::Copy {
        source: source.clone(),
    }
}
