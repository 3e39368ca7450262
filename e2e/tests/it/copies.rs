//! Bulk copies choose, rename and decode; one that cannot be harms nobody.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::{Tenant, run, source};

async fn stored(t: &Tenant) -> Result<()> {
    let fields = json!({
        "db.host": "pg-7.internal",
        "db.password": "violet anvil",
        "smtp.host": "mx-3.internal",
        "test.token": "never to be copied",
    });
    t.put("app", fields).await?;
    Ok(())
}

/// An object `app` with these copies.
async fn copying(t: &Tenant, copies: &str) -> Result<()> {
    let spec = format!("{}\ndataFrom: {copies}", source("app"));
    t.carry("app", &spec).await?;
    Ok(())
}

#[test]
fn a_copy_takes_what_it_includes_without_what_it_excludes_under_other_names() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        let copy = r"[{ source: app, include: ['db[.].*', 'smtp[.].*'], exclude: ['.*[.]password'], rename: { match: '^(?P<group>\w+)[.](.*)$', replace: 'APP_${group}_$2', case: Upper } }]";
        copying(t, copy).await?;
        t.ready("app").await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["APP_DB_HOST", "APP_SMTP_HOST"]);
        assert_eq!(secret.text("APP_SMTP_HOST")?, "mx-3.internal");
        Ok(())
    })
}

#[test]
fn one_source_is_copied_several_times_with_other_choices() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        let copies = "[{ source: app, include: ['db[.].*'], rename: { match: '^db[.]', replace: 'main-' } }, { source: app, include: ['.*[.]host'] }]";
        copying(t, copies).await?;
        t.ready("app").await?;
        let keys = ["db.host", "main-host", "main-password", "smtp.host"];
        assert_eq!(t.secret("app").await?.keys(), keys);
        Ok(())
    })
}

#[test]
fn copies_of_one_source_that_clash_are_told_by_their_fields_and_decided_by_the_policy() -> Result<()>
{
    run(async |t| {
        stored(t).await?;
        let part = |of: &str| {
            format!(
                "{{ source: app, include: ['{of}[.]host'], rename: {{ match: '.*[.]', replace: '' }} }}"
            )
        };
        let copies = format!("[{}, {}]", part("smtp"), part("db"));
        copying(t, &copies).await?;
        let words = [
            r#""host""#,
            r#""db.host""#,
            r#""smtp.host""#,
            "conflictPolicy",
        ];
        t.complains_with("app", "KeyConflict", &words).await?;
        copying(t, &format!("{copies}\nconflictPolicy: LastWins")).await?;
        t.secret_with("app", "host", "pg-7.internal").await?;
        copying(t, &format!("{copies}\nconflictPolicy: FirstWins")).await?;
        t.secret_with("app", "host", "mx-3.internal").await?;
        Ok(())
    })
}

#[test]
fn one_copy_that_makes_one_key_of_two_fields_is_refused_whatever_the_policy() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        let copy =
            "[{ source: app, rename: { match: '.*[.]', replace: '' } }]\nconflictPolicy: LastWins";
        copying(t, copy).await?;
        let words = [r#""db.host""#, r#""smtp.host""#, "rename", "exclude"];
        t.complains_with("app", "KeyConflict", &words).await?;
        assert!(t.secret_now("app").await?.is_none());
        Ok(())
    })
}

#[test]
fn a_copy_that_finds_nothing_says_what_there_is_and_leaves_the_secret_as_it_was() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        copying(t, "[{ source: app, include: ['db[.].*'] }]").await?;
        t.ready("app").await?;
        t.put("app", json!({ "database.host": "renamed in Vault" }))
            .await?;
        let words = [r#""db[.].*""#, r#""database.host""#, "include"];
        t.complains_with("app", "FieldNotFound", &words).await?;
        let secret = t.secret("app").await?;
        assert_eq!(secret.keys(), ["db.host", "db.password"]);
        Ok(())
    })
}

