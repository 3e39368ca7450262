//! PostgreSQL as a judge can be trusted: who may log in does, who may not does not, and nothing stays behind.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{block_on, run};

use super::{Servers, processes_with};

#[test]
fn a_user_of_the_database_logs_in_with_the_right_password_only() -> Result<()> {
    run(async |t| {
        let db = t.ground().postgres().await?;
        let user = format!("{}_user", t.name());
        let made = format!("create role \"{user}\" login password 'the right one'");
        db.sql(&made).await?;
        assert_eq!(db.roles(t.name()).await?.join(", "), user);
        db.can_log_in(&user, "the right one").await?;
        let said = db.refuses(&user, "the wrong one").await?;
        assert!(said.contains("password authentication failed"), "{said}");
        let believed = db.refuses(&user, "the right one").await;
        assert!(believed.is_err(), "{believed:?}");
        db.sql(&format!("drop role \"{user}\"")).await?;
        db.refuses(&user, "the right one").await?;
        assert_eq!(db.roles(t.name()).await?, [""; 0]);
        Ok(())
    })
}

#[test]
fn a_database_that_is_stopped_refuses_nobody_and_keeps_its_users() -> Result<()> {
    run(async |t| {
        let db = t.ground().another_postgres().await?;
        db.sql("create role app login password 'kept for later'")
            .await?;
        db.stop().await?;
        let down = db.can_log_in("app", "kept for later").await;
        assert!(
            format!("{down:?}").contains("Connection refused"),
            "{down:?}"
        );
        let refusal = db.refuses("app", "kept for later").await;
        assert!(refusal.is_err(), "it is down: {refusal:?}");
        db.start_again().await?;
        db.can_log_in("app", "kept for later").await
    })
}

#[test]
fn a_killed_or_interrupted_database_leaves_nothing_behind() -> Result<()> {
    for signal in ["KILL", "INT"] {
        let mut ground = Servers::start(&["--postgres"])?;
        let held = processes_with(&ground.folder)?;
        let postmaster = held
            .iter()
            .find(|(_, line)| line.contains("/postgres -D"))
            .with_context(|| format!("find the server among {held:?}"))?
            .0;
        ensure!(
            !shared_memory_of(postmaster)?.is_empty(),
            "a running server holds shared memory that outlives processes: is this the right one? {held:?}"
        );
        ground.signal(signal)?;
        block_on(until("everything to be gone", SOON, async || {
            let gone = processes_with(&ground.folder)?.is_empty() && !fs::exists(&ground.folder)?;
            Ok(gone.then_some(()))
        }))??;
        assert_eq!(shared_memory_of(postmaster)?, [""; 0], "after SIG{signal}");
    }
    Ok(())
}

/// The kernel's lines about the System V shared memory that a process has created; a process ends without it.
fn shared_memory_of(creator: u32) -> Result<Vec<String>> {
    let table = fs::read_to_string("/proc/sysvipc/shm")?;
    let of_it = table.lines().filter(|line| {
        let cell = line.split_whitespace().nth(4);
        cell.and_then(|pid| pid.parse().ok()) == Some(creator)
    });
    Ok(of_it.map(str::to_owned).collect())
}
