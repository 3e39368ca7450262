//! Values arrive as they were written, to the last digit.

use anyhow::Result;
use vaultbridge_e2e::{SecretView, run, source};

/// Numbers that do not fit into a float of 64 bits, or are written in a way of their own. Engines of version 2 turn them
/// into floats themselves, so only one of version 1 still knows what was written.
const NUMBERS: &[(&str, &str, &str)] = &[
    ("int64", "9223372036854775807", "9223372036854775807"),
    (
        "long",
        "12345678901234567890123456789",
        "12345678901234567890123456789",
    ),
    ("odd", "9007199254740993", "9007199254740993"),
    ("negative", "-9007199254740993", "-9007199254740993"),
    ("price", "1.10", "1.10"),
    ("tiny", "1e-7", "1e-7"),
    (
        "within",
        r#"{"a": [9007199254740993]}"#,
        r#"{"a":[9007199254740993]}"#,
    ),
];

/// Everything else, as `(key, JSON in Vault, text in the Secret)`.
const VALUES: &[(&str, &str, &str)] = &[
    ("whole", "5432", "5432"),
    ("float", "0.5", "0.5"),
    ("yes", "true", "true"),
    ("no", "false", "false"),
    ("empty", r#""""#, ""),
    (
        "html",
        r#""<a href='x'>&amp;</a>""#,
        "<a href='x'>&amp;</a>",
    ),
    ("unicode", r#""Grüße 😀 \u0000 日本""#, "Grüße 😀 \0 日本"),
    ("escaped", r#""a\tb\n\"c\"\\""#, "a\tb\n\"c\"\\"),
    // Vault sorts the members of an object.
    (
        "object",
        r#"{"b": 1, "a": {"<": null}}"#,
        r#"{"a":{"<":null},"b":1}"#,
    ),
    (
        "array",
        r#"[1, "two", [false], {}]"#,
        r#"[1,"two",[false],{}]"#,
    ),
    ("empty_object", "{}", "{}"),
    ("empty_array", "[]", "[]"),
];

/// The fields as JSON, with one more that is null.
fn fields(cases: &[&(&str, &str, &str)]) -> String {
    let members: Vec<String> = cases
        .iter()
        .map(|(key, written, _)| format!("{key:?}: {written}"))
        .collect();
    format!("{{{}, \"nothing\": null}}", members.join(", "))
}

fn expect(secret: &SecretView, cases: &[&(&str, &str, &str)]) -> Result<()> {
    for (key, written, arrives) in cases {
        let found = secret.text(key)?;
        assert_eq!(found, *arrives, "{key}, which is {written} in Vault");
    }
    assert_eq!(secret.keys().len(), cases.len(), "null is absent");
    Ok(())
}

#[test]
fn values_of_version_two_arrive_as_they_were_written() -> Result<()> {
    run(async |t| {
        let cases: Vec<_> = VALUES.iter().collect();
        t.put_text("app", &fields(&cases)).await?;
        t.carry("app", &source("app")).await?;
        expect(&t.secret("app").await?, &cases)?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn values_of_version_one_arrive_as_they_were_written_numbers_digit_by_digit() -> Result<()> {
    run(async |t| {
        let cases: Vec<_> = VALUES.iter().chain(NUMBERS).collect();
        let mount = t.mount_v1().await?;
        let path = format!("{mount}/app");
        t.vault().write_text(&path, fields(&cases)).await?;
        let spec = "sources: [{ name: app, kv: { path: $tenant-v1/app } }]";
        t.carry("app", spec).await?;
        expect(&t.secret("app").await?, &cases)?;
        t.ready("app").await?;
        Ok(())
    })
}
