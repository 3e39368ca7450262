//! The operator is calm: it writes what has changed and nothing else, and mends what others change, at once.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vaultbridge_e2e::stopwatch::Stopwatch;
use vaultbridge_e2e::tenant::in_words;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Mark, SecretView, Tenant, run, run_alone};

const STATE: &str = "vaultbridge.dev/state";

/// What people do to a Secret that is not theirs, as JSON merge patches. A new harm needs no new test.
fn harms() -> Vec<(&'static str, Value)> {
    let annotation = |value: Value| json!({ "metadata": { "annotations": { STATE: value } } });
    vec![
        (
            "a-changed-value",
            json!({ "stringData": { "password": "tampered with" } }),
        ),
        ("a-deleted-key", json!({ "data": { "password": null } })),
        (
            "an-added-key",
            json!({ "stringData": { "extra": "not from Vault" } }),
        ),
        (
            "a-removed-label",
            json!({ "metadata": { "labels": { "team": null } } }),
        ),
        (
            "a-changed-label",
            json!({ "metadata": { "labels": { "team": "other" } } }),
        ),
        (
            "the-removed-mark",
            json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } }),
        ),
        (
            "a-removed-annotation",
            json!({ "metadata": { "annotations": { "note": null } } }),
        ),
        (
            "a-removed-owner",
            json!({ "metadata": { "ownerReferences": null } }),
        ),
        ("a-removed-record", annotation(Value::Null)),
        ("a-spoilt-record", annotation("{".into())),
        (
            "a-forged-record",
            annotation(r#"{"v":1,"ownerUid":"x"}"#.into()),
        ),
        (
            "everything-at-once",
            json!({
                "metadata": { "labels": null, "annotations": { "note": null } },
                "data": { "username": null, "password": "dGFtcGVyZWQ=" },
            }),
        ),
    ]
}

/// Whether a Secret is as the object of an application asks for.
fn is_right(secret: &SecretView, password: &str) -> bool {
    let metadata = secret.metadata();
    let label = |name: &str| metadata.labels.as_ref()?.get(name).cloned();
    let annotation = |name: &str| metadata.annotations.as_ref()?.get(name).cloned();
    let record = annotation(STATE).and_then(|text| serde_json::from_str::<Value>(&text).ok());
    secret.keys() == ["password", "username"]
        && secret.text("password").is_ok_and(|text| text == password)
        && label("team").as_deref() == Some("shop")
        && label("app.kubernetes.io/managed-by").as_deref() == Some("vaultbridge")
        && annotation("note").as_deref() == Some("kept")
        && metadata
            .owner_references
            .as_ref()
            .is_some_and(|owners| owners.len() == 1)
        && record.is_some_and(|record| record["keys"] == 2 && record["mac"].is_string())
}

async fn repaired(t: &Tenant, name: &str, since: Stopwatch) -> Result<()> {
    t.secret_when(name, "to be right again", |secret| {
        is_right(secret, "first password")
    })
    .await?;
    since.tell(&format!("{name} was mended after"));
    Ok(())
}

/// Fails unless these are all the operator's writes in the tenant's namespace since a mark.
async fn wrote(t: &Tenant, since: &Mark, expected: &[&str]) -> Result<()> {
    let writes = t.writes(since).await?;
    assert_eq!(in_words(&writes), expected, "{writes}");
    Ok(())
}

/// How passes have ended since the operator's start.
async fn passes(t: &Tenant) -> Result<BTreeMap<String, u64>> {
    let text = t.operator()?.metrics().await?;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some(labels) = line.strip_prefix("vaultbridge_reconcile_total{outcome=\"") else {
            continue;
        };
        let (outcome, rest) = labels.split_once('"').context("read the metrics")?;
        let count: u64 = rest
            .rsplit(' ')
            .next()
            .context("read the metrics")?
            .parse()?;
        *found.entry(outcome.to_owned()).or_default() += count;
    }
    Ok(found)
}

