//! The whole ground under a test: control plane, Vault server and operator, started together.
//!
//! Most tests share one (see [`run`](crate::run)); a test that stops, kills or seals what others use has its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::audit::Place;
use crate::canaries::Canaries;
use crate::components::{Components, ETCD, KUBERNETES};
use crate::control_plane::{ControlPlane, ControlPlaneOptions, KubeRequests};
use crate::nodes::Nodes;
use crate::objects;
use crate::operator::{self, Operator};
use crate::postgres::Postgres;
use crate::process::janitor::janitor;
use crate::vault_server::{Listener, VaultAudit, VaultKind, VaultRequests, VaultServer};

mod evidence;

/// The mount at which service accounts log in by token review.
pub const KUBERNETES_AUTH: &str = "kubernetes";

/// The mount at which service accounts log in by their tokens' signature.
pub const JWT_AUTH: &str = "jwt";

/// What can be chosen about a ground.
#[derive(Debug, Clone)]
pub struct GroundOptions {
    /// The Vault server; the one that `SERVER` names when absent.
    pub kind: Option<VaultKind>,
    /// Whether etcd waits for its disk: for benchmarks.
    pub fsync: bool,
    /// Whether the operator is started; without it there are no custom resources either.
    pub operator: bool,
    /// Whether the chart's admission policies hold the operator to what it is for, save that it may take over Secrets.
    pub fences: bool,
    /// More flags for the operator.
    pub flags: Vec<&'static str>,
}

impl Default for GroundOptions {
    fn default() -> Self {
        Self {
            kind: None,
            fsync: false,
            operator: true,
            fences: true,
            flags: Vec::new(),
        }
    }
}

/// Running servers. They end when this is dropped, and with this process.
#[derive(Debug)]
pub struct Ground {
    components: Components,
    folder: PathBuf,
    // The order matters: what is dropped first ends first.
    operator: Option<Operator>,
    vault: Arc<VaultServer>,
    /// Started by the first test that needs it: most do not.
    postgres: OnceCell<Arc<Postgres>>,
    nodes: OnceCell<Nodes>,
    control_plane: ControlPlane,
    canaries: Canaries,
    count: AtomicU32,
}

/// A moment: what the audit logs of the API server and of a Vault server say later has happened since.
#[derive(Debug, Clone)]
pub struct Mark {
    kube: Place,
    vault: Place,
    vault_audit: VaultAudit,
}

impl Mark {
    /// What the Vault server was asked since, but for the harness's own requests.
    pub fn vault_requests(&self) -> Result<VaultRequests> {
        self.vault_audit.since(self.vault)
    }
}

impl Ground {
    /// The ground shared by all tests of this process, started by the first that asks. When that fails, all fail alike.
    pub async fn shared() -> Result<Arc<Self>> {
        static SHARED: OnceCell<Result<Arc<Ground>, String>> = OnceCell::const_new();
        let start = async || {
            let ground = Self::start("shared", &GroundOptions::default()).await;
            ground.map(Arc::new).map_err(|error| format!("{error:#}"))
        };
        SHARED
            .get_or_init(start)
            .await
            .clone()
            .map_err(|error| anyhow!("start the shared ground: {error}"))
    }

    /// A ground for one test alone.
    pub async fn own(options: &GroundOptions) -> Result<Arc<Self>> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("own-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Ok(Arc::new(Self::start(&name, options).await?))
    }

    async fn start(name: &str, options: &GroundOptions) -> Result<Self> {
        let kind = options.kind.map_or_else(VaultKind::from_env, Ok)?;
        let ensure = move || Components::ensure(&[&ETCD, &KUBERNETES, kind.part()]);
        let components = tokio::task::spawn_blocking(ensure).await??;
        let folder = janitor()?.folder().join(name);
        let kinds = if options.operator {
            objects::read(&operator::project().join("crds"))?
        } else {
            Vec::new()
        };
        let cluster = ControlPlaneOptions {
            fsync: options.fsync,
        };
        let (kube, safe) = (folder.join("kubernetes"), folder.join("vault"));
        let (control_plane, vault) = tokio::try_join!(
            ControlPlane::start(&components, &kube, &cluster, &kinds),
            VaultServer::start(&components, &safe, kind, Listener::Plain),
        )?;
        let mut this = Self {
            components,
            operator: None,
            vault: Arc::new(vault),
            postgres: OnceCell::new(),
            nodes: OnceCell::new(),
            control_plane,
            canaries: Canaries::default(),
            count: AtomicU32::new(0),
            folder,
        };
        this.admit(&this.vault).await?;
        if options.operator {
            operator::install(&this.control_plane).await?;
            if options.fences {
                operator::fence(&this.control_plane).await?;
            }
            this.connect("default", &json!({ "address": this.vault.address() }))
                .await?;
            let operator = Operator::start(
                &this.control_plane,
                &this.folder.join("operator"),
                &options.flags,
            )
            .await?;
            operator.ready().await?;
            this.operator = Some(operator);
        }
        Ok(this)
    }

