//! Which secrets engine stands behind a path.
//!
//! People write KV paths as they do on Vault's command line, without saying where the mount ends and whether it
//! keeps versions. Vault tells, to whoever may read something below the mount; the answer is kept for a while,
//! because it hardly ever changes and is the same for everybody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::client::{Call, Client};
use super::clock;
use super::endpoint::Get;
use super::error::{Error, printable};
use super::flight::Flights;
use crate::sensitive::SecretText;

/// How long an answer about a mount is believed.
const BELIEVED: Duration = Duration::from_mins(10);

/// Whether a KV mount keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KvVersion {
    /// One value per path, overwritten.
    V1,
    /// Numbered versions, which can be deleted, undeleted and destroyed.
    V2,
}

/// A KV mount.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mount {
    /// Its path, without a slash at either end.
    pub path: String,
    /// Whether it keeps versions.
    pub version: KvVersion,
}

/// Why no KV mount was found for a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// Vault did not answer the question. It answers "forbidden" also where no mount exists at all.
    #[error("find the mount of the path: {0}")]
    Vault(#[from] Error),
    /// The mount is of another kind.
    #[error("the mount {path} is of type {kind}, not kv")]
    NotKv {
        /// The mount's path.
        path: String,
        /// Its type, such as "database".
        kind: String,
    },
}

impl Mount {
    /// What of `path` lies below this mount; `None` if it is not below, or is the mount itself.
    pub fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.path)?
            .strip_prefix('/')
            .filter(|rest| !rest.is_empty())
    }
}

/// What is known about the mounts of all connections.
pub struct Mounts {
    known: Mutex<HashMap<(String, String), Vec<Known>>>,
    flights: Flights<Question, (), MountError>,
}

/// Who asks where for what: the connection, the Vault namespace, the party, and the first segment of the path.
type Question = (String, String, String, String);

struct Known {
    mount: Mount,
    since: Instant,
}

