//! Without one of its rights it does what it can, and says which one it lacks: each right of the manifest is taken away in turn.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};
use vaultbridge_e2e::operator::{self, Operator};
use vaultbridge_e2e::vault_server::{DatabaseRole, Listener};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, run_alone};

use super::rights::granted;
use crate::leading;
use crate::rollout::workloads::{ROLLOUTS, WORKLOADS, workload};

/// A verb and a resource.
pub type Right = (&'static str, &'static str);

/// What becomes of an operator that is started without a right to list or watch, or to read its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// It ends at once.
    Ends,
    /// It runs and is not ready.
    Unready,
    /// It runs.
    Runs,
}

const AT_THE_START: [(Right, Start); 13] = [
    (("get", "secrets"), Start::Ends),
    (("list", "namespaces"), Start::Ends),
    (("list", "vaultsecrets"), Start::Ends),
    (("list", "vaultconnections"), Start::Ends),
    (("list", "secrets"), Start::Unready),
    (("list", "serviceaccounts"), Start::Unready),
    (("list", "configmaps"), Start::Unready),
    (("watch", "namespaces"), Start::Runs),
    (("watch", "vaultsecrets"), Start::Runs),
    (("watch", "vaultconnections"), Start::Runs),
    (("watch", "secrets"), Start::Runs),
    (("watch", "serviceaccounts"), Start::Runs),
    (("watch", "configmaps"), Start::Runs),
];

const AT_WORK: [Right; 24] = [
    ("get", "vaultsecrets"),
    ("patch", "vaultsecrets"),
    ("update", "vaultsecrets/status"),
    ("update", "vaultconnections/status"),
    ("create", "secrets"),
    ("update", "secrets"),
    ("delete", "secrets"),
    ("patch", "secrets"),
    ("create", "serviceaccounts/token"),
    ("create", "events"),
    ("patch", "events"),
    ("get", "configmaps"),
    ("get", "deployments"),
    ("list", "deployments"),
    ("patch", "deployments"),
    ("get", "statefulsets"),
    ("list", "statefulsets"),
    ("patch", "statefulsets"),
    ("get", "daemonsets"),
    ("list", "daemonsets"),
    ("patch", "daemonsets"),
    ("get", "rollouts"),
    ("list", "rollouts"),
    ("patch", "rollouts"),
];

/// What an instance needs that competes with others, and the Lease that it finds as it looks when it notices.
const OF_CANDIDATES: [(Right, Option<&str>); 5] = [
    (("create", "leases"), None),
    (("update", "leases"), Some("")),
    (("list", "leases"), Some("another")),
    (("get", "leases"), Some("another")),
    (("watch", "leases"), Some("another")),
];

/// The API server's words for a right that somebody lacks.
fn words((verb, resource): Right) -> String {
    format!("cannot {verb} resource \"{resource}\"")
}

fn manifest() -> Result<Vec<Value>> {
    objects::read(&operator::project().join("deploy/rbac.yaml"))
}

/// Gives a service account all rights of the manifest but this one.
pub async fn grant(t: &Tenant, account: &str, lacking: Option<Right>) -> Result<()> {
    for mut object in manifest()? {
        if object["kind"] == "Namespace" {
            continue;
        }
        object["metadata"]["name"] = account.into();
        if object["roleRef"].is_object() {
            object["roleRef"]["name"] = account.into();
            object["subjects"][0]["name"] = account.into();
        }
        if let Some(rules) = object["rules"].as_array() {
            object["rules"] = rules
                .iter()
                .flat_map(|rule| spared(rule, lacking))
                .collect();
        }
        objects::apply(t.ground().control_plane().client(), &object).await?;
    }
    Ok(())
}

/// A rule as one for each of its resources, without the right.
fn spared(rule: &Value, lacking: Option<Right>) -> Vec<Value> {
    let resources = rule["resources"].as_array().cloned().unwrap_or_default();
    let one = |resource: Value| {
        let verbs = rule["verbs"].as_array().into_iter().flatten();
        let is_lacking =
            |verb: &&Value| lacking.is_some_and(|right| **verb == right.0 && resource == right.1);
        let verbs: Vec<&Value> = verbs.filter(|verb| !is_lacking(verb)).collect();
        json!({ "apiGroups": rule["apiGroups"], "resources": [resource], "verbs": verbs })
    };
    let some = |rule: &Value| rule["verbs"] != json!([]);
    resources.into_iter().map(one).filter(some).collect()
}

/// What an operator has logged. Where the log quotes a message, the quotes within are escaped, which does not matter here.
fn unescaped(operator: &Operator) -> Result<String> {
    Ok(operator.log()?.replace('\\', ""))
}

