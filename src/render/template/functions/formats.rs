//! JSON, YAML and TOML, both ways.

use std::sync::Arc;

use gotmpl::Value;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use zeroize::Zeroizing;

use super::super::budget::fits;
use super::super::error::Fault;
use super::super::value::from_json;
use super::{Args, Dict, Function, Group, made, row};
use crate::sensitive::SecretJson;

/// The group.
pub const GROUP: Group = Group {
    title: "JSON, YAML, TOML",
    note: "The names of dicts come in their order. `<`, `>` and `&` stay what they are, which in Go only `toRawJson` leaves alone.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("toJson", "X"),
        "X as compact JSON.",
        (
            r#"{{ dict "a" (list 1 "<") | toJson }}"#,
            r#"{"a":[1,"<"]}"#,
        ),
        to_json,
    )
    .also(&["mustToJson", "toRawJson", "mustToRawJson"]),
    row(
        ("toPrettyJson", "X"),
        "X as JSON in lines, each level indented by two spaces.",
        (r#"{{ dict "a" 1 | toPrettyJson }}"#, "{\n  \"a\": 1\n}"),
        |a| {
            let text = serde_json::to_string_pretty(&Printed(a.any(0)));
            made(text.map_err(|_| none(a))?)
        },
    )
    .also(&["mustToPrettyJson"]),
    row(
        ("fromJson", "TEXT"),
        "The value that JSON stands for.",
        (r#"{{ (fromJson "{\"a\":[1,2]}").a | last }}"#, "2"),
        from_json_text,
    )
    .also(&["mustFromJson"]),
    row(
        ("toYaml", "X"),
        "X as YAML.",
        (r#"{{ dict "a" 1 "b" "c" | toYaml }}"#, "a: 1\nb: c"),
        to_yaml,
    ),
    row(
        ("fromYaml", "TEXT"),
        "The value that YAML stands for.",
        (r#"{{ (fromYaml "a: [1, 2]").a | first }}"#, "1"),
        from_yaml,
    ),
    row(
        ("toToml", "DICT"),
        "DICT as TOML; what is null is left out.",
        (r#"{{ dict "a" (dict "b" 1) | toToml }}"#, "[a]\nb = 1\n"),
        |a| {
            a.dict(0)?;
            made(toml::to_string(&Printed(&without_null(a.any(0)))).map_err(|_| none(a))?)
        },
    ),
    row(
        ("fromToml", "TEXT"),
        "The dict that TOML stands for; times are texts.",
        (r#"{{ (fromToml "[a]\nb = 1").a.b }}"#, "1"),
        |a| {
            let parsed: Result<toml::Table, _> = a.text(0)?.parse();
            let table = parsed.map_err(|_| a.refuse("the argument is not TOML"))?;
            Ok(from_toml(toml::Value::Table(table)))
        },
    ),
];

/// A value on its way into a text of another form.
struct Printed<'a>(&'a Value);

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Nil | Value::Function(_) => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Uint(value) => serializer.serialize_u64(*value),
            Value::Float(value) => match super::numbers::exact(*value) {
                Some(whole) => serializer.serialize_i64(whole),
                None => serializer.serialize_f64(*value),
            },
            Value::String(value) => serializer.serialize_str(value),
            Value::List(elements) => {
                let mut list = serializer.serialize_seq(Some(elements.len()))?;
                for element in elements.iter() {
                    list.serialize_element(&Printed(element))?;
                }
                list.end()
            }
            Value::Map(members) => {
                let mut dict = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members.iter() {
                    dict.serialize_entry(&**name, &Printed(value))?;
                }
                dict.end()
            }
        }
    }
}

/// TOML has no null.
fn without_null(value: &Value) -> Value {
    let Value::Map(members) = value else {
        return value.clone();
    };
    let members = members.iter().filter(|(_, member)| **member != Value::Nil);
    let members = members.map(|(name, member)| (name.clone(), without_null(member)));
    Value::Map(Arc::new(members.collect::<Dict>()))
}

fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => Value::Int(number),
        toml::Value::Float(number) => Value::Float(number),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(elements) => {
            Value::from(elements.into_iter().map(from_toml).collect::<Vec<_>>())
        }
        toml::Value::Table(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| (name.into(), from_toml(value)));
            Value::Map(Arc::new(members.collect::<Dict>()))
        }
    }
}

fn none(a: &Args<'_>) -> Fault {
    a.refuse("the value has no such form")
}

fn to_json(a: &mut Args<'_>) -> Result<Value, Fault> {
    made(serde_json::to_string(&Printed(a.any(0))).map_err(|_| none(a))?)
}

fn from_json_text(a: &mut Args<'_>) -> Result<Value, Fault> {
    let document = SecretJson::parse(Zeroizing::new(a.text(0)?.to_owned()));
    let document = document
        .map_err(|_| a.refuse("the argument is not JSON, or is nested deeper than 128 levels"))?;
    Ok(document.root().map_or(Value::Nil, from_json))
}

fn to_yaml(a: &mut Args<'_>) -> Result<Value, Fault> {
    let mut text = String::new();
    yaml(a, &mut text, a.any(0), 0)?;
    made(text.strip_suffix('\n').unwrap_or(&text))
}

/// The lines of a value: as Kubernetes writes YAML, with lists no deeper than the name that they belong to.
fn yaml(a: &Args<'_>, text: &mut String, value: &Value, indent: usize) -> Result<(), Fault> {
    fits(text.len())?;
    let pad = " ".repeat(indent);
    match value {
        Value::Map(members) if !members.is_empty() => {
            for (name, member) in members.iter() {
                text.push_str(&pad);
                text.push_str(scalar(a, &&**name)?.trim_end());
                text.push(':');
                let deeper = match member {
                    Value::Map(inner) if !inner.is_empty() => Some(indent + 2),
                    Value::List(inner) if !inner.is_empty() => Some(indent),
                    _ => None,
                };
                text.push(if deeper.is_some() { '\n' } else { ' ' });
                yaml(a, text, member, deeper.unwrap_or(indent))?;
            }
        }
        Value::List(elements) if !elements.is_empty() => {
            for element in elements.iter() {
                let mut lines = String::new();
                yaml(a, &mut lines, element, indent + 2)?;
                text.push_str(&pad);
                text.push_str("- ");
                // The first line stands behind the dash; of a scalar it has no spaces before it.
                let inside = format!("{pad}  ");
                text.push_str(lines.strip_prefix(&inside).unwrap_or(&lines));
            }
        }
        one => {
            let lines = scalar(a, &Printed(one))?;
            for (index, line) in lines.split_inclusive('\n').enumerate() {
                if index > 0 && line != "\n" {
                    text.push_str(&pad);
                }
                text.push_str(line);
            }
        }
    }
    Ok(())
}

fn scalar(a: &Args<'_>, value: &impl Serialize) -> Result<String, Fault> {
    serde_saphyr::to_string(value).map_err(|_| none(a))
}

/// YAML that JSON could say as well; its reader has bounds of its own against texts that grow without end.
fn from_yaml(a: &mut Args<'_>) -> Result<Value, Fault> {
    let refused = "the argument is not YAML, or none that JSON could say as well";
    let value: serde_json::Value =
        serde_saphyr::from_str(a.text(0)?).map_err(|_| a.refuse(refused))?;
    let text = Zeroizing::new(value.to_string());
    let document = SecretJson::parse(text).map_err(|_| a.refuse(refused))?;
    Ok(document.root().map_or(Value::Nil, from_json))
}
