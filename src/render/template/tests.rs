//! Examples and properties of templates.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::budget::Budget;
use super::functions::{Args, all, find, nearest};
use super::*;

/// What a template makes of one source `db` and one `app`, or the message.
fn made(text: &str) -> String {
    made_of(text, &[("app", APP), ("db", DB)])
}

const APP: &str = r#"{"hosts":["pg-0","pg-1"],"tls.key":"k","nested":{"port":5432,"nothing":null},"nothing":null,"big":12345678901234567890123,"price":1.10,"one":1,"half":0.5}"#;
/// A certificate for `orders.shop` and 10.0.0.1, its authority's, and its key, all of them for a hundred years and for nothing but this.
const TLS: &str = include_str!("tests/tls.json");
const DB: &str = r#"{"username":"orders","password":"a/b c"}"#;

fn made_of(text: &str, sources: &[(&str, &str)]) -> String {
    let parse = |text: &str| SecretJson::parse(Zeroizing::new(text.to_owned())).unwrap();
    let parsed: Vec<_> = sources
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (!text.is_empty()).then(|| parse(text))))
        .collect();
    let sources: Vec<_> = parsed
        .iter()
        .map(|(name, json)| (name.clone(), json.as_ref()))
        .collect();
    let rendered = Template::parse(text, None).and_then(|one| one.render(&Context::new(&sources)));
    match rendered {
        Ok(value) => String::from_utf8(value.expose().to_vec()).unwrap(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_text_has_the_fields_of_its_sources_in_it() {
    assert_eq!(
        made(
            "postgres://{{ .db.username | urlquery }}:{{ .db.password | urlquery }}@{{ index .app.hosts 0 }}:{{ .app.nested.port }}/"
        ),
        "postgres://orders:a%2Fb+c@pg-0:5432/"
    );
}

#[test]
fn every_example_of_a_function_gives_its_result() {
    for function in all() {
        let sources = [("app", APP), ("db", DB), ("tls", TLS)];
        let made = made_of(function.example, &sources);
        assert_eq!(made, function.result, "{}", function.name);
    }
}

#[test]
fn no_two_functions_have_the_same_name() {
    let mut names: Vec<&str> = all().map(|function| function.name).collect();
    names.sort_unstable();
    let mut unique = names.clone();
    unique.dedup();
    assert_eq!(names, unique);
}

#[test]
fn numbers_keep_their_digits() {
    assert_eq!(
        made("{{ .app.big }} {{ .app.price }} {{ .app.one }} {{ .app.half }}"),
        "12345678901234567890123 1.10 1 0.5"
    );
}

#[test]
fn what_is_missing_is_told_with_its_place_and_with_what_there_is() {
    for (text, message) in [
        (
            "a\n  {{ .db.pasword }}",
            r#"line 2, column 6: .db.pasword: source "db" has no field "pasword" (it has "password", "username")"#,
        ),
        (
            "{{ .dbx.password }}",
            r#"line 1, column 4: .dbx.password: there is no source "dbx" (there is "app", "db")"#,
        ),
        (
            "{{ .app.nothing }}",
            r#"line 1, column 4: .app.nothing: source "app" has no field "nothing" (it has "big", "half", "hosts", "nested", "one", "price", "tls.key")"#,
        ),
        (
            "{{ .app.nested.prot }}",
            r#"line 1, column 4: .app.nested.prot: there is no "prot" there"#,
        ),
        (
            "{{ .db.password.x }}",
            r#"line 1, column 4: .db.password.x: "x" is asked of a text, which has no members"#,
        ),
        (
            "{{ .app.nested.nothing }}",
            "line 1, column 4: this is null, of which nothing can be written; give it a value with default",
        ),
    ] {
        assert_eq!(made(text), message);
    }
}

#[test]
fn an_optional_source_that_is_absent_is_an_empty_dict() {
    let text = "{{ with .x }}there{{ else }}absent{{ end }}";
    assert_eq!(made_of(text, &[("x", "")]), "absent");
}

#[test]
fn the_names_of_a_dict_that_a_template_made_are_not_told() {
    let told = made("{{ $d := dict .db.password 1 }}{{ $d.x }}");
    assert_eq!(told, r#"line 1, column 35: $d.x: there is no "x" there"#);
}

#[test]
fn what_is_wrong_whatever_the_values_are_is_found_by_parsing() {
    for (text, message) in [
        ("{{ .db.password", "line 1, column 16: unclosed action"),
        (
            "{{ .db.password | b64encode }}",
            r#"line 1, column 19: there is no function "b64encode" (there is b64enc)"#,
        ),
        ("{{ if true }}", "line 1, column 1: a block has no end"),
        ("a{{ end }}b", "line 1, column 1: a block has no end"),
        ("a{{ else }}b", "line 1, column 1: a block has no end"),
        (
            r#"{{ define "a" }}"#,
            "line 1, column 1: a block has no end",
        ),
        ("{{ if }}{{ end }}", "line 1, column 9: empty command"),
        ("{{ break }}", "line 1, column 4: break and continue"),
        (
            "x {{ if false }}{{ now }}{{ end }}",
            r#"line 1, column 20: there is no function "now" here: There is no clock: the same sources make the same Secret."#,
        ),
        (
            "{{ upper }}",
            "line 1, column 4: upper takes one argument, and not 0",
        ),
        (
            r#"{{ template "x" . }}"#,
            r#"line 1, column 4: there is no template "x""#,
        ),
    ] {
        let error = Template::parse(text, None)
            .err()
            .map_or_else(String::new, |error| error.to_string());
        assert!(error.starts_with(message), "{text}: {error}");
    }
    assert_eq!(nearest("b64encode"), Some("b64enc"));
}

#[test]
fn delimiters_may_be_others() {
    let template = Template::parse("{{ [[ upper `a` ]] }}", Some(["[[", "]]"])).unwrap();
    let value = template.render(&Context::new(&[])).ok().unwrap();
    assert_eq!(value.expose(), b"{{ A }}");
}

#[test]
fn a_template_that_is_too_much_is_refused_and_always_in_the_same_way() {
    let doubling = "{{ $x = list $x $x }}".repeat(40);
    let nested = r#"{{ define "a" }}{{ template "a" }}{{ end }}{{ template "a" }}"#.to_owned();
    let mut wide = String::new();
    for level in 0..20 {
        let call = format!("{{{{ template \"t{}\" }}}}", level + 1).repeat(10);
        let define = format!("{{{{ define \"t{level}\" }}}}");
        wide = wide + &define + &call + "{{ end }}";
    }
    let wide = wide + r#"{{ define "t20" }}{{ end }}{{ template "t0" }}"#;
    let long = r#"{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 30 }}{{ $x = print $x $x }}{{ end }}"#;
    let deep = "{{ $x := list }}{{ range 5000 }}{{ $x = list $x }}{{ end }}";
    let operands = format!(
        "{{{{ range 9000 }}}}{{{{ and{} }}}}{{{{ end }}}}",
        " 1".repeat(9000)
    );
    let declared = format!(
        "{}{{{{ range 9000 }}}}{{{{ $ }}}}{{{{ end }}}}",
        "{{ $a := 1 }}".repeat(1500)
    );
    for (text, bound) in [
        (operands.as_str(), "16 MiB"),
        (declared.as_str(), "16 MiB"),
        ("{{ range 9000000000 }}{{ end }}", "100000 steps"),
        (
            "{{ range 90000 }}0123456789abcdef{{ end }}",
            "1048576 bytes",
        ),
        (&(String::from("{{ $x := list 1 }}") + &doubling), "2 MiB"),
        (&nested, "64 levels"),
        (&wide, "100000 steps"),
        (long, "1 MiB"),
        (deep, "200 levels"),
        (r#"{{ repeat 2000000 "a" }}"#, "1 MiB"),
        (r#"{{ indent 2000000 "a" }}"#, "1 MiB"),
        ("{{ until 20000 }}", "10000 numbers"),
        (
            r#"{{ list "" "" | join (repeat 900000 "a") | b64enc }}"#,
            "1 MiB",
        ),
        (
            r#"{{ replace "" (repeat 90000 "a") (repeat 90000 "b") }}"#,
            "1 MiB",
        ),
        (
            r#"{{ regexReplaceAll "" (repeat 60000 "b") (repeat 60000 "a") }}"#,
            "1 MiB",
        ),
        (
            r#"{{ regexFindAll ".*[^A-Z]|[A-Z]" (repeat 65000 "A") -1 | len }}"#,
            "16 MiB",
        ),
        (
            r#"{{ range 5 }}{{ regexMatch "([ab]*a[ab]{200}[^b]*x){3}" (repeat 65000 "a") }}{{ end }}"#,
            "16 MiB",
        ),
        (
            r#"{{ range 5000 }}{{ $x := printf "%65000d" 1 }}{{ end }}"#,
            "16 MiB",
        ),
        (
            r#"{{ range 5000 }}{{ $x := sha256sum (repeat 90000 "a") }}{{ end }}"#,
            "16 MiB",
        ),
    ] {
        let told = made(text);
        assert!(
            told.contains(bound),
            "{bound}: {}",
            &told[..told.len().min(300)]
        );
        assert_eq!(told, made(text));
    }
}

#[test]
fn all_templates_of_an_object_together_go_through_no_more_than_four_may_alone() {
    let much = r#"{{ range 55 }}{{ $x := sha256sum (repeat 90000 "a") }}{{ end }}"#;
    let (context, much) = (Context::new(&[]), Template::parse(much, None).unwrap());
    let mut rendered = 0;
    let told = loop {
        match much.render(&context) {
            Ok(_) => rendered += 1,
            Err(error) => break error.to_string(),
        }
    };
    let words = "this template and those before it go through more than 64 MiB together";
    assert!(told.contains(words), "{told}");
    assert!((4..8).contains(&rendered), "after {rendered}");
    assert_eq!(
        much.render(&Context::new(&[])).err(),
        None,
        "of another object"
    );
}

#[test]
fn a_template_that_is_nested_as_deep_as_it_may_be_does_not_need_more_stack_than_there_is() {
    let body = "{{ if true }}".repeat(60) + &"(".repeat(0) + &"{{ end }}".repeat(60);
    let pipes = format!("{{{{ {} true {} }}}}", "(not ".repeat(30), ")".repeat(30));
    let text = format!(
        "{}{pipes}{}",
        "{{ with list 1 }}".repeat(60),
        "{{ end }}".repeat(60)
    );
    assert_eq!(made(&body), "");
    assert_eq!(made(&text), "true");
}

#[test]
fn only_words_between_quotes_are_shown_by_a_template_that_fails() {
    assert_eq!(
        made(r#"{{ fail "no port" }}"#),
        "line 1, column 4: the template stops here: no port"
    );
    let told = made("{{ fail .db.password }}");
    assert!(told.contains("its words are not shown"), "{told}");
    let told = made("{{ .db.password | fail }}");
    assert!(told.contains("its words are not shown"), "{told}");
}

#[test]
fn a_dict_in_a_variable_changes_where_it_would_in_go() {
    assert_eq!(
        made(r#"{{ $d := dict }}{{ $_ := set $d "a" 1 }}{{ $d | toJson }}"#),
        r#"{"a":1}"#
    );
}

#[test]
fn what_is_binary_is_written_as_it_is_and_refused_by_functions_of_texts() {
    let template = Template::parse(
        r#"{{ b64dec "AP+A" }}{{ default "x" (b64dec "/w==") }}"#,
        None,
    );
    let value = template.and_then(|one| one.render(&Context::new(&[])));
    assert_eq!(value.ok().unwrap().expose(), b"\x00\xff\x80\xff");
    assert_eq!(made(r#"{{ b64dec "AP+A" | b64enc }}"#), "AP+A");
    assert_eq!(made(r#"{{ b64dec "AP+A" | len }}"#), "3");
    for call in [
        "upper",
        "list",
        "print",
        "toJson",
        "quote",
        "eq 1",
        "dict \"a\"",
    ] {
        let told = made(&format!(r#"{{{{ b64dec "/w==" | {call} }}}}"#));
        assert!(told.contains("and is a binary value"), "{call}: {told}");
    }
}

#[test]
fn the_page_about_templates_is_current() {
    let written =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/templates.md"));
    assert!(
        written.is_ok_and(|written| written == page::page()),
        "docs/templates.md is not what src/render/template makes; run `make docs`"
    );
}

#[test]
fn every_function_that_people_know_is_here_or_left_out_with_a_reason() {
    let known_names = || {
        known::SPRIG
            .split(' ')
            .chain(known::EXTERNAL_SECRETS.split(' '))
    };
    for name in known_names() {
        let (here, left_out) = (find(name).is_some(), known::left_out(name).is_some());
        assert!(here != left_out, "{name}: here {here}, left out {left_out}");
    }
    for (names, _) in known::DIFFERS.iter().chain(known::LEFT_OUT) {
        for name in names.split(' ') {
            assert!(
                known_names().any(|known| known == name),
                "{name} is nobody's"
            );
        }
    }
}

#[test]
fn a_key_store_comes_back_as_it_went_in_and_is_the_same_each_time() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    let source = serde_json::json!({ "key": key.serialize_pem(), "crt": certificate }).to_string();
    let make = |text: &str| made_of(text, &[("s", &source)]);
    let store = "pemToPkcs12Pass .s.crt .s.key \"pw\"";
    assert_eq!(
        make(&format!("{{{{ {store} }}}}")),
        make(&format!("{{{{ {store} }}}}"))
    );
    let back = make(&format!(
        r#"{{{{ {store} | b64dec | pkcs12certPass "pw" }}}}"#
    ));
    assert_eq!(
        back.replace("\r\n", "\n"),
        certificate.replace("\r\n", "\n")
    );
    let told = make(&format!(r#"{{{{ {store} | pkcs12keyPass "wrong" }}}}"#));
    assert!(
        told.contains("the password is not that of the key store"),
        "{told}"
    );
}

/// What must never be seen.
const CANARY: &str = "cAnArY";
const NUMBER: i64 = 918_273_645;

fn canary() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(CANARY.to_owned()),
        Just(format!("{CANARY}=")),
        Just(format!("{{\"{CANARY}\": {CANARY}")),
        Just(format!("[{CANARY}(")),
        Just(format!("({CANARY}")),
        Just(format!("%!{CANARY}%d%z")),
        Just(format!("&{CANARY}: *{CANARY}\n\t- {CANARY}")),
        Just(format!("http://{CANARY}:%zz@[{CANARY}")),
        Just(format!(">= {CANARY}")),
        Just(format!("ä{CANARY}ß")),
        Just(NUMBER.to_string()),
        Just(format!("{NUMBER}{NUMBER}{NUMBER}")),
    ];
    let leaf = prop_oneof![
        4 => text.prop_map(Value::from),
        1 => Just(Value::Int(NUMBER)),
        1 => Just(Value::Int(-NUMBER)),
        1 => Just(Value::Int(1)),
        1 => Just(Value::Float(918_273.645)),
        1 => Just(Value::Nil),
        1 => Just(Value::Bool(true)),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.prop_map(|value| {
                let members = BTreeMap::from([(CANARY.to_owned(), value)]);
                Value::from(members)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_error_of_any_function_shows_what_it_was_given(
        arguments in prop::collection::vec(canary(), 0..5)
    ) {
        for function in all() {
            let mut budget = Budget::new(usize::MAX);
            let called = Args::new(function, &arguments, None, &mut budget)
                .and_then(|mut args| (function.body)(&mut args));
            if let Err(fault) = called {
                let told = fault.to_string();
                let shows = ["canary", "91827"].iter().any(|one| told.to_lowercase().contains(one));
                prop_assert!(!shows, "{} says {told}", function.name);
            }
        }
    }

    #[test]
    fn no_error_of_any_template_shows_a_value(
        names in prop::collection::vec(0..all().count(), 1..4),
        constant in 0..3_usize,
    ) {
        let source = format!(r#"{{"f":"{CANARY}","n":{NUMBER},"l":["{CANARY}"],"d":{{"{CANARY}":"{CANARY}"}}}}"#);
        let text = names.iter().fold(["{{ .s.f", "{{ .s.l", "{{ .s.d"][constant].to_owned(), |text, index| {
            let function = all().nth(*index).unwrap();
            let more = [".s.f", ".s.n", ".s.d"];
            let count = function.arguments.split_whitespace().count().saturating_sub(1);
            format!("{text} | {} {}", function.name, more.iter().cycle().take(count).copied().collect::<Vec<_>>().join(" "))
        }) + " }}{{ .s.d.x }}";
        let parsed = SecretJson::parse(Zeroizing::new(source)).ok().unwrap();
        let sources = [("s".to_owned(), Some(&parsed))];
        if let Ok(template) = Template::parse(&text, None)
            && let Err(error) = template.render(&Context::new(&sources))
        {
            let told = error.to_string();
            prop_assert!(!told.contains(CANARY) && !told.contains("91827"), "{told}");
        }
    }

    #[test]
    fn no_text_makes_the_reader_or_the_carrying_out_panic(text in r#"(\{\{-? ?|-?\}\}|[.$|()]|if |end|range |with |[a-z.]{1,6} |"a" |[0-9]{1,3} |\PC){0,12}"#) {
        let _ = made(&text);
    }
}

#[test]
fn functions_are_found_by_their_names() {
    assert!(find("b64enc").is_some());
    assert!(find("now").is_none());
}