#[test]
fn a_name_that_rename_makes_and_no_secret_takes_is_told_with_its_field() -> Result<()> {
    run(async |t| {
        stored(t).await?;
        let copy = "[{ source: app, rename: { match: '[.]', replace: '/' } }]";
        copying(t, copy).await?;
        let words = [r#""db/host""#, r#""db.host""#, "after rename"];
        t.complains_with("app", "InvalidKeyName", &words).await
    })
}

#[test]
fn an_expression_that_cannot_be_is_told_with_its_place_before_vault_is_asked() -> Result<()> {
    run(async |t| {
        let mark = t.mark().await?;
        for (copy, words) in [
            (
                "[{ source: app }, { source: app, include: [a, 'b('] }]",
                vec![
                    "spec.dataFrom[1].include[1]",
                    "character 2",
                    "unclosed group",
                ],
            ),
            (
                "[{ source: app, exclude: ['(?!b)'] }]",
                vec!["spec.dataFrom[0].exclude[0]", "look-around"],
            ),
            (
                "[{ source: app, rename: { match: '^(.*)$', replace: '$1_KEY' } }]",
                vec!["spec.dataFrom[0].rename.replace", "${1}_KEY"],
            ),
            (
                r"[{ source: app, include: ['(?:\w{1000}){1000}'] }]",
                vec!["spec.dataFrom[0].include", "simpler"],
            ),
        ] {
            copying(t, copy).await?;
            t.complains_with("app", "InvalidSpec", &words).await?;
        }
        assert_eq!(t.vault_requests(&mark)?.len(), 0);
        Ok(())
    })
}

#[test]
fn bytes_that_lie_in_vault_as_base64_arrive_as_bytes() -> Result<()> {
    run(async |t| {
        let fields =
            json!({ "lines": "AP/+\r\n/v8=\n", "short": "_-8", "nested": { "deep": "AAEC" } });
        t.put("app", fields).await?;
        let data = "data:
- { key: lines, source: app, field: lines, decode: Base64 }
- { key: short, source: app, field: short, decode: Base64URL }
- { key: deep, source: app, field: /nested/deep, decode: Base64 }";
        t.carry("app", &format!("{}\n{data}\ndataFrom: [{{ source: app, include: [short], rename: {{ case: Upper }}, decode: Base64URL }}]", source("app"))).await?;
        t.ready("app").await?;
        let secret = t.secret("app").await?;
        let bytes = |key| secret.bytes(key);
        assert_eq!(bytes("lines"), Some(vec![0x00, 0xff, 0xfe, 0xfe, 0xff]));
        assert_eq!(bytes("short"), Some(vec![0xff, 0xef]));
        assert_eq!(bytes("deep"), Some(vec![0, 1, 2]));
        assert_eq!(bytes("SHORT"), bytes("short"));
        Ok(())
    })
}

#[test]
fn what_does_not_decode_is_told_without_the_value_and_the_secret_stays() -> Result<()> {
    run(async |t| {
        t.put("app", json!({ "key": "aGFycG9vbg==" })).await?;
        let data = "data: [{ key: file, source: app, field: key, decode: Base64 }]";
        t.carry("app", &format!("{}\n{data}", source("app")))
            .await?;
        t.secret_with("app", "file", "harpoon").await?;
        for (bad, word) in [
            (json!("harpoon 27"), "character 8"),
            (json!("aGFycG9v_g"), "set decode: Base64URL"),
            (json!({ "harpoon": 27 }), "it is an object"),
        ] {
            t.put("app", json!({ "key": bad })).await?;
            let object = t
                .wait("VaultSecret", "app", "to complain of the value", |object| {
                    object["status"]["conditions"].to_string().contains(word)
                })
                .await?;
            let told = object["status"].to_string();
            let words = ["InvalidValue", "file", "app", "key", "Base64"];
            vaultbridge_e2e::says(&told, &words)?;
            assert!(
                !told.contains("harpoon") && !told.contains("aGFyc"),
                "{told}"
            );
            assert_eq!(t.secret("app").await?.text("file")?, "harpoon");
        }
        Ok(())
    })
}
