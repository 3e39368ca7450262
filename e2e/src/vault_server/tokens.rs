//! The tokens that the server has given out, by their accessors.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::VaultServer;

impl VaultServer {
    /// What the server tells of the living tokens whose display name contains `who`: a tenant's name finds those of its
    /// service accounts. Batch tokens are not among them, because the server keeps nothing of those.
    pub async fn tokens_of(&self, who: &str) -> Result<Vec<Value>> {
        let accessors = self.read("auth/token/accessors?list=true").await?;
        let mut found = Vec::new();
        for accessor in accessors["keys"].as_array().into_iter().flatten() {
            let body = json!({ "accessor": accessor });
            // A token may end between the list and the look-up.
            let Ok(mut token) = self.write("auth/token/lookup-accessor", &body).await else {
                continue;
            };
            let name = token["data"]["display_name"].as_str().unwrap_or_default();
            if name.contains(who) {
                found.push(token["data"].take());
            }
        }
        Ok(found)
    }

    /// Revokes the tokens that [`tokens_of`](Self::tokens_of) finds, as an administrator may at any time. Returns how many.
    pub async fn revoke_tokens_of(&self, who: &str) -> Result<usize> {
        let tokens = self.tokens_of(who).await?;
        for token in &tokens {
            let body = json!({ "accessor": token["accessor"] });
            self.write("auth/token/revoke-accessor", &body)
                .await
                .context("revoke a token by its accessor")?;
        }
        Ok(tokens.len())
    }
}
