//! Values from Vault, read with the caller's own token.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use anyhow::bail;

use crate::api::Reason;
use crate::reconcile::offline::{Place, Refused};
use crate::sensitive::{SecretJson, SecretText};
use crate::vault::engine::find_mount;
use crate::vault::{self, Client, KvReply, Mount, Settings, SettingsError, is_plain};

/// The longest that one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Where values are read, and as whom.
pub struct Server {
    client: Client,
    token: SecretText,
}

impl Server {
    /// The server of that address. `ca` are the PEM certificates to trust instead of the machine's.
    pub fn new(
        address: &str,
        namespace: &str,
        ca: Option<String>,
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
            server_name: None,
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
fn ours(error: &SettingsError) -> anyhow::Error {
    let words = error.to_string();
    let words = words.replace("spec.address", "--vault-address");
    let words = words.replace("spec.vaultNamespace", "--vault-namespace");
    anyhow::anyhow!(words.replace("spec.tls.caBundle", "--ca-file"))
}

/// Reads one entry. The inner error is one of the object: there is nothing to make a value of. The outer one is that Vault did not tell.
pub async fn read(
    server: &Server,
    namespace: &str,
    source: &str,
    place: &Place,
) -> anyhow::Result<Result<SecretJson, Refused>> {
    let Server { client, token } = server;
    let full = match place.mount.as_str() {
        "" => place.path.clone(),
        mount => format!("{mount}/{}", place.path),
    };
    // The causes stand in the words already.
    let asked = |error: &dyn Display| anyhow::anyhow!("source {source}: read {full}: {error}");
    let (mount, path) = match (place.mount.as_str(), place.engine) {
        (mount, Some(version)) if !mount.is_empty() => {
            let path = mount.to_owned();
            (Mount { path, version }, place.path.clone())
        }
        _ => {
            let found = find_mount(client, namespace, token, &full).await;
            let found = found.map_err(|error| asked(&error))?;
            let path = found.below(&full).unwrap_or_default().to_owned();
            let version = place.engine.unwrap_or(found.version);
            (Mount { version, ..found }, path)
        }
    };
    let read = vault::read_kv(client, namespace, token, &mount, &path, place.version).await;
    let gone = |reason, what: &str| {
        Ok(Err(Refused {
            reason,
            message: format!("source {source}: {full} {what}"),
        }))
    };
    match read.map_err(|error| asked(&error))? {
        KvReply::Found(secret) => Ok(Ok(secret.data)),
        KvReply::Deleted { .. } => gone(Reason::SourceDeleted, "was deleted in Vault"),
        KvReply::Destroyed => gone(Reason::SourceDeleted, "was destroyed in Vault"),
        KvReply::Absent => gone(Reason::PathNotFound, "does not exist in Vault"),
    }
}
