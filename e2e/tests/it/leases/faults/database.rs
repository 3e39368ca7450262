//! The database, and the role for its users, change or are away.

use anyhow::Result;
use vaultbridge_e2e::run;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};

use super::{PROMPT, another_user, ask, database_user, demand, settled, well};

#[test]
fn a_database_that_is_down_when_a_user_is_due_is_told_and_leaks_nothing() -> Result<()> {
    run(async |t| {
        let server = t.ground().another_postgres().await?;
        let path = t.database_at(&server, &DatabaseRole::default()).await?;
        server.stop().await?;
        ask(t, "db", &path, PROMPT).await?;
        t.complains_with("db", "VaultUnavailable", &["db", &path])
            .await?;
        assert_eq!(t.leases().await?, [""; 0]);
        server.start_again().await?;
        t.ready("db").await?;
        settled(t, "db").await?;
        let secret = t.secret("db").await?;
        let user = secret.text("username")?;
        server.can_log_in(&user, &secret.text("password")?).await?;
        assert_eq!(t.leases().await?.len(), 1);
        assert_eq!(server.roles(t.name()).await?, [user]);
        Ok(())
    })
}

#[test]
fn a_database_that_is_down_when_the_object_goes_does_not_hold_it_up() -> Result<()> {
    run(async |t| {
        let server = t.ground().another_postgres().await?;
        let path = t.database_at(&server, &DatabaseRole::default()).await?;
        database_user(t, "db", &path, "").await?;
        server.stop().await?;
        t.delete("VaultSecret", "db").await?;
        t.wait_gone("VaultSecret", "db").await?;
        server.start_again().await?;
        // Vault tries again after ten seconds, and then more and more seldom.
        until("the user to go", 3 * SOON, async || {
            Ok(server.roles(t.name()).await?.is_empty().then_some(()))
        })
        .await
    })
}

#[test]
fn a_role_whose_longest_life_is_shortened_gets_its_users_replaced_in_time() -> Result<()> {
    run(async |t| {
        let role = DatabaseRole {
            default_ttl: "12s",
            max_ttl: "1h",
            ..DatabaseRole::default()
        };
        let path = t.database(&role).await?;
        let mut user = database_user(t, "db", &path, "lease: { overlap: 15s, replaced: Revoke }")
            .await?
            .text("username")?;
        let shorter = DatabaseRole {
            max_ttl: "24s",
            ..role
        };
        t.database(&shorter).await?;
        for _ in 0..2 {
            user = until("another user, and each to log in", SOON, async || {
                let secret = t.secret("db").await?;
                // Whoever has just read it logs in with it.
                assert!(t.logs_in(&secret).await.is_ok(), "a dead user is served");
                let now = secret.text("username")?;
                Ok((now != user).then_some(now))
            })
            .await?;
        }
        Ok(())
    })
}

#[test]
fn a_role_that_is_gone_spoils_no_credentials_and_is_told() -> Result<()> {
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let old = database_user(t, "db", &path, PROMPT).await?;
        t.vault()
            .delete(&format!("{}/roles/app", t.database_mount()))
            .await?;
        demand(t, "db", "1").await?;
        let user = old.text("username")?;
        t.wait("VaultSecret", "db", "to tell of it", |object| {
            let one = vaultbridge_e2e::tenant::condition(object, "Synced");
            one.is_some_and(|one| one["status"] == "False")
        })
        .await?;
        assert_eq!(well(t, "db").await?, user);
        t.database(&DatabaseRole::default()).await?;
        another_user(t, "db", &user).await?;
        well(t, "db").await?;
        Ok(())
    })
}
