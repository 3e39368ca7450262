//! Long runs over issued credentials, for a person or a nightly job: [`logins`] and [`storm`]. Each prints a table, and tells whether all was well.

#![expect(
    clippy::print_stdout,
    reason = "this is what the command is for: it tells a person what it counted"
)]

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use kube::api::ListParams;
use serde_json::Value;

use crate::ground::{Ground, GroundOptions};
use crate::process::janitor::janitor;
use crate::tenant::Tenant;

mod logins;
mod storm;

pub use logins::logins;
pub use storm::storm;

/// A ground and a room of its own.
async fn furnish(name: &str) -> Result<Tenant> {
    let ground = Ground::own(&GroundOptions::default()).await?;
    println!("all logs: {}", ground.folder().display());
    Tenant::new(ground, name).await
}

/// The objects of the tenant as they are now.
async fn objects(t: &Tenant) -> Result<Vec<Value>> {
    let list = t.api("VaultSecret").await?;
    let list = list.list(&ListParams::default()).await?;
    let objects = list.into_iter().map(serde_json::to_value);
    Ok(objects.collect::<Result<_, _>>()?)
}

/// The sessions that the status of an object tells of.
fn sessions(object: &Value) -> &[Value] {
    let sessions = object["status"]["sessions"].as_array();
    sessions.map_or(&[], Vec::as_slice)
}

/// The leases that the status of any object tells of.
fn known_leases(objects: &[Value]) -> BTreeSet<String> {
    let sessions = objects.iter().flat_map(sessions);
    let ids = sessions.filter_map(|session| session["leaseIDs"].as_array());
    let ids = ids.flatten().filter_map(Value::as_str);
    ids.map(str::to_owned).collect()
}

/// Keeps the logs of a run in which not all was well.
fn verdict(well: bool) -> Result<bool> {
    if !well {
        janitor()?.keep()?;
    }
    Ok(well)
}

/// A line of a table.
fn row(what: &str, number: impl std::fmt::Display) {
    println!("  {what:<52} {number:>10}");
}

/// The namespace and name of an object.
fn name(object: &Value) -> Result<&str> {
    let name = object["metadata"]["name"].as_str();
    name.context("read the name of an object")
}
