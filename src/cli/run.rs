//! `vaultbridge run`

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::cluster::election::Candidate;
use crate::cluster::reach::Reach;
use crate::leadership::Terms;
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

    /// Look for VaultSecrets in these namespaces only, separated by commas: `shop,bank`. Rights in these are then enough. Of their labels, for
    /// `allowedNamespaces`, only kubernetes.io/metadata.name is known then. Without it: in all.
    #[arg(long, env = "VAULTBRIDGE_WATCH_NAMESPACES", value_name = "NAMESPACES", value_delimiter = ',', value_parser = namespace)]
    watch_namespaces: Vec<String>,

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

    /// Whether each VaultSecret has series of its own among the metrics: ready, last change, expiration, stale since. The sums over all are always there.
    #[arg(long, env = "VAULTBRIDGE_OBJECT_METRICS", value_name = "BOOL", default_value = "true", action = clap::ArgAction::Set)]
    object_metrics: bool,

    /// Where people find what to do about a reason: an address that the reason's word is appended to. Conditions that tell of trouble then end with that link.
    #[arg(long, env = "VAULTBRIDGE_RUNBOOK_URL", value_name = "URL", value_parser = runbooks)]
    runbook_url: Option<String>,

    /// How many VaultSecrets are worked on at once, 1 to 1024.
    #[arg(long, env = "VAULTBRIDGE_CONCURRENCY", value_name = "NUMBER", default_value = "256", value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,

    /// Compete with other instances for the Lease vaultbridge in the operator's namespace, and stand by while another one holds it. Needed
    /// wherever two can run at once, be it for the moment of an upgrade.
    #[arg(long, env = "VAULTBRIDGE_LEADER_ELECT", requires = "pod_name")]
    leader_elect: bool,

    /// UID of the operator's pod: with its name, it tells apart who leads. A container that is started again in the same pod goes on leading.
    #[arg(long, env = "POD_UID", value_name = "UID")]
    pod_uid: Option<String>,

    /// How long others wait for a leader that does not renew, in whole seconds: `15s`, `1m`.
    #[arg(long, env = "VAULTBRIDGE_LEADER_ELECT_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    leader_elect_lease_duration: Duration,

    /// How long a leader leads without a renewal. It must be shorter than the lease duration.
    #[arg(long, env = "VAULTBRIDGE_LEADER_ELECT_RENEW_DEADLINE", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    leader_elect_renew_deadline: Duration,

    /// How often a leader renews. It must be at most half of the renew deadline.
    #[arg(long, env = "VAULTBRIDGE_LEADER_ELECT_RETRY_PERIOD", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    leader_elect_retry_period: Duration,
}

impl Run {
    /// Runs until a signal ends it.
    pub fn execute(self) -> anyhow::Result<()> {
        let log_level = telemetry::init(&self.log_level, self.log_format)?;
        let candidate = self.candidate()?;
        let options = Options {
            log_level,
            namespace: self.pod_namespace,
            reach: reach(self.watch_namespaces),
            instance: self.pod_name,
            http_address: self.http_address,
            allow_plain_http: self.allow_plain_http,
            object_metrics: self.object_metrics,
            runbooks: self.runbook_url.map(Into::into),
            concurrency: self.concurrency,
            candidate,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("start the runtime")?;
        runtime.block_on(run(options))
    }

    fn candidate(&self) -> anyhow::Result<Option<Candidate>> {
        let terms = Terms {
            lease: self.leader_elect_lease_duration,
            renew_deadline: self.leader_elect_renew_deadline,
            retry_period: self.leader_elect_retry_period,
        };
        let terms = terms.checked().map_err(anyhow::Error::msg)?;
        if !self.leader_elect {
            return Ok(None);
        }
        let name = self.pod_name.as_deref().unwrap_or_default();
        let uid = self.pod_uid.as_deref().context(
            "--leader-elect needs --pod-uid (POD_UID, from metadata.uid of the pod): two pods of one name must not pass for each other",
        )?;
        let own = format!("{name}_{uid}");
        Ok(Some(Candidate { own, terms }))
    }
}

/// Where to look: in all namespaces unless some are named.
fn reach(namespaces: Vec<String>) -> Reach {
    let named: BTreeSet<_> = namespaces.into_iter().collect();
    if named.is_empty() {
        Reach::Cluster
    } else {
        Reach::Namespaces(named.into_iter().collect())
    }
}

/// A duration such as `15s` or `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Result<jiff::SignedDuration, _> = text.parse();
    let parsed = parsed.ok().and_then(|time| Duration::try_from(time).ok());
    parsed.ok_or_else(|| "must be a duration such as 15s".into())
}

/// An address that a word can be appended to, short enough for a message.
fn runbooks(text: &str) -> Result<String, String> {
    let plain = text.chars().all(|c| c.is_ascii_graphic());
    let fits =
        plain && text.len() <= 256 && (text.starts_with("https://") || text.starts_with("http://"));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(
            "must be an address such as https://example.com/runbooks/, of at most 256 characters"
                .into(),
        )
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
