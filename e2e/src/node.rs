//! A real node: containerd, the kubelet, the scheduler and the service proxy, on a bridge of its own, beside the control plane of the tests.
//!
//! It needs root and control groups, and says so where they are missing ([`Node::impossible`]). Pods reach the API server as always, by the Service
//! `kubernetes`; what else listens on loopback only, they reach by [`Node::reachable`].

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::components::{Components, KUBERNETES, NODE, RUNC, WITNESS};
use crate::control_plane::ControlPlane;
use crate::image::{Entry, Image};
use crate::objects;
use crate::ports;
use crate::process::{Launch, Process};
use crate::wait::{SLOW, until};

/// The bridge that pods are on, and the node's address there.
const BRIDGE: &str = "vaultbridge0";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// The node's name.
pub const NAME: &str = "node";

/// The image of the application whose pods say what their Secret held when they started.
pub const WITNESS_IMAGE: &str = "docker.io/library/witness:1";

/// A node that runs.
#[derive(Debug)]
pub struct Node {
    folder: PathBuf,
    ctr: PathBuf,
    // What is dropped first ends first.
    kubelet: Process,
    _others: Vec<Process>,
    containerd: Process,
}

impl Node {
    /// Why no node can run here, if none can.
    #[must_use]
    pub fn impossible() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("it needs root".into());
        }
        let groups = fs::metadata("/sys/fs/cgroup/memory").is_ok()
            || fs::metadata("/sys/fs/cgroup/cgroup.controllers").is_ok();
        if !groups {
            return Some("it needs control groups below /sys/fs/cgroup".into());
        }
        let missing: Vec<_> = ["ip", "nft", "conntrack"]
            .into_iter()
            .filter(|tool| Command::new(tool).output().is_err())
            .collect();
        (!missing.is_empty()).then(|| {
            format!("it needs {missing:?} (Debian: apt-get install iproute2 nftables conntrack)")
        })
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(control_plane: &ControlPlane, folder: &Path) -> Result<Self> {
        let ensure = || Components::ensure(&[&KUBERNETES, &NODE, &RUNC, &WITNESS]);
        let components = tokio::task::spawn_blocking(ensure).await??;
        fs::create_dir_all(folder)?;
        bridge()?;
        forward(ADDRESS, &control_plane.address()).await?;
        endpoints(control_plane).await?;
        let containerd = containerd(&components, folder)?;
        let socket = folder.join("c.sock");
        let ctr = components.program("ctr")?.to_path_buf();
        until("containerd", SLOW, async || {
            containerd.ensure_running()?;
            Ok(socket.exists().then_some(()))
        })
        .await?;
        let this = Self {
            _others: Vec::new(),
            kubelet: kubelet(&components, folder, control_plane)?,
            containerd,
            folder: folder.to_path_buf(),
            ctr,
        };
        this.import(&witness(&components, folder)?)?;
        let others = others(&components, folder, control_plane)?;
        let nodes = objects::api(control_plane.client(), "v1", "Node", "").await?;
        until("the node to be ready", SLOW, async || {
            this.kubelet.ensure_running()?;
            let node = nodes.get(NAME).await?;
            let conditions = node.data["status"]["conditions"].as_array().cloned();
            let mut conditions = conditions.into_iter().flatten();
            let ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
            Ok(ready.then_some(()))
        })
        .await?;
        Ok(Self {
            _others: others,
            ..this
        })
    }

    /// Makes an image known to the node.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let archive = archive.to_string_lossy();
        let said = self.ctr(&["images", "import", &archive])?;
        ensure!(!said.is_empty(), "ctr has imported nothing of {archive}");
        Ok(())
    }

    /// Where pods reach what listens on this loopback address: `https://127.0.0.1:8200`.
    pub async fn reachable(&self, address: &str) -> Result<String> {
        forward(ADDRESS, address).await?;
        Ok(address.replace("127.0.0.1", &ADDRESS.to_string()))
    }

    /// What the containers of a pod have printed.
    pub fn log(&self, namespace: &str, pod: &str) -> Result<String> {
        let logs = self.folder.join("pod-logs");
        let mut text = String::new();
        for entry in fs::read_dir(logs)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&format!("{namespace}_{pod}_")) {
                for container in fs::read_dir(entry.path())? {
                    for file in fs::read_dir(container?.path())? {
                        text += &fs::read_to_string(file?.path())?;
                    }
                }
            }
        }
        Ok(text)
    }

    fn ctr(&self, args: &[&str]) -> Result<String> {
        let socket = self.folder.join("c.sock").to_string_lossy().into_owned();
        let all = [&["--address", &socket, "--namespace", "k8s.io"], args].concat();
        run(&self.ctr.to_string_lossy(), &all)
    }

    /// Ends every container and takes away what the node has left: mounts, the bridge, rules.
    pub fn tear_down(self) -> Result<()> {
        self.kubelet.kill()?;
        for task in self.ctr(&["tasks", "ls", "-q"])?.lines() {
            let _ = self.ctr(&["tasks", "kill", "-s", "SIGKILL", task]);
            let _ = self.ctr(&["tasks", "delete", "-f", task]);
        }
        self.containerd.kill()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let folder = self.folder.to_string_lossy().into_owned();
        let below = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let mut below: Vec<_> = below.filter(|path| path.starts_with(&folder)).collect();
        below.reverse();
        for path in below {
            let _ = run("umount", &["--lazy", path]);
        }
        let _ = run("nft", &["delete", "table", "ip", "kube-proxy"]);
        run("ip", &["link", "delete", BRIDGE])?;
        Ok(())
    }
}

