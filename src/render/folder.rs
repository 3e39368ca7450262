//! One document of many: the entries of a folder under their names, or their fields side by side.

use std::collections::BTreeMap;

use super::error::quoted;
use crate::sensitive::{JsonError, JsonRef, SecretJson};

/// Why the entries of a folder make no document.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// Two entries have the same field.
    #[error(
        "put the field {} into the Secret once: entry {} and entry {} of the folder both have it; leave one of them out with kvFolder.exclude, rename the field in Vault, or set kvFolder.flatten to false and take what is needed under data",
        quoted(field),
        quoted(first),
        quoted(second)
    )]
    Clash {
        /// The field.
        field: String,
        /// The one entry, in the order of their names.
        first: String,
        /// The other one.
        second: String,
    },
    /// An entry is nested too deeply to stand below its name.
    #[error(
        "put entry {} of the folder below its name: {problem} then; leave it out with kvFolder.exclude, nest it less deeply in Vault, or set kvFolder.flatten to true, which spares a level",
        quoted(entry)
    )]
    TooDeep {
        /// The entry.
        entry: String,
        /// How deep it may be.
        problem: JsonError,
    },
}

/// The entries as the members of one object, by their names.
pub fn nested(entries: &[(&str, &SecretJson)]) -> Result<SecretJson, FolderError> {
    let members = entries.iter().filter_map(|(name, entry)| {
        let root = entry.root()?;
        Some((*name, (*name, root)))
    });
    together(&members.collect::<Vec<_>>())
}

/// The fields of all entries as the members of one object. What is `null` is not there, and so is in nobody's way.
pub fn flat(entries: &[(&str, &SecretJson)]) -> Result<SecretJson, FolderError> {
    let mut fields: BTreeMap<String, (&str, JsonRef<'_>)> = BTreeMap::new();
    for (name, entry) in entries {
        let members = entry.root().and_then(JsonRef::members).unwrap_or_default();
        for (field, value) in members {
            if value.is_null() {
                continue;
            }
            if let Some((first, _)) = fields.get(&field) {
                return Err(FolderError::Clash {
                    field,
                    first: (*first).to_owned(),
                    second: (*name).to_owned(),
                });
            }
            fields.insert(field, (name, value));
        }
    }
    let members = fields.iter().map(|(field, value)| (field.as_str(), *value));
    together(&members.collect::<Vec<_>>())
}

/// One object of these members, each with the entry that it comes from.
fn together(members: &[(&str, (&str, JsonRef<'_>))]) -> Result<SecretJson, FolderError> {
    let object = |members: &[(&str, (&str, JsonRef<'_>))]| {
        SecretJson::object(members.iter().map(|(name, (_, value))| (*name, *value)))
    };
    object(members).map_err(|problem| {
        let mut each = members.chunks(1);
        let deep = each.find(|one| object(one).is_err());
        let entry = deep.and_then(|one| one.first().map(|(_, (entry, _))| (*entry).to_owned()));
        let entry = entry.unwrap_or_default();
        FolderError::TooDeep { entry, problem }
    })
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn json(text: &str) -> SecretJson {
        SecretJson::parse(Zeroizing::new(text.to_owned())).unwrap()
    }

    #[test]
    fn entries_stand_under_their_names_with_every_digit_as_it_came() {
        let (main, smtp) = (
            json(r#"{"n":1.50e3,"html":"\u003c"}"#),
            json(r#"{"a":null}"#),
        );
        let all = nested(&[("db/ma\"in", &main), ("smtp", &smtp)])
            .ok()
            .unwrap();
        assert_eq!(
            all.expose(),
            r#"{"db/ma\"in":{"n":1.50e3,"html":"\u003c"},"smtp":{"a":null}}"#
        );
        assert_eq!(nested(&[]).ok().unwrap().expose(), "{}");
    }

    #[test]
    fn fields_stand_side_by_side_and_two_of_one_name_are_refused_with_both_entries() {
        let (one, other) = (json(r#"{"b":1,"c":null}"#), json(r#"{"a":[2],"c":3}"#));
        let all = flat(&[("one", &one), ("other", &other)]).ok().unwrap();
        assert_eq!(all.expose(), r#"{"a":[2],"b":1,"c":3}"#);
        let third = json(r#"{"b":"hunter2"}"#);
        let error = flat(&[("db/one", &one), ("third", &third)]).err().unwrap();
        let words = error.to_string();
        assert!(
            words.starts_with(
                r#"put the field "b" into the Secret once: entry "db/one" and entry "third""#
            ),
            "{words}"
        );
    }

    #[test]
    fn what_is_nested_too_deeply_together_is_refused() {
        let deep = json(&format!(
            r#"{{"a":{}{}}}"#,
            "[".repeat(127),
            "]".repeat(127)
        ));
        assert!(flat(&[("a", &deep)]).is_ok());
        let small = json(r#"{"b":1}"#);
        let error = nested(&[("a", &small), ("z", &deep)]).err().unwrap();
        assert_eq!(
            error.to_string(),
            r#"put entry "z" of the folder below its name: the JSON is nested deeper than 128 levels then; leave it out with kvFolder.exclude, nest it less deeply in Vault, or set kvFolder.flatten to true, which spares a level"#
        );
    }
}
