//! The commit record: what the operator knew when it last wrote a Secret, kept on that Secret.
//!
//! Data and record are written in one request, so they always belong together, and a restarted operator learns
//! everything from the metadata it watches anyway: no state of its own, no Secret to read. The record is one annotation
//! of compact JSON. Anybody who may edit the Secret may edit it too, so reading it must survive anything.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::seal::Mac;

/// The annotation that holds the record.
pub const ANNOTATION: &str = "vaultbridge.dev/state";

/// The most bytes that a record may have. A real one has far fewer: 16 sources need less than ten thousand.
pub const MAX_BYTES: usize = 16 * 1024;

/// The version of the format that this program writes, and the only one that it reads.
const FORMAT: u64 = 1;

/// What was true when the Secret was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The UID of the `VaultSecret` that the Secret was written for.
    pub owner_uid: String,
    /// Its name.
    pub owner_name: String,
    /// Its generation.
    pub generation: i64,
    /// [`request_hash`] of what was asked of Vault.
    pub request: String,
    /// The MAC of the Secret's data.
    pub mac: Mac,
    /// How many keys the data has.
    pub keys: usize,
    /// The type of the Secret.
    pub secret_type: String,
    /// Whether this operator made the Secret that others share; false of one that is the object's as a whole.
    pub made: bool,
    /// Counts the changes of the data: plus one whenever the written bytes differ.
    pub revision: i64,
    /// When the data last changed, in whole seconds.
    pub time: Timestamp,
    /// What is known of each source, by its name.
    pub sources: BTreeMap<String, SourceRecord>,
    /// The session that the issued values came from; none if no value was issued.
    pub session: Option<SessionRecord>,
}

/// The session that the issued values of a Secret came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Accessor of its token.
    pub accessor: String,
    /// [`request_hash`] of what was to be issued, and as whom: while it is the same, nothing has to be issued anew.
    pub asked: String,
    /// [`request_hash`] of the demand for new credentials that was met by these; empty if there was none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub forced: String,
}

/// What is known of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum SourceRecord {
    /// A source without lease or expiry, such as an entry of a KV engine.
    Static {
        /// Stands for where it was read: another place is another source, even under the same name.
        place: String,
        /// The version that was read; none where the engine counts none.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u64>,
        /// Stands for what was read, to see whether it is still the same.
        fingerprint: String,
        /// Whether Vault had nothing there when it was last asked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        missing: bool,
        /// Of how many entries it was made, if it is a folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entries: Option<usize>,
    },
    /// Credentials with a lease.
    Lease {
        /// Stands for where they were asked for.
        place: String,
        /// The lease's id.
        id: String,
        /// For how many seconds it was granted at first.
        seconds: u64,
        /// Whether it can be renewed.
        renewable: bool,
        /// When it was issued, in seconds of Unix time.
        issued: i64,
    },
    /// A token that was issued as a credential.
    Token {
        /// Stands for where it was asked for.
        place: String,
        /// Names the token without being one; empty for batch tokens.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        accessor: String,
        /// For how many seconds it was granted; zero for ever.
        seconds: u64,
        /// Whether it can be used for nothing but to unwrap what was issued.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        wraps: bool,
        /// When it was issued, in seconds of Unix time.
        issued: i64,
    },
    /// A certificate.
    Certificate {
        /// Stands for where and with what it was asked for.
        place: String,
        /// Its serial number, as it tells it.
        serial: String,
        /// From when on it is valid, in seconds of Unix time.
        not_before: i64,
        /// Until when it is valid, in seconds of Unix time.
        not_after: i64,
        /// When it was issued by our clock, in seconds of Unix time.
        issued: i64,
        /// Its lease, where the role gives one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<String>,
    },
    /// The answer to a request that was made once, without a lease.
    Written {
        /// Stands for where and with what it was asked for.
        place: String,
        /// When, in seconds of Unix time.
        issued: i64,
    },
}

