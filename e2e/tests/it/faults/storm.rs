//! The operator is killed again and again, at any moment, while people work.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use vaultbridge_e2e::dice::Dice;
use vaultbridge_e2e::stopwatch::Stopwatch;
use vaultbridge_e2e::wait::{SOON, pause, until};
use vaultbridge_e2e::{GroundOptions, SecretView, Tenant, run_alone};

/// How often the operator is killed.
const KILLS: u32 = 30;

/// How long it lives at most between two kills: as long as a start and a few passes take.
const LONGEST_LIFE_MILLIS: u64 = 700;

/// Names of the objects that people work with.
const NAMES: [&str; 8] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight",
];

/// What people have asked for, by object: which password is in Vault, and under which name the Secret shall be.
#[derive(Debug, Default)]
struct Wanted(BTreeMap<&'static str, (String, String)>);

impl Wanted {
    /// One thing that somebody does.
    async fn change(&mut self, t: &Tenant, dice: &mut Dice, round: u32) -> Result<()> {
        let name = NAMES[dice.below(NAMES.len())];
        let password = format!("password of round {round}");
        let Some((known, secret)) = self.0.get_mut(name) else {
            t.password(name, &password).await?;
            t.apply_app(name, "1s").await?;
            self.0.insert(name, (password, name.to_owned()));
            return Ok(());
        };
        match dice.below(6) {
            0 => {
                t.delete("VaultSecret", name).await?;
                self.0.remove(name);
            }
            1 => {
                let other = format!("{name}-{round}");
                let change = json!({ "spec": { "destination": { "name": other } } });
                t.patch("VaultSecret", name, &change).await?;
                *secret = other;
            }
            2 => t.delete("Secret", secret).await?,
            3 if t.secret_now(secret).await?.is_some() => {
                let harm = json!({ "stringData": { "password": "tampered with", "extra": "key" } });
                // It may have gone meanwhile, which is harm enough.
                drop(t.patch("Secret", secret, &harm).await);
            }
            _ => {
                t.password(name, &password).await?;
                *known = password;
            }
        }
        Ok(())
    }
}

/// The state in which everything has to end.
async fn is_right(t: &Tenant, wanted: &Wanted) -> Result<()> {
    for (name, (password, secret)) in &wanted.0 {
        let found = t.secret_with(secret, "password", password).await?;
        assert_eq!(found.keys(), ["password", "username"], "{secret}");
        let what = format!("to tell of the Secret {secret} as it is");
        t.wait("VaultSecret", name, &what, |object| {
            let (status, record) = (&object["status"], record(&found));
            status["secretName"] == secret.as_str()
                && status["revision"] == record["revision"]
                && status["observedGeneration"] == object["metadata"]["generation"]
        })
        .await?;
        t.ready(name).await?;
        t.reports(name, "Synced", "True", "Synced").await?;
    }
    let mut expected: Vec<&str> = wanted
        .0
        .values()
        .map(|(_, secret)| secret.as_str())
        .collect();
    expected.push("a-stranger");
    expected.sort_unstable();
    let secrets = t.api("Secret").await?;
    until("no other Secrets", SOON, async || {
        let found: Vec<String> = secrets
            .list(&ListParams::default())
            .await?
            .iter()
            .map(kube::ResourceExt::name_any)
            .collect();
        ensure!(
            found == expected,
            "there are {found:?} instead of {expected:?}"
        );
        Ok(Some(()))
    })
    .await
}

fn record(secret: &SecretView) -> Value {
    let annotations = secret.metadata().annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get("vaultbridge.dev/state"));
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// People work, and the operator is killed between any two of its requests.
async fn storm(t: &Tenant, dice: &mut Dice, wanted: &mut Wanted) -> Result<()> {
    for round in 0..KILLS {
        for _ in 0..=dice.below(3) {
            wanted.change(t, dice, round).await?;
        }
        pause(Duration::from_millis(dice.up_to(LONGEST_LIFE_MILLIS))).await;
        t.operator()?.kill()?;
        wanted.change(t, dice, round).await?;
        t.operator()?.start_again()?;
    }
    Ok(())
}

#[test]
fn an_operator_that_is_killed_at_any_moment_leaves_everything_right() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        let stranger =
            "{ kind: Secret, metadata: { name: a-stranger }, stringData: { key: value } }";
        t.apply(stranger).await?;
        let stranger = t.secret("a-stranger").await?;
        let mut dice = Dice::from_env()?;
        let mut wanted = Wanted::default();
        let repeat = format!("repeat it with VAULTBRIDGE_SEED={}", dice.seed());
        let storm = storm(t, &mut dice, &mut wanted);
        storm.await.with_context(|| repeat.clone())?;
        let quiet = Stopwatch::start();
        is_right(t, &wanted)
            .await
            .with_context(|| format!("{repeat}; wanted is {wanted:?}"))?;
        quiet.tell(&format!(
            "after {KILLS} kills ({repeat}) everything was right after"
        ));
        let untouched = t.secret("a-stranger").await?;
        assert_eq!(untouched.resource_version(), stranger.resource_version());
        t.ground().ensure_no_leak().await
    })
}

