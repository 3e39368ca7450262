//! Bulk copies that choose, rename and decode; and single keys that are decoded.

use super::*;
use crate::render::{Case, Wording};

/// A copy of source `app`.
#[derive(Default)]
struct With<'a> {
    include: &'a [&'a str],
    exclude: &'a [&'a str],
    rename: Option<(&'a str, &'a str)>,
    case: Case,
    decode: Decode,
}

impl With<'_> {
    fn of(self, source: &str) -> Copy {
        let list = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let wording = Wording {
            include: list(self.include),
            exclude: list(self.exclude),
            rename: self
                .rename
                .map(|(find, put)| (find.to_owned(), put.to_owned())),
            case: self.case,
        };
        Copy {
            source: source.to_owned(),
            selection: Selection::new(wording).unwrap_or_else(|error| panic!("{error}")),
            decode: self.decode,
        }
    }
}

fn copying(copies: Vec<Copy>) -> Mapping {
    Mapping {
        copies,
        ..Mapping::default()
    }
}

fn app(with: With<'_>) -> Mapping {
    copying(vec![with.of("app")])
}

const FIELDS: &str =
    r#"{"db.host":"h","db.password":"hunter2","smtp.host":"s","note":"n","gone":null}"#;

#[test]
fn a_copy_takes_what_it_includes_and_not_what_it_excludes_under_new_names() {
    let sources = given(&[("app", FIELDS)]);
    let with = With {
        include: &["db[.].*", "smtp[.].*"],
        exclude: &[".*[.]password"],
        rename: Some(("^([a-z]+)[.](.*)$", "APP_${1}_$2")),
        case: Case::Upper,
        ..With::default()
    };
    assert_eq!(sources.text(&app(with)), "APP_DB_HOST=h APP_SMTP_HOST=s");
}

#[test]
fn several_copies_of_one_source_stand_side_by_side() {
    let sources = given(&[("app", FIELDS)]);
    let part = |include, put| With {
        include,
        rename: Some(("^.*[.]", put)),
        ..With::default()
    };
    let mapping = copying(vec![
        part(&["db[.].*"], "DB_").of("app"),
        part(&["smtp[.].*"], "SMTP_").of("app"),
    ]);
    assert_eq!(
        sources.text(&mapping),
        "DB_host=h DB_password=hunter2 SMTP_host=s"
    );
}

#[test]
fn a_field_that_two_copies_of_its_source_take_in_the_same_way_is_no_conflict() {
    let sources = given(&[("app", FIELDS)]);
    let part = |include| With {
        include,
        ..With::default()
    };
    let mapping = copying(vec![
        part(&["db[.].*"]).of("app"),
        part(&[".*[.]host"]).of("app"),
    ]);
    assert_eq!(
        sources.text(&mapping),
        "db.host=h db.password=hunter2 smtp.host=s"
    );
}