    /// Starts another Vault server, where this ground's service accounts can log in as well.
    pub async fn another_vault(&self, listener: Listener) -> Result<Arc<VaultServer>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("vault-{number}"));
        let vault =
            VaultServer::start(&self.components, &folder, self.vault.kind(), listener).await?;
        self.admit(&vault).await?;
        Ok(Arc::new(vault))
    }

    /// The database server that all tests of this ground share, started by the first that asks.
    pub async fn postgres(&self) -> Result<Arc<Postgres>> {
        let start = async || self.another_postgres().await;
        self.postgres.get_or_try_init(start).await.cloned()
    }

    /// Starts another database server, for a test that stops or freezes it.
    pub async fn another_postgres(&self) -> Result<Arc<Postgres>> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("postgres-{number}"));
        let server = Postgres::start(&folder).await;
        server.map(Arc::new).context("start PostgreSQL")
    }

    /// The pretended node that all tests of this ground share, started by the first that asks.
    pub async fn nodes(&self) -> Result<&Nodes> {
        let start = async || Nodes::start(&self.control_plane, &self.folder.join("nodes")).await;
        let nodes = self.nodes.get_or_try_init(start).await;
        nodes.context("start a pretended node")
    }

    async fn admit(&self, vault: &VaultServer) -> Result<()> {
        vault
            .enable_kubernetes_auth(&self.control_plane, KUBERNETES_AUTH)
            .await?;
        vault.enable_jwt_auth(&self.control_plane, JWT_AUTH).await
    }

    /// A Secret of the operator's own namespace, if it is there.
    pub async fn operator_secret(&self, name: &str) -> Result<Option<Value>> {
        let client = self.control_plane.client();
        let api = objects::api(client, "v1", "Secret", operator::NAMESPACE).await?;
        let secret = api.get_opt(name).await?;
        Ok(secret.map(serde_json::to_value).transpose()?)
    }

    /// Creates or changes a `VaultConnection`.
    pub async fn connect(&self, name: &str, spec: &Value) -> Result<()> {
        let object = json!({
            "apiVersion": objects::API_VERSION,
            "kind": "VaultConnection",
            "metadata": { "name": name },
            "spec": spec,
        });
        objects::apply(self.control_plane.client(), &object).await?;
        Ok(())
    }

    /// A short name that nobody else on this ground has, made of a longer one.
    pub(crate) fn unique(&self, name: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let last = name.rsplit("::").next().unwrap_or(name).to_lowercase();
        let plain: String = last
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(36)
            .collect();
        format!("{}-{number}", plain.trim_matches('-'))
    }

    /// The control plane.
    #[must_use]
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The Vault server of the connection `default`.
    #[must_use]
    pub fn vault(&self) -> &Arc<VaultServer> {
        &self.vault
    }

    /// The operator. Fails on a ground without one.
    pub fn operator(&self) -> Result<&Operator> {
        self.operator
            .as_ref()
            .context("find the operator: this ground has none")
    }

    /// The programs, for whoever starts more of them.
    #[must_use]
    pub fn components(&self) -> &Components {
        &self.components
    }

    /// The folder with all logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The values that may appear nowhere but in Secrets.
    #[must_use]
    pub fn canaries(&self) -> &Canaries {
        &self.canaries
    }

    /// This moment, once all that was answered before is in the logs.
    pub async fn mark(&self) -> Result<Mark> {
        self.mark_with(&self.vault).await
    }

    /// The same for another Vault server than the ground's.
    pub(crate) async fn mark_with(&self, vault: &VaultServer) -> Result<Mark> {
        let audit = self.control_plane.audit();
        audit.settle(self.control_plane.client()).await?;
        Ok(Mark {
            kube: audit.log().end()?,
            vault: vault.audit().log().end()?,
            vault_audit: vault.audit().clone(),
        })
    }

    /// What the operator has asked of Kubernetes since a mark, once all that was answered by now is in the log.
    pub async fn kube_requests(&self, since: &Mark) -> Result<KubeRequests> {
        self.kube_requests_of(since, operator::ACCOUNT).await
    }

    /// The same of an operator that runs as another service account of its namespace.
    pub async fn kube_requests_of(&self, since: &Mark, account: &str) -> Result<KubeRequests> {
        self.control_plane
            .audit()
            .settle(self.control_plane.client())
            .await?;
        let requests = self.control_plane.audit().since(since.kube)?;
        Ok(requests.of_account(operator::NAMESPACE, account))
    }

    /// Fails when a stored value or a token is to be seen in a log, an object, an event, a metric or a Secret's metadata.
    pub async fn ensure_no_leak(&self) -> Result<()> {
        let mut found = Vec::new();
        for (place, text) in self.public_texts().await? {
            found.extend(self.canaries.scan(&place, &text));
        }
        ensure!(
            found.is_empty(),
            "secret values are in plain sight:\n{}",
            found.join("\n")
        );
        Ok(())
    }

    /// Ends the servers and removes the ground's files. Fails when somebody still holds the ground.
    pub(crate) fn remove(self: Arc<Self>) -> Result<()> {
        let ground = Arc::into_inner(self).context("end the ground: somebody still uses it")?;
        let folder = ground.folder.clone();
        drop(ground);
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))
    }
}