/// Waits until a log names the right in a line that is seen at the usual level.
async fn names(operator: &Operator, from: usize, right: Right) -> Result<()> {
    let words = words(right);
    let what = format!("the log to say {words:?}");
    until(&what, SOON, async || {
        let log = unescaped(operator)?;
        let mut told = log.get(from..).unwrap_or_default().lines();
        let is_seen = |line: &str| {
            line.contains(" WARN ") || line.contains(" ERROR ") || line.starts_with("vaultbridge: ")
        };
        let named = |line: &str| is_seen(line) && line.contains(&words);
        Ok(told.any(named).then_some(()))
    })
    .await
}

#[test]
fn each_right_of_the_manifest_is_tried_without() -> Result<()> {
    let tried = AT_THE_START.iter().map(|(right, _)| right).chain(&AT_WORK);
    let tried = tried.chain(OF_CANDIDATES.iter().map(|(right, _)| right));
    let tried: BTreeSet<String> = tried
        .map(|(verb, resource)| format!("{verb} {resource}"))
        .collect();
    assert_eq!(tried, granted(&manifest()?));
    Ok(())
}

#[test]
fn an_operator_that_may_not_look_at_something_says_at_what_and_is_not_ready_where_it_cannot_work()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        // All is in sync and stays so: what these operators do is look.
        t.app("app", "first password", "1h").await?;
        t.operator()?.stop().await?;
        let control_plane = t.ground().control_plane();
        let mut started = Vec::new();
        for (right, start) in AT_THE_START {
            let account = format!("lacks-{}-{}", right.0, right.1);
            grant(t, &account, Some(right)).await?;
            let folder = t.ground().folder().join(&account);
            let flags = ["--allow-plain-http"];
            let operator = Operator::start_as(control_plane, &account, &folder, &flags).await?;
            started.push((right, start, operator));
        }
        for (right, start, operator) in started {
            names(&operator, 0, right).await?;
            match start {
                Start::Ends => {
                    until("it to end", SOON, async || {
                        Ok(operator.service().ensure_running().is_err().then_some(()))
                    })
                    .await?;
                }
                Start::Unready => assert_eq!(operator.readyz().await?, 503, "{right:?}"),
                Start::Runs => operator.ready().await?,
            }
        }
        Ok(())
    })
}

#[test]
fn a_candidate_that_may_not_use_the_lease_says_so_and_does_not_begin() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.operator()?.stop().await?;
        let control_plane = t.ground().control_plane();
        for (right, holder) in OF_CANDIDATES {
            let account = format!("lacks-{}-{}", right.0, right.1);
            grant(t, &account, Some(right)).await?;
            if let Some(holder) = holder {
                leading::another_leads(t, holder, 3600).await?;
            }
            let folder = t.ground().folder().join(&account);
            let flags = ["--leader-elect", "--pod-name", "one", "--pod-uid", "1"];
            let candidate = Operator::start_as(control_plane, &account, &folder, &flags).await?;
            names(&candidate, 0, right).await?;
            candidate.service().ensure_running()?;
            assert!(!candidate.log()?.contains("leading"), "{right:?}");
        }
        Ok(())
    })
}

/// Sets the operator's rights, and waits until they are in force.
pub async fn lacks(t: &Tenant, lacking: Option<Right>, of: Right) -> Result<()> {
    grant(t, operator::ACCOUNT, lacking).await?;
    let control_plane = t.ground().control_plane();
    let client = control_plane
        .client_of(operator::NAMESPACE, operator::ACCOUNT)
        .await?;
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client);
    let (resource, subresource) = match of.1.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource)),
        None => (of.1, None),
    };
    let group = match resource {
        "events" => "events.k8s.io",
        "vaultsecrets" | "vaultconnections" => "vaultbridge.dev",
        "deployments" | "statefulsets" | "daemonsets" => "apps",
        "rollouts" => "argoproj.io",
        _ => "",
    };
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                namespace: Some(operator::NAMESPACE.into()),
                verb: Some(of.0.into()),
                group: Some(group.into()),
                resource: Some(resource.into()),
                subresource: subresource.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    until("the rights to be in force", SOON, async || {
        let answer = reviews.create(&PostParams::default(), &question).await?;
        let status = answer.status.context("read the answer")?;
        Ok((status.allowed == lacking.is_none()).then_some(()))
    })
    .await
}

