//! The operator under test: the built binary as a child process, with the rights of its manifest and no others.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::control_plane::ControlPlane;
use crate::helm;
use crate::objects;
use crate::ports;
use crate::process::{Launch, Service, tail};
use crate::wait::{SOON, until};

/// The namespace in which the operator lives.
pub const NAMESPACE: &str = "vaultbridge-system";

/// Its service account.
pub const ACCOUNT: &str = "vaultbridge";

/// A running operator. It ends when dropped, and with this process.
#[derive(Debug)]
pub struct Operator {
    service: Service,
    http: reqwest::Client,
    address: String,
}

/// Puts the operator's namespace, service account and rights into the cluster, the rights exactly as the project's
/// manifest grants them: a rule that is missing there fails a test.
pub async fn install(control_plane: &ControlPlane) -> Result<()> {
    let client = control_plane.client();
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "name": ACCOUNT, "namespace": NAMESPACE },
    });
    let manifest = objects::read(&project().join("deploy/rbac.yaml"))?;
    for object in [namespace, account].iter().chain(&manifest) {
        objects::apply(client, object).await?;
    }
    Ok(())
}

/// Puts the chart's admission policies into the cluster. Tests take over Secrets, and log in for these audiences.
pub async fn fence(control_plane: &ControlPlane) -> Result<()> {
    let values = [
        "admissionPolicies.allowAdoption=true",
        r#"admissionPolicies.audiences=["vault", "another", "elsewhere", "other", "somebody-else"]"#,
    ];
    for object in helm::rendered(&values).await? {
        let kind = object["kind"].as_str().unwrap_or_default();
        if kind.starts_with("ValidatingAdmissionPolicy") {
            objects::apply(control_plane.client(), &object).await?;
        }
    }
    Ok(())
}

/// The top folder of the project.
#[must_use]
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The binary under test: `VAULTBRIDGE_BIN`, or `vaultbridge` where cargo puts it beside the running program.
pub fn binary() -> Result<PathBuf> {
    if let Some(file) = env::var_os("VAULTBRIDGE_BIN") {
        return Ok(PathBuf::from(file));
    }
    let own = env::current_exe().context("find the running program")?;
    // A test lies in `deps`, one folder below the binaries.
    let found = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("vaultbridge"))
        .find(|file| file.is_file());
    found.context("find the binary under test: build it with `cargo build -p vaultbridge`, or set VAULTBRIDGE_BIN")
}

impl Operator {
    /// Starts the operator with its service account's kubeconfig, logging everything, with leave to use plain http, and with these
    /// flags added. It is not yet ready: see [`ready`](Self::ready).
    pub async fn start(
        control_plane: &ControlPlane,
        folder: &Path,
        flags: &[&str],
    ) -> Result<Self> {
        let flags: Vec<&str> = [&["--allow-plain-http"], flags].concat();
        Self::start_with_exactly(control_plane, folder, &flags).await
    }

    /// The same with these flags only, as in a cluster where plain http is not for tests.
    pub async fn start_with_exactly(
        control_plane: &ControlPlane,
        folder: &Path,
        flags: &[&str],
    ) -> Result<Self> {
        Self::start_as(control_plane, ACCOUNT, folder, flags).await
    }

    /// The same as another service account of its namespace, with that one's rights.
    pub async fn start_as(
        control_plane: &ControlPlane,
        account: &str,
        folder: &Path,
        flags: &[&str],
    ) -> Result<Self> {
        let faults = folder.join("faults");
        fs::create_dir_all(&faults).with_context(|| format!("create {}", faults.display()))?;
        let kubeconfig = control_plane.kubeconfig_of(NAMESPACE, account).await?;
        let address = format!("127.0.0.1:{}", ports::pick()?);
        let args = ["run", "--http-address", &address]
            .into_iter()
            .chain(flags.iter().copied());
        let launch = Launch::new("the operator", binary()?, args, folder.join("operator.log"))
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", NAMESPACE)
            .env("VAULTBRIDGE_LOG_LEVEL", "trace")
            .env("VAULTBRIDGE_FAULTS", faults)
            .env("RUST_BACKTRACE", "1");
        let http = reqwest::Client::builder().no_proxy().build()?;
        let this = Self {
            service: Service::new(launch),
            http,
            address,
        };
        this.service.start()?;
        Ok(this)
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), with the same log.
    pub fn start_again(&self) -> Result<()> {
        self.service.start()
    }

    /// Starts it again with a clock that is ahead by so many seconds, or behind if there is a minus before them. The operator's own hand moves it: the
    /// machine's clock is everybody's.
    pub fn start_with_wrong_clock(&self, seconds: i64) -> Result<()> {
        let file = self.faults().join("clock");
        fs::write(&file, seconds.to_string())
            .with_context(|| format!("write {}", file.display()))?;
        self.kill()?;
        self.start_again()
    }

    /// The folder with the faults that it was ordered: see `src/fault.rs` of the operator. They outlive a restart.
    pub(crate) fn faults(&self) -> PathBuf {
        self.service.launch().log.with_file_name("faults")
    }

    /// Starts it again if it has ended. Tells whether it had.
    pub fn revive(&self) -> Result<bool> {
        let dead = self.service.ensure_running().is_err();
        if dead {
            self.kill()?;
            self.start_again()?;
        }
        Ok(dead)
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) -> Result<()> {
        until("the operator to be ready", SOON, async || {
            self.service.ensure_running()?;
            Ok((self.readyz().await? == 200).then_some(()))
        })
        .await
    }

    /// Asks it to end (SIGTERM). Fails when it does not end by itself, or not with exit code 0.
    pub async fn stop(&self) -> Result<()> {
        let status = self.service.terminate().await?;
        ensure!(
            status.success(),
            "the operator ended with {status} after SIGTERM:\n{}",
            self.log_tail(20)
        );
        Ok(())
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) -> Result<()> {
        self.service.kill()
    }

    /// The process, to freeze it and let it go on.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// `address:port` of its pages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The status of `/healthz`.
    pub async fn healthz(&self) -> Result<u16> {
        Ok(self.get("healthz").await?.0)
    }

    /// The status of `/readyz`.
    pub async fn readyz(&self) -> Result<u16> {
        Ok(self.get("readyz").await?.0)
    }

    /// The status and the text of `/readyz`.
    pub async fn readiness(&self) -> Result<(u16, String)> {
        self.get("readyz").await
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String> {
        let (status, text) = self.get("metrics").await?;
        ensure!(status == 200, "/metrics answered {status}");
        Ok(text)
    }

    /// The value of the first metric line that begins so: `vaultbridge_reconciles_total{reason="Synced"}`.
    pub async fn metric(&self, prefix: &str) -> Result<Option<f64>> {
        let text = self.metrics().await?;
        let line = text.lines().find(|line| line.starts_with(prefix));
        Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()))
    }

    /// All it has logged, over all its starts.
    pub fn log(&self) -> Result<String> {
        let file = &self.service.launch().log;
        let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines it has logged.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.service.launch().log, lines)
    }

    async fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = self
            .http
            .get(format!("http://{}/{path}", self.address))
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}
