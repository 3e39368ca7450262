//! A node that is only pretended, so that workloads come to an end of their restarts without a kubelet.
//!
//! The control plane's own controllers make and delete the pods; what a kubelet would report of them, that they run, are ready, and are
//! gone, kwok reports at once. There is no scheduler: a pod runs there if its template says `nodeName: ` and [`NODE`].

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::components::{Components, KWOK};
use crate::control_plane::ControlPlane;
use crate::objects;
use crate::process::{Launch, Service};
use crate::wait::{SOON, until};

/// The name of the node.
pub const NODE: &str = "pretended";

/// The program that pretends. It ends when dropped, and with this process.
#[derive(Debug)]
pub struct Nodes {
    service: Service,
}

impl Nodes {
    /// Starts it, and waits until the node is ready. It is built if it is not in the cache, which blocks nobody else.
    pub async fn start(control_plane: &ControlPlane, folder: &Path) -> Result<Self> {
        let ensure = || Components::ensure(&[&KWOK]);
        let components = tokio::task::spawn_blocking(ensure).await??;
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": NODE, "annotations": { "kwok.x-k8s.io/node": "fake" } },
        });
        objects::apply(control_plane.client(), &node).await?;
        let stages = KWOK.source().join("stages.yaml");
        let args = [
            format!("--kubeconfig={}", control_plane.kubeconfig().display()),
            format!("--config={}", stages.display()),
            format!("--manage-single-node={NODE}"),
            // The signs of life without which the node counts as lost after a while.
            "--node-lease-duration-seconds=40".to_owned(),
        ];
        let program = components.program("kwok")?;
        let launch = Launch::new("kwok", program, args, folder.join("kwok.log"));
        let this = Self {
            service: Service::new(launch),
        };
        this.service.start()?;
        let nodes = objects::api(control_plane.client(), "v1", "Node", "").await?;
        until("the pretended node to be ready", SOON, async || {
            this.service.ensure_running()?;
            let node = nodes.get(NODE).await?;
            let conditions = node.data["status"]["conditions"].as_array().cloned();
            let mut conditions = conditions.into_iter().flatten();
            let ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
            Ok(ready.then_some(()))
        })
        .await?;
        Ok(this)
    }

    /// The program as a process.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }
}
