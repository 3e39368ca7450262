//! The storm of kills: people work with objects while the operator is killed at any moment, and then it is counted what was left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{furnish, name, objects, row, sessions, verdict};
use crate::dice::Dice;
use crate::ground::Mark;
use crate::stopwatch::Stopwatch;
use crate::tenant::Tenant;
use crate::vault_server::{DatabaseRole, VaultRequests};
use crate::wait::{SOON, pause, until};

/// How long the operator lives at most between two kills: as long as a start and a few passes take.
const LONGEST_LIFE_MILLIS: u64 = 1500;

/// How long everything may take to come right after the last kill.
const QUIET: Duration = Duration::from_mins(2);

/// What people did.
#[derive(Debug, Default)]
struct Work {
    /// The objects that are there, each with the role that it asks for.
    objects: BTreeMap<String, usize>,
    /// How often somebody did something that takes new credentials.
    asked: usize,
    /// How often somebody did something that takes none.
    others: usize,
}

impl Work {
    /// One thing that somebody does.
    async fn change(&mut self, t: &Tenant, dice: &mut Dice, many: usize, round: u32) -> Result<()> {
        let name = format!("user-{}", dice.below(many));
        let Some(role) = self.objects.get(&name).copied() else {
            return self.create(t, &name).await;
        };
        let word = format!("{round}-{}", dice.below(1000));
        match dice.below(7) {
            0 => {
                t.delete("VaultSecret", &name).await?;
                self.objects.remove(&name);
                self.others += 1;
                return Ok(());
            }
            1 => t.delete("Secret", &name).await?,
            2 => {
                let demand = json!({ "vaultbridge.dev/force-sync": word });
                let demand = json!({ "metadata": { "annotations": demand } });
                t.patch("VaultSecret", &name, &demand).await?;
            }
            3 | 4 => {
                let sources = json!([{ "name": "db", "read": { "path": path(t, 1 - role) } }]);
                let edit = json!({ "spec": { "sources": sources } });
                t.patch("VaultSecret", &name, &edit).await?;
                self.objects.insert(name, 1 - role);
            }
            5 => {
                let harm = json!({ "stringData": { "password": "tampered with" } });
                // It may not be there yet.
                drop(t.patch("Secret", &name, &harm).await);
                self.others += 1;
                return Ok(());
            }
            _ => {
                let label = json!({ "spec": { "destination": { "labels": { "round": word } } } });
                t.patch("VaultSecret", &name, &label).await?;
                self.others += 1;
                return Ok(());
            }
        }
        self.asked += 1;
        Ok(())
    }

    async fn create(&mut self, t: &Tenant, name: &str) -> Result<()> {
        // The one that was deleted before may wait for its sessions still.
        if t.get("VaultSecret", name).await?.is_some() {
            return Ok(());
        }
        let path = path(t, 0);
        let spec = format!(
            "sources: [{{ name: db, read: {{ path: {path} }} }}]\nlease: {{ overlap: 1s, replaced: Revoke }}"
        );
        t.carry(name, &spec).await?;
        self.objects.insert(name.to_owned(), 0);
        self.asked += 1;
        Ok(())
    }
}

fn path(t: &Tenant, role: usize) -> String {
    let role = ["app", "reader"][role];
    format!("{}/creds/{role}", t.database_mount())
}

/// The roles whose users are asked for.
async fn roles(t: &Tenant) -> Result<()> {
    for name in ["app", "reader"] {
        let role = DatabaseRole {
            name,
            ..DatabaseRole::default()
        };
        t.database(&role).await?;
    }
    Ok(())
}

/// Kills the operator so often at random moments while people work with so many objects. Tells whether nothing was left behind, nothing dead was
/// served in the end, every credential that a Secret has held was asked
/// for, and no more were issued beside these than kills explain.
pub async fn storm(many: usize, kills: u32) -> Result<bool> {
    let t = &furnish("soak-storm").await?;
    roles(t).await?;
    let mut dice = Dice::from_env()?;
    println!(
        "storm, {kills} kills, seed {} (repeat it with VAULTBRIDGE_SEED)",
        dice.seed()
    );
    let (mark, mut work) = (t.mark().await?, Work::default());
    let seen = watch_users(t);
    for round in 0..kills {
        for _ in 0..=dice.below(3) {
            work.change(t, &mut dice, many, round).await?;
        }
        pause(Duration::from_millis(dice.up_to(LONGEST_LIFE_MILLIS))).await;
        t.operator()?.kill()?;
        t.operator()?.start_again()?;
    }
    let quiet = Stopwatch::start();
    let settled = comes_right(t, &work, &mark).await;
    quiet.tell("all was right after");
    if let Err(error) = &settled {
        println!("  {error:#}");
    }
    t.apply(&format!("{{ kind: Secret, metadata: {{ name: {END} }} }}"))
        .await?;
    let asked = mark.vault_requests()?;
    let issued = asked
        .clone()
        .reads()
        .below(&format!("{}/creds/", t.database_mount()));
    let refused = issued.clone().only(|request| !request.error.is_empty());
    let issued = issued.len() - refused.len();
    // What a Secret has held was asked for, and had to be issued; a kill may cost the credential that was under way.
    let needed = seen.await??.len();
    let lost = issued.saturating_sub(needed);
    let explained = needed <= work.asked && lost <= usize::try_from(kills)?;
    let tokens = t.vault().tokens_of(t.name()).await?.len();
    let (dead, leaked) = left(t).await?;
    let unsure = half_done(&asked, t);
    row("changes that take new credentials", work.asked);
    row("changes that take none", work.others);
    row("credentials issued", issued);
    row("of these, necessary: some Secret has held them", needed);
    row("of these, under way when the operator was killed", lost);
    row("objects in the end", work.objects.len());
    row("dead credentials in Secrets", dead);
    row("users that no Secret holds", leaked.len());
    row(
        "of these, at most, of requests that the server half did",
        unsure,
    );
    row("leases that live", t.leases().await?.len());
    row("of these, at most, without a user: the server's", stray(t)?);
    row("tokens that live (some only to their first end)", tokens);
    verdict(settled.is_ok() && dead == 0 && leaked.len() <= unsure && explained)
}

