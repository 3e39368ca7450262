//! Step 1: everything a pass may decide on, read once from the caches and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Context;
use super::hold::{Hold, holders_of_parts, record_in};
use super::issued::forced;
use super::memory::Memory;
use super::rolled_out::nothing_waits;
use super::tended::Tended;
use super::world::World;
use crate::api::VaultSecret;
use crate::cluster::caches::{NamespaceMeta, ServiceAccountMeta};
use crate::cluster::managed_fields::Owners;
use crate::cluster::secret_meta::is_vault_secret;
use crate::cluster::templates::TemplateTexts;
use crate::cluster::{Key, SecretMeta};
use crate::connections::{Entry, Reachability};
use crate::objects::{Objects, Rival};
use crate::record::{ANNOTATION, Record};

/// What one pass knows of the world.
#[derive(Clone)]
pub struct Observed {
    /// The object, with the status that we wrote last.
    pub object: Arc<VaultSecret>,
    /// Its namespace; `None` if the cache does not know it yet.
    pub namespace: Option<Arc<NamespaceMeta>>,
    /// The connection that it names.
    pub connection: ConnectionView,
    /// The service account that it names, if that exists.
    pub service_account: Option<Arc<ServiceAccountMeta>>,
    /// The Secret that it wants to write, if that exists.
    pub target: Option<Arc<SecretMeta>>,
    /// How the object holds that Secret, or asks to if it does not.
    pub hold: Hold,
    /// The record on that Secret, if it can be read.
    pub record: Option<Record>,
    /// Those of the other objects that want to write the same Secret which may have more right to it.
    pub rivals: Vec<Rival>,
    /// UIDs of the objects that the Secret tells to be its owner, or that of a part, and that exist.
    pub alive: BTreeSet<String>,
    /// Secrets that it wrote under names that it does not ask for any more.
    pub leftovers: Vec<(Key, Arc<SecretMeta>)>,
    /// The ConfigMaps that it takes templates from, those that exist and bear the label, by name.
    pub templates: TemplateMaps,
    /// Whether it is in the operator's own namespace.
    pub at_home: bool,
    /// What earlier passes noted.
    pub memory: Memory,
    /// What looking after its sessions came to.
    pub tended: Tended,
    /// Whether everything that uses the Secret runs with what it holds now, or was waited for long enough. False if it is not the object's.
    pub rolled_out: bool,
    /// What a reason's word is appended to for a link, in conditions, to what to do about it.
    pub runbooks: Option<Arc<str>>,
    /// When the operator started.
    pub started: Timestamp,
    /// The one clock reading of this pass; one that issues reads it again for what it writes down, and for its report.
    pub now: Timestamp,
}

/// ConfigMaps with templates, by name.
pub type TemplateMaps = BTreeMap<String, Arc<TemplateTexts>>;

/// What is known of the connection that an object names.
#[derive(Clone)]
pub enum ConnectionView {
    /// There is no such VaultConnection.
    Missing,
    /// It was not looked at yet; its first pass will wake us.
    Pending,
    /// It was looked at.
    Known(Entry, Reachability),
}

/// Reads the caches and the clock.
#[expect(
    clippy::unused_async,
    reason = "an async step touches the world, and the caches and the clock are the world"
)]
pub async fn observe(object: Arc<VaultSecret>, context: &Context) -> Observed {
    let key = Key::of(&object.metadata);
    let uid = object.metadata.uid.clone().unwrap_or_default();
    let object = context.overlay.latest(&uid, object);
    let (caches, spec) = (&context.caches, &object.spec);
    let target_key = Key::new(&key.namespace, object.target_name());
    let target = caches.secrets.get(&target_key);
    let hold = Hold::standing(&object, target.as_deref());
    let record = target
        .as_deref()
        .and_then(|secret| record_in(secret, hold.record()));
    let now = context.clock.now();
    let named = target.as_deref().map(names_on).unwrap_or_default();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    Observed {
        namespace: caches.namespaces.get(&Key::new("", &key.namespace)),
        connection: connection(&spec.connection_ref.name, context),
        service_account: caches
            .service_accounts
            .get(&Key::new(&key.namespace, &spec.auth.service_account_name)),
        rivals: context.objects.rivals(&target_key, &uid, &named),
        alive: alive(&target_key, target.as_deref(), &context.objects),
        leftovers: leftovers(&object, &target_key, caches.secrets.owned_by(&uid)),
        templates: template_maps(&object, context),
        at_home: key.namespace == context.settings.namespace,
        memory: context.memories.get(&uid),
        tended: Tended::default(),
        rolled_out: nothing_waits(&object, record.as_ref(), now),
        runbooks: context.settings.runbooks.clone(),
        started: context.started,
        now,
        object,
        target,
        hold,
        record,
    }
}

