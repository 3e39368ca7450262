//! JSON as the values of a template, and how values become text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use gotmpl::Value;

use crate::sensitive::{Children, JsonRef};

/// A dict.
pub type Dict = BTreeMap<Arc<str>, Value>;

/// A value out of JSON. Its numbers keep their digits: one that would come out otherwise stays text.
pub fn from_json(json: JsonRef<'_>) -> Value {
    match json.children() {
        Children::Members(members) => {
            let members = members.into_iter();
            let dict: Dict = members
                .map(|(name, value)| (Arc::from(name), from_json(value)))
                .collect();
            Value::Map(Arc::new(dict))
        }
        Children::Elements(elements) => elements
            .into_iter()
            .map(from_json)
            .collect::<Vec<_>>()
            .into(),
        Children::Nothing => scalar(json),
    }
}

fn scalar(json: JsonRef<'_>) -> Value {
    let Some(bytes) = json.to_bytes() else {
        return Value::Nil;
    };
    let text = std::str::from_utf8(bytes.expose()).unwrap_or_default();
    if json.is_string() {
        return text.into();
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => self::number(number),
    }
}

fn number(digits: &str) -> Value {
    let float = || digits.parse().ok().map(Value::Float);
    let whole = digits.parse().ok().map(Value::Int);
    let whole = whole.filter(|_| digits != "-0");
    match whole.or_else(float) {
        Some(value) if text(&value) == digits => value,
        Some(_) | None => digits.into(),
    }
}

/// The value as a template prints it.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        // Nothing can be wrong with writing into memory.
        other => {
            let mut text = String::new();
            let _ = write!(text, "{other}");
            text
        }
    }
}

/// Bytes as a value. Those that are no text have no other room among the engine's values than a function that
/// yields them, a letter for each; there are no other functions among values.
pub fn binary(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or_else(
        |error| {
            let bytes = error.into_bytes().into_iter();
            let kept: Arc<str> = bytes.map(char::from).collect::<String>().into();
            Value::Function(Arc::new(move |_| Ok(Value::String(kept.clone()))))
        },
        Value::from,
    )
}

/// The bytes of a text or of a binary value.
pub fn bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Function(kept) => match kept(&[]) {
            Ok(Value::String(kept)) => kept.chars().map(|c| u8::try_from(c).ok()).collect(),
            _ => None,
        },
        _ => None,
    }
}

/// The type of a value, in a template's words.
pub fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Uint(_) => "whole number",
        Value::Float(_) => "number with a fraction",
        Value::String(_) => "text",
        Value::List(_) => "list",
        Value::Map(_) => "dict",
        Value::Function(_) => "binary value",
    }
}

/// How deep lists and dicts may lie in each other.
const MAX_DEPTH: usize = 200;

/// What going through the value costs: its bytes, and a few for each value in it. Gives up beyond `most`, and on values that lie too deep in each
/// other. A value that holds another one many times costs as much as its text would.
pub fn weight(value: &Value, most: usize) -> Option<usize> {
    let mut left = most;
    weigh(value, &mut left, MAX_DEPTH)?;
    Some(most - left)
}

fn weigh(value: &Value, left: &mut usize, depth: usize) -> Option<()> {
    let own = match value {
        Value::String(text) => text.len(),
        Value::Function(_) => bytes(value)?.len(),
        Value::Map(members) => members.keys().map(|name| name.len()).sum(),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Float(_)
        | Value::List(_) => 0,
    };
    *left = left.checked_sub(own + 8)?;
    let depth = depth.checked_sub(1)?;
    match value {
        Value::List(elements) => elements.iter().try_for_each(|one| weigh(one, left, depth)),
        Value::Map(members) => members.values().try_for_each(|one| weigh(one, left, depth)),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::Function(_) => Some(()),
    }
}

/// Whether a template takes the value for true.
pub fn is_true(value: &Value) -> bool {
    gotmpl::is_true(value)
}