impl Mounts {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self {
            known: Mutex::new(HashMap::new()),
            flights: Flights::new(),
        }
    }

    /// The mount that `path` is below, and whether that was remembered: from memory or by asking Vault with `token`. `connection` stands for the
    /// client: what one connection tells is never believed of another. One question at a time per party and
    /// first segment of the path; those who wait share an outage, but not a refusal, which is about one token, and no party
    /// waits for the refusals of another.
    pub async fn find(
        &self,
        connection: &str,
        client: &Client,
        namespace: &str,
        token: &SecretText,
        path: &str,
    ) -> Result<(Mount, bool), MountError> {
        let place = (connection.to_owned(), namespace.to_owned());
        if let Some(mount) = self.remembered(&place, path) {
            return Ok((mount, true));
        }
        let first = path.split('/').next().unwrap_or_default().to_owned();
        let party = client.party().to_owned();
        let question = (place.0.clone(), place.1.clone(), party, first);
        let cell = self.flights.cell(&question);
        let turn = cell.turn().await?;
        if let Some(mount) = self.remembered(&place, path) {
            // Somebody asked while we waited.
            return Ok((mount, false));
        }
        match find_mount(client, namespace, token, path).await {
            Ok(mount) => {
                self.remember(place, mount.clone());
                Ok((mount, false))
            }
            Err(MountError::Vault(error)) if error.is_outage() => Err(turn.failed(error.into())),
            Err(error) => Err(error),
        }
    }

    /// Forgets one mount, because a read gave reason to doubt what is known about it.
    pub fn doubt(&self, connection: &str, namespace: &str, mount: &Mount) {
        if let Some(known) = self
            .lock()
            .get_mut(&(connection.to_owned(), namespace.to_owned()))
        {
            known.retain(|entry| entry.mount != *mount);
        }
    }

    /// Forgets all mounts of a connection, because its settings changed.
    pub fn forget(&self, connection: &str) {
        self.lock().retain(|(of, _), _| of != connection);
        drop(self.flights.take(|(of, _, _, _)| of == connection));
    }

    /// Forgets what is too old to be believed.
    pub fn sweep(&self) {
        let now = clock::now();
        self.lock().retain(|_, known| {
            known.retain(|entry| now.duration_since(entry.since) < BELIEVED);
            !known.is_empty()
        });
        self.flights.sweep(|_, ()| false);
    }

    fn remembered(&self, place: &(String, String), path: &str) -> Option<Mount> {
        let now = clock::now();
        let known = self.lock();
        // Vault does not let one mount stand below another, so at most one fits.
        let fits = |entry: &&Known| {
            now.duration_since(entry.since) < BELIEVED
                && (entry.mount.path == path || entry.mount.below(path).is_some())
        };
        known
            .get(place)?
            .iter()
            .find(fits)
            .map(|entry| entry.mount.clone())
    }

    fn remember(&self, place: (String, String), mount: Mount) {
        let mut known = self.lock();
        let of_place = known.entry(place).or_default();
        of_place.retain(|entry| entry.mount.path != mount.path);
        of_place.push(Known {
            mount,
            since: clock::now(),
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Vec<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Mounts {
    fn default() -> Self {
        Self::new()
    }
}

/// Asks Vault which mount `path` is below. Any permission on something below the mount suffices.
pub async fn find_mount(
    client: &Client,
    namespace: &str,
    token: &SecretText,
    path: &str,
) -> Result<Mount, MountError> {
    let endpoint = Get {
        path: format!("sys/internal/ui/mounts/{path}"),
        query: "",
    };
    let call = Call {
        operation: "mounts",
        namespace: Some(namespace),
        token: Some(token),
    };
    let reply = client.send(call, &endpoint).await?.success()?;
    parse_mount(&reply.body, path)
}

/// The mount that the reply tells of. One that `asked` is not below is no answer, and would be kept for nothing.
fn parse_mount(body: &[u8], asked: &str) -> Result<Mount, MountError> {
    #[derive(Deserialize)]
    struct Reply {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        path: String,
        #[serde(rename = "type")]
        kind: String,
        options: Option<Options>,
    }
    #[derive(Deserialize)]
    struct Options {
        version: Option<String>,
    }
    const MALFORMED: Error = Error::Malformed {
        what: "the question about the mount",
    };
    let Reply { data } = serde_json::from_slice(body).map_err(|_| MALFORMED)?;
    let path = data.path.trim_matches('/').to_owned();
    let version = data.options.and_then(|options| options.version);
    let version = match (data.kind.as_str(), version.as_deref()) {
        ("kv", Some("2")) => KvVersion::V2,
        // "generic" is what KV was called before it had versions.
        ("kv", None | Some("" | "1")) | ("generic", _) => KvVersion::V1,
        _ => {
            return Err(MountError::NotKv {
                path: printable(path),
                kind: printable(data.kind),
            });
        }
    };
    let mount = Mount { path, version };
    if mount.path == asked || mount.below(asked).is_some() {
        Ok(mount)
    } else {
        Err(MALFORMED.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Replies of OpenBao 2.7.2, shortened.
    const V2: &str = r#"{"lease_id":"","data":{"accessor":"kv_84465909","config":{"default_lease_ttl":0},"local":false,
        "options":{"version":"2"},"path":"team/kv2/","plugin_version":"","seal_wrap":false,"type":"kv"},"auth":null}"#;
    const V1: &str = r#"{"data":{"description":"","options":{},"path":"kv1/","type":"kv"}}"#;
    const CUBBYHOLE: &str =
        r#"{"data":{"local":true,"options":null,"path":"cubbyhole/","type":"cubbyhole"}}"#;

    #[test]
    fn the_mount_and_its_version_are_read_from_vaults_answer() {
        assert_eq!(
            parse_mount(V2.as_bytes(), "team/kv2/a"),
            Ok(Mount {
                path: "team/kv2".into(),
                version: KvVersion::V2
            })
        );
        assert_eq!(
            parse_mount(V1.as_bytes(), "kv1/a/b"),
            Ok(Mount {
                path: "kv1".into(),
                version: KvVersion::V1
            })
        );
    }

    #[test]
    fn a_mount_of_another_kind_is_named_with_its_kind() {
        let error = parse_mount(CUBBYHOLE.as_bytes(), "cubbyhole/a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the mount cubbyhole is of type cubbyhole, not kv"
        );
    }

    #[test]
    fn a_mount_that_the_path_is_not_below_is_no_answer() {
        let error = parse_mount(V2.as_bytes(), "team/kv22/a").unwrap_err();
        assert!(error.to_string().contains("not understood"), "{error}");
    }

    #[test]
    fn a_path_is_below_a_mount_by_whole_segments_only() {
        let mount = Mount {
            path: "team/kv2".into(),
            version: KvVersion::V2,
        };
        assert_eq!(mount.below("team/kv2/a/b"), Some("a/b"));
        assert_eq!(mount.below("team/kv22/a"), None);
        assert_eq!(mount.below("team/kv2"), None);
        assert_eq!(mount.below("team/kv2/"), None);
    }

    #[tokio::test]
    async fn what_is_known_counts_for_its_connection_and_namespace_until_it_is_doubted() {
        let mounts = Mounts::new();
        let place = |connection: &str| (connection.to_owned(), "shop".to_owned());
        let mount = Mount {
            path: "team/kv2".into(),
            version: KvVersion::V2,
        };
        mounts.remember(place("a"), mount.clone());
        assert_eq!(
            mounts.remembered(&place("a"), "team/kv2/x"),
            Some(mount.clone())
        );
        assert_eq!(mounts.remembered(&place("b"), "team/kv2/x"), None);
        mounts.doubt("a", "shop", &mount);
        assert_eq!(mounts.remembered(&place("a"), "team/kv2/x"), None);
    }
}