#[test]
fn a_first_sync_is_two_writes_and_one_vault_read() -> Result<()> {
    run(async |t| {
        t.password("app", "first password").await?;
        let mark = t.mark().await?;
        t.apply_app("app", "2s").await?;
        t.ready("app").await?;
        let reads = t.vault_requests(&mark)?.reads().below(t.name());
        assert_eq!(reads.len(), 1, "{reads}");
        t.polls(&mark, "app", 3).await?;
        wrote(t, &mark, &["create secrets", "update vaultsecrets/status"]).await
    })
}

#[test]
fn a_change_in_vault_is_two_writes() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let mark = t.mark().await?;
        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;
        let changed = t.mark().await?;
        t.polls(&changed, "app", 2).await?;
        wrote(t, &mark, &["update secrets", "update vaultsecrets/status"]).await
    })
}

#[test]
fn an_unchanged_poll_is_one_request_to_vault_and_none_to_kubernetes() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let mark = t.mark().await?;
        t.polls(&mark, "app", 4).await?;
        let requests = t.kube_requests(&mark).await?;
        assert_eq!(requests.len(), 0, "{requests}");
        let asked = t.vault_requests(&mark)?;
        let reads = asked.clone().reads().below(t.name());
        assert_eq!(asked.len(), reads.len(), "a poll is one read: {asked}");
        Ok(())
    })
}

#[test]
fn a_new_version_with_the_same_content_moves_the_record_but_not_the_revision() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let mark = t.mark().await?;
        t.password("app", "first password").await?;
        let object = t
            .wait(
                "VaultSecret",
                "app",
                "to tell of the new version",
                |object| object["status"]["sources"][0]["version"] == 2,
            )
            .await?;
        assert_eq!(object["status"]["revision"], 1, "{}", object["status"]);
        let later = t.mark().await?;
        t.polls(&later, "app", 2).await?;
        wrote(t, &mark, &["update secrets", "update vaultsecrets/status"]).await
    })
}

#[test]
fn own_writes_start_no_pass() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let mark = t.mark().await?;
        t.app("app", "first password", "1s").await?;
        t.polls(&mark, "app", 4).await?;
        let passes = until("the polls to be counted", SOON, async || {
            let passes = passes(t).await?;
            Ok((passes.get("unchanged") >= Some(&3)).then_some(passes))
        })
        .await?;
        assert_eq!(passes["written"], 1, "{passes:?}");
        // An echo that overtakes the answer to its own write costs a look at the caches, and no request.
        let looks = passes.get("in_sync").copied().unwrap_or_default();
        assert!(looks <= 2, "{passes:?}");
        assert_eq!(
            passes.values().sum::<u64>(),
            1 + looks + passes["unchanged"],
            "every other pass was a poll: {passes:?}"
        );
        let requests = t
            .kube_requests(&mark)
            .await?
            .only(|request| request.verb != "watch");
        let words = in_words(&requests);
        let expected = [
            "create serviceaccounts/token",
            "create secrets",
            "update vaultsecrets/status",
        ];
        assert_eq!(words, expected, "{requests}");
        let reads = t.vault_requests(&mark)?.reads().below(t.name());
        let polls = u64::try_from(reads.len())? - 1;
        assert!(
            (polls - 1..=polls).contains(&passes["unchanged"]),
            "{passes:?} for {reads}"
        );
        Ok(())
    })
}

