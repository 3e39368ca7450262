//! Two operators at once: one freezes with a request in its hand, another takes over, and the first wakes up.

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use tokio::sync::{Barrier, Mutex};
use vaultbridge::minting::Stage;
use vaultbridge_e2e::operator::Operator;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, part, run_alone};

use super::{PROMPT, another_user, ask, database_user, demand, only_users, well};

const STAGES: [Stage; 5] = [
    Stage::LogIn,
    Stage::WriteAhead,
    Stage::Issue,
    Stage::Commit,
    Stage::Report,
];

/// What an object says that puts its user into a Secret which others may share.
const MERGED: &str = "lease: { overlap: 1s, replaced: Revoke }
destination: { creationPolicy: CreateOrMerge }";

/// Where an operator freezes, whether the object has no user yet, and whether it merges.
#[derive(Clone, Copy, Debug)]
struct Case {
    stage: Stage,
    first: bool,
    merges: bool,
}

/// What keeps those together who each have an operator frozen: the long waits are the same for all.
struct Company {
    /// Where they wait for each other.
    all: Barrier,
    /// Held by the one whose operator is awake.
    turn: Mutex<()>,
    /// The operator that takes over from all that are frozen.
    heir: Mutex<Option<Operator>>,
}

impl Company {
    /// Waits until all have come here, has one of them do something, and lets them go on when that is done.
    async fn meets(&self, work: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
        if self.all.wait().await.is_leader() {
            work().await?;
        }
        self.all.wait().await;
        Ok(())
    }
}

/// Starts another operator, and waits until it is ready.
async fn operator(t: &Tenant, name: &str) -> Result<Operator> {
    let folder = t.ground().folder().join(name);
    let operator = Operator::start(t.ground().control_plane(), &folder, &[]).await?;
    operator.ready().await?;
    Ok(operator)
}

/// Freezes an operator before that request for an object, has another do the work, and lets the first go on. The second one stays meanwhile.
async fn freezes(t: &Tenant, company: &Company, case: Case) -> Result<()> {
    let Case {
        stage,
        first,
        merges,
    } = case;
    let more = if merges { MERGED } else { PROMPT };
    let path = t.database(&DatabaseRole::default()).await?;
    let old = if first {
        String::new()
    } else {
        database_user(t, "db", &path, more).await?;
        well(t, "db").await?
    };
    company.meets(async || t.operator()?.kill()).await?;
    let turn = company.turn.lock().await;
    let frozen = operator(t, &format!("frozen-of-{}", t.name())).await?;
    t.order_of(&frozen, &[&format!("freeze before {stage:?}")])?;
    if first {
        ask(t, "db", &path, more).await?;
    } else {
        demand(t, "db", "1").await?;
    }
    t.obeyed_by(&frozen).await?;
    drop(turn);
    let inherit = async || {
        *company.heir.lock().await = Some(operator(t, "heir").await?);
        Ok(())
    };
    company.meets(inherit).await?;
    another_user(t, "db", &old).await?;
    let user = well(t, "db").await?;
    company.meets(async || Ok(())).await?;
    let turn = company.turn.lock().await;
    wakes_up(t, &frozen, stage, &path, &user).await?;
    drop((frozen, turn));
    for name in ["db", "late"] {
        t.delete("VaultSecret", name).await?;
        t.wait_gone("VaultSecret", name).await?;
    }
    only_users(t, &[]).await
}

/// Lets the operator go on, and sees that what it had in its hand does nothing to the user.
async fn wakes_up(
    t: &Tenant,
    frozen: &Operator,
    stage: Stage,
    path: &str,
    user: &str,
) -> Result<()> {
    frozen.service().thaw()?;
    let awake = format!("before {stage:?}");
    until("the first operator to be awake", SOON, async || {
        let log = frozen.log()?;
        let mut lines = log.lines().filter(|line| line.contains("awake again"));
        Ok(lines.any(|line| line.contains(&awake)).then_some(()))
    })
    .await?;
    // Whatever it had in its hand is done once it follows what happens after.
    ask(t, "late", path, PROMPT).await?;
    t.ready("late").await?;
    let late_user = t.secret("late").await?.text("username")?;
    let secret = t.secret("db").await?;
    t.logs_in(&secret).await?;
    assert_eq!(
        secret.text("username")?,
        user,
        "the late commit did nothing"
    );
    let mut users = [user, late_user.as_str()];
    users.sort_unstable();
    only_users(t, &users).await
}

#[test]
fn an_operator_that_wakes_up_late_serves_no_dead_credential_and_leaks_none() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let case = |stage, first, merges| Case {
            stage,
            first,
            merges,
        };
        let whole = STAGES.map(|stage| [true, false].map(|first| case(stage, first, false)));
        let merged = [true, false].map(|first| case(Stage::Commit, first, true));
        let cases = [whole.as_flattened(), &merged].concat();
        let company = &Company {
            all: Barrier::new(cases.len()),
            turn: Mutex::default(),
            heir: Mutex::default(),
        };
        let all = cases.iter().map(async |&case| {
            let frozen = part(t.ground(), async |t| freezes(t, company, case).await);
            frozen.await.with_context(|| format!("frozen in {case:?}"))
        });
        try_join_all(all).await?;
        Ok(())
    })
}
