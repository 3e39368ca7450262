//! Compact JSON of a JSON text, in one go.
//!
//! A walk level by level would read the innermost value as often as there are levels around it, and whoever may write into Vault
//! decides how many there are. So the text is gone through once; what is out of order is put in order when its object ends.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use zeroize::Zeroizing;

/// Characters that something follows from. All others stand for themselves.
const MARKS: [char; 10] = ['"', ' ', '\t', '\n', '\r', ',', '{', '}', '[', ']'];

/// A string, which is copied only if it has escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// An object or array that is not at its end yet.
enum Open {
    Array,
    Object {
        /// Where its first member begins in the output.
        begin: usize,
        /// Where the names of its members are in the output, without quotes.
        names: Vec<Range<usize>>,
        /// Whether the next string is a name.
        awaits_name: bool,
    },
}

/// Appends the value that is `text`, which must be valid: without white space between tokens, members in the order of their names,
/// the last of equal names, numbers as they stand there. It is never longer than the text.
pub(super) fn print(text: &str, out: &mut String) {
    let (mut open, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(MARKS) {
        out.push_str(&rest[..at]);
        let (token, after) = rest[at..].split_at(token_length(&rest[at..]));
        match token.as_bytes().first() {
            Some(b' ' | b'\t' | b'\n' | b'\r') => {}
            Some(b'"') => print_member_or_string(token, &mut open, out),
            _ => print_mark(token, &mut open, out),
        }
        rest = after;
    }
    out.push_str(rest);
}

fn print_member_or_string(quoted: &str, open: &mut [Open], out: &mut String) {
    let begin = out.len();
    print_string(quoted, out);
    if let Some(Open::Object {
        names, awaits_name, ..
    }) = open.last_mut()
        && std::mem::take(awaits_name)
    {
        names.push(begin + 1..out.len() - 1);
    }
}

fn print_mark(mark: &str, open: &mut Vec<Open>, out: &mut String) {
    match mark {
        "}" | "]" => {
            if let Some(Open::Object { begin, names, .. }) = open.pop() {
                put_in_order(begin, &names, out);
            }
            out.push_str(mark);
        }
        _ => out.push_str(mark),
    }
    match (mark, open.last_mut()) {
        ("{", _) => open.push(Open::Object {
            begin: out.len(),
            names: Vec::new(),
            awaits_name: true,
        }),
        ("[", _) => open.push(Open::Array),
        (",", Some(Open::Object { awaits_name, .. })) => *awaits_name = true,
        _ => {}
    }
}

/// Puts the members from `begin` to the end of the output in order. Vault sends them so, and then there is nothing to do.
fn put_in_order(begin: usize, names: &[Range<usize>], out: &mut String) {
    if names.is_sorted_by(|one, next| out[one.clone()] < out[next.clone()]) {
        return;
    }
    // A quote stands before a name, and a comma before that.
    let ends = names.iter().skip(1).map(|name| name.start - 2);
    let ends = ends.chain([out.len()]);
    let members: BTreeMap<&str, &str> = names
        .iter()
        .zip(ends)
        .map(|(name, end)| (&out[name.clone()], &out[name.start - 1..end]))
        .collect();
    let mut ordered = Zeroizing::new(String::with_capacity(out.len() - begin));
    for (index, member) in members.into_values().enumerate() {
        if index > 0 {
            ordered.push(',');
        }
        ordered.push_str(member);
    }
    out.truncate(begin);
    out.push_str(&ordered);
}

/// How many bytes the string has that begins here, quotes included; any other mark is one.
fn token_length(text: &str) -> usize {
    let mut bytes = text.bytes();
    if bytes.next() == Some(b'"') {
        skip_string(&mut bytes);
        text.len() - bytes.len()
    } else {
        1
    }
}

/// Goes on behind the closing quote of a string.
pub(super) fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// Prints a JSON string as it stands in a text; `serde_json` escapes only what JSON requires, so `<`, `>` and `&` stay as they are.
fn print_string(quoted: &str, out: &mut String) {
    match serde_json::from_str(quoted) {
        Ok(Text(Cow::Owned(text))) => {
            let text = Zeroizing::new(text);
            let quoted = Zeroizing::new(serde_json::Value::from(text.as_str()).to_string());
            out.push_str(&quoted);
        }
        // Without escapes it stands there as it would be printed.
        Ok(Text(Cow::Borrowed(_))) | Err(_) => out.push_str(quoted),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn compact(text: &str) -> String {
        let mut out = String::new();
        print(text, &mut out);
        out
    }

    #[test]
    fn white_space_goes_between_tokens_and_stays_in_strings() {
        let text = "{ \"a\" :\t\"two  words\\n\\u003c\\\\\",\r\n\"b\": [ ] , \"\\\" \":-1.0e5 }";
        let expected = r#"{"\" ":-1.0e5,"a":"two  words\n<\\","b":[]}"#;
        assert_eq!(compact(text), expected);
    }

    #[test]
    fn members_are_put_in_order_at_every_depth_and_the_last_of_equal_names_counts() {
        assert_eq!(
            compact(r#"{"b":{"d":",","c":[{"f":1,"e":2}]},"a":{},"b ":0,"a":"}"}"#),
            r#"{"a":"}","b":{"c":[{"e":2,"f":1}],"d":","},"b ":0}"#
        );
    }

    /// Any value, written by hand: members in any order, with white space, some of them twice.
    fn texts() -> impl Strategy<Value = String> {
        let string = any::<String>().prop_map(|text| Value::from(text).to_string());
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            string
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let member = ("[ab ]{0,2}", inner.clone())
                .prop_map(|(name, value)| format!("\n\"{name}\" : {value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4)
                    .prop_map(|all| format!("[ {} ]", all.join(" ,"))),
                prop::collection::vec(member, 0..4)
                    .prop_map(|all| format!("{{{}\t}}", all.join(",")))
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_a_walk_over_all_levels_prints(text in texts()) {
            let mut value: Value = serde_json::from_str(&text).unwrap();
            value.sort_all_objects();
            prop_assert_eq!(compact(&text), value.to_string());
        }
    }
}
