//! Credentials that cannot be renewed: who looks at the object learns of it, and they are replaced in time where that can be.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::{GroundOptions, run, run_alone};

use super::{PROMPT, another_user, database_user, demand, sessions, well};

#[test]
fn credentials_that_end_while_vault_is_sealed_are_told_to_be_over_and_replaced_when_it_is_back()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let role = DatabaseRole {
            default_ttl: "15s",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        t.vault().seal().await?;
        t.reports("db", "Synced", "False", "VaultSealed").await?;
        t.reports("db", "Ready", "False", "LeaseLost").await?;
        let words = ["ended at", "sealed"];
        t.event("VaultSecret", "db", "LeaseLost", &words).await?;
        t.vault().unseal().await?;
        another_user(t, "db", &old.text("username")?).await?;
        t.reports("db", "Ready", "True", "Synced").await?;
        well(t, "db").await?;
        Ok(())
    })
}

#[test]
fn credentials_that_are_left_to_their_end_leave_room_for_new_ones_however_often_they_are_replaced()
-> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let lease = "lease: { overlap: 1s, replaced: Expire }";
        let mut secret = database_user(t, "db", &path, lease).await?;
        for word in 1..=10 {
            demand(t, "db", &word.to_string()).await?;
            secret = another_user(t, "db", &secret.text("username")?).await?;
        }
        t.logs_in(&secret).await?;
        let object = t.ready("db").await?;
        let (open, users) = (sessions(&object).len(), t.database_users().await?.len());
        assert!(open <= 8 && users <= 8, "{users} users, {object}");
        Ok(())
    })
}

#[test]
fn credentials_whose_renewals_keep_failing_are_told_of_and_replaced_while_they_work() -> Result<()>
{
    run(async |t| {
        let role = DatabaseRole {
            default_ttl: "45s",
            more: json!({ "renew_statements": ["SELECT nothing_of_the_kind()"] }),
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let lease = "lease: { overlap: 1h }";
        let old = database_user(t, "db", &path, lease).await?;
        let words = ["could not be renewed", "good until"];
        t.event("VaultSecret", "db", "RenewalFailed", &words)
            .await?;
        let new = another_user(t, "db", &old.text("username")?).await?;
        t.logs_in(&old).await?;
        t.logs_in(&new).await
    })
}
