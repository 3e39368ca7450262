//! Examples and properties of the mapping.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

mod copying;

/// Sources as JSON texts; `""` is an absent one.
#[derive(Debug)]
struct Given(Vec<(&'static str, String)>);

fn given(sources: &[(&'static str, &str)]) -> Given {
    Given(
        sources
            .iter()
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect(),
    )
}

impl Given {
    fn render(&self, mapping: &Mapping) -> Result<BTreeMap<String, Vec<u8>>, MappingError> {
        let parse = |text: &str| SecretJson::parse(Zeroizing::new(text.to_owned())).unwrap();
        let parsed: Vec<_> = self
            .0
            .iter()
            .map(|(name, text)| (*name, (!text.is_empty()).then(|| parse(text))))
            .collect();
        let sources: Vec<_> = parsed
            .iter()
            .map(|(name, json)| ((*name).to_owned(), json.as_ref()))
            .collect();
        let data = render(mapping, &sources)?;
        Ok(data
            .into_iter()
            .map(|(key, value)| (key, value.expose().to_vec()))
            .collect())
    }

    /// `key=value` for each key, or the message of the error.
    fn text(&self, mapping: &Mapping) -> String {
        let data = match self.render(mapping) {
            Ok(data) => data,
            Err(error) => return error.to_string(),
        };
        let pairs = data
            .iter()
            .map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value)));
        pairs.collect::<Vec<_>>().join(" ")
    }
}

fn field(key: &str, source: &str, field: &str) -> Entry {
    let content = Content::Field {
        source: source.to_owned(),
        field: field.to_owned(),
        decode: Decode::None,
    };
    Entry {
        key: key.to_owned(),
        content,
        optional: false,
    }
}

fn literal(key: &str, text: &str) -> Entry {
    Entry {
        key: key.to_owned(),
        content: Content::Literal(text.to_owned()),
        optional: false,
    }
}

fn copies(sources: &[&str]) -> Vec<Copy> {
    sources
        .iter()
        .map(|source| Copy::whole((*source).to_owned()))
        .collect()
}

fn entries(entries: Vec<Entry>) -> Mapping {
    Mapping {
        entries,
        ..Mapping::default()
    }
}

#[test]
fn an_empty_mapping_copies_every_field_of_every_source() {
    let sources = given(&[
        ("app", r#"{"user":"u","port":5432,"gone":null}"#),
        ("ca", r#"{"pem":"x"}"#),
    ]);
    assert_eq!(sources.text(&Mapping::default()), "pem=x port=5432 user=u");
}

#[test]
fn entries_alone_copy_nothing_else() {
    let sources = given(&[("app", r#"{"user":"u","password":"p"}"#)]);
    assert_eq!(
        sources.text(&entries(vec![
            field("DB_USER", "app", "user"),
            literal("HOST", "pg")
        ])),
        "DB_USER=u HOST=pg"
    );
}

#[test]
fn a_field_is_a_name_a_pointer_or_the_whole_document() {
    let sources = given(&[("app", r#"{ "a/b": "name", "a": {"b": [true, null]} }"#)]);
    let mapping = entries(vec![
        field("1", "app", "a/b"),
        field("2", "app", "/a/b/0"),
        field("3", "app", ""),
    ]);
    assert_eq!(
        sources.text(&mapping),
        r#"1=name 2=true 3={"a":{"b":[true,null]},"a/b":"name"}"#
    );
}

#[test]
fn a_place_has_one_spelling() {
    let sources = given(&[("app", r#"{"~2": "tilde", "a/b": "slash"}"#)]);
    let mapping = entries(vec![field("1", "app", "/~02"), field("2", "app", "/a~1b")]);
    assert_eq!(sources.text(&mapping), "1=tilde 2=slash");
    let misspelt = sources.text(&entries(vec![field("1", "app", "/~2")]));
    assert!(misspelt.contains("has no field"), "{misspelt}");
}

#[test]
fn a_field_that_is_absent_or_null_is_named_with_what_there_is() {
    let sources = given(&[("app", r#"{"user":"u","password":"hunter2","nothing":null}"#)]);
    for name in ["pasword", "nothing", "/password/0"] {
        let text = sources.text(&entries(vec![field("DB_PASSWORD", "app", name)]));
        let expected = format!(
            r#"fill key "DB_PASSWORD": source "app" has no field "{name}" (it has "password", "user"); correct the field, or set optional: true"#
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn an_absent_field_of_an_optional_entry_is_left_out() {
    let sources = given(&[("app", r#"{"user":"u"}"#)]);
    let optional = Entry {
        optional: true,
        ..field("P", "app", "password")
    };
    assert_eq!(
        sources.text(&entries(vec![optional, field("U", "app", "user")])),
        "U=u"
    );
}

#[test]
fn an_absent_source_contributes_nothing_to_entries_and_copies() {
    let sources = given(&[("app", r#"{"user":"u"}"#), ("extra", "")]);
    let mapping = Mapping {
        entries: vec![field("X", "extra", "x")],
        copies: copies(&["app", "extra"]),
        ..Mapping::default()
    };
    assert_eq!(sources.text(&mapping), "user=u");
    assert_eq!(sources.text(&Mapping::default()), "user=u");
}

#[test]
fn two_copies_with_one_key_are_refused_in_any_order_with_the_same_message() {
    let sources = given(&[("b", r#"{"user":"1"}"#), ("a", r#"{"user":"2"}"#)]);
    let message = r#"copy key "user" once: both source "a" and source "b" bring it; name it under data, leave it out of one copy with exclude, or set conflictPolicy to FirstWins or LastWins"#;
    for order in [&["a", "b"][..], &["b", "a"], &[]] {
        assert_eq!(
            sources.text(&Mapping {
                copies: copies(order),
                ..Mapping::default()
            }),
            message
        );
    }
}

#[test]
fn an_entry_wins_over_copies_and_ends_their_conflict() {
    let sources = given(&[("a", r#"{"user":"1"}"#), ("b", r#"{"user":"2"}"#)]);
    let mapping = Mapping {
        entries: vec![literal("user", "mine")],
        copies: copies(&["a", "b"]),
        ..Mapping::default()
    };
    assert_eq!(sources.text(&mapping), "user=mine");
}

#[test]
fn the_policy_decides_which_copy_wins() {
    let sources = given(&[("a", r#"{"k":"a"}"#), ("b", r#"{"k":"b"}"#)]);
    let with = |conflict_policy| Mapping {
        copies: copies(&["b", "a"]),
        conflict_policy,
        ..Mapping::default()
    };
    assert_eq!(sources.text(&with(ConflictPolicy::FirstWins)), "k=b");
    assert_eq!(sources.text(&with(ConflictPolicy::LastWins)), "k=a");
}

#[test]
fn a_source_that_is_copied_twice_is_no_conflict_with_itself() {
    let sources = given(&[("a", r#"{"k":"a"}"#)]);
    assert_eq!(
        sources.text(&Mapping {
            copies: copies(&["a", "a"]),
            ..Mapping::default()
        }),
        "k=a"
    );
}

#[test]
fn a_field_whose_name_is_no_key_is_refused_with_the_source_that_brings_it() {
    let sources = given(&[("app", r#"{"a b":"hunter2"}"#)]);
    insta::assert_snapshot!(sources.text(&Mapping::default()), @r#"use "a b" as a key: only letters, digits, '-', '_' and '.' are allowed; source "app" brings it: give it another key with dataFrom[].rename or under data, leave it out with dataFrom[].exclude, or rename the field in Vault"#);
    assert_eq!(
        sources.text(&entries(vec![field("ab", "app", "a b")])),
        "ab=hunter2"
    );
}

#[test]
fn an_entry_whose_key_is_invalid_is_refused() {
    let text = given(&[]).text(&entries(vec![literal("..data", "x")]));
    insta::assert_snapshot!(text, @r#"use "..data" as a key: a name cannot be "." or start with ".."; correct the key under data"#);
}

#[test]
fn a_name_from_vault_is_escaped_and_shortened_in_messages() {
    let long = format!(r#"{{"\u001b[31m{}":"x"}}"#, "n".repeat(5000));
    let text = given(&[("app", &long)]).text(&Mapping::default());
    assert!(text.len() < 400 && !text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_document_that_is_no_object_has_no_named_fields_but_can_be_pointed_into() {
    let sources = given(&[("list", r#"["x"]"#)]);
    let message = r#"read the fields of source "list": it is not a JSON object; take a part of it with a field that starts with "/""#;
    assert_eq!(sources.text(&Mapping::default()), message);
    assert_eq!(
        sources.text(&entries(vec![field("k", "list", "")])),
        message
    );
    assert_eq!(
        sources.text(&entries(vec![field("k", "list", "/0")])),
        "k=x"
    );
}

#[test]
fn a_source_that_does_not_exist_is_named() {
    let text = given(&[]).text(&Mapping {
        copies: copies(&["nope"]),
        ..Mapping::default()
    });
    assert_eq!(
        text,
        r#"find source "nope": spec.sources has no such name; correct the name, or add the source"#
    );
}

#[test]
fn two_entries_with_one_key_are_refused() {
    let text = given(&[]).text(&entries(vec![literal("k", "1"), literal("k", "2")]));
    assert_eq!(
        text,
        r#"write key "k" once: two entries of data have it; remove one of them"#
    );
}

#[test]
fn more_than_a_secret_can_hold_is_refused() {
    let sources = given(&[("app", &format!(r#"{{"big":"{}"}}"#, "x".repeat(700_000)))]);
    assert!(sources.render(&Mapping::default()).is_ok());
    let twice = entries(vec![field("one", "app", "big"), field("two", "app", "big")]);
    assert!(matches!(
        sources.render(&twice),
        Err(MappingError::SecretTooLarge {
            bytes: 1_400_000,
            ..
        })
    ));
}

#[test]
fn many_pointers_into_a_large_and_deep_document_are_found() {
    // Each level that is looked into is read to its end; looked into anew for every entry, this takes minutes.
    let leaves: Vec<String> = (0..256).map(|at| format!("\"k{at}\":{at}")).collect();
    let inner = format!(
        "{{{},\"big\":\"{}\"}}",
        leaves.join(","),
        "x".repeat(1_000_000)
    );
    let text = format!("{}{inner}{}", "{\"a\":".repeat(100), "}".repeat(100));
    let sources = given(&[("app", &text)]);
    let pointer = |at| format!("{}/k{at}", "/a".repeat(100));
    let wanted = (0..256).map(|at| field(&format!("k{at}"), "app", &pointer(at)));
    let data = sources.render(&entries(wanted.collect())).unwrap();
    assert_eq!(data.len(), 256);
    assert_eq!(data["k255"], b"255");
}

#[test]
fn a_secret_that_is_too_large_is_given_up_at_the_entry_that_is_too_much() {
    let text = format!(r#"{{"big":"{}"}}"#, "x".repeat(700_000));
    let sources = given(&[("app", &text)]);
    let many = (0..256).map(|at| field(&format!("k{at}"), "app", ""));
    assert!(matches!(
        sources.render(&entries(many.collect())),
        Err(MappingError::SecretTooLarge {
            bytes: 1_400_020,
            ..
        })
    ));
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null",
        "true",
        "-?[1-9][0-9]{0,20}",
        "\"[a-c \\u{e4}]{0,3}\""
    ];
    let name = prop_oneof![4 => "[a-d]", 1 => "[. /~]{0,3}"];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            3 => prop::collection::btree_map(name.clone(), inner.clone(), 0..4).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
            1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}

prop_compose! {
    fn sources()(texts in prop::collection::vec(prop_oneof![9 => json(), 1 => Just(String::new())], 3)) -> Given {
        given(&NAMES.into_iter().zip(texts.iter().map(String::as_str)).collect::<Vec<_>>())
    }
}

prop_compose! {
    fn entry()(key in "[a-e. ]{1,2}", source in prop::sample::select(vec!["a", "b", "c", "d"]),
               name in "|[a-d]|/[a-d]/?[0-2]?|[/~0-9.]{0,4}|.{0,3}", literal in any::<bool>(), optional in any::<bool>()) -> Entry {
        let content = if literal {
            Content::Literal(name)
        } else {
            let decode = if optional { Decode::None } else { Decode::Base64 };
            Content::Field { source: source.to_owned(), field: name, decode }
        };
        Entry { key, content, optional }
    }
}

prop_compose! {
    fn mapping()(entries in prop::collection::vec(entry(), 0..3), of in prop::sample::subsequence(NAMES.to_vec(), 0..=3),
                 more in prop::collection::vec(copying::copy(), 0..4),
               policy in prop::sample::select(vec![ConflictPolicy::Error, ConflictPolicy::FirstWins, ConflictPolicy::LastWins])) -> Mapping {
        let copies = copies(&of).into_iter().chain(more).collect();
        Mapping { entries, copies, conflict_policy: policy }
    }
}

proptest! {
    #[test]
    fn whatever_comes_in_the_result_is_the_same_each_time_and_can_be_written(sources in sources(), mapping in mapping()) {
        let result = sources.render(&mapping);
        prop_assert_eq!(&result, &sources.render(&mapping));
        for key in result.into_iter().flat_map(BTreeMap::into_keys) {
            prop_assert!(check_key_name(&key).is_ok(), "{:?}", key);
        }
    }

    #[test]
    fn under_the_default_policy_the_order_of_copies_and_entries_decides_nothing(sources in sources(), mapping in mapping()) {
        let mapping = Mapping { conflict_policy: ConflictPolicy::Error, ..mapping };
        let mut turned = mapping.clone();
        turned.copies.reverse();
        prop_assert_eq!(&sources.render(&mapping), &sources.render(&turned));
        turned.entries.reverse();
        prop_assert_eq!(sources.render(&mapping).ok(), sources.render(&turned).ok());
    }

    #[test]
    fn a_policy_that_names_a_winner_writes_the_keys_of_every_copy(sources in sources(), mut mapping in mapping()) {
        // The value that loses is not decoded, so it may be anything.
        mapping.copies.iter_mut().for_each(|copy| copy.decode = Decode::None);
        let keys = |conflict_policy| {
            let rendered = sources.render(&Mapping { conflict_policy, ..mapping.clone() });
            rendered.map(|data| data.into_keys().collect::<Vec<_>>()).ok()
        };
        prop_assert_eq!(keys(ConflictPolicy::FirstWins), keys(ConflictPolicy::LastWins));
    }
}
