//! One test's share of the ground: a namespace, and in Vault a mount, a policy and a role, all of one name.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use crate::ground::{Ground, JWT_AUTH, KUBERNETES_AUTH};
use crate::objects;
use crate::operator::Operator;
use crate::vault_server::{Listener, Role, VaultServer};

mod admission;
mod app;
mod connection;
mod database;
mod dry_run;
mod engines;
mod events_of;
mod faults;
mod keeping;
mod objects_of;
mod oracles;
mod reader;
mod secret;
mod waits;

pub use app::in_words;
pub use dry_run::Answer;
pub use events_of::EventView;
pub use keeping::{READ, says, source};
pub use secret::SecretView;
pub use waits::{condition, conditions};

/// The room of one test. Its name is that of
/// - the namespace, with the service account `default`,
/// - the KV v2 mount,
/// - the policy, which lets read `<mount>/data/*` and nothing else,
/// - the role of that policy, for that service account, at the Kubernetes and at the JWT mount.
#[derive(Debug)]
pub struct Tenant {
    ground: Arc<Ground>,
    name: String,
    vault: Arc<VaultServer>,
    connection: String,
}

impl Tenant {
    /// Furnishes the room for a test of that name.
    pub async fn new(ground: Arc<Ground>, test: &str) -> Result<Self> {
        let name = ground.unique(test);
        let vault = ground.vault().clone();
        let this = Self {
            ground,
            name,
            vault,
            connection: "default".to_owned(),
        };
        let client = this.ground.control_plane().client();
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": this.name } });
        objects::apply(client, &namespace).await?;
        this.service_account("default").await?;
        this.furnish_vault().await?;
        Ok(this)
    }

    /// The same room with a Vault server of its own, reached by a connection of the tenant's name: for tests that seal,
    /// stop or speak TLS to it.
    pub async fn with_own_vault(mut self, listener: Listener) -> Result<Self> {
        self.vault = self.ground.another_vault(listener).await?;
        self.furnish_vault().await?;
        self.connection.clone_from(&self.name);
        let mut spec = json!({ "address": self.vault.address() });
        if listener != Listener::Plain {
            spec["tls"] = json!({ "caBundle": self.vault.ca() });
        }
        self.ground.connect(&self.connection, &spec).await?;
        Ok(self)
    }

    async fn furnish_vault(&self) -> Result<()> {
        self.vault.mount_kv(&self.name, 2).await?;
        self.policy(&[("$tenant/data/*", &["read"])]).await?;
        self.tokens_are(&json!({})).await
    }

    /// Chooses what tokens the tenant's role gives from now on, at both authentication mounts: `{"token_ttl": "20s",
    /// "token_max_ttl": "1m", "token_period": "20s", "token_no_default_policy": true}`. Without any, a token is granted for an
    /// hour and can be renewed for as long as the server lets it.
    pub async fn tokens_are(&self, settings: &Value) -> Result<()> {
        // A role keeps what it is not told.
        let mut more = json!({
            "token_ttl": "1h",
            "token_max_ttl": 0,
            "token_explicit_max_ttl": 0,
            "token_period": 0,
            "token_num_uses": 0,
            "token_no_default_policy": false,
        });
        if let (Some(more), Some(settings)) = (more.as_object_mut(), settings.as_object()) {
            more.extend(settings.clone());
        }
        let role = Role {
            name: &self.name,
            namespace: &self.name,
            account: "default",
            policies: &[&self.name],
            more,
        };
        self.vault.kubernetes_role(KUBERNETES_AUTH, &role).await?;
        self.vault.jwt_role(JWT_AUTH, &role).await
    }

    /// The name of everything that is this tenant's; `$tenant` in the texts below.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ground it stands on.
    #[must_use]
    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    /// Its Vault server: the ground's, unless it has its own.
    #[must_use]
    pub fn vault(&self) -> &VaultServer {
        &self.vault
    }

    /// The operator. Fails on a ground without one.
    pub fn operator(&self) -> Result<&Operator> {
        self.ground.operator()
    }

    /// Stores a secret in the tenant's mount, as a new version, and returns the version's number. Every text in it is a
    /// canary from now on.
    pub async fn put(&self, path: &str, data: Value) -> Result<u64> {
        self.ground.canaries().remember(&data);
        self.vault.put_v2(&self.name, path, &data).await
    }

    /// Replaces the tenant's policy; `$tenant` in a path is its mount.
    pub async fn policy(&self, rules: &[(&str, &[&str])]) -> Result<()> {
        let paths: Vec<String> = rules
            .iter()
            .map(|(path, _)| path.replace("$tenant", &self.name))
            .collect();
        let rules: Vec<(&str, &[&str])> = paths
            .iter()
            .map(String::as_str)
            .zip(rules.iter().map(|rule| rule.1))
            .collect();
        self.vault.policy(&self.name, &rules).await
    }

    /// Creates or replaces a role of the Kubernetes mount with the tenant's policy; `more` overrides its settings.
    pub async fn role(&self, name: &str, account: &str, more: Value) -> Result<()> {
        let role = Role {
            name,
            namespace: &self.name,
            account,
            policies: &[&self.name],
            more,
        };
        self.vault.kubernetes_role(KUBERNETES_AUTH, &role).await
    }

    /// Creates a service account.
    pub async fn service_account(&self, name: &str) -> Result<()> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": name, "namespace": self.name },
        });
        objects::apply(self.ground.control_plane().client(), &object).await?;
        Ok(())
    }
}
