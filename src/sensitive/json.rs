//! JSON from Vault, kept as the very text that Vault sent.
//!
//! A number parsed into a float and printed again is another number beyond 2^53, and a string re-encoded by a
//! careless library comes out as `\u003c`. So a document is validated once and then only *looked at*: numbers
//! keep their digits, strings are decoded once, nested values are printed compactly (`compact`) without escaping
//! anything that JSON does not require.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::SecretBytes;
use super::compact::{self, Text, skip_string};

/// A JSON document that is a secret. Wiped on drop.
pub struct SecretJson(Zeroizing<String>);

/// A value somewhere inside a [`SecretJson`].
#[derive(Clone, Copy, Deserialize)]
#[serde(transparent)]
pub struct JsonRef<'a>(#[serde(borrow)] &'a RawValue);

/// What is directly inside a value.
pub enum Children<'a> {
    /// Of an object, by name.
    Members(BTreeMap<String, JsonRef<'a>>),
    /// Of an array, in their order.
    Elements(Vec<JsonRef<'a>>),
    /// Of anything else.
    Nothing,
}

/// How deep objects and arrays may be nested. Walking a document takes stack for each level, and whoever may write
/// into Vault decides how many there are.
const MAX_DEPTH: usize = 128;

/// Why a text is no document. Says nothing of the text, which may be a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON.
    #[error("the text is not JSON (line {line}, column {column})")]
    Syntax {
        /// The line at which reading stopped, from 1.
        line: usize,
        /// The column at which reading stopped, from 1.
        column: usize,
    },
    /// It is JSON, but nested deeper than 128 levels.
    #[error("the JSON is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl SecretJson {
    /// Checks that `text` is one JSON value and keeps it.
    pub fn parse(text: Zeroizing<String>) -> Result<Self, JsonError> {
        serde_json::from_str::<IgnoredAny>(&text).map_err(|error| JsonError::Syntax {
            line: error.line(),
            column: error.column(),
        })?;
        if depth(&text) > MAX_DEPTH {
            Err(JsonError::TooDeep)
        } else {
            Ok(Self(text))
        }
    }

    /// An object of these members, in this order. Names are not compared: whoever makes it sees to it that each stands there once.
    pub fn object<'a>(
        members: impl Iterator<Item = (&'a str, JsonRef<'a>)>,
    ) -> Result<Self, JsonError> {
        // A buffer that grows would leave copies behind.
        let members: Vec<(String, &str)> = members
            .map(|(name, value)| (serde_json::Value::from(name).to_string(), value.0.get()))
            .collect();
        let length = |(name, value): &(String, &str)| name.len() + value.len() + 2;
        let length: usize = members.iter().map(length).sum();
        let mut text = Zeroizing::new(String::with_capacity(length + 2));
        text.push('{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(name);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        if depth(&text) > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        Ok(Self(text))
    }

    /// The whole document.
    pub fn root(&self) -> Option<JsonRef<'_>> {
        serde_json::from_str(&self.0).ok()
    }

    /// The text as Vault sent it. Never pass it to anything that prints.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<'a> JsonRef<'a> {
    /// Whether this is `null`, which everywhere in this project means "absent".
    pub fn is_null(self) -> bool {
        self.0.get() == "null"
    }

    /// What it is, in words.
    pub fn kind(self) -> &'static str {
        match self.0.get().as_bytes().first() {
            Some(b'"') => "a text",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// Whether this is a string.
    pub fn is_string(self) -> bool {
        self.0.get().starts_with('"')
    }

    /// The members of an object in the order of their names; `None` for anything else.
    pub fn members(self) -> Option<BTreeMap<String, JsonRef<'a>>> {
        self.read_if('{')
    }

    /// The member of that name of an object; `None` if there is none, or this is no object.
    pub fn member(self, name: &str) -> Option<JsonRef<'a>> {
        self.members()?.remove(name)
    }

    /// What is directly inside: members, elements, or nothing. Reads the value to its end.
    pub fn children(self) -> Children<'a> {
        if let Some(elements) = self.elements() {
            return Children::Elements(elements);
        }
        self.members().map_or(Children::Nothing, Children::Members)
    }

    /// The value as the bytes of a Secret: the content of a string, the digits of a number, `true` or `false`,
    /// compact JSON for an object or array, and `None` for `null`.
    pub fn to_bytes(self) -> Option<SecretBytes> {
        if self.is_null() {
            return None;
        }
        let mut text = Zeroizing::new(String::with_capacity(self.0.get().len()));
        match self.string() {
            Some(string) => text.push_str(&string),
            None => compact::print(self.0.get(), &mut text),
        }
        Some(SecretBytes::new(text.as_bytes().to_vec()))
    }

    /// The value as compact JSON, strings quoted.
    pub fn to_json(self) -> SecretBytes {
        let mut text = Zeroizing::new(String::with_capacity(self.0.get().len()));
        compact::print(self.0.get(), &mut text);
        SecretBytes::new(text.as_bytes().to_vec())
    }

    /// The value as a string; `None` if it is not one.
    pub fn string(self) -> Option<Zeroizing<String>> {
        let Text(text) = self.read_if('"')?;
        Some(Zeroizing::new(text.into_owned()))
    }

    /// The value as a whole number that fits; `None` if it is not one.
    pub fn unsigned(self) -> Option<u64> {
        self.0.get().parse().ok()
    }

    /// The elements of an array; `None` for anything else.
    pub fn elements(self) -> Option<Vec<JsonRef<'a>>> {
        self.read_if('[')
    }

    /// Reads the value if it begins so, which tells its kind; to try and fail would be slow.
    fn read_if<T: Deserialize<'a>>(self, begin: char) -> Option<T> {
        let text = self.0.get();
        let text = text.starts_with(begin).then_some(text)?;
        serde_json::from_str(text).ok()
    }
}