impl SourceRecord {
    /// Of a place where nothing is.
    pub fn nothing(place: String) -> Self {
        Self::Static {
            place,
            version: None,
            fingerprint: String::new(),
            missing: true,
            entries: None,
        }
    }

    /// Stands for where the source was read.
    pub fn place(&self) -> &str {
        match self {
            Self::Static { place, .. }
            | Self::Lease { place, .. }
            | Self::Token { place, .. }
            | Self::Certificate { place, .. }
            | Self::Written { place, .. } => place,
        }
    }

    /// When it was issued, in seconds of Unix time; `None` of what was only read.
    pub fn issued(&self) -> Option<i64> {
        match self {
            Self::Static { .. } => None,
            Self::Lease { issued, .. }
            | Self::Token { issued, .. }
            | Self::Certificate { issued, .. }
            | Self::Written { issued, .. } => Some(*issued),
        }
    }
}

/// Why a text is no record. Whoever meets this treats the Secret as one whose record is lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The text, or the text to be, is longer than [`MAX_BYTES`].
    #[error("take a record of {bytes} bytes: annotation {ANNOTATION} may have {MAX_BYTES}")]
    TooLong {
        /// How many bytes there are.
        bytes: usize,
    },
    /// Another version of the program wrote it.
    #[error(
        "read annotation {ANNOTATION}: it has format version {version}, this program knows {FORMAT}; run the version that wrote it, or remove the annotation to have the Secret written anew"
    )]
    Version {
        /// The format version that stands there.
        version: u64,
    },
    /// The text is not what this program writes.
    #[error("read annotation {ANNOTATION}: {problem}; remove it to have the Secret written anew")]
    Form {
        /// What is wrong with it, in at most 200 characters.
        problem: String,
    },
}

/// The record as it stands in the annotation.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    v: u64,
    owner_uid: String,
    owner_name: String,
    generation: i64,
    request: String,
    mac: String,
    keys: usize,
    #[serde(rename = "type")]
    secret_type: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    made: bool,
    revision: i64,
    time: String,
    sources: BTreeMap<String, SourceRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<SessionRecord>,
}

/// The one field that every version of the format has.
#[derive(Deserialize)]
struct Version {
    v: u64,
}

impl Record {
    /// Reads the value of the annotation. Fields that are not known are passed over.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        check_length(text)?;
        let Version { v: version } = serde_json::from_str(text).map_err(form)?;
        if version != FORMAT {
            return Err(RecordError::Version { version });
        }
        let printed: Printed = serde_json::from_str(text).map_err(form)?;
        let time: Timestamp = printed
            .time
            .parse()
            .map_err(|error| form(format_args!("field time: {error}")))?;
        Ok(Self {
            owner_uid: printed.owner_uid,
            owner_name: printed.owner_name,
            generation: printed.generation,
            request: printed.request,
            mac: printed
                .mac
                .parse()
                .map_err(|error| form(format_args!("field mac: {error}")))?,
            keys: printed.keys,
            secret_type: printed.secret_type,
            made: printed.made,
            revision: printed.revision,
            time: whole_seconds(time),
            sources: printed.sources,
            session: printed.session,
        })
    }

    /// The value of the annotation. Fails only if it would be longer than [`MAX_BYTES`], which the bounds on names and
    /// on the number of sources rule out.
    pub fn print(&self) -> Result<String, RecordError> {
        let Self {
            owner_uid,
            owner_name,
            generation,
            request,
            mac,
            keys,
            secret_type,
            made,
            revision,
            time,
            sources,
            session,
        } = self;
        let printed = Printed {
            v: FORMAT,
            owner_uid: owner_uid.clone(),
            owner_name: owner_name.clone(),
            generation: *generation,
            request: request.clone(),
            mac: mac.to_string(),
            keys: *keys,
            secret_type: secret_type.clone(),
            made: *made,
            revision: *revision,
            time: whole_seconds(*time).to_string(),
            sources: sources.clone(),
            session: session.clone(),
        };
        let text = serde_json::to_string(&printed);
        let text = text.map_err(form)?;
        check_length(&text)?;
        Ok(text)
    }
}

