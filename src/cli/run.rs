//! `vaultbridge run`

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;

use crate::run::{Options, run};
use crate::telemetry::{self, LogFormat};

/// Run the operator.
///
/// It finds the API server by KUBECONFIG or, in a pod, by its service account, and needs nothing else but the name of its own
/// namespace, where it keeps the key of its checksums in the Secret vaultbridge-keys. It ends on SIGTERM or SIGINT, after
/// finishing what is under way and revoking the Vault tokens that it reads KV entries with. Sessions that hold credentials stay.
#[derive(Args)]
pub struct Run {
    /// The operator's own namespace: certificates that VaultConnections refer to are looked up here.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pod_namespace: String,

    /// Name of the operator's pod, which events then carry.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pod_name: Option<String>,

    /// Where /healthz, /readyz and /metrics are served.
    #[arg(
        long,
        env = "VAULTBRIDGE_HTTP_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "0.0.0.0:8080"
    )]
    http_address: SocketAddr,

    /// Level of the log, error to trace, or directives such as `info,vaultbridge::vault=debug`.
    #[arg(
        long,
        env = "VAULTBRIDGE_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    log_level: String,

    /// Whether the log is written for people or for programs.
    #[arg(
        long,
        env = "VAULTBRIDGE_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value = "text"
    )]
    log_format: LogFormat,

    /// Let VaultConnections use plain http. For tests only: it shows every token to the network.
    #[arg(long, env = "VAULTBRIDGE_ALLOW_PLAIN_HTTP")]
    allow_plain_http: bool,

    /// How many VaultSecrets are worked on at once, 1 to 1024.
    #[arg(long, env = "VAULTBRIDGE_CONCURRENCY", value_name = "NUMBER", default_value = "256", value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
}

impl Run {
    /// Runs until a signal ends it.
    pub fn execute(self) -> anyhow::Result<()> {
        telemetry::init(&self.log_level, self.log_format)?;
        let options = Options {
            namespace: self.pod_namespace,
            instance: self.pod_name,
            http_address: self.http_address,
            allow_plain_http: self.allow_plain_http,
            concurrency: self.concurrency,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("start the runtime")?;
        runtime.block_on(run(options))
    }
}

fn namespace(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("must be the name of a namespace, such as vaultbridge-system".into())
    }
}
