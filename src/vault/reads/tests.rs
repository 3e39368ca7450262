//! When a reading is shared, when it is not, and who is told of a change.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use zeroize::Zeroizing;

use super::remembered::{UNUSED_KEPT, surplus};
use super::shelf::VALUE_KEPT;
use super::*;
use crate::sensitive::SecretJson;
use crate::vault::engine::KvVersion;
use crate::vault::login::Method;

type Outcome = Result<KvReply, String>;

/// That service account's.
pub(super) fn identity(service_account: &str) -> Identity {
    Identity {
        connection: "default/1".into(),
        namespace: String::new(),
        mount: "kubernetes".into(),
        method: Method::Kubernetes,
        role: "orders".into(),
        service_account: service_account.into(),
        audiences: vec!["vault".into()],
    }
}

fn key(service_account: &str) -> ReadKey {
    ReadKey {
        identity: identity(service_account),
        namespace: String::new(),
        mount: "secret".into(),
        engine: Some(KvVersion::V2),
        path: "shop/orders".into(),
        version: 0,
    }
}

fn secret(version: Option<u64>, content: &str) -> KvReply {
    let data = SecretJson::parse(Zeroizing::new(content.to_owned())).unwrap();
    KvReply::Found(KvSecret {
        data,
        version,
        created_time: version.map(|_| "2026-11-23T06:53:45Z".to_owned()),
    })
}

fn print(secret: &KvSecret) -> String {
    format!("mac of {} bytes", secret.data.expose().len())
}

fn want(max_age: Duration, value: bool) -> Want<'static> {
    Want {
        max_age,
        value,
        known: None,
        told: None,
        useful: UNUSED_KEPT,
        fingerprint: &print,
    }
}

const FRESH: Duration = Duration::ZERO;
const MINUTE: Duration = Duration::from_mins(1);

async fn read(
    reads: &Reads<String>,
    want: &Want<'_>,
    reply: Outcome,
    counter: &AtomicUsize,
) -> Result<(Reading, bool), String> {
    reads
        .read(&key("shop/default"), want, async {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            reply
        })
        .await
}

fn fingerprint(reading: &Reading) -> &str {
    match &reading.outcome {
        KvOutcome::Found { fingerprint, .. } => fingerprint,
        KvOutcome::Deleted { .. } | KvOutcome::Destroyed | KvOutcome::Absent => "none",
    }
}

fn has_value(reading: &Reading) -> bool {
    matches!(reading.outcome, KvOutcome::Found { value: Some(_), .. })
}

#[tokio::test]
async fn a_hundred_objects_share_one_read() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let want = want(MINUTE, true);
    let all =
        join_all((0..100).map(|_| read(&reads, &want, Ok(secret(Some(1), "{}")), &requests))).await;
    assert!(all.iter().all(|one| {
        one.as_ref()
            .is_ok_and(|(reading, changed)| has_value(reading) && !changed)
    }));
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn another_identity_reads_for_itself() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    read(
        &reads,
        &want(MINUTE, true),
        Ok(secret(Some(1), "{}")),
        &requests,
    )
    .await
    .map(drop)
    .unwrap();
    let theirs = async { Err("forbidden".to_owned()) };
    let outcome = reads
        .read(&key("other/default"), &want(MINUTE, true), theirs)
        .await;
    assert_eq!(outcome.err().unwrap(), "forbidden");
}

#[tokio::test]
async fn a_reading_that_began_before_the_question_does_not_answer_a_question_for_a_new_one() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let want = want(FRESH, true);
    join_all((0..10).map(|_| read(&reads, &want, Ok(secret(Some(1), "{}")), &requests))).await;
    // The first read was under way when the other nine asked; the second began after that and serves them all.
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_change_is_told_once_and_only_for_another_version() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let mut story = Vec::new();
    for reply in [Some(5), Some(5), Some(3), None] {
        let reply = reply.map_or(KvReply::Destroyed, |version| secret(Some(version), "{}"));
        let (reading, changed) = read(&reads, &want(FRESH, true), Ok(reply), &requests)
            .await
            .unwrap();
        story.push((fingerprint(&reading).to_owned(), changed));
    }
    let expected = [
        ("5:2026-11-23T06:53:45Z".to_owned(), false),
        ("5:2026-11-23T06:53:45Z".to_owned(), false),
        ("3:2026-11-23T06:53:45Z".to_owned(), true),
        ("none".to_owned(), true),
    ];
    assert_eq!(story, expected);
}

