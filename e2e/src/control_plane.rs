//! A real Kubernetes control plane without nodes: etcd, kube-apiserver and kube-controller-manager.
//!
//! Token requests, token reviews, admission, quota, garbage collection and namespace deletion are the real ones.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::certificates::{Authority, install_provider};
use crate::components::Components;
use crate::ports;
use crate::process::{Launch, Service};
use crate::wait::until;

mod audit;
mod flags;
mod kubeconfig;
mod tokens;

pub use audit::{KubeAudit, KubeRequest, KubeRequests};
pub use tokens::TOKEN_LIFETIME;

/// How long a server may take until it is ready.
const START: Duration = Duration::from_mins(1);

/// How long an API server may take to end. By itself it waits up to a minute for its clients.
const GRACE: Duration = Duration::from_secs(5);

/// What can be chosen about a control plane.
#[derive(Debug, Clone, Default)]
pub struct ControlPlaneOptions {
    /// Whether etcd waits for its disk. Tests do without, benchmarks must not.
    pub fsync: bool,
}

/// A running control plane. It ends when dropped, and with this process.
pub struct ControlPlane {
    folder: PathBuf,
    port: u16,
    authority: Authority,
    /// Verifies service account tokens, as PEM.
    token_key: String,
    client: Client,
    http: reqwest::Client,
    audit: KubeAudit,
    // The order matters: what is dropped first ends first.
    controller_manager: Service,
    apiserver: Service,
    etcd: Service,
}

impl ControlPlane {
    /// Starts it in a folder of its own and waits until it is ready, with the objects of `before` (custom resource
    /// definitions, mostly) in place before the controller manager looks around: the garbage collector learns new
    /// kinds at its start at once, later only every half minute.
    pub async fn start(
        components: &Components,
        folder: &Path,
        options: &ControlPlaneOptions,
        before: &[Value],
    ) -> Result<Self> {
        install_provider();
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let folder = folder.to_path_buf();
        let authority = Authority::new("vaultbridge-test-cluster")?;
        let port = ports::pick()?;
        let files = flags::Files::write(&folder, &authority, port)?;
        let (etcd_port, peer_port) = (ports::pick()?, ports::pick()?);
        let launch = |name: &str, args: Vec<String>| -> Result<Service> {
            let log = folder.join(format!("{name}.log"));
            Ok(Service::new(Launch::new(
                name,
                components.program(name)?,
                args,
                log,
            )))
        };
        let this = Self {
            etcd: launch("etcd", flags::etcd(&folder, etcd_port, peer_port, options))?,
            apiserver: launch(
                "kube-apiserver",
                flags::apiserver(&folder, &files, port, etcd_port),
            )?,
            controller_manager: launch(
                "kube-controller-manager",
                flags::controller_manager(&folder, &files),
            )?,
            client: kubeconfig::client(&files.admin).await?,
            http: reqwest::Client::builder()
                .tls_certs_only([reqwest::Certificate::from_pem(authority.pem().as_bytes())?])
                .no_proxy()
                .build()?,
            audit: KubeAudit::new(files.audit_log.clone()),
            token_key: files.token_key.clone(),
            folder: folder.clone(),
            port,
            authority,
        };
        this.etcd.start()?;
        this.start_apiserver().await?;
        for object in before {
            crate::objects::apply(&this.client, object).await?;
        }
        this.controller_manager.start()?;
        Ok(this)
    }

    /// Starts the API server and waits until it is ready; for after [`stop_apiserver`](Self::stop_apiserver).
    pub async fn start_apiserver(&self) -> Result<()> {
        self.apiserver.start()?;
        let url = format!("{}/readyz", self.address());
        until("the API server", START, async || {
            self.etcd.ensure_running()?;
            self.apiserver.ensure_running()?;
            let answer = self.http.get(&url).send().await?;
            Ok(answer.status().is_success().then_some(()))
        })
        .await
    }

    /// Stops the API server; etcd keeps the objects. A server that waits for its clients is killed after a while, as a node
    /// would do with it.
    pub async fn stop_apiserver(&self) -> Result<()> {
        self.apiserver.terminate_or_kill(GRACE).await
    }

    /// The API server as a process, to kill or freeze it.
    #[must_use]
    pub fn apiserver(&self) -> &Service {
        &self.apiserver
    }

    /// etcd as a process.
    #[must_use]
    pub fn etcd(&self) -> &Service {
        &self.etcd
    }

    /// `https://127.0.0.1:…` of the API server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// A client with all rights.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The certificate authority of the cluster.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The public key that verifies service account tokens, as PEM.
    #[must_use]
    pub fn token_key(&self) -> &str {
        &self.token_key
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> &KubeAudit {
        &self.audit
    }

    /// The folder with its logs and kubeconfigs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("folder", &self.folder)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// The key pair of service account tokens: private and public, as PEM.
fn token_keys() -> Result<(String, String)> {
    let keys = KeyPair::generate()?;
    Ok((keys.serialize_pem(), keys.public_key_pem()))
}

/// The audit policy: every request but those of the control plane itself; of requests for tokens also what they ask for.
fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            { "level": "None", "users": ["system:apiserver", "system:kube-controller-manager"] },
            { "level": "None", "userGroups": ["system:serviceaccounts:kube-system"] },
            { "level": "Request", "resources": [{ "group": "", "resources": ["serviceaccounts/token"] }] },
            { "level": "Metadata" },
        ],
    })
}
