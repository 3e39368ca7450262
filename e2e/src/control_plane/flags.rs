//! The files and flags the servers of a control plane are started with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{ControlPlaneOptions, audit_policy, kubeconfig, token_keys};
use crate::certificates::Authority;

/// Where the files lie that the servers are told of.
#[derive(Debug)]
pub(super) struct Files {
    ca: PathBuf,
    serving: (PathBuf, PathBuf),
    token_private: PathBuf,
    token_public: PathBuf,
    policy: PathBuf,
    manager: PathBuf,
    pub(super) admin: PathBuf,
    pub(super) audit_log: PathBuf,
    pub(super) token_key: String,
}

impl Files {
    pub(super) fn write(folder: &Path, authority: &Authority, port: u16) -> Result<Self> {
        let put = |name: &str, text: &str| -> Result<PathBuf> {
            let file = folder.join(name);
            fs::write(&file, text)?;
            Ok(file)
        };
        let names = [
            "127.0.0.1",
            "localhost",
            "kubernetes.default.svc",
            "10.0.0.1",
        ];
        let (token_private, token_key) = token_keys()?;
        let admin = authority.client("admin", Some("system:masters"))?;
        let manager = authority.client("system:kube-controller-manager", None)?;
        let server = format!("https://127.0.0.1:{port}");
        let config = |identity| {
            kubeconfig::with_certificate(&server, &authority.pem(), identity).to_string()
        };
        Ok(Self {
            ca: put("ca.crt", &authority.pem())?,
            serving: authority.server(&names)?.write(folder, "apiserver")?,
            token_private: put("tokens.key", &token_private)?,
            token_public: put("tokens.pub", &token_key)?,
            policy: put("audit-policy.json", &audit_policy().to_string())?,
            manager: put("controller-manager.kubeconfig", &config(&manager))?,
            admin: put("admin.kubeconfig", &config(&admin))?,
            audit_log: folder.join("audit.log"),
            token_key,
        })
    }
}

pub(super) fn etcd(
    folder: &Path,
    port: u16,
    peer_port: u16,
    options: &ControlPlaneOptions,
) -> Vec<String> {
    let (client, peer) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{peer_port}"),
    );
    let mut flags = vec![
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=warn".to_owned(),
    ];
    if !options.fsync {
        flags.push("--unsafe-no-fsync".to_owned());
    }
    flags
}

pub(super) fn apiserver(folder: &Path, files: &Files, port: u16, etcd_port: u16) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", folder.display()),
        format!("--tls-cert-file={}", files.serving.0.display()),
        format!("--tls-private-key-file={}", files.serving.1.display()),
        format!("--client-ca-file={}", files.ca.display()),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!(
            "--service-account-signing-key-file={}",
            files.token_private.display()
        ),
        format!(
            "--service-account-key-file={}",
            files.token_public.display()
        ),
        "--api-audiences=https://kubernetes.default.svc".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // There is no service network here, and a loopback address is not allowed as an endpoint.
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--audit-policy-file={}", files.policy.display()),
        format!("--audit-log-path={}", files.audit_log.display()),
        // Megabytes; a log that is rotated away in the middle of a test would be half an oracle.
        "--audit-log-maxsize=4096".to_owned(),
        // A stopped server must not wait for watches to end by themselves.
        "--shutdown-delay-duration=0s".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

pub(super) fn controller_manager(folder: &Path, files: &Files) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", files.manager.display()),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
        format!("--cert-dir={}", folder.display()),
        "--use-service-account-credentials".to_owned(),
        format!(
            "--service-account-private-key-file={}",
            files.token_private.display()
        ),
        format!("--root-ca-file={}", files.ca.display()),
        "--profiling=false".to_owned(),
    ]
}
