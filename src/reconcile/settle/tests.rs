//! Proves what readings mean: news or none, and what becomes of a path that is gone.

use serde_json::json;

use super::*;
use crate::reconcile::fixture::{self, edit, found, job, ordinary, synced};
use crate::reconcile::found::FolderEntry;
use crate::reconcile::observe::Observed;

fn settled(
    observed: &Observed,
    readings: Vec<KvOutcome>,
    only_if_changed: bool,
) -> Result<Settled, Failure> {
    settle(
        &job(observed),
        Before::of_pass(observed),
        readings.into_iter().map(Found::Entry).collect(),
        only_if_changed,
    )
}

fn word(settled: &Result<Settled, Failure>) -> String {
    match settled {
        Ok(Settled::Unchanged(_)) => "unchanged".into(),
        Ok(Settled::Render(sources)) => {
            let there = sources.iter().map(|one| {
                if one.secret.is_some() {
                    "value"
                } else {
                    "nothing"
                }
            });
            format!("render {}", there.collect::<Vec<_>>().join(" "))
        }
        Ok(Settled::DeleteSecret(failure)) => {
            format!("delete: {}: {}", failure.reason, failure.message)
        }
        Err(failure) => format!("{}: {}", failure.reason, failure.message),
    }
}

fn deleted() -> KvOutcome {
    KvOutcome::Deleted {
        time: "2026-01-01T00:00:00Z".into(),
    }
}

fn with_policy(policy: &str) -> Observed {
    let mut observed = fixture::fresh();
    edit(
        &mut observed,
        "/destination/missingSourcePolicy",
        json!(policy),
    );
    fixture::write(&mut observed);
    observed
}

#[test]
fn a_fingerprint_is_known_of_the_very_place_that_the_secret_was_made_from_and_of_no_other() {
    let known = |observed: &Observed| {
        let job = job(observed);
        let known = Before::of_pass(observed).fingerprint(&job, &job.sources[0]);
        known.map(str::to_owned)
    };
    assert_eq!(known(&fixture::fresh()), None);
    let mut observed = synced();
    assert_eq!(known(&observed).as_deref(), Some("3:3"));
    edit(&mut observed, "/sources/0/kv/path", json!("secret/b"));
    assert_eq!(known(&observed), None);
    let mut optional = fixture::fresh();
    edit(&mut optional, "/sources/0/optional", json!(true));
    fixture::write_of(&mut optional, vec![KvOutcome::Absent]).unwrap();
    assert_eq!(known(&optional).as_deref(), Some(""));
}

#[test]
fn the_version_and_time_that_the_secret_was_made_of_are_no_news() {
    let observed = synced();
    assert_eq!(
        word(&settled(&observed, vec![ordinary()], true)),
        "unchanged"
    );
}

#[test]
fn whoever_must_render_renders_what_is_no_news_as_well() {
    let observed = synced();
    assert_eq!(
        word(&settled(&observed, vec![ordinary()], false)),
        "render value"
    );
}

#[test]
fn another_version_is_news_also_when_it_is_lower() {
    let observed = synced();
    for version in [2, 4] {
        let reading = found(version, &json!({}));
        assert_eq!(
            word(&settled(&observed, vec![reading], true)),
            "render value",
            "version {version}"
        );
    }
}

#[test]
fn a_path_that_never_was_is_an_error_under_every_policy() {
    for policy in ["Retain", "Prune", "Delete"] {
        let mut observed = fixture::fresh();
        edit(
            &mut observed,
            "/destination/missingSourcePolicy",
            json!(policy),
        );
        assert_eq!(
            word(&settled(&observed, vec![KvOutcome::Absent], false)),
            "PathNotFound: source main: secret/shop/orders does not exist in Vault; write it, correct kv.path, or set optional: true on the source",
            "{policy}"
        );
    }
}

#[test]
fn a_path_that_is_gone_is_told_by_how_it_went() {
    let observed = synced();
    let kept = "; the Secret keeps its last value, as missingSourcePolicy says";
    for (reading, expected) in [
        (
            KvOutcome::Absent,
            format!(
                "SourceDeleted: source main: secret/shop/orders does not exist in Vault any more{kept}"
            ),
        ),
        (
            deleted(),
            format!(
                "SourceDeleted: source main: secret/shop/orders was deleted in Vault; undelete it or write a new version{kept}"
            ),
        ),
        (
            KvOutcome::Destroyed,
            format!(
                "SourceDeleted: source main: secret/shop/orders was destroyed in Vault; write a new version{kept}"
            ),
        ),
    ] {
        assert_eq!(word(&settled(&observed, vec![reading], true)), expected);
    }
}

