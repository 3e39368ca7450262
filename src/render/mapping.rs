//! The mapping of source fields to the keys of a Secret: single entries, bulk copies, and who wins.
//!
//! Entries always win over copies. Between copies the policy decides; under the default, two copies that bring the
//! same key are an error, so the order in which somebody lists them never decides over the content of a Secret. Within
//! one copy there is no order that a person wrote, so two of its fields under one key are an error under every policy.

mod copies;

use std::cell::{LazyCell, RefCell};
use std::collections::BTreeMap;

use super::decode::Decode;
use super::error::{MAX_NAMES, MappingError};
use super::names::EFFORT;
use super::rename::Selection;
use super::template::{Context, Template, TemplateError};
use super::{MAX_SECRET_BYTES, check_key_name, check_size, too_large};
use crate::sensitive::{Children, JsonRef, SecretBytes, SecretData, SecretJson};

/// What goes under which key. Without entries and copies it is every field of every source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// Single keys. They win over copies.
    pub entries: Vec<Entry>,
    /// Sources of which many fields are copied. A field that two copies bring under one key in one way is there once.
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
        /// How its text is written.
        decode: Decode,
    },
    /// This very text, which is no secret.
    Literal(String),
    /// What a template makes of all sources.
    Template {
        /// The template.
        template: Template,
        /// Where its text stands, in words, if several objects share it.
        shared: Option<String>,
    },
}

/// A bulk copy of fields of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copy {
    /// The name of the source.
    pub source: String,
    /// Which fields, and under which keys.
    pub selection: Selection,
    /// How their texts are written.
    pub decode: Decode,
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

/// What a rename counts at least: it is worked on in a thread of its own, however small the source.
const RENAMED: usize = 64 * 1024;

impl Mapping {
    /// What carrying it out on sources of so many bytes may cost, in bytes. A template can go through far more than its own length: one with a loop, a
    /// definition or a key derived from a password counts as much as may be. And a copy may hold every name against expressions.
    pub fn weight(&self, sources: usize) -> usize {
        let templates = self.entries.iter().map(|entry| match &entry.content {
            Content::Template {
                template,
                shared: _,
            } => template.weight(),
            Content::Field { .. } | Content::Literal(_) => 0,
        });
        let copies = self.copies.iter();
        let choosing = copies.filter(|copy| copy.selection.has_expressions());
        // A name is gone through as often as the expression of a rename matches in it.
        let names = sources.saturating_mul(EFFORT).max(RENAMED);
        templates
            .chain(choosing.map(|_| names))
            .fold(sources, usize::saturating_add)
    }
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
    let whole: Vec<Copy>;
    let copies = if entries.is_empty() && copies.is_empty() {
        let sources = sources.iter().map(|(source, _)| source.clone());
        whole = sources.map(Copy::whole).collect();
        &whole
    } else {
        copies
    };
    let mut room = COPIED_BYTES;
    for (key, (origin, value)) in copies::all(copies, &documents, *conflict_policy, &data)? {
        let Some(value) = origin.bytes(&key, value)? else {
            continue;
        };
        room = room.saturating_sub(value.len());
        data.insert(key, value);
        if room == 0 {
            break;
        }
    }
    check_size(&data)?;
    Ok(data)
}

/// At how many bytes copies are given up, though more would only be told of: several of one source can bring its values many times.
const COPIED_BYTES: usize = 8 * MAX_SECRET_BYTES;

impl Copy {
    /// Every field, as it is.
    fn whole(source: String) -> Self {
        Self {
            source,
            ..Self::default()
        }
    }
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

    /// One field, `None` if it is absent.
    fn field(&self, opened: &Opened<'a>, field: &str) -> Result<Option<JsonRef<'a>>, MappingError> {
        if field.starts_with('/') {
            return Ok(opened.pointer(field).filter(|value| !value.is_null()));
        }
        let fields = opened.fields.as_ref().ok_or_else(|| self.not_an_object())?;
        if field.is_empty() {
            return Ok(Some(opened.root));
        }
        Ok(fields.get(field).copied())
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
        copied: None,
    })?;
    let value = match content {
        Content::Literal(text) => SecretBytes::from(text.as_str()),
        Content::Template { template, shared } => match template.render(context) {
            Ok(value) => value,
            Err(problem) if *optional && problem.fault.is_absence() => return Ok(0),
            Err(problem) => return Err(untemplated(key, shared.as_ref(), problem)),
        },
        Content::Field {
            source,
            field,
            decode,
        } => {
            let document = find(documents, source)?;
            let Some(opened) = &document.content else {
                return Ok(0);
            };
            let (source, decode) = (source.as_str(), *decode);
            let origin = Origin {
                source,
                field,
                decode,
            };
            let found = match document.field(opened, field)? {
                Some(whole) if field.is_empty() => Some(whole.to_json()),
                Some(value) => origin.bytes(key, value)?,
                None => None,
            };
            match found {
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

fn untemplated(key: &str, shared: Option<&String>, problem: TemplateError) -> MappingError {
    MappingError::Template {
        key: key.to_owned(),
        shared: shared.cloned(),
        problem: Box::new(problem),
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

/// Where a value comes from, and how it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Origin<'a> {
    source: &'a str,
    field: &'a str,
    decode: Decode,
}

impl Origin<'_> {
    /// The bytes of the value, `None` if it is `null`.
    fn bytes(self, key: &str, value: JsonRef<'_>) -> Result<Option<SecretBytes>, MappingError> {
        let bytes = self.decode.bytes(value);
        bytes.map_err(|problem| MappingError::Undecodable {
            key: key.to_owned(),
            source_name: self.source.to_owned(),
            field: self.field.to_owned(),
            decode: self.decode,
            problem,
        })
    }
}

#[cfg(test)]
mod tests;
