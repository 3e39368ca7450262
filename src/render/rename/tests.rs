//! Proves which fields a copy takes and what they are called, and what is said of expressions that cannot be.

use proptest::prelude::*;

use super::*;

fn list(expressions: &[&str]) -> Vec<String> {
    expressions.iter().map(|&text| text.to_owned()).collect()
}

fn renamed(find: &str, put: &str, case: Case) -> Result<Selection, WordingError> {
    Selection::new(Wording {
        rename: Some((find.to_owned(), put.to_owned())),
        case,
        ..Wording::default()
    })
}

fn key(find: &str, put: &str, name: &str) -> String {
    let selection = renamed(find, put, Case::None).unwrap_or_else(|error| panic!("{error}"));
    selection
        .key(name, &mut Effort::default())
        .unwrap()
        .into_owned()
}

fn problem(find: &str, put: &str) -> String {
    renamed(find, put, Case::None).unwrap_err().to_string()
}

fn chosen<'n>(include: &[&str], exclude: &[&str], names: &[&'n str]) -> Vec<&'n str> {
    let wording = Wording {
        include: list(include),
        exclude: list(exclude),
        ..Wording::default()
    };
    let selection = Selection::new(wording).unwrap_or_else(|error| panic!("{error}"));
    let taken = |name: &&str| selection.includes(name) && !selection.excludes(name);
    names.iter().copied().filter(taken).collect()
}

const NAMES: [&str; 5] = ["DB_HOST", "DB_PASSWORD", "MY_DB_HOST", "db_host", "other"];

#[test]
fn an_expression_must_match_the_whole_name() {
    assert_eq!(chosen(&["DB_HOST"], &[], &NAMES), ["DB_HOST"]);
    assert_eq!(chosen(&["DB_.*"], &[], &NAMES), ["DB_HOST", "DB_PASSWORD"]);
    assert_eq!(chosen(&["o|other|x"], &[], &NAMES), ["other"]);
    assert_eq!(chosen(&["^DB_HOST$"], &[], &NAMES), ["DB_HOST"]);
    assert_eq!(
        chosen(&["(?m)other$"], &[], &["other\nx", "other"]),
        ["other"]
    );
}

#[test]
fn one_expression_of_the_list_is_enough_to_include_and_to_exclude() {
    assert_eq!(
        chosen(&["DB_HOST", "o.*"], &[], &NAMES),
        ["DB_HOST", "other"]
    );
    assert_eq!(
        chosen(&["(?i)db_.*"], &["db_.*", ".*PASSWORD"], &NAMES),
        ["DB_HOST"]
    );
    assert_eq!(chosen(&[], &[".*_.*"], &NAMES), ["other"]);
    assert_eq!(chosen(&[], &[], &NAMES), NAMES);
}

#[test]
fn every_match_is_replaced_and_a_name_without_one_stays() {
    assert_eq!(key("^(.*)$", "APP_$1", "user"), "APP_user");
    assert_eq!(key("(.*)", "APP_$1", "user"), "APP_user");
    assert_eq!(key("[^A-Za-z0-9]+", "_", "a.b/c--d"), "a_b_c_d");
    assert_eq!(key("^old_", "", "old_name"), "name");
    assert_eq!(key("^old_", "", "name"), "name");
}

#[test]
fn groups_go_by_number_and_by_name_and_two_dollars_are_one() {
    let find = "^(?P<first>[a-z]+)[.](?<second>[a-z]+)(x)?$";
    assert_eq!(key(find, "$2-$1", "a.b"), "b-a");
    assert_eq!(key(find, "${second}_$first$3", "a.b"), "b_a");
    assert_eq!(key(find, "$$1", "a.b"), "$1");
    assert_eq!(key(find, "$0", "a.b"), "a.b");
}

#[test]
fn the_case_is_that_of_the_result_also_where_nothing_was_replaced() {
    let upper = renamed("^app[.]", "my-", Case::Upper).unwrap();
    assert_eq!(
        upper.key("app.user", &mut Effort::default()).unwrap(),
        "MY-USER"
    );
    assert_eq!(upper.key("user", &mut Effort::default()).unwrap(), "USER");
    let lower = Selection::new(Wording {
        case: Case::Lower,
        ..Wording::default()
    });
    let lower = lower.unwrap();
    assert_eq!(lower.key("USER", &mut Effort::default()).unwrap(), "user");
    // A sign that is an ordinary k only in small letters does not slip into a key.
    assert_eq!(
        lower.key("\u{212a}", &mut Effort::default()).unwrap(),
        "\u{212a}"
    );
}

