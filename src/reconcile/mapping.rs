//! Part of step 2: from `data` and `dataFrom`, as a person wrote them, to the mapping that `render` knows.

use super::failure::Failure;
use crate::api::VaultSecret;
use crate::api::vault_secret::{ConflictPolicy, DataEntry, DataFrom};
use crate::render::{self, Content, Mapping, Template};
use crate::sensitive::is_pointer;

/// The longest template: the schema counts characters, and these are its bytes.
const MAX_TEMPLATE_BYTES: usize = 4 * 32_768;

/// The keys that the object asks for; fails where it names a source that it does not have.
pub fn mapping(object: &VaultSecret) -> Result<Mapping, Failure> {
    let spec = &object.spec;
    let known = |name: &String| spec.sources.iter().any(|source| source.name == *name);
    let unknown = |field: String, name: &str| {
        Failure::invalid(format!(
            "{field} names source {name}, which is not one of spec.sources"
        ))
    };
    let delimiters = delimiters(&spec.template_delimiters)?;
    let mut entries = Vec::with_capacity(spec.data.len());
    for DataEntry {
        key,
        source,
        field,
        value,
        template,
        optional,
    } in &spec.data
    {
        if field.starts_with('/') && !is_pointer(field) {
            return Err(Failure::invalid(format!(
                "spec.data[{key}].field: in a JSON pointer write ~0 for ~ and ~1 for /; a ~ alone leads nowhere"
            )));
        }
        let content = match (source, value, template) {
            (Some(source), None, None) if known(source) => Content::Field {
                source: source.clone(),
                field: field.clone(),
            },
            (Some(source), None, None) => {
                return Err(unknown(format!("spec.data[{key}].source"), source));
            }
            (None, Some(value), None) => Content::Literal(value.clone()),
            (None, None, Some(text)) => Content::Template(template_of(key, text, delimiters)?),
            (_, _, _) => {
                return Err(Failure::invalid(format!(
                    "spec.data[{key}]: set exactly one of source, value and template"
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

/// What is wrong with a template whatever the values are is found here, before Vault is asked for anything.
fn template_of(key: &str, text: &str, delimiters: Option<[&str; 2]>) -> Result<Template, Failure> {
    if text.len() > MAX_TEMPLATE_BYTES {
        return Err(Failure::invalid(format!(
            "spec.data[{key}].template is longer than {MAX_TEMPLATE_BYTES} bytes"
        )));
    }
    Template::parse(text, delimiters)
        .map_err(|error| Failure::invalid(format!("spec.data[{key}].template: {error}")))
}

fn delimiters(both: &[String]) -> Result<Option<[&str; 2]>, Failure> {
    let sign = |c: char| !c.is_alphanumeric() && !c.is_whitespace() && !"_.$".contains(c);
    let usable = |text: &String| (1..=8).contains(&text.len()) && text.chars().all(sign);
    match both {
        [] => Ok(None),
        [left, right] if left != right && usable(left) && usable(right) => Ok(Some([left, right])),
        _ => Err(Failure::invalid(
            "spec.templateDelimiters: set two that differ, of at most 8 signs each, such as [[ and ]]",
        )),
    }
}

fn copy(DataFrom { source }: &DataFrom) -> render::Copy {
    render::Copy {
        source: source.clone(),
    }
}
