//! Proves who may write a Secret, and that of several exactly one may.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
use crate::api::Reason;
use crate::reconcile::fixture::{self, NOW, UID, at, rival};

fn of(observed: &Observed) -> Claim {
    claim(&fixture::job(observed), observed)
}

fn refusal(observed: &Observed) -> Failure {
    match of(observed) {
        Claim::Refused(failure) => failure,
        claim => panic!("not refused: {claim:?}"),
    }
}

#[test]
fn a_name_that_is_free_is_taken() {
    assert_eq!(of(&fixture::fresh()), Claim::Create);
}

#[test]
fn a_secret_that_we_wrote_is_changed_under_its_own_precondition() {
    let observed = fixture::synced();
    let secret = observed.target.clone().unwrap();
    assert_eq!(of(&observed), Claim::Update(secret));
}

#[test]
fn a_foreign_secret_is_left_alone_with_a_word_on_what_to_do() {
    let mut observed = fixture::fresh();
    fixture::touch(&mut observed, |_| {});
    let failure = refusal(&observed);
    assert_eq!(failure.reason, Reason::SecretConflict);
    assert_eq!(
        failure.message,
        "Secret orders exists and was not made by this object; choose another spec.destination.name, set spec.destination.adoptionPolicy: Adopt to take it over as a whole, or creationPolicy: Merge to add keys to it, or delete it"
    );
}

#[test]
fn a_secret_that_only_carries_our_label_is_foreign() {
    let mut observed = fixture::fresh();
    fixture::touch(&mut observed, |secret| {
        secret
            .labels
            .insert("app.kubernetes.io/managed-by".into(), "vaultbridge".into());
    });
    assert_eq!(refusal(&observed).reason, Reason::SecretConflict);
}

#[test]
fn a_secret_whose_record_was_spoilt_is_known_by_its_owner_reference() {
    let mut observed = fixture::synced();
    fixture::touch(&mut observed, |secret| {
        secret
            .annotations
            .insert(crate::record::ANNOTATION.into(), "{}".into());
    });
    assert!(observed.record.is_none());
    assert!(matches!(of(&observed), Claim::Update(_)));
}

#[test]
fn a_copy_that_somebody_made_of_our_secret_is_foreign() {
    let mut observed = fixture::synced();
    fixture::touch(&mut observed, |secret| {
        secret.owner_references.clear();
        secret.owners = crate::cluster::managed_fields::Owners::default();
    });
    assert!(observed.record.is_some(), "the record came along");
    assert_eq!(refusal(&observed).reason, Reason::SecretConflict);
}

#[test]
fn that_a_copy_was_touched_does_not_make_it_ours() {
    let mut observed = fixture::synced();
    fixture::touch(&mut observed, |secret| {
        secret.owner_references.clear();
        secret.owners = crate::cluster::managed_fields::Owners::default();
        secret.owners.whole.annotations = vec![crate::api::TOUCHED_ANNOTATION.into()];
    });
    assert!(observed.record.is_some(), "the record came along");
    assert_eq!(refusal(&observed).reason, Reason::SecretConflict);
}

#[test]
fn a_retained_secret_is_taken_up_by_an_object_of_the_same_name() {
    let mut observed = fixture::synced();
    Arc::make_mut(&mut observed.object).metadata.uid = Some("made-anew".into());
    assert!(
        matches!(of(&observed), Claim::Update(_)),
        "{:?}",
        of(&observed)
    );
}

#[test]
fn a_retained_secret_goes_to_its_name_even_if_an_older_object_wants_it() {
    let mut observed = fixture::synced();
    Arc::make_mut(&mut observed.object).metadata.uid = Some("made-anew".into());
    observed.rivals = vec![rival("elder", 0)];
    assert!(
        matches!(of(&observed), Claim::Update(_)),
        "{:?}",
        of(&observed)
    );
}

#[test]
fn a_secret_that_is_being_deleted_was_waited_for() {
    let mut observed = fixture::synced();
    fixture::touch(&mut observed, |secret| secret.deleting = true);
    let failure = refusal(&observed);
    assert_eq!(failure.reason, Reason::SecretConflict);
    assert_eq!(
        failure.message,
        "Secret orders is being deleted; it is created anew once it is gone"
    );
}

#[test]
fn a_secret_of_others_that_is_being_deleted_is_not_said_to_be_made_anew_by_us() {
    let mut observed = fixture::fresh();
    fixture::edit(
        &mut observed,
        "/destination",
        serde_json::json!({ "creationPolicy": "Merge" }),
    );
    fixture::touch(&mut observed, |secret| secret.deleting = true);
    assert_eq!(
        refusal(&observed).message,
        "Secret orders is being deleted; with creationPolicy: Merge the keys go into the one that somebody creates in its place"
    );
}

