//! Step 2: from what a person wrote to a job that can be done. All validation is here; later steps do not check again.
//!
//! The API server has refused what CEL can see. What is checked here is what it cannot see (other objects), and, once
//! more, everything that would be dangerous if a rule of the schema were missing: paths above all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::hold::Hold;
use super::issued::{self, IssuedJob, LeaseJob};
use super::mapping::mapping;
use super::observe::{ConnectionView, Observed, TemplateMaps};
use super::source_job::{self, SourceJob};
use super::texts::texts_of;
use crate::api::destination::{
    AdoptionPolicy, CreationPolicy, DeletionPolicy, MissingSourcePolicy, SecretType,
};
use crate::api::vault_secret::AuthMethod;
use crate::api::{DEFAULT_AUDIENCE, Reason, VaultSecret};
use crate::cluster::Key;
use crate::connections::{Connection, Entry, admits};
use crate::record::request_hash;
use crate::render::Mapping;
use crate::schedule::parse_duration;
use crate::vault;

/// A VaultSecret, checked: everything that the following steps need and nothing that can be wrong.
pub struct Job {
    /// Namespace and name of the object.
    pub key: Key,
    /// Its UID.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// The server to ask.
    pub connection: Arc<Connection>,
    /// Asks it in the namespace's name.
    pub client: vault::Client,
    /// As whom.
    pub login: Login,
    /// Vault namespace of the sources.
    pub vault_namespace: String,
    /// What to read, in the order of the spec.
    pub sources: Vec<SourceJob>,
    /// What to have issued, in the order of the spec.
    pub issued: Vec<IssuedJob>,
    /// The names of all sources, in the order of the spec.
    pub order: Vec<String>,
    /// Hash of what is to be issued, and as whom.
    pub asked: String,
    /// Hash of the demand for everything anew; empty if there is none.
    pub forced: String,
    /// What becomes of credentials.
    pub lease: LeaseJob,
    /// What to make of it.
    pub mapping: Mapping,
    /// Where to write it.
    pub destination: DestinationJob,
    /// How often to look; `None`: only on changes.
    pub interval: Option<Duration>,
    /// How often to look at what was issued without a lease; `None`: only when Vault changes it by itself.
    pub read_interval: Option<Duration>,
    /// By how much of either a poll may move, in percent.
    pub jitter_percent: u8,
    /// Hash of everything above that decides what the Secret holds.
    pub request: String,
}

/// As whom to log in, and where.
pub struct Login {
    /// What sessions are shared by.
    pub identity: vault::Identity,
    /// The auth method.
    pub method: vault::Method,
    /// Its role.
    pub role: String,
    /// The service account whose token is shown.
    pub service_account: Key,
}

/// The Secret to write.
pub struct DestinationJob {
    /// Namespace and name.
    pub key: Key,
    /// Type.
    pub secret_type: SecretType,
    /// Whether it is immutable.
    pub immutable: bool,
    /// Labels that a person asked for.
    pub labels: BTreeMap<String, String>,
    /// Annotations that a person asked for.
    pub annotations: BTreeMap<String, String>,
    /// How the object asks to hold it.
    pub hold: Hold,
    /// Whether it is made where it is not there.
    pub creates: bool,
    /// Whether one that somebody else made is taken over.
    pub adopts: bool,
    /// Whether the Secret goes with the object.
    pub deletion_policy: DeletionPolicy,
    /// What to do when a path that existed is gone.
    pub missing_source_policy: MissingSourcePolicy,
}

impl Job {
    /// Whether the source of that name is issued.
    pub fn issues(&self, name: &str) -> bool {
        self.issued.iter().any(|source| source.name == name)
    }
}

/// Checks everything. `None`: there is nothing to do yet, because the connection was not looked at and whoever looks will
/// wake us; or nothing any more, because the object is being deleted and its Secret must not be made again.
pub fn resolve(observed: &Observed) -> Result<Option<Job>, Failure> {
    let (object, spec) = (&observed.object, &observed.object.spec);
    let key = Key::of(&object.metadata);
    check_namespace(observed, &key)?;
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let interval = parse_duration(&spec.refresh.interval)
        .map_err(|error| Failure::invalid(format!("spec.refresh.interval: {error}")))?;
    let (sources, issued) = source_job::sources(object)?;
    let lease = issued::lease(object)?;
    let mapping = mapping(object, &observed.templates)?;
    let Some(connection) = connection(observed, &key)? else {
        return Ok(None);
    };
    let account = Key::new(&key.namespace, &spec.auth.service_account_name);
    let Some(found) = &observed.service_account else {
        let message = format!(
            "service account {} does not exist in namespace {}; create it, or correct spec.auth.serviceAccountName",
            account.name, account.namespace
        );
        return Err(Failure::new(Reason::ServiceAccountNotFound, message));
    };
    let vault_namespace = first_set(&[&spec.vault_namespace, &connection.vault_namespace]);
    let all_pinned = sources.iter().all(|source| source.version() > 0);
    Ok(Some(Job {
        uid: observed.uid().into(),
        generation: object.metadata.generation.unwrap_or_default(),
        login: login(object, &connection, account, &found.uid, &vault_namespace),
        destination: destination(object, &key),
        interval: Some(interval).filter(|interval| !interval.is_zero() && !all_pinned),
        read_interval: Some(interval).filter(|interval| !interval.is_zero()),
        jitter_percent: u8::try_from(spec.refresh.jitter_percent).unwrap_or(0),
        request: request(object, &observed.templates),
        client: connection.client.on_behalf_of(&key.namespace),
        key,
        connection,
        vault_namespace,
        sources,
        asked: issued::asked(object, &issued),
        issued,
        order: spec
            .sources
            .iter()
            .map(|source| source.name.clone())
            .collect(),
        forced: issued::forced(object),
        lease,
        mapping,
    }))
}

