//! Others write a shared Secret as often as they like; that costs requests only where it may end a conflict.

use anyhow::{Result, ensure};
use serde_json::json;
use vaultbridge_e2e::{Tenant, run, source};

use super::merging::THEIRS;

/// How often the Secret is edited.
const EDITS: usize = 100;

/// An object that wants the key `theirs`, which somebody else has set; it is not polled meanwhile.
async fn contested(t: &Tenant) -> Result<()> {
    t.put("one", json!({ "theirs": "wanted by us" })).await?;
    t.apply(THEIRS).await?;
    let edited = json!({ "stringData": { "theirs": "of theirs by now" } });
    t.patch("Secret", "app", &edited).await?;
    let spec = format!(
        "{}\ndestination: {{ name: app, creationPolicy: Merge }}\nrefresh: {{ interval: 1h }}",
        source("one")
    );
    t.carry("one", &spec).await?;
    let words = ["key theirs is set by a-person"];
    t.complains_with("one", "SecretConflict", &words).await
}

#[test]
fn a_hundred_edits_of_other_keys_cost_hardly_a_request_while_a_key_is_contested() -> Result<()> {
    run(async |t| {
        contested(t).await?;
        let mark = t.mark().await?;
        for round in 0..EDITS {
            let more = json!({ "stringData": { "more": format!("round {round}"), format!("key-{round}"): "of theirs" } });
            let manager = ["a-person", "another"][round % 2];
            t.patch_as(manager, "Secret", "app", &more).await?;
        }
        // Whatever these have caused is under way by now, and its key that is let go is noticed at once all the same.
        let gone = json!({ "data": { "theirs": null } });
        t.patch("Secret", "app", &gone).await?;
        t.secret_with("app", "theirs", "wanted by us").await?;
        t.ready("one").await?;
        let requests = t.kube_requests(&mark).await?;
        let of_ours = requests.only(|request| request.name == "app");
        ensure!(of_ours.len() < EDITS / 4, "{of_ours}");
        let reads = t.reads_of("one", &mark)?;
        ensure!(reads < EDITS / 10, "{reads} reads of Vault");
        Ok(())
    })
}

#[test]
fn a_value_that_has_become_ours_by_their_own_hand_ends_the_conflict_by_itself() -> Result<()> {
    run(async |t| {
        contested(t).await?;
        // Nobody's name changes with it, so it is found by trying.
        let ours = json!({ "stringData": { "theirs": "wanted by us" } });
        t.patch("Secret", "app", &ours).await?;
        t.ready("one").await?;
        let owners = super::adopting::owners_of(&t.secret("app").await?, "theirs");
        assert_eq!(owners, ["a-person Update", "vaultbridge/one Apply"]);
        Ok(())
    })
}
