//! Part of step 2: from `data` and `dataFrom`, as a person wrote them, to the mapping that `render` knows.

use super::failure::Failure;
use super::observe::TemplateMaps;
use super::texts::{check_length, delimiters, own, place, shared};
use crate::api::VaultSecret;
use crate::api::copy::{Case, DataFrom, Decode, Rename};
use crate::api::vault_secret::{ConflictPolicy, DataEntry};
use crate::render::{self, Content, Mapping, Selection, Wording};
use crate::sensitive::is_pointer;

/// The keys that the object asks for; fails where it names a source that it does not have, or a template that is not there.
pub fn mapping(object: &VaultSecret, templates: &TemplateMaps) -> Result<Mapping, Failure> {
    let spec = &object.spec;
    let known = |name: &String| spec.sources.iter().any(|source| source.name == *name);
    let delimiters = delimiters(&spec.template_delimiters)?;
    check_length(object, templates)?;
    let entry = |entry: &DataEntry| {
        let content = content(entry, known, templates, delimiters)?;
        Ok(render::Entry {
            key: entry.key.clone(),
            content,
            optional: entry.optional,
        })
    };
    let entries = spec.data.iter().map(entry).collect::<Result<_, _>>()?;
    let mut copies = Vec::with_capacity(spec.data_from.len());
    for (at, copy) in spec.data_from.iter().enumerate() {
        if !known(&copy.source) {
            let field = format!("spec.dataFrom[{at}].source");
            return Err(unknown(&field, &copy.source));
        }
        copies.push(copied(at, copy)?);
    }
    let conflict_policy = match spec.conflict_policy {
        ConflictPolicy::Error => render::ConflictPolicy::Error,
        ConflictPolicy::FirstWins => render::ConflictPolicy::FirstWins,
        ConflictPolicy::LastWins => render::ConflictPolicy::LastWins,
    };
    Ok(Mapping {
        entries,
        copies,
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
        decode,
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
    if !decode.is_none() && (source.is_none() || field.is_empty()) {
        return Err(Failure::invalid(format!(
            "spec.data[{key}].decode goes with source and field: a value, a template and all fields together are text already"
        )));
    }
    Ok(match (source, value, template, template_from) {
        (Some(source), None, None, None) if known(source) => Content::Field {
            source: source.clone(),
            field: field.clone(),
            decode: decoding(*decode),
        },
        (Some(source), None, None, None) => {
            return Err(unknown(&format!("spec.data[{key}].source"), source));
        }
        (None, Some(value), None, None) => Content::Literal(value.clone()),
        (None, None, Some(text), None) => Content::Template {
            template: own(key, text, delimiters)?,
            shared: None,
        },
        (None, None, None, Some(from)) => Content::Template {
            template: shared(key, from, templates, delimiters)?,
            shared: Some(place(from)),
        },
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

/// What is wrong with an expression is found here, whatever fields there are.
fn copied(at: usize, copy: &DataFrom) -> Result<render::Copy, Failure> {
    let DataFrom {
        source,
        include,
        exclude,
        rename,
        decode,
    } = copy;
    let mut wording = Wording {
        include: include.clone(),
        exclude: exclude.clone(),
        rename: None,
        case: render::Case::None,
    };
    if let Some(Rename {
        find,
        replace,
        case,
    }) = rename
    {
        wording.rename = match (find, replace) {
            (Some(find), Some(replace)) => Some((find.clone(), replace.clone())),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(Failure::invalid(format!(
                    "spec.dataFrom[{at}].rename: set match and replace together; to take a piece away, replace it with an empty text"
                )));
            }
        };
        wording.case = match case {
            Case::None => render::Case::None,
            Case::Upper => render::Case::Upper,
            Case::Lower => render::Case::Lower,
        };
    }
    let selection = Selection::new(wording)
        .map_err(|error| Failure::invalid(format!("spec.dataFrom[{at}].{error}")))?;
    Ok(render::Copy {
        source: source.clone(),
        selection,
        decode: decoding(*decode),
    })
}

fn decoding(decode: Decode) -> render::Decode {
    match decode {
        Decode::None => render::Decode::None,
        Decode::Base64 => render::Decode::Base64,
        Decode::Base64Url => render::Decode::Base64Url,
    }
}
