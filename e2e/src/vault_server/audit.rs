//! What the Vault server was asked: the oracle for "one read, shared by all".

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

use crate::audit::{AuditLog, Place, Requests};

/// The server's audit log. Values in it are hashed; paths are not. A request is in it before it is answered, so there is
/// nothing to wait for.
#[derive(Debug, Clone)]
pub struct VaultAudit {
    log: AuditLog,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultRequest {
    /// `read`, `list`, `create`, `update`, `delete`, …: Vault's words.
    pub operation: String,
    /// Without `/v1/`: `shop/data/orders`, `auth/kubernetes/login`.
    pub path: String,
    /// Who asked: `root`, or how the login calls it; of a login, who logged in.
    pub display_name: String,
    /// The policies of the token.
    pub policies: Vec<String>,
    /// Why it was refused or failed; empty when it was not.
    pub error: String,
}

/// Requests, to be narrowed down step by step: `requests.reads().below("shop/")`.
pub type VaultRequests = Requests<VaultRequest>;

impl VaultAudit {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            log: AuditLog::new(file),
        }
    }

    /// The log as a file.
    #[must_use]
    pub fn log(&self) -> &AuditLog {
        &self.log
    }

    /// The requests answered since a place, without those of the harness (the root token's).
    pub fn since(&self, place: Place) -> Result<VaultRequests> {
        let entries: Vec<Entry> = self.log.entries(place)?;
        let answered = entries
            .into_iter()
            .filter(|entry| entry.r#type == "response");
        let requests = answered
            .map(Entry::request)
            .filter(|request| request.display_name != "root");
        Ok(Requests(requests.collect()))
    }
}

impl Requests<VaultRequest> {
    /// Those whose path begins so.
    #[must_use]
    pub fn below(self, prefix: &str) -> Self {
        self.only(|request| request.path.starts_with(prefix))
    }

    /// Those of whoever logged in under a name that contains this, or has a policy of this name.
    #[must_use]
    pub fn of(self, name: &str) -> Self {
        self.only(|request| {
            request.display_name.contains(name)
                || request.policies.iter().any(|policy| policy == name)
        })
    }

    /// Those that read.
    #[must_use]
    pub fn reads(self) -> Self {
        self.only(|request| request.operation == "read")
    }

    /// Logins, at whatever mount.
    #[must_use]
    pub fn logins(self) -> Self {
        self.only(|request| request.path.starts_with("auth/") && request.path.ends_with("/login"))
    }
}

impl fmt::Display for VaultRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            path,
            display_name,
            policies: _,
            error,
        } = self;
        let error = error.replace('\n', " ");
        write!(f, "{operation} {path} ({display_name}) {error}")
    }
}

/// An entry as the server writes it.
#[derive(Debug, Deserialize)]
struct Entry {
    r#type: String,
    #[serde(default)]
    auth: Option<Auth>,
    request: Request,
    #[serde(default)]
    error: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    display_name: String,
    policies: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct Request {
    operation: String,
    #[serde(default)]
    path: String,
}

impl Entry {
    fn request(self) -> VaultRequest {
        let auth = self.auth.unwrap_or_default();
        VaultRequest {
            operation: self.request.operation,
            path: self.request.path,
            display_name: auth.display_name,
            policies: auth.policies.unwrap_or_default(),
            error: self.error,
        }
    }
}