/// Runs a tool to its end, and returns what it printed; fails with that when it does.
fn run(tool: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(tool)
        .args(args)
        .output()
        .with_context(|| format!("run {tool}"))?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{tool} {args:?}: {text}");
    Ok(text)
}

fn bridge() -> Result<()> {
    let _ = run("ip", &["link", "delete", BRIDGE]);
    run("ip", &["link", "add", BRIDGE, "type", "bridge"])?;
    let address = format!("{ADDRESS}/24");
    run("ip", &["address", "add", &address, "dev", BRIDGE])?;
    run("ip", &["link", "set", BRIDGE, "up"])?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("let packets pass from pod to pod")
}

/// Listens on that address at the port of `server`, which listens on loopback, and passes everything on.
async fn forward(at: Ipv4Addr, server: &str) -> Result<()> {
    let port = server.rsplit(':').next().unwrap_or_default();
    let port: u16 = port
        .trim_end_matches('/')
        .parse()
        .context("read the port")?;
    let listener = TcpListener::bind((at, port)).await?;
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut outside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                }
            });
        }
    });
    Ok(())
}

/// Where the Service `kubernetes` leads: the API server of the tests does not say so itself.
async fn endpoints(control_plane: &ControlPlane) -> Result<()> {
    let address = control_plane.address();
    let port: u16 = address.rsplit(':').next().unwrap_or_default().parse()?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "kubernetes.io/service-name": "kubernetes" },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "https", "port": port, "protocol": "TCP" }],
        "endpoints": [{ "addresses": [ADDRESS.to_string()], "conditions": { "ready": true } }],
    });
    objects::apply(control_plane.client(), &slice).await?;
    Ok(())
}

