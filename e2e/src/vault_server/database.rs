//! The database engine: it issues users of PostgreSQL, each with a lease, and changes the passwords of others.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::VaultServer;
use crate::postgres::{ADMIN, Postgres};
use crate::wait::{SOON, until};

/// The name of the connection within the mount.
const CONNECTION: &str = "postgres";

/// A role of a database engine, which issues a new user at each read of `<mount>/creds/<name>`.
#[derive(Debug, Clone)]
pub struct DatabaseRole<'a> {
    /// Its name.
    pub name: &'a str,
    /// How long a lease is granted for, and renewed for.
    pub default_ttl: &'a str,
    /// How long a lease may become by being renewed.
    pub max_ttl: &'a str,
    /// Anything else: `{"creation_statements": […]}`. Overrides what the harness sets.
    pub more: Value,
}

impl Default for DatabaseRole<'_> {
    fn default() -> Self {
        Self {
            name: "app",
            default_ttl: "1h",
            max_ttl: "24h",
            more: json!({}),
        }
    }
}

impl VaultServer {
    /// Mounts a database engine for a server, whose users will have names that begin with `<prefix>_`. It may be mounted
    /// already.
    pub async fn mount_database(&self, mount: &str, server: &Postgres, prefix: &str) -> Result<()> {
        if self.read("sys/mounts").await?[format!("{mount}/")].is_null() {
            let path = format!("sys/mounts/{mount}");
            self.write(&path, &json!({ "type": "database" })).await?;
            self.database_set_up(mount).await?;
        }
        let port = server.port();
        let url = format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/postgres?sslmode=disable"
        );
        let name = format!("{prefix}_{{{{.RoleName | truncate 8}}}}_{{{{random 10}}}}");
        let connection = json!({
            "plugin_name": "postgresql-database-plugin",
            "connection_url": url,
            "username": ADMIN.0,
            "password": ADMIN.1,
            "username_template": name,
            "allowed_roles": "*",
        });
        self.write(&format!("{mount}/config/{CONNECTION}"), &connection)
            .await?;
        Ok(())
    }

    /// Waits until a fresh mount has looked for static roles, in a task of its own. OpenBao 2.7.2 ends with a nil pointer when
    /// one is written at that moment. Only the log tells when it is over.
    async fn database_set_up(&self, mount: &str) -> Result<()> {
        let mounts = self.read("sys/mounts").await?;
        let accessor = mounts[format!("{mount}/")]["accessor"].as_str();
        let accessor = accessor.context("find the mount's accessor")?;
        let line = format!("{accessor}: starting periodic ticker");
        until("the new mount to have set itself up", SOON, async || {
            self.service.ensure_running()?;
            let log = fs::read_to_string(&self.service.launch().log)?;
            Ok(log.contains(&line).then_some(()))
        })
        .await
    }

    /// Creates a role of a database mount, or makes it what is said here. Leases that were granted before stay as they are.
    pub async fn database_role(&self, mount: &str, role: &DatabaseRole<'_>) -> Result<()> {
        let create =
            "create role \"{{name}}\" login password '{{password}}' valid until '{{expiration}}'";
        let mut body = json!({
            "db_name": CONNECTION,
            "creation_statements": [create],
            "renew_statements": ["alter role \"{{name}}\" valid until '{{expiration}}'"],
            "revocation_statements": ["drop role if exists \"{{name}}\""],
            "default_ttl": role.default_ttl,
            "max_ttl": role.max_ttl,
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), role.more.as_object()) {
            body.extend(more.clone());
        }
        self.write(&format!("{mount}/roles/{}", role.name), &body)
            .await?;
        Ok(())
    }

    /// Creates a static role of a database mount: an existing user, whose password changes every so often.
    pub async fn static_database_role(
        &self,
        mount: &str,
        name: &str,
        user: &str,
        rotation_period: &str,
    ) -> Result<()> {
        let body = json!({
            "db_name": CONNECTION,
            "username": user,
            "rotation_period": rotation_period,
            "rotation_statements": ["alter role \"{{name}}\" password '{{password}}'"],
        });
        self.write(&format!("{mount}/static-roles/{name}"), &body)
            .await?;
        Ok(())
    }

    /// Changes the password of a static role's user now.
    pub async fn rotate_static_role(&self, mount: &str, name: &str) -> Result<()> {
        self.write(&format!("{mount}/rotate-role/{name}"), &Value::Null)
            .await?;
        Ok(())
    }
}
