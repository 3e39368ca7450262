//! From a VaultConnection to a server that can be asked: what its spec refers to is read, and a client made if the settings are new.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use crate::api::VaultConnection;
use crate::api::vault_connection::{CaBundleKind, CaBundleRef, ClientCertificateRef};
use crate::cluster::patience::silence;
use crate::cluster::{Key, WriteError, references};
use crate::connections::observer::RequestObserver;
use crate::connections::settings::{ConnectionProblem, Found, References, settings, settings_hash};
use crate::connections::{Connection, Entry};
use crate::reconcile::Context;
use crate::vault::Client;

/// How long all that a spec refers to may take to be read. It is less than the usual time for one answer: the server's probe waits for it.
const LOOK_UP: Duration = Duration::from_secs(5);

/// What became of the spec.
pub enum Resolved {
    /// It can be used.
    Usable(Arc<Connection>),
    /// It cannot be used as it stands; the message names the field and the fix.
    Unusable(String),
    /// The API server did not tell what the spec refers to.
    Unknown(WriteError),
}

/// Looks up what the spec refers to, and makes a connection of both.
pub async fn resolve(object: &VaultConnection, context: &Context) -> Resolved {
    let references = match before_the_probe(look_up(object, context)).await {
        Ok(references) => references,
        Err(error) => return Resolved::Unknown(error),
    };
    context
        .connections
        .read(object.metadata.name.as_deref().unwrap_or_default());
    match usable(object, &references, context) {
        Ok(connection) => Resolved::Usable(connection),
        Err(problem) => Resolved::Unusable(problem.to_string()),
    }
}

/// What was looked up, unless that takes so long that the server would not be watched meanwhile.
async fn before_the_probe<T>(
    look_up: impl Future<Output = Result<T, WriteError>>,
) -> Result<T, WriteError> {
    let found = tokio::time::timeout(LOOK_UP, look_up).await;
    found.unwrap_or_else(|_| Err(silence(LOOK_UP).into()))
}

async fn look_up(object: &VaultConnection, context: &Context) -> Result<References, WriteError> {
    let tls = &object.spec.tls;
    let namespace = &context.settings.namespace;
    let mut references = References::default();
    if let Some(CaBundleRef { kind, name, key }) = &tls.ca_bundle_ref {
        let at = Key::new(namespace, name);
        let (word, found) = match kind {
            CaBundleKind::ConfigMap => (
                "ConfigMap",
                references::config_map_key(&context.client, &at, key).await?,
            ),
            CaBundleKind::Secret => {
                let secret = references::secret_data(&context.client, &at).await?;
                let bytes = secret.and_then(|mut data| data.remove(key));
                (
                    "Secret",
                    bytes.and_then(|bytes| String::from_utf8(bytes.expose().to_vec()).ok()),
                )
            }
        };
        references.ca_bundle = Some(Found {
            what: format!("{word} {name}, key {key}"),
            content: found,
        });
    }
    if let Some(ClientCertificateRef { name }) = &tls.client_certificate_ref {
        let data = references::secret_data(&context.client, &Key::new(namespace, name)).await?;
        references.client_certificate = Some(Found {
            what: format!("Secret {name}"),
            content: data,
        });
    }
    Ok(references)
}

/// The connection as the spec wants it; with the client that there is, if the settings are what they were.
fn usable(
    object: &VaultConnection,
    references: &References,
    context: &Context,
) -> Result<Arc<Connection>, ConnectionProblem> {
    let (name, spec) = (
        object.metadata.name.clone().unwrap_or_default(),
        &object.spec,
    );
    let settings = settings(
        spec,
        references,
        context.settings.allow_plain_http,
        &context.settings.namespace,
    )?;
    let settings_hash = settings_hash(&settings);
    let known = match context.connections.get(&name) {
        Some(Entry::Usable(known)) if known.settings_hash == settings_hash => Some(known),
        Some(Entry::Usable(_) | Entry::Unusable { .. }) | None => None,
    };
    if let Some(known) = &known
        && known.auth == spec.auth
        && known.allowed == spec.allowed_namespaces
    {
        known.came_from(object.metadata.generation);
        return Ok(known.clone());
    }
    let client = if let Some(known) = &known {
        known.client.clone()
    } else {
        let (metrics, connection) = (context.metrics.clone(), name.clone());
        let observer = Arc::new(RequestObserver {
            metrics,
            connection,
        });
        Client::new(&settings, Some(observer))
            .map_err(|error| ConnectionProblem::of_client(error, references))?
    };
    Ok(Arc::new(Connection {
        identity: format!("{name}#{settings_hash}"),
        client,
        settings_hash,
        generation: AtomicI64::new(object.metadata.generation.unwrap_or_default()),
        address: spec.address.clone(),
        vault_namespace: spec.vault_namespace.clone(),
        auth: spec.auth.clone(),
        allowed: spec.allowed_namespaces.clone(),
        reachability: RwLock::new(known.map(|known| known.reachability()).unwrap_or_default()),
        probes: Mutex::default(),
        name,
    }))
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_look_up_that_hangs_does_not_keep_the_server_from_being_probed() {
        let hangs = before_the_probe(pending::<Result<(), _>>()).await;
        let error = hangs.unwrap_err().to_string();
        assert!(error.contains("within 5 s"), "{error}");
        assert_eq!(before_the_probe(ready(Ok(7))).await.ok(), Some(7));
    }
}
