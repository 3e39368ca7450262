//! Two operators at once: one freezes with a request in its hand, another takes over, and the first wakes up.

use anyhow::{Context as _, Result};
use vaultbridge::minting::Stage;
use vaultbridge_e2e::operator::Operator;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, run_alone};

use super::{PROMPT, another_user, ask, database_user, demand, only_users, well};

/// Freezes the operator before that request for an object, has another do the work, and lets the first go on. The second one stays meanwhile.
async fn freezes(t: &Tenant, number: usize, stage: Stage, path: &str, first: bool) -> Result<()> {
    let (operator, name) = (t.operator()?, format!("db-{number}"));
    let old = if first {
        String::new()
    } else {
        database_user(t, &name, path, PROMPT).await?;
        well(t, &name).await?
    };
    operator.order(&format!("freeze before {stage:?}"))?;
    if first {
        ask(t, &name, path, PROMPT).await?;
    } else {
        demand(t, &name, "1").await?;
    }
    operator.obeyed().await?;
    let folder = t.ground().folder().join(format!("second-{number}"));
    let second = Operator::start(t.ground().control_plane(), &folder, &[]).await?;
    second.ready().await?;
    another_user(t, &name, &old).await?;
    let user = well(t, &name).await?;
    operator.service().thaw()?;
    let awake = format!("before {stage:?}");
    until("the first operator to be awake", SOON, async || {
        let log = operator.log()?;
        let mut lines = log.lines().filter(|line| line.contains("awake again"));
        Ok(lines.any(|line| line.contains(&awake)).then_some(()))
    })
    .await?;
    // Whatever it had in its hand is done once it follows what happens after.
    let late = format!("late-{number}");
    ask(t, &late, path, PROMPT).await?;
    t.ready(&late).await?;
    let late_user = t.secret(&late).await?.text("username")?;
    let secret = t.secret(&name).await?;
    t.logs_in(&secret).await?;
    assert_eq!(
        secret.text("username")?,
        user,
        "the late commit did nothing"
    );
    let mut users = [user.as_str(), late_user.as_str()];
    users.sort_unstable();
    only_users(t, &users).await?;
    drop(second);
    for name in [name, late] {
        t.delete("VaultSecret", &name).await?;
        t.wait_gone("VaultSecret", &name).await?;
    }
    only_users(t, &[]).await
}

#[test]
fn an_operator_that_wakes_up_late_serves_no_dead_credential_and_leaks_none() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let path = t.database(&DatabaseRole::default()).await?;
        let stages = [
            Stage::LogIn,
            Stage::WriteAhead,
            Stage::Issue,
            Stage::Commit,
            Stage::Report,
        ];
        for (number, stage) in stages.into_iter().enumerate() {
            for first in [true, false] {
                let number = 2 * number + usize::from(first);
                freezes(t, number, stage, &path, first)
                    .await
                    .with_context(|| format!("frozen before {stage:?}, first: {first}"))?;
            }
        }
        Ok(())
    })
}
