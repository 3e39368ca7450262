//! Proves what is checked of a spec, and what of it makes another request.

use serde_json::{Value, json};

use super::*;
use crate::api::vault_connection::AllowedNamespaces;
use crate::connections::Reachability;
use crate::reconcile::failure::Retry;
use crate::reconcile::fixture::{self, edit, fresh, job, usable};

fn refused(observed: &Observed) -> Failure {
    match resolve(observed) {
        Err(failure) => failure,
        Ok(job) => panic!("not refused: {}", job.is_some()),
    }
}

fn edited(path: &str, value: Value) -> Observed {
    let mut observed = fresh();
    edit(&mut observed, path, value);
    observed
}

#[test]
fn what_is_left_out_is_what_the_reference_says() {
    let job = job(&fresh());
    assert_eq!(job.destination.key, fixture::key("orders"));
    assert_eq!(
        (job.interval, job.jitter_percent),
        (Some(Duration::from_mins(10)), 10)
    );
    let identity = &job.login.identity;
    assert_eq!(
        (identity.mount.as_str(), identity.role.as_str()),
        ("kubernetes", "orders")
    );
    assert_eq!(
        (
            identity.service_account.as_str(),
            identity.audiences.as_slice()
        ),
        ("shop/default/account", ["vault".to_owned()].as_slice())
    );
    assert_eq!((job.sources[0].engine, job.sources[0].version()), (None, 0));
}

#[test]
fn what_cannot_be_is_refused_with_the_field_and_the_fix_and_waits_for_an_edit() {
    for (path, value, message) in [
        (
            "/refresh/interval",
            json!("10"),
            "spec.refresh.interval: read \"10\" as a duration: write whole numbers with the units h, m and s, each at most once and in that order, such as 10m, 1h30m or 0s",
        ),
        (
            "/sources/0/kv/path",
            json!("secret/../x"),
            "spec.sources[main].kv.path must not contain . or .. as a segment",
        ),
        (
            "/sources/0/kv/path",
            json!("sys/mounts"),
            "spec.sources[main].kv.path must be a path of a KV engine, not of sys/, auth/, identity/ or cubbyhole/",
        ),
        (
            "/sources/0/kv/path",
            json!("orders"),
            "spec.sources[main].kv.path needs its mount in front, as in the vault CLI (secret/shop/orders), or set kv.mount",
        ),
        (
            "/sources/0/kv/mount",
            json!("a//b"),
            "spec.sources[main].kv.mount must not have empty segments, nor start or end with a slash",
        ),
        (
            "/sources/0/kv",
            json!({"mount": "team-a", "engineVersion": "V1", "path": "auth/token/lookup-self"}),
            "spec.sources[main].kv.path must not have sys, auth, identity or cubbyhole as a segment where mount and engineVersion V1 are both set; leave engineVersion out, and Vault is asked",
        ),
        (
            "/sources/0/kv/version",
            json!(-1),
            "spec.sources[main].kv.version must not be negative",
        ),
        (
            "/sources/0",
            json!({"name": "main"}),
            "spec.sources[main]: set exactly one engine member: kv, kvFolder, read, write or pki",
        ),
        (
            "/sources/0",
            json!({"name": "main", "write": {"path": "auth/token/renew-self"}}),
            "spec.sources[main].write.path must not lead to auth/token/…-self, which is about the operator's own session; ask for a token of its own with auth/token/create",
        ),
        (
            "/sources/0",
            json!({"name": "main", "write": {"path": "a/b", "refreshInterval": "9s"}}),
            "spec.sources[main].write.refreshInterval must be at least 10s: each request makes something in Vault",
        ),
        (
            "/sources/0",
            json!({"name": "main", "write": {"path": "a/b", "parameters": {"k": "v"}, "parametersFrom": [{"secretKeyRef": {"name": "s", "key": "k"}}]}}),
            "spec.sources[main].write.parametersFrom names parameter k a second time; leave one out, or give it another name",
        ),
        (
            "/sources/0",
            json!({"name": "main", "pki": {"mount": "pki", "role": "a/b"}}),
            "spec.sources[main].pki.role must not contain a slash",
        ),
        (
            "/sources/0",
            json!({"name": "main", "pki": {"mount": "pki", "role": "a", "parameters": {"format": "der"}}}),
            "spec.sources[main].pki.parameters names format: use the fields commonName, dnsNames, ipAddresses, uris, csr and ttl; the format is always pem",
        ),
        (
            "/data",
            json!([{"key": "a", "source": "other"}]),
            "spec.data[a].source names source other, which is not one of spec.sources",
        ),
        (
            "/data",
            json!([{"key": "a", "source": "main", "field": "/a~b"}]),
            "spec.data[a].field: in a JSON pointer write ~0 for ~ and ~1 for /; a ~ alone leads nowhere",
        ),
        (
            "/data",
            json!([{"key": "a"}]),
            "spec.data[a]: set exactly one of source, value, template and templateFrom",
        ),
        (
            "/data",
            json!([{"key": "a", "source": "main", "value": "x"}]),
            "spec.data[a]: set exactly one of source, value, template and templateFrom",
        ),
        (
            "/dataFrom",
            json!([{"source": "other"}]),
            "spec.dataFrom[0].source names source other, which is not one of spec.sources",
        ),
    ] {
        let failure = refused(&edited(path, value));
        assert_eq!(
            (failure.reason, failure.message.as_str(), failure.retry),
            (Reason::InvalidSpec, message, Retry::OnChange)
        );
    }
}

