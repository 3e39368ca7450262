//! Every cell of the tables in `docs/ownership.md`, tried on a real API server. The page is the list of tests: a cell that no test knows fails, and so does a
//! combination or a situation without a cell.

mod changes;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use vaultbridge_e2e::operator::project;
use vaultbridge_e2e::tenant::condition;
use vaultbridge_e2e::{SecretView, Tenant, run, source};

use crate::ownership::adopting::{hands, owners_of};

/// What the object brings, and what others have.
const OURS: &str = "a value out of the matrix";
const THEIRS: &str = "b2YgdGhlaXJz"; // "of theirs"

/// A table of the page: its first line, and its rows.
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The table of the page whose first column has that name.
pub fn table(first: &str) -> Result<Table> {
    let page = std::fs::read_to_string(project().join("docs/ownership.md"))?;
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim().trim_matches('|');
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = page.lines();
    let head = format!("| {first} |");
    let head = lines.find(|line| line.starts_with(&head));
    let columns = cells(head.with_context(|| format!("find the table {first}"))?);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    ensure!(!rows.is_empty(), "the table {first} is empty");
    ensure!(
        rows.iter().all(|row| row.len() == columns.len()),
        "a row is too short"
    );
    Ok(Table { columns, rows })
}

/// A combination of policies.
#[derive(Clone, Copy)]
pub struct Policies<'a> {
    pub creation: &'a str,
    pub deletion: &'a str,
    pub adoption: &'a str,
}

impl Policies<'_> {
    fn merges(self) -> bool {
        self.creation != "Create"
    }

    /// The destination of an object.
    fn destination(self, secret: &str) -> String {
        format!(
            "destination: {{ name: {secret}, creationPolicy: {}, deletionPolicy: {}, adoptionPolicy: {} }}",
            self.creation, self.deletion, self.adoption
        )
    }

    /// Who owns the keys of an object of that name.
    pub fn owner(self, object: &str) -> String {
        if self.merges() {
            format!("vaultbridge/{object} Apply")
        } else {
            "vaultbridge Update".to_owned()
        }
    }
}

/// Applies an object of that name, which has the Secret of its name, and the key `ours` in Vault.
pub async fn object(t: &Tenant, name: &str, policies: Policies<'_>) -> Result<Value> {
    t.put(name, json!({ "ours": OURS })).await?;
    let spec = format!("{}\n{}", source(name), policies.destination(name));
    t.carry(name, &spec).await
}

/// A Secret that somebody else has made.
pub async fn foreign(t: &Tenant, name: &str) -> Result<SecretView> {
    let text = format!(
        "{{ kind: Secret, metadata: {{ name: {name}, labels: {{ whose: theirs }} }}, data: {{ theirs: {THEIRS} }} }}"
    );
    t.apply(&text).await?;
    t.secret(name).await
}

/// Waits until the object is reported on, and tells whether it is ready, or has a conflict.
pub async fn is_ready(t: &Tenant, name: &str) -> Result<bool> {
    let object = t.wait("VaultSecret", name, "to be told of", |object| {
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        let ready = condition(object, "Ready");
        current
            && ready.is_some_and(|ready| {
                ready["status"] == "True" || ready["reason"] == "SecretConflict"
            })
    });
    let object = object.await?;
    Ok(condition(&object, "Ready").is_some_and(|ready| ready["status"] == "True"))
}

/// Waits until the object is ready, on a Secret of others where it merges.
async fn stand(t: &Tenant, name: &str, policies: Policies<'_>) -> Result<SecretView> {
    if policies.merges() {
        foreign(t, name).await?;
    }
    object(t, name, policies).await?;
    t.ready(name).await?;
    let secret = t.secret_with(name, "ours", OURS).await?;
    owned(&secret, "ours", &policies.owner(name))?;
    Ok(secret)
}

