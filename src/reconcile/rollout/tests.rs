//! Proves that every change restarts everything once, whatever gets lost in between.

mod world;

use jiff::SignedDuration;
use kube::api::Object;
use proptest::prelude::*;
use serde_json::json;

use self::world::{Lost, World, named};
use super::*;
use crate::api::condition::MAX_MESSAGE_BYTES;
use crate::api::status::SessionStatus;
use crate::api::{VaultSecret, VaultSecretSpec};
use crate::cluster::WriteError;
use crate::reconcile::fixture::leased::{entry, set_sessions};
use crate::reconcile::fixture::{UID, edit};
use crate::reconcile::rolled_out::was_waited_for;

#[test]
fn the_first_content_restarts_nothing_and_notes_what_is_there() {
    let mut world = World::new(&["orders"]);
    assert_eq!(world.pass(), ["look"]);
    assert_eq!(
        world.said(),
        (
            "True",
            "RolledOut",
            "Deployment orders runs with revision 1"
        )
    );
    assert_eq!(world.noted(), [("orders", 1, false)]);
    assert_eq!(
        world.pass(),
        [""; 0],
        "nothing is asked once all is through"
    );
}

#[test]
fn a_change_restarts_once_and_is_followed_until_all_pods_are_new() {
    let mut world = World::settled(&["orders"]);
    assert_eq!(world.change(Lost::Nothing), ["look", "restart orders"]);
    assert_eq!(
        world.said(),
        (
            "Unknown",
            "RollingOut",
            "Deployment orders is being restarted to run with revision 2"
        )
    );
    assert_eq!(
        world.told,
        ["restarted Deployment orders, to run with revision 2 of Secret orders"]
    );
    world.until_next();
    assert_eq!(world.pass(), ["look"]);
    assert_eq!(world.told, [""; 0], "a restart is told once");
    world.roll("orders");
    world.until_next();
    assert_eq!(world.pass(), ["look"]);
    assert_eq!(world.said().0, "True");
    assert_eq!(world.noted(), [("orders", 2, true)]);
    assert_eq!(world.pass(), [""; 0]);
}

#[test]
fn changes_within_the_least_interval_make_one_restart_when_it_is_over() {
    let mut world = World::settled(&["orders"]);
    world.change(Lost::Nothing);
    world.roll("orders");
    world.wait(10);
    assert_eq!(world.change(Lost::Nothing), ["look"]);
    world.wait(10);
    assert_eq!(world.change(Lost::Nothing), ["look"]);
    let (status, reason, message) = world.said();
    assert_eq!((status, reason), ("Unknown", "RollingOut"));
    assert!(
        message.contains("will be again for revision 4 at "),
        "{message}"
    );
    world.until_next();
    assert_eq!(world.pass(), ["look", "restart orders"]);
    assert_eq!(world.noted(), [("orders", 4, true)]);
}

#[test]
fn a_restart_that_was_not_made_or_not_noted_is_found_by_the_next_pass() {
    let mut world = World::settled(&["orders"]);
    assert_eq!(world.change(Lost::Restart), [""; 0]);
    assert_eq!(world.pass(), ["look", "restart orders"]);
    world.wait(3600);
    assert_eq!(world.change(Lost::Report), ["look", "restart orders"]);
    assert_eq!(world.noted(), [("orders", 2, true)], "the report was lost");
    assert_eq!(
        world.pass(),
        ["look"],
        "the mark tells that it was restarted"
    );
    assert_eq!(world.noted(), [("orders", 3, true)]);
    world.roll("orders");
    world.until_next();
    assert_eq!(world.pass(), ["look"]);
    assert_eq!(world.said().0, "True");
}

/// Whether replaced credentials may go.
fn waited(world: &World) -> bool {
    let observed = &world.observed;
    let record = observed.record.as_ref().unwrap();
    was_waited_for(&observed.object, record, observed.now)
}

#[test]
fn replaced_credentials_wait_for_the_restart_but_not_for_ever() {
    let mut world = World::settled(&["orders"]);
    assert!(waited(&world));
    world.change(Lost::Nothing);
    assert!(!waited(&world));
    world.wait(1300);
    assert!(
        waited(&world),
        "whoever has not started by then does not start"
    );
    world.change(Lost::Nothing);
    assert!(!waited(&world));
    world.roll("orders");
    world.until_next();
    world.pass();
    assert!(waited(&world));
}

