//! What people do in the middle of an issue, between two of its requests.

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use serde_json::json;
use vaultbridge::minting::Stage;
use vaultbridge_e2e::{Tenant, part, run};

use super::{
    PROMPT, another_user, app_and_reader, ask, database_user, demand, issues, only_users, well,
};

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// Deletes the object.
    Delete,
    /// Takes the finalizer off and deletes the object.
    Force,
    /// The same, and creates it again under its name.
    Again,
    /// Deletes the Secret.
    DeleteSecret,
    /// Has the object ask another path.
    Edit,
    /// Suspends the object, and resumes it when the request is over.
    Suspend,
}

/// Where the operator is held meanwhile.
const STAGES: [Stage; 3] = [Stage::WriteAhead, Stage::Issue, Stage::Commit];

async fn meets(t: &Tenant, harm: Harm, stage: Stage) -> Result<()> {
    let (name, paths) = ("db", app_and_reader(t).await?);
    let paths = paths.each_ref().map(String::as_str);
    let old = database_user(t, name, paths[0], PROMPT).await?;
    let old = old.text("username")?;
    t.order(&[&format!("hold before {stage:?}")])?;
    demand(t, name, "1").await?;
    t.obeyed().await?;
    let free = json!({ "metadata": { "finalizers": null } });
    match harm {
        Harm::Delete => t.delete("VaultSecret", name).await?,
        Harm::Force | Harm::Again => {
            t.patch("VaultSecret", name, &free).await?;
            t.delete("VaultSecret", name).await?;
            t.wait_gone("VaultSecret", name).await?;
        }
        Harm::DeleteSecret => t.delete("Secret", name).await?,
        Harm::Edit => {
            let sources = json!([{ "name": "db", "read": { "path": paths[1] } }]);
            let edit = json!({ "spec": { "sources": sources } });
            t.patch("VaultSecret", name, &edit).await?;
        }
        Harm::Suspend => {
            let suspend = json!({ "spec": { "suspend": true } });
            t.patch("VaultSecret", name, &suspend).await?;
        }
    }
    if harm == Harm::Again {
        ask(t, name, paths[0], PROMPT).await?;
    }
    t.order(&[&format!("let before {stage:?} go on")])?;
    match harm {
        Harm::Delete | Harm::Force => {
            t.wait_gone("VaultSecret", name).await?;
            t.wait_gone("Secret", name).await?;
            return only_users(t, &[]).await;
        }
        Harm::Suspend => {
            t.reports(name, "Synced", "False", "Suspended").await?;
            let resume = json!({ "spec": { "suspend": false } });
            t.patch("VaultSecret", name, &resume).await?;
        }
        Harm::Again | Harm::DeleteSecret | Harm::Edit => {}
    }
    another_user(t, name, &old).await?;
    t.ready(name).await?;
    let user = well(t, name).await?;
    if harm == Harm::Edit {
        assert!(user.contains("_reader_"), "{user} is not what is asked for");
    }
    t.delete("VaultSecret", name).await?;
    t.wait_gone("VaultSecret", name).await?;
    t.wait_gone("Secret", name).await?;
    only_users(t, &[]).await
}

fn in_the_middle(harm: Harm) -> Result<()> {
    run(async |t| {
        let all = STAGES.into_iter().map(async |stage| {
            let met = part(t.ground(), async |t| meets(t, harm, stage).await);
            met.await
                .with_context(|| format!("{harm:?} before {stage:?}"))
        });
        try_join_all(all).await?;
        Ok(())
    })
}

#[test]
fn an_object_deleted_in_the_middle_of_an_issue_leaves_nobody_behind() -> Result<()> {
    in_the_middle(Harm::Delete)
}

#[test]
fn an_object_deleted_by_force_in_the_middle_of_an_issue_leaves_nobody_behind() -> Result<()> {
    in_the_middle(Harm::Force)
}

#[test]
fn an_object_made_again_in_the_middle_of_an_issue_has_its_own_user_alone() -> Result<()> {
    in_the_middle(Harm::Again)
}

#[test]
fn a_secret_deleted_in_the_middle_of_an_issue_comes_back_with_a_user_that_logs_in() -> Result<()> {
    in_the_middle(Harm::DeleteSecret)
}

#[test]
fn an_object_edited_in_the_middle_of_an_issue_gets_what_it_asks_for_in_the_end() -> Result<()> {
    in_the_middle(Harm::Edit)
}

#[test]
fn an_object_suspended_in_the_middle_of_an_issue_goes_on_when_it_is_resumed() -> Result<()> {
    in_the_middle(Harm::Suspend)
}

#[test]
fn of_two_sources_the_one_that_is_granted_is_given_back_when_the_other_is_refused() -> Result<()> {
    run(async |t| {
        let [path, other] = app_and_reader(t).await?;
        t.policy(&[(path.as_str(), &["read"])]).await?;
        let mark = t.mark().await?;
        let spec = format!(
            "sources:\n- {{ name: app, read: {{ path: {path} }} }}\n- {{ name: reader, read: {{ path: {other} }} }}\n\
             data:\n- {{ key: username, source: app, field: username }}\n- {{ key: password, source: app, field: password }}\n\
             - {{ key: reader, source: reader, field: username }}\n{PROMPT}"
        );
        t.carry("db", &spec).await?;
        t.complains_with("db", "PermissionDenied", &["source reader", &other])
            .await?;
        only_users(t, &[]).await?;
        assert!(issues(t, &mark, &path)? >= 1, "the first was granted");
        t.allow(&other, &["read"]).await?;
        t.ready("db").await?;
        let secret = t.secret("db").await?;
        t.logs_in(&secret).await?;
        let mut users = [secret.text("username")?, secret.text("reader")?];
        users.sort();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        only_users(t, &users).await
    })
}
