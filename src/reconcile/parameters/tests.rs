//! Where the values of parameters come from, and what is told when they cannot be had.

use serde_json::json;

use super::*;
use crate::reconcile::issued::issued;

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
    let (mut given, mut room) = (Given::new(), MAX_VALUES);
    take(&[source()], "note", secret, &mut given, &mut room)?;
    Ok(given["ci"]["metadata"].expose().to_owned())
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

/// So many sources, each of which names the key `text` of the Secret `note` so many times.
fn sources(sources: usize, times: usize) -> Vec<IssuedJob> {
    let from: Vec<_> = (0..times)
        .map(|number| {
            let key = json!({ "name": "note", "key": "text" });
            json!({ "name": format!("p{number}"), "secretKeyRef": key })
        })
        .collect();
    let source = |number| {
        let write = json!({ "path": "auth/approle/role/ci/secret-id", "parametersFrom": from });
        let source = json!({ "name": format!("s{number}"), "write": write });
        let source = serde_json::from_value(source).unwrap();
        issued(&source).unwrap().unwrap()
    };
    (0..sources).map(source).collect()
}

/// How many bytes are taken where the key has so many.
fn taken(sources: &[IssuedJob], bytes: usize) -> Result<usize, Failure> {
    let note = SecretBytes::new(vec![b'x'; bytes]);
    let secret = SecretData::from([("text".to_owned(), note)]);
    let (mut given, mut room) = (Given::new(), MAX_VALUES);
    take(sources, "note", Some(&secret), &mut given, &mut room)?;
    let values = given.values().flat_map(BTreeMap::values);
    Ok(values.map(|value| value.expose().len()).sum())
}

#[test]
fn a_value_that_is_too_long_is_refused_by_source_parameter_secret_and_key_with_the_fix() {
    assert_eq!(taken(&sources(1, 1), MAX_VALUE).unwrap(), MAX_VALUE);
    let message = taken(&sources(1, 1), MAX_VALUE + 1).unwrap_err().message;
    for words in [
        "source s0",
        "parameter p0",
        "key text of Secret note",
        "more than 32768 bytes",
        "shorten it",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[test]
fn a_key_that_is_named_over_and_over_counts_as_often() {
    let each = MAX_VALUES / 256;
    assert_eq!(taken(&sources(16, 16), each).unwrap(), MAX_VALUES);
    let message = taken(&sources(16, 16), each + 1).unwrap_err().message;
    for words in ["more than 262144 bytes together", "key text of Secret note"] {
        assert!(message.contains(words), "{words}: {message}");
    }
}
