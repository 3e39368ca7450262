//! A small world for the tests of the pure steps: VaultSecret `shop/orders`, which copies `secret/shop/orders` into a
//! Secret of its own name, with everything that it needs. A test takes it and changes what it is about.

pub mod leased;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::apply::Applied;
use super::build;
use super::claim::{Claim, claim};
use super::decide::{Decision, decide};
use super::dress::metadata;
use super::failure::Failure;
use super::found::Found;
use super::hold::{Hold, record_in};
use super::memory::Memory;
use super::observe::{ConnectionView, Observed};
use super::report::{Outcome, Report};
use super::resolve::{Job, resolve};
use super::settle::{Before, Settled, settle};
use super::status;
use super::tended::Tended;
use super::trigger::Trigger;
use crate::api::vault_connection::{AllowedNamespaces, ConnectionAuth};
use crate::api::{Reason, VaultSecret};
use crate::cluster::caches::{NamespaceMeta, ServiceAccountMeta};
use crate::cluster::managed_fields::{Owners, Share};
use crate::cluster::{Key, SecretMeta};
use crate::connections::{Connection, Entry, Outage, Reachability};
use crate::objects::Rival;
use crate::record::Record;
use crate::seal::Keys;
use crate::sensitive::{SecretBytes, SecretData, SecretJson};
use crate::vault::{self, KvOutcome, KvSecret};

/// UID of the object.
pub const UID: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

/// When the pass is; the operator started an hour earlier, and the object was created a day earlier.
pub const NOW: i64 = 1_790_000_000;

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The object as a person first writes it, in a cluster that has all that it needs.
pub fn fresh() -> Observed {
    let spec = json!({"auth": {"role": "orders"}, "sources": [{"name": "main", "kv": {"path": "secret/shop/orders"}}]});
    Observed {
        object: Arc::new(object(spec)),
        namespace: Some(Arc::new(NamespaceMeta {
            labels: BTreeMap::new(),
            terminating: false,
        })),
        connection: usable(None, Reachability::default()),
        service_account: Some(Arc::new(ServiceAccountMeta {
            uid: "account".into(),
        })),
        target: None,
        record: None,
        hold: Hold::Exclusive,
        rivals: Vec::new(),
        alive: BTreeSet::new(),
        leftovers: Vec::new(),
        templates: BTreeMap::new(),
        at_home: false,
        memory: Memory::default(),
        tended: Tended::default(),
        rolled_out: true,
        runbooks: None,
        started: at(NOW - 3600),
        now: at(NOW),
    }
}

/// The same, with the Secret written and reported by an operator that has just been restarted.
pub fn synced() -> Observed {
    let mut observed = fresh();
    observed.started = observed.now;
    write(&mut observed);
    let record = observed.record.clone().unwrap();
    set_status(&mut observed, |observed| status::synced(observed, &record));
    observed
}

/// The same, by an operator that has run since and asked Vault ten seconds ago.
pub fn running() -> Observed {
    let mut observed = synced();
    let record = observed.record.clone().unwrap();
    let now = std::mem::replace(&mut observed.now, at(NOW - 10));
    let outcome = Outcome::Unchanged(record);
    let report = super::report::report(&observed, Some(&job(&observed)), outcome);
    take_in(&mut observed, report);
    observed.now = now;
    observed
}

fn object(spec: Value) -> VaultSecret {
    let mut object = VaultSecret::new("orders", serde_json::from_value(spec).unwrap());
    object.metadata.namespace = Some("shop".into());
    object.metadata.uid = Some(UID.into());
    object.metadata.generation = Some(1);
    object.metadata.creation_timestamp = Some(Time(at(NOW - 86_400)));
    object
}

/// A person edits the spec: `path` is a JSON pointer into it.
pub fn edit(observed: &mut Observed, path: &str, value: Value) {
    let mut spec = serde_json::to_value(&observed.object.spec).unwrap();
    match spec.pointer_mut(path) {
        Some(place) => *place = value,
        None => panic!("no {path} in {spec}"),
    }
    let object = Arc::make_mut(&mut observed.object);
    object.spec = serde_json::from_value(spec).unwrap();
    object.metadata.generation = object.metadata.generation.map(|generation| generation + 1);
}

pub fn set_status(
    observed: &mut Observed,
    status: impl Fn(&Observed) -> crate::api::VaultSecretStatus,
) {
    let status = status(observed);
    Arc::make_mut(&mut observed.object).status = Some(status);
}

/// What is left of a pass for the next one.
pub fn take_in(observed: &mut Observed, report: Report) {
    if let Some(status) = report.status {
        Arc::make_mut(&mut observed.object).status = Some(status);
    }
    observed.memory = report.memory;
}

/// The connection that the object names.
pub fn usable(allowed: Option<AllowedNamespaces>, reachability: Reachability) -> ConnectionView {
    let connection = Connection {
        allowed,
        reachability: RwLock::new(reachability.clone()),
        ..connection("http://127.0.0.1:1", "")
    };
    ConnectionView::Known(Entry::Usable(Arc::new(connection)), reachability)
}

/// The same, as it is after somebody gave it that address and Vault namespace.
pub fn usable_at(address: &str, namespace: &str) -> ConnectionView {
    let connection = connection(address, namespace);
    ConnectionView::Known(Entry::Usable(Arc::new(connection)), Reachability::default())
}

