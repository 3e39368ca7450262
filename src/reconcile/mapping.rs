//! Part of step 2: from `data` and `dataFrom`, as a person wrote them, to the mapping that `render` knows.

use super::failure::Failure;
use super::observe::TemplateMaps;
use super::texts::{delimiters, own, shared};
use crate::api::VaultSecret;
use crate::api::vault_secret::{ConflictPolicy, DataEntry, DataFrom};
use crate::render::{self, Content, Mapping};
use crate::sensitive::is_pointer;

/// The keys that the object asks for; fails where it names a source that it does not have, or a template that is not there.
pub fn mapping(object: &VaultSecret, templates: &TemplateMaps) -> Result<Mapping, Failure> {
    let spec = &object.spec;
    let known = |name: &String| spec.sources.iter().any(|source| source.name == *name);
    let delimiters = delimiters(&spec.template_delimiters)?;
    let entry = |entry: &DataEntry| {
        let content = content(entry, known, templates, delimiters)?;
        Ok(render::Entry {
            key: entry.key.clone(),
            content,
            optional: entry.optional,
        })
    };
    let entries = spec.data.iter().map(entry).collect::<Result<_, _>>()?;
    if let Some(copy) = spec.data_from.iter().find(|copy| !known(&copy.source)) {
        return Err(unknown("spec.dataFrom[].source", &copy.source));
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

/// What fills one key.
fn content(
    entry: &DataEntry,
    known: impl Fn(&String) -> bool,
    templates: &TemplateMaps,
    delimiters: Option<[&str; 2]>,
) -> Result<Content, Failure> {
    let DataEntry {
        key,
        source,
        field,
        value,
        template,
        template_from,
        optional: _,
    } = entry;
    if field.starts_with('/') && !is_pointer(field) {
        return Err(Failure::invalid(format!(
            "spec.data[{key}].field: in a JSON pointer write ~0 for ~ and ~1 for /; a ~ alone leads nowhere"
        )));
    }
    Ok(match (source, value, template, template_from) {
        (Some(source), None, None, None) if known(source) => Content::Field {
            source: source.clone(),
            field: field.clone(),
        },
        (Some(source), None, None, None) => {
            return Err(unknown(&format!("spec.data[{key}].source"), source));
        }
        (None, Some(value), None, None) => Content::Literal(value.clone()),
        (None, None, Some(text), None) => Content::Template(own(key, text, delimiters)?),
        (None, None, None, Some(from)) => {
            Content::Template(shared(key, from, templates, delimiters)?)
        }
        (_, _, _, _) => {
            return Err(Failure::invalid(format!(
                "spec.data[{key}]: set exactly one of source, value, template and templateFrom"
            )));
        }
    })
}

fn unknown(field: &str, name: &str) -> Failure {
    Failure::invalid(format!(
        "{field} names source {name}, which is not one of spec.sources"
    ))
}

fn copy(DataFrom { source }: &DataFrom) -> render::Copy {
    render::Copy {
        source: source.clone(),
    }
}