pub fn owned(secret: &SecretView, key: &str, owner: &str) -> Result<()> {
    let owners = owners_of(secret, key);
    ensure!(
        owners == [owner],
        "{key} is owned by {owners:?}: {:?}",
        hands(secret)
    );
    Ok(())
}

fn has(secret: &SecretView, keys: &[&str]) -> Result<()> {
    ensure!(
        secret.keys() == keys,
        "it has {:?}, not {keys:?}",
        secret.keys()
    );
    Ok(())
}

/// Whoever has seen this one go has seen what was to go before it.
pub async fn fence(t: &Tenant) -> Result<()> {
    t.put("fence", json!({ "ours": OURS })).await?;
    t.carry("fence", &source("fence")).await?;
    t.ready("fence").await?;
    t.delete("VaultSecret", "fence").await?;
    t.wait_gone("Secret", "fence").await
}

/// One cell of the matrix.
async fn cell(t: &Tenant, policies: Policies<'_>, situation: &str, expected: &str) -> Result<()> {
    let name = situation.replace(' ', "-");
    let name = name.as_str();
    match situation {
        "absent" => absent(t, name, policies, expected).await,
        "own" => own(t, name, policies, expected).await,
        "foreign" => {
            let before = foreign(t, name).await?;
            meets(t, name, policies, &before, expected, "a-person Apply").await
        }
        "held" => {
            another(t, name, "Create").await?;
            let before = t.secret(name).await?;
            meets(t, name, policies, &before, expected, "").await
        }
        "shared" => {
            another(t, name, "CreateOrMerge").await?;
            let before = t.secret(name).await?;
            let owner = format!("vaultbridge/another-{name} Apply");
            meets(t, name, policies, &before, expected, &owner).await
        }
        "foreign key" => foreign_key(t, name, policies, expected).await,
        "dropped" => dropped(t, name, policies, expected).await,
        "renamed" => renamed(t, name, policies, expected).await,
        "deleted" => deleted(t, name, policies, expected).await,
        _ => bail!("no test knows this situation"),
    }
}

async fn absent(t: &Tenant, name: &str, policies: Policies<'_>, expected: &str) -> Result<()> {
    object(t, name, policies).await?;
    match (is_ready(t, name).await?, expected) {
        (true, "made") => {
            let secret = t.secret(name).await?;
            has(&secret, &["ours"])?;
            let owners = secret.metadata().owner_references.iter().flatten().count();
            let wanted = usize::from(!policies.merges() && policies.deletion == "Delete");
            ensure!(owners == wanted, "it has {owners} owners");
            owned(&secret, "ours", &policies.owner(name))
        }
        (false, "waits") => {
            ensure!(t.secret_now(name).await?.is_none(), "it was made");
            foreign(t, name).await?;
            t.secret_with(name, "ours", OURS).await.map(drop)
        }
        (ready, _) => bail!("ready: {ready}"),
    }
}

async fn own(t: &Tenant, name: &str, policies: Policies<'_>, expected: &str) -> Result<()> {
    ensure!(expected == "kept", "no test knows this");
    let before = stand(t, name, policies).await?;
    let faster = json!({ "spec": { "refresh": { "interval": "3s" } } });
    t.patch("VaultSecret", name, &faster).await?;
    t.ready(name).await?;
    let after = t.secret(name).await?;
    ensure!(
        before.resource_version() == after.resource_version(),
        "it was written"
    );
    Ok(())
}

/// Another object that has the Secret of that name, or keys in it.
async fn another(t: &Tenant, name: &str, creation: &str) -> Result<()> {
    let other = format!("another-{name}");
    t.put(&other, json!({ "theirs": "a value of the other" }))
        .await?;
    let spec = format!(
        "{}\ndestination: {{ name: {name}, creationPolicy: {creation} }}",
        source(&other)
    );
    t.carry(&other, &spec).await?;
    t.ready(&other).await.map(drop)
}

