//! A walk through every request of the protocol: at each the operator dies, is refused, never hears the reply, or finds that somebody was faster.

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use serde_json::json;
use tokio::sync::RwLock;
use vaultbridge::minting::Stage;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, part, run, run_alone};

use crate::rollout::workloads::{found, workload};

use super::{another_user, ask, database_user, demand, issues, only_users, sessions, well};

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

/// Something that goes wrong at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The operator dies before it.
    KillBefore,
    /// The operator dies after it.
    KillAfter,
    /// Nobody hears the reply.
    Lose,
    /// It is refused.
    Refuse,
    /// Somebody changes object and Secret before it.
    Change,
}

impl Fault {
    /// As the operator is ordered it.
    fn order(self, stage: Stage) -> String {
        let fault = match self {
            Self::KillBefore => "kill before",
            Self::KillAfter => "kill after",
            Self::Lose => "lose",
            Self::Refuse => "refuse",
            Self::Change => "hold before",
        };
        format!("{fault} {stage:?}")
    }

    /// Whether the operator dies of it.
    fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }

    /// Whether the operator dies on the way or at its end, which is everybody's death.
    fn is_deadly(self, way: Way) -> bool {
        self.kills() || way == Way::TakeBack
    }

    /// What is to be done at that moment.
    async fn meet(self, t: &Tenant, name: &str, stage: Stage) -> Result<()> {
        match self {
            Self::KillBefore | Self::KillAfter => {
                until("the operator to die", SOON, async || {
                    Ok(t.operator()?.revive()?.then_some(()))
                })
                .await
            }
            Self::Lose | Self::Refuse => Ok(()),
            Self::Change => {
                t.obeyed().await?;
                let note = json!({ "metadata": { "annotations": { "somebody": format!("was here before {stage:?}") } } });
                for kind in ["VaultSecret", "Secret"] {
                    if t.get(kind, name).await?.is_some() {
                        t.patch(kind, name, &note).await?;
                    }
                }
                t.order(&[&format!("let before {stage:?} go on")])
            }
        }
    }
}

/// Every stage on every way there.
fn steps() -> impl Iterator<Item = (Way, Stage)> {
    let all = STAGES.into_iter();
    all.flat_map(|stage| ways(stage).iter().map(move |way| (*way, stage)))
}

/// Lets faults happen, each to an object of a tenant of its own. They mostly wait, so they do it side by side.
async fn walk(t: &Tenant, steps: impl Iterator<Item = (Fault, Way, Stage)>) -> Result<()> {
    let turns = RwLock::new(());
    let turns = &turns;
    let steps = steps.map(async |(fault, way, stage)| {
        let step = part(t.ground(), async |t| {
            Box::pin(one(t, turns, "db", (fault, way, stage))).await
        });
        step.await
            .with_context(|| format!("{}, on the way {way:?}", fault.order(stage)))
    });
    try_join_all(steps).await?;
    Ok(())
}

/// Has one object meet one fault, and sees that nothing came of it. Who has a turn to write is the only one on the way to a fault.
async fn one(
    t: &Tenant,
    turns: &RwLock<()>,
    name: &str,
    (fault, way, stage): (Fault, Way, Stage),
) -> Result<()> {
    let turn = turns.read().await;
    let (path, old) = prepared(t, name, way).await?;
    drop(turn);
    let turn = if fault.is_deadly(way) {
        Some(turns.write().await)
    } else {
        None
    };
    t.operator()?.ready().await?;
    let mark = t.mark().await?;
    match way {
        Way::After(stage) => t.order(&[&format!("refuse {stage:?}")])?,
        Way::TakeBack => t.order(&["kill after WriteAhead"])?,
        Way::Create | Way::Demand | Way::Plain | Way::Delete => {}
    }
    t.order(&[&fault.order(stage)])?;
    go(t, name, &path, way).await?;
    let turn = match turn {
        Some(turn) if fault.kills() => (Some(turn), None),
        // Who died on the way is up again.
        done => {
            drop(done);
            (None, Some(turns.read().await))
        }
    };
    fault.meet(t, name, stage).await?;
    t.obeyed().await?;
    let most = match way {
        Way::Create | Way::Demand | Way::After(_) => {
            another_user(t, name, &old).await?;
            2
        }
        Way::TakeBack | Way::Plain | Way::Delete => 0,
    };
    // What is left is to tidy up, which comes to its end whoever dies meanwhile.
    drop(turn);
    ends_well(t, name, way, &old).await?;
    let issued = issues(t, &mark, &path)?;
    assert!(issued <= most, "{issued} were issued, {most} are enough");
    Ok(())
}

