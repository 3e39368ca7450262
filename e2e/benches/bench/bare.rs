//! The bare writer: for each object one Secret created and one status replaced, as the operator does, and nothing else. No
//! watch, no Vault, no decision: what it takes is the price of the requests themselves on this machine.

use std::process;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use vaultbridge::api::{VaultSecret, VaultSecretStatus};
use vaultbridge_e2e::{Ground, operator};

use crate::calm;
use crate::meter::{Cost, Meter};
use crate::setup::{Shop, create_objects};

/// How often it writes the lot; the best round counts, because it is what the operator is held against.
const ROUNDS: usize = 3;

/// How many requests it has under way at once: as many as the operator.
const AT_ONCE: usize = 32;

/// What the bare writer took.
pub struct Bare {
    pub best: Cost,
    pub walls: Vec<Duration>,
}

/// What the operator has written, to be written again elsewhere.
struct Pattern {
    secret: Secret,
    status: VaultSecretStatus,
}

/// Lets it write, with the operator's own rights.
pub async fn run(ground: &Ground, shop: &Shop) -> Result<Bare> {
    let cluster = ground.control_plane();
    let client = cluster
        .client_of(operator::NAMESPACE, operator::ACCOUNT)
        .await?;
    let pattern = pattern(cluster.client(), shop).await?;
    let mut costs = Vec::new();
    for round in 0..ROUNDS {
        let objects = create_objects(ground, shop, &format!("bare-{round}")).await?;
        calm::wait(ground).await?;
        let meter = Meter::start(ground, Some(process::id())).await?;
        stream::iter(objects)
            .map(|object| write(&client, &pattern, object))
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |()| Ok(()))
            .await?;
        costs.push(meter.end(ground, Some(process::id())).await?);
    }
    let walls = costs.iter().map(|cost| cost.wall).collect();
    let best = costs.into_iter().min_by_key(|cost| cost.wall);
    Ok(Bare {
        best: best.context("measure the bare writer")?,
        walls,
    })
}

async fn pattern(client: &Client, shop: &Shop) -> Result<Pattern> {
    let namespace = format!("{}-0", shop.name);
    let objects: Api<VaultSecret> = Api::namespaced(client.clone(), &namespace);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let list = objects.list(&ListParams::default()).await?;
    let object = list.items.first().context("find an object")?;
    let name = object.metadata.name.as_deref().unwrap_or_default();
    Ok(Pattern {
        secret: secrets.get(name).await?,
        status: object.status.clone().context("find its status")?,
    })
}

async fn write(client: &Client, pattern: &Pattern, object: VaultSecret) -> Result<()> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let params = PostParams {
        field_manager: Some("vaultbridge".to_owned()),
        ..PostParams::default()
    };
    let mut secret = pattern.secret.clone();
    let mut owners = secret.metadata.owner_references.take();
    for owner in owners.iter_mut().flatten() {
        owner.name.clone_from(&name);
        owner.uid = object.metadata.uid.clone().unwrap_or_default();
    }
    secret.metadata = kube::api::ObjectMeta {
        name: Some(name.clone()),
        namespace: Some(namespace.clone()),
        labels: secret.metadata.labels.take(),
        annotations: secret.metadata.annotations.take(),
        owner_references: owners,
        ..kube::api::ObjectMeta::default()
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    secrets.create(&params, &secret).await?;
    let objects: Api<VaultSecret> = Api::namespaced(client.clone(), &namespace);
    let told = VaultSecret {
        status: Some(pattern.status.clone()),
        ..object
    };
    objects.replace_status(&name, &params, &told).await?;
    Ok(())
}