/// The object meets a Secret with the key `theirs`, whose owner that is.
async fn meets(
    t: &Tenant,
    name: &str,
    policies: Policies<'_>,
    before: &SecretView,
    expected: &str,
    owner: &str,
) -> Result<()> {
    let mark = t.ground().mark().await?;
    object(t, name, policies).await?;
    let ready = is_ready(t, name).await?;
    let after = t.secret(name).await?;
    match (ready, expected) {
        (false, "refused") => {
            let same = before.resource_version() == after.resource_version();
            ensure!(same, "it was written");
            ensure!(t.reads_of(name, &mark)? == 0, "Vault was asked");
            Ok(())
        }
        (true, "taken over") => {
            has(&after, &["ours"])?;
            ensure!(before.uid() == after.uid(), "it was made anew");
            owned(&after, "ours", &policies.owner(name))
        }
        (true, "merged") => {
            has(&after, &["ours", "theirs"])?;
            ensure!(before.uid() == after.uid(), "it was made anew");
            owned(&after, "theirs", owner)?;
            owned(&after, "ours", &policies.owner(name))
        }
        (ready, _) => bail!("ready: {ready}, with {:?}", after.keys()),
    }
}

async fn foreign_key(t: &Tenant, name: &str, policies: Policies<'_>, expected: &str) -> Result<()> {
    stand(t, name, policies).await?;
    let added = json!({ "data": { "added": THEIRS } });
    t.patch("Secret", name, &added).await?;
    let mark = t.mark().await?;
    t.polls(&mark, name, 2).await?;
    let secret = t.secret(name).await?;
    let is_there = secret.keys().contains(&"added");
    ensure!(
        (is_there, expected) == (true, "stays") || (is_there, expected) == (false, "removed"),
        "it has {:?}",
        secret.keys()
    );
    owned(&secret, "ours", &policies.owner(name))
}

async fn dropped(t: &Tenant, name: &str, policies: Policies<'_>, expected: &str) -> Result<()> {
    ensure!(expected == "key goes", "no test knows this");
    stand(t, name, policies).await?;
    t.put(name, json!({ "ours": OURS, "more": "a second one" }))
        .await?;
    t.secret_with(name, "more", "a second one").await?;
    t.put(name, json!({ "ours": OURS })).await?;
    let left: &[&str] = if policies.merges() {
        &["ours", "theirs"]
    } else {
        &["ours"]
    };
    let what = format!("to have the keys {left:?}");
    t.secret_when(name, &what, |secret| secret.keys() == left)
        .await
        .map(drop)
}

async fn renamed(t: &Tenant, name: &str, policies: Policies<'_>, expected: &str) -> Result<()> {
    stand(t, name, policies).await?;
    let new = format!("{name}-anew");
    if policies.merges() {
        foreign(t, &new).await?;
    }
    let elsewhere = json!({ "spec": { "destination": { "name": new } } });
    t.patch("VaultSecret", name, &elsewhere).await?;
    let secret = t.secret_with(&new, "ours", OURS).await?;
    owned(&secret, "ours", &policies.owner(name))?;
    match expected {
        "Secret moves" => t.wait_gone("Secret", name).await,
        "keys move" => {
            let left = t.secret_when(name, "to have lost our key", |secret| {
                secret.keys() == ["theirs"]
            });
            owned(&left.await?, "theirs", "a-person Apply")
        }
        _ => bail!("no test knows this"),
    }
}

async fn deleted(t: &Tenant, name: &str, policies: Policies<'_>, expected: &str) -> Result<()> {
    let before = stand(t, name, policies).await?;
    t.delete("VaultSecret", name).await?;
    t.wait_gone("VaultSecret", name).await?;
    if expected == "Secret goes" {
        return t.wait_gone("Secret", name).await;
    }
    fence(t).await?;
    let secret = t.secret(name).await?;
    ensure!(secret.uid() == before.uid(), "it was made anew");
    match expected {
        "Secret stays" => has(&secret, &["ours"]),
        "keys stay" => has(&secret, &["ours", "theirs"]),
        "keys go" => {
            has(&secret, &["theirs"])?;
            let managers: BTreeSet<_> = hands(&secret).into_iter().map(|hand| hand.0).collect();
            ensure!(managers == ["a-person".to_owned()].into(), "{managers:?}");
            Ok(())
        }
        _ => bail!("no test knows this"),
    }
}