fn template_maps(object: &VaultSecret, context: &Context) -> TemplateMaps {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let known = object.template_maps().filter_map(|name| {
        let texts = context.caches.templates.get(&Key::new(namespace, name))?;
        Some((name.to_owned(), texts))
    });
    known.collect()
}

/// The names of the VaultSecrets that a Secret tells to be its owner, in its record and by its reference. A UID always has the
/// same name, so that whoever holds it is among them.
pub fn names_on(secret: &SecretMeta) -> Vec<String> {
    let mut references = secret.owner_references.iter();
    let by_reference = references.find(|owner| is_vault_secret(owner));
    let by_reference = by_reference.map(|owner| owner.name.clone());
    let by_record = record_in(secret, ANNOTATION).map(|record| record.owner_name);
    let by_parts = holders_of_parts(secret).map(|record| record.owner_name);
    let whole = by_record.into_iter().chain(by_reference);
    whole.chain(by_parts).collect()
}

/// UIDs of the objects that the Secret tells to be its owner, or that of a part, and that exist.
pub fn alive(target: &Key, secret: Option<&SecretMeta>, objects: &Objects) -> BTreeSet<String> {
    let whole = secret.and_then(|secret| record_in(secret, ANNOTATION));
    let parts = secret.into_iter().flat_map(holders_of_parts);
    let told = whole.into_iter().chain(parts);
    objects.alive(
        target,
        told.map(|record| (record.owner_name, record.owner_uid)),
    )
}

fn connection(name: &str, context: &Context) -> ConnectionView {
    match context.connections.get(name) {
        Some(Entry::Usable(connection)) => {
            let reachability = connection.reachability();
            ConnectionView::Known(Entry::Usable(connection), reachability)
        }
        Some(entry @ Entry::Unusable { .. }) => {
            ConnectionView::Known(entry, Reachability::default())
        }
        None if context.connection_exists(name) => ConnectionView::Pending,
        None => ConnectionView::Missing,
    }
}

/// UIDs of the objects that a Secret was written for, as a whole or in part, as records tell that nobody but we have set. Whoever copies one of
/// our Secrets copies its record too, but by another hand: the copy is theirs.
pub fn owners_of(secret: &SecretMeta) -> Vec<String> {
    let Owners { whole, parts, .. } = &secret.owners;
    let given_up = parts.values().flat_map(|part| &part.annotations);
    let mut set_by_us = whole.annotations.iter().chain(given_up);
    let whole = set_by_us.any(|name| name == ANNOTATION);
    let whole = whole.then(|| record_in(secret, ANNOTATION)).flatten();
    let all = whole.into_iter().chain(holders_of_parts(secret));
    let uids: BTreeSet<String> = all.map(|record| record.owner_uid).collect();
    uids.into_iter().collect()
}

/// Of the Secrets that were written for the object, those under names that it does not ask for any more. What was written for a later
/// spec than this one is none of them: then it is the spec at hand that is out of date.
fn leftovers(
    object: &VaultSecret,
    target: &Key,
    owned: Vec<(Key, Arc<SecretMeta>)>,
) -> Vec<(Key, Arc<SecretMeta>)> {
    let is_earlier = |secret: &SecretMeta| {
        let hold = Hold::standing(object, Some(secret));
        hold.own_record(secret)
            .is_some_and(|record| Some(record.generation) <= object.metadata.generation)
    };
    owned
        .into_iter()
        .filter(|(key, secret)| {
            // A Secret elsewhere that bears our record was not put there by us.
            let is_other = key != target && key.namespace == target.namespace;
            is_other && !secret.deleting && is_earlier(secret)
        })
        .collect()
}

impl Observed {
    /// UID of the object.
    pub fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }

    /// What an attempt depends on.
    pub fn world(&self) -> World {
        let (connection, recoveries) = match &self.connection {
            ConnectionView::Missing => (Some("missing".to_owned()), 0),
            ConnectionView::Pending => (None, 0),
            ConnectionView::Known(Entry::Unusable { message }, _) => (Some(message.clone()), 0),
            ConnectionView::Known(Entry::Usable(connection), reachability) => {
                (Some(connection.identity.clone()), reachability.recoveries)
            }
        };
        World {
            forced: forced(&self.object),
            generation: self.object.metadata.generation,
            connection,
            recoveries,
            service_account: self
                .service_account
                .as_ref()
                .map(|account| account.uid.clone()),
            target: self
                .target
                .as_ref()
                .map(|secret| (secret.uid.clone(), secret.resource_version.clone())),
            templates: self
                .templates
                .iter()
                .map(|(name, texts)| (name.clone(), texts.resource_version.clone()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