impl<'a> Children<'a> {
    /// The one that a step of a JSON pointer (RFC 6901) leads to: the text between two slashes. A `~` that is no escape leads
    /// nowhere: each place has one spelling, so that nobody can have it read again under another.
    pub fn at(&self, step: &str) -> Option<JsonRef<'a>> {
        if !is_pointer(step) {
            return None;
        }
        let name = step.replace("~1", "/").replace("~0", "~");
        match self {
            Self::Members(members) => members.get(&name).copied(),
            Self::Elements(elements) => elements.get(array_index(&name)?).copied(),
            Self::Nothing => None,
        }
    }
}

/// Whether each `~` of a JSON pointer, or of a step of one, begins an escape: `~0` for itself, `~1` for a slash.
pub fn is_pointer(text: &str) -> bool {
    let mut pieces = text.split('~');
    pieces.next();
    pieces.all(|piece| piece.starts_with(['0', '1']))
}

/// How many levels the objects and arrays of a valid JSON text have.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// RFC 6901: digits without a leading zero.
fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with('0');
    (canonical && token.bytes().all(|byte| byte.is_ascii_digit())).then(|| token.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> SecretJson {
        SecretJson::parse(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn bytes_at(text: &str, pointer: &str) -> Option<String> {
        let document = document(text);
        let mut here = document.root()?;
        for step in pointer.split('/').skip(1) {
            here = here.children().at(step)?;
        }
        let bytes = here.to_bytes()?;
        Some(String::from_utf8(bytes.expose().to_vec()).unwrap())
    }

    #[test]
    fn an_integer_beyond_two_to_the_53_keeps_every_digit() {
        assert_eq!(
            bytes_at(r#"{"n":123456789012345678901234567890}"#, "/n").unwrap(),
            "123456789012345678901234567890"
        );
    }

    #[test]
    fn a_number_keeps_the_form_in_which_it_was_stored() {
        assert_eq!(bytes_at(r#"{"n":1.50e3}"#, "/n").unwrap(), "1.50e3");
    }

    #[test]
    fn html_characters_are_not_escaped_in_nested_values() {
        let text = r#"{"page":{"a":"\u003cb\u003e \u0026"}}"#;
        assert_eq!(bytes_at(text, "/page").unwrap(), r#"{"a":"<b> &"}"#);
    }

    #[test]
    fn null_is_absent() {
        assert_eq!(bytes_at(r#"{"a":null}"#, "/a"), None);
    }

    #[test]
    fn a_string_is_its_content_and_unicode_survives() {
        assert_eq!(
            bytes_at(r#"{"a":"\u00e4\ud83d\udd11\n"}"#, "/a").unwrap(),
            "ä🔑\n"
        );
    }

    #[test]
    fn a_pointer_walks_objects_and_arrays_and_unescapes_its_tokens() {
        let text = r#"{"a/b":[{"m~n":"deep"}]}"#;
        assert_eq!(bytes_at(text, "/a~1b/0/m~0n").unwrap(), "deep");
        assert_eq!(bytes_at(text, "/a~1b/00/m~0n"), None);
        assert_eq!(bytes_at(text, "/a~1b/1"), None);
    }

    #[test]
    fn nested_values_are_compact_json_text() {
        assert_eq!(
            bytes_at("{\"a\" : [ 1 , {\"x\" : null} ]}", "/a").unwrap(),
            r#"[1,{"x":null}]"#
        );
    }

    #[test]
    fn a_document_nested_too_deeply_to_be_walked_is_refused() {
        let nested = |depth: usize| Zeroizing::new("[".repeat(depth) + &"]".repeat(depth));
        let deepest = SecretJson::parse(nested(128)).ok().unwrap();
        assert_eq!(deepest.root().unwrap().to_json().len(), 256);
        for depth in [129, 200_000] {
            assert_eq!(
                SecretJson::parse(nested(depth)).err(),
                Some(JsonError::TooDeep)
            );
        }
    }

    #[test]
    fn brackets_in_strings_are_no_levels() {
        let text = format!(
            r#"{{"a":"\"{}","\\":"{}"}}"#,
            "[".repeat(200),
            "{".repeat(200)
        );
        assert_eq!(bytes_at(&text, "/a").unwrap().len(), 201);
    }

    #[test]
    fn an_error_names_the_place_and_not_the_text() {
        let error = SecretJson::parse(Zeroizing::new("{\"password\": hunter2}".into()))
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "the text is not JSON (line 1, column 14)"
        );
    }
}
