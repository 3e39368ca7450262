//! Reading one KV secret, and telling apart why there is none.
//!
//! A version that was deleted can come back, a destroyed one cannot, and a path that never existed is most
//! likely a typing error. Vault answers all three with 404; only the body differs.

use serde::Deserialize;
use serde_json::value::RawValue;
use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::ReadSecretRequest;
use zeroize::Zeroizing;

use super::client::{Call, Client, READ};
use super::engine::{KvVersion, Mount};
use super::error::{Error, printable};
use crate::heavy;
use crate::sensitive::{SecretJson, SecretText};

/// What is at a path.
pub enum KvReply {
    /// A secret.
    Found(KvSecret),
    /// The version was deleted, and can be undeleted.
    Deleted {
        /// When, as Vault writes it (RFC 3339).
        time: String,
    },
    /// The version was destroyed for good.
    Destroyed,
    /// No such entry, or no such version of it.
    Absent,
}

/// A secret as it came.
pub struct KvSecret {
    /// The object of its fields, the very text that Vault sent.
    pub data: SecretJson,
    /// The number of the version, in engines that keep versions.
    pub version: Option<u64>,
    /// When this version was written (RFC 3339), in engines that keep versions.
    pub created_time: Option<String>,
}

/// Reads the secret at `path` below `mount`. `version` 0 is the newest; engines without versions ignore it.
///
/// [`Error::NotFound`] means that the place itself is missing: the mount, the namespace, or an engine of this
/// version. Only an entry that Vault plainly says it does not have is [`KvReply::Absent`], for that may lead to a
/// Secret being emptied, and a 404 from something in between must not.
pub async fn read_kv(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    mount: &Mount,
    path: &str,
    version: u64,
) -> Result<KvReply, Error> {
    let call = Call {
        operation: READ,
        namespace: Some(namespace),
        token: Some(token),
    };
    let reply = match mount.version {
        KvVersion::V1 => {
            let endpoint = GetSecretRequest {
                mount: mount.path.clone(),
                path: path.to_owned(),
            };
            client.send(call, &endpoint).await?
        }
        KvVersion::V2 => {
            let version = Some(version).filter(|version| *version > 0);
            let endpoint = ReadSecretRequest {
                mount: mount.path.clone(),
                path: path.to_owned(),
                version,
            };
            client.send(call, &endpoint).await?
        }
    };
    let length = reply.body.len();
    match (reply.status, reply.error) {
        (404, _) => missing(&reply.body),
        (_, Some(error)) => Err(error),
        (_, None) => {
            let (body, version) = (reply.body, mount.version);
            let parse = move || found(&body, version).map(KvReply::Found);
            heavy::work(client.party(), length, parse).await
        }
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    /// Only engines that issue credentials lend them; a KV engine never does.
    #[serde(default)]
    lease_id: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    created_time: String,
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
    version: u64,
}

/// The longest time that is taken for one; RFC 3339 with nanoseconds and an offset has 35 characters. It goes into the record on
/// the Secret.
const MAX_TIME: usize = 64;

const MALFORMED: Error = Error::Malformed {
    what: "the read of a KV secret",
};

fn found(body: &[u8], version: KvVersion) -> Result<KvSecret, Error> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|_| MALFORMED)?;
    if !envelope.lease_id.is_empty() {
        return Err(Error::Leased);
    }
    let (data, version, created_time) = match version {
        KvVersion::V1 => (envelope.data, None, None),
        KvVersion::V2 => {
            let Versioned { data, metadata } =
                serde_json::from_str(envelope.data.get()).map_err(|_| MALFORMED)?;
            let created_time = time(metadata.created_time)?;
            (data, Some(metadata.version), Some(created_time))
        }
    };
    if !data.get().starts_with('{') {
        return Err(MALFORMED);
    }
    let data = SecretJson::parse(Zeroizing::new(data.get().to_owned())).map_err(|_| MALFORMED)?;
    Ok(KvSecret {
        data,
        version,
        created_time,
    })
}

/// Stands for one version of a secret.
pub(super) fn version_fingerprint(version: u64, created_time: &str) -> String {
    format!("{version}:{created_time}")
}

