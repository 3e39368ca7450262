//! What lies in a folder of a KV engine: the names of its entries, and, where the server tells that as well, which version each has.
//!
//! Vault lists one folder at a time, names only. OpenBao has a list with the metadata of every entry, also of all folders below, so
//! that one request shows whether anything has changed. Both are asked for by a GET with a query instead of a verb of Vault's own, which not every proxy knows.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::client::{Call, Client, LIST};
use super::endpoint::Get;
use super::engine::{KvVersion, Mount};
use super::error::Error;
use super::kv::{KvReply, missing, time, version_fingerprint};
use crate::heavy;
use crate::sensitive::SecretText;

/// An entry as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// There is one of that name; what is there, reading it tells.
    Name,
    /// Its newest version.
    Version {
        /// What a reading of it would have for a fingerprint.
        fingerprint: Arc<str>,
        /// When it was deleted, or will be.
        deletion: Option<Timestamp>,
    },
    /// It has no version that could be read.
    Gone,
}

/// What a list with metadata yields.
pub enum Detailed {
    /// The entries, without folders.
    Found(Vec<(String, Listed)>),
    /// There is no such folder.
    Absent,
    /// Names alone have to be asked for.
    Lacking(Lacking),
}

/// Where, and for whom, names are all that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// At the server, whoever asks: it says that it has no other list.
    Server,
    /// In this folder, for whoever asked: anything else that is not the list.
    Folder,
    /// This time. What the server fails at is a short cut only, and may work the next time.
    Once,
}

/// The names in the folder at `path` below `mount`, folders with a slash at their end; `None` if there is no such folder. An empty
/// path is the mount itself.
pub async fn list(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    mount: &Mount,
    path: &str,
) -> Result<Option<Vec<String>>, Error> {
    let endpoint = Get {
        path: match mount.version {
            KvVersion::V1 => joined(&[&mount.path, path]),
            KvVersion::V2 => joined(&[&mount.path, "metadata", path]),
        },
        query: "list=true",
    };
    let reply = client.send(call(namespace, token), &endpoint).await?;
    match (reply.status, reply.error) {
        (404, _) => absent(&reply.body),
        (_, Some(error)) => Err(error),
        (_, None) => {
            let (length, body) = (reply.body.len(), reply.body);
            let parse = move || names(&body);
            heavy::work(client.party(), length, parse).await
        }
    }
}

/// The entries in the folder at `path` below `mount`, and in all folders below it if `recursive`, with what is known of each. Of engines
/// with versions only.
pub async fn list_detailed(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    mount: &Mount,
    path: &str,
    recursive: bool,
) -> Result<Detailed, Error> {
    let endpoint = Get {
        path: joined(&[&mount.path, "detailed-metadata", path]),
        query: if recursive { "scan=true" } else { "list=true" },
    };
    let lacking = |lacking| Ok(Detailed::Lacking(lacking));
    let reply = match client.send(call(namespace, token), &endpoint).await {
        Err(Error::TooLarge { .. }) => return lacking(Lacking::Folder),
        reply => reply?,
    };
    match (reply.status, reply.error) {
        (404, _) if absent::<()>(&reply.body).is_ok() => Ok(Detailed::Absent),
        (404, _) if is_no_path(&reply.body) => lacking(Lacking::Server),
        // What the engine cannot do. Whether somebody may do it, Vault looks at before.
        (405, _) => lacking(Lacking::Server),
        (404, _) | (_, Some(Error::Rejected { .. } | Error::Forbidden { .. })) => {
            lacking(Lacking::Folder)
        }
        (_, Some(Error::Failed { .. })) => lacking(Lacking::Once),
        (_, Some(error)) => Err(error),
        (_, None) => {
            let (length, body) = (reply.body.len(), reply.body);
            let parse = move || entries(&body);
            Ok(heavy::work(client.party(), length, parse).await)
        }
    }
}

fn call<'a>(namespace: &'a str, token: &'a SecretText) -> Call<'a> {
    Call {
        operation: LIST,
        namespace: Some(namespace),
        token: Some(token),
    }
}

fn joined(parts: &[&str]) -> String {
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts.copied().collect::<Vec<_>>().join("/")
}

const MALFORMED: Error = Error::Malformed {
    what: "the list of a folder",
};

/// A folder that Vault plainly says it does not have. Anything else may be a mount that is missing, or something in between that
/// knows no lists.
fn absent<T>(body: &[u8]) -> Result<Option<T>, Error> {
    match missing(body)? {
        KvReply::Absent => Ok(None),
        KvReply::Found(_) | KvReply::Deleted { .. } | KvReply::Destroyed => Err(MALFORMED),
    }
}