/// What of a Secret was written by an object of that name, under that annotation, and by which manager.
fn written_by(
    observed: &mut Observed,
    name: &str,
    annotation: &str,
) -> crate::cluster::managed_fields::Share {
    let mut record = fixture::synced().record.unwrap();
    record.owner_uid = format!("uid-{name}");
    record.owner_name = name.into();
    fixture::touch(observed, |secret| {
        secret.uid = "secret".into();
        secret.secret_type = Some("Opaque".into());
        secret.whole = true;
        let text = record.print().unwrap();
        secret.annotations.insert(annotation.into(), text);
    });
    crate::cluster::managed_fields::Share {
        our_keys: 1,
        annotations: vec![annotation.into()],
        ..Default::default()
    }
}

/// The object asks for a Secret of others in that way.
fn asking(destination: serde_json::Value) -> Observed {
    let mut observed = fixture::fresh();
    fixture::edit(&mut observed, "/destination", destination);
    observed
}

fn ways() -> [serde_json::Value; 4] {
    [
        serde_json::json!({}),
        serde_json::json!({ "adoptionPolicy": "Adopt" }),
        serde_json::json!({ "creationPolicy": "Merge" }),
        serde_json::json!({ "creationPolicy": "CreateOrMerge" }),
    ]
}

#[test]
fn a_secret_that_another_object_has_yet_to_let_go_is_left_alone_until_it_does() {
    for way in ways() {
        let mut observed = asking(way.clone());
        let share = written_by(&mut observed, "first", crate::record::ANNOTATION);
        fixture::touch(&mut observed, |secret| secret.owners.whole = share);
        observed.alive = ["uid-first".to_owned()].into();
        let message = refusal(&observed).message;
        assert!(
            message.contains("still VaultSecret first's") && message.contains("by itself"),
            "{way}: {message}"
        );
        // Its owner is gone, and left it.
        observed.alive.clear();
        let is_taken = matches!(of(&observed), Claim::Update(_));
        assert_eq!(is_taken, way != serde_json::json!({}), "{way}");
    }
}

#[test]
fn a_secret_that_goes_with_another_object_is_left_alone_also_if_that_object_is_gone() {
    for way in ways() {
        let mut observed = asking(way.clone());
        let share = written_by(&mut observed, "first", crate::record::ANNOTATION);
        let owner = fixture::synced().target.unwrap().owner_references[0].clone();
        fixture::touch(&mut observed, |secret| {
            secret.owners.whole = share;
            secret.owner_references = vec![owner];
            secret.owner_references[0].uid = "uid-first".into();
            secret.owner_references[0].name = "first".into();
        });
        let message = refusal(&observed).message;
        assert!(
            message.contains("goes with VaultSecret first"),
            "{way}: {message}"
        );
    }
}

#[test]
fn a_secret_that_is_being_given_up_is_shared_at_once_and_taken_over_by_nobody() {
    for way in ways() {
        let mut observed = asking(way.clone());
        let share = written_by(&mut observed, "first", crate::record::ANNOTATION);
        fixture::touch(&mut observed, |secret| {
            secret
                .owners
                .parts
                .insert("vaultbridge/first".into(), share);
        });
        observed.alive = ["uid-first".to_owned()].into();
        let shares = way.get("creationPolicy").is_some();
        assert_eq!(
            matches!(of(&observed), Claim::Update(_)),
            shares,
            "{way}: {:?}",
            of(&observed)
        );
    }
}

#[test]
fn a_part_is_in_the_way_for_as_long_as_its_owner_exists() {
    let mut observed = asking(serde_json::json!({ "adoptionPolicy": "Adopt" }));
    let share = written_by(&mut observed, "first", "vaultbridge.dev/state.first");
    fixture::touch(&mut observed, |secret| {
        secret
            .owners
            .parts
            .insert("vaultbridge/first".into(), share);
    });
    observed.alive = ["uid-first".to_owned()].into();
    let message = refusal(&observed).message;
    assert!(
        message.contains("holds keys of VaultSecret first"),
        "{message}"
    );
    observed.alive.clear();
    assert!(
        matches!(of(&observed), Claim::Update(_)),
        "{:?}",
        of(&observed)
    );
    let target = observed.target.clone().unwrap();
    let metadata = crate::reconcile::dress::metadata(&fixture::job(&observed), Some(&target));
    assert!(metadata.annotations.is_empty(), "its record goes");
}

#[test]
fn what_a_gone_part_left_counts_as_of_others_where_a_shared_secret_is_taken_back() {
    let mut observed = asking(serde_json::json!({ "creationPolicy": "CreateOrMerge" }));
    fixture::write(&mut observed);
    fixture::edit(&mut observed, "/destination", serde_json::json!({}));
    fixture::touch(&mut observed, |_| {});
    assert!(
        matches!(of(&observed), Claim::Update(_)),
        "{:?}",
        of(&observed)
    );
    fixture::touch(&mut observed, |secret| {
        let share = crate::cluster::managed_fields::Share {
            our_keys: 1,
            ..Default::default()
        };
        secret.owners.parts.insert("vaultbridge/gone".into(), share);
    });
    let message = refusal(&observed).message;
    assert!(message.contains("adoptionPolicy: Adopt"), "{message}");
}

