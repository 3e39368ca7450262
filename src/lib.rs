//! Vaultbridge carries secrets from Vault into Kubernetes Secrets and keeps them alive.
//!
//! Reading order: [`api`] is what people write, [`reconcile`] is what happens to it, step by step, and [`run`] puts the
//! program together. Below them, [`vault`] speaks to Vault and nothing else, [`cluster`] to Kubernetes and nothing
//! else, and [`render`], [`record`], [`seal`] and [`schedule`] are pure. `ARCHITECTURE.md` has the map and the rules.

pub mod api;
pub mod backstage;
pub mod cli;
pub mod cluster;
pub mod connections;
pub mod controller;
pub mod csr;
pub mod fault;
pub mod heavy;
pub mod holdings;
pub mod http;
pub mod leadership;
pub mod lease;
pub mod limit;
pub mod metrics;
pub mod minting;
pub mod objects;
pub mod preview;
pub mod queue;
pub mod reconcile;
pub mod record;
pub mod render;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod seal;
pub mod sensitive;
pub mod shares;
pub mod telemetry;
pub mod vault;

#[cfg(test)]
mod tidy;
