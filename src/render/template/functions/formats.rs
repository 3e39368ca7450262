//! JSON and YAML, both ways.

use gotmpl::Value;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use zeroize::Zeroizing;

use super::super::error::Fault;
use super::super::value::from_json;
use super::{Args, Function, Group, made, row};
use crate::sensitive::SecretJson;

/// The group.
pub const GROUP: Group = Group {
    title: "JSON and YAML",
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
    ),
    row(
        ("mustToJson", "X"),
        "The same.",
        (r#"{{ mustToJson "a" }}"#, r#""a""#),
        to_json,
    ),
    row(
        ("toRawJson", "X"),
        "The same.",
        (r#"{{ toRawJson "a" }}"#, r#""a""#),
        to_json,
    ),
    row(
        ("toPrettyJson", "X"),
        "X as JSON in lines, each level indented by two spaces.",
        (r#"{{ dict "a" 1 | toPrettyJson }}"#, "{\n  \"a\": 1\n}"),
        |a| {
            let text = serde_json::to_string_pretty(&Printed(a.any(0)));
            made(text.map_err(|_| none(a))?)
        },
    ),
    row(
        ("fromJson", "TEXT"),
        "The value that JSON stands for.",
        (r#"{{ (fromJson "{\"a\":[1,2]}").a | last }}"#, "2"),
        from_json_text,
    ),
    row(
        ("mustFromJson", "TEXT"),
        "The same.",
        (r#"{{ mustFromJson "[1,2]" | first }}"#, "1"),
        from_json_text,
    ),
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
    let text = serde_saphyr::to_string(&Printed(a.any(0))).map_err(|_| none(a))?;
    made(text.trim_end_matches('\n'))
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
