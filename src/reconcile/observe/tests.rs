//! Proves which Secrets count as left over from earlier names: those alone that we wrote, for this object, and for no later spec.

use serde_json::json;

use super::*;
use crate::reconcile::fixture::{self, edit, synced, touch};

type Touch = fn(&mut SecretMeta);

/// The object after a rename, and what counts as left over when the Secret under the earlier name was changed so.
fn left(change: Touch) -> Vec<String> {
    let mut observed = synced();
    touch(&mut observed, change);
    let secret = observed.target.clone().unwrap();
    edit(&mut observed, "/destination/name", json!("renamed"));
    let uids = owners_of(&secret).into_iter();
    let owned = uids
        .filter(|uid| uid == observed.uid())
        .map(|_| (fixture::key("orders"), secret.clone()));
    let target = fixture::key(observed.object.target_name());
    leftovers(&observed.object, &target, owned.collect())
        .into_iter()
        .map(|(key, _)| key.name)
        .collect()
}

fn record(secret: &mut SecretMeta, change: impl Fn(&mut Record)) {
    let mut record = record_in(secret, ANNOTATION).unwrap();
    change(&mut record);
    secret
        .annotations
        .insert(ANNOTATION.into(), record.print().unwrap());
}

#[test]
fn what_was_written_under_an_earlier_name_is_left_over_whatever_status_tells() {
    assert_eq!(left(|_| {}), ["orders"]);
    let touched: Touch = |secret| {
        secret.labels.clear();
        secret.owners.whole.foreign_keys = 1;
    };
    assert_eq!(left(touched), ["orders"]);
}

#[test]
fn what_is_not_ours_to_take_away_is_not_left_over() {
    let cases: [(&str, Touch); 5] = [
        ("a copy that somebody made", |secret| {
            secret.owners.whole.annotations.clear();
        }),
        ("another object's", |secret| {
            record(secret, |record| record.owner_uid = "another".into());
        }),
        ("a spoilt record", |secret| {
            secret.annotations.insert(ANNOTATION.into(), "{".into());
        }),
        ("one that goes already", |secret| secret.deleting = true),
        ("what was written for a later spec", |secret| {
            record(secret, |record| record.generation = 3);
        }),
    ];
    for (case, change) in cases {
        assert_eq!(left(change), [""; 0], "{case}");
    }
}

#[test]
fn the_secret_that_is_asked_for_is_not_left_over() {
    let observed = synced();
    let secret = observed.target.clone().unwrap();
    let target = fixture::key("orders");
    let owned = vec![(target.clone(), secret)];
    assert_eq!(leftovers(&observed.object, &target, owned), vec![]);
}
