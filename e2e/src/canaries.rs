//! Every value that the harness ever put into Vault, and the search for them where no value may ever be.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::Value;

/// Shorter values are not searched for: `true` and `5432` stand in every log for good reasons.
const SHORTEST: usize = 8;

/// How many letters and digits come at least after the `s.` or `b.` of a token without a longer prefix.
const RANDOM: usize = 24;

/// The values stored so far.
#[derive(Debug, Default)]
pub struct Canaries {
    values: Mutex<BTreeSet<String>>,
}

impl Canaries {
    /// Remembers every text in the value, however deep.
    pub fn remember(&self, value: &Value) {
        match value {
            Value::String(text) => self.remember_text(text),
            Value::Array(values) => values.iter().for_each(|value| self.remember(value)),
            Value::Object(fields) => fields.values().for_each(|value| self.remember(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => (),
        }
    }

    /// Remembers a text, if it is long enough to be told from chance.
    pub fn remember_text(&self, text: &str) {
        if text.len() >= SHORTEST {
            self.values
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(text.to_owned());
        }
    }

    /// Looks for all of them, plain, as base64 and as JSON text, and for tokens of any kind. Each find is a sentence that
    /// names the place and the line, with the value itself; tests' values are no secrets.
    #[must_use]
    pub fn scan(&self, place: &str, text: &str) -> Vec<String> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for line in text.lines() {
            found.extend(token(line).map(|what| format!("{place} shows {what}: {line}")));
        }
        for value in values.iter() {
            let escaped = Value::from(value.as_str()).to_string();
            let forms = [
                value.clone(),
                STANDARD_NO_PAD.encode(value),
                escaped.trim_matches('"').to_owned(),
            ];
            let line = forms.iter().find_map(|form| line_with(text, form));
            found.extend(
                line.map(|line| format!("{place} shows the stored value {value:?}: {line}")),
            );
        }
        found
    }
}

/// Which kind of token stands in a line, if any: of a Vault or OpenBao server, or of a service account.
fn token(line: &str) -> Option<&'static str> {
    let part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    line.split(|c| !part(c))
        .find_map(|word| match word.split_once('.') {
            Some(("hvs" | "hvb" | "hvr", _)) => Some("a Vault token"),
            Some(("s" | "b" | "r", rest)) if rest.len() >= RANDOM && !rest.contains('.') => {
                Some("an OpenBao token")
            }
            Some((head, _)) if head.starts_with("eyJhbGciOi") => Some("a service account's token"),
            Some(_) | None => None,
        })
}

fn line_with<'a>(text: &'a str, needle: &str) -> Option<&'a str> {
    let place = text.find(needle)?;
    let start = text[..place].rfind('\n').map_or(0, |end| end + 1);
    let end = text[place..]
        .find('\n')
        .map_or(text.len(), |end| place + end);
    Some(&text[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stored_value_is_found_plain_encoded_and_escaped() {
        let canaries = Canaries::default();
        canaries.remember(&json!({ "deep": [{ "password": "tall \"tree\" 1" }], "port": "5432" }));
        for leak in [
            "a\nx tall \"tree\" 1 y\nb",
            "dGFsbCAidHJlZSIgMQ==",
            r#"{"v":"tall \"tree\" 1"}"#,
        ] {
            assert_eq!(canaries.scan("log", leak).len(), 1, "{leak}");
        }
        assert_eq!(
            canaries.scan("log", "port 5432, a tall tree"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_token_is_found_without_having_been_stored() {
        let found = |line: &str| Canaries::default().scan("log", line).len();
        for token in [
            "hvs.CAESIJ",
            "s.gMkqJV8jBpVyYcD1eeFi7uUB",
            "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
        ] {
            assert_eq!(
                found(&format!("before\ntoken=\"{token}\" accepted")),
                1,
                "{token}"
            );
        }
        for innocent in [
            "tokens.rs",
            "s.spec.source",
            "https://kubernetes.default.svc/apis",
        ] {
            assert_eq!(found(innocent), 0, "{innocent}");
        }
    }
}