#[test]
fn copies_that_cannot_be_are_refused_before_any_name_is_held_against_them() {
    for (path, value, message) in [
        (
            "/data",
            json!([{"key": "a", "source": "main", "decode": "Base64"}]),
            "spec.data[a].decode goes with source and field: a value, a template and all fields together are text already",
        ),
        (
            "/dataFrom",
            json!([{"source": "main"}, {"source": "main", "rename": {"match": "a"}}]),
            "spec.dataFrom[1].rename: set match and replace together; to take a piece away, replace it with an empty text",
        ),
        (
            "/dataFrom",
            json!([{"source": "main", "rename": {"match": "(a)", "replace": "$2"}}]),
            "spec.dataFrom[0].rename.replace: name a group that match has: there is no \"2\", it has 1",
        ),
    ] {
        let failure = refused(&edited(path, value));
        assert_eq!(
            (failure.reason, failure.message.as_str(), failure.retry),
            (Reason::InvalidSpec, message, Retry::OnChange)
        );
    }
}

#[test]
fn what_the_object_depends_on_is_named_when_it_is_not_there() {
    let with = |change: fn(&mut Observed)| {
        let mut observed = fresh();
        change(&mut observed);
        let failure = refused(&observed);
        (failure.reason, failure.message)
    };
    assert_eq!(
        with(|observed| observed.connection = ConnectionView::Missing),
        (
            Reason::ConnectionNotFound,
            "VaultConnection default does not exist; create it, or correct spec.connectionRef.name"
                .into()
        )
    );
    assert_eq!(
        with(|observed| observed.service_account = None),
        (Reason::ServiceAccountNotFound, "service account default does not exist in namespace shop; create it, or correct spec.auth.serviceAccountName".into())
    );
    assert_eq!(
        with(|observed| {
            let entry = Entry::Unusable {
                message: "spec.timeout is zero".into(),
            };
            observed.connection = ConnectionView::Known(entry, Reachability::default());
        }),
        (
            Reason::VaultUnavailable,
            "VaultConnection default cannot be used as it stands: spec.timeout is zero".into()
        )
    );
    assert_eq!(
        with(|observed| observed.connection = usable(Some(AllowedNamespaces::default()), Reachability::default())),
        (Reason::ConnectionNotAllowed, "VaultConnection default does not admit namespace shop; whoever administers it can add the namespace, or a label of it, to spec.allowedNamespaces".into())
    );
}

#[test]
fn a_connection_that_was_not_looked_at_was_waited_for() {
    let mut observed = fresh();
    observed.connection = ConnectionView::Pending;
    assert!(matches!(resolve(&observed), Ok(None)));
}

#[test]
fn the_request_is_another_exactly_when_the_secret_may_hold_something_else() {
    let before = job(&fresh()).request;
    for (path, value, differs) in [
        ("/sources/0/kv/path", json!("secret/b"), true),
        ("/auth/role", json!("b"), true),
        ("/data", json!([{"key": "a", "value": "x"}]), true),
        ("/conflictPolicy", json!("LastWins"), true),
        ("/destination/type", json!("kubernetes.io/tls"), true),
        ("/refresh/interval", json!("1m"), false),
        ("/destination/labels", json!({"a": "b"}), false),
        ("/destination/deletionPolicy", json!("Retain"), false),
    ] {
        let after = job(&edited(path, value)).request;
        assert_eq!(after != before, differs, "{path}");
    }
}

#[test]
fn a_request_is_made_anew_exactly_when_it_is_another_one() {
    let write = |more: serde_json::Value| {
        let mut write = json!({"path": "auth/token/create"});
        let members = write.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        job(&edited(
            "/sources/0",
            json!({"name": "main", "write": write}),
        ))
        .asked
    };
    let before = write(json!({}));
    for (more, differs) in [
        (json!({"method": "PUT"}), true),
        (json!({"parameters": {"ttl": "1h"}}), true),
        (
            json!({"parametersFrom": [{"secretKeyRef": {"name": "a", "key": "b"}}]}),
            true,
        ),
        (json!({"wrapTTL": "1m"}), true),
        (json!({"result": "Auth"}), true),
        (json!({"refreshInterval": "1h"}), false),
    ] {
        assert_eq!(write(more.clone()) != before, differs, "{more}");
    }
    let pki = |more| {
        let pki = json!({"mount": "pki", "role": "shop", "renewBefore": more});
        job(&edited("/sources/0", json!({"name": "main", "pki": pki}))).asked
    };
    assert_eq!(pki("1h"), pki("2h"));
    let pki = |key| {
        let pki = json!({"mount": "pki", "role": "shop", "privateKey": key});
        job(&edited("/sources/0", json!({"name": "main", "pki": pki}))).asked
    };
    assert_eq!(
        pki(json!({})),
        pki(json!({"algorithm": "ECDSA", "size": 256}))
    );
    assert_ne!(pki(json!({})), pki(json!({"size": 384})));
    assert_ne!(pki(json!({})), pki(json!({"algorithm": "Ed25519"})));
}

#[test]
fn a_service_account_made_anew_is_another_identity() {
    let mut observed = fresh();
    let before = job(&observed).login.identity;
    observed.service_account = Some(Arc::new(crate::cluster::caches::ServiceAccountMeta {
        uid: "anew".into(),
    }));
    assert_ne!(job(&observed).login.identity, before);
}

#[test]
fn an_object_of_nothing_but_pinned_versions_is_never_polled() {
    assert_eq!(
        job(&edited("/sources/0/kv/version", json!(3))).interval,
        None
    );
}

#[test]
fn nothing_is_written_into_a_namespace_that_is_being_deleted() {
    let mut observed = crate::reconcile::fixture::synced();
    observed.namespace = Some(std::sync::Arc::new(crate::cluster::caches::NamespaceMeta {
        labels: BTreeMap::new(),
        terminating: true,
    }));
    let failure = resolve(&observed).err().unwrap();
    assert_eq!(failure.reason, Reason::NamespaceTerminating);
}
