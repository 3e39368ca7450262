//! Values from Vault, read with the caller's own token.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use anyhow::bail;

use crate::api::Reason;
use crate::reconcile::offline::{Folder, Given, Place, Refused};
use crate::reconcile::walk::{WalkError, walk};
use crate::sensitive::{SecretJson, SecretText};
use crate::vault::engine::find_mount;
use crate::vault::{self, Client, KvReply, Mount, Settings, is_plain};

/// The longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where values are read, and as whom.
pub struct Server {
    client: Client,
    token: SecretText,
}

impl Server {
    /// The server of that address. `ca` are the PEM certificates to trust instead of the machine's, `server_name` the name to expect in the server's instead of that of the address.
    pub fn new(
        address: &str,
        namespace: &str,
        (ca, server_name): (Option<String>, Option<String>),
        token: SecretText,
        allow_plain_http: bool,
    ) -> anyhow::Result<Self> {
        if is_plain(address).map_err(|error| ours(&error))? && !allow_plain_http {
            bail!(
                "{address} is plain http, which shows the token to the network; use https, or --allow-plain-http for a server on this machine"
            );
        }
        let settings = Settings {
            address: address.to_owned(),
            namespace: namespace.to_owned(),
            ca_bundle: ca,
            server_name,
            client_identity: None,
            headers: BTreeMap::new(),
            timeout: TIMEOUT,
            max_concurrent_requests: 1,
        };
        let client = Client::new(&settings, None).map_err(|error| ours(&error))?;
        Ok(Self { client, token })
    }
}

/// The words speak of a VaultConnection; here the same things have other names.
fn ours(error: &dyn Display) -> anyhow::Error {
    let mut words = error.to_string();
    for (theirs, here) in [
        ("spec.address", "--vault-address"),
        ("spec.vaultNamespace", "--vault-namespace"),
        ("spec.tls.caBundle or spec.tls.caBundleRef", "--ca-file"),
        ("spec.tls.caBundle", "--ca-file"),
        ("spec.tls.serverName", "--tls-server-name"),
        (
            "set spec.tls.clientCertificateRef",
            "which render has none of: give the values with --values",
        ),
    ] {
        words = words.replace(theirs, here);
    }
    anyhow::anyhow!(words)
}

/// What was found, or why the object becomes no Secret of it. That Vault did not tell is an error around this.
pub type Answer<T> = anyhow::Result<Result<T, Refused>>;

/// The objects' source, in whose name Vault is asked.
pub struct Asking<'a> {
    /// Where.
    pub server: &'a Server,
    /// The Vault namespace of the object, or empty.
    pub namespace: &'a str,
    /// The name of the source.
    pub source: &'a str,
}

impl Asking<'_> {
    /// Reads one entry.
    pub async fn entry(&self, place: &Place) -> Answer<SecretJson> {
        let (mount, path) = self.locate(place).await?;
        let (source, full) = (self.source, full(place));
        let gone = |reason, what: &str| {
            Ok(Err(Refused {
                reason,
                message: format!("source {source}: {full} {what}"),
            }))
        };
        match self.read(&mount, &path, place.version).await? {
            KvReply::Found(secret) => Ok(Ok(secret.data)),
            KvReply::Deleted { .. } => gone(Reason::SourceDeleted, "was deleted in Vault"),
            KvReply::Destroyed => gone(Reason::SourceDeleted, "was destroyed in Vault"),
            KvReply::Absent => gone(Reason::PathNotFound, "does not exist in Vault"),
        }
    }

    /// Lists a folder, and reads what of it is taken.
    pub async fn folder(&self, folder: &Folder) -> Answer<Option<Given>> {
        let Server { client, token } = self.server;
        let (mount, path) = self.locate(&folder.place()).await?;
        let recursive = folder.is_recursive();
        let listed = walk(client, self.namespace, token, &mount, &path, recursive).await;
        let listed = match listed {
            Ok(listed) => listed,
            Err(WalkError::Unbounded(what)) => return Ok(Err(folder.unbounded(&what))),
            Err(WalkError::Slow(listed)) => return Ok(Err(folder.slow(listed))),
            Err(WalkError::List { below, error }) => {
                let path = format!("{}{below}", folder.path());
                return Err(self.untold("list", &path, &error));
            }
        };
        let chosen = match folder.choose(&listed) {
            Ok(chosen) => chosen,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut entries = Vec::with_capacity(chosen.len());
        for name in chosen {
            let path = match path.as_str() {
                "" => name.clone(),
                path => format!("{path}/{name}"),
            };
            let data = match self.read(&mount, &path, 0).await? {
                KvReply::Found(secret) => Some(secret.data),
                KvReply::Deleted { .. } | KvReply::Destroyed | KvReply::Absent => None,
            };
            entries.push((name, data));
        }
        Ok(folder.fill(listed.len(), entries))
    }

    /// The mount, and the path below it.
    async fn locate(&self, place: &Place) -> anyhow::Result<(Mount, String)> {
        let Server { client, token } = self.server;
        if let (mount, Some(version)) = (place.mount.as_str(), place.engine)
            && !mount.is_empty()
        {
            let path = mount.to_owned();
            return Ok((Mount { path, version }, place.path.clone()));
        }
        let full = full(place);
        let found = find_mount(client, self.namespace, token, &full).await;
        let found = found.map_err(|error| self.untold("read", &full, &error))?;
        let path = found.below(&full).unwrap_or_default().to_owned();
        let version = place.engine.unwrap_or(found.version);
        Ok((Mount { version, ..found }, path))
    }

    async fn read(&self, mount: &Mount, path: &str, version: u64) -> anyhow::Result<KvReply> {
        let Server { client, token } = self.server;
        let read = vault::read_kv(client, self.namespace, token, mount, path, version).await;
        let full = || format!("{}/{path}", mount.path.trim_end_matches('/'));
        read.map_err(|error| self.untold("read", &full(), &error))
    }

    /// The causes stand in the words already.
    fn untold(&self, verb: &str, path: &str, error: &dyn Display) -> anyhow::Error {
        let error = ours(error);
        anyhow::anyhow!("source {}: {verb} {path}: {error}", self.source)
    }
}

/// The path with its mount in front.
fn full(place: &Place) -> String {
    match place.mount.as_str() {
        "" => place.path.clone(),
        mount => format!("{mount}/{}", place.path),
    }
}