/// Said before anything else: in a namespace that is being deleted one thing after the other goes missing.
fn check_namespace(observed: &Observed, key: &Key) -> Result<(), Failure> {
    let namespace = observed.namespace.as_ref();
    if namespace.is_some_and(|namespace| namespace.terminating) {
        let message = format!(
            "namespace {} is being deleted; nothing is written into it any more",
            key.namespace
        );
        return Err(Failure::new(Reason::NamespaceTerminating, message));
    }
    Ok(())
}

fn connection(observed: &Observed, key: &Key) -> Result<Option<Arc<Connection>>, Failure> {
    let name = &observed.object.spec.connection_ref.name;
    let connection = match &observed.connection {
        ConnectionView::Pending => return Ok(None),
        ConnectionView::Missing => {
            let message = format!(
                "VaultConnection {name} does not exist; create it, or correct spec.connectionRef.name"
            );
            return Err(Failure::new(Reason::ConnectionNotFound, message));
        }
        ConnectionView::Known(Entry::Unusable { message }, _) => {
            let message = format!("VaultConnection {name} cannot be used as it stands: {message}");
            return Err(Failure::new(Reason::VaultUnavailable, message));
        }
        ConnectionView::Known(Entry::Usable(connection), _) => connection,
    };
    // What is not known yet cannot be admitted: a selector may well match the absence of a label. Its arrival wakes us.
    let Some(namespace) = &observed.namespace else {
        return Ok(None);
    };
    if !admits(
        connection.allowed.as_ref(),
        &key.namespace,
        &namespace.labels,
    ) {
        let message = format!(
            "VaultConnection {name} does not admit namespace {}; whoever administers it can add the namespace, or a label of it, to spec.allowedNamespaces",
            key.namespace
        );
        return Err(Failure::new(Reason::ConnectionNotAllowed, message));
    }
    Ok(Some(connection.clone()))
}

fn login(
    object: &VaultSecret,
    connection: &Connection,
    account: Key,
    account_uid: &str,
    vault_namespace: &str,
) -> Login {
    let (auth, defaults) = (&object.spec.auth, &connection.auth);
    let api_method = auth.method.unwrap_or(defaults.method);
    let (method, usual_mount) = match api_method {
        AuthMethod::Kubernetes => (vault::Method::Kubernetes, "kubernetes"),
        AuthMethod::Jwt => (vault::Method::Jwt, "jwt"),
    };
    // The connection's mount belongs to the connection's method.
    let default_mount = if api_method == defaults.method {
        defaults.mount.as_str()
    } else {
        ""
    };
    let audiences = [&auth.audiences, &defaults.audiences]
        .into_iter()
        .find(|list| !list.is_empty());
    let identity = vault::Identity {
        connection: connection.identity.clone(),
        namespace: first_set(&[&auth.vault_namespace, vault_namespace]),
        mount: first_set(&[&auth.mount, default_mount, usual_mount]),
        method,
        role: auth.role.clone(),
        service_account: format!("{}/{}/{account_uid}", account.namespace, account.name),
        audiences: audiences
            .cloned()
            .unwrap_or_else(|| vec![DEFAULT_AUDIENCE.into()]),
    };
    Login {
        identity,
        method,
        role: auth.role.clone(),
        service_account: account,
    }
}

/// The Secret that the object asks for.
pub fn destination(object: &VaultSecret, key: &Key) -> DestinationJob {
    let destination = &object.spec.destination;
    DestinationJob {
        key: Key::new(&key.namespace, object.target_name()),
        secret_type: destination.secret_type,
        immutable: destination.immutable,
        labels: destination
            .labels
            .iter()
            .map(|(name, value)| (name.clone(), value.0.clone()))
            .collect(),
        annotations: destination
            .annotations
            .iter()
            .map(|(name, value)| (name.clone(), value.0.clone()))
            .collect(),
        hold: Hold::wanted(object),
        creates: destination.creation_policy != CreationPolicy::Merge,
        adopts: destination.adoption_policy == AdoptionPolicy::Adopt,
        deletion_policy: destination.deletion_policy,
        missing_source_policy: destination.missing_source_policy,
    }
}

/// Hash of the part of the spec that decides what the Secret holds. How often to look is no part of it, and labels,
/// annotations and ownership are compared with the Secret itself. Of ConfigMaps only the texts that are used count.
fn request(object: &VaultSecret, templates: &TemplateMaps) -> String {
    let spec = &object.spec;
    let parts = (
        &spec.connection_ref,
        &spec.vault_namespace,
        &spec.auth,
        &spec.sources,
        &spec.data,
        &spec.data_from,
        (&spec.template_delimiters, spec.conflict_policy),
        (spec.destination.secret_type, spec.destination.immutable),
        texts_of(object, templates),
    );
    // Plain structs and lists always serialize; if they ever did not, the hash would only be coarser.
    request_hash(&serde_json::to_string(&parts).unwrap_or_default())
}

fn first_set(candidates: &[&str]) -> String {
    candidates
        .iter()
        .find(|text| !text.is_empty())
        .map(|text| text.trim_matches('/').to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
