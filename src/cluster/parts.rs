//! Writing a part of a Secret that others share, by server-side apply.
//!
//! Each object applies its fields in the name of a manager of its own, and nothing that others have set by force: that is a conflict, and what is applied no
//! more disappears. UID and resource version go along as the precondition, so that nothing is made anew or written over a state that nobody has
//! seen.

use std::collections::{BTreeMap, BTreeSet};

use http::header::ACCEPT;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::caches::Key;
use super::handover::{Leaving, handed_over, leaving};
use super::managed_fields::{hand, setter};
use super::patience::in_time;
use super::secret_meta::{SecretMeta, is_vault_secret};
use super::secrets::{self, METADATA_ONLY, SecretWrite, body, requests, send};
use super::write_error::{Taken, WriteError};
use crate::api::{MANAGED_BY, MANAGER, TOUCHED_ANNOTATION};
use crate::sensitive::SecretBytes;

/// Applies the fields in the name of that manager, if the Secret is still of that UID and resource version; otherwise [`WriteError::Conflict`], or
/// [`WriteError::Taken`] where others have set some of them.
pub async fn apply(
    client: &Client,
    write: &SecretWrite<'_>,
    now: &SecretMeta,
    manager: &str,
    dry_run: bool,
) -> Result<SecretMeta, WriteError> {
    unnoted(client, write, now, manager).await?;
    let params = PatchParams {
        dry_run,
        ..PatchParams::apply(manager)
    };
    match send_applied(client, write, now, &params).await {
        Err(WriteError::Taken(taken)) => {
            let fields = taken.into_iter();
            let fields: Vec<Taken> = fields.filter(|taken| !is_a_map(&taken.field)).collect();
            if !fields.is_empty() {
                return Err(WriteError::Taken(fields));
            }
            // Another part has said that a map is empty, as we do, and there is nothing in it. Whoever says so last has it.
            send_applied(client, write, now, &params.force()).await
        }
        sent => sent,
    }
}

/// Whether the field is one of the maps as a whole. Of a map with something in it only that is anybody's.
fn is_a_map(field: &str) -> bool {
    [".data", ".metadata.labels", ".metadata.annotations"].contains(&field)
}

async fn send_applied(
    client: &Client,
    write: &SecretWrite<'_>,
    now: &SecretMeta,
    params: &PatchParams,
) -> Result<SecretMeta, WriteError> {
    // Also what is empty is said: a map that is applied no more would take along what is noted for nobody in it.
    let body = body(write, Some(now))?;
    // JSON is YAML. The text is not parsed on the way, so that values lie in no other memory than that which is wiped.
    let request = requests(write.key).patch(&write.key.name, params, &Patch::Apply(Value::Null));
    let request = request.map_err(|error| WriteError::Invalid(error.to_string()))?;
    let (parts, _) = request.into_parts();
    let mut request = http::Request::from_parts(parts, body.to_vec());
    request.headers_mut().insert(ACCEPT, METADATA_ONLY);
    send(client, request).await
}

/// Takes everything out of the Secret that the manager alone has set, and what was noted there of it, if the Secret is still as we know it. It is named field by
/// field: an empty text that is applied would take along what is noted for nobody. What is left does not go with the object of that UID any more.
pub async fn take_out(
    client: &Client,
    key: &Key,
    now: &SecretMeta,
    (manager, uid): (&str, &str),
) -> Result<SecretMeta, WriteError> {
    let meta = secrets::metadata(client, key, now).await?;
    let owners = meta.owner_references.unwrap_or_default();
    let entries = meta.managed_fields.unwrap_or_default();
    let Leaving {
        keys,
        labels,
        annotations,
        left,
    } = leaving(entries, &[manager, &toucher(manager)]);
    let gone = |names: BTreeSet<String>| -> BTreeMap<String, Option<String>> {
        names.into_iter().map(|name| (name, None)).collect()
    };
    let mut patch = json!({
        "metadata": {
            "uid": now.uid,
            "resourceVersion": now.resource_version,
            "labels": gone(labels),
            "annotations": gone(annotations),
        },
        "data": gone(keys),
    });
    // Whoever had the whole of it may have left a reference of an earlier UID.
    let is_ours =
        |owner: &OwnerReference| is_vault_secret(owner) && (manager == MANAGER || owner.uid == uid);
    if owners.iter().any(is_ours) {
        let left = owners.iter().filter(|owner| !is_ours(owner));
        patch["metadata"]["ownerReferences"] = json!(left.collect::<Vec<_>>());
    }
    // An empty list would leave it as it is.
    let nobody = || json!([{}]);
    let left = Some(left).filter(|left| !left.is_empty());
    patch["metadata"]["managedFields"] = left.map_or_else(nobody, |left| json!(left));
    merge(client, key, manager, &patch).await
}

