//! The Secret as text, with its values or without.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_saphyr::LitStr;

use crate::reconcile::offline::Rendered;
use crate::sensitive::SecretBytes;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As people read it.
    Yaml,
    /// As programs do, one object a line.
    Json,
}

/// What is shown of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// How long they are. No API server takes such a Secret, so that it cannot be applied by mistake.
    Lengths,
    /// The values.
    Values,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Secret<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    immutable: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    data: BTreeMap<&'a str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    string_data: BTreeMap<&'a str, Text<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

/// A value that is text. One of several lines is shown in lines, where YAML can do that and give the same back.
struct Text<'a>(&'a str);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = |line: &str| {
            line.trim_ascii() == line.trim_ascii_start() && !line.contains(|c: char| c.is_control())
        };
        let lines = self.0.strip_suffix('\n').unwrap_or_default();
        let is_block =
            lines.contains('\n') && !lines.starts_with([' ', '\n']) && lines.split('\n').all(plain);
        if is_block && !self.0.ends_with("\n\n") {
            LitStr(self.0).serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

/// Prints the Secret. Values that are text stand under `stringData`, where people can read them, others under `data`.
pub fn print(secret: &Rendered, shown: Shown, format: Format) -> anyhow::Result<String> {
    let (mut data, mut string_data) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in &secret.data {
        match (shown, text(value)) {
            (Shown::Lengths, _) => {
                data.insert(key.as_str(), length(value));
            }
            (Shown::Values, Some(text)) => {
                string_data.insert(key.as_str(), Text(text));
            }
            (Shown::Values, None) => {
                data.insert(key.as_str(), STANDARD.encode(value.expose()));
            }
        }
    }
    let secret = Secret {
        api_version: "v1",
        kind: "Secret",
        metadata: Metadata {
            name: &secret.name,
            namespace: &secret.namespace,
            labels: &secret.labels,
            annotations: &secret.annotations,
        },
        r#type: secret.secret_type,
        immutable: secret.immutable,
        data,
        string_data,
    };
    Ok(match format {
        Format::Yaml => format!("---\n{}", serde_saphyr::to_string(&secret)?),
        Format::Json => serde_json::to_string(&secret)? + "\n",
    })
}

fn length(value: &SecretBytes) -> String {
    match value.len() {
        1 => "(1 byte)".to_owned(),
        bytes => format!("({bytes} bytes)"),
    }
}

fn text(value: &SecretBytes) -> Option<&str> {
    std::str::from_utf8(value.expose()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::sensitive::SecretData;

    fn rendered(value: &[u8]) -> Rendered {
        Rendered {
            namespace: "shop".into(),
            name: "orders".into(),
            secret_type: "Opaque",
            immutable: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            data: SecretData::from([("key".into(), SecretBytes::new(value.to_vec()))]),
        }
    }

    fn printed(value: &[u8], shown: Shown, format: Format) -> String {
        print(&rendered(value), shown, format).unwrap()
    }

    #[test]
    fn a_text_of_several_lines_is_shown_in_lines() {
        let text = printed(b"a: 1\nb:\n  c: x\n", Shown::Values, Format::Yaml);
        assert!(
            text.contains("  key: |\n    a: 1\n    b:\n      c: x\n"),
            "{text}"
        );
    }

    #[test]
    fn without_values_only_their_lengths_are_shown_and_no_server_would_take_them() {
        for format in [Format::Yaml, Format::Json] {
            let text = printed(b"hunter2", Shown::Lengths, format);
            assert!(
                text.contains("(7 bytes)") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again_as_it_was(text in "[ab :#|>'\"\\\\\\-\n\t]{0,20}") {
            for format in [Format::Yaml, Format::Json] {
                let printed = printed(text.as_bytes(), Shown::Values, format);
                let read: Vec<Value> = serde_saphyr::from_multiple(&printed).unwrap();
                prop_assert_eq!(&read[0]["stringData"]["key"], &Value::from(text.as_str()), "{}", printed);
            }
        }

        #[test]
        fn what_is_no_text_is_printed_as_base64(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            prop_assume!(std::str::from_utf8(&bytes).is_err());
            let printed = printed(&bytes, Shown::Values, Format::Json);
            let read: Value = serde_json::from_str(&printed).unwrap();
            let text = read["data"]["key"].as_str().unwrap_or_default();
            prop_assert_eq!(STANDARD.decode(text).ok(), Some(bytes));
        }
    }
}