/// A Secret of this name ends the watch.
const END: &str = "end-of-the-storm";

/// Collects every user that any Secret ever holds, until a Secret named [`END`] comes. The API server keeps more of the past than a storm takes.
fn watch_users(t: &Tenant) -> JoinHandle<Result<BTreeSet<String>>> {
    let client = t.ground().control_plane().client().clone();
    let api: Api<Secret> = Api::namespaced(client, t.name());
    tokio::spawn(async move {
        let (mut users, mut version) = (BTreeSet::new(), "0".to_owned());
        loop {
            let events = api.watch(&WatchParams::default(), &version).await?;
            pin_mut!(events);
            while let Some(event) = events.next().await {
                let (WatchEvent::Added(secret) | WatchEvent::Modified(secret)) = event? else {
                    continue;
                };
                if secret.metadata.name.as_deref() == Some(END) {
                    return Ok(users);
                }
                version = secret.metadata.resource_version.unwrap_or(version);
                let data = secret.data.unwrap_or_default();
                let user = data.get("username").map(|user| user.0.clone());
                users.extend(user.and_then(|user| String::from_utf8(user).ok()));
            }
        }
    })
}

/// Waits until every object has its one session and its Secret, and nobody else is in the database.
async fn comes_right(t: &Tenant, work: &Work, since: &Mark) -> Result<()> {
    t.operator()?.ready().await?;
    until("everything to come right", QUIET, async || {
        let objects = objects(t).await?;
        let (found, wanted) = (objects.len(), work.objects.len());
        ensure!(found == wanted, "there are {found} objects, not {wanted}");
        for object in &objects {
            let sessions = sessions(object);
            let one = sessions.len() == 1 && sessions[0]["committed"] == true;
            ensure!(one, "{} has the sessions {sessions:?}", name(object)?);
        }
        let (dead, leaked) = left(t).await?;
        let (leases, stray) = (t.leases().await?.len(), stray(t)?);
        let unsure = half_done(&since.vault_requests()?, t);
        ensure!(
            dead == 0 && leaked.len() <= unsure && (wanted..=wanted + stray).contains(&leases),
            "{dead} dead credentials, users {leaked:?} too many, {leases} leases of {wanted} objects and {stray} that the server could not take back"
        );
        Ok(Some(()))
    })
    .await
    .with_context(|| format!("wanted is {:?}", work.objects))?;
    until("the operator to be ready", SOON, async || {
        Ok((t.operator()?.readyz().await? == 200).then_some(()))
    })
    .await
}

/// How often the server dropped a user whose lease it could not register, as its client had died, and could not take the entry of the lease back either,
/// by its own log. Such an entry has no user, and nobody knows its id.
fn stray(t: &Tenant) -> Result<usize> {
    let log = t.vault().folder().join("server.log");
    let log = fs::read_to_string(&log).with_context(|| format!("read {}", log.display()))?;
    Ok(log.matches("failed to delete lease entry").count())
}

/// How often the server itself does not know whether it made a user, as its client died while it told the database to keep it: it answers with nothing but
/// `context canceled` (Vault: `timeout: context canceled`), and has no lease for that user. What was undone with certainty, it says otherwise.
fn half_done(asked: &VaultRequests, t: &Tenant) -> usize {
    let creds = asked
        .clone()
        .below(&format!("{}/creds/", t.database_mount()));
    let unsure = creds.only(|request| {
        let mut words = request.error.split("* ").skip(1);
        words
            .next()
            .is_some_and(|words| words.trim() == "context canceled")
    });
    unsure.len()
}

/// How many Secrets hold dead credentials, and which users no Secret holds.
async fn left(t: &Tenant) -> Result<(usize, Vec<String>)> {
    let (secrets, mut dead) = (t.secrets_now("user").await?, 0);
    let mut held = Vec::new();
    for secret in &secrets {
        dead += usize::from(t.logs_in(secret).await.is_err());
        held.push(secret.text("username")?);
    }
    let users = t.database_users().await?;
    let leaked = users.into_iter().filter(|user| !held.contains(user));
    Ok((dead, leaked.collect()))
}