/// Notes on the Secret when it was touched, if it is still as we know it: its resource version moves on, and nothing else happens.
pub async fn touch(
    client: &Client,
    key: &Key,
    now: &SecretMeta,
    manager: &str,
    time: Timestamp,
) -> Result<SecretMeta, WriteError> {
    let mark = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": key.name,
            "uid": now.uid,
            "resourceVersion": now.resource_version,
            "annotations": { TOUCHED_ANNOTATION: time.to_string() },
        },
    });
    // Several objects may have to touch one Secret, and the last one has the mark.
    let params = PatchParams::apply(&toucher(manager)).force();
    let request = requests(key).patch(&key.name, &params, &Patch::Apply(mark));
    send(
        client,
        request.map_err(|error| WriteError::Invalid(error.to_string()))?,
    )
    .await
}

/// The manager in whose name a part is touched: what it applies is not what the part applies. A manager has 128 bytes at most, so of a long name the middle goes; the
/// hash at its end stays.
fn toucher(manager: &str) -> String {
    const ROOM: usize = 128 - TOUCHED.len();
    const TAIL: usize = 17;
    let name: Vec<char> = manager.chars().collect();
    if name.len() <= ROOM {
        return format!("{manager}{TOUCHED}");
    }
    let (head, tail) = (&name[..ROOM - TAIL], &name[name.len() - TAIL..]);
    let kept: String = head.iter().chain(tail).collect();
    format!("{kept}{TOUCHED}")
}

/// What ends the name of a manager in whose name a part is touched.
const TOUCHED: &str = "#touched";

/// Has all that belongs to `from` belong to the part `to`, as if that had applied it, if the Secret is still as we know it. Nothing else changes.
pub async fn hand_over(
    client: &Client,
    key: &Key,
    now: &SecretMeta,
    (from, to): (&str, &str),
) -> Result<SecretMeta, WriteError> {
    let meta = secrets::metadata(client, key, now).await?;
    let entries = handed_over(meta.managed_fields.unwrap_or_default(), from, to);
    let mut patch = json!({ "metadata": {
        "uid": now.uid,
        "resourceVersion": now.resource_version,
        "managedFields": entries,
    } });
    if from == MANAGER {
        let owners = meta.owner_references.unwrap_or_default().into_iter();
        let owners: Vec<_> = owners.filter(|owner| !is_vault_secret(owner)).collect();
        patch["metadata"]["ownerReferences"] = json!(owners);
        patch["metadata"]["labels"] = json!({ MANAGED_BY: null });
    }
    merge(client, key, to, &patch).await
}

/// Keys that the Secret has with another value than is wanted, and that nobody who applies fields would be told of, because they are noted for nobody as such.
async fn unnoted(
    client: &Client,
    write: &SecretWrite<'_>,
    now: &SecretMeta,
    manager: &str,
) -> Result<(), WriteError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &write.key.namespace);
    let found = in_time(api.get(&write.key.name)).await?;
    if found.metadata.resource_version.as_ref() != Some(&now.resource_version) {
        return Err(WriteError::Conflict);
    }
    let fields = found.metadata.managed_fields.unwrap_or_default();
    let data = found.data.unwrap_or_default().into_iter();
    let data = data.map(|(name, value)| (name, SecretBytes::new(value.0)));
    let mut taken = Vec::new();
    for (name, value) in data {
        let wanted = write.data.get(&name);
        let stays = wanted.is_some_and(|wanted| wanted.expose() == value.expose());
        let whose = Whose::of(&fields, &name, manager);
        let theirs = match whose {
            _ if stays => None,
            Whose::Text(theirs) => Some(theirs),
            // What is not wanted any more and noted for nobody is not touched.
            Whose::Nobody(theirs) if wanted.is_some() => Some(theirs),
            Whose::Nobody(_) | Whose::Told => None,
        };
        if let Some(theirs) = theirs {
            taken.push(Taken {
                field: format!(".data.{name}"),
                manager: theirs.to_owned(),
            });
        }
    }
    if taken.is_empty() {
        Ok(())
    } else {
        Err(WriteError::Taken(taken))
    }
}