/// Whether the engine says that it knows no such path at all, of which it warns beside an empty reply.
fn is_no_path(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Warned {
        data: Option<IgnoredAny>,
        errors: Option<IgnoredAny>,
        #[serde(default)]
        warnings: Option<Vec<String>>,
    }
    let warned = serde_json::from_slice(body);
    warned.is_ok_and(|warned: Warned| {
        let Warned {
            data,
            errors,
            warnings,
        } = warned;
        data.is_none() && errors.is_none() && warnings.is_some_and(|words| !words.is_empty())
    })
}

#[derive(Deserialize)]
struct Reply {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    /// Not there if nothing is.
    #[serde(default)]
    keys: Vec<String>,
    /// What is known of each.
    key_info: Option<HashMap<String, Option<Info>>>,
}

#[derive(Deserialize)]
struct Info {
    current_version: u64,
    #[serde(default)]
    versions: Newest,
}

/// The version with the greatest number. There may be thousands, and they are not kept.
#[derive(Default)]
struct Newest(Option<(u64, Version)>);

impl<'de> Deserialize<'de> for Newest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Versions)
    }
}

struct Versions;

impl<'de> Visitor<'de> for Versions {
    type Value = Newest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("versions by their numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut versions: A) -> Result<Newest, A::Error> {
        let mut newest = Newest::default();
        while let Some((number, version)) = versions.next_entry::<String, Version>()? {
            let Ok(number) = number.parse() else { continue };
            if newest.0.as_ref().is_none_or(|(other, _)| number >= *other) {
                newest = Newest(Some((number, version)));
            }
        }
        Ok(newest)
    }
}