/// A short name for a text that is no secret, such as the request that a spec makes: 32 hexadecimal digits.
pub fn request_hash(text: &str) -> String {
    let digest = Sha256::digest(text);
    let half = digest
        .iter()
        .take(16)
        .fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    format!("{half:032x}")
}

fn form(problem: impl std::fmt::Display) -> RecordError {
    let problem = problem.to_string();
    let problem = problem
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    RecordError::Form { problem }
}

fn check_length(text: &str) -> Result<(), RecordError> {
    if text.len() > MAX_BYTES {
        Err(RecordError::TooLong { bytes: text.len() })
    } else {
        Ok(())
    }
}

/// The same time without the part of a second.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAC: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn record() -> Record {
        let source = SourceRecord::Static {
            place: "e7ea0e5673124a51".to_owned(),
            version: Some(12),
            fingerprint: "12@2026".to_owned(),
            missing: false,
            entries: None,
        };
        let gone = SourceRecord::Static {
            place: "ccfbe4b5f2029bec".to_owned(),
            version: None,
            fingerprint: String::new(),
            missing: true,
            entries: None,
        };
        Record {
            owner_uid: "6f9619ff-8b86-4d01-b42d-00c04fc964ff".to_owned(),
            owner_name: "orders".to_owned(),
            generation: 4,
            request: request_hash("kv secret/shop/orders"),
            mac: MAC.parse().unwrap(),
            keys: 2,
            secret_type: "Opaque".to_owned(),
            made: false,
            revision: 7,
            time: "2026-11-23T07:00:00Z".parse().unwrap(),
            sources: BTreeMap::from([("app".to_owned(), source), ("extra".to_owned(), gone)]),
            session: None,
        }
    }

    fn problem(text: &str) -> String {
        Record::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_printed_form_never_changes_between_versions_of_the_program() {
        insta::assert_snapshot!(record().print().unwrap(), @r#"{"v":1,"ownerUid":"6f9619ff-8b86-4d01-b42d-00c04fc964ff","ownerName":"orders","generation":4,"request":"e7ea0e5673124a51ccfbe4b5f2029bec","mac":"k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","keys":2,"type":"Opaque","revision":7,"time":"2026-11-23T07:00:00Z","sources":{"app":{"type":"Static","place":"e7ea0e5673124a51","version":12,"fingerprint":"12@2026"},"extra":{"type":"Static","place":"ccfbe4b5f2029bec","fingerprint":"","missing":true}}}"#);
    }

    #[test]
    fn the_printed_form_of_issued_credentials_never_changes_either() {
        let lease = SourceRecord::Lease {
            place: "0d1f2a3b4c5d6e7f".to_owned(),
            id: "database/creds/orders/abcd".to_owned(),
            seconds: 3600,
            renewable: true,
            issued: 1_790_000_000,
        };
        let session = SessionRecord {
            accessor: "vuSH4QfN".to_owned(),
            asked: request_hash("database/creds/orders"),
            forced: String::new(),
        };
        let token = SourceRecord::Token {
            place: "1d1f2a3b4c5d6e7f".to_owned(),
            accessor: "Ax3".to_owned(),
            seconds: 60,
            wraps: true,
            issued: 1_790_000_000,
        };
        let certificate = SourceRecord::Certificate {
            place: "3d1f2a3b4c5d6e7f".to_owned(),
            serial: "11:22".to_owned(),
            not_before: 1_789_999_970,
            not_after: 1_790_003_600,
            issued: 1_790_000_000,
            lease: None,
        };
        let written = SourceRecord::Written {
            place: "2d1f2a3b4c5d6e7f".to_owned(),
            issued: 1_790_000_000,
        };
        let sources = [
            ("db", lease),
            ("robot", token),
            ("secretid", written),
            ("tls", certificate),
        ];
        let record = Record {
            sources: sources
                .map(|(name, source)| (name.to_owned(), source))
                .into(),
            session: Some(session),
            ..record()
        };
        let text = record.print().unwrap();
        let (_, rest) = text.split_once(r#""sources":"#).unwrap();
        insta::assert_snapshot!(rest, @r#"{"db":{"type":"Lease","place":"0d1f2a3b4c5d6e7f","id":"database/creds/orders/abcd","seconds":3600,"renewable":true,"issued":1790000000},"robot":{"type":"Token","place":"1d1f2a3b4c5d6e7f","accessor":"Ax3","seconds":60,"wraps":true,"issued":1790000000},"secretid":{"type":"Written","place":"2d1f2a3b4c5d6e7f","issued":1790000000},"tls":{"type":"Certificate","place":"3d1f2a3b4c5d6e7f","serial":"11:22","not_before":1789999970,"not_after":1790003600,"issued":1790000000}},"session":{"accessor":"vuSH4QfN","asked":"53152398a6d6435d90b9a74aadb6eb0d"}}"#);
        assert_eq!(Record::parse(&text), Ok(record));
    }

    #[test]
    fn what_was_printed_is_read_back() {
        assert_eq!(Record::parse(&record().print().unwrap()), Ok(record()));
    }

    #[test]
    fn the_part_of_a_second_is_not_kept() {
        let time = "2026-11-23T07:00:00.999Z".parse().unwrap();
        assert_eq!(
            Record::parse(&Record { time, ..record() }.print().unwrap()),
            Ok(record())
        );
    }

    #[test]
    fn a_field_of_a_later_version_is_passed_over() {
        let text = record()
            .print()
            .unwrap()
            .replacen('{', r#"{"later":[{}],"#, 1);
        assert_eq!(Record::parse(&text), Ok(record()));
    }

    #[test]
    fn another_format_version_is_refused_whatever_else_stands_there() {
        insta::assert_snapshot!(problem(r#"{"v":2,"everything":"else"}"#), @"read annotation vaultbridge.dev/state: it has format version 2, this program knows 1; run the version that wrote it, or remove the annotation to have the Secret written anew");
    }

    #[test]
    fn what_is_no_record_is_refused_with_what_is_wrong() {
        let text = record().print().unwrap();
        for (bad, expected) in [
            (String::new(), "EOF"),
            ("[]".to_owned(), "invalid"),
            ("{}".to_owned(), "missing field `v`"),
            (r#"{"v":1}"#.to_owned(), "missing field `ownerUid`"),
            (text.replace(MAC, "k1:short"), "field mac: "),
            (text.replace("2026-11-23", "yesterday"), "field time: "),
            (text.replace("Static", "Surprise"), "Surprise"),
            (text.replace(r#""keys":2"#, r#""keys":-2"#), "-2"),
            (
                text.replace(r#""keys":2"#, r#""keys":2,"keys":2"#),
                "duplicate",
            ),
            (format!("{text}{text}"), "trailing"),
        ] {
            let problem = problem(&bad);
            assert!(
                problem.contains(expected),
                "{expected:?} is not in {problem:?}"
            );
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_neither_read_nor_printed() {
        let error = RecordError::TooLong { bytes: 16_385 };
        assert_eq!(Record::parse(&" ".repeat(16_385)), Err(error));
        let long = Record {
            owner_name: "n".repeat(MAX_BYTES),
            ..record()
        };
        assert!(matches!(long.print(), Err(RecordError::TooLong { .. })));
    }

    #[test]
    fn the_largest_record_that_the_schema_admits_fits_well() {
        let source = SourceRecord::Lease {
            place: "f".repeat(16),
            id: "f".repeat(256),
            seconds: u64::MAX,
            renewable: false,
            issued: i64::MIN,
        };
        let session = SessionRecord {
            accessor: "f".repeat(256),
            asked: "f".repeat(32),
            forced: "f".repeat(32),
        };
        let sources = (0..16)
            .map(|number| (format!("{number:031}"), source.clone()))
            .collect();
        let largest = Record {
            owner_name: "n".repeat(253),
            secret_type: "t".repeat(253),
            generation: i64::MAX,
            revision: i64::MAX,
            sources,
            session: Some(session),
            ..record()
        };
        let bytes = largest.print().unwrap().len();
        assert!(bytes < MAX_BYTES * 2 / 3, "{bytes} bytes");
    }

    #[test]
    fn a_message_about_a_hostile_record_is_short_and_has_no_control_characters() {
        let hostile = format!(
            r#"{{"v":1,"ownerUid":[],"\u001b[31m{}":0}}"#,
            "x".repeat(9000)
        );
        for text in [
            hostile,
            format!(r#"{{"v":"{}"}}"#, "\u{1b}x".repeat(3000)),
            "[".repeat(16_000),
        ] {
            let problem = problem(&text);
            assert!(
                problem.len() < 500 && !problem.contains('\u{1b}'),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn a_request_hash_is_short_and_differs_with_the_text() {
        assert_eq!(request_hash(""), "e3b0c44298fc1c149afbf4c8996fb924");
        assert_ne!(request_hash("a"), request_hash("b"));
    }

    prop_compose! {
        fn any_record()(
            texts in prop::array::uniform4(".{0,40}"), numbers: (i64, i64, usize), tag in "[A-Za-z0-9_-]{42}", id in "[a-z0-9]{1,6}",
            second in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
            sources in prop::collection::btree_map(".{0,20}", (".{0,20}", any::<Option<u64>>(), ".{0,40}", any::<bool>(), any::<Option<(u64, i64)>>()), 0..4),
            kind in 0_u8..4,
            session in prop::option::of((".{0,20}", ".{0,20}", ".{0,5}")),
        ) -> Record {
            let [owner_uid, owner_name, request, secret_type] = texts;
            let (generation, revision, keys) = numbers;
            let source = |(place, version, fingerprint, missing, lease)| match lease {
                Some((seconds, issued)) => match kind {
                    0 => SourceRecord::Lease { place, id: fingerprint, seconds, renewable: missing, issued },
                    1 => SourceRecord::Token { place, accessor: fingerprint, seconds, wraps: missing, issued },
                    2 => SourceRecord::Certificate { place, serial: fingerprint, not_before: issued, not_after: issued, issued, lease: missing.then(String::new) },
                    _ => SourceRecord::Written { place, issued },
                },
                None => SourceRecord::Static { place, version, fingerprint, missing, entries: missing.then_some(7) },
            };
            Record {
                owner_uid, owner_name, request, made: keys == 1, secret_type, generation, revision, keys,
                mac: format!("{id}:{tag}A").parse().unwrap(),
                time: Timestamp::from_second(second).unwrap(),
                sources: sources.into_iter().map(|(name, parts)| (name, source(parts))).collect(),
                session: session.map(|(accessor, asked, forced)| SessionRecord { accessor, asked, forced }),
            }
        }
    }

    proptest! {
        #[test]
        fn every_record_is_read_back_as_it_was(record in any_record()) {
            prop_assert_eq!(Record::parse(&record.print().unwrap()), Ok(record));
        }

        #[test]
        fn a_damaged_record_is_read_or_refused_but_never_fatal(at in any::<prop::sample::Index>(), with in ".{0,3}", cut in 0_usize..4) {
            let text: Vec<char> = record().print().unwrap().chars().collect();
            let at = at.index(text.len());
            let damaged: String = text[..at].iter().copied().chain(with.chars()).chain(text[(at + cut).min(text.len())..].iter().copied()).collect();
            if let Ok(read) = Record::parse(&damaged) {
                prop_assert!(read.print().is_ok());
            }
        }

        #[test]
        fn any_text_is_a_record_or_an_error(text in ".{0,200}") {
            prop_assert!(Record::parse(&text).is_err());
        }
    }
}