#[test]
fn the_holder_keeps_its_secret_against_an_older_object() {
    let mut observed = fixture::synced();
    observed.rivals = vec![rival("elder", 0)];
    assert!(matches!(of(&observed), Claim::Update(_)));
}

#[test]
fn of_two_who_want_a_free_name_the_older_gets_it_and_the_younger_is_told_who() {
    let mut observed = fixture::fresh();
    observed.rivals = vec![rival("younger", NOW), rival("elder", 0), rival("middle", 1)];
    let failure = refusal(&observed);
    assert_eq!(failure.reason, Reason::SecretConflict);
    assert_eq!(
        failure.message,
        "Secret orders is already written by VaultSecret elder; choose another spec.destination.name, or delete that object"
    );
    observed.rivals = vec![rival("younger", NOW)];
    assert_eq!(of(&observed), Claim::Create);
}

/// Who the Secret belongs to when two objects want it.
#[derive(Clone, Copy, Debug)]
enum Holder {
    Nobody,
    First,
    Second,
    /// An object that is no more, of the name of the first.
    Namesake,
}

/// A claim to the same Secret, as one of two objects sees it.
fn contender(own: (&str, i64), other: (&str, i64), holder: Holder) -> Claim {
    let mut observed = fixture::fresh();
    if !matches!(holder, Holder::Nobody) {
        observed = fixture::synced();
        let (uid, name) = match holder {
            Holder::First => ("uid-first", "first"),
            Holder::Second => ("uid-second", "second"),
            Holder::Namesake | Holder::Nobody => ("uid-gone", "first"),
        };
        let mut record = observed.record.clone().unwrap();
        record.owner_uid = uid.into();
        record.owner_name = name.into();
        fixture::stand(&mut observed, &record);
    }
    let object = Arc::make_mut(&mut observed.object);
    object.metadata.name = Some(own.0.into());
    object.metadata.uid = Some(format!("uid-{}", own.0));
    object.metadata.creation_timestamp = Some(Time(at(own.1)));
    object.spec.destination.name = "orders".into();
    observed.rivals = vec![rival(other.0, other.1)];
    of(&observed)
}

proptest! {
    #[test]
    fn of_any_two_objects_exactly_one_may_write(
        first in 0_i64..3,
        second in 0_i64..3,
        holder in prop::sample::select(vec![Holder::Nobody, Holder::First, Holder::Second, Holder::Namesake]),
    ) {
        let (first, second) = (("first", first), ("second", second));
        let claims = [contender(first, second, holder), contender(second, first, holder)];
        let refused = claims.iter().filter(|claim| matches!(claim, Claim::Refused(_))).count();
        prop_assert_eq!(refused, 1, "{:?}", claims);
        let first_has_it = matches!(claims[1], Claim::Refused(_));
        match holder {
            Holder::First | Holder::Namesake => prop_assert!(first_has_it),
            Holder::Second => prop_assert!(!first_has_it),
            Holder::Nobody => {}
        }
    }
}

#[test]
fn the_fixture_is_what_it_says() {
    let observed = fixture::synced();
    assert_eq!(observed.record.unwrap().owner_uid, UID);
}

#[test]
fn in_the_operators_own_namespace_nothing_of_others_is_taken_over_or_merged_into() {
    for destination in [
        serde_json::json!({ "adoptionPolicy": "Adopt" }),
        serde_json::json!({ "creationPolicy": "Merge" }),
        serde_json::json!({ "creationPolicy": "CreateOrMerge" }),
    ] {
        let mut observed = fixture::fresh();
        fixture::edit(&mut observed, "/destination", destination.clone());
        fixture::touch(&mut observed, |_| {});
        assert!(matches!(of(&observed), Claim::LookAt(_)), "{destination}");
        observed.at_home = true;
        let message = refusal(&observed).message;
        assert!(
            message.contains("the operator's own namespace"),
            "{message}"
        );
    }
    let mut own = fixture::synced();
    own.at_home = true;
    assert!(matches!(of(&own), Claim::Update(_)));
}

#[test]
fn a_part_is_kept_whoever_comes_and_wants_the_whole() {
    let mut observed = asking(serde_json::json!({ "creationPolicy": "CreateOrMerge" }));
    observed.rivals = vec![rival("elder", 0)];
    assert!(
        matches!(of(&observed), Claim::Refused(_)),
        "it has none yet"
    );
    fixture::write(&mut observed);
    assert!(
        matches!(of(&observed), Claim::Update(_)),
        "{:?}",
        of(&observed)
    );
}
