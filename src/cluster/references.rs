//! Certificates by reference, read from ConfigMaps and Secrets of the operator's own namespace; and the key Secret there.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};

use super::caches::Key;
use super::managed_fields::keys_of;
use super::patience::in_time;
use super::write_error::WriteError;
use crate::sensitive::{SecretBytes, SecretData};

/// One key of a ConfigMap; `None` if the ConfigMap or the key does not exist.
pub async fn config_map_key(
    client: &Client,
    object: &Key,
    key: &str,
) -> Result<Option<String>, WriteError> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &object.namespace);
    let found = in_time(api.get_opt(&object.name)).await?;
    Ok(found.and_then(|map| map.data?.remove(key)))
}

/// The data of a Secret, or what of it a field manager of a part owns; `None` if it does not exist.
pub async fn data_of(
    client: &Client,
    object: &Key,
    manager: Option<&str>,
) -> Result<Option<SecretData>, WriteError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &object.namespace);
    let found = in_time(api.get_opt(&object.name)).await?;
    Ok(found.map(|secret| {
        let fields = secret.metadata.managed_fields.unwrap_or_default();
        let keys = manager.map(|manager| keys_of(&fields, manager));
        let data = secret.data.unwrap_or_default().into_iter();
        let data = data.map(|(name, value)| (name, SecretBytes::new(value.0)));
        data.filter(|(name, _)| keys.as_ref().is_none_or(|keys| keys.contains(name)))
            .collect()
    }))
}

/// The data of a Secret; `None` if it does not exist.
pub async fn secret_data(client: &Client, object: &Key) -> Result<Option<SecretData>, WriteError> {
    data_of(client, object, None).await
}
