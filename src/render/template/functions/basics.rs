//! Go's own functions, and those about what is empty and what a value is.

use std::cmp::Ordering;

use gotmpl::Value;

use super::super::budget::fits;
use super::super::error::Fault;
use super::super::value::is_true;
use super::printing::{joined, print, printf};
use super::{Args, Function, Group, count, made, numbers, row, truth};

/// The group.
pub const GROUP: Group = Group {
    title: "Basics",
    note: "`and` and `or` look at no more arguments than they need. Numbers are compared by what they are worth, whole or not.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(
        ("and", "X MORE…"),
        "The first argument that is empty, else the last one.",
        (r#"{{ and "a" "b" }}"#, "b"),
        |a| Ok(a.last().clone()),
    ),
    row(
        ("or", "X MORE…"),
        "The first argument that is not empty, else the last one.",
        (r#"{{ or "" "b" }}"#, "b"),
        |a| Ok(a.last().clone()),
    ),
    row(
        ("not", "X"),
        "Whether X is empty.",
        (r#"{{ not "" }}"#, "true"),
        |a| truth(!is_true(a.any(0))),
    )
    .of_bytes(),
    row(
        ("eq", "X Y MORE…"),
        "Whether X equals one of the others.",
        ("{{ eq 2 1 2 }}", "true"),
        equals_any,
    ),
    row(
        ("ne", "X Y"),
        "Whether X differs from Y.",
        (r#"{{ ne "a" "b" }}"#, "true"),
        |a| truth(!equal(a, 1)?),
    ),
    row(
        ("lt", "X Y"),
        "Whether X is less than Y: numbers or texts.",
        ("{{ lt 1 2 }}", "true"),
        |a| truth(order(a)?.is_lt()),
    ),
    row(
        ("le", "X Y"),
        "Whether X is at most Y.",
        ("{{ le 2 2 }}", "true"),
        |a| truth(order(a)?.is_le()),
    ),
    row(
        ("gt", "X Y"),
        "Whether X is greater than Y.",
        ("{{ gt 1 2 }}", "false"),
        |a| truth(order(a)?.is_gt()),
    ),
    row(
        ("ge", "X Y"),
        "Whether X is at least Y.",
        (r#"{{ ge "b" "a" }}"#, "true"),
        |a| truth(order(a)?.is_ge()),
    ),
    row(
        ("len", "X"),
        "The bytes of a text, or how much is in a list or dict.",
        (r#"{{ len "abc" }}"#, "3"),
        length,
    )
    .of_bytes(),
    row(
        ("index", "X KEY…"),
        "The member or element of that name or place; of what a dict does not have, null.",
        (r#"{{ index (list "a" "b") 1 }}"#, "b"),
        index,
    ),
    row(
        ("slice", "X [FROM] [TO]"),
        "A part of a text or list, counted in bytes or elements from 0.",
        (r#"{{ slice "abcd" 1 3 }}"#, "bc"),
        slice,
    )
    .also(&["mustSlice"]),
    row(
        ("print", "X…"),
        "All arguments as one text, with spaces between those that are no texts.",
        (r#"{{ print "a" 1 2 "b" }}"#, "a1 2b"),
        |a| made(print(a.all())),
    ),
    row(
        ("println", "X…"),
        "All arguments with spaces between them and the end of the line after them.",
        (r#"{{ println "a" 1 | trim }}"#, "a 1"),
        |a| made(joined(a.all()) + "\n"),
    ),
    row(
        ("printf", "FORMAT X…"),
        "The format with `%s`, `%d`, `%q`, `%v`, `%x` and so on filled in, as in Go.",
        (r#"{{ printf "%s:%05d" "a" 42 }}"#, "a:00042"),
        printf,
    ),
    row(
        ("html", "X MORE…"),
        "X with `<`, `>`, `&` and quotes escaped for HTML.",
        (r#"{{ html "<a>" }}"#, "&lt;a&gt;"),
        |a| escaped(&print(a.all()), gotmpl::html_escape),
    ),
    row(
        ("js", "X MORE…"),
        "X escaped for a text in JavaScript.",
        (r#"{{ js "it's" }}"#, r"it\'s"),
        |a| escaped(&print(a.all()), gotmpl::js_escape),
    ),
    row(
        ("urlquery", "X MORE…"),
        "X escaped for the query of a URL. A password within a URL is best written so.",
        (r#"{{ urlquery "a/b c" }}"#, "a%2Fb+c"),
        |a| escaped(&print(a.all()), gotmpl::url_encode),
    ),
    row(
        ("default", "OTHER [X]"),
        "X, or OTHER if X is empty.",
        (r#"{{ "" | default "a" }}"#, "a"),
        default,
    )
    .of_bytes(),
    row(
        ("empty", "X"),
        "Whether X is empty: no characters, no elements, 0, false or null.",
        ("{{ empty 0 }}", "true"),
        |a| truth(!is_true(a.any(0))),
    )
    .of_bytes(),
    row(
        ("coalesce", "X…"),
        "The first argument that is not empty.",
        (r#"{{ coalesce "" 0 "a" }}"#, "a"),
        |a| {
            Ok(a.all()
                .iter()
                .find(|value| is_true(value))
                .cloned()
                .unwrap_or(Value::Nil))
        },
    )
    .of_bytes(),
    row(
        ("all", "X…"),
        "Whether no argument is empty.",
        (r#"{{ all 1 "" }}"#, "false"),
        |a| truth(a.all().iter().all(is_true)),
    )
    .of_bytes(),
    row(
        ("any", "X…"),
        "Whether an argument is not empty.",
        (r#"{{ any 1 "" }}"#, "true"),
        |a| truth(a.all().iter().any(is_true)),
    )
    .of_bytes(),
    row(
        ("ternary", "YES NO TEST"),
        "YES if TEST is true, else NO.",
        (r#"{{ true | ternary "a" "b" }}"#, "a"),
        ternary,
    )
    .of_bytes(),
    row(
        ("fail", "WORDS"),
        "Ends the template as failed. The words are shown if they stand between quotes.",
        (r#"{{ if false }}{{ fail "no" }}{{ end }}ok"#, "ok"),
        stop,
    ),
    row(
        ("required", "WORDS X"),
        "X; if it is empty, the template fails with the words.",
        (r#"{{ required "no name" "a" }}"#, "a"),
        required,
    )
    .of_bytes(),
    row(
        ("toString", "X"),
        "X as a text.",
        ("{{ toString 5 | quote }}", r#""5""#),
        |a| made(a.as_text(0)),
    ),
    row(
        ("kindOf", "X"),
        "What X is: `string`, `int`, `float64`, `bool`, `slice`, `map` or `invalid`.",
        ("{{ kindOf 1.5 }}", "float64"),
        |a| made(kind(a.any(0))),
    )
    .of_bytes(),
    row(
        ("kindIs", "KIND X"),
        "Whether X is of that kind.",
        (r#"{{ kindIs "map" (dict) }}"#, "true"),
        |a| truth(a.text(0)? == kind(a.any(1))),
    )
    .of_bytes(),
    row(
        ("typeOf", "X"),
        "The type of X, in Go's words.",
        ("{{ typeOf (list) }}", "[]interface {}"),
        |a| made(go_type(a.any(0))),
    )
    .of_bytes(),
    row(
        ("typeIs", "TYPE X"),
        "Whether X is of that type.",
        (r#"{{ typeIs "string" "a" }}"#, "true"),
        |a| truth(a.text(0)? == go_type(a.any(1))),
    )
    .of_bytes(),
    row(
        ("typeIsLike", "TYPE X"),
        "The same; there are no pointers here, to which sprig's would look as well.",
        (r#"{{ typeIsLike "string" "a" }}"#, "true"),
        |a| truth(a.text(0)? == go_type(a.any(1))),
    ),
    row(
        ("deepEqual", "X Y"),
        "Whether X and Y are the same, with everything in them.",
        ("{{ deepEqual (list 1) (list 1) }}", "true"),
        |a| truth(a.any(0) == a.any(1)),
    ),
];

fn equals_any(a: &mut Args<'_>) -> Result<Value, Fault> {
    for index in 1..a.all().len() {
        if equal(a, index)? {
            return truth(true);
        }
    }
    truth(false)
}

fn equal(a: &Args<'_>, index: usize) -> Result<bool, Fault> {
    match (a.any(0), a.any(index)) {
        (Value::List(_) | Value::Map(_), _) | (_, Value::List(_) | Value::Map(_)) => {
            Err(a.refuse("lists and dicts are compared with deepEqual"))
        }
        (Value::Nil, other) | (other, Value::Nil) => Ok(*other == Value::Nil),
        (Value::String(x), Value::String(y)) => Ok(x == y),
        (Value::Bool(x), Value::Bool(y)) => Ok(x == y),
        (x, y) => match (is_number(x), is_number(y)) {
            (true, true) => Ok(compare(x, y) == Some(Ordering::Equal)),
            _ => Err(
                a.refuse("a text, a number and a truth value cannot be compared with each other")
            ),
        },
    }
}

fn order(a: &Args<'_>) -> Result<Ordering, Fault> {
    let ordered = match (a.any(0), a.any(1)) {
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        (x, y) if is_number(x) && is_number(y) => compare(x, y),
        _ => None,
    };
    ordered.ok_or_else(|| a.refuse("only two numbers, or two texts, have an order"))
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Float(_))
}

fn compare(x: &Value, y: &Value) -> Option<Ordering> {
    match (x, y) {
        (Value::Int(x), Value::Int(y)) => Some(x.cmp(y)),
        (Value::Uint(x), Value::Uint(y)) => Some(x.cmp(y)),
        (x, y) => numbers::float(x)?.partial_cmp(&numbers::float(y)?),
    }
}

fn length(a: &mut Args<'_>) -> Result<Value, Fault> {
    let value = a.any(0);
    if let Value::Function(_) = value {
        return count(a.bytes(0)?.len());
    }
    value
        .len()
        .map_or_else(|| Err(a.wrong(0, value, "a text, list or dict")), count)
}

fn index(a: &mut Args<'_>) -> Result<Value, Fault> {
    let mut value = a.any(0).clone();
    for (place, key) in a.all().iter().enumerate().skip(1) {
        value = match (&value, key) {
            (Value::Map(members), Value::String(name)) => {
                members.get(name).cloned().unwrap_or(Value::Nil)
            }
            (Value::List(elements), _) => {
                let at = a.size(place)?;
                let element = elements.get(at).cloned();
                element.ok_or_else(|| a.refuse("the list has fewer elements"))?
            }
            (Value::Map(_), other) => return Err(a.wrong(place, other, "a text")),
            _ => return Err(a.refuse("only lists and dicts have an index")),
        };
    }
    Ok(value)
}

fn slice(a: &mut Args<'_>) -> Result<Value, Fault> {
    let value = a.any(0);
    let length = value.len().unwrap_or_default();
    let from = if a.has(1) { a.size(1)? } else { 0 };
    let to = if a.has(2) { a.size(2)? } else { length };
    let beyond = || a.refuse("the part lies outside of it");
    match value {
        Value::String(text) => made(text.get(from..to).ok_or_else(beyond)?),
        Value::List(elements) => Ok(elements.get(from..to).ok_or_else(beyond)?.to_vec().into()),
        other => Err(a.wrong(0, other, "a text or list")),
    }
}

fn escaped<T: AsRef<str>>(text: &str, escape: impl FnOnce(&str) -> T) -> Result<Value, Fault> {
    fits(text.len())?;
    made(escape(text).as_ref())
}

fn default(a: &mut Args<'_>) -> Result<Value, Fault> {
    Ok(if a.has(1) && is_true(a.any(1)) {
        a.any(1)
    } else {
        a.any(0)
    }
    .clone())
}

fn ternary(a: &mut Args<'_>) -> Result<Value, Fault> {
    match a.any(2) {
        Value::Bool(test) => Ok(a.any(usize::from(!test)).clone()),
        other => Err(a.wrong(2, other, "true or false")),
    }
}

fn stop(a: &mut Args<'_>) -> Result<Value, Fault> {
    Err(a
        .spoken
        .map_or(Fault::StoppedSilently, |words| Fault::Stopped {
            words: words.to_owned(),
        }))
}

fn required(a: &mut Args<'_>) -> Result<Value, Fault> {
    match a.any(1) {
        Value::Nil => stop(a),
        Value::String(text) if text.is_empty() => stop(a),
        value => Ok(value.clone()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint",
        Value::Float(_) => "float64",
        Value::String(_) | Value::Function(_) => "string",
        Value::List(_) => "slice",
        Value::Map(_) => "map",
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        other => kind(other),
    }
}
