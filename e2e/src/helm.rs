//! Helm, as a person calls it.

pub mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::components::{Components, HELM};
use crate::objects;
use crate::operator::{NAMESPACE, project};
use crate::process::janitor::janitor;

/// No call may take longer.
const LONGEST: Duration = Duration::from_mins(2);

/// Calls Helm with the rights of that kubeconfig, if it needs a cluster. Returns what it printed; fails with that when Helm does.
pub async fn helm(args: &[&str], kubeconfig: Option<&Path>) -> Result<String> {
    let components = tokio::task::spawn_blocking(|| Components::ensure(&[&HELM])).await??;
    let mut command = Command::new(components.program("helm")?);
    command.args(args).kill_on_drop(true);
    let kubeconfig = kubeconfig.unwrap_or(Path::new("/dev/null"));
    // Its caches would lie in the home of whoever runs the tests.
    let home = tempfolder()?;
    command
        .env("KUBECONFIG", kubeconfig)
        .env("HELM_CACHE_HOME", &home)
        .env("HELM_CONFIG_HOME", &home)
        .env("HELM_DATA_HOME", &home);
    let output = tokio::time::timeout(LONGEST, command.output())
        .await
        .with_context(|| format!("helm {args:?} still runs after {LONGEST:?}"))??;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    ensure!(output.status.success(), "helm {args:?}: {text}");
    Ok(text)
}

fn tempfolder() -> Result<PathBuf> {
    Ok(janitor()?.folder().join("helm"))
}

/// The folder of the chart.
pub fn chart() -> Result<String> {
    let folder = project().join("deploy/chart");
    let text = folder.to_str().context("read the path of the chart")?;
    Ok(text.to_owned())
}

/// The text that the chart makes as the release `vaultbridge`, with these values.
pub async fn template(values: &[&str]) -> Result<String> {
    let chart = chart()?;
    let mut args = vec!["template", "vaultbridge", &chart, "--namespace", NAMESPACE];
    args.extend(["--kube-version", "1.36.0"]);
    for value in values {
        args.extend(["--set-json", value]);
    }
    helm(&args, None).await
}

/// The objects that the chart makes as the release `vaultbridge`, with these values.
pub async fn rendered(values: &[&str]) -> Result<Vec<Value>> {
    objects::parse(&template(values).await?)
}