#[test]
fn two_copies_of_one_source_with_one_key_are_a_conflict_that_the_policy_decides() {
    let sources = given(&[("app", FIELDS)]);
    let host = |include| {
        With {
            include,
            rename: Some(("^.*[.]", "")),
            ..With::default()
        }
        .of("app")
    };
    let with = |conflict_policy| Mapping {
        copies: vec![host(&["smtp[.].*"]), host(&["db[.]host"])],
        conflict_policy,
        ..Mapping::default()
    };
    let mut turned = with(ConflictPolicy::Error);
    turned.copies.reverse();
    let text = sources.text(&with(ConflictPolicy::Error));
    assert_eq!(text, sources.text(&turned));
    insta::assert_snapshot!(text, @r#"copy key "host" once: both field "db.host" of source "app" and field "smtp.host" of source "app" bring it; name it under data, leave it out of one copy with exclude, or set conflictPolicy to FirstWins or LastWins"#);
    assert_eq!(sources.text(&with(ConflictPolicy::FirstWins)), "host=s");
    assert_eq!(sources.text(&with(ConflictPolicy::LastWins)), "host=h");
    let named = Mapping {
        entries: vec![literal("host", "mine")],
        ..with(ConflictPolicy::Error)
    };
    assert_eq!(sources.text(&named), "host=mine");
}

#[test]
fn one_copy_that_makes_one_key_of_two_fields_is_refused_under_every_policy() {
    let sources = given(&[("app", FIELDS)]);
    let with = |conflict_policy| {
        let with = With {
            rename: Some(("^.*[.]", "")),
            ..With::default()
        };
        sources.text(&Mapping {
            conflict_policy,
            ..app(with)
        })
    };
    let text = with(ConflictPolicy::Error);
    assert_eq!(text, with(ConflictPolicy::FirstWins));
    assert_eq!(text, with(ConflictPolicy::LastWins));
    insta::assert_snapshot!(text, @r#"copy key "host" once: rename makes it of both field "db.host" and field "smtp.host" of source "app"; correct rename, leave one of them out with exclude, or name the key under data"#);
    let with = With {
        rename: Some(("^.*[.]", "")),
        ..With::default()
    };
    let named = Mapping {
        entries: vec![field("host", "app", "db.host")],
        ..app(with)
    };
    assert_eq!(sources.text(&named), "host=h note=n password=hunter2");
}

#[test]
fn a_copy_that_includes_nothing_of_what_there_is_says_what_there_is() {
    let sources = given(&[("app", FIELDS), ("away", "")]);
    let with = |include| With {
        include,
        ..With::default()
    };
    insta::assert_snapshot!(sources.text(&app(with(&["DB_.*", "gone"]))), @r#"copy fields of source "app": it has none whose whole name matches "DB_.*" or "gone" (it has "db.host", "db.password", "note", "smtp.host"); correct dataFrom[].include, or remove that copy"#);
    // One expression of several may be without a match, and what is excluded is so on purpose.
    assert_eq!(sources.text(&app(with(&["DB_.*", "note"]))), "note=n");
    let nothing = With {
        include: &["note"],
        exclude: &["n.*"],
        ..With::default()
    };
    assert_eq!(sources.text(&app(nothing)), "");
    assert_eq!(
        sources.text(&copying(vec![with(&["a"]).of("away")])),
        "",
        "an absent source brings nothing"
    );
}

#[test]
fn a_key_that_cannot_be_after_rename_is_told_with_its_field() {
    let sources = given(&[("app", r#"{"user":"u"}"#)]);
    let with = |put| With {
        rename: Some(("^", put)),
        ..With::default()
    };
    insta::assert_snapshot!(sources.text(&app(with("a/"))), @r#"use "a/user" as a key: only letters, digits, '-', '_' and '.' are allowed; that is field "user" of source "app" after rename: correct dataFrom[].rename, leave the field out with exclude, or name it under data"#);
    let long = "x".repeat(250);
    let text = sources.text(&app(with(&long)));
    assert!(
        text.contains("longer than 253") && text.contains(r#"field "user""#),
        "{text}"
    );
    let empty = With {
        rename: Some(("user", "")),
        ..With::default()
    };
    assert!(sources.text(&app(empty)).contains("the name is empty"));
}

#[test]
fn a_field_whose_name_is_no_key_becomes_one_by_rename_or_is_left_out() {
    let sources = given(&[("app", r#"{"db/main":{"user":"u"},"a b":"x","":"e"}"#)]);
    let refused = Wording {
        exclude: vec![String::new()],
        ..Wording::default()
    };
    assert!(Selection::new(refused).is_err(), "an empty expression");
    let renamed = With {
        exclude: &["a b"],
        rename: Some(("/|^$", ".x")),
        ..With::default()
    };
    assert_eq!(sources.text(&app(renamed)), r#".x=e db.xmain={"user":"u"}"#);
}

#[test]
fn a_copy_decodes_each_of_its_fields() {
    let sources = given(&[("app", r#"{"a":"AP8=","b":"_-8"}"#)]);
    let with = |include, decode| {
        With {
            include,
            decode,
            ..With::default()
        }
        .of("app")
    };
    let mapping = copying(vec![
        with(&["a"], Decode::Base64),
        with(&["b"], Decode::Base64Url),
    ]);
    let data = sources.render(&mapping).unwrap();
    assert_eq!(data["a"], [0, 0xff]);
    assert_eq!(data["b"], [0xff, 0xef]);
}

fn decoded(key: &str, name: &str, decode: Decode) -> Entry {
    Entry {
        key: key.to_owned(),
        content: Content::Field {
            source: "app".to_owned(),
            field: name.to_owned(),
            decode,
        },
        optional: false,
    }
}

#[test]
fn a_key_is_decoded_from_a_field_or_a_pointer() {
    let sources = given(&[("app", r#"{"a":"aGk=","b":{"c":["aG8"]},"null":null}"#)]);
    let mapping = entries(vec![
        decoded("1", "a", Decode::Base64),
        decoded("2", "/b/c/0", Decode::Base64Url),
        decoded("3", "a", Decode::None),
    ]);
    assert_eq!(sources.text(&mapping), "1=hi 2=ho 3=aGk=");
    let absent = entries(vec![decoded("1", "null", Decode::Base64)]);
    assert!(sources.text(&absent).contains(r#"has no field "null""#));
}

#[test]
fn what_does_not_decode_is_told_by_key_source_and_field_and_never_by_its_value() {
    let sources = given(&[("app", r#"{"a":"hunter2!","b":{"c":1},"d":7}"#)]);
    let one = |name, decode| sources.text(&entries(vec![decoded("key", name, decode)]));
    insta::assert_snapshot!(one("a", Decode::Base64), @r#"fill key "key": decode field "a" of source "app" as Base64: its character 8 is none of Base64; only line ends may stand in between. Correct the value in Vault, or set decode: None if it is not encoded"#);
    insta::assert_snapshot!(one("b", Decode::Base64Url), @r#"fill key "key": decode field "b" of source "app" as Base64URL: it is an object, and only text can be decoded; leave it out, point into it with a field that starts with "/", or set decode: None"#);
    assert!(one("/d", Decode::Base64).contains("it is a number"));
    let copied = With {
        decode: Decode::Base64,
        ..With::default()
    };
    let text = sources.text(&app(copied));
    assert!(
        text.contains(r#"field "a" of source "app""#) && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn the_value_that_loses_need_not_decode() {
    let sources = given(&[("app", r#"{"a":"no base64"}"#), ("over", r#"{"a":"aGk="}"#)]);
    let with = |source| {
        With {
            decode: Decode::Base64,
            ..With::default()
        }
        .of(source)
    };
    let mapping = Mapping {
        conflict_policy: ConflictPolicy::LastWins,
        ..copying(vec![with("app"), with("over")])
    };
    assert_eq!(sources.text(&mapping), "a=hi");
}

#[test]
fn copies_that_bring_a_large_source_again_and_again_are_given_up() {
    let text = format!(r#"{{"big":"{}"}}"#, "x".repeat(1_000_000));
    let sources = given(&[("app", &text)]);
    let many = (0..16).map(|at| {
        With {
            rename: Some(("$", &at.to_string())),
            ..With::default()
        }
        .of("app")
    });
    let error = sources.render(&copying(many.collect())).unwrap_err();
    let MappingError::SecretTooLarge { bytes, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(bytes, 9_000_000);
}

prop_compose! {
    pub fn copy()(source in prop::sample::select(NAMES.to_vec()), include in prop::collection::vec("[a-d]|[a-d]?[.]?[*+]?", 0..2),
              exclude in prop::collection::vec("[a-d]", 0..2), find in "[a-d]|\\(.[*]?\\)|[.]", put in "[a-e]{0,2}|[$]1x?|[$]0",
              case in prop::sample::select(vec![Case::None, Case::Upper, Case::Lower]),
              decode in prop::sample::select(vec![Decode::None, Decode::None, Decode::Base64, Decode::Base64Url])) -> Copy {
        let wording = Wording { include, exclude, rename: Some((find, put)), case };
        Copy { source: source.to_owned(), selection: Selection::new(wording).unwrap_or_default(), decode }
    }
}

#[test]
fn copies_that_go_through_too_many_names_are_given_up_with_the_way_out() {
    let name = |number: usize| format!("{number:0>1000}");
    let fields: Vec<String> = (0..1000)
        .map(|number| format!("\"{}\":\"x\"", name(number)))
        .collect();
    let none = With {
        include: &["a+"],
        ..With::default()
    };
    let text = format!("{{{}}}", fields.join(","));
    let sources = given(&[("app", &text)]);
    let one = sources.render(&copying(vec![none.of("app")]));
    let one = one.unwrap_err();
    assert!(
        matches!(one, MappingError::NothingIncluded { .. }),
        "once is not too much: {one}"
    );
    let some = || With {
        include: &["0+1?"],
        rename: Some(("^0+", "k")),
        ..With::default()
    };
    let three = (0..3).map(|_| some().of("app")).collect();
    let told = sources.render(&copying(three)).unwrap_err().to_string();
    assert_eq!(
        told,
        "copy fields of source \"app\": more than 2097152 bytes of names, of all copies together, would be held against the expressions of dataFrom; copy from fewer fields, or with fewer or simpler expressions"
    );
}
