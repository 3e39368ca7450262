//! Several instances: one leads, the others stand by, and no two ever work at once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;
use vaultbridge::minting::Stage;
use vaultbridge_e2e::operator::{self, Operator};
use vaultbridge_e2e::stopwatch::Stopwatch;
use vaultbridge_e2e::vault_server::DatabaseRole;
use vaultbridge_e2e::wait::{SOON, until};
use vaultbridge_e2e::{GroundOptions, Tenant, objects, run_alone};

use crate::leases::faults::{PROMPT, ask, demand, well};
use crate::leases::{another_user, database_user, only_users};
use crate::program::lacks::grant;

/// How long others wait for a leader that is silent.
const LEASE: Duration = Duration::from_secs(5);

/// How long a leader leads without a renewal.
const DEADLINE: Duration = Duration::from_secs(3);

/// The flags of the first instance.
const FIRST: [&str; 11] = [
    "--leader-elect",
    "--pod-name",
    "one",
    "--pod-uid",
    "1",
    "--leader-elect-lease-duration",
    "5s",
    "--leader-elect-renew-deadline",
    "3s",
    "--leader-elect-retry-period",
    "1s",
];

/// The service account of the second instance: the audit log tells them apart by it.
const SECOND: &str = "vaultbridge-two";

/// A ground whose operator competes for the lead.
pub fn options() -> GroundOptions {
    GroundOptions {
        flags: FIRST.to_vec(),
        ..GroundOptions::default()
    }
}

/// Starts the second instance, and waits until it stands by.
async fn second(t: &Tenant) -> Result<Operator> {
    grant(t, SECOND, None).await?;
    let folder = t.ground().folder().join(SECOND);
    let flags = FIRST.map(|flag| match flag {
        "one" => "two",
        "1" => "2",
        other => other,
    });
    let flags = [&["--allow-plain-http"], flags.as_slice()].concat();
    let control_plane = t.ground().control_plane();
    let second = Operator::start_as(control_plane, SECOND, &folder, &flags).await?;
    stands_by(&second, "one_1").await?;
    Ok(second)
}

/// Waits until the instance is ready and says that the other leads.
async fn stands_by(instance: &Operator, leader: &str) -> Result<()> {
    let expected = (200, format!("standing by: {leader} leads\n"));
    until(
        &format!("an instance to say {expected:?}"),
        SOON,
        async || Ok((instance.readiness().await? == expected).then_some(())),
    )
    .await
}

/// Waits until the instance works.
async fn works(instance: &Operator) -> Result<()> {
    let expected = (200, "ok\n".to_owned());
    until("an instance to work", SOON, async || {
        Ok((instance.readiness().await? == expected).then_some(()))
    })
    .await
}

/// The holder of the Lease, and how often it changed hands.
async fn lease(t: &Tenant) -> Result<(String, i32)> {
    let client = t.ground().control_plane().client().clone();
    let lease = Api::<Lease>::namespaced(client, operator::NAMESPACE);
    let spec = lease.get("vaultbridge").await?.spec;
    let spec = spec.context("read the Lease")?;
    let holder = spec.holder_identity.unwrap_or_default();
    Ok((holder, spec.lease_transitions.unwrap_or_default()))
}

/// Writes into the Lease that somebody else holds it for so many seconds.
pub async fn another_leads(t: &Tenant, holder: &str, seconds: u32) -> Result<()> {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": "vaultbridge", "namespace": operator::NAMESPACE },
        "spec": { "holderIdentity": holder, "leaseDurationSeconds": seconds },
    });
    let applied = objects::apply(t.ground().control_plane().client(), &lease).await;
    applied.map(drop)
}

/// Waits until that instance holds the Lease.
async fn is_held_by(t: &Tenant, holder: &str) -> Result<()> {
    until(&format!("{holder} to lead"), SOON, async || {
        Ok((lease(t).await?.0 == holder).then_some(()))
    })
    .await
}

/// A new value arrives in the Secret.
async fn follows(t: &Tenant, password: &str) -> Result<()> {
    t.password("app", password).await?;
    t.secret_with("app", "password", password).await?;
    Ok(())
}

