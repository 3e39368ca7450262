//! The leases that the server has given out: what was issued and is not revoked yet.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};

use super::VaultServer;

/// What the server tells of a living lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its whole id: the path that issued it, a slash, and a word of the server's own.
    pub id: String,
    /// For how many seconds it goes on from now.
    pub ttl: u64,
    /// Whether it can be renewed.
    pub renewable: bool,
}

impl VaultServer {
    /// The ids of the living leases below a path: `shop-db/creds/app`, or `shop-db` for all of a mount. A lease that is being
    /// revoked in vain, because the database is down, is among them.
    pub async fn leases(&self, prefix: &str) -> Result<Vec<String>> {
        let mut folders = vec![format!("{}/", prefix.trim_matches('/'))];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            let path = format!("sys/leases/lookup/{folder}?list=true");
            let keys = match self.read(&path).await {
                Ok(mut answer) => answer["keys"].take(),
                Err(error) if format!("{error:#}").contains("404") => continue,
                Err(error) => return Err(error),
            };
            for key in keys.as_array().into_iter().flatten() {
                let key = key.as_str().context("read the list of leases")?;
                let whole = format!("{folder}{key}");
                if whole.ends_with('/') {
                    folders.push(whole);
                } else {
                    found.push(whole);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// What the server tells of a lease; nothing of one that has ended or was revoked.
    pub async fn lease(&self, id: &str) -> Result<Option<Lease>> {
        let body = json!({ "lease_id": id });
        let answer = self.api(Method::PUT, "sys/leases/lookup", &body).await;
        let data: Value = match answer {
            Ok(mut answer) => answer["data"].take(),
            Err(error) if format!("{error:#}").contains("invalid lease") => return Ok(None),
            Err(error) => return Err(error),
        };
        let lease = Lease {
            id: id.to_owned(),
            ttl: data["ttl"].as_u64().unwrap_or_default(),
            renewable: data["renewable"].as_bool().unwrap_or_default(),
        };
        Ok(Some(lease))
    }

    /// Revokes a lease, as an administrator may at any time. It is gone when this returns.
    pub async fn revoke_lease(&self, id: &str) -> Result<()> {
        let body = json!({ "lease_id": id, "sync": true });
        self.api(Method::PUT, "sys/leases/revoke", &body).await?;
        Ok(())
    }
}
