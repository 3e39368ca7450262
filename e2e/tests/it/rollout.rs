//! What uses a Secret is restarted when its content changes: once, and not when nothing changed.

mod pods;
pub mod workloads;

use anyhow::Result;
use serde_json::{Value, json};
use vaultbridge_e2e::{GroundOptions, Tenant, run, run_alone, says};

use self::workloads::{
    ROLLOUTS, aim, asked, found, healthy, mark, named, restarted, rolled_out, workload,
};
use crate::program::lacks::{Right, lacks};

/// An application with a Deployment of that many pods that is its target.
async fn deployed(t: &Tenant, replicas: u32, min_interval: &str) -> Result<()> {
    t.app("app", "first password", "1s").await?;
    workload(t, "Deployment", "app", replicas, &json!({})).await?;
    aim(t, "app", min_interval, &json!([named("Deployment", "app")])).await?;
    rolled_out(t, "app", 1).await?;
    Ok(())
}

/// How often the operator has restarted something since the request log began.
fn patches(asked: &[String]) -> Vec<&String> {
    let patched = asked
        .iter()
        .filter(|request| request.starts_with("patch ") && request.ends_with(" 200"));
    patched.collect()
}

#[test]
fn a_deployment_is_restarted_once_for_a_change_and_not_for_the_first_content() -> Result<()> {
    run(async |t| {
        let mark_before = t.mark().await?;
        workload(t, "Deployment", "app", 0, &json!({})).await?;
        t.password("app", "first password").await?;
        t.apply(
            "kind: VaultSecret
             metadata: { name: app }
             spec:
               auth: { role: $tenant }
               sources: [{ name: app, kv: { path: $tenant/app } }]
               refresh: { interval: 1s }
               rollout: { targets: [{ kind: Deployment, name: app }] }",
        )
        .await?;
        let object = rolled_out(t, "app", 1).await?;
        let noted = json!([{ "kind": "Deployment", "name": "app", "revision": 1 }]);
        assert_eq!(object["status"]["rollouts"], noted);
        let deployment = found(t, "Deployment", "app").await?;
        assert_eq!(deployment["metadata"]["generation"], 1, "{deployment}");

        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;
        let object = rolled_out(t, "app", 2).await?;
        assert!(
            object["status"]["rollouts"][0]["time"].is_string(),
            "{object}"
        );
        let deployment = found(t, "Deployment", "app").await?;
        assert_eq!(deployment["metadata"]["generation"], 2, "{deployment}");
        assert_eq!(mark(&deployment, "app"), Some(2), "{deployment}");
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
        let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(
            annotations["vaultbridge.dev/app"],
            format!("{}-2", &uid[..8])
        );
        let event = t
            .event(
                "VaultSecret",
                "app",
                "RollingOut",
                &["restarted Deployment app"],
            )
            .await?;
        assert!(!event.warning && event.count == 1, "{event}");

        let later = t.mark().await?;
        t.polls(&later, "app", 3).await?;
        assert_eq!(
            asked(t, &later).await?,
            [""; 0],
            "nothing is asked once all is done"
        );
        assert_eq!(patches(&asked(t, &mark_before).await?).len(), 1);
        Ok(())
    })
}

#[test]
fn stateful_sets_and_daemon_sets_are_restarted_as_well() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let kinds = ["StatefulSet", "DaemonSet"];
        for kind in kinds {
            workload(t, kind, "app", 0, &json!({})).await?;
        }
        let targets: Vec<Value> = kinds.iter().map(|kind| named(kind, "app")).collect();
        aim(t, "app", "1m", &json!(targets)).await?;
        rolled_out(t, "app", 1).await?;
        t.password("app", "second password").await?;
        for kind in kinds {
            restarted(t, kind, "app", 2).await?;
        }
        rolled_out(t, "app", 2).await?;
        Ok(())
    })
}

#[test]
fn a_selector_finds_workloads_by_their_labels_also_those_that_came_later() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        workload(t, "Deployment", "app", 0, &json!({})).await?;
        workload(t, "Deployment", "other", 0, &json!({})).await?;
        let selector = json!({ "matchLabels": { "uses": "app" } });
        aim(
            t,
            "app",
            "1m",
            &json!([{ "kind": "Deployment", "selector": selector }]),
        )
        .await?;
        rolled_out(t, "app", 1).await?;
        workload(t, "Deployment", "later", 0, &json!({})).await?;
        let label = json!({ "metadata": { "labels": { "uses": "app" } } });
        t.patch("apps/v1/Deployment", "later", &label).await?;
        t.password("app", "second password").await?;
        let object = rolled_out(t, "app", 2).await?;
        for name in ["app", "later"] {
            let deployment = found(t, "Deployment", name).await?;
            assert_eq!(mark(&deployment, "app"), Some(2), "{deployment}");
        }
        let other = found(t, "Deployment", "other").await?;
        assert_eq!(other["metadata"]["generation"], 1, "{other}");
        let noted = object["status"]["rollouts"].as_array().map(Vec::len);
        assert_eq!(noted, Some(2), "{object}");
        Ok(())
    })
}

