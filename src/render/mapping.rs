//! The mapping of source fields to the keys of a Secret: single entries, bulk copies, and who wins.
//!
//! Entries always win over copies. Between copies the policy decides; under the default, two copies that bring the
//! same key are an error, so the order in which somebody lists them never decides over the content of a Secret.

use std::cell::{LazyCell, RefCell};
use std::collections::BTreeMap;

use super::error::{MAX_NAMES, MappingError};
use super::template::{Context, Template};
use super::{MAX_SECRET_BYTES, check_key_name, check_size, too_large};
use crate::sensitive::{Children, JsonRef, SecretBytes, SecretData, SecretJson};

/// What goes under which key. Without entries and copies it is every field of every source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Single keys. They win over copies.
    pub entries: Vec<Entry>,
    /// Sources of which every field is copied under its own name. A repeated source is copied once.
    pub copies: Vec<Copy>,
    /// Who wins when two copies bring the same key.
    pub conflict_policy: ConflictPolicy,
}

/// One key of the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name of the key.
    pub key: String,
    /// What it holds.
    pub content: Content,
    /// Whether the key is left out, rather than the whole Secret refused, when the field is absent.
    pub optional: bool,
}

/// Where the value of an [`Entry`] comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A field of a source.
    Field {
        /// The name of the source.
        source: String,
        /// The name of a field, a JSON pointer when it starts with `/`, or empty for all fields as one JSON object.
        field: String,
    },
    /// This very text, which is no secret.
    Literal(String),
    /// What a template makes of all sources.
    Template(Template),
}

/// A bulk copy of every field of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The name of the source.
    pub source: String,
}

/// Who wins when two copies bring the same key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Nobody: the Secret is not written, and the message names the key and both sources.
    #[default]
    Error,
    /// The copy that stands first.
    FirstWins,
    /// The copy that stands last.
    LastWins,
}

/// What Vault answered, by the name of the source, in the order of the spec. `None` is an optional source that is
/// absent: it contributes nothing, to entries and copies alike.
pub type Sources<'a> = [(String, Option<&'a SecretJson>)];

/// Builds the data of the Secret: pure, and the same for the same input.
pub fn render(mapping: &Mapping, sources: &Sources<'_>) -> Result<SecretData, MappingError> {
    let Mapping {
        entries,
        copies,
        conflict_policy,
    } = mapping;
    let documents: Vec<Document<'_>> = sources.iter().map(Document::open).collect();
    let context = LazyCell::new(|| Context::new(sources));
    let mut data = SecretData::new();
    let mut room = MAX_SECRET_BYTES;
    for entry in entries {
        let bytes = add_entry(&mut data, entry, &documents, &context)?;
        // Given up here, and not at the end: a large field that hundreds of entries ask for would fill the memory.
        room = match room.checked_sub(bytes) {
            Some(room) => room,
            None => return Err(too_large(&data)),
        };
    }
    let copies = if entries.is_empty() && copies.is_empty() {
        documents.iter().collect()
    } else {
        copies
            .iter()
            .map(|copy| find(&documents, &copy.source))
            .collect::<Result<_, _>>()?
    };
    for (key, value) in copy_all(copies, *conflict_policy, &data)? {
        data.insert(key, value);
    }
    check_size(&data)?;
    Ok(data)
}

/// A source, opened once however many entries look at it.
struct Document<'a> {
    name: &'a str,
    /// `None` if the source is absent.
    content: Option<Opened<'a>>,
}

struct Opened<'a> {
    root: JsonRef<'a>,
    /// The members of the top level that are not `null`; `None` if the document is no JSON object.
    fields: Option<Fields<'a>>,
    /// What is inside the places that pointers have led through, by the pointer that leads there. Every place is read
    /// once, however many entries look into it: the time that a document takes is bounded by its size and depth.
    walked: RefCell<BTreeMap<String, Children<'a>>>,
}

type Fields<'a> = BTreeMap<String, JsonRef<'a>>;

impl<'a> Document<'a> {
    fn open((name, document): &'a (String, Option<&'a SecretJson>)) -> Self {
        let open = |root: JsonRef<'a>| {
            let mut fields = root.members();
            if let Some(fields) = &mut fields {
                fields.retain(|_, value| !value.is_null());
            }
            Opened {
                root,
                fields,
                walked: RefCell::default(),
            }
        };
        Self {
            name,
            content: document.and_then(SecretJson::root).map(open),
        }
    }

    fn not_an_object(&self) -> MappingError {
        MappingError::NotAnObject {
            source_name: self.name.to_owned(),
        }
    }

    /// The bytes of one field, `None` if it is absent.
    fn field(&self, opened: &Opened<'a>, field: &str) -> Result<Option<SecretBytes>, MappingError> {
        if field.starts_with('/') {
            return Ok(opened.pointer(field).and_then(JsonRef::to_bytes));
        }
        let fields = opened.fields.as_ref().ok_or_else(|| self.not_an_object())?;
        if field.is_empty() {
            return Ok(Some(opened.root.to_json()));
        }
        Ok(fields.get(field).and_then(|value| value.to_bytes()))
    }
}

