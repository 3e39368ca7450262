//! Key-value mounts and what lies in them.

use anyhow::Result;
use serde_json::{Value, json};

use super::VaultServer;

impl VaultServer {
    /// Mounts a KV engine of version 1 or 2.
    pub async fn mount_kv(&self, mount: &str, version: u8) -> Result<()> {
        let body = json!({ "type": "kv", "options": { "version": version.to_string() } });
        self.write(&format!("sys/mounts/{mount}"), &body).await?;
        if version == 2 {
            // A fresh mount of version 2 refuses everything until it has set itself up.
            let path = format!("{mount}/config");
            crate::wait::until("the new mount to be ready", crate::wait::SOON, async || {
                self.read(&path).await.map(Some)
            })
            .await?;
        }
        Ok(())
    }

    /// Stores a secret in a mount of version 1.
    pub async fn put_v1(&self, mount: &str, path: &str, data: &Value) -> Result<()> {
        self.write(&format!("{mount}/{path}"), data).await?;
        Ok(())
    }

    /// Stores a new version of a secret in a mount of version 2, and returns its number.
    pub async fn put_v2(&self, mount: &str, path: &str, data: &Value) -> Result<u64> {
        let answer = self
            .write(&format!("{mount}/data/{path}"), &json!({ "data": data }))
            .await?;
        Ok(answer["data"]["version"].as_u64().unwrap_or_default())
    }
}