#[test]
fn changes_in_quick_succession_make_one_restart_when_the_interval_is_over() -> Result<()> {
    run(async |t| {
        deployed(t, 0, "20s").await?;
        let since = t.mark().await?;
        t.password("app", "second password").await?;
        restarted(t, "Deployment", "app", 2).await?;
        for (revision, password) in [(3, "third password"), (4, "fourth password")] {
            t.password("app", password).await?;
            t.secret_with("app", "password", password).await?;
            let words = format!("will be again for revision {revision}");
            t.wait("VaultSecret", "app", "to wait for the interval", |object| {
                let condition = vaultbridge_e2e::tenant::condition(object, "RolledOut");
                let message = condition.and_then(|one| one["message"].as_str());
                message.is_some_and(|message| message.contains(&words))
            })
            .await?;
        }
        rolled_out(t, "app", 4).await?;
        let asked = asked(t, &since).await?;
        assert_eq!(patches(&asked).len(), 2, "{asked:?}");
        Ok(())
    })
}

#[test]
fn a_target_that_is_missing_is_told_and_found_without_help() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1h").await?;
        aim(t, "app", "1m", &json!([named("Deployment", "app")])).await?;
        let message = t.reports("app", "RolledOut", "False", "RolloutTargetNotFound");
        says(&message.await?, &["Deployment app does not exist"])?;
        t.reports("app", "Ready", "True", "Synced").await?;
        let deployment = workload(t, "Deployment", "app", 0, &json!({})).await?;
        rolled_out(t, "app", 1).await?;
        let now = found(t, "Deployment", "app").await?;
        assert_eq!(
            now["metadata"]["generation"],
            deployment["metadata"]["generation"]
        );
        Ok(())
    })
}

/// What the operator needs to restart a Deployment.
const TO_RESTART: Right = ("patch", "deployments");

#[test]
fn a_restart_that_a_killed_operator_owed_is_made_once_by_the_next() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        deployed(t, 0, "1m").await?;
        let since = t.mark().await?;
        lacks(t, Some(TO_RESTART), TO_RESTART).await?;
        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;
        t.operator()?.kill()?;
        let deployment = found(t, "Deployment", "app").await?;
        assert_eq!(deployment["metadata"]["generation"], 1, "{deployment}");
        lacks(t, None, TO_RESTART).await?;
        t.operator()?.start_again()?;
        rolled_out(t, "app", 2).await?;
        let deployment = found(t, "Deployment", "app").await?;
        assert_eq!(deployment["metadata"]["generation"], 2, "{deployment}");
        let asked = asked(t, &since).await?;
        assert_eq!(patches(&asked).len(), 1, "{asked:?}");
        Ok(())
    })
}

#[test]
fn a_restart_that_was_not_noted_is_not_made_again() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        deployed(t, 0, "0s").await?;
        t.password("app", "second password").await?;
        rolled_out(t, "app", 2).await?;
        t.operator()?.kill()?;
        // As if the operator had been killed between the restart and its report.
        let forgotten = json!({ "status": {
            "revision": 1, "rollouts": [{ "kind": "Deployment", "name": "app", "revision": 1 }],
            "rolloutLook": { "revision": 1 },
        } });
        let params = kube::api::PatchParams::default();
        let api = t.api("VaultSecret").await?;
        api.patch_status("app", &params, &kube::api::Patch::Merge(&forgotten))
            .await?;
        let since = t.mark().await?;
        t.operator()?.start_again()?;
        rolled_out(t, "app", 2).await?;
        let asked = asked(t, &since).await?;
        assert_eq!(
            asked,
            ["get deployments 200"],
            "it is looked at, and not touched"
        );
        Ok(())
    })
}

#[test]
fn a_repaired_edit_restarts_nothing() -> Result<()> {
    run(async |t| {
        deployed(t, 0, "0s").await?;
        let since = t.mark().await?;
        let harm = json!({ "stringData": { "password": "tampered with" } });
        t.patch("Secret", "app", &harm).await?;
        t.event("VaultSecret", "app", "Synced", &["restored"])
            .await?;
        t.polls(&since, "app", 3).await?;
        assert_eq!(asked(t, &since).await?, [""; 0]);
        Ok(())
    })
}

#[test]
fn an_operator_that_is_restarted_in_sync_asks_nothing_about_workloads_and_writes_nothing()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        deployed(t, 0, "0s").await?;
        t.password("app", "second password").await?;
        rolled_out(t, "app", 2).await?;
        t.operator()?.stop().await?;
        let since = t.mark().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        t.polls(&since, "app", 3).await?;
        assert_eq!(asked(t, &since).await?, [""; 0]);
        let writes = t.writes(&since).await?;
        assert_eq!(writes.len(), 0, "{writes}");
        Ok(())
    })
}

