//! What is held after another look.

use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;
use crate::reconcile::fixture::leased::{LIVE, asked, entry, issued, leased, set_sessions};
use crate::reconcile::fixture::{job, keys};
use crate::record::SourceRecord;
use crate::sensitive::SecretJson;

/// A value without a lease.
fn news(name: &str, data: &Value, fingerprint: &str) -> IssuedValue {
    let text = Zeroizing::new(data.to_string());
    IssuedValue {
        name: name.to_owned(),
        data: SecretJson::parse(text).ok().map(Arc::new),
        record: SourceRecord::Static {
            place: "p".to_owned(),
            version: None,
            fingerprint: fingerprint.to_owned(),
            missing: false,
            entries: None,
        },
    }
}

fn texts(issued: &Issued) -> Vec<(String, String)> {
    let text = |value: &IssuedValue| {
        let data = value.data.as_ref();
        data.map(|data| data.expose().to_owned())
            .unwrap_or_default()
    };
    let values = issued.values.iter();
    values
        .map(|value| (value.name.clone(), text(value)))
        .collect()
}

#[test]
fn news_take_the_place_of_what_they_replace_and_leave_the_rest_as_it_is() {
    let observed = asked();
    let wanted = job(&observed);
    let mut held = issued(&observed);
    held.values
        .push(news("batch", &json!({ "password": "old" }), "1"));
    let before = (texts(&held), held.session.clone());
    let new = vec![news("batch", &json!({ "password": "new" }), "2")];
    let after = with_news(&wanted, held, new.clone(), &keys()).ok().unwrap();
    let mut expected = before.0;
    expected[1].1 = r#"{"password":"new"}"#.to_owned();
    assert_eq!(texts(&after), expected);
    assert_eq!(after.values[1].record, new[0].record);
    assert_eq!(after.session, before.1, "the session is the one it was");
}

#[test]
fn what_is_sealed_with_news_is_what_is_held_then() {
    let observed = asked();
    let wanted = job(&observed);
    let held = issued(&observed);
    let sealed = held.sealed.clone();
    let new = vec![news("db", &json!({ "password": "new" }), "2")];
    let after = with_news(&wanted, held, new, &keys()).ok().unwrap();
    assert_ne!(after.sealed, sealed);
    let had = values::unseal(&wanted, LIVE, after.sealed.clone(), &keys());
    let had = had.ok().unwrap();
    assert_eq!(texts(&had), texts(&after));
    assert_eq!(had.values[0].record, after.values[0].record);
    assert_eq!(had.session, after.session);
}

#[test]
fn news_of_a_source_that_nothing_is_held_of_are_added() {
    let observed = asked();
    let held = issued(&observed);
    let new = vec![news("late", &json!({ "password": "new" }), "1")];
    let after = with_news(&job(&observed), held, new, &keys()).ok().unwrap();
    let names: Vec<String> = texts(&after).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["db", "late"]);
}

#[test]
fn the_token_of_a_session_is_used_only_at_the_connection_where_it_was_begun() {
    let mut observed = leased();
    let wanted = job(&observed);
    assert_eq!(session_here(&wanted, &observed), Some(LIVE));
    let mut elsewhere = entry(LIVE);
    elsewhere.connection = "other".into();
    set_sessions(&mut observed, vec![elsewhere]);
    assert_eq!(entries::live(&observed), Some(LIVE), "so the record says");
    assert_eq!(session_here(&wanted, &observed), None);
    set_sessions(&mut observed, Vec::new());
    assert_eq!(session_here(&wanted, &observed), None);
}
