//! A tenant's database: users that Vault issues, and what became of them.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{SecretView, Tenant};
use crate::postgres::Postgres;
use crate::vault_server::DatabaseRole;

impl Tenant {
    /// Lets Vault issue users of the ground's PostgreSQL: a role of the tenant's database mount, which the tenant's policy
    /// lets read. Returns the path to read, `<mount>/creds/<role>`. Called again it changes the role.
    pub async fn database(&self, role: &DatabaseRole<'_>) -> Result<String> {
        let server = self.ground().postgres().await?;
        self.database_at(&server, role).await
    }

    /// The same at another PostgreSQL; from now on all roles of the tenant are there.
    pub async fn database_at(&self, server: &Postgres, role: &DatabaseRole<'_>) -> Result<String> {
        let mount = self.database_mount();
        let vault = self.vault();
        vault.mount_database(&mount, server, self.name()).await?;
        vault.database_role(&mount, role).await?;
        let path = format!("{mount}/creds/{}", role.name);
        self.allow(&path, &["read"]).await?;
        Ok(path)
    }

    /// A user of the ground's PostgreSQL whose password Vault changes every so often, which the tenant's policy lets read.
    /// Returns the path to read, `<mount>/static-creds/<role>`.
    pub async fn static_database(&self, name: &str, rotation_period: &str) -> Result<String> {
        let server = self.ground().postgres().await?;
        let (mount, vault) = (self.database_mount(), self.vault());
        let user = format!("{}_{name}", self.name());
        server.sql(&format!("create role \"{user}\" login")).await?;
        vault.mount_database(&mount, &server, self.name()).await?;
        vault
            .static_database_role(&mount, name, &user, rotation_period)
            .await?;
        let path = format!("{mount}/static-creds/{name}");
        self.allow(&path, &["read"]).await?;
        Ok(path)
    }

    /// Changes the password of a static role's user now.
    pub async fn rotate_static_database(&self, name: &str) -> Result<()> {
        let mount = self.database_mount();
        self.vault().rotate_static_role(&mount, name).await
    }

    /// The mount of the tenant's database engine.
    #[must_use]
    pub fn database_mount(&self) -> String {
        format!("{}-db", self.name())
    }

    /// The users of the ground's PostgreSQL that are this tenant's.
    pub async fn database_users(&self) -> Result<Vec<String>> {
        let server = self.ground().postgres().await?;
        server.roles(&format!("{}_", self.name())).await
    }

    /// The ids of the living leases of the tenant's database engine.
    pub async fn leases(&self) -> Result<Vec<String>> {
        self.vault().leases(&self.database_mount()).await
    }

    /// Fails unless the user and the password in a Secret, under the keys `username` and `password`, log in to the ground's
    /// PostgreSQL. The password is a canary from now on.
    pub async fn logs_in(&self, secret: &SecretView) -> Result<()> {
        let server = self.ground().postgres().await?;
        let (user, password) = (secret.text("username")?, secret.text("password")?);
        self.ground().canaries().remember_text(&password);
        server.can_log_in(&user, &password).await
    }

    /// Adds a path to the tenant's policy, beside what it has.
    pub async fn allow(&self, path: &str, capabilities: &[&str]) -> Result<()> {
        let at = format!("sys/policies/acl/{}", self.name());
        let found = self.vault().read(&at).await?;
        let text = found["policy"].as_str().context("read the policy")?;
        let mut policy: Value = serde_json::from_str(text)?;
        let path = path.replace("$tenant", self.name());
        policy["path"][path] = json!({ "capabilities": capabilities });
        let body = json!({ "policy": policy.to_string() });
        self.vault().write(&at, &body).await?;
        Ok(())
    }
}
