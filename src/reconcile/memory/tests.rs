//! Proves that our own writes are seen before the watch brings them, and that nudges are not lost.

use super::*;
use crate::reconcile::fixture;

fn version(version: &str) -> VaultSecret {
    let mut object = VaultSecret::clone(&fixture::fresh().object);
    object.metadata.resource_version = Some(version.into());
    object
}

fn seen(overlay: &Overlay, cached: &str) -> String {
    let object = overlay.latest("uid", Arc::new(version(cached)));
    object.metadata.resource_version.clone().unwrap()
}

#[test]
fn a_pass_sees_what_we_wrote_until_the_watch_brings_it_or_something_newer() {
    let overlay = Overlay::default();
    assert_eq!(seen(&overlay, "9"), "9");
    overlay.wrote("uid", version("10"));
    assert_eq!(seen(&overlay, "9"), "10");
    assert_eq!(seen(&overlay, "11"), "11");
    assert_eq!(seen(&overlay, "9"), "9", "what was passed is forgotten");
}

#[test]
fn a_second_write_is_seen_although_the_first_arrives_late() {
    let overlay = Overlay::default();
    overlay.wrote("uid", version("10"));
    overlay.wrote("uid", version("11"));
    assert!(!overlay.is_echo("uid", Some("10")));
    assert_eq!(seen(&overlay, "10"), "11");
}

#[test]
fn our_own_write_comes_back_as_an_echo() {
    let overlay = Overlay::default();
    overlay.wrote("uid", version("10"));
    assert!(!overlay.is_echo("other", Some("10")));
    assert!(!overlay.is_echo("uid", Some("9")));
    assert!(overlay.is_echo("uid", Some("10")));
}

#[test]
fn a_pass_that_took_the_older_one_before_the_echo_still_sees_what_we_wrote() {
    let overlay = Overlay::default();
    overlay.wrote("uid", version("10"));
    assert!(overlay.is_echo("uid", Some("10")));
    overlay.sweep();
    assert_eq!(seen(&overlay, "9"), "10");
}

#[test]
fn what_the_watch_has_brought_is_not_kept_twice_for_long() {
    let overlay = Overlay::default();
    overlay.wrote("uid", version("10"));
    overlay.sweep();
    overlay.sweep();
    assert_eq!(seen(&overlay, "9"), "10", "not before it has arrived");
    overlay.is_echo("uid", Some("10"));
    overlay.sweep();
    overlay.sweep();
    assert!(overlay.lock().is_empty());
}

#[test]
fn a_nudge_during_a_pass_is_kept_and_one_that_it_answered_is_not() {
    let memories = Memories::default();
    memories.nudge("uid");
    let seen = memories.get("uid");
    assert!(seen.is_nudged());
    let answer = Memory {
        answered: seen.nudges,
        ..seen
    };
    memories.set("uid", answer.clone());
    assert!(!memories.get("uid").is_nudged());
    memories.nudge("uid");
    memories.set("uid", answer);
    assert!(memories.get("uid").is_nudged());
    memories.forget("uid");
    assert_eq!(memories.get("uid"), Memory::default());
}

#[test]
fn a_status_that_cannot_be_written_is_tried_less_and_less_often() {
    let memories = Memories::default();
    memories.set("uid", Memory::default());
    let lost = || memories.status_lost("uid");
    let pauses: Vec<_> = (0..12).map(|_| lost()).collect();
    assert!(
        pauses[0] < Duration::from_secs(2) && pauses.is_sorted_by(|a, b| *b * 2 > *a),
        "{pauses:?}"
    );
    assert!(pauses[11] >= Duration::from_secs(200), "{pauses:?}");
    memories.set("uid", memories.get("uid"));
    assert!(memories.status_lost("uid") >= Duration::from_secs(200));
    memories.status_written("uid");
    assert_eq!(memories.status_lost("uid"), pauses[0]);
}