/// Tells the kinds of 404 apart: `data` with metadata for a version that is gone, an empty list of errors for an
/// entry that is not there, errors or warnings in words for anything else.
pub(super) fn missing(body: &[u8]) -> Result<KvReply, Error> {
    #[derive(Deserialize)]
    struct Gone {
        data: Option<GoneData>,
        errors: Option<Vec<String>>,
        warnings: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    struct GoneData {
        metadata: Metadata,
    }
    let Gone {
        data,
        errors,
        warnings,
    } = serde_json::from_slice(body).map_err(|_| MALFORMED)?;
    match (data.map(|data| data.metadata), errors, warnings) {
        (
            Some(Metadata {
                destroyed: true, ..
            }),
            _,
            _,
        ) => Ok(KvReply::Destroyed),
        (Some(Metadata { deletion_time, .. }), _, _) if !deletion_time.is_empty() => {
            Ok(KvReply::Deleted {
                time: time(deletion_time)?,
            })
        }
        (None, Some(errors), _) if errors.is_empty() => Ok(KvReply::Absent),
        (None, Some(words), _) | (None, None, Some(words)) => Err(Error::NotFound {
            errors: words.iter().take(1).map(printable).collect(),
        }),
        (Some(_), _, _) | (None, None, None) => Err(MALFORMED),
    }
}

/// A time as Vault writes it; anything that is none for certain is not understood.
pub(super) fn time(text: String) -> Result<String, Error> {
    let plausible = text.len() <= MAX_TIME && text.bytes().all(|byte| byte.is_ascii_graphic());
    if plausible { Ok(text) } else { Err(MALFORMED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Replies of OpenBao 2.7.2 (request ids shortened); Vault's differ only in members that are not read.
    const V1: &str = r#"{"request_id":"4","lease_id":"","renewable":false,"lease_duration":3600,"data":{"big":123456789012345678901234567890,"ttl":"1h","x":1},"wrap_info":null,"warnings":null,"auth":null}"#;
    const V2: &str = r#"{"request_id":"2","lease_id":"","renewable":false,"lease_duration":0,"data":{"data":{"html":"\u003c\u0026\u003e","n":2},"metadata":{"created_time":"2026-11-23T06:53:45.441175425Z","custom_metadata":null,"deletion_time":"","destroyed":false,"version":3}},"wrap_info":null,"warnings":null,"auth":null}"#;
    const DELETED: &str = r#"{"request_id":"7","data":{"data":null,"metadata":{"created_time":"2026-11-23T06:53:45.44254333Z","custom_metadata":null,"deletion_time":"2026-11-23T06:53:45.4436959Z","destroyed":false,"version":4}},"warnings":null,"auth":null}"#;
    const DESTROYED: &str = r#"{"request_id":"5","data":{"data":null,"metadata":{"created_time":"2026-11-23T06:53:45.439639892Z","custom_metadata":null,"deletion_time":"","destroyed":true,"version":2}},"warnings":null,"auth":null}"#;
    const WRONG_VERSION: &str = r#"{"request_id":"6","data":null,"warnings":["Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use."],"auth":null}"#;

    #[test]
    fn an_unversioned_secret_is_the_text_that_vault_sent() {
        let secret = found(V1.as_bytes(), KvVersion::V1).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            secret.data.expose(),
            r#"{"big":123456789012345678901234567890,"ttl":"1h","x":1}"#
        );
        assert_eq!((secret.version, secret.created_time), (None, None));
    }

    #[test]
    fn a_reply_with_a_lease_is_no_secret_of_a_kv_engine() {
        let body = br#"{"lease_id":"database/creds/app/x","lease_duration":3600,"data":{"username":"v-app"}}"#;
        let refused = found(body, KvVersion::V1).err();
        assert_eq!(refused, Some(Error::Leased));
    }

    #[test]
    fn a_versioned_secret_comes_with_its_version_and_time() {
        let secret = found(V2.as_bytes(), KvVersion::V2).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            secret.data.expose(),
            r#"{"html":"\u003c\u0026\u003e","n":2}"#
        );
        assert_eq!(secret.version, Some(3));
        assert_eq!(
            secret.created_time.as_deref(),
            Some("2026-11-23T06:53:45.441175425Z")
        );
    }

    #[test]
    fn a_deleted_version_is_told_with_its_time() {
        let Ok(KvReply::Deleted { time }) = missing(DELETED.as_bytes()) else {
            panic!("not deleted")
        };
        assert_eq!(time, "2026-11-23T06:53:45.4436959Z");
    }

    #[test]
    fn a_time_that_is_none_is_not_carried_on() {
        let real = "2026-11-23T06:53:45.441175425Z";
        for strange in [
            "9".repeat(65),
            "2026-11-23 06:53:45".into(),
            "\\u0000".into(),
        ] {
            let error = found(V2.replace(real, &strange).as_bytes(), KvVersion::V2).err();
            assert_eq!(error, Some(MALFORMED), "{strange:?}");
            let body = DELETED.replace("2026-11-23T06:53:45.4436959Z", &strange);
            assert_eq!(missing(body.as_bytes()).err(), Some(MALFORMED), "{body}");
        }
    }

    #[test]
    fn a_destroyed_version_is_not_taken_for_a_deleted_one() {
        assert!(matches!(
            missing(DESTROYED.as_bytes()),
            Ok(KvReply::Destroyed)
        ));
    }

    #[test]
    fn an_entry_is_absent_only_where_vault_plainly_says_so() {
        assert!(matches!(missing(br#"{"errors":[]}"#), Ok(KvReply::Absent)));
    }

    #[test]
    fn a_missing_mount_or_namespace_or_engine_version_is_an_error_in_vaults_words() {
        let cases = [
            (
                r#"{"errors":["no handler for route \"nomount/data/a\". route entry not found."]}"#,
                r#"no handler for route "nomount/data/a""#,
            ),
            (
                r#"{"errors":["namespace not found"]}"#,
                "namespace not found",
            ),
            (
                WRONG_VERSION,
                "Invalid path for a versioned K/V secrets engine.",
            ),
        ];
        for (body, words) in cases {
            let error = missing(body.as_bytes()).err().unwrap();
            assert!(error.told()[0].starts_with(words), "{body}: {error:?}");
        }
    }

    #[test]
    fn a_404_of_something_else_than_vault_is_no_absence() {
        for body in [
            "",
            "<html>404 page not found</html>",
            "{}",
            r#"{"message":"no such route"}"#,
            "[]",
        ] {
            let error = missing(body.as_bytes()).err().unwrap();
            assert_eq!(error.kind(), "malformed", "{body:?}: {error}");
        }
    }

    #[test]
    fn a_reply_without_an_object_of_fields_is_not_taken_for_a_secret() {
        for body in [r#"{"data":null}"#, r#"{"data":"x"}"#, "hunter2", "{}"] {
            let error = found(body.as_bytes(), KvVersion::V1).err().unwrap();
            assert_eq!(
                error.to_string(),
                "vault's reply to the read of a KV secret is not understood",
                "{body}"
            );
        }
    }
}
