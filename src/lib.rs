//! Vaultbridge carries secrets from Vault into Kubernetes Secrets and keeps them alive.

pub mod record;
pub mod render;
pub mod retry;
pub mod schedule;
pub mod seal;
pub mod sensitive;
pub mod vault;

#[cfg(test)]
mod tidy;