#[test]
fn replaced_credentials_are_kept_while_the_least_interval_holds_the_restart_back() {
    let mut world = World::settled(&["orders"]);
    edit(&mut world.observed, "/rollout/minInterval", json!("2h"));
    world.change(Lost::Nothing);
    world.roll("orders");
    world.until_next();
    world.pass();
    assert!(waited(&world));
    assert_eq!(world.change(Lost::Nothing), ["look"]);
    world.wait(7000);
    assert!(!waited(&world), "nobody could have changed over yet");
    world.until_next();
    assert_eq!(world.pass(), ["look", "restart orders"]);
    world.wait(1190);
    assert!(!waited(&world));
    world.wait(20);
    assert!(waited(&world));
}

#[test]
fn a_rollout_that_stalls_tells_until_when_replaced_credentials_are_kept() {
    let mut world = World::settled(&["orders"]);
    let old = SessionStatus {
        committed: true,
        ..entry("old")
    };
    set_sessions(&mut world.observed, vec![old]);
    world.observed.rolled_out = false;
    world.change(Lost::Nothing);
    assert!(!world.said().2.contains("kept"), "{:?}", world.said());
    // Twenty minutes for the restart, and ten for the overlap.
    let end = world.observed.now + SignedDuration::from_mins(30);
    world.stall("orders");
    world.until_next();
    world.pass();
    let kept = format!("; replaced credentials are kept alive until {end}");
    let (_, reason, message) = world.said();
    assert_eq!(reason, "RolloutStalled");
    assert!(message.ends_with(&kept), "{message}");
    assert!(!world.told[0].contains("kept"), "{:?}", world.told);
    let said = message.to_owned();
    world.until_next();
    world.pass();
    assert_eq!(world.said().2, said, "and stays so");
    assert_eq!(world.told, [""; 0], "it is told once");
}

#[test]
fn a_pass_for_another_reason_does_not_look_earlier_than_is_due() {
    let mut world = World::settled(&["orders"]);
    world.change(Lost::Nothing);
    assert_eq!(world.pass(), [""; 0]);
    let next = world.next;
    world.observed.now -= SignedDuration::from_hours(1);
    assert_eq!(world.pass(), ["look"], "the clock was set back");
    world.observed.now += SignedDuration::from_hours(1);
    assert!(next > Some(world.observed.now), "the look is still to come");
    edit(&mut world.observed, "/refresh/jitterPercent", json!(5));
    assert_eq!(world.pass(), ["look"], "a person has edited something");
}

#[test]
fn a_mark_that_somebody_takes_off_is_not_put_back_for_the_same_content() {
    let mut world = World::settled(&["orders"]);
    world.change(Lost::Nothing);
    world.undo("orders");
    world.until_next();
    assert_eq!(world.pass(), ["look"]);
    assert_eq!(world.said().0, "True");
}

#[test]
fn a_workload_that_is_made_anew_runs_with_what_the_secret_holds() {
    let mut world = World::settled(&["orders"]);
    world.change(Lost::Nothing);
    world.remove("orders");
    world.until_next();
    assert_eq!(world.pass(), ["look"]);
    assert_eq!(world.said().1, "RolloutTargetNotFound");
    world.create("orders");
    world.until_next();
    assert_eq!(
        world.pass(),
        ["look"],
        "found without help, and not restarted"
    );
    assert_eq!(world.said().0, "True");
    world.wait(3600);
    assert_eq!(world.change(Lost::Nothing), ["look", "restart orders"]);
}

#[test]
fn a_target_that_is_added_is_noted_with_what_the_secret_held_so_far() {
    let mut world = World::settled(&["orders"]);
    world.create("worker");
    world.aim(&json!([named("orders"), named("worker")]));
    assert_eq!(world.pass(), ["look", "look"]);
    assert_eq!(world.noted(), [("orders", 1, false), ("worker", 1, false)]);
    world.wait(3600);
    assert_eq!(
        world.change(Lost::Nothing),
        ["look", "look", "restart orders", "restart worker"]
    );
    world.aim(&json!([named("worker")]));
    world.until_next();
    world.pass();
    assert_eq!(
        world.noted(),
        [("worker", 2, true)],
        "who is no target is forgotten"
    );
    world.aim(&json!([]));
    world.pass();
    assert_eq!(world.noted(), []);
    assert_eq!(
        world.condition(),
        None,
        "without targets there is no condition"
    );
    assert!(is_rolled_out(&world.observed.object, 99));
}

