//! Credentials in Secrets that cannot be changed in place, and so are deleted and created when they change.

use anyhow::Result;
use serde_json::json;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run, run_alone};

use super::faults::{PROMPT, demand, well};
use super::{another_user, database_user, issues, only_users};

#[test]
fn credentials_in_an_immutable_secret_are_replaced_and_follow_edits_without_new_ones() -> Result<()>
{
    run(async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let mark = t.mark().await?;
        let fixed = format!("{PROMPT}\ndestination: {{ immutable: true }}");
        let secret = database_user(t, "db", &path, &fixed).await?;
        assert!(secret.is_immutable());
        let user = secret.text("username")?;
        let keys = "data: [{ key: username, source: db, field: username }, { key: password, source: db, field: password }, { key: more, value: plain }]";
        database_user(t, "db", &path, &format!("{fixed}\n{keys}")).await?;
        let edited = t
            .secret_when("db", "to follow the edit", |secret| {
                secret.keys().contains(&"more")
            })
            .await?;
        assert_eq!(edited.text("username")?, user);
        assert_eq!(issues(t, &mark, &path)?, 1);
        demand(t, "db", "1").await?;
        let anew = another_user(t, "db", &user).await?;
        assert!(anew.is_immutable());
        well(t, "db").await?;
        assert_eq!(issues(t, &mark, &path)?, 2);
        Ok(())
    })
}

/// The operator dies when the Secret was deleted and is not there again.
async fn dies(t: &Tenant, edit: bool) -> Result<()> {
    let path = t.database(&DatabaseRole::default()).await?;
    let fixed = format!("{PROMPT}\ndestination: {{ immutable: true }}");
    let old = database_user(t, "db", &path, &fixed).await?;
    let old = old.text("username")?;
    t.order(&["kill between deletion and creation"])?;
    if edit {
        let off = json!({ "spec": { "destination": { "immutable": false } } });
        t.patch("VaultSecret", "db", &off).await?;
    } else {
        demand(t, "db", "1").await?;
    }
    t.obeyed().await?;
    until(
        "the operator to die and to be there again",
        SOON,
        async || Ok(t.operator()?.revive()?.then_some(())),
    )
    .await?;
    let anew = another_user(t, "db", &old).await?;
    assert_eq!(anew.is_immutable(), !edit);
    t.ready("db").await?;
    well(t, "db").await?;
    t.delete("VaultSecret", "db").await?;
    t.wait_gone("VaultSecret", "db").await?;
    t.wait_gone("Secret", "db").await?;
    only_users(t, &[]).await
}

#[test]
fn a_kill_between_deletion_and_creation_leaves_one_user_that_logs_in_and_none_behind() -> Result<()>
{
    run_alone(&GroundOptions::default(), async |t| {
        dies(t, false).await?;
        dies(t, true).await
    })
}
