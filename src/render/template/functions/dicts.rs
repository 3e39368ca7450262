//! Dicts. None is ever changed: each function makes another one, and the names are in their order.

use std::collections::BTreeSet;
use std::sync::Arc;

use gotmpl::Value;

use super::super::error::Fault;
use super::super::value::{is_true, text};
use super::{Args, Dict, Function, Group, dict, list, row, truth};

/// The group.
pub const GROUP: Group = Group {
    title: "Dicts",
    note: "Sources are dicts, and so are objects in them. `set`, `unset`, `merge` and `mergeOverwrite` give a new dict. If their first argument is a variable, it is the new one from then on, as in `{{ $_ := set $d \"name\" 1 }}`; another variable with the old one keeps it, which in Go would change too.",
    functions: FUNCTIONS,
};

const FUNCTIONS: &[Function] = &[
    row(("dict", "[NAME X]…"), "A dict of names and values in turn.", (r#"{{ dict "a" 1 "b" 2 | toJson }}"#, r#"{"a":1,"b":2}"#), pairs),
    row(("get", "DICT NAME"), "The value of that name; an empty text if there is none.", (r#"{{ get (dict "a" 1) "a" }}"#, "1"), |a| Ok(a.dict(0)?.get(a.text(1)?).cloned().unwrap_or_else(|| "".into()))),
    row(("hasKey", "DICT NAME"), "Whether there is one.", (r#"{{ hasKey (dict "a" 1) "b" }}"#, "false"), |a| truth(a.dict(0)?.contains_key(a.text(1)?))),
    row(("dig", "NAME… OTHER DICT"), "The value at the end of the names, one inside of the other; OTHER if it is not there.", (r#"{{ dig "a" "b" "none" (dict "a" (dict "b" 1)) }}"#, "1"), dig),
    row(("set", "DICT NAME X"), "DICT with X under that name.", (r#"{{ set (dict "a" 1) "b" 2 | toJson }}"#, r#"{"a":1,"b":2}"#), |a| { let mut members = a.dict(0)?.clone(); members.insert(Arc::from(a.text(1)?), a.any(2).clone()); dict(members) }).that_changes(),
    row(("unset", "DICT NAME"), "DICT without that name.", (r#"{{ unset (dict "a" 1) "a" | toJson }}"#, "{}"), |a| { let mut members = a.dict(0)?.clone(); members.remove(a.text(1)?); dict(members) }).that_changes(),
    row(("keys", "DICT…"), "The names, in their order.", (r#"{{ keys (dict "b" 1 "a" 2) | join "," }}"#, "a,b"), keys),
    row(("values", "DICT"), "The values, in the order of their names.", (r#"{{ values (dict "b" 1 "a" 2) | join "," }}"#, "2,1"), |a| list(a.dict(0)?.values().cloned())),
    row(("pick", "DICT NAME…"), "DICT with these names only.", (r#"{{ pick (dict "a" 1 "b" 2) "a" | toJson }}"#, r#"{"a":1}"#), |a| chosen(a, true)),
    row(("omit", "DICT NAME…"), "DICT without these names.", (r#"{{ omit (dict "a" 1 "b" 2) "a" | toJson }}"#, r#"{"b":2}"#), |a| chosen(a, false)),
    row(("pluck", "NAME DICT…"), "The values of that name of all dicts that have it, as a list.", (r#"{{ pluck "a" (dict "a" 1) (dict "a" 2) | toJson }}"#, "[1,2]"), pluck),
    row(("merge", "DICT MORE…"), "All dicts as one, with everything in them; of two values that are not empty the first counts.", (r#"{{ merge (dict "a" 1) (dict "a" 2 "b" 3) | toJson }}"#, r#"{"a":1,"b":3}"#), |a| merge(a, false)).that_changes().also(&["mustMerge"]),
    row(("mergeOverwrite", "DICT MORE…"), "The same; the last one counts.", (r#"{{ mergeOverwrite (dict "a" 1) (dict "a" 2) | toJson }}"#, r#"{"a":2}"#), |a| merge(a, true)).that_changes().also(&["mustMergeOverwrite"]),
    row(("deepCopy", "X"), "X itself; nothing can change it.", (r#"{{ deepCopy (dict "a" 1) | toJson }}"#, r#"{"a":1}"#), |a| Ok(a.any(0).clone())).also(&["mustDeepCopy"]),
];

fn pairs(a: &mut Args<'_>) -> Result<Value, Fault> {
    let mut members = Dict::new();
    for pair in a.all().chunks(2) {
        let [name, value] = pair else {
            return Err(a.refuse("each name needs a value"));
        };
        members.insert(text(name).into(), value.clone());
    }
    dict(members)
}

fn dig(a: &mut Args<'_>) -> Result<Value, Fault> {
    let all = a.all();
    let Some((last, before)) = all.split_last() else {
        return Ok(Value::Nil);
    };
    let Some((other, names)) = before.split_last() else {
        return Err(a.refuse("it takes at least a name, another value and a dict"));
    };
    let Value::Map(_) = last else {
        return Err(a.wrong(all.len() - 1, last, "a dict"));
    };
    let mut here = last;
    for index in 0..names.len() {
        let Value::Map(members) = here else {
            return Err(a.refuse("a name on the way leads to something that is no dict"));
        };
        match members.get(a.text(index)?) {
            Some(value) => here = value,
            None => return Ok(other.clone()),
        }
    }
    Ok(here.clone())
}

fn keys(a: &mut Args<'_>) -> Result<Value, Fault> {
    let mut names = Vec::new();
    for index in 0..a.all().len() {
        names.extend(a.dict(index)?.keys().cloned().map(Value::String));
    }
    list(names)
}

fn chosen(a: &Args<'_>, wanted: bool) -> Result<Value, Fault> {
    let mut members = a.dict(0)?.clone();
    let mut names = BTreeSet::new();
    for index in 1..a.all().len() {
        names.insert(a.text(index)?);
    }
    members.retain(|name, _| names.contains(&**name) == wanted);
    dict(members)
}

fn pluck(a: &mut Args<'_>) -> Result<Value, Fault> {
    let name = a.text(0)?;
    let mut found = Vec::new();
    for index in 1..a.all().len() {
        found.extend(a.dict(index)?.get(name).cloned());
    }
    list(found)
}

fn merge(a: &Args<'_>, overwrite: bool) -> Result<Value, Fault> {
    let mut merged = a.dict(0)?.clone();
    for index in 1..a.all().len() {
        take_in(&mut merged, a.dict(index)?, overwrite);
    }
    dict(merged)
}

/// The values are no deeper than 200 levels, so this ends soon.
fn take_in(merged: &mut Dict, more: &Dict, overwrite: bool) {
    for (name, value) in more {
        match (merged.get_mut(name), value) {
            (Some(Value::Map(into)), Value::Map(from)) => {
                take_in(Arc::make_mut(into), from, overwrite);
            }
            (_, Value::Nil) => {}
            (Some(slot), value) => {
                if overwrite || !is_true(slot) {
                    *slot = value.clone();
                }
            }
            (None, value) => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
}