/// Has the operator do what needs the right, and sees it complain where there is an object to do so.
async fn provoke(t: &Tenant, secure: &Tenant, right: Right) -> Result<()> {
    let denied =
        async |name: &str, reason: &str| t.complains_with(name, reason, &[&words(right)]).await;
    match right {
        ("update", "vaultsecrets/status") => {
            t.password("app", "second password").await?;
            t.secret_with("app", "password", "second password").await?;
        }
        ("update", "vaultconnections/status") => {
            secure.connect(by_reference(secure, "20s")).await?;
        }
        ("get" | "patch", "vaultsecrets") => {
            let path = t.database(&DatabaseRole::default()).await?;
            let name = format!("issued-{}", right.0);
            t.carry(
                &name,
                &format!("sources: [{{ name: db, read: {{ path: {path} }} }}]"),
            )
            .await?;
            denied(&name, "AdmissionDenied").await?;
        }
        ("create", "secrets") => {
            t.password("new", "first password").await?;
            t.apply_app("new", "1s").await?;
            denied("new", "AdmissionDenied").await?;
        }
        ("update", "secrets") => {
            t.password("app", "third password").await?;
            denied("app", "AdmissionDenied").await?;
        }
        ("delete", "secrets") => {
            let renamed = json!({ "spec": { "destination": { "name": "renamed" } } });
            t.patch("VaultSecret", "other", &renamed).await?;
            let told = ["delete the earlier Secret other", &words(right)];
            t.event("VaultSecret", "other", "AdmissionDenied", &told)
                .await?;
        }
        ("patch", "secrets") => {
            t.apply("{ kind: Secret, metadata: { name: shared }, data: { theirs: c3RheXM= } }")
                .await?;
            let spec = "sources: [{ name: app, kv: { path: $tenant/app } }]
destination: { name: shared, creationPolicy: Merge }";
            t.carry("merged", spec).await?;
            denied("merged", "AdmissionDenied").await?;
        }
        ("create", "serviceaccounts/token") => {
            t.service_account("late").await?;
            t.password("late", "first password").await?;
            t.apply_app("late", "1s").await?;
            let late = json!({ "spec": { "auth": { "serviceAccountName": "late" } } });
            t.patch("VaultSecret", "late", &late).await?;
            denied("late", "TokenRequestDenied").await?;
        }
        ("create", "events") => t.delete("Secret", "told").await?,
        ("patch", "events") => t.delete("Secret", "told-twice").await?,
        ("get", "configmaps") => {
            secure.connect(by_reference(secure, "30s")).await?;
        }
        (verb @ ("get" | "list" | "patch"), plural) => restart(t, verb, plural).await?,
        other => anyhow::bail!("find out how {other:?} is needed"),
    }
    Ok(())
}

/// Has the operator restart a workload that it is told of by name or by label, and sees it say that it may not.
async fn restart(t: &Tenant, verb: &str, plural: &str) -> Result<()> {
    let kinds = WORKLOADS.iter().find(|(_, of)| *of == plural);
    let (kind, _) = kinds.with_context(|| format!("find the kind of {plural}"))?;
    let target = match verb {
        "list" => json!({ "kind": kind, "selector": { "matchLabels": { "uses": "told" } } }),
        _ => json!({ "kind": kind, "name": "told" }),
    };
    let minimal = json!({ "minInterval": "0s", "targets": [target] });
    t.patch(
        "VaultSecret",
        "told",
        &json!({ "spec": { "rollout": minimal } }),
    )
    .await?;
    if verb == "patch" {
        t.reports("told", "RolledOut", "True", "RolledOut").await?;
        t.password("told", &format!("password for {plural}"))
            .await?;
    }
    let right = format!("cannot {verb} resource \"{plural}\"");
    t.wait(
        "VaultSecret",
        "told",
        &format!("to say {right}"),
        |object| {
            let condition = vaultbridge_e2e::tenant::condition(object, "RolledOut");
            condition.is_some_and(|condition| {
                let message = condition["message"].as_str().unwrap_or_default();
                condition["reason"] == "AdmissionDenied" && message.contains(&right)
            })
        },
    )
    .await?;
    Ok(())
}

fn by_reference(secure: &Tenant, timeout: &str) -> Value {
    let reference = json!({ "kind": "ConfigMap", "name": secure.name() });
    json!({ "tls": { "caBundleRef": reference }, "timeout": timeout })
}

#[test]
fn an_operator_that_may_not_do_something_says_what_as_soon_as_it_is_needed() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let secure = t.neighbour(Listener::Tls).await?;
        secure
            .give_operator("ConfigMap", &[("ca.crt", &secure.vault().ca())])
            .await?;
        secure.connect(by_reference(&secure, "10s")).await?;
        secure.connection_is("True", "Connected").await?;
        for name in ["app", "other", "told", "told-twice"] {
            t.app(name, "first password", "1s").await?;
        }
        t.apply(ROLLOUTS).await?;
        for (kind, _) in WORKLOADS {
            workload(t, kind, "told", 0, &json!({})).await?;
        }
        t.delete("Secret", "told-twice").await?;
        let words = ["created it again"];
        t.event("VaultSecret", "told-twice", "Synced", &words)
            .await?;
        for right in AT_WORK {
            lacks(t, Some(right), right).await?;
            let from = unescaped(t.operator()?)?.len();
            provoke(t, &secure, right).await?;
            names(t.operator()?, from, right).await?;
            lacks(t, None, right).await?;
        }
        assert_eq!(t.operator()?.readyz().await?, 200);
        for name in ["app", "other", "new", "told", "told-twice", "merged"] {
            t.reports(name, "Synced", "True", "Synced")
                .await
                .context("with the right back, all is well")?;
        }
        Ok(())
    })
}
