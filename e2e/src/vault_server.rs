//! A real Vault or OpenBao server in production mode: configured by a file, initialised, sealed and unsealed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::certificates::{Authority, Identity, install_provider};
use crate::components::{Components, OPENBAO, Part, VAULT};
use crate::ports;
use crate::process::{Launch, Service};
use crate::wait::until;

mod api;
mod audit;
mod auth;
mod config;
mod database;
mod kv;
mod leases;
mod namespaces;
mod tokens;

pub use audit::{VaultAudit, VaultRequest, VaultRequests};
pub use auth::Role;
pub use database::DatabaseRole;
pub use leases::Lease;

/// How long a server may take until it answers, and until it is active.
const START: Duration = Duration::from_mins(1);

/// Which server it is. Both speak the same API; tests run on either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaultKind {
    /// OpenBao, the default.
    OpenBao,
    /// HashiCorp Vault, community edition.
    Vault,
}

/// How the server is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listener {
    /// Plain http.
    #[default]
    Plain,
    /// TLS with a certificate of the server's own authority.
    Tls,
    /// TLS, and clients must show a certificate of the same authority.
    MutualTls,
}

impl Listener {
    fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls | Self::MutualTls => "https",
        }
    }
}

/// A running server. It ends when dropped, and with this process.
#[derive(Debug)]
pub struct VaultServer {
    kind: VaultKind,
    folder: PathBuf,
    address: String,
    authority: Authority,
    client_identity: Identity,
    http: reqwest::Client,
    service: Service,
    audit: VaultAudit,
    root: Root,
}

/// What `operator init` gave away. Known to the harness only.
#[derive(Debug, Clone, Default)]
struct Root {
    token: String,
    unseal_key: String,
}

impl VaultKind {
    /// The server that the environment variable `SERVER` names: `openbao` (also when unset) or `vault`.
    pub fn from_env() -> Result<Self> {
        match env::var("SERVER").as_deref() {
            Err(_) | Ok("" | "openbao") => Ok(Self::OpenBao),
            Ok("vault") => Ok(Self::Vault),
            Ok(other) => bail!("SERVER is {other}; it must be openbao or vault"),
        }
    }

    /// The part that brings it.
    #[must_use]
    pub fn part(self) -> &'static Part {
        match self {
            Self::OpenBao => &OPENBAO,
            Self::Vault => &VAULT,
        }
    }

    /// The name a person knows it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenBao => "OpenBao",
            Self::Vault => "Vault",
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::OpenBao => "bao",
            Self::Vault => "vault",
        }
    }
}

impl VaultServer {
    /// Starts a server in a folder of its own, initialises and unseals it, and turns its audit log on.
    pub async fn start(
        components: &Components,
        folder: &Path,
        kind: VaultKind,
        listener: Listener,
    ) -> Result<Self> {
        let mut this = Self::prepare(components, folder, kind, listener)?;
        this.service.start()?;
        this.answers().await?;
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let init = this.api(Method::PUT, "sys/init", &shares).await?;
        let text = |value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .context("read the answer of sys/init")
        };
        this.root = Root {
            token: text(&init["root_token"])?,
            unseal_key: text(&init["keys_base64"][0])?,
        };
        this.unseal().await?;
        if kind == VaultKind::Vault {
            // OpenBao reads this from its configuration, and refuses it here.
            let options = json!({ "file_path": this.audit.log().file() });
            let device = json!({ "type": "file", "options": options });
            this.api(Method::PUT, "sys/audit/file", &device).await?;
        }
        Ok(this)
    }

    /// Everything up to the start: folder, certificates, configuration, clients.
    fn prepare(
        components: &Components,
        folder: &Path,
        kind: VaultKind,
        listener: Listener,
    ) -> Result<Self> {
        install_provider();
        fs::create_dir_all(folder.join("raft"))
            .with_context(|| format!("create {}", folder.display()))?;
        let authority = Authority::new("vaultbridge-test-vault")?;
        let client_identity = authority.client("vaultbridge", None)?;
        let ports = (ports::pick()?, ports::pick()?);
        let audit = VaultAudit::new(folder.join("audit.log"));
        let file = config::write(
            folder,
            kind,
            listener,
            &authority,
            ports,
            audit.log().file(),
        )?;
        let args = [PathBuf::from("server"), "-config".into(), file];
        let log = folder.join("server.log");
        let launch = Launch::new(kind.name(), components.program(kind.program())?, args, log);
        Ok(Self {
            kind,
            folder: folder.to_path_buf(),
            address: format!("{}://127.0.0.1:{}", listener.scheme(), ports.0),
            http: api::client(&authority, &client_identity)?,
            service: Service::new(launch),
            audit,
            root: Root::default(),
            authority,
            client_identity,
        })
    }

    /// Which server it is.
    #[must_use]
    pub fn kind(&self) -> VaultKind {
        self.kind
    }

    /// The root token, for a person who plays with the server.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.root.token
    }

    /// The address that goes into a `VaultConnection`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The authority of its certificate, as PEM.
    #[must_use]
    pub fn ca(&self) -> String {
        self.authority.pem()
    }

    /// A client certificate that a server with [`Listener::MutualTls`] accepts.
    #[must_use]
    pub fn client_identity(&self) -> &Identity {
        &self.client_identity
    }

    /// The folder with its configuration, log and audit log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> &VaultAudit {
        &self.audit
    }

    /// The process, to freeze it and let it go on.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Seals it: from now on it refuses everything.
    pub async fn seal(&self) -> Result<()> {
        self.api(Method::PUT, "sys/seal", &Value::Null).await?;
        until("the server to be sealed", START, async || {
            Ok((self.health().await? == 503).then_some(()))
        })
        .await
    }

    /// Unseals it and waits until it is active.
    pub async fn unseal(&self) -> Result<()> {
        self.api(
            Method::PUT,
            "sys/unseal",
            &json!({ "key": self.root.unseal_key }),
        )
        .await?;
        until("the server to be active", START, async || {
            self.service.ensure_running()?;
            Ok((self.health().await? == 200).then_some(()))
        })
        .await
    }

    /// Stops it (SIGTERM); nothing listens on its address any more.
    pub async fn stop(&self) -> Result<()> {
        let status = self.service.terminate().await?;
        ensure!(status.success(), "{} ended with {status}", self.kind.name());
        Ok(())
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) -> Result<()> {
        self.service.kill()
    }

    /// Starts it after [`stop`](Self::stop) or [`kill`](Self::kill). It answers, and is sealed.
    pub async fn start_sealed(&self) -> Result<()> {
        self.service.start()?;
        self.answers().await
    }

    /// Stops it, starts it and unseals it.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start_sealed().await?;
        self.unseal().await
    }

    async fn answers(&self) -> Result<()> {
        until("the server to answer", START, async || {
            self.service.ensure_running()?;
            self.health().await.map(Some)
        })
        .await?;
        Ok(())
    }

    /// 200 active, 429 standby, 501 not initialised, 503 sealed.
    async fn health(&self) -> Result<u16> {
        let url = format!("{}/v1/sys/health", self.address);
        Ok(self.http.get(url).send().await?.status().as_u16())
    }
}
