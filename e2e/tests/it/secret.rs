//! The keys of a Secret are those that are asked for, and what cannot become a Secret is refused with the key and the fix.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::{Tenant, run, source};

#[test]
fn single_keys_come_from_fields_pointers_and_literals() -> Result<()> {
    run(async |t| {
        let stored = json!({
            "username": "orders",
            "db": { "hosts": ["first.db", "second.db"], "port": 5432, "a/b": "slash-in-its-name", "m~n": "tilde-in-its-name" },
        });
        t.put("app", stored).await?;
        let data = "data:
- { key: USER, source: app, field: username }
- { key: HOST, source: app, field: /db/hosts/1 }
- { key: PORT, source: app, field: /db/port }
- { key: HOSTS, source: app, field: /db/hosts }
- { key: SLASH, source: app, field: /db/a~1b }
- { key: TILDE, source: app, field: /db/m~0n }
- { key: NONE, source: app, field: absent, optional: true }
- { key: NOWHERE, source: app, field: /db/hosts/7, optional: true }
- { key: MODE, value: 'a literal: $5 \"quoted\"' }
- { key: all.json, source: app, field: '' }";
        t.carry("app", &format!("{}\n{data}", source("app")))
            .await?;
        let secret = t.secret("app").await?;
        let all = r#"{"db":{"a/b":"slash-in-its-name","hosts":["first.db","second.db"],"m~n":"tilde-in-its-name","port":5432},"username":"orders"}"#;
        let expected = [
            ("HOST", "second.db"),
            ("HOSTS", r#"["first.db","second.db"]"#),
            ("MODE", "a literal: $5 \"quoted\""),
            ("PORT", "5432"),
            ("SLASH", "slash-in-its-name"),
            ("TILDE", "tilde-in-its-name"),
            ("USER", "orders"),
            ("all.json", all),
        ];
        for (key, text) in expected {
            assert_eq!(secret.text(key)?, text, "{key}");
        }
        assert_eq!(secret.keys(), expected.map(|(key, _)| key));
        t.ready("app").await?;
        Ok(())
    })
}

/// Two sources, `one` and `two`, that both have the field `shared`.
async fn clashing(t: &Tenant, more: &str) -> Result<()> {
    t.put(
        "one",
        json!({ "shared": "from one", "first": "only in one" }),
    )
    .await?;
    t.put(
        "two",
        json!({ "shared": "from two", "second": "only in two" }),
    )
    .await?;
    let sources = "sources:
- { name: one, kv: { path: $tenant/one } }
- { name: two, kv: { path: $tenant/two } }";
    t.carry("app", &format!("{sources}\n{more}")).await?;
    Ok(())
}

#[test]
fn a_bulk_copy_takes_every_field_of_the_sources_it_names() -> Result<()> {
    run(async |t| {
        clashing(t, "dataFrom: [{ source: two }]").await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["second", "shared"]);
        assert_eq!(secret.text("shared")?, "from two");
        Ok(())
    })
}

#[test]
fn single_keys_alone_bring_nothing_else_along() -> Result<()> {
    run(async |t| {
        clashing(t, "data: [{ key: A, source: one, field: shared }]").await?;
        assert_eq!(t.secret("app").await?.keys(), ["A"]);
        Ok(())
    })
}

#[test]
fn two_sources_with_the_same_key_are_refused_until_somebody_decides() -> Result<()> {
    run(async |t| {
        clashing(t, "").await?;
        let words = ["\"shared\"", "\"one\"", "\"two\"", "conflictPolicy", "data"];
        t.complains_with("app", "KeyConflict", &words).await?;
        assert!(
            t.secret_now("app").await?.is_none(),
            "something was written"
        );
        for (policy, wins) in [("FirstWins", "from one"), ("LastWins", "from two")] {
            clashing(t, &format!("conflictPolicy: {policy}")).await?;
            let secret = t.secret_with("app", "shared", wins).await?;
            assert_eq!(secret.keys(), ["first", "second", "shared"], "{policy}");
        }
        let last = "dataFrom: [{ source: two }, { source: one }]\nconflictPolicy: LastWins";
        clashing(t, last).await?;
        t.secret_with("app", "shared", "from one").await?;
        Ok(())
    })
}

#[test]
fn a_single_key_wins_over_every_copy_and_ends_a_conflict() -> Result<()> {
    run(async |t| {
        let more = "dataFrom: [{ source: one }, { source: two }]
data: [{ key: shared, value: decided here }]";
        clashing(t, more).await?;
        let secret = t.secret_with("app", "shared", "decided here").await?;
        assert_eq!(secret.keys(), ["first", "second", "shared"]);
        Ok(())
    })
}

