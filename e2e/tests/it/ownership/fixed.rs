//! A Secret that others share, and that somebody has made immutable: nothing can be put into it or taken out of it, which is told, and holds up nobody.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::{Tenant, run, source};

use super::merging::{THEIRS, merging};

/// An object whose key stands in the Secret of others, which is immutable by now.
async fn fixed(t: &Tenant, more: &str) -> Result<()> {
    t.put("one", json!({ "password": "hewn in marble" }))
        .await?;
    t.apply(THEIRS).await?;
    merging(t, "one", "Merge", more).await?;
    t.ready("one").await?;
    let fixed = json!({ "immutable": true });
    t.patch("Secret", "app", &fixed).await.map(drop)
}

#[test]
fn a_value_that_vault_holds_again_ends_the_conflict_by_itself() -> Result<()> {
    run(async |t| {
        fixed(t, "").await?;
        t.put("one", json!({ "password": "a mere attempt" }))
            .await?;
        let words = ["Secret app is immutable", "have it made anew"];
        t.complains_with("one", "SecretConflict", &words).await?;
        // What others write beside it moves nothing, and nobody is any the wiser for asking.
        let note = json!({ "metadata": { "annotations": { "note": "of others" } } });
        t.patch("Secret", "app", &note).await?;
        t.complains_with("one", "SecretConflict", &words).await?;
        t.put("one", json!({ "password": "hewn in marble" }))
            .await?;
        t.ready("one").await.map(drop)
    })
}

#[test]
fn keys_in_an_earlier_secret_stay_there_which_one_event_tells() -> Result<()> {
    run(async |t| {
        fixed(t, "").await?;
        let spec = format!("{}\ndestination: {{ name: other }}", source("one"));
        t.carry("one", &spec).await?;
        t.secret_with("other", "password", "hewn in marble").await?;
        let words = ["the earlier Secret app keeps what", "immutable"];
        let reason = "SecretConflict";
        t.event("VaultSecret", "one", reason, &words).await?;
        t.wait("VaultSecret", "one", "to have no finalizer", |object| {
            object["metadata"]["finalizers"].is_null()
        })
        .await?;
        t.ready("one").await?;
        let mark = t.mark().await?;
        t.polls(&mark, "one", 2).await?;
        let events = t.events("VaultSecret", "one").await?;
        let told = events.iter().filter(|event| event.reason == reason);
        let told: Vec<String> = told.map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("×1:"), "{told:#?}");
        assert_eq!(t.secret("app").await?.keys(), ["password", "theirs"]);
        Ok(())
    })
}

#[test]
fn keys_that_a_path_took_along_cannot_be_taken_out_which_is_a_conflict() -> Result<()> {
    run(async |t| {
        fixed(t, ", missingSourcePolicy: Delete").await?;
        t.vanish("one").await?;
        let words = ["Secret app is immutable", "have it made anew"];
        t.complains_with("one", "SecretConflict", &words).await?;
        assert_eq!(t.secret("app").await?.keys(), ["password", "theirs"]);
        Ok(())
    })
}