/// Sees that there is what there should be at the end of that way, and deletes the object.
async fn ends_well(t: &Tenant, name: &str, way: Way, old: &str) -> Result<()> {
    match way {
        Way::Create | Way::Demand | Way::After(_) => drop(well(t, name).await?),
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
    if way != Way::Delete {
        restarted_with_reason(t, name).await?;
    }
    t.delete("VaultSecret", name).await?;
    t.wait_gone("VaultSecret", name).await?;
    only_users(t, &[]).await
}

/// Furnishes a tenant for a way. Returns the path of its users, and the first of them where the way begins with one.
async fn prepared(t: &Tenant, name: &str, way: Way) -> Result<(String, String)> {
    let path = t.database(&DatabaseRole::default()).await?;
    let plain = json!({ "username": "nobody", "password": "from KV" });
    t.put("plain", plain).await?;
    workload(t, "Deployment", name, 0, &json!({})).await?;
    if way == Way::Create {
        return Ok((path, String::new()));
    }
    database_user(t, name, &path, RESTARTING).await?;
    let user = well(t, name).await?;
    Ok((path, user))
}

/// What makes an old user go soon after what uses it was restarted.
const RESTARTING: &str = "lease: { overlap: 1s, replaced: Revoke }
rollout: { minInterval: 1s, targets: [{ kind: Deployment, name: db }] }";

/// Sees that what uses the Secret runs with what it holds, and was restarted for nothing else.
async fn restarted_with_reason(t: &Tenant, name: &str) -> Result<()> {
    t.reports(name, "RolledOut", "True", "RolledOut").await?;
    let workload = found(t, "Deployment", name).await?;
    let object = t.get("VaultSecret", name).await?.context("find it")?;
    let changes = object["status"]["revision"].as_i64().map(|last| last - 1);
    let restarts = workload["metadata"]["generation"]
        .as_i64()
        .map(|last| last - 1);
    assert!(
        restarts <= changes,
        "{restarts:?} restarts for {changes:?} changes: {workload}"
    );
    Ok(())
}

/// Does what brings the operator to the fault.
async fn go(t: &Tenant, name: &str, path: &str, way: Way) -> Result<()> {
    match way {
        Way::Create => drop(ask(t, name, path, RESTARTING).await?),
        Way::Demand | Way::After(_) => demand(t, name, "1").await?,
        Way::TakeBack => {
            demand(t, name, "1").await?;
            let operator = t.operator()?;
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

/// A fault at every stage, for those who do not let the operator die: beside other tests.
fn beside_others(fault: Fault) -> Result<()> {
    let steps = steps().filter(|(way, _)| !fault.is_deadly(*way));
    run(async |t| walk(t, steps.map(|(way, stage)| (fault, way, stage))).await)
}

/// A fault at every stage where the operator dies.
fn alone(fault: Fault) -> Result<()> {
    let steps = steps().map(|(way, stage)| (fault, way, stage));
    run_alone(&GroundOptions::default(), async |t| walk(t, steps).await)
}

#[test]
fn an_operator_that_dies_before_any_request_leaves_nothing_behind() -> Result<()> {
    alone(Fault::KillBefore)
}

#[test]
fn an_operator_that_dies_after_any_request_leaves_nothing_behind() -> Result<()> {
    alone(Fault::KillAfter)
}

#[test]
fn a_reply_that_is_lost_to_any_request_leaves_nothing_behind() -> Result<()> {
    beside_others(Fault::Lose)
}

#[test]
fn a_request_that_is_refused_wherever_it_is_leaves_nothing_behind() -> Result<()> {
    beside_others(Fault::Refuse)
}

#[test]
fn somebody_who_changes_object_and_secret_before_any_request_leaves_nothing_behind() -> Result<()> {
    beside_others(Fault::Change)
}

#[test]
fn whatever_goes_wrong_after_an_operator_died_of_a_demand_that_is_taken_back_leaves_nothing_behind()
-> Result<()> {
    let faults = [Fault::Lose, Fault::Refuse, Fault::Change];
    let steps = faults.into_iter().flat_map(|fault| {
        let deadly = steps().filter(move |(way, _)| fault.is_deadly(*way));
        deadly.map(move |(way, stage)| (fault, way, stage))
    });
    run_alone(&GroundOptions::default(), async |t| walk(t, steps).await)
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
        t.order(&[
            "refuse HandOver",
            "lose HandOver",
            "kill before HandOver",
            "kill after HandOver",
        ])?;
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
        t.obeyed().await?;
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