/// Who has set a key, as far as the API server would tell.
#[derive(Debug, PartialEq, Eq)]
enum Whose<'a> {
    /// Somebody's else, as data: the API server tells of it. Or ours alone.
    Told,
    /// It is ours, and somebody else has applied it as `stringData` as well, of which the API server does not tell.
    Text(&'a str),
    /// It is noted for nobody as data; this is whoever applied it as `stringData`, if anybody did.
    Nobody(&'a str),
}

impl<'a> Whose<'a> {
    fn of(fields: &'a [ManagedFieldsEntry], name: &str, own: &str) -> Self {
        let hands: Vec<_> = fields.iter().filter_map(hand).collect();
        let has = |names: &[String]| names.iter().any(|key| key == name);
        let (ours, others): (Vec<_>, Vec<_>) = hands.iter().partition(|hand| hand.manager == own);
        if others.iter().any(|hand| has(&hand.keys)) {
            return Self::Told;
        }
        let text = others.iter().find(|hand| has(&hand.texts));
        match (ours.iter().any(|hand| has(&hand.keys)), text) {
            (true, Some(hand)) => Self::Text(hand.manager),
            (true, None) => Self::Told,
            (false, _) => Self::Nobody(setter(fields, name).unwrap_or("somebody who left no name")),
        }
    }
}

async fn merge(
    client: &Client,
    key: &Key,
    manager: &str,
    patch: &Value,
) -> Result<SecretMeta, WriteError> {
    let params = PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    };
    let request = requests(key).patch(&key.name, &params, &Patch::Merge(patch));
    send(
        client,
        request.map_err(|error| WriteError::Invalid(error.to_string()))?,
    )
    .await
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;

    use super::*;
    use crate::api::PART_MANAGER;

    #[test]
    fn a_key_that_somebody_applied_as_text_is_theirs_though_the_api_server_tells_nobody() {
        let entry = |manager: &str, fields: Value| ManagedFieldsEntry {
            manager: Some(manager.into()),
            fields_v1: Some(FieldsV1(fields)),
            ..ManagedFieldsEntry::default()
        };
        let ours = || entry("vaultbridge/one", json!({ "f:data": { "f:key": {} } }));
        let text = || entry("helm", json!({ "f:stringData": { "f:key": {} } }));
        let data = || entry("kubectl", json!({ "f:data": { "f:key": {} } }));
        let whose = |entries: &[ManagedFieldsEntry]| {
            format!("{:?}", Whose::of(entries, "key", "vaultbridge/one"))
        };
        assert_eq!(whose(&[ours()]), "Told");
        assert_eq!(whose(&[ours(), data(), text()]), "Told");
        assert_eq!(whose(&[ours(), text()]), r#"Text("helm")"#);
        assert_eq!(whose(&[text()]), r#"Nobody("helm")"#);
        assert_eq!(whose(&[]), r#"Nobody("somebody who left no name")"#);
    }

    #[test]
    fn each_part_is_touched_in_a_name_of_its_own_however_long_it_is() {
        let hash = |digit: &str| digit.repeat(16);
        let long = |digit| format!("{PART_MANAGER}{}-{}", "a".repeat(99), hash(digit));
        let unshortened = format!("{PART_MANAGER}{}", "a".repeat(99));
        let managers = [
            long("0"),
            long("1"),
            unshortened,
            format!("{PART_MANAGER}a"),
        ];
        let names: BTreeSet<String> = managers.iter().map(|manager| toucher(manager)).collect();
        assert_eq!(names.len(), managers.len(), "{names:#?}");
        for name in &names {
            let is_ours = name.starts_with(PART_MANAGER) && name.ends_with("#touched");
            assert!(is_ours && name.len() <= 128, "{name}");
        }
    }
}