#[test]
fn a_restart_in_sync_writes_nothing_tells_nothing_and_asks_vault_for_nothing() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let names: Vec<String> = (1..=10).map(|number| format!("app-{number}")).collect();
        for name in &names {
            t.password(name, "first password").await?;
            t.apply_app(name, "1000h").await?;
        }
        for name in &names {
            t.ready(name).await?;
        }
        t.operator()?.stop().await?;
        let mark = t.mark().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        let passes = until("a pass over each object", SOON, async || {
            let passes = passes(t).await?;
            Ok((passes.values().sum::<u64>() >= 10).then_some(passes))
        })
        .await?;
        assert_eq!(
            passes,
            BTreeMap::from([("in_sync".to_owned(), 10)]),
            "one look at each, and nothing to do"
        );
        let requests = t.ground().kube_requests(&mark).await?;
        let writes = requests.clone().writes();
        assert_eq!(writes.len(), 0, "{writes}");
        let values = requests
            .resource("secrets")
            .verb("get")
            .in_namespace(t.name());
        assert_eq!(values.len(), 0, "a Secret was read: {values}");
        let asked = t.vault_requests(&mark)?;
        assert_eq!(asked.len(), 0, "{asked}");
        assert_eq!(t.events("VaultSecret", "app-1").await?, vec![]);
        Ok(())
    })
}

#[test]
fn news_from_while_the_operator_was_down_reaches_also_those_who_never_poll() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.password("app", "first password").await?;
        let sources = "sources: [{ name: app, kv: { path: $tenant/app } }]";
        let quiet = format!("{sources}\nrefresh: {{ interval: 0s }}");
        t.carry("app", sources).await?;
        t.carry("quiet", &quiet).await?;
        for name in ["app", "quiet"] {
            t.secret_with(name, "password", "first password").await?;
            t.ready(name).await?;
        }
        t.operator()?.stop().await?;
        t.password("app", "second password").await?;
        t.operator()?.start_again()?;
        for name in ["app", "quiet"] {
            t.secret_with(name, "password", "second password").await?;
        }
        Ok(())
    })
}

#[test]
fn whatever_people_do_to_a_secret_is_mended_at_once() -> Result<()> {
    run(async |t| {
        for (name, harm) in harms() {
            let before = t.app(name, "first password", "10m").await?;
            assert!(is_right(&before, "first password"), "{name} from the start");
            let start = Stopwatch::start();
            t.patch("Secret", name, &harm).await?;
            repaired(t, name, start).await?;
            let event = t
                .event("VaultSecret", name, "Synced", &["changed by somebody else"])
                .await?;
            assert_eq!(
                (event.warning, event.count),
                (false, 1),
                "{name}: told once: {event}"
            );
        }
        Ok(())
    })
}

#[test]
fn a_deleted_secret_is_made_again_at_once() -> Result<()> {
    run(async |t| {
        let before = t.app("app", "first password", "10m").await?;
        let start = Stopwatch::start();
        t.delete("Secret", "app").await?;
        t.secret_when("app", "to be another", |secret| {
            secret.uid() != before.uid() && is_right(secret, "first password")
        })
        .await?;
        start.tell("the Secret was made again after");
        let event = t
            .event("VaultSecret", "app", "Synced", &["was gone"])
            .await?;
        assert!(!event.warning, "{event}");
        let status = t.ready("app").await?;
        assert_eq!(
            status["status"]["revision"], 2,
            "the count goes on though the record was lost: {}",
            status["status"]
        );
        Ok(())
    })
}

#[test]
fn what_people_do_while_the_operator_is_down_is_mended_at_its_start() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        for (name, _) in harms() {
            t.app(name, "first password", "1000h").await?;
        }
        for name in ["deleted", "healthy", "dressed-up"] {
            t.app(name, "first password", "1000h").await?;
        }
        t.operator()?.stop().await?;
        for (name, harm) in harms() {
            t.patch("Secret", name, &harm).await?;
        }
        t.delete("Secret", "deleted").await?;
        let foreign = json!({ "metadata": { "labels": { "foreign": "label" }, "annotations": { "foreign": "note" } } });
        t.patch("Secret", "dressed-up", &foreign).await?;
        let mark = t.mark().await?;
        t.operator()?.start_again()?;
        t.operator()?.ready().await?;
        let start = Stopwatch::start();
        let names = harms().into_iter().map(|(name, _)| name).chain(["deleted"]);
        for name in names {
            repaired(t, name, start).await?;
        }
        for name in ["healthy", "dressed-up"] {
            let touched = t.writes(&mark).await?.only(|request| request.name == name);
            assert_eq!(
                touched.len(),
                0,
                "{name} was right, and was written: {touched}"
            );
        }
        let dressed = t.secret("dressed-up").await?;
        assert_eq!(
            dressed
                .metadata()
                .labels
                .as_ref()
                .and_then(|labels| labels.get("foreign"))
                .map(String::as_str),
            Some("label")
        );
        Ok(())
    })
}