fn connection(address: &str, namespace: &str) -> Connection {
    let settings = vault::Settings {
        address: address.into(),
        namespace: String::new(),
        ca_bundle: None,
        server_name: None,
        client_identity: None,
        headers: BTreeMap::new(),
        timeout: Duration::from_secs(1),
        max_concurrent_requests: 1,
    };
    let client = vault::Client::new(&settings, None).unwrap();
    Connection {
        name: "default".into(),
        identity: format!("default#{address}#{namespace}"),
        address: settings.address.clone(),
        client,
        settings_hash: "1".into(),
        generation: AtomicI64::new(1),
        vault_namespace: namespace.into(),
        auth: ConnectionAuth::default(),
        allowed: None,
        reachability: RwLock::default(),
        probes: Mutex::default(),
    }
}

/// The connection that the object names, whose server is known to be away.
pub fn out(reason: Reason) -> ConnectionView {
    let outage = Outage {
        reason,
        message: "away".into(),
    };
    usable(
        None,
        Reachability {
            outage: Some(outage),
            ..Reachability::default()
        },
    )
}

/// The object, checked.
pub fn job(observed: &Observed) -> Job {
    match resolve(observed) {
        Ok(Some(job)) => job,
        Ok(None) => panic!("the connection was not looked at"),
        Err(failure) => panic!("{failure:?}"),
    }
}

/// What the pass would do, after the claim.
pub fn decision(observed: &Observed) -> Decision {
    let job = job(observed);
    match claim(&job, observed) {
        Claim::Refused(failure) => panic!("{failure:?}"),
        claim @ (Claim::Create | Claim::Update(_) | Claim::LookAt(_)) => {
            decide(&job, &claim, observed)
        }
    }
}

pub fn keys() -> Keys {
    let data = SecretData::from([
        ("current".to_owned(), SecretBytes::from("k1")),
        ("k1".to_owned(), SecretBytes::new(vec![7; 32])),
    ]);
    Keys::from_data(&data).unwrap()
}

/// A reading of KV v2.
pub fn found(version: u64, fields: &Value) -> KvOutcome {
    let secret = KvSecret {
        data: SecretJson::parse(Zeroizing::new(fields.to_string()))
            .ok()
            .unwrap(),
        version: Some(version),
        created_time: Some(format!("{version}")),
    };
    KvOutcome::Found {
        fingerprint: format!("{version}:{version}").into(),
        version: Some(version),
        value: Some(Arc::new(secret)),
    }
}

pub fn ordinary() -> KvOutcome {
    found(3, &json!({"user": "app", "password": "hunter2"}))
}

/// What Vault holds, brought into the Secret as the API server would then have it.
pub fn write_of(observed: &mut Observed, readings: Vec<KvOutcome>) -> Result<Record, Failure> {
    let job = job(observed);
    let readings = readings.into_iter().map(Found::Entry).collect();
    let Settled::Render(settled) = settle(&job, Before::of_pass(observed), readings, false)? else {
        panic!("not to be rendered");
    };
    let data = build::values(&job.mapping, &build::documents(&job, &settled, None))?;
    build::types::check(job.destination.secret_type, &data, &job.mapping)?;
    let desired = build::build(
        &job,
        data,
        &settled,
        None,
        observed,
        (Trigger::FirstSync, &keys()),
    );
    stand(observed, &desired.record);
    Ok(desired.record)
}

pub fn write(observed: &mut Observed) -> Applied {
    let record =
        write_of(observed, vec![ordinary()]).unwrap_or_else(|failure| panic!("{failure:?}"));
    Applied {
        resource_version: observed.target.clone().unwrap().resource_version.clone(),
        record,
        written: true,
    }
}

/// The Secret as it stands after our write of that record.
pub fn stand(observed: &mut Observed, record: &Record) {
    let job = job(observed);
    let before = observed.target.as_deref();
    let metadata = metadata(&job, before);
    let hold = &job.destination.hold;
    let mut annotations = metadata.annotations;
    annotations.insert(hold.record().into(), record.print().unwrap());
    let mut ours: Vec<String> = job.destination.annotations.keys().cloned().collect();
    ours.push(hold.record().into());
    let mut labels: Vec<String> = job.destination.labels.keys().cloned().collect();
    if !hold.is_shared() {
        labels.push(crate::api::MANAGED_BY.into());
    }
    let share = Share {
        our_keys: record.keys,
        labels,
        annotations: ours,
        ..Share::default()
    };
    let mut owners = Owners {
        immutable: job.destination.immutable,
        ..Owners::default()
    };
    if hold.is_shared() {
        owners.parts.insert(hold.manager().to_owned(), share);
    } else {
        owners.whole = share;
    }
    let version = before.map_or(100, |secret| {
        secret.resource_version.parse::<u64>().unwrap() + 1
    });
    let secret = SecretMeta {
        uid: "secret".into(),
        resource_version: version.to_string(),
        deleting: false,
        labels: metadata.labels,
        annotations,
        sealed: false,
        owner_references: metadata.owner_references,
        finalizers: metadata.finalizers,
        owners,
        ..SecretMeta::default()
    };
    set_target(observed, secret);
}

/// Somebody changes the Secret.
pub fn touch(observed: &mut Observed, change: impl FnOnce(&mut SecretMeta)) {
    let mut secret = observed.target.as_deref().cloned().unwrap_or_default();
    let version: u64 = secret.resource_version.parse().unwrap_or(100);
    secret.resource_version = (version + 1).to_string();
    change(&mut secret);
    set_target(observed, secret);
}

fn set_target(observed: &mut Observed, secret: SecretMeta) {
    observed.hold = Hold::standing(&observed.object, Some(&secret));
    observed.record = record_in(&secret, observed.hold.record());
    observed.target = Some(Arc::new(secret));
}

pub fn rival(name: &str, created: i64) -> Rival {
    Rival {
        shares: false,
        created: at(created),
        uid: format!("uid-{name}"),
        name: name.into(),
    }
}

pub fn key(name: &str) -> Key {
    Key::new("shop", name)
}