fn containerd(components: &Components, folder: &Path) -> Result<Process> {
    let plugins = folder.join("cni-programs");
    fs::create_dir_all(&plugins)?;
    for name in ["bridge", "host-local", "loopback", "portmap"] {
        let link = plugins.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(components.program(name)?, link)?;
    }
    let networks = folder.join("cni");
    fs::create_dir_all(&networks)?;
    let network = json!({
        "cniVersion": "1.0.0", "name": "vaultbridge",
        "plugins": [{
            "type": "bridge", "bridge": BRIDGE, "isGateway": true, "hairpinMode": true,
            "ipam": {
                "type": "host-local", "dataDir": folder.join("addresses"),
                "ranges": [[{ "subnet": "10.244.0.0/24", "rangeStart": "10.244.0.10" }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }, { "type": "portmap", "capabilities": { "portMappings": true } }],
    });
    fs::write(networks.join("net.conflist"), network.to_string())?;
    let text = format!(
        r#"version = 3
root = "{folder}/root"
state = "{folder}/state"
[grpc]
address = "{folder}/c.sock"
[plugins.'io.containerd.cri.v1.images']
snapshotter = "native"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{WITNESS_IMAGE}"
[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["{folder}/cni-programs"]
conf_dir = "{folder}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
"#,
        folder = folder.display(),
        runc = components.program("runc")?.display(),
    );
    let config = folder.join("containerd.toml");
    fs::write(&config, text)?;
    let args = [format!("--config={}", config.display())];
    let program = components.program("containerd")?;
    let shims = components.program("containerd-shim-runc-v2")?.parent();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", shims.unwrap_or(Path::new("")).display());
    let launch = Launch::new("containerd", program, args, folder.join("containerd.log"));
    Process::start(&launch.env("PATH", path))
}

fn kubelet(
    components: &Components,
    folder: &Path,
    control_plane: &ControlPlane,
) -> Result<Process> {
    let root = folder.join("kubelet");
    fs::create_dir_all(root.join("manifests"))?;
    let socket = format!("unix://{}/c.sock", folder.display());
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "failCgroupV1": false, "cgroupDriver": "cgroupfs", "failSwapOn": false,
        "authentication": { "anonymous": { "enabled": true }, "webhook": { "enabled": false } },
        "authorization": { "mode": "AlwaysAllow" },
        "containerRuntimeEndpoint": socket,
        "clusterDNS": [], "podCIDR": "10.244.0.0/24",
        "evictionHard": { "memory.available": "1Mi", "nodefs.available": "1Mi", "imagefs.available": "1Mi" },
        "localStorageCapacityIsolation": false,
        "syncFrequency": "5s", "fileCheckFrequency": "5s",
        "podLogsDir": folder.join("pod-logs"),
    });
    let file = folder.join("kubelet.json");
    fs::write(&file, config.to_string())?;
    let args = [
        format!("--config={}", file.display()),
        format!("--kubeconfig={}", control_plane.kubeconfig().display()),
        format!("--root-dir={}", root.display()),
        format!("--cert-dir={}", root.join("pki").display()),
        format!("--hostname-override={NAME}"),
        format!("--node-ip={ADDRESS}"),
    ];
    let program = components.program("kubelet")?;
    let launch = Launch::new("kubelet", program, args, folder.join("kubelet.log"));
    Process::start(&launch)
}

fn others(
    components: &Components,
    folder: &Path,
    control_plane: &ControlPlane,
) -> Result<Vec<Process>> {
    let kubeconfig = format!("--kubeconfig={}", control_plane.kubeconfig().display());
    let scheduler = vec![
        kubeconfig.clone(),
        "--leader-elect=false".to_owned(),
        "--secure-port=0".to_owned(),
    ];
    let proxy = vec![
        kubeconfig,
        "--proxy-mode=nftables".to_owned(),
        format!("--hostname-override={NAME}"),
        "--cluster-cidr=10.244.0.0/24".to_owned(),
        "--healthz-bind-address=".to_owned(),
        format!("--metrics-bind-address=127.0.0.1:{}", ports::pick()?),
        "--conntrack-max-per-core=0".to_owned(),
    ];
    [("kube-scheduler", scheduler), ("kube-proxy", proxy)]
        .into_iter()
        .map(|(name, args)| {
            let log = folder.join(format!("{name}.log"));
            Process::start(&Launch::new(name, components.program(name)?, args, log))
        })
        .collect()
}

/// The image of what runs in the sandboxes of pods, and as the application.
fn witness(components: &Components, folder: &Path) -> Result<PathBuf> {
    let archive = folder.join("witness.tar");
    let image = Image {
        name: "witness:1".into(),
        architecture: "amd64".into(),
        entries: vec![Entry {
            path: "witness".into(),
            content: fs::read(components.program("witness")?)?,
            program: true,
        }],
        entrypoint: vec!["/witness".into()],
        user: "65532:65532".into(),
        labels: Value::Object(serde_json::Map::new()),
    };
    image.write(&archive)?;
    Ok(archive)
}
