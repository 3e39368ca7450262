//! Writing Secrets: POST the first time, then PUT, each under a precondition.
//!
//! The API server is asked to answer with metadata only, so that the values are not sent back to us.

#![expect(clippy::disallowed_methods, reason = "Secrets are written here")]

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, HeaderValue};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    ManagedFieldsEntry, ObjectMeta, OwnerReference,
};
use kube::api::{DeleteParams, GetParams, ListParams, PostParams, Preconditions};
use kube::core::{PartialObjectMeta, Request};
use kube::{Api, Client, Resource};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use super::caches::Key;
use super::patience::in_time;
use super::secret_meta::SecretMeta;
use super::write_error::WriteError;
use crate::api::{MANAGER, TOUCHED_ANNOTATION};
use crate::sensitive::{SecretBytes, SecretData};

/// The field manager in whose name labels and annotations of others are put back onto a Secret that had to be made anew: what ours sets
/// is ours to take away.
pub const CARRIER: &str = "vaultbridge-carried";

const TABLE: HeaderValue = HeaderValue::from_static("application/json;as=Table;g=meta.k8s.io;v=v1");

pub(super) const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// A Secret as it shall be, whole.
pub struct SecretWrite<'a> {
    /// Namespace and name.
    pub key: &'a Key,
    /// Type, such as `Opaque`. It cannot be changed by [`replace`].
    pub secret_type: &'a str,
    /// Whether it is immutable. Once it is, [`replace`] changes nothing but labels, annotations, owners and finalizers.
    pub immutable: bool,
    /// All labels.
    pub labels: &'a BTreeMap<String, String>,
    /// All annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// All owner references.
    pub owner_references: &'a [OwnerReference],
    /// All finalizers.
    pub finalizers: &'a [String],
    /// Who owns what of it, where that is to be written as well.
    pub managed_fields: Option<Vec<ManagedFieldsEntry>>,
    /// All values.
    pub data: &'a SecretData,
}

/// A Secret as the API server shows it to people.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    column_definitions: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<serde_json::Value>,
    object: PartialObjectMeta<Secret>,
}

/// No annotations.
static NONE: BTreeMap<String, String> = BTreeMap::new();

impl<'a> SecretWrite<'a> {
    /// One of the operator's own, in its namespace.
    pub fn own(key: &'a Key, labels: &'a BTreeMap<String, String>, data: &'a SecretData) -> Self {
        Self {
            key,
            secret_type: "Opaque",
            immutable: false,
            labels,
            annotations: &NONE,
            owner_references: &[],
            finalizers: &[],
            managed_fields: None,
            data,
        }
    }
}

/// Creates the Secret in the name of that field manager; [`WriteError::AlreadyExists`] if there is one of that name.
pub async fn create(
    client: &Client,
    write: &SecretWrite<'_>,
    manager: &str,
) -> Result<SecretMeta, WriteError> {
    post(client, write, &params(manager)).await
}

/// Asks the API server whether it would take the Secret, over the one that is there or as a new one. Nothing is written.
pub async fn try_out(
    client: &Client,
    write: &SecretWrite<'_>,
    now: Option<&SecretMeta>,
) -> Result<(), WriteError> {
    let params = PostParams {
        dry_run: true,
        ..params(MANAGER)
    };
    match now {
        Some(now) => put(client, write, now, &params).await,
        None => post(client, write, &params).await,
    }
    .map(drop)
}