#[test]
fn a_path_that_is_gone_takes_its_keys_or_the_secret_along_if_asked_to() {
    assert_eq!(
        word(&settled(&with_policy("Prune"), vec![deleted()], true)),
        "render nothing"
    );
    let delete = settled(&with_policy("Delete"), vec![deleted()], true);
    assert_eq!(
        word(&delete),
        "delete: SourceDeleted: source main: secret/shop/orders was deleted in Vault; undelete it or write a new version; the Secret was deleted, as missingSourcePolicy says"
    );
}

#[test]
fn of_a_secret_that_others_share_the_keys_are_said_to_have_been_taken_out() {
    let mut observed = fixture::fresh();
    let shared = json!({ "creationPolicy": "CreateOrMerge", "missingSourcePolicy": "Delete" });
    edit(&mut observed, "/destination", shared);
    fixture::write(&mut observed);
    assert_eq!(
        word(&settled(&observed, vec![deleted()], true)),
        "delete: SourceDeleted: source main: secret/shop/orders was deleted in Vault; undelete it or write a new version; the keys of this object were taken out of the Secret, as missingSourcePolicy says"
    );
}

#[test]
fn a_typing_error_in_an_edited_path_takes_nothing_away() {
    for policy in ["Retain", "Prune", "Delete"] {
        let mut observed = with_policy(policy);
        edit(
            &mut observed,
            "/sources/0/kv/path",
            json!("secret/shop/odrers"),
        );
        let word = word(&settled(&observed, vec![KvOutcome::Absent], false));
        assert!(
            word.starts_with("PathNotFound: source main: secret/shop/odrers does not exist"),
            "{policy}: {word}"
        );
    }
}

#[test]
fn a_source_that_was_pruned_stays_so_through_edits_of_the_spec() {
    let mut observed = with_policy("Prune");
    fixture::write_of(&mut observed, vec![deleted()])
        .unwrap_or_else(|failure| panic!("{failure:?}"));
    assert_eq!(
        word(&settled(&observed, vec![deleted()], true)),
        "unchanged"
    );
    edit(&mut observed, "/conflictPolicy", json!("LastWins"));
    assert_eq!(
        word(&settled(&observed, vec![deleted()], false)),
        "render nothing"
    );
}

#[test]
fn an_optional_source_may_be_absent_and_comes_back_as_news() {
    let mut observed = fixture::fresh();
    edit(&mut observed, "/sources/0/optional", json!(true));
    assert_eq!(
        word(&settled(&observed, vec![KvOutcome::Absent], false)),
        "render nothing"
    );
    fixture::write_of(&mut observed, vec![KvOutcome::Absent])
        .unwrap_or_else(|failure| panic!("{failure:?}"));
    assert_eq!(
        word(&settled(&observed, vec![KvOutcome::Absent], true)),
        "unchanged"
    );
    assert_eq!(
        word(&settled(&observed, vec![ordinary()], true)),
        "render value"
    );
}

#[test]
fn a_source_that_is_optional_no_more_deletes_no_secret() {
    let mut observed = fixture::fresh();
    edit(&mut observed, "/sources/0/optional", json!(true));
    edit(
        &mut observed,
        "/destination/missingSourcePolicy",
        json!("Delete"),
    );
    fixture::write_of(&mut observed, vec![KvOutcome::Absent])
        .unwrap_or_else(|failure| panic!("{failure:?}"));
    edit(&mut observed, "/sources/0/optional", json!(false));
    let word = word(&settled(&observed, vec![KvOutcome::Absent], false));
    assert!(word.starts_with("PathNotFound: "), "{word}");
}

#[test]
fn a_pinned_version_is_named() {
    let mut observed = fixture::fresh();
    edit(&mut observed, "/sources/0/kv/version", json!(7));
    let word = word(&settled(&observed, vec![KvOutcome::Destroyed], false));
    assert_eq!(
        word,
        "SourceDeleted: source main: version 7 of secret/shop/orders was destroyed in Vault; write a new version"
    );
}

