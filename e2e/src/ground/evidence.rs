//! What a person wants to see when a test has failed, and where a leak could be seen.

use std::fmt::Write as _;

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;

use super::Ground;
use crate::audit::Place;
use crate::objects;
use crate::process::tail;

/// How much is shown of a log.
const LINES: usize = 40;

impl Ground {
    /// The state of a namespace and the ends of the logs, without any secret value. Whatever cannot be had says why.
    pub async fn evidence(&self, namespace: &str) -> String {
        let mut text = String::new();
        let mut add = |title: &str, part: Result<String>| {
            let part = part.unwrap_or_else(|error| format!("(not to be had: {error:#})"));
            let _ = write!(text, "--- {title}\n{}\n", part.trim_end());
        };
        add("VaultSecrets", self.ours("VaultSecret", namespace).await);
        add("VaultConnections", self.ours("VaultConnection", "").await);
        add("events", self.events(namespace).await);
        add("Secrets, metadata only", self.secrets(namespace).await);
        add(
            "the operator's log about this namespace",
            self.log_about(namespace),
        );
        add(
            "the end of the operator's log, without TRACE",
            self.log_end(),
        );
        add("what was asked of Vault", self.asked(namespace));
        let log = &self.vault.service().launch().log;
        add(
            "the end of the Vault server's log",
            Ok(tail(log, LINES / 4)),
        );
        let _ = writeln!(text, "--- all logs: {}", self.folder.display());
        text
    }

    /// Every text in which a secret value would be a leak, with the name of its place.
    pub(super) async fn public_texts(&self) -> Result<Vec<(String, String)>> {
        let mut texts = vec![
            (
                "the VaultSecrets".to_owned(),
                self.ours("VaultSecret", "").await?,
            ),
            (
                "the VaultConnections".to_owned(),
                self.ours("VaultConnection", "").await?,
            ),
            ("the events".to_owned(), self.events("").await?),
            ("the Secrets' metadata".to_owned(), self.secrets("").await?),
            ("the ConfigMaps".to_owned(), self.config_maps().await?),
            (
                "the API server's audit log".to_owned(),
                self.control_plane.audit().log().since(Place::START)?,
            ),
        ];
        let operator = self.operator()?;
        texts.push(("the operator's log".to_owned(), operator.log()?));
        texts.push((
            "the operator's metrics".to_owned(),
            operator.metrics().await?,
        ));
        Ok(texts)
    }

    /// The objects of one of our kinds; of all namespaces when that is empty.
    async fn ours(&self, kind: &str, namespace: &str) -> Result<String> {
        let api = objects::api(
            self.control_plane.client(),
            objects::API_VERSION,
            kind,
            namespace,
        )
        .await?;
        let list = api.list(&ListParams::default()).await?;
        let mut text = String::new();
        for mut object in list {
            object.metadata.managed_fields = None;
            let _ = writeln!(text, "{}", serde_json::to_string_pretty(&object)?);
        }
        Ok(text)
    }

    async fn events(&self, namespace: &str) -> Result<String> {
        let events: Api<Event> = self.api_in(namespace);
        let mut text = String::new();
        for event in events.list(&ListParams::default()).await? {
            let (regarding, series) = (
                event.regarding.unwrap_or_default(),
                event.series.map_or(1, |series| series.count),
            );
            let _ = writeln!(
                text,
                "{} {} {}/{} ×{series}: {} ({})",
                event.type_.unwrap_or_default(),
                event.reason.unwrap_or_default(),
                regarding.kind.unwrap_or_default(),
                regarding.name.unwrap_or_default(),
                event.note.unwrap_or_default(),
                event.reporting_controller.unwrap_or_default(),
            );
        }
        Ok(text)
    }

    async fn secrets(&self, namespace: &str) -> Result<String> {
        let secrets: Api<Secret> = self.api_in(namespace);
        let mut text = String::new();
        for secret in secrets.list_metadata(&ListParams::default()).await? {
            let _ = writeln!(text, "{}", serde_json::to_string_pretty(&secret.metadata)?);
        }
        Ok(text)
    }

    async fn config_maps(&self) -> Result<String> {
        let maps: Api<ConfigMap> = Api::all(self.control_plane.client().clone());
        let list = maps.list(&ListParams::default()).await?;
        Ok(list
            .iter()
            .map(|map| serde_json::to_value(map).map(|map: Value| format!("{map}\n")))
            .collect::<Result<_, _>>()?)
    }

    fn log_about(&self, namespace: &str) -> Result<String> {
        let log = self.operator()?.log()?;
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(namespace))
            .collect();
        Ok(lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }

    fn log_end(&self) -> Result<String> {
        let log = self.operator()?.log()?;
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| !line.contains(" TRACE "))
            .collect();
        Ok(lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }

    fn asked(&self, namespace: &str) -> Result<String> {
        let about = |text: &str| text.contains(namespace);
        let requests = self.vault.audit().since(Place::START)?;
        let requests =
            requests.only(|request| about(&request.path) || about(&request.display_name));
        let lines: Vec<String> = requests.to_string().lines().map(str::to_owned).collect();
        Ok(lines[lines.len().saturating_sub(LINES)..].join("\n"))
    }

    fn api_in<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        let client = self.control_plane.client().clone();
        if namespace.is_empty() {
            Api::all(client)
        } else {
            Api::namespaced(client, namespace)
        }
    }
}
