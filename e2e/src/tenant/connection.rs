//! A `VaultConnection` of the tenant's own, and the certificates that it refers to.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Tenant, condition};
use crate::ground::Ground;
use crate::objects;
use crate::operator;
use crate::vault_server::Listener;
use crate::wait::{SOON, until};

impl Tenant {
    /// Another tenant with a Vault server of its own, reached by a connection of its name: see [`with_own_vault`](Self::with_own_vault).
    /// It is furnished on the ground's server as well.
    pub async fn neighbour(&self, listener: Listener) -> Result<Self> {
        let ground: std::sync::Arc<Ground> = self.ground().clone();
        Self::new(ground, self.name())
            .await?
            .with_own_vault(listener)
            .await
    }

    /// Creates the connection of the tenant's name, or makes it what `spec` says; `address` may be left out.
    pub async fn connect(&self, mut spec: Value) -> Result<()> {
        if spec["address"].is_null() {
            spec["address"] = self.vault().address().into();
        }
        self.ground().connect(self.name(), &spec).await
    }

    /// Waits until the connection of the tenant's name reports `Ready` with this status and reason, in its present generation, and
    /// returns the message.
    pub async fn connection_is(&self, status: &str, reason: &str) -> Result<String> {
        self.connection_says(status, reason, "").await
    }

    /// The same, and the message contains these words.
    pub async fn connection_says(&self, status: &str, reason: &str, words: &str) -> Result<String> {
        let what = format!("to report Ready={status}, {reason}: {words}");
        let message = |object: &Value| {
            condition(object, "Ready")
                .filter(|one| one["status"] == status && one["reason"] == reason)
                .and_then(|one| one["message"].as_str())
                .filter(|message| message.contains(words))
                .map(str::to_owned)
        };
        let found = self.wait("VaultConnection", self.name(), &what, |object| {
            object["status"]["observedGeneration"] == object["metadata"]["generation"]
                && message(object).is_some()
        });
        Ok(message(&found.await?).unwrap_or_default())
    }

    /// Puts a `ConfigMap`, or a `Secret`, of the tenant's name into the operator's namespace.
    pub async fn give_operator(&self, kind: &str, content: &[(&str, &str)]) -> Result<()> {
        let data: serde_json::Map<String, Value> = content
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).into()))
            .collect();
        let field = if kind == "Secret" {
            "stringData"
        } else {
            "data"
        };
        let object = json!({
            "apiVersion": "v1",
            "kind": kind,
            "metadata": { "name": self.name(), "namespace": operator::NAMESPACE },
            field: data,
        });
        objects::apply(self.ground().control_plane().client(), &object).await?;
        Ok(())
    }

    /// Waits until the tenant has no token left at its Vault server.
    pub async fn vault_tokens_gone(&self) -> Result<()> {
        until("all tokens to be revoked", SOON, async || {
            let left = self.vault().tokens_of(self.name()).await?;
            Ok(left.is_empty().then_some(()))
        })
        .await
    }
}