#[test]
fn what_is_wrong_with_an_expression_is_told_with_its_place_and_the_fix() {
    let wording = Wording {
        include: list(&["a", "b("]),
        ..Wording::default()
    };
    let error = Selection::new(wording).unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"include[1]: correct the expression "b(" at its character 2: unclosed group; the syntax is that of RE2, where a sign that stands for itself has a backslash in front"#);
    let wording = Wording {
        exclude: list(&["ä(?!b)"]),
        ..Wording::default()
    };
    let error = Selection::new(wording).unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"exclude[0]: correct the expression "ä(?!b)" at its character 2: look-around, including look-ahead and look-behind, is not supported; the syntax is that of RE2, where a sign that stands for itself has a backslash in front"#);
    insta::assert_snapshot!(problem("*", "a"), @r#"rename.match: correct the expression "*" at its character 1: repetition operator missing expression; the syntax is that of RE2, where a sign that stands for itself has a backslash in front"#);
    assert!(problem("a\\1", "a").contains("backreferences"));
    assert!(problem(r"\p{Nothing}", "a").contains("Unicode property not found"));
}

#[test]
fn a_reference_to_a_group_that_is_not_there_is_told_with_those_that_are() {
    insta::assert_snapshot!(problem("^(.*)$", "$2"), @r#"rename.replace: name a group that match has: there is no "2", it has 1"#);
    insta::assert_snapshot!(problem("^(?<a>.)(.*)$", "$b"), @r#"rename.replace: name a group that match has: there is no "b", it has a, 2"#);
    insta::assert_snapshot!(problem("^(.*)$", "$1_KEY"), @r#"rename.replace: name a group that match has: there is no "1_KEY", it has 1; write ${1}_KEY if group 1 is meant"#);
    insta::assert_snapshot!(problem("^.*$", "${1}"), @r#"rename.replace: name a group that match has: there is no "1", it has none: put parentheses around what to keep"#);
    insta::assert_snapshot!(problem("a", "ä$"), @"rename.replace: write $1 or ${name} for a group at character 2, or $$ for a dollar sign");
    insta::assert_snapshot!(problem("(a)", "${1"), @"rename.replace: close the brace that opens at character 2");
}

#[test]
fn expressions_that_would_take_much_memory_are_refused() {
    let too_much = problem(r"(?:\w{1000}){100}", "a");
    assert!(too_much.contains("write simpler expressions"), "{too_much}");
    let wording = Wording {
        include: list(&[r"\w{250}"; 32]),
        ..Wording::default()
    };
    let error = Selection::new(wording).unwrap_err().to_string();
    assert!(error.starts_with("include: write simpler"), "{error}");
    let long = "a".repeat(MAX_TEXT + 1);
    assert!(problem(&long, "a").contains("1 to 1024 bytes"));
    assert!(problem("a", &long).contains("at most 1024 bytes"));
    let many = Wording {
        include: list(&["a"; 33]),
        ..Wording::default()
    };
    assert!(Selection::new(many).is_err());
}

#[test]
fn ordinary_lists_are_small_enough() {
    let wording = Wording {
        include: list(&["(?:DB|SMTP|S3)_.*(?:_URL|_HOST|_PORT|_PASSWORD)"; 32]),
        exclude: list(&[r"(?i)test_\w+", r".*[.]bak\d*"]),
        rename: Some((r"(\w+)[./-](\w+)".to_owned(), "${1}_$2".to_owned())),
        case: Case::Upper,
    };
    assert_eq!(Selection::new(wording).err(), None);
}

#[test]
fn a_comment_cannot_take_an_expression_out_of_its_bounds() {
    let wording = Wording {
        include: list(&["(?x)a # b"]),
        ..Wording::default()
    };
    let error = Selection::new(wording).unwrap_err().to_string();
    assert!(error.contains("without comments"), "{error}");
    assert_eq!(chosen(&["(?x) o th er "], &[], &NAMES), ["other"]);
}

#[test]
fn a_name_of_any_length_is_done_with_at_once() {
    let long = "a".repeat(8_000_000);
    let selection = renamed("a", &"b".repeat(1000), Case::None).unwrap();
    assert_eq!(selection.key(&long, &mut Effort::default()).unwrap(), long);
    let wording = Wording {
        include: list(&[".*"]),
        ..Wording::default()
    };
    assert!(!Selection::new(wording).unwrap().includes(&long));
    let key = selection.key("aaaa", &mut Effort::default()).unwrap();
    assert!(
        key.len() > MAX_KEY_LENGTH && key.len() < 1500,
        "{}",
        key.len()
    );
}

proptest! {
    #[test]
    fn any_expression_is_refused_or_used_within_the_bounds(
        find in "\\PC{1,12}|[a-c.*+?()|\\[\\]{}^$\\\\0-9]{1,16}", put in "\\PC{0,8}|[a-c${}0-3]{0,12}", name in "\\PC{0,20}|[a-c]{0,300}",
    ) {
        let wording = Wording {
            include: vec![find.clone()],
            exclude: vec![find.clone()],
            rename: Some((find.clone(), put.clone())),
            case: Case::Upper,
        };
        if let Ok(selection) = Selection::new(wording) {
            prop_assert_eq!(selection.includes(&name), selection.excludes(&name));
            let key = selection.key(&name, &mut Effort::default()).unwrap();
            prop_assert!(key.len() <= MAX_KEY_LENGTH + MAX_TEXT + MAX_NAME, "{}", key.len());
            prop_assert_eq!(key, selection.key(&name, &mut Effort::default()).unwrap());
        }
    }

    #[test]
    fn a_renaming_is_that_of_the_library(find in "[a-c.*?()|]{1,8}", name in "[a-c]{0,12}") {
        if let Ok(selection) = renamed(&find, "<$0>", Case::None) {
            let expected = Regex::new(&find).unwrap().replace_all(&name, "<$0>").into_owned();
            prop_assert_eq!(selection.key(&name, &mut Effort::default()).unwrap(), expected);
        }
    }
}

#[test]
fn names_that_would_keep_an_expression_busy_for_long_are_given_up_in_the_middle() {
    // Each match searches the rest of the name again.
    let wording = Wording {
        rename: Some(("a".into(), String::new())),
        ..Wording::default()
    };
    let selection = Selection::new(wording).unwrap();
    let (name, mut effort) = ("a".repeat(1024), Effort::default());
    assert!(selection.key(&name, &mut effort).is_some());
    assert!(selection.key(&name, &mut effort).is_none());
    let mut effort = Effort::default();
    let usual = |number| format!("database.password-{number:0>12}");
    let names = (0..1000).map(usual);
    let done = names.filter(|name| selection.key(name, &mut effort).is_some());
    assert_eq!(done.count(), 1000);
}
