//! A walk through every request of the protocol: at each the operator dies, is refused, never hears the reply, or finds that somebody was faster.

use anyhow::{Context as _, Result};
use serde_json::json;
use vaultbridge::minting::Stage;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run_alone};

use super::{PROMPT, another_user, ask, database_user, demand, issues, only_users, sessions, well};

/// What people do so that the operator comes to a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// They create an object.
    Create,
    /// They demand new credentials for one.
    Demand,
    /// The same, and this request is refused first.
    After(Stage),
    /// They demand new credentials, and take the demand back when the operator has died of it.
    TakeBack,
    /// They want something else than credentials.
    Plain,
    /// They delete the object.
    Delete,
}

/// The ways to a stage. A new stage has none yet, which the compiler tells.
fn ways(stage: Stage) -> &'static [Way] {
    match stage {
        Stage::LogIn | Stage::WriteAhead | Stage::Issue | Stage::Commit | Stage::Report => {
            &[Way::Create, Way::Demand]
        }
        Stage::Protect => &[Way::Create],
        Stage::Discard => &[Way::After(Stage::WriteAhead)],
        Stage::GiveBack => &[Way::After(Stage::Issue)],
        Stage::Forget => &[Way::Demand, Way::After(Stage::Issue)],
        Stage::Revoke => &[Way::Demand, Way::Delete],
        Stage::Fence => &[Way::TakeBack],
        Stage::WritePlain => &[Way::Plain],
        Stage::Release => &[Way::Delete],
        // Noted in the same write as `Report`; and `handed_over` comes to the other.
        Stage::Retire | Stage::HandOver => &[],
    }
}

/// In their order.
pub const STAGES: [Stage; 15] = [
    Stage::Protect,
    Stage::LogIn,
    Stage::WriteAhead,
    Stage::Issue,
    Stage::Commit,
    Stage::Discard,
    Stage::GiveBack,
    Stage::Revoke,
    Stage::Forget,
    Stage::HandOver,
    Stage::Release,
    Stage::Report,
    Stage::Retire,
    Stage::WritePlain,
    Stage::Fence,
];

/// Orders a fault at every stage, one after the other, each for an object of its own. `meet` does what is to be done at that moment.
fn walk(fault: &str, meet: &impl AsyncFn(&Tenant, &str, Stage) -> Result<()>) -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        t.put(
            "plain",
            json!({ "username": "nobody", "password": "from KV" }),
        )
        .await?;
        let mut number = 0;
        for stage in STAGES {
            for way in ways(stage) {
                number += 1;
                let name = format!("db-{number}");
                let order = format!("{fault} {stage:?}");
                let step = one(t, &name, &path, (*way, stage), &order, meet);
                step.await
                    .with_context(|| format!("{order}, on the way {way:?}, object {name}"))?;
            }
        }
        Ok(())
    })
}

/// Has one object meet one fault, and sees that nothing came of it.
async fn one(
    t: &Tenant,
    name: &str,
    path: &str,
    (way, stage): (Way, Stage),
    order: &str,
    meet: &impl AsyncFn(&Tenant, &str, Stage) -> Result<()>,
) -> Result<()> {
    let operator = t.operator()?;
    operator.ready().await?;
    let old = if way == Way::Create {
        String::new()
    } else {
        database_user(t, name, path, PROMPT).await?;
        well(t, name).await?
    };
    let mark = t.mark().await?;
    let first = match way {
        Way::After(stage) => format!("refuse {stage:?}\n"),
        Way::TakeBack => "kill after WriteAhead\n".to_owned(),
        Way::Create | Way::Demand | Way::Plain | Way::Delete => String::new(),
    };
    operator.order(&format!("{first}{order}"))?;
    go(t, name, path, way).await?;
    meet(t, name, stage).await?;
    operator.obeyed().await?;
    let most = match way {
        Way::Create | Way::Demand | Way::After(_) => 2,
        Way::TakeBack | Way::Plain | Way::Delete => 0,
    };
    match way {
        Way::Create | Way::Demand | Way::After(_) => {
            another_user(t, name, &old).await?;
            well(t, name).await?;
        }
        Way::TakeBack => assert_eq!(
            well(t, name).await?,
            old,
            "nobody asks for another any more"
        ),
        Way::Plain => {
            t.secret_with(name, "password", "from KV").await?;
            only_users(t, &[]).await?;
            t.wait("VaultSecret", name, "to have no session", |object| {
                sessions(object).is_empty()
            })
            .await?;
        }
        Way::Delete => {}
    }
    t.delete("VaultSecret", name).await?;
    t.wait_gone("VaultSecret", name).await?;
    only_users(t, &[]).await?;
    let issued = issues(t, &mark, path)?;
    assert!(issued <= most, "{issued} were issued, {most} are enough");
    Ok(())
}