#[test]
fn labels_and_annotations_of_others_cost_nothing_and_stay() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "1s").await?;
        let mark = t.mark().await?;
        let foreign = json!({ "metadata": { "labels": { "foreign": "label" }, "annotations": { "foreign": "note" } } });
        t.patch("Secret", "app", &foreign).await?;
        let looked = until("the operator to look at the Secret", SOON, async || {
            let gets = t
                .kube_requests(&mark)
                .await?
                .resource("secrets")
                .verb("get");
            Ok((!gets.is_empty()).then_some(gets))
        })
        .await?;
        assert_eq!(looked.len(), 1, "{looked}");
        let later = t.mark().await?;
        t.polls(&later, "app", 2).await?;
        let writes = t.writes(&mark).await?;
        assert_eq!(writes.len(), 0, "{writes}");
        t.password("app", "second password").await?;
        let secret = t.secret_with("app", "password", "second password").await?;
        let (labels, annotations) = (
            secret.metadata().labels.clone(),
            secret.metadata().annotations.clone(),
        );
        assert_eq!(labels.unwrap_or_default()["foreign"], "label");
        assert_eq!(annotations.unwrap_or_default()["foreign"], "note");
        Ok(())
    })
}

#[test]
fn a_change_under_our_own_name_is_found_by_reading_the_secret() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "10m").await?;
        let start = Stopwatch::start();
        let harm = json!({ "stringData": { "password": "tampered with" } });
        t.patch_as("vaultbridge", "Secret", "app", &harm).await?;
        repaired(t, "app", start).await?;
        Ok(())
    })
}

#[test]
fn another_interval_costs_one_status_and_no_vault_read() -> Result<()> {
    run(async |t| {
        t.app("app", "first password", "10m").await?;
        let mark = t.mark().await?;
        t.patch(
            "VaultSecret",
            "app",
            &json!({ "spec": { "refresh": { "interval": "20m" } } }),
        )
        .await?;
        t.ready("app").await?;
        let asked = t.vault_requests(&mark)?;
        assert_eq!(asked.len(), 0, "{asked}");
        t.patch(
            "VaultSecret",
            "app",
            &json!({ "spec": { "refresh": { "interval": "1s" } } }),
        )
        .await?;
        t.polls(&mark, "app", 3).await?;
        wrote(t, &mark, &["update vaultsecrets/status"; 2]).await
    })
}

#[test]
fn somebody_who_applies_the_very_same_values_is_let_be() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let before = t.app("app", "first password", "1s").await?;
        let data: BTreeMap<&str, String> = before
            .keys()
            .into_iter()
            .filter_map(|key| Some((key, STANDARD.encode(before.bytes(key)?))))
            .collect();
        let copy = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "app" }, "data": data,
        });
        t.apply(&copy.to_string()).await?;
        let mark = t.mark().await?;
        t.polls(&mark, "app", 4).await?;
        let requests = t
            .kube_requests(&mark)
            .await?
            .only(|request| request.verb != "get");
        assert_eq!(requests.len(), 0, "{requests}");
        t.operator()?.stop().await?;
        let mark = t.mark().await?;
        t.operator()?.start_again()?;
        t.polls(&mark, "app", 2).await?;
        let writes = t.writes(&mark).await?;
        assert_eq!(writes.len(), 0, "{writes}");
        t.password("app", "second password").await?;
        t.secret_with("app", "password", "second password").await?;
        assert_eq!(t.events("VaultSecret", "app").await?, vec![]);
        Ok(())
    })
}
