//! A real Prometheus that scrapes the real operator each second, with the project's own alerts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::components::{Components, PROMETHEUS};
use crate::operator::project;
use crate::ports;
use crate::process::{Launch, Process};
use crate::wait::{SOON, until};

/// No call of promtool may take longer.
const LONGEST: Duration = Duration::from_mins(1);

/// A server, and where it is asked.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    http: reqwest::Client,
    address: String,
}

/// The alert rules of `deploy/dashboards`, as Prometheus itself reads them.
pub fn rules() -> Result<Value> {
    let file = project().join("deploy/dashboards/prometheusrule.yaml");
    let objects = crate::objects::read(&file)?;
    let rule = objects.first().context("find the PrometheusRule")?;
    Ok(rule["spec"].clone())
}

/// Runs the unit tests of the alert rules in that folder, and returns what promtool says.
pub async fn test_rules(folder: &Path) -> Result<String> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("rules.yaml"), rules()?.to_string())?;
    let tests = folder.join("rules_test.yaml");
    fs::copy(project().join("deploy/dashboards/rules_test.yaml"), &tests)?;
    let components = components().await?;
    let mut command = Command::new(components.program("promtool")?);
    command
        .args(["test", "rules"])
        .arg(&tests)
        .kill_on_drop(true);
    let output = tokio::time::timeout(LONGEST, command.output()).await??;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{text}");
    Ok(text)
}

async fn components() -> Result<Components> {
    tokio::task::spawn_blocking(|| Components::ensure(&[&PROMETHEUS])).await?
}

impl Prometheus {
    /// Starts one that scrapes the operator at `target`. Its alerts fire at once: nobody waits for minutes here.
    pub async fn start(folder: &Path, target: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut rules = rules()?;
        for group in rules["groups"].as_array_mut().into_iter().flatten() {
            group["interval"] = "1s".into();
            for rule in group["rules"].as_array_mut().into_iter().flatten() {
                rule["for"] = "0s".into();
            }
        }
        let config = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [folder.join("rules.yaml")],
            "scrape_configs": [
                { "job_name": "vaultbridge", "static_configs": [{ "targets": [target] }] },
            ],
        });
        fs::write(folder.join("rules.yaml"), rules.to_string())?;
        let file: PathBuf = folder.join("prometheus.yaml");
        fs::write(&file, config.to_string())?;
        let address = format!("127.0.0.1:{}", ports::pick()?);
        let components = components().await?;
        let args = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let program = components.program("prometheus")?;
        let launch = Launch::new("prometheus", program, args, folder.join("prometheus.log"));
        let this = Self {
            _process: Process::start(&launch)?,
            http: reqwest::Client::builder().no_proxy().build()?,
            address,
        };
        until("Prometheus to be ready", SOON, async || {
            Ok(this.get("/api/v1/status/runtimeinfo", &[]).await.ok())
        })
        .await?;
        Ok(this)
    }

    /// What the query brings now: the series with their values.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>> {
        let data = self.get("/api/v1/query", &[("query", query)]).await?;
        let result = data["result"].as_array().cloned();
        Ok(result.unwrap_or_default())
    }

    /// The names of the alerts that fire.
    pub async fn firing(&self) -> Result<Vec<String>> {
        let data = self.get("/api/v1/alerts", &[]).await?;
        let alerts = data["alerts"].as_array().into_iter().flatten();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        let names = firing.filter_map(|alert| alert["labels"]["alertname"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let url =
            reqwest::Url::parse_with_params(&format!("http://{}{path}", self.address), query)?;
        let answer: Value = self.http.get(url).send().await?.json().await?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].clone())
    }
}