impl<'a> Opened<'a> {
    /// The value at a JSON pointer (RFC 6901) that starts with a slash.
    fn pointer(&self, pointer: &str) -> Option<JsonRef<'a>> {
        let mut walked = self.walked.borrow_mut();
        let (mut here, mut place) = (self.root, String::new());
        for step in pointer.split('/').skip(1) {
            let children = walked
                .entry(place.clone())
                .or_insert_with(|| here.children());
            here = children.at(step)?;
            place.push('/');
            place.push_str(step);
        }
        Some(here)
    }
}

fn find<'d, 'a>(
    documents: &'d [Document<'a>],
    name: &str,
) -> Result<&'d Document<'a>, MappingError> {
    documents
        .iter()
        .find(|document| document.name == name)
        .ok_or_else(|| MappingError::UnknownSource {
            source_name: name.to_owned(),
        })
}

/// Adds the entry's key, and tells the bytes of its value.
fn add_entry(
    data: &mut SecretData,
    entry: &Entry,
    documents: &[Document<'_>],
    context: &LazyCell<Context, impl FnOnce() -> Context>,
) -> Result<usize, MappingError> {
    let Entry {
        key,
        content,
        optional,
    } = entry;
    check_key_name(key).map_err(|problem| MappingError::InvalidKeyName {
        key: key.clone(),
        problem,
        source_name: None,
    })?;
    let value = match content {
        Content::Literal(text) => SecretBytes::from(text.as_str()),
        Content::Template(template) => match template.render(context) {
            Ok(value) => value,
            Err(problem) if *optional && problem.fault.is_absence() => return Ok(0),
            Err(problem) => {
                let (key, problem) = (key.clone(), Box::new(problem));
                return Err(MappingError::Template { key, problem });
            }
        },
        Content::Field { source, field } => {
            let document = find(documents, source)?;
            let Some(opened) = &document.content else {
                return Ok(0);
            };
            match document.field(opened, field)? {
                Some(value) => value,
                None if *optional => return Ok(0),
                None => return Err(missing(key, source, field, opened)),
            }
        }
    };
    let bytes = value.len();
    match data.insert(key.clone(), value) {
        None => Ok(bytes),
        Some(_) => Err(MappingError::DuplicateEntry { key: key.clone() }),
    }
}

fn missing(key: &str, source: &str, field: &str, opened: &Opened<'_>) -> MappingError {
    let names = opened.fields.iter().flat_map(BTreeMap::keys);
    MappingError::FieldMissing {
        key: key.to_owned(),
        source_name: source.to_owned(),
        field: field.to_owned(),
        available: names.take(MAX_NAMES).cloned().collect(),
    }
}

/// The keys that the copies bring beside those that entries have `taken`.
fn copy_all(
    mut copies: Vec<&Document<'_>>,
    policy: ConflictPolicy,
    taken: &SecretData,
) -> Result<SecretData, MappingError> {
    match policy {
        // The order means nothing here, so it must not show in the message either.
        ConflictPolicy::Error => copies.sort_by_key(|document| document.name),
        ConflictPolicy::FirstWins => {}
        ConflictPolicy::LastWins => copies.reverse(),
    }
    let mut won: BTreeMap<&str, (&str, JsonRef<'_>)> = BTreeMap::new();
    for document in copies {
        let Some(opened) = &document.content else {
            continue;
        };
        let fields = opened
            .fields
            .as_ref()
            .ok_or_else(|| document.not_an_object())?;
        for (key, value) in fields {
            if taken.contains_key(key) {
                continue;
            }
            check_key_name(key).map_err(|problem| MappingError::InvalidKeyName {
                key: key.clone(),
                problem,
                source_name: Some(document.name.to_owned()),
            })?;
            let (first_source, _) = *won.entry(key).or_insert((document.name, *value));
            if policy == ConflictPolicy::Error && first_source != document.name {
                return Err(MappingError::KeyConflict {
                    key: key.clone(),
                    first_source: first_source.to_owned(),
                    second_source: document.name.to_owned(),
                });
            }
        }
    }
    let bytes =
        |(key, (_, value)): (&str, (_, JsonRef<'_>))| Some((key.to_owned(), value.to_bytes()?));
    Ok(won.into_iter().filter_map(bytes).collect())
}

#[cfg(test)]
mod tests;