#[derive(Deserialize)]
struct Version {
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

fn names(body: &[u8]) -> Result<Option<Vec<String>>, Error> {
    let Reply { data } = serde_json::from_slice(body).map_err(|_| MALFORMED)?;
    Ok(Some(data.keys).filter(|names| !names.is_empty()))
}

/// What is not understood, a list of names alone is asked about.
fn entries(body: &[u8]) -> Detailed {
    let Ok(Reply { data }) = serde_json::from_slice(body) else {
        return Detailed::Lacking(Lacking::Folder);
    };
    let Data { keys, key_info } = data;
    if keys.is_empty() {
        return Detailed::Absent;
    }
    let Some(mut known) = key_info else {
        return Detailed::Lacking(Lacking::Folder);
    };
    let names = keys.into_iter().filter(|name| !name.ends_with('/'));
    let entry = |name: String| {
        let listed = known.remove(&name).flatten().map_or(Listed::Name, listed);
        (name, listed)
    };
    Detailed::Found(names.map(entry).collect())
}

fn listed(info: Info) -> Listed {
    let Info {
        current_version,
        versions: Newest(newest),
    } = info;
    let newest = match newest {
        Some((number, newest)) if number == current_version => newest,
        None if current_version == 0 => return Listed::Gone,
        // Whatever that means, reading the entry tells it.
        Some(_) | None => return Listed::Name,
    };
    let Version {
        created_time,
        deletion_time,
        destroyed,
    } = newest;
    if destroyed {
        return Listed::Gone;
    }
    // A reading would not take it for a time either.
    let Ok(created_time) = time(created_time) else {
        return Listed::Name;
    };
    let deletion = match deletion_time.as_str() {
        "" => None,
        time => match time.parse() {
            Ok(time) => Some(time),
            Err(_) => return Listed::Name,
        },
    };
    Listed::Version {
        fingerprint: version_fingerprint(current_version, &created_time).into(),
        deletion,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Replies of OpenBao 2.7.2, shortened.
    const DETAILED: &str = r#"{"lease_id":"","data":{"keys":["both","both/","gone","late","none","odd","smtp","wiped"],"key_info":{
        "both":{"current_version":1,"versions":{"1":{"created_time":"2026-11-23T20:25:25.277024916Z","deletion_time":"","destroyed":false}}},
        "both/":{"current_version":1,"versions":{"1":{"created_time":"2026-11-23T20:25:25.277024916Z","deletion_time":"","destroyed":false}}},
        "gone":{"current_version":1,"versions":{"1":{"created_time":"2026-11-23T20:25:25.189Z","deletion_time":"2026-11-23T20:25:25.2Z","destroyed":false}}},
        "late":{"current_version":1,"versions":{"1":{"created_time":"2026-11-23T20:25:25.189Z","deletion_time":"some day","destroyed":false}}},
        "none":{"current_version":0,"versions":{}},
        "odd":null,
        "smtp":{"current_version":2,"versions":{"1":{"created_time":"2026-11-23T20:25:25.12Z","deletion_time":"","destroyed":false},"2":{"created_time":"2026-11-23T20:25:26.12Z","deletion_time":"","destroyed":false}}},
        "wiped":{"current_version":1,"versions":{"1":{"created_time":"2026-11-23T20:25:25.22Z","deletion_time":"","destroyed":true}}}
        }},"warnings":null}"#;

    #[test]
    fn a_detailed_list_tells_of_each_entry_what_its_newest_version_is() {
        let Detailed::Found(entries) = entries(DETAILED.as_bytes()) else {
            panic!("it is not understood")
        };
        let told: Vec<String> = entries
            .iter()
            .map(|(name, listed)| match listed {
                Listed::Name => format!("{name}: to be read"),
                Listed::Gone => format!("{name}: gone"),
                Listed::Version {
                    fingerprint,
                    deletion,
                } => {
                    let deleted = deletion.map(|time| format!(", deleted {time}"));
                    format!("{name}: {fingerprint}{}", deleted.unwrap_or_default())
                }
            })
            .collect();
        assert_eq!(
            told,
            [
                "both: 1:2026-11-23T20:25:25.277024916Z",
                "gone: 1:2026-11-23T20:25:25.189Z, deleted 2026-11-23T20:25:25.2Z",
                "late: to be read",
                "none: gone",
                "odd: to be read",
                "smtp: 2:2026-11-23T20:25:26.12Z",
                "wiped: gone",
            ]
        );
    }

    #[test]
    fn an_entry_whose_versions_make_no_sense_is_read() {
        let long = "9".repeat(100_000);
        for (told, expected) in [
            (r#"{"current_version":0,"versions":{}}"#.to_owned(), Listed::Gone),
            (r#"{"current_version":0}"#.to_owned(), Listed::Gone),
            (r#"{"current_version":0,"versions":{"1":{"created_time":"t"}}}"#.to_owned(), Listed::Name),
            (r#"{"current_version":3,"versions":{"2":{"created_time":"t"}}}"#.to_owned(), Listed::Name),
            (r#"{"current_version":2,"versions":{"x":{"created_time":"t"}}}"#.to_owned(), Listed::Name),
            (format!(r#"{{"current_version":1,"versions":{{"1":{{"created_time":"{long}"}}}}}}"#), Listed::Name),
            (
                r#"{"current_version":10,"versions":{"9":{"created_time":"early","destroyed":true},"10":{"created_time":"late"}}}"#.to_owned(),
                Listed::Version { fingerprint: "10:late".into(), deletion: None },
            ),
        ] {
            let info: Info = serde_json::from_str(&told).unwrap();
            assert_eq!(listed(info), expected, "{}", &told[..told.len().min(200)]);
        }
    }

    #[test]
    fn a_reply_that_is_no_detailed_list_has_names_alone_asked_for() {
        for body in [
            "",
            r#"{"data":{"keys":["a"]}}"#,
            r#"{"data":{"keys":["a"],"key_info":{"a":{}}}}"#,
            r#"{"data":{"password":"of an entry that stands there"}}"#,
        ] {
            let absent = body.contains("password");
            match entries(body.as_bytes()) {
                Detailed::Lacking(Lacking::Folder) => {}
                Detailed::Absent if absent => {}
                Detailed::Found(_) | Detailed::Absent | Detailed::Lacking(_) => {
                    panic!("{body} is taken for a list")
                }
            }
        }
    }

    #[test]
    fn a_folder_is_absent_only_where_vault_plainly_says_so() {
        assert_eq!(absent::<()>(br#"{"errors":[]}"#), Ok(None));
        // Vault 1.21 to a list with metadata, which it does not have.
        let unknown =
            br#"{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}"#;
        assert_eq!(absent::<()>(unknown).unwrap_err().kind(), "not_found");
        assert!(is_no_path(unknown));
        for other in [
            r#"{"errors":["no handler for route"]}"#,
            r#"{"errors":[],"warnings":["x"]}"#,
            r#"{"data":{},"warnings":["x"]}"#,
            r#"{"data":null,"warnings":[]}"#,
            "<html>",
        ] {
            assert!(!is_no_path(other.as_bytes()), "{other}");
        }
        assert_eq!(absent::<()>(b"<html>").unwrap_err().kind(), "malformed");
        assert_eq!(names(br#"{"data":{}}"#), Ok(None));
    }
}
