//! Proves that each kind's own words are understood.

use serde_json::{Value, json};

use super::*;

/// A workload whose status is of the present spec.
fn workload(spec: &Value, status: &Value) -> Workload {
    Workload {
        name: "orders".into(),
        resource_version: "1".into(),
        generation: 3,
        spec: serde_json::from_value(spec.clone()).unwrap(),
        status: serde_json::from_value(status.clone()).unwrap(),
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn soon(kind: WorkloadKind, spec: &Value, status: &Value) -> Standing {
    standing(kind, &workload(spec, status), SECOND)
}

fn why(standing: Standing) -> String {
    match standing {
        Standing::Stalled(why) => why,
        Standing::Done | Standing::Underway => panic!("{standing:?}"),
    }
}

#[test]
fn a_deployment_is_done_when_all_its_pods_are_new_and_available_and_no_old_one_is_left() {
    let spec = json!({ "replicas": 2 });
    let status = |replicas, updated, available| json!({ "observedGeneration": 3, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available });
    let kind = WorkloadKind::Deployment;
    assert_eq!(soon(kind, &spec, &status(2, 2, 2)), Standing::Done);
    for (replicas, updated, available) in [(3, 2, 3), (2, 1, 2), (2, 2, 1), (0, 0, 0)] {
        let status = status(replicas, updated, available);
        assert_eq!(soon(kind, &spec, &status), Standing::Underway, "{status}");
    }
    let none = json!({ "replicas": 0 });
    let empty = json!({ "observedGeneration": 3 });
    assert_eq!(soon(kind, &none, &empty), Standing::Done);
    for behind in [json!({ "observedGeneration": 2 }), json!({})] {
        assert_eq!(soon(kind, &none, &behind), Standing::Underway, "{behind}");
    }
}

#[test]
fn a_deployment_that_is_paused_or_past_its_deadline_says_so() {
    let kind = WorkloadKind::Deployment;
    let status = |progressing: &str| {
        json!({ "observedGeneration": 3, "replicas": 2, "availableReplicas": 2,
            "conditions": [{ "type": "Available", "status": "False" }, { "type": "Progressing", "status": progressing }] })
    };
    let spec = json!({ "replicas": 2 });
    let paused = json!({ "replicas": 2, "paused": true });
    let said = why(soon(kind, &paused, &status("Unknown")));
    assert!(said.contains("paused"), "{said}");
    let said = why(soon(kind, &spec, &status("False")));
    assert!(said.contains("progressDeadlineSeconds"), "{said}");
    let late = |status: &Value| standing(kind, &workload(&spec, status), 2 * PATIENCE);
    assert_eq!(
        late(&status("True")),
        Standing::Underway,
        "it has a deadline of its own"
    );
    let said = why(late(&json!({ "observedGeneration": 3, "replicas": 2 })));
    assert!(said.contains("10 minutes"), "{said}");
    let said = why(late(&json!({ "observedGeneration": 2 })));
    assert!(said.contains("10 minutes"), "{said}");
}

#[test]
fn a_stateful_set_tells_what_its_strategy_holds_back() {
    let kind = WorkloadKind::StatefulSet;
    let status = |updated| json!({ "observedGeneration": 3, "replicas": 3, "updatedReplicas": updated, "availableReplicas": 3 });
    let with = |strategy: Value| json!({ "replicas": 3, "updateStrategy": strategy });
    let rolling = with(json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } }));
    assert_eq!(soon(kind, &rolling, &status(3)), Standing::Done);
    assert_eq!(soon(kind, &rolling, &status(2)), Standing::Underway);
    let held = with(json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } }));
    assert_eq!(soon(kind, &held, &status(1)), Standing::Underway);
    let said = why(soon(kind, &held, &status(2)));
    assert!(said.contains("partition 1"), "{said}");
    let mut of_before = status(3);
    of_before["observedGeneration"] = json!(2);
    assert_eq!(soon(kind, &held, &of_before), Standing::Underway);
    let by_hand = with(json!({ "type": "OnDelete" }));
    let said = why(soon(kind, &by_hand, &status(0)));
    assert!(said.contains("OnDelete"), "{said}");
    assert_eq!(soon(kind, &by_hand, &status(3)), Standing::Done);
}

#[test]
fn a_daemon_set_is_done_on_all_nodes_or_tells_that_it_waits_for_people() {
    let kind = WorkloadKind::DaemonSet;
    let status = |desired, updated, available| json!({ "observedGeneration": 3, "desiredNumberScheduled": desired, "updatedNumberScheduled": updated, "numberAvailable": available });
    let spec = json!({});
    assert_eq!(soon(kind, &spec, &status(2, 2, 2)), Standing::Done);
    assert_eq!(soon(kind, &spec, &status(0, 0, 0)), Standing::Done);
    assert_eq!(soon(kind, &spec, &status(2, 2, 1)), Standing::Underway);
    let late = standing(kind, &workload(&spec, &status(2, 1, 2)), PATIENCE);
    assert!(why(late).contains("10 minutes"));
    let by_hand = json!({ "updateStrategy": { "type": "OnDelete" } });
    assert!(why(soon(kind, &by_hand, &status(2, 0, 2))).contains("OnDelete"));
}

#[test]
fn a_rollout_is_as_its_phase_says() {
    let kind = WorkloadKind::Rollout;
    let spec = json!({});
    for (observed, phase, expected) in [
        (json!("3"), "Healthy", Standing::Done),
        (json!(3), "Healthy", Standing::Done),
        (json!("2"), "Healthy", Standing::Underway),
        (json!("66b4c7d9"), "Healthy", Standing::Done),
        (json!("3"), "Progressing", Standing::Underway),
        (json!("3"), "Paused", Standing::Underway),
    ] {
        let status = json!({ "observedGeneration": observed, "phase": phase });
        assert_eq!(soon(kind, &spec, &status), expected, "{status}");
    }
    let degraded = json!({ "observedGeneration": "3", "phase": "Degraded" });
    assert!(why(soon(kind, &spec, &degraded)).contains("Degraded"));
    let paused = json!({ "paused": true });
    assert!(why(soon(kind, &paused, &json!({}))).contains("paused"));
}
