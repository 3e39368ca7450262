//! What can be wrong with a mapping, said so that the person who wrote it can mend it.
//!
//! The messages name keys, sources and fields, which are no secrets, and never a value. Names that come from Vault
//! are quoted, escaped and shortened: anybody who may write there could put anything into them.

use super::MAX_KEY_LENGTH;
use super::decode::{Decode, DecodeProblem};
use super::template::TemplateError;

/// The most field names that a message lists.
pub(super) const MAX_NAMES: usize = 20;

/// The most characters of one name that a message shows.
const MAX_SHOWN: usize = 64;

/// Why the sources cannot become a Secret by this mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// An entry asks for a field that its source does not have, or that is `null` there.
    #[error(
        "fill key {}: source {} has no field {}{}; correct the field, or set optional: true",
        quoted(key),
        quoted(source_name),
        quoted(field),
        only(available)
    )]
    FieldMissing {
        /// The key of the Secret.
        key: String,
        /// The source that was looked at.
        source_name: String,
        /// The name or JSON pointer that found nothing.
        field: String,
        /// The fields that the source does have, sorted, at most 20 of them.
        available: Vec<String>,
    },
    /// Two bulk copies bring the same key, and the policy is to refuse that.
    #[error(
        "copy key {} once: both {} and {} bring it; name it under data, leave it out of one copy with exclude, or set conflictPolicy to FirstWins or LastWins",
        quoted(key),
        origin(key, first),
        origin(key, second)
    )]
    KeyConflict {
        /// The key that both bring.
        key: String,
        /// The source of the one, and its field.
        first: (String, String),
        /// The source of the other, and its field.
        second: (String, String),
    },
    /// A copy makes one key of two fields.
    #[error(
        "copy key {} once: rename makes it of both field {} and field {} of source {}; correct rename, leave one of them out with exclude, or name the key under data",
        quoted(key),
        quoted(first_field),
        quoted(second_field),
        quoted(source_name)
    )]
    SameKey {
        /// The key.
        key: String,
        /// The source that is copied.
        source_name: String,
        /// The one field.
        first_field: String,
        /// The other field.
        second_field: String,
    },
    /// No field of a source is what a copy is to include.
    #[error(
        "copy fields of source {}: it has none whose whole name matches {}{}; correct dataFrom[].include, or remove that copy",
        quoted(source_name),
        any_of(include),
        only(available)
    )]
    NothingIncluded {
        /// The source that is copied.
        source_name: String,
        /// The expressions.
        include: Vec<String>,
        /// The fields that the source does have, sorted, at most 20 of them.
        available: Vec<String>,
    },
    /// All copies together would go through more names than may be.
    #[error(
        "copy fields of source {}: more than {limit} bytes of names, of all copies together, would be held against the expressions of dataFrom; copy from fewer fields, or with fewer or simpler expressions",
        quoted(source_name)
    )]
    TooManyNames {
        /// The source at which it was too much.
        source_name: String,
        /// The most bytes.
        limit: usize,
    },
    /// A value is not written as the object says.
    #[error(
        "fill key {}: decode field {} of source {} as {}: {problem}",
        quoted(key),
        quoted(field),
        quoted(source_name),
        decode.as_str()
    )]
    Undecodable {
        /// The key of the Secret.
        key: String,
        /// The source.
        source_name: String,
        /// The name or JSON pointer of the field.
        field: String,
        /// How it was to be decoded.
        decode: Decode,
        /// What is wrong with it.
        problem: DecodeProblem,
    },
    /// Two entries write the same key.
    #[error(
        "write key {} once: two entries of data have it; remove one of them",
        quoted(key)
    )]
    DuplicateEntry {
        /// The key that both write.
        key: String,
    },
    /// The name of a key is one that Kubernetes refuses.
    #[error("use {} as a key: {}; {}", quoted(key), problem, rename(key, copied.as_ref()))]
    InvalidKeyName {
        /// The name as it came.
        key: String,
        /// What is wrong with it.
        problem: KeyNameProblem,
        /// The copied source that brought it, and its field; `None` if an entry of `data` did.
        copied: Option<(String, String)>,
    },
    /// All values together are more than Kubernetes takes.
    #[error(
        "write at most {limit} bytes: the values have {bytes} together, key {} alone {largest_bytes}; map fewer or smaller fields, or split them over several objects",
        quoted(largest_key)
    )]
    SecretTooLarge {
        /// The bytes of all values.
        bytes: usize,
        /// The most that Kubernetes takes.
        limit: usize,
        /// The key with the largest value.
        largest_key: String,
        /// The bytes of that value.
        largest_bytes: usize,
    },
    /// Named fields are asked of a document that is not a JSON object.
    #[error(
        "read the fields of source {}: it is not a JSON object; take a part of it with a field that starts with \"/\"",
        quoted(source_name)
    )]
    NotAnObject {
        /// The source.
        source_name: String,
    },
    /// A template did not come to its end.
    #[error("fill key {} by its template{}: {problem}", quoted(key), place(shared.as_deref()))]
    Template {
        /// The key of the Secret.
        key: String,
        /// Where the text of the template stands, if several objects share it.
        shared: Option<String>,
        /// Where and why.
        problem: Box<TemplateError>,
    },
    /// An entry or copy names a source that does not exist.
    #[error(
        "find source {}: spec.sources has no such name; correct the name, or add the source",
        quoted(source_name)
    )]
    UnknownSource {
        /// The name that was not found.
        source_name: String,
    },
}

