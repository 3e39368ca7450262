//! The chart: what it makes, that it installs, and how it fences the operator in.

mod fences;
mod installed;
mod namespaced;
mod pages;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::helm::{chart, helm, rendered};
use vaultbridge_e2e::{block_on, objects, operator};

use crate::program::rights::granted;

/// What is of that kind.
fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

#[test]
fn helm_finds_nothing_wrong_with_the_chart() -> Result<()> {
    block_on(async {
        let said = helm(&["lint", "--strict", &chart()?], None).await?;
        ensure!(said.contains("0 chart(s) failed"), "{said}");
        Ok(())
    })?
}

#[test]
fn a_value_that_is_none_is_refused_with_its_name() -> Result<()> {
    block_on(async {
        for (value, word) in [
            ("replica=2", "replica"),
            ("image.tags=\"1\"", "tags"),
            ("concurrency=0", "concurrency"),
            ("log.format=\"xml\"", "format"),
            ("leaderElection.leaseDuration=\"15\"", "leaseDuration"),
            ("admissionPolicies.audiences=[]", "audiences"),
            (
                "admissionPolicies.audiences=[\"https://kubernetes.default.svc\"]",
                "audiences",
            ),
            ("connection.create=true", "address"),
        ] {
            let refused = rendered(&[value]).await;
            let told = refused
                .err()
                .with_context(|| format!("{value} is accepted"))?;
            ensure!(format!("{told:#}").contains(word), "{value}: {told:#}");
        }
        Ok(())
    })?
}

#[test]
fn the_rights_are_those_of_the_manifest_for_whoever_goes_without_helm() -> Result<()> {
    block_on(async {
        let manifest = objects::read(&operator::project().join("deploy/rbac.yaml"))?;
        let chart = rendered(&["rbac.aggregate=false"]).await?;
        let rules = |objects: &[Value], kind: &str| -> Vec<Value> {
            let all = of_kind(objects, kind).into_iter();
            all.map(|object| object["rules"].clone()).collect()
        };
        for kind in ["ClusterRole", "Role"] {
            assert_eq!(rules(&chart, kind), rules(&manifest, kind), "{kind}");
        }
        let without = rendered(&["rbac.aggregate=false", "rbac.rollouts=false"]).await?;
        let mut lost = granted(&chart);
        lost.retain(|right| !granted(&without).contains(right));
        ensure!(
            lost.iter().all(
                |right| ["deployments", "statefulsets", "daemonsets", "rollouts"]
                    .iter()
                    .any(|plural| right.ends_with(plural))
            ),
            "{lost:?}"
        );
        assert_eq!(lost.len(), 12);
        Ok(())
    })?
}

#[test]
fn the_kinds_are_those_of_the_project_and_outlive_the_release() -> Result<()> {
    block_on(async {
        let kinds = objects::read(&operator::project().join("crds"))?;
        let all = rendered(&[]).await?;
        let chart = of_kind(&all, "CustomResourceDefinition");
        assert_eq!(chart.len(), kinds.len());
        for kind in &kinds {
            let name = &kind["metadata"]["name"];
            let found = chart
                .iter()
                .find(|object| object["metadata"]["name"] == *name);
            let found = found.with_context(|| format!("find {name}"))?;
            assert_eq!(found["spec"], kind["spec"], "{name}: run make crds");
            let policy = &found["metadata"]["annotations"]["helm.sh/resource-policy"];
            assert_eq!(*policy, json!("keep"), "{name}");
        }
        Ok(())
    })?
}

#[test]
fn everything_that_can_be_switched_on_or_off_is() -> Result<()> {
    block_on(async {
        let names = |objects: &[Value]| -> Vec<String> {
            let kinds = objects
                .iter()
                .map(|object| object["kind"].as_str().unwrap_or_default());
            let mut kinds: Vec<String> = kinds.map(str::to_owned).collect();
            kinds.sort();
            kinds.dedup();
            kinds
        };
        let least = rendered(&[
            "crds.install=false",
            "replicas=1",
            "networkPolicy.enabled=false",
            "admissionPolicies.enabled=false",
            "rbac.aggregate=false",
        ])
        .await?;
        let always = [
            "ClusterRole",
            "ClusterRoleBinding",
            "Deployment",
            "Pod",
            "Role",
            "RoleBinding",
            "Service",
            "ServiceAccount",
        ];
        assert_eq!(names(&least), always);
        let most = rendered(&[
            "metrics.serviceMonitor.enabled=true",
            "metrics.podMonitor.enabled=true",
            "metrics.prometheusRule.enabled=true",
            "metrics.dashboard.enabled=true",
            "connection.create=true",
            "connection.spec.address=\"https://vault.example:8200\"",
            "priorityClassName=\"system-cluster-critical\"",
            "extraArgs=[\"--allow-plain-http\"]",
            "image.digest=\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
        ])
        .await?;
        let more = [
            "ConfigMap",
            "CustomResourceDefinition",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "PodMonitor",
            "PrometheusRule",
            "ServiceMonitor",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "VaultConnection",
        ];
        let mut all: Vec<&str> = always.into_iter().chain(more).collect();
        all.sort_unstable();
        assert_eq!(names(&most), all);
        let deployment = of_kind(&most, "Deployment");
        let pod = &deployment.first().context("find the Deployment")?["spec"]["template"]["spec"];
        assert_eq!(pod["priorityClassName"], "system-cluster-critical");
        let container = &pod["containers"][0];
        let image = container["image"].as_str().unwrap_or_default();
        ensure!(image.starts_with("vaultbridge@sha256:"), "{image}");
        let final_arg = container["args"].as_array().and_then(|args| args.last());
        assert_eq!(final_arg, Some(&json!("--allow-plain-http")));
        Ok(())
    })?
}
