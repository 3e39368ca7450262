//! What Vault makes for a tenant beside users of a database: secret-ids of an `AppRole`, tokens, certificates.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Tenant;

impl Tenant {
    /// Lets Vault make secret-ids: a role of an `AppRole` method of the tenant's own, which the tenant's policy lets write to. Returns the path to write to.
    pub async fn approle(&self, role: &str) -> Result<String> {
        let (mount, vault) = (self.approle_mount(), self.vault());
        let methods = vault.read("sys/auth").await?;
        if methods.get(format!("{mount}/")).is_none() {
            let kind = json!({ "type": "approle" });
            vault.write(&format!("sys/auth/{mount}"), &kind).await?;
        }
        let path = format!("auth/{mount}/role/{role}");
        let settings = json!({ "token_policies": [self.name()] });
        vault.write(&path, &settings).await?;
        let path = format!("{path}/secret-id");
        self.allow(&path, &["update"]).await?;
        Ok(path)
    }

    /// How many secret-ids the role has.
    pub async fn secret_ids(&self, role: &str) -> Result<usize> {
        let path = format!(
            "auth/{}/role/{role}/secret-id?list=true",
            self.approle_mount()
        );
        // Where there is none, the list is not found.
        let list = self.vault().read(&path).await.unwrap_or_default();
        Ok(list["keys"].as_array().map_or(0, Vec::len))
    }

    /// Fails unless the role and the secret-id log in.
    pub async fn approle_logs_in(&self, role: &str, secret_id: &str) -> Result<()> {
        self.ground().canaries().remember_text(secret_id);
        let (mount, vault) = (self.approle_mount(), self.vault());
        let path = format!("auth/{mount}/role/{role}/role-id");
        let role_id = vault.read(&path).await?["role_id"].take();
        let body = json!({ "role_id": role_id, "secret_id": secret_id });
        vault.login(&mount, &body).await.map(drop)
    }

    /// Lets Vault issue and sign certificates for names below `shop.svc`, by an authority of the tenant's own: a role of a PKI engine, which the tenant's policy
    /// lets write to. Returns the mount.
    pub async fn authority(&self, role: &str) -> Result<String> {
        let (mount, vault) = (format!("{}-pki", self.name()), self.vault());
        let engine = json!({ "type": "pki", "config": { "max_lease_ttl": "1000h" } });
        vault.write(&format!("sys/mounts/{mount}"), &engine).await?;
        let root = json!({ "common_name": "authority of a test", "ttl": "900h" });
        let path = format!("{mount}/root/generate/internal");
        vault.write(&path, &root).await?;
        let keys = json!({ "key_type": "ec", "key_bits": 256 });
        self.authority_role(&mount, role, &keys).await?;
        Ok(mount)
    }

    /// A role of such an authority with these settings and those that every one has.
    pub async fn authority_role(&self, mount: &str, role: &str, more: &Value) -> Result<()> {
        let mut settings = json!({
            "allowed_domains": "shop.svc",
            "allow_subdomains": true,
            "allow_bare_domains": true,
            "allow_localhost": false,
            "allowed_uri_sans": "spiffe://shop/*",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            settings[name] = value.clone();
        }
        let path = format!("{mount}/roles/{role}");
        self.vault().write(&path, &settings).await?;
        for verb in ["issue", "sign"] {
            let path = format!("{mount}/{verb}/{role}");
            self.allow(&path, &["update"]).await?;
        }
        Ok(())
    }

    fn approle_mount(&self) -> String {
        format!("{}-approle", self.name())
    }

    /// The tenant's policy lets ask for tokens. Returns the path to write to.
    pub async fn token_maker(&self) -> Result<String> {
        let path = "auth/token/create";
        self.allow(path, &["update"]).await?;
        Ok(path.to_owned())
    }

    /// What Vault tells the token of itself; an error once it is dead.
    pub async fn looks_at_itself(&self, token: &str) -> Result<Value> {
        self.ground().canaries().remember_text(token);
        let (vault, path) = (self.vault(), "auth/token/lookup-self");
        let answer = vault.api_as(token, reqwest::Method::GET, path, &Value::Null);
        let data = answer.await?["data"].take();
        data.is_object()
            .then_some(data)
            .context("find the data of the answer")
    }
}