#[tokio::test]
async fn an_engine_without_versions_is_fingerprinted_by_the_caller() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let (first, _) = read(
        &reads,
        &want(FRESH, true),
        Ok(secret(None, "{}")),
        &requests,
    )
    .await
    .unwrap();
    assert_eq!(fingerprint(&first), "mac of 2 bytes");
    let (_, changed) = read(
        &reads,
        &want(FRESH, true),
        Ok(secret(None, r#"{"a":1}"#)),
        &requests,
    )
    .await
    .unwrap();
    assert!(changed);
}

#[tokio::test]
async fn a_failure_is_shared_by_those_who_wait_and_then_forgotten() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let want = want(MINUTE, true);
    let all = join_all((0..10).map(|_| read(&reads, &want, Err("sealed".into()), &requests))).await;
    assert!(
        all.iter()
            .all(|one| one.as_ref().is_err_and(|error| error == "sealed"))
    );
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    assert!(
        read(&reads, &want, Ok(secret(Some(1), "{}")), &requests)
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_value_is_wiped_after_half_a_minute_and_the_fingerprint_stays() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let hour = Duration::from_hours(1);
    read(
        &reads,
        &want(hour, true),
        Ok(secret(Some(1), "{}")),
        &requests,
    )
    .await
    .map(drop)
    .unwrap();
    tokio::time::advance(VALUE_KEPT).await;
    reads.sweep();
    let (reading, _) = read(
        &reads,
        &want(hour, false),
        Ok(KvReply::Destroyed),
        &requests,
    )
    .await
    .unwrap();
    assert_eq!(
        (fingerprint(&reading), has_value(&reading)),
        ("1:2026-11-23T06:53:45Z", false)
    );
    let (reading, changed) = read(
        &reads,
        &want(hour, true),
        Ok(secret(Some(1), "{}")),
        &requests,
    )
    .await
    .unwrap();
    assert!(has_value(&reading) && !changed);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_path_that_nobody_asks_for_is_forgotten_after_an_hour_at_the_latest() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    read(
        &reads,
        &want(FRESH, true),
        Ok(secret(Some(1), "{}")),
        &requests,
    )
    .await
    .map(drop)
    .unwrap();
    tokio::time::advance(UNUSED_KEPT).await;
    reads.sweep();
    let (_, changed) = read(
        &reads,
        &want(FRESH, true),
        Ok(secret(Some(2), "{}")),
        &requests,
    )
    .await
    .unwrap();
    assert!(!changed, "a forgotten reading cannot be compared with");
}

#[tokio::test]
async fn what_differs_from_what_a_caller_has_is_told_once_though_no_reading_is_remembered() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let ask = async |max_age, known, reply| {
        let want = Want {
            known,
            ..want(max_age, false)
        };
        let (_, news) = read(&reads, &want, Ok(reply), &requests).await.unwrap();
        news
    };
    let (old, new) = ("1:2026-11-23T06:53:45Z", "2:2026-11-23T06:53:45Z");
    let newer = || secret(Some(2), "{}");
    let first = [
        ask(FRESH, None, newer()).await, // who has nothing cannot tell
        ask(MINUTE, Some(new), newer()).await,
        ask(MINUTE, Some(old), newer()).await, // by a shared reading
        ask(MINUTE, Some(old), newer()).await,
        ask(FRESH, Some(old), newer()).await, // who cannot use it stays behind, and disturbs nobody
        ask(FRESH, Some(old), KvReply::Absent).await,
        ask(FRESH, Some(old), KvReply::Absent).await,
        ask(FRESH, Some(""), KvReply::Absent).await,
    ];
    assert_eq!(
        first,
        [false, false, true, false, false, true, false, false]
    );
    reads.flights.take(|_| true);
    let after_a_restart = [
        ask(FRESH, Some(old), newer()).await,
        ask(FRESH, Some(old), newer()).await,
        ask(MINUTE, Some(new), newer()).await,
    ];
    assert_eq!(after_a_restart, [true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn a_path_goes_with_its_value_when_nobody_will_come_back_to_it() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let polled = |useful: u64| Want {
        useful: Duration::from_secs(useful),
        ..want(FRESH, true)
    };
    for useful in [20, 2] {
        let read = read(
            &reads,
            &polled(useful),
            Ok(secret(Some(1), "{}")),
            &requests,
        )
        .await;
        read.map(drop).unwrap();
    }
    tokio::time::advance(Duration::from_secs(19)).await;
    reads.sweep();
    assert_eq!(reads.shelf.bytes(), 2, "one of the two will come back");
    tokio::time::advance(Duration::from_secs(1)).await;
    reads.sweep();
    assert_eq!(reads.shelf.bytes(), 0);
    assert_eq!(reads.flights.take(|_| true).len(), 0);
}

#[tokio::test]
async fn nothing_is_left_of_a_read_that_failed() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let failed = read(&reads, &want(MINUTE, true), Err("sealed".into()), &requests).await;
    assert_eq!(failed.err().unwrap(), "sealed");
    reads.sweep();
    assert_eq!(reads.flights.take(|_| true).len(), 0);
}

#[tokio::test]
async fn a_poll_without_news_keeps_no_value_but_that_of_the_reading_before() {
    let (reads, requests) = (Reads::new(), AtomicUsize::new(0));
    let ask = async |value, text| {
        let read = read(
            &reads,
            &want(FRESH, value),
            Ok(secret(Some(1), text)),
            &requests,
        )
        .await;
        let (reading, _) = read.unwrap();
        (has_value(&reading), reads.shelf.bytes())
    };
    assert_eq!(ask(true, "{}").await, (true, 2));
    assert_eq!(ask(false, "{ }").await, (false, 2), "what was there stays");
    reads.shelf.sweep(clock::now() + VALUE_KEPT);
    assert_eq!(ask(false, "{ }").await, (false, 0), "nobody needs it");
    assert_eq!(ask(true, "{ }").await, (true, 3));
}

#[tokio::test]
async fn values_beyond_the_budget_push_out_the_oldest_which_are_read_again() {
    let (reads, requests) = (Reads::<String>::within(10), AtomicUsize::new(0));
    let ask = async |path: &str| {
        let key = ReadKey {
            path: path.into(),
            ..key("shop/default")
        };
        let before = requests.load(Ordering::SeqCst);
        let fetch = async {
            requests.fetch_add(1, Ordering::SeqCst);
            Ok(secret(Some(1), "{    }"))
        };
        let (reading, _) = reads.read(&key, &want(MINUTE, true), fetch).await.unwrap();
        assert!(has_value(&reading), "{path}");
        assert!(reads.shelf.bytes() <= 10, "{path}");
        requests.load(Ordering::SeqCst) - before
    };
    let story = [
        ask("large").await,
        ask("large").await,
        ask("another").await,
        ask("another").await,
        ask("large").await,
    ];
    assert_eq!(story, [1, 0, 1, 0, 1]);
}

#[test]
fn of_more_paths_than_there_is_room_for_those_go_that_were_not_asked_for_the_longest() {
    let start = clock::now();
    let asked = |second| start + Duration::from_secs(second);
    let remembered = vec![(asked(3), 10), (asked(1), 10), (asked(2), 10)];
    assert_eq!(surplus(remembered.clone(), 30), None);
    assert_eq!(surplus(remembered.clone(), 29), Some(asked(1)));
    assert_eq!(surplus(remembered, 19), Some(asked(2)));
}