#[test]
fn a_secret_that_no_status_ever_told_of_goes_when_its_object_asks_for_another_name() -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1000h").await?;
        t.operator()?.stop().await?;
        // As if it had been killed between the Secret and the status.
        let untold = Patch::Merge(json!({ "status": null }));
        let objects = t.api("VaultSecret").await?;
        objects
            .patch_status("app", &PatchParams::default(), &untold)
            .await?;
        let renamed = json!({ "spec": { "destination": { "name": "renamed" } } });
        t.patch("VaultSecret", "app", &renamed).await?;
        t.operator()?.start_again()?;
        t.secret_with("renamed", "password", "first password")
            .await?;
        t.wait_gone("Secret", "app").await
    })
}

/// Refuses the deletion of every Secret of the tenant, so that a rename stops halfway.
async fn forbid_deletions(t: &Tenant) -> Result<()> {
    t.refuse("DELETE", "secrets", &[("false", "nothing goes")])
        .await?;
    until("the policy to be in force", SOON, async || {
        t.apply("{ kind: Secret, metadata: { name: probe } }")
            .await?;
        Ok(t.delete("Secret", "probe").await.is_err().then_some(()))
    })
    .await
}

async fn allow_deletions(t: &Tenant) -> Result<()> {
    t.refuse_no_more().await?;
    until("deletions to be possible again", SOON, async || {
        t.delete("Secret", "probe").await.map(Some)
    })
    .await
}

async fn rename(t: &Tenant, name: &str) -> Result<()> {
    let renamed = json!({ "spec": { "destination": { "name": name } } });
    t.patch("VaultSecret", "app", &renamed).await?;
    Ok(())
}

/// Renames the Secret from `a` to `b`, kills the operator before `a` is gone, has the object ask for the third name, and starts it again.
fn killed_in_a_rename(third: &'static str) -> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1h").await?;
        rename(t, "a").await?;
        t.wait_gone("Secret", "app").await?;
        t.ready("app").await?;
        forbid_deletions(t).await?;
        rename(t, "b").await?;
        let words = ["delete the earlier Secret a", "nothing goes"];
        t.event("VaultSecret", "app", "AdmissionDenied", &words)
            .await?;
        t.secret("b").await?;
        t.ready("app").await?;
        t.operator()?.kill()?;
        rename(t, third).await?;
        allow_deletions(t).await?;
        t.operator()?.start_again()?;
        t.secret_with(third, "password", "first password").await?;
        for name in ["a", "b"] {
            if name != third {
                t.wait_gone("Secret", name).await?;
            }
        }
        t.ready("app").await?;
        let left = t.secrets_now("").await?;
        assert_eq!(left.len(), 1, "one Secret is asked for");
        Ok(())
    })
}

#[test]
fn an_earlier_secret_that_may_not_be_deleted_goes_as_soon_as_it_may_and_the_object_is_ready_meanwhile()
-> Result<()> {
    run_alone(&GroundOptions::default(), async |t| {
        t.app("app", "first password", "1000h").await?;
        forbid_deletions(t).await?;
        rename(t, "b").await?;
        let words = ["delete the earlier Secret app", "nothing goes"];
        t.event("VaultSecret", "app", "AdmissionDenied", &words)
            .await?;
        t.secret_with("b", "password", "first password").await?;
        t.ready("app").await?;
        allow_deletions(t).await?;
        t.wait_gone("Secret", "app").await
    })
}

#[test]
fn a_rename_that_a_kill_cuts_short_leaves_nothing_behind_when_another_follows() -> Result<()> {
    killed_in_a_rename("c")
}

#[test]
fn a_rename_that_a_kill_cuts_short_and_a_person_takes_back_leaves_nothing_behind() -> Result<()> {
    killed_in_a_rename("a")
}