/// A folder that holds these entries, of so many that are listed and chosen.
fn folder_found(entries: &[&str], listed: usize, chosen: usize) -> Found {
    let entry = |name: &&str| FolderEntry {
        name: (*name).to_owned(),
        fingerprint: "1:1".into(),
        value: None,
    };
    Found::Folder(FolderFound {
        listed,
        chosen,
        entries: entries.iter().map(entry).collect(),
    })
}

fn with_folder(policy: &str, more: &serde_json::Value) -> Observed {
    let mut observed = with_policy(policy);
    let mut folder = json!({ "path": "secret/shop/" });
    for (name, value) in more.as_object().into_iter().flatten() {
        folder[name] = value.clone();
    }
    let source = json!({ "name": "main", "kvFolder": folder });
    edit(&mut observed, "/sources/0", source);
    observed
}

fn settled_folder(observed: &Observed, found: Found, only_if_changed: bool) -> String {
    let before = Before::of_pass(observed);
    word(&settle(
        &job(observed),
        before,
        vec![found],
        only_if_changed,
    ))
}

/// The Secret was made of the folder as it is now asked for, with these entries.
fn made_of(observed: &mut Observed, entries: &[&str]) {
    let made = settle(
        &job(observed),
        Before::of_pass(observed),
        vec![folder_found(entries, 2, 2)],
        false,
    );
    let Ok(Settled::Render(settling)) = made else {
        panic!("it is rendered")
    };
    let mut record = observed.record.clone().unwrap();
    let sources = settling.into_iter().map(|one| (one.name, one.record));
    record.sources = sources.collect();
    observed.record = Some(record);
}

#[test]
fn a_folder_is_unchanged_while_its_entries_are_those_of_the_record() {
    let mut observed = with_folder("Retain", &json!({}));
    made_of(&mut observed, &["a", "b"]);
    let look = |entries: &[&str]| settled_folder(&observed, folder_found(entries, 2, 2), true);
    assert_eq!(look(&["a", "b"]), "unchanged");
    assert_eq!(
        look(&["a"]),
        "render nothing",
        "the values come with the next look"
    );
    assert_eq!(look(&["a", "b", "c"]), "render nothing");
}

#[test]
fn only_the_last_entry_of_a_folder_takes_it_along() {
    for (policy, words) in [
        (
            "Retain",
            "SourceDeleted: source main: folder secret/shop/ has no entries in Vault; write one, or correct kvFolder.path; the Secret keeps its last value, as missingSourcePolicy says",
        ),
        ("Prune", "render nothing"),
        (
            "Delete",
            "delete: SourceDeleted: source main: folder secret/shop/ has no entries in Vault; write one, or correct kvFolder.path; the Secret was deleted, as missingSourcePolicy says",
        ),
    ] {
        let mut observed = with_folder(policy, &json!({}));
        made_of(&mut observed, &["a", "b"]);
        assert_eq!(
            settled_folder(&observed, folder_found(&[], 0, 0), true),
            words
        );
    }
}

#[test]
fn another_choice_of_entries_that_leaves_none_empties_no_secret() {
    for policy in ["Retain", "Prune", "Delete"] {
        let mut observed = with_folder(policy, &json!({}));
        made_of(&mut observed, &["a", "b"]);
        edit(
            &mut observed,
            "/sources/0/kvFolder/path",
            json!("secret/shop"),
        );
        let spelt = settled_folder(&observed, folder_found(&["a", "b"], 2, 2), true);
        assert_eq!(spelt, "unchanged", "the slash at the end means nothing");
        let source =
            json!({ "name": "main", "kvFolder": { "path": "secret/shop", "include": ["c"] } });
        edit(&mut observed, "/sources/0", source);
        let word = settled_folder(&observed, folder_found(&[], 2, 0), true);
        assert!(
            word.starts_with(
                "PathNotFound: source main: none of the 2 entries of folder secret/shop/ is taken"
            ),
            "{policy}: {word}"
        );
    }
    let deleted = with_folder("Retain", &json!({ "recursive": true }));
    let word = settled_folder(&deleted, folder_found(&[], 3, 2), true);
    assert!(
        word.contains("were deleted or destroyed in Vault (2)"),
        "{word}"
    );
}
