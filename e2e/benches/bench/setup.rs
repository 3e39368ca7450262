//! What is there before anything is measured: namespaces, values in Vault, objects.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};
use vaultbridge::api::VaultSecret;
use vaultbridge_e2e::Ground;
use vaultbridge_e2e::ground::KUBERNETES_AUTH;
use vaultbridge_e2e::objects::{self, API_VERSION};
use vaultbridge_e2e::vault_server::Role;

/// The label of the Secrets that the operator makes.
pub const MANAGED: &str = "app.kubernetes.io/managed-by=vaultbridge";

/// How many objects share a namespace, and so an identity.
pub const PER_NAMESPACE: usize = 10;

/// Requests at once while things are prepared.
const AT_ONCE: usize = 16;

/// What was prepared.
pub struct Shop {
    pub name: &'static str,
    pub objects: usize,
}

impl Shop {
    /// The namespace and the name of an object.
    pub fn place(&self, number: usize) -> (String, String) {
        let namespace = format!("{}-{}", self.name, number / PER_NAMESPACE);
        (namespace, format!("app-{number}"))
    }
}

/// What an object's Secret shall hold.
pub fn password_of(number: usize) -> String {
    format!("password-of-{number}")
}

/// What a Secret of the operator holds as its password.
pub fn password(secret: &Secret) -> &[u8] {
    let data = secret.data.as_ref();
    data.and_then(|data| data.get("password"))
        .map_or(&[], |value| &value.0)
}

/// Prepares so many objects, each with a path of its own.
pub async fn furnish(ground: &Ground, name: &'static str, objects: usize) -> Result<Shop> {
    admit(ground, name).await?;
    let shop = Shop { name, objects };
    let values = stream::iter(0..objects).map(async |number| {
        let value =
            json!({ "username": format!("user-{number}"), "password": password_of(number) });
        let vault = ground.vault();
        vault.put_v2(name, &format!("app-{number}"), &value).await
    });
    values
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |_| Ok(()))
        .await?;
    create_objects(ground, &shop, name).await?;
    Ok(shop)
}

/// A KV v2 mount, and the policy and role that let every service account `default` read it, all of one name.
async fn admit(ground: &Ground, name: &'static str) -> Result<()> {
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
    vault.kubernetes_role(KUBERNETES_AUTH, &role).await
}

/// Many objects that use one path, in a namespace of that name.
pub struct Sharing {
    pub name: &'static str,
    pub objects: usize,
    pub interval: Duration,
}

impl Sharing {
    /// So many objects.
    pub fn new(objects: usize) -> Self {
        Self {
            name: "shared",
            objects,
            interval: Duration::from_secs(20),
        }
    }

    /// Puts a value where they all look.
    pub async fn put(&self, ground: &Ground, password: &str) -> Result<()> {
        let value = json!({ "password": password });
        ground.vault().put_v2(self.name, "one", &value).await?;
        Ok(())
    }
}

/// Prepares them, with the first value.
pub async fn share(ground: &Ground, sharing: &Sharing) -> Result<()> {
    let (name, client) = (sharing.name, ground.control_plane().client());
    admit(ground, name).await?;
    sharing.put(ground, "the first").await?;
    create_namespace(client, name).await?;
    let api: Api<VaultSecret> = Api::namespaced(client.clone(), name);
    let interval = format!("{}s", sharing.interval.as_secs());
    let created = stream::iter(0..sharing.objects).map(async |number| {
        let object = vault_secret(&Wanted {
            name: &format!("app-{number}"),
            namespace: name,
            mount: name,
            path: "one",
            interval: &interval,
        });
        let object = serde_json::from_value(object)?;
        api.create(&PostParams::default(), &object).await?;
        anyhow::Ok(())
    });
    created
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |()| Ok(()))
        .await
}

/// Creates namespaces that begin so, and the VaultSecrets in them. Returns these as the API server answered.
pub async fn create_objects(
    ground: &Ground,
    shop: &Shop,
    prefix: &str,
) -> Result<Vec<VaultSecret>> {
    let client = ground.control_plane().client();
    let namespaces = stream::iter(0..shop.objects / PER_NAMESPACE)
        .map(async |number| create_namespace(client, &format!("{prefix}-{number}")).await);
    namespaces
        .buffer_unordered(AT_ONCE)
        .try_for_each(async |()| Ok(()))
        .await?;
    let created = stream::iter(0..shop.objects).map(async |number| {
        let namespace = format!("{prefix}-{}", number / PER_NAMESPACE);
        let api: Api<VaultSecret> = Api::namespaced(client.clone(), &namespace);
        let name = format!("app-{number}");
        let object = vault_secret(&Wanted {
            name: &name,
            namespace: &namespace,
            mount: shop.name,
            path: &name,
            interval: "60s",
        });
        let object = serde_json::from_value(object)?;
        Ok::<_, anyhow::Error>(api.create(&PostParams::default(), &object).await?)
    });
    created.buffer_unordered(AT_ONCE).try_collect().await
}

/// A namespace with the service account that a controller would put there in a cluster.
async fn create_namespace(client: &Client, name: &str) -> Result<()> {
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    objects::apply(client, &object).await?;
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": name } });
    objects::apply(client, &account).await.map(drop)
}

/// A VaultSecret to be made.
struct Wanted<'a> {
    name: &'a str,
    namespace: &'a str,
    mount: &'a str,
    path: &'a str,
    interval: &'a str,
}

fn vault_secret(wanted: &Wanted<'_>) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": "VaultSecret",
        "metadata": { "name": wanted.name, "namespace": wanted.namespace },
        "spec": {
            "auth": { "role": wanted.mount },
            "sources": [{ "name": "main", "kv": { "mount": wanted.mount, "path": wanted.path, "engineVersion": "V2" } }],
            "refresh": { "interval": wanted.interval },
        },
    })
}
