//! What people read of the chart: the table of its values, and what comes of some sets of them.

use std::fs;

use anyhow::{Context as _, Result};
use vaultbridge_e2e::helm::{chart, template, values};
use vaultbridge_e2e::{block_on, operator};

/// Sets of values, by the names of the files with what is made of them.
const SETS: &[(&str, &[&str])] = &[
    ("default", &[]),
    (
        "least",
        &[
            "replicas=1",
            "networkPolicy.enabled=false",
            "admissionPolicies.enabled=false",
            "rbac.aggregate=false",
            "rbac.rollouts=false",
            "metrics.objects=false",
        ],
    ),
    ("namespaces", &["watchNamespaces=[\"shop\",\"bank\"]"]),
    (
        "production",
        &[
            "image.repository=\"registry.example/vaultbridge\"",
            "image.digest=\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
            "imagePullSecrets=[{\"name\":\"registry\"}]",
            "replicas=3",
            "priorityClassName=\"system-cluster-critical\"",
            "serviceAccount.annotations={\"team\":\"platform\"}",
            "tolerations=[{\"key\":\"infra\",\"operator\":\"Exists\"}]",
            "networkPolicy.from=[{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"monitoring\"}}}]",
            "metrics.podMonitor.enabled=true",
            "metrics.prometheusRule.enabled=true",
            "runbookUrl=\"https://wiki.example/vaultbridge/\"",
            "extraEnv=[{\"name\":\"RUST_BACKTRACE\",\"value\":\"1\"}]",
            "connection.create=true",
            "connection.spec.address=\"https://vault.example:8200\"",
        ],
    ),
];

/// Compares the text with the file, or writes it where that is asked for.
fn is_as_in(path: &str, text: &str) -> Result<()> {
    let file = operator::project().join(path);
    if std::env::var_os("VAULTBRIDGE_WRITE_PAGES").is_some() {
        return fs::write(&file, text).with_context(|| format!("write {path}"));
    }
    let found = fs::read_to_string(&file).with_context(|| format!("read {path}"))?;
    let differs = text
        .lines()
        .zip(found.lines())
        .enumerate()
        .find(|(_, (new, old))| new != old);
    if found != text {
        anyhow::bail!(
            "{path} is not what the chart makes now, first at {differs:?}: look at the difference, and if it is meant, run make docs"
        );
    }
    Ok(())
}

#[test]
fn the_table_of_values_is_that_of_the_values() -> Result<()> {
    let values = fs::read_to_string(format!("{}/values.yaml", chart()?))?;
    is_as_in("deploy/chart/README.md", &values::readme(&values))
}

#[test]
fn what_comes_of_some_sets_of_values_is_as_somebody_has_looked_at_it() -> Result<()> {
    block_on(async {
        for (name, values) in SETS {
            // The kinds are compared elsewhere, and are long.
            let values = [*values, &["crds.install=false"]].concat();
            let text = template(&values).await?;
            is_as_in(&format!("e2e/snapshots/chart/{name}.yaml"), &text)?;
        }
        Ok(())
    })?
}
