//! Where the values of parameters come from, and what is told when they cannot be had.

use serde_json::json;

use super::*;
use crate::reconcile::issued::issued;
use crate::sensitive::SecretBytes;

/// A request with a plain parameter and one that is taken from key `text` of Secret `note`.
fn source() -> IssuedJob {
    let source = json!({ "name": "ci", "write": {
        "path": "auth/approle/role/ci/secret-id",
        "parameters": { "ttl": "1h" },
        "parametersFrom": [{ "name": "metadata", "secretKeyRef": { "name": "note", "key": "text" } }],
    } });
    let source = serde_json::from_value(source).unwrap();
    issued(&source).unwrap().unwrap()
}

fn note(key: &str, value: &[u8]) -> SecretData {
    SecretData::from([(key.to_owned(), SecretBytes::new(value.to_vec()))])
}

fn read_from(secret: Option<&SecretData>) -> Result<String, Failure> {
    let source = source();
    let found = value(&source, &source.secret_parameters[0], secret)?;
    Ok(found.expose().to_owned())
}

#[test]
fn a_parameter_is_what_its_key_holds_to_the_last_byte() {
    let note = note("text", " one\n".as_bytes());
    assert_eq!(read_from(Some(&note)).unwrap(), " one\n");
}

#[test]
fn a_parameter_that_cannot_be_had_is_told_with_the_fix_and_without_its_value() {
    for (secret, fix) in [
        (None, "which does not exist; create it"),
        (
            Some(note("other", b"hunter2")),
            "which has no such key; add it",
        ),
        (
            Some(note("text", b"hunter2\xff")),
            "which is not text; encode it",
        ),
    ] {
        let message = read_from(secret.as_ref()).unwrap_err().message;
        for words in [
            "source ci: parameter metadata",
            "key text of Secret note",
            fix,
        ] {
            assert!(message.contains(words), "{words}: {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_request_has_the_plain_parameters_and_those_that_are_given_to_its_source() {
    let secret = |text: &str| {
        let text = SecretText::new(text.to_owned());
        BTreeMap::from([("metadata".to_owned(), text)])
    };
    let mut given = Given::from([("another".to_owned(), secret("not for this one"))]);
    let of = |given: &Given| {
        let all = of(&source(), given).into_iter();
        let texts = all.map(|(name, text)| (name, text.expose().to_owned()));
        texts.collect::<Vec<_>>()
    };
    let plain = ("ttl".to_owned(), "1h".to_owned());
    assert_eq!(of(&given), std::slice::from_ref(&plain));
    given.insert("ci".to_owned(), secret("one"));
    let one = ("metadata".to_owned(), "one".to_owned());
    assert_eq!(of(&given), [one, plain]);
}