/// Asks the API server whether it would take the Secret once the one of that name is gone. It lets rules and policies judge before it looks whether the name
/// is free, so it is asked under that very name.
pub async fn try_anew(client: &Client, write: &SecretWrite<'_>) -> Result<(), WriteError> {
    match try_out(client, write, None).await {
        Ok(()) | Err(WriteError::AlreadyExists) => Ok(()),
        Err(WriteError::Quota(why)) if has_room_for_another(&why) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether the quota that refuses one more is just full, so that there is room once another one is gone. One that was lowered later has none even then.
/// The API server says it as `used: count/secrets=5, limited: count/secrets=5`.
fn has_room_for_another(refusal: &str) -> bool {
    let after = |word: &str| refusal.split_once(word).map(|(_, rest)| rest.trim());
    let used = after("used:").and_then(|rest| rest.split_once(", limited:"));
    let limited = after("limited:").filter(|limited| !limited.is_empty());
    used.map(|(used, _)| used.trim()) == limited && limited.is_some()
}

/// Replaces the Secret, if it is still of that UID and resource version; otherwise [`WriteError::Conflict`]. What changes belongs to that
/// field manager from then on.
pub async fn replace(
    client: &Client,
    write: &SecretWrite<'_>,
    now: &SecretMeta,
    manager: &str,
) -> Result<SecretMeta, WriteError> {
    put(client, write, now, &params(manager)).await
}

/// The Secret without its values, as the API server has it now, and with its type; `None` if there is none.
pub async fn get(client: &Client, key: &Key) -> Result<Option<SecretMeta>, WriteError> {
    let request = requests(key).get(&key.name, &GetParams::default());
    let mut request = request.map_err(|error| WriteError::Invalid(error.to_string()))?;
    // What people see as a table has metadata and type, and no value.
    request.headers_mut().insert(ACCEPT, TABLE);
    let table: Table = match in_time(client.request(request))
        .await
        .map_err(WriteError::from)
    {
        Ok(table) => table,
        Err(WriteError::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let column = |name: &str| {
        let mut columns = table.column_definitions.iter();
        columns.position(|column| column.name == name)
    };
    let (kind, data) = (column("Type"), column("Data"));
    let row = table.rows.into_iter().next();
    let strange = || WriteError::Unavailable("the API server answered with another table".into());
    let Row { cells, object } = row.ok_or_else(strange)?;
    let kind = kind.and_then(|at| cells.get(at)?.as_str());
    let kind = kind.ok_or_else(strange)?.to_owned();
    let keys = data.and_then(|at| cells.get(at)?.as_u64());
    Ok(Some(SecretMeta::looked_at(object.metadata, kind, keys)))
}

/// The Secret's metadata as the API server has it now, if it still is what we know.
pub async fn metadata(
    client: &Client,
    key: &Key,
    now: &SecretMeta,
) -> Result<ObjectMeta, WriteError> {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), &key.namespace);
    let found = in_time(api.get_metadata_opt(&key.name)).await?;
    let found = found.map(|found| found.metadata);
    let same = |meta: &ObjectMeta| meta.resource_version.as_ref() == Some(&now.resource_version);
    found.filter(same).ok_or(WriteError::Conflict)
}

/// The sealed values in that annotation of the Secret, if there are any.
pub async fn sealed(
    client: &Client,
    key: &Key,
    annotation: &str,
) -> Result<Option<String>, WriteError> {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), &key.namespace);
    let found = in_time(api.get_metadata_opt(&key.name)).await?;
    let annotations = found.and_then(|found| found.metadata.annotations);
    Ok(annotations.and_then(|mut annotations| annotations.remove(annotation)))
}

/// Notes on the Secret when it was touched, if it is still as we know it: its resource version moves on, and nothing else happens. It is replaced as a whole,
/// because a patch would need a right of its own for this one rare case.
pub async fn touch(
    client: &Client,
    key: &Key,
    now: &SecretMeta,
    time: Timestamp,
) -> Result<SecretMeta, WriteError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let mut secret = in_time(api.get(&key.name)).await?;
    if secret.metadata.resource_version.as_ref() != Some(&now.resource_version) {
        return Err(WriteError::Conflict);
    }
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(TOUCHED_ANNOTATION.to_owned(), time.to_string());
    let written = in_time(api.replace(&key.name, &params(MANAGER), &secret)).await?;
    Ok(SecretMeta::reduce(written.metadata))
}

/// The Secrets of a namespace that bear a label, without their values.
pub async fn with_label(
    client: &Client,
    namespace: &str,
    label: &str,
) -> Result<Vec<(Key, SecretMeta)>, WriteError> {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().labels(label);
    let listed = in_time(api.list_metadata(&params)).await?;
    let found = listed.items.into_iter();
    let found = found.map(|found| (Key::of(&found.metadata), SecretMeta::reduce(found.metadata)));
    Ok(found.collect())
}