#[test]
fn a_deployment_that_makes_no_progress_is_told_once_and_the_secret_is_none_the_worse() -> Result<()>
{
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let deadline = json!({ "progressDeadlineSeconds": 1 });
        workload(t, "Deployment", "app", 1, &deadline).await?;
        aim(t, "app", "0s", &json!([named("Deployment", "app")])).await?;
        rolled_out(t, "app", 1).await?;
        t.password("app", "second password").await?;
        let why = t
            .reports("app", "RolledOut", "False", "RolloutStalled")
            .await?;
        let words = [
            "Deployment app does not get done with revision 2",
            "progressDeadlineSeconds",
        ];
        says(&why, &words)?;
        t.reports("app", "Ready", "True", "Synced").await?;
        t.event("VaultSecret", "app", "RolloutStalled", &words)
            .await?;
        let mark = t.mark().await?;
        t.polls(&mark, "app", 5).await?;
        let events = t.events("VaultSecret", "app").await?;
        let stalls = events
            .iter()
            .filter(|event| event.reason == "RolloutStalled");
        let counts: Vec<i32> = stalls.map(|event| event.count).collect();
        assert_eq!(counts, [1], "{events:?}");
        // Without pods it is done.
        let none = json!({ "spec": { "replicas": 0 } });
        t.patch("apps/v1/Deployment", "app", &none).await?;
        aim(t, "app", "1s", &json!([named("Deployment", "app")])).await?;
        rolled_out(t, "app", 2).await?;
        Ok(())
    })
}

#[test]
fn what_holds_its_pods_back_by_itself_says_so() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        workload(t, "Deployment", "app", 1, &json!({ "paused": true })).await?;
        let by_hand = json!({ "updateStrategy": { "type": "OnDelete" } });
        workload(t, "StatefulSet", "app", 1, &by_hand).await?;
        let targets = json!([named("Deployment", "app"), named("StatefulSet", "app")]);
        aim(t, "app", "0s", &targets).await?;
        rolled_out(t, "app", 1).await?;
        t.password("app", "second password").await?;
        t.event(
            "VaultSecret",
            "app",
            "RolloutStalled",
            &["Deployment app", "paused"],
        )
        .await?;
        t.event(
            "VaultSecret",
            "app",
            "RolloutStalled",
            &["StatefulSet app", "OnDelete"],
        )
        .await?;
        Ok(())
    })
}

#[test]
fn a_rollout_of_argo_is_restarted_and_where_there_is_no_such_kind_that_is_said() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1s").await?;
        aim(t, "app", "1m", &json!([named("Rollout", "app")])).await?;
        let message = t.reports("app", "RolledOut", "False", "RolloutTargetNotFound");
        says(&message.await?, &["no Rollout of argoproj.io"])?;
        t.apply(ROLLOUTS).await?;
        workload(t, "Rollout", "app", 1, &json!({})).await?;
        rolled_out(t, "app", 1).await?;
        t.password("app", "second password").await?;
        restarted(t, "Rollout", "app", 2).await?;
        t.reports("app", "RolledOut", "Unknown", "RollingOut")
            .await?;
        healthy(t, "app").await?;
        rolled_out(t, "app", 2).await?;
        Ok(())
    })
}

#[test]
fn targets_that_cannot_be_meant_are_refused_by_the_api_server() -> Result<()> {
    run(async |t| {
        let both = "{ kind: Deployment, name: a, selector: { matchLabels: { a: b } } }";
        let many = vec!["{ kind: Deployment, name: a }"; 17].join(", ");
        for (rollout, words) in [
            (
                format!("targets: [{both}]"),
                "set exactly one of name and selector",
            ),
            (
                "targets: [{ kind: Deployment }]".into(),
                "set exactly one of name and selector",
            ),
            (
                "targets: [{ kind: Deployment, selector: {} }]".into(),
                "an empty selector would be every workload",
            ),
            (
                "targets: [{ kind: Pod, name: a }]".into(),
                "Unsupported value",
            ),
            (
                "targets: [{ kind: Deployment, name: A_b }]".into(),
                "must be the name of an object",
            ),
            (format!("targets: [{many}]"), "at most 16 items"),
            ("minInterval: soon".into(), "must be a duration"),
        ] {
            let text = format!(
                "
kind: VaultSecret
metadata: {{ name: refused }}
spec:
  auth: {{ role: $tenant }}
  sources: [{{ name: app, kv: {{ path: $tenant/app }} }}]
  rollout: {{ {rollout} }}"
            );
            t.expect_refusal(&text, &[words]).await?;
        }
        Ok(())
    })
}