const COMBINATIONS: [&str; 8] = [
    "Create, Delete, Refuse",
    "Create, Delete, Adopt",
    "Create, Retain, Refuse",
    "Create, Retain, Adopt",
    "CreateOrMerge, Delete, Refuse",
    "CreateOrMerge, Retain, Refuse",
    "Merge, Delete, Refuse",
    "Merge, Retain, Refuse",
];

const SITUATIONS: [&str; 9] = [
    "absent",
    "own",
    "foreign",
    "held",
    "shared",
    "foreign key",
    "dropped",
    "renamed",
    "deleted",
];

/// The policies that a row begins with.
pub fn policies(combination: &str) -> Result<Policies<'_>> {
    let words: Vec<&str> = combination.split(", ").collect();
    let [creation, deletion, adoption] = words[..] else {
        bail!("{combination} is no combination");
    };
    Ok(Policies {
        creation,
        deletion,
        adoption,
    })
}

/// Names a cell that was tried.
#[expect(
    clippy::print_stdout,
    reason = "who reads the test's output sees which cells were tried"
)]
pub fn tell(cell: &str) {
    println!("{cell}");
}

/// Tries all cells of one row.
fn row(combination: &'static str) -> Result<()> {
    run(async |t| {
        let Table { columns, rows } = table("Combination")?;
        let row = rows.iter().find(|row| row[0] == combination);
        let row = row.context("the combination has no row")?;
        let policies = policies(combination)?;
        for (situation, expected) in columns.iter().zip(row).skip(1) {
            let tried = Box::pin(cell(t, policies, situation, expected)).await;
            tried.with_context(|| format!("cell [{combination}] {situation}: {expected}"))?;
            tell(&format!("cell [{combination}] {situation}: {expected}"));
        }
        Ok(())
    })
}

#[test]
fn every_combination_and_every_situation_has_its_cell() -> Result<()> {
    let Table { columns, rows } = table("Combination")?;
    let combinations: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(combinations, COMBINATIONS);
    assert_eq!(columns[1..], SITUATIONS);
    Ok(())
}

#[test]
fn what_merges_cannot_adopt() -> Result<()> {
    run(async |t| {
        for creation in ["CreateOrMerge", "Merge"] {
            for deletion in ["Delete", "Retain"] {
                let yaml = format!(
                    "{{ kind: VaultSecret, metadata: {{ name: app }}, spec: {{ auth: {{ role: r }}, sources: [{{ name: a, kv: {{ path: a/b }} }}], destination: {{ creationPolicy: {creation}, deletionPolicy: {deletion}, adoptionPolicy: Adopt }} }} }}"
                );
                let words = [
                    "spec.destination",
                    "adoptionPolicy: Adopt",
                    "creationPolicy: Create",
                ];
                t.expect_refusal(&yaml, &words).await?;
                tell(&format!(
                    "cell [{creation}, {deletion}, Adopt]: refused by the schema"
                ));
            }
        }
        Ok(())
    })
}

#[test]
fn create_delete_refuse_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[0])
}

#[test]
fn create_delete_adopt_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[1])
}

#[test]
fn create_retain_refuse_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[2])
}

#[test]
fn create_retain_adopt_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[3])
}

#[test]
fn create_or_merge_delete_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[4])
}

#[test]
fn create_or_merge_retain_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[5])
}

#[test]
fn merge_delete_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[6])
}

#[test]
fn merge_retain_is_as_its_row_says() -> Result<()> {
    row(COMBINATIONS[7])
}
