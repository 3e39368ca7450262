//! Proves who may write a Secret, and that of several exactly one may.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::prelude::*;

use super::*;
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
