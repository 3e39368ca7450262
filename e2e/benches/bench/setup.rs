//! What is there before anything is measured: namespaces, values in Vault, objects.

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use vaultbridge::api::VaultSecret;
use vaultbridge_e2e::Ground;
use vaultbridge_e2e::ground::KUBERNETES_AUTH;
use vaultbridge_e2e::objects::{self, API_VERSION};
use vaultbridge_e2e::vault_server::Role;

/// How many objects share a namespace, and so an identity.
pub const PER_NAMESPACE: usize = 10;

/// Requests at once while things are prepared.
const AT_ONCE: usize = 16;

/// What was prepared.
pub struct Shop {
    pub name: &'static str,
    pub objects: usize,
}

/// Prepares so many objects, each with a path of its own.
pub async fn furnish(ground: &Ground, name: &'static str, objects: usize) -> Result<Shop> {
    let vault = ground.vault();
    vault.mount_kv(name, 2).await?;
    let path = format!("{name}/data/*");
    vault.policy(name, &[(&path, &["read"])]).await?;
    let role = Role {
        name,
        namespace: "*",
        account: "default",
        policies: &[name],
        more: json!({}),
    };
    vault.kubernetes_role(KUBERNETES_AUTH, &role).await?;
    let shop = Shop { name, objects };
    let values = stream::iter(0..objects).map(async |number| {
        let value = json!({ "username": format!("user-{number}"), "password": format!("password-of-{number}") });
        vault.put_v2(name, &format!("app-{number}"), &value).await
    });
    values
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await?;
    create_objects(ground, &shop, name).await?;
    Ok(shop)
}

/// Creates namespaces that begin so, and the VaultSecrets in them. Returns these as the API server answered.
pub async fn create_objects(
    ground: &Ground,
    shop: &Shop,
    prefix: &str,
) -> Result<Vec<VaultSecret>> {
    let client = ground.control_plane().client();
    let namespaces = stream::iter(0..shop.objects / PER_NAMESPACE).map(async |number| {
        let namespace = format!("{prefix}-{number}");
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        objects::apply(client, &object).await?;
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": namespace } });
        objects::apply(client, &account).await.map(drop)
    });
    namespaces
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |()| Ok(()))
        .await?;
    let created = stream::iter(0..shop.objects).map(async |number| {
        let namespace = format!("{prefix}-{}", number / PER_NAMESPACE);
        let api: Api<VaultSecret> = Api::namespaced(client.clone(), &namespace);
        let object = serde_json::from_value(vault_secret(shop.name, &namespace, number))?;
        Ok::<_, anyhow::Error>(api.create(&PostParams::default(), &object).await?)
    });
    created.buffer_unordered(AT_ONCE).try_collect().await
}

fn vault_secret(mount: &str, namespace: &str, number: usize) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "VaultSecret",
        "metadata": { "name": format!("app-{number}"), "namespace": namespace },
        "spec": {
            "auth": { "role": mount },
            "sources": [{ "name": "main", "kv": { "mount": mount, "path": format!("app-{number}"), "engineVersion": "V2" } }],
            "refresh": { "interval": "60s" },
        },
    })
}