#[test]
fn what_a_selector_matches_since_the_last_look_is_restarted_with_the_others() {
    let mut world = World::new(&["orders"]);
    world.aim(&json!([{ "kind": "Deployment", "selector": { "matchLabels": { "app": "x" } } }]));
    world.pass();
    world.create("worker");
    assert_eq!(world.change(Lost::Restart), [""; 0]);
    assert_eq!(world.pass(), ["look", "restart orders", "restart worker"]);
}

#[test]
fn more_workloads_than_can_be_meant_are_refused_and_none_is_restarted() {
    let names: Vec<String> = (0..=MAX_WORKLOADS).map(|n| format!("w{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::settled(&["orders"]);
    for name in &names {
        world.create(name);
    }
    world.aim(&json!([{ "kind": "Deployment", "selector": { "matchLabels": { "app": "x" } } }]));
    assert_eq!(world.change(Lost::Nothing), ["look"]);
    let (status, reason, message) = world.said();
    assert_eq!((status, reason), ("False", "InvalidSpec"));
    assert!(message.contains("at most 64"), "{message}");
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
    world.until_next();
    world.pass();
    assert_eq!(world.told, [""; 0], "told once");
    assert_eq!(world.noted(), [("orders", 1, false)]);
}

#[test]
fn a_restart_that_stalls_is_told_once_and_found_done_without_help() {
    let mut world = World::settled(&["orders"]);
    world.change(Lost::Nothing);
    world.stall("orders");
    world.until_next();
    world.pass();
    let (status, reason, message) = world.said();
    assert_eq!((status, reason), ("False", "RolloutStalled"));
    assert!(
        message.contains("Deployment orders does not get done with revision 2"),
        "{message}"
    );
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
    for _ in 0..3 {
        world.until_next();
        world.pass();
        assert_eq!(world.told, [""; 0]);
    }
    world.roll("orders");
    world.until_next();
    world.pass();
    assert_eq!(world.said().0, "True");
}

#[test]
fn a_refusal_is_told_and_tried_again_and_takes_nothing_from_the_secret() {
    let mut world = World::settled(&["orders"]);
    world.refuses = Some(|| WriteError::Denied("no".into()));
    assert_eq!(world.change(Lost::Nothing), ["look", "restart orders"]);
    assert_eq!(
        world.said(),
        ("False", "AdmissionDenied", "restart Deployment orders: no")
    );
    assert_eq!(world.told.len(), 1, "{:?}", world.told);
    assert!(world.is_ready());
    world.refuses = Some(|| WriteError::Conflict);
    world.until_next();
    world.pass();
    assert_eq!(world.said().1, "RollingOut");
    world.refuses = Some(|| WriteError::Unavailable("away".into()));
    world.until_next();
    world.pass();
    assert_eq!(world.said().1, "RollingOut", "it may pass");
    world.wait(60);
    world.pass();
    assert_eq!(world.said().1, "KubernetesUnavailable", "it did not");
    world.refuses = None;
    world.until_next();
    assert_eq!(world.pass(), ["look", "restart orders"]);
}

#[test]
fn a_rollout_that_takes_its_template_from_elsewhere_is_not_marked() {
    let mut world = World::settled(&["orders"]);
    world.workload("orders").spec.workload_ref =
        Some(serde_json::from_value(json!({ "kind": "Deployment", "name": "real" })).unwrap());
    assert_eq!(world.change(Lost::Nothing), ["look"]);
    let (_, reason, message) = world.said();
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("name that one"), "{message}");
}

#[test]
fn a_restart_that_is_due_is_made_while_vault_is_away() {
    let mut world = World::settled(&["orders"]);
    world.change(Lost::Restart);
    assert_eq!(world.outage(), ["look", "restart orders"]);
}

#[test]
fn an_annotation_keeps_within_its_bounds_and_differs_between_objects() {
    let mark = |name: &str| {
        let mut object = VaultSecret::new(name, spec());
        object.metadata.uid = Some(UID.into());
        Mark::of(&object)
    };
    assert_eq!(mark("orders").annotation, "vaultbridge.dev/orders");
    assert_eq!(mark("orders").value(7), "6f9619ff-7");
    let (one, other) = (
        format!("{}x", "a".repeat(80)),
        format!("{}y", "a".repeat(80)),
    );
    assert_ne!(mark(&one).annotation, mark(&other).annotation);
    assert_eq!(mark(&one), mark(&one));
    for name in [one, "b.c-".repeat(63) + "z", "a".repeat(63), "a".repeat(64)] {
        let annotation = mark(&name).annotation;
        let behind = annotation.strip_prefix("vaultbridge.dev/").unwrap();
        assert!(behind.len() <= 63, "{behind}");
        assert!(
            behind.ends_with(|c: char| c.is_ascii_alphanumeric()),
            "{behind}"
        );
    }
    let of_another = Mark {
        prefix: "00000000-".into(),
        ..mark("orders")
    };
    let workload: Object<_, _> = serde_json::from_value(json!({
        "metadata": {},
        "spec": { "template": { "metadata": { "annotations": { "vaultbridge.dev/orders": "6f9619ff-7" } } } },
    }))
    .unwrap();
    let workload = Workload {
        spec: workload.spec,
        status: workload.status.unwrap_or_default(),
        ..Workload::default()
    };
    assert_eq!(mark("orders").read(&workload), Some(7));
    assert_eq!(
        of_another.read(&workload),
        None,
        "an earlier object of this name"
    );
}

fn spec() -> VaultSecretSpec {
    serde_json::from_value(json!({ "auth": { "role": "r" }, "sources": [] })).unwrap()
}

#[test]
fn a_message_about_many_workloads_is_short() {
    let names: Vec<String> = (0..40)
        .map(|n| format!("{n:02}{}", "x".repeat(200)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(&[]);
    for name in &names {
        world.create(name);
    }
    world.aim(&json!([{ "kind": "Deployment", "selector": { "matchLabels": { "app": "x" } } }]));
    world.pass();
    world.change(Lost::Nothing);
    let (_, _, message) = world.said();
    assert!(
        message.ends_with("and 35 more") && message.len() <= MAX_MESSAGE_BYTES,
        "{message}"
    );
}

#[derive(Clone, Debug)]
enum Event {
    Change(Lost),
    Pass(Lost),
    Roll(bool),
    Undo(bool),
    Remove(bool),
    Create(bool),
    Edit,
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let lost =
        || prop_oneof![4 => Just(Lost::Nothing), 1 => Just(Lost::Restart), 1 => Just(Lost::Report)];
    prop_oneof![
        4 => lost().prop_map(Event::Change),
        4 => lost().prop_map(Event::Pass),
        2 => any::<bool>().prop_map(Event::Roll),
        1 => any::<bool>().prop_map(Event::Undo),
        1 => any::<bool>().prop_map(Event::Remove),
        2 => any::<bool>().prop_map(Event::Create),
        1 => Just(Event::Edit),
        3 => (1_i64..100).prop_map(Event::Wait),
    ]
}

proptest! {
    /// `World` fails by itself when a workload is restarted twice for one content, or too early.
    #[test]
    fn whatever_is_lost_all_pods_come_to_run_with_the_present_content(events in prop::collection::vec(event(), 0..40)) {
        let mut world = World::settled(&["orders", "worker"]);
        let name = |first: &bool| if *first { "orders" } else { "worker" };
        for event in &events {
            match event {
                Event::Change(lost) => { world.change(*lost); }
                Event::Pass(lost) => { world.pass_with(*lost); }
                Event::Roll(first) => world.roll(name(first)),
                Event::Undo(first) => world.undo(name(first)),
                Event::Remove(first) => world.remove(name(first)),
                Event::Create(first) => world.create(name(first)),
                Event::Edit => edit(&mut world.observed, "/refresh/jitterPercent", json!(5)),
                Event::Wait(seconds) => world.wait(*seconds),
            }
        }
        for name in ["orders", "worker"] {
            world.create(name);
        }
        for _ in 0..14 {
            world.roll("orders");
            world.roll("worker");
            world.wait(61);
            world.pass();
        }
        prop_assert_eq!(world.said().0, "True", "{:?}", world.said());
        prop_assert_eq!(world.pass(), [""; 0]);
        world.ensure_current();
    }

    #[test]
    fn the_next_look_is_later_and_not_far(seconds in 0_i64..100_000, roll: bool) {
        let mut world = World::settled(&["orders"]);
        world.change(Lost::Nothing);
        world.observed.now += SignedDuration::from_secs(seconds);
        if roll { world.roll("orders"); }
        world.pass();
        match world.next {
            Some(next) => prop_assert!(next > world.observed.now && next < world.observed.now + SignedDuration::from_mins(7)),
            None => prop_assert!(roll),
        }
    }
}