#[test]
fn a_standby_does_nothing_until_the_leader_is_killed_or_ends_and_then_it_leads() -> Result<()> {
    run_alone(&options(), async |t| {
        t.app("app", "from the first", "1s").await?;
        let one = t.operator()?;
        let mark = t.mark().await?;
        let two = second(t).await?;
        follows(t, "while both are there").await?;
        let asked = t.ground().kube_requests_of(&mark, SECOND).await?;
        let changed = asked.clone().writes();
        assert_eq!(changed.len(), 0, "a standby changes nothing: {changed}");
        let secrets = asked.resource("secrets");
        assert_eq!(secrets.len(), 0, "a standby reads no Secret: {secrets}");

        let watch = Stopwatch::start();
        one.kill()?;
        is_held_by(t, "two_2").await?;
        let took = watch.time();
        watch.tell("after SIGKILL the standby leads");
        ensure!(
            took < LEASE + DEADLINE,
            "the standby waited for {took:?}, and the Lease lasts {LEASE:?}"
        );
        follows(t, "from the second").await?;
        works(&two).await?;

        one.start_again()?;
        stands_by(one, "two_2").await?;
        let watch = Stopwatch::start();
        two.stop().await?;
        is_held_by(t, "one_1").await?;
        watch.tell("after SIGTERM the standby leads");
        assert_eq!(lease(t).await?.1, 2, "it changed hands twice");
        follows(t, "from the first again").await?;
        works(one).await
    })
}

#[test]
fn a_leader_that_wakes_up_when_another_leads_changes_nothing_and_issues_nothing() -> Result<()> {
    run_alone(&options(), async |t| {
        t.app("app", "before it froze", "1s").await?;
        let path = t.database(&DatabaseRole::default()).await?;
        database_user(t, "db", &path, PROMPT).await?;
        let old = well(t, "db").await?;
        let one = t.operator()?;
        let two = second(t).await?;
        // It has a commit of new credentials in its hand, and everything else to do as well.
        t.order(&[&format!("freeze before {:?}", Stage::Commit)])?;
        demand(t, "db", "1").await?;
        t.obeyed().await?;
        let frozen = Stopwatch::start();
        is_held_by(t, "two_2").await?;
        frozen.tell("after SIGSTOP the standby leads");
        another_user(t, "db", &old).await?;
        let user = well(t, "db").await?;
        follows(t, "while it was frozen").await?;
        ask(t, "late", &path, PROMPT).await?;
        t.ready("late").await?;
        let late = t.secret("late").await?.text("username")?;

        let mark = t.mark().await?;
        one.service().thaw()?;
        until("the first one to end", SOON, async || {
            Ok(one.service().ensure_running().is_err().then_some(()))
        })
        .await?;
        let told = one.log_tail(20);
        ensure!(
            told.contains("two_2 leads now"),
            "it says why it ends:\n{told}"
        );
        let asked = t.kube_requests(&mark).await?;
        let changed = asked.writes().only(|request| request.code < 300);
        assert_eq!(changed.len(), 0, "it changed something: {changed}");
        let secret = t.secret("db").await?;
        assert_eq!(secret.text("username")?, user);
        t.logs_in(&secret).await?;
        let mut users = [user.as_str(), late.as_str()];
        users.sort_unstable();
        only_users(t, &users).await?;
        works(&two).await
    })
}

#[test]
fn a_leader_without_an_api_server_goes_on_when_it_is_back_and_nobody_else_has_led() -> Result<()> {
    run_alone(&options(), async |t| {
        t.app("app", "before", "1s").await?;
        let one = t.operator()?;
        let process = one.service().id()?;
        let control_plane = t.ground().control_plane();
        control_plane.stop_apiserver().await?;
        let says = async |words: &str| {
            until(&format!("it to say {words:?}"), SOON, async || {
                Ok(one.log()?.contains(words).then_some(()))
            })
            .await
        };
        says("the Lease cannot be renewed").await?;
        control_plane.start_apiserver().await?;
        says("leading again").await?;
        follows(t, "after").await?;
        assert_eq!(one.service().id()?, process);
        assert_eq!(lease(t).await?, ("one_1".to_owned(), 0));
        Ok(())
    })
}

#[test]
fn a_lease_that_somebody_deletes_or_edits_is_mended_by_whoever_leads() -> Result<()> {
    run_alone(&options(), async |t| {
        t.app("app", "before", "1s").await?;
        let two = second(t).await?;
        let client = t.ground().control_plane().client().clone();
        let leases = Api::<Lease>::namespaced(client, operator::NAMESPACE);
        leases
            .delete("vaultbridge", &DeleteParams::default())
            .await?;
        is_held_by(t, "one_1").await?;
        let note = json!({ "metadata": { "annotations": { "a": "note" } } });
        let params = PatchParams::default();
        let patch = Patch::Merge(&note);
        leases.patch("vaultbridge", &params, &patch).await?;
        follows(t, "after").await?;
        stands_by(&two, "one_1").await?;
        assert_eq!(lease(t).await?.0, "one_1");
        let spec = leases.get("vaultbridge").await?;
        let notes = spec.metadata.annotations.unwrap_or_default();
        assert_eq!(notes.get("a").map(String::as_str), Some("note"));
        Ok(())
    })
}
