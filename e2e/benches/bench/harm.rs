//! The rounds in which something goes wrong: somebody edits Secrets, and Vault is sealed for a while.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use vaultbridge::api::VaultSecret;
use vaultbridge::api::condition::{SYNCED, is_true};
use vaultbridge_e2e::Ground;

use crate::meter::Meter;
use crate::setup::{MANAGED, Shop, password, password_of};
use crate::sight::Sight;

/// How many Secrets are edited, one after the other.
pub const EDITS: usize = 100;

/// Edits Secrets as a person would, and returns how long each was wrong: from the moment at which the edit was sent until the
/// watch told of the right value.
pub async fn repair(ground: &Ground, shop: &Shop) -> Result<Vec<Duration>> {
    let client = ground.control_plane().client();
    let mut secrets = Sight::<Secret>::open(Api::all(client.clone()), MANAGED).await?;
    let edit = Patch::Merge(json!({ "stringData": { "password": "edited" } }));
    let mut times = Vec::new();
    for edited in 0..EDITS {
        let number = edited * shop.objects / EDITS;
        let (namespace, name) = shop.place(number);
        let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        let start = Instant::now();
        api.patch(&name, &PatchParams::default(), &edit).await?;
        loop {
            let (time, secret) = secrets.next().await?;
            // The edit itself comes first, with the wrong value.
            if secret.name_any() == name && password(&secret) == password_of(number).as_bytes() {
                times.push(time.duration_since(start));
                break;
            }
        }
    }
    Ok(times)
}

/// What an outage of Vault did.
pub struct Outage {
    /// How long Vault was sealed.
    pub sealed: Duration,
    /// How many objects were due meanwhile, and said that they are not in sync.
    pub due: usize,
    /// Writes of the operator to Kubernetes while Vault was sealed.
    pub writes: usize,
    /// From the moment at which Vault was active again until the last of these said that it is in sync.
    pub fresh: Duration,
    /// Writes of the operator to Kubernetes from then on.
    pub writes_after: usize,
    /// How many cores were busy with something else meanwhile.
    pub elsewhere: f64,
}

/// Seals Vault for a while, and unseals it.
pub async fn outage(ground: &Ground, sealed: Duration) -> Result<Outage> {
    let api: Api<VaultSecret> = Api::all(ground.control_plane().client().clone());
    let mut objects = Sight::open(api, "").await?;
    let before = ground.mark().await?;
    ground.vault().seal().await?;
    tokio::time::sleep(sealed).await;
    let mut waiting = HashSet::new();
    for (_, object) in objects.so_far() {
        note(&object, &mut waiting);
    }
    let due = waiting.len();
    let writes = ground.kube_requests(&before).await?.writes().len();
    let operator = Some(ground.operator()?.service().id()?);
    let meter = Meter::start(ground, operator).await?;
    ground.vault().unseal().await?;
    let active = Instant::now();
    let mut last = active;
    while !waiting.is_empty() {
        let (time, object) = objects.next().await?;
        note(&object, &mut waiting);
        last = time;
    }
    let recovery = meter.end(ground, operator).await?;
    Ok(Outage {
        sealed,
        due,
        writes,
        fresh: last.saturating_duration_since(active),
        elsewhere: recovery.cores_elsewhere(),
        writes_after: recovery.kube.writes().len(),
    })
}

/// Notes whether the object waits for Vault.
fn note(object: &VaultSecret, waiting: &mut HashSet<String>) {
    let conditions = object.status.as_ref().map(|status| &status.conditions);
    let uid = object.uid().unwrap_or_default();
    if conditions.is_some_and(|conditions| is_true(conditions, SYNCED)) {
        waiting.remove(&uid);
    } else {
        waiting.insert(uid);
    }
}