/// What Kubernetes dislikes about the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyNameProblem {
    /// It has no characters.
    #[error("the name is empty")]
    Empty,
    /// It has more than 253 characters.
    #[error("the name is longer than {MAX_KEY_LENGTH} characters")]
    TooLong,
    /// It has a character other than letters, digits, `-`, `_` and `.`.
    #[error("only letters, digits, '-', '_' and '.' are allowed")]
    Characters,
    /// It is `.`, or starts with `..`.
    #[error("a name cannot be \".\" or start with \"..\"")]
    Dots,
}

pub(super) fn quoted(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}

pub(super) fn only(available: &[String]) -> String {
    let names: Vec<String> = available.iter().map(|name| quoted(name)).collect();
    match names.len() {
        0 => " (it has no fields)".to_owned(),
        MAX_NAMES.. => format!(" (it has {} and perhaps more)", names.join(", ")),
        _ => format!(" (it has {})", names.join(", ")),
    }
}

fn place(shared: Option<&str>) -> String {
    shared.map_or_else(String::new, |place| format!(", {place}"))
}

/// The most expressions that a message lists.
const MAX_EXPRESSIONS: usize = 4;

fn any_of(expressions: &[String]) -> String {
    let shown = expressions.iter().take(MAX_EXPRESSIONS);
    let shown: Vec<String> = shown.map(|text| quoted(text)).collect();
    let more = expressions.len() > MAX_EXPRESSIONS;
    shown.join(" or ") + if more { " or another one" } else { "" }
}

/// Where a copied key comes from: the source, and its field if that has another name.
fn origin(key: &str, (source, field): &(String, String)) -> String {
    if field == key {
        format!("source {}", quoted(source))
    } else {
        format!("field {} of source {}", quoted(field), quoted(source))
    }
}

fn rename(key: &str, copied: Option<&(String, String)>) -> String {
    let Some((source, field)) = copied else {
        return "correct the key under data".to_owned();
    };
    let (source, from) = (quoted(source), quoted(field));
    if field == key {
        format!(
            "source {source} brings it: give it another key with dataFrom[].rename or under data, leave it out with dataFrom[].exclude, or rename the field in Vault"
        )
    } else {
        format!(
            "that is field {from} of source {source} after rename: correct dataFrom[].rename, leave the field out with exclude, or name it under data"
        )
    }
}