async fn post(
    client: &Client,
    write: &SecretWrite<'_>,
    params: &PostParams,
) -> Result<SecretMeta, WriteError> {
    let body = body(write, None)?;
    let request = requests(write.key).create(params, body.to_vec());
    send(
        client,
        request.map_err(|error| WriteError::Invalid(error.to_string()))?,
    )
    .await
}

async fn put(
    client: &Client,
    write: &SecretWrite<'_>,
    now: &SecretMeta,
    params: &PostParams,
) -> Result<SecretMeta, WriteError> {
    let body = body(write, Some(now))?;
    let request = requests(write.key).replace(&write.key.name, params, body.to_vec());
    send(
        client,
        request.map_err(|error| WriteError::Invalid(error.to_string()))?,
    )
    .await
}

/// Deletes the Secret, if it is still of that UID and resource version. One that is gone already is no error.
pub async fn delete(client: &Client, key: &Key, now: &SecretMeta) -> Result<(), WriteError> {
    let preconditions = Preconditions {
        uid: Some(now.uid.clone()),
        resource_version: Some(now.resource_version.clone()),
    };
    let params = DeleteParams {
        preconditions: Some(preconditions),
        ..DeleteParams::default()
    };
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(client.clone(), &key.namespace);
    let deleted = in_time(api.delete(&key.name, &params)).await;
    match deleted.map_err(WriteError::from) {
        Ok(_) | Err(WriteError::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn requests(key: &Key) -> Request {
    Request::new(Secret::url_path(&(), Some(&key.namespace)))
}

fn params(manager: &str) -> PostParams {
    PostParams {
        field_manager: Some(manager.into()),
        ..PostParams::default()
    }
}

pub(super) async fn send(
    client: &Client,
    mut request: http::Request<Vec<u8>>,
) -> Result<SecretMeta, WriteError> {
    request.headers_mut().insert(ACCEPT, METADATA_ONLY);
    let answer: PartialObjectMeta<Secret> = in_time(client.request(request)).await?;
    Ok(SecretMeta::reduce(answer.metadata))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    secret_type: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    immutable: bool,
    data: BTreeMap<&'a str, Base64<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    owner_references: &'a [OwnerReference],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    finalizers: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    managed_fields: Option<&'a [ManagedFieldsEntry]>,
}

/// The one place where a secret value may be serialized: the body of a Secret on its way to the API server.
struct Base64<'a>(&'a SecretBytes);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.0.expose())))
    }
}

pub(super) fn body(
    write: &SecretWrite<'_>,
    now: Option<&SecretMeta>,
) -> Result<Zeroizing<Vec<u8>>, WriteError> {
    let SecretWrite {
        key,
        secret_type,
        immutable,
        labels,
        annotations,
        owner_references,
        finalizers,
        managed_fields,
        data,
    } = write;
    let body = Body {
        api_version: "v1",
        kind: "Secret",
        metadata: Metadata {
            namespace: &key.namespace,
            name: &key.name,
            uid: now.map(|meta| meta.uid.as_str()),
            resource_version: now.map(|meta| meta.resource_version.as_str()),
            labels,
            annotations,
            owner_references,
            finalizers,
            managed_fields: managed_fields.as_deref(),
        },
        secret_type,
        immutable: *immutable,
        data: data
            .iter()
            .map(|(name, value)| (name.as_str(), Base64(value)))
            .collect(),
    };
    // Serializing strings and maps cannot fail; the error, if it ever did, would quote no value.
    serde_json::to_vec(&body)
        .map(Zeroizing::new)
        .map_err(|_| WriteError::Invalid("cannot be printed as JSON".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_just_full_has_room_for_one_in_the_place_of_another() {
        let refusal = |used: &str, limited: &str| {
            format!(
                "secrets \"app\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: {used}, limited: {limited}"
            )
        };
        for full in ["count/secrets=5", "count/secrets=1k,secrets=1k"] {
            assert!(has_room_for_another(&refusal(full, full)), "{full}");
        }
        for (used, limited) in [
            ("count/secrets=5", "count/secrets=3"),
            ("count/secrets=5,secrets=5", "count/secrets=5,secrets=4"),
            ("", ""),
        ] {
            assert!(!has_room_for_another(&refusal(used, limited)), "{used}");
        }
        assert!(!has_room_for_another("exceeded quota: few"));
    }
}