/// Does what brings the operator to the fault.
async fn go(t: &Tenant, name: &str, path: &str, way: Way) -> Result<()> {
    let operator = t.operator()?;
    match way {
        Way::Create => drop(ask(t, name, path, PROMPT).await?),
        Way::Demand | Way::After(_) => demand(t, name, "1").await?,
        Way::TakeBack => {
            demand(t, name, "1").await?;
            until("the operator to die", SOON, async || {
                Ok(operator.service().ensure_running().is_err().then_some(()))
            })
            .await?;
            let nothing =
                json!({ "metadata": { "annotations": { "vaultbridge.dev/force-sync": null } } });
            t.patch("VaultSecret", name, &nothing).await?;
            operator.revive()?;
        }
        Way::Plain => {
            let path = format!("{}/plain", t.name());
            let edit = json!({ "spec": { "sources": [{ "name": "db", "read": null, "kv": { "path": path } }] } });
            t.patch("VaultSecret", name, &edit).await?;
        }
        Way::Delete => t.delete("VaultSecret", name).await?,
    }
    Ok(())
}

/// Waits until the operator has died, and starts it again.
async fn revived(t: &Tenant, _: &str, _: Stage) -> Result<()> {
    until("the operator to die", SOON, async || {
        Ok(t.operator()?.revive()?.then_some(()))
    })
    .await
}

#[test]
fn an_operator_that_dies_before_any_request_leaves_nothing_behind() -> Result<()> {
    walk("kill before", &revived)
}

#[test]
fn an_operator_that_dies_after_any_request_leaves_nothing_behind() -> Result<()> {
    walk("kill after", &revived)
}

#[test]
fn a_reply_that_is_lost_to_any_request_leaves_nothing_behind() -> Result<()> {
    walk("lose", &async |_, _, _| Ok(()))
}

#[test]
fn a_request_that_is_refused_wherever_it_is_leaves_nothing_behind() -> Result<()> {
    walk("refuse", &async |_, _, _| Ok(()))
}

#[test]
fn somebody_who_changes_object_and_secret_before_any_request_leaves_nothing_behind() -> Result<()> {
    walk("hold before", &async |t, name, stage| {
        t.operator()?.obeyed().await?;
        let note = json!({ "metadata": { "annotations": { "somebody": format!("was here before {stage:?}") } } });
        for kind in ["VaultSecret", "Secret"] {
            if t.get(kind, name).await?.is_some() {
                t.patch(kind, name, &note).await?;
            }
        }
        t.operator()?.order(&format!("let before {stage:?} go on"))
    })
}

#[test]
fn sessions_that_cannot_be_revoked_outlive_their_objects_and_are_revoked_later_whoever_dies()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let mut uids = Vec::new();
        let names = ["one", "two", "three", "four"];
        for name in names {
            database_user(t, name, &path, "").await?;
            let object = t.ready(name).await?;
            let uid = object["metadata"]["uid"].as_str();
            uids.push(uid.context("read the UID")?.to_owned());
        }
        t.vault().seal().await?;
        t.operator()?
            .order("refuse HandOver\nlose HandOver\nkill before HandOver\nkill after HandOver")?;
        for name in names {
            t.delete("VaultSecret", name).await?;
        }
        // Each object waits a minute for its sessions to be revoked.
        until("all objects to be gone", 5 * SOON, async || {
            t.operator()?.revive()?;
            for name in names {
                if t.get("VaultSecret", name).await?.is_some() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
        t.operator()?.obeyed().await?;
        let record = |uid: &str| format!("vaultbridge-orphans-{uid}");
        for uid in &uids {
            let found = t.ground().operator_secret(&record(uid)).await?;
            found.with_context(|| format!("find the record of {uid}"))?;
        }
        assert_eq!(
            t.database_users().await?.len(),
            4,
            "nobody could revoke them"
        );
        t.vault().unseal().await?;
        only_users(t, &[]).await?;
        until("the records to be gone", SOON, async || {
            for uid in &uids {
                if t.ground().operator_secret(&record(uid)).await?.is_some() {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    })
}