#[test]
fn an_absent_field_is_named_beside_those_that_exist_and_heals_in_vault() -> Result<()> {
    run(async |t| {
        t.put(
            "app",
            json!({ "username": "orders", "pasword": "it is misspelt" }),
        )
        .await?;
        let spec = format!(
            "{}\ndata: [{{ key: PASSWORD, source: app, field: password }}]",
            source("app")
        );
        t.carry("app", &spec).await?;
        let words = [
            "\"PASSWORD\"",
            "\"app\"",
            "\"password\"",
            "\"pasword\"",
            "\"username\"",
            "optional",
        ];
        t.complains_with("app", "FieldNotFound", &words).await?;
        assert!(
            t.secret_now("app").await?.is_none(),
            "something was written"
        );
        t.put(
            "app",
            json!({ "username": "orders", "password": "well spelt now" }),
        )
        .await?;
        t.secret_with("app", "PASSWORD", "well spelt now").await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_field_that_disappears_keeps_the_last_good_secret() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "the last good one" }))
            .await?;
        let data = "data: [{ key: password, source: app, field: password }]";
        t.carry("app", &format!("{}\n{data}", source("app")))
            .await?;
        t.ready("app").await?;
        t.put("app", json!({ "other": "without the password" }))
            .await?;
        t.complains_with("app", "FieldNotFound", &["\"password\"", "\"other\""])
            .await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.text("password")?, "the last good one");
        t.put("app", json!({ "password": "the next good one" }))
            .await?;
        t.secret_with("app", "password", "the next good one")
            .await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_field_that_cannot_be_a_key_is_named_and_a_mapping_mends_it() -> Result<()> {
    run(async |t| {
        t.put(
            "app",
            json!({ "db password": "with a space", "host": "db.internal" }),
        )
        .await?;
        t.carry("app", &source("app")).await?;
        let words = [
            "\"db password\"",
            "letters, digits",
            "\"app\"",
            "under data",
        ];
        t.complains_with("app", "InvalidKeyName", &words).await?;
        assert!(
            t.secret_now("app").await?.is_none(),
            "something was written"
        );
        let data = "data: [{ key: DB_PASSWORD, source: app, field: db password }]";
        t.carry("app", &format!("{}\n{data}", source("app")))
            .await?;
        t.secret_with("app", "DB_PASSWORD", "with a space").await?;
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_field_that_cannot_be_a_key_heals_when_it_is_renamed_in_vault() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "..data": "starts with dots" }))
            .await?;
        t.carry("app", &source("app")).await?;
        let words = ["\"..data\"", "rename the field in Vault"];
        t.complains_with("app", "InvalidKeyName", &words).await?;
        t.put("app", json!({ "data": "starts with dots" })).await?;
        t.secret_with("app", "data", "starts with dots").await?;
        Ok(())
    })
}

#[test]
fn more_than_a_mebibyte_is_refused_with_the_largest_key_and_heals_in_vault() -> Result<()> {
    run(async |t| {
        let large = |length: usize| "x".repeat(length);
        t.vault()
            .put_v2(t.name(), "one", &json!({ "small": large(500_000) }))
            .await?;
        t.vault()
            .put_v2(t.name(), "two", &json!({ "large": large(548_577) }))
            .await?;
        let sources = "sources:
- { name: one, kv: { path: $tenant/one } }
- { name: two, kv: { path: $tenant/two } }";
        t.carry("app", sources).await?;
        let words = ["1048576", "1048577", "\"large\"", "548577"];
        t.complains_with("app", "SecretTooLarge", &words).await?;
        assert!(
            t.secret_now("app").await?.is_none(),
            "something was written"
        );
        t.vault()
            .put_v2(t.name(), "two", &json!({ "large": large(548_576) }))
            .await?;
        let secret = t.secret("app").await?;
        let bytes = ["small", "large"].map(|key| secret.bytes(key).unwrap_or_default().len());
        assert_eq!(bytes, [500_000, 548_576]);
        t.ready("app").await?;
        Ok(())
    })
}

#[test]
fn a_hundred_objects_with_bad_content_still_share_one_read_per_interval() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "other": "no such field" })).await?;
        let data = "data: [{ key: A, source: app, field: absent }]\nrefresh: { interval: 5s }";
        let spec = format!("{}\n{data}", source("app"));
        t.carry_many("app", 20, &spec).await?;
        for number in 0..20 {
            t.complains(&format!("app-{number}"), "FieldNotFound")
                .await?;
        }
        let mark = t.ground().mark().await?;
        t.polls(&mark, "app", 1).await?;
        let (mark, start) = (t.ground().mark().await?, std::time::Instant::now());
        t.polls(&mark, "app", 3).await?;
        let took = start.elapsed().as_secs_f64();
        // A retry shares a reading that is younger than four fifths of the interval.
        assert!(took > 3.0 * 5.0 * 0.75, "three reads in {took} s");
        t.put("app", json!({ "absent": "now it is there" })).await?;
        let deadline = std::time::Duration::from_secs(30);
        t.all_with("app-", 20, "A", "now it is there", deadline)
            .await
    })
}

#[test]
fn the_state_annotation_tells_what_was_written_and_no_value() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "password": "nowhere but in data" }))
            .await?;
        t.carry("app", &source("app")).await?;
        let object = t.ready("app").await?;
        let secret = t.secret("app").await?;
        let annotations = secret.metadata().annotations.clone().unwrap_or_default();
        let text = &annotations["vaultbridge.dev/state"];
        let state: serde_json::Value = serde_json::from_str(text)?;
        assert_eq!(state["ownerUid"], object["metadata"]["uid"], "{state}");
        assert_eq!(state["ownerName"], "app");
        assert_eq!(state["keys"], 1);
        assert_eq!(state["type"], "Opaque");
        assert_eq!(state["revision"], object["status"]["revision"]);
        assert_eq!(state["sources"]["app"]["version"], 1);
        let leaks = t.ground().canaries().scan("the annotation", text);
        assert_eq!(leaks, Vec::<String>::new());
        // A bare digest could be guessed from a list of passwords: the same value in another Secret has another MAC.
        t.carry("twin", &source("app")).await?;
        let twin = t.secret("twin").await?;
        let annotations = twin.metadata().annotations.clone().unwrap_or_default();
        let twin: serde_json::Value = serde_json::from_str(&annotations["vaultbridge.dev/state"])?;
        assert_ne!(twin["mac"], state["mac"]);
        Ok(())
    })
}
