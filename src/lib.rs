//! Vaultbridge carries secrets from Vault into Kubernetes Secrets and keeps them alive.

pub mod retry;
pub mod sensitive;
pub mod vault;
