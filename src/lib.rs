//! Vaultbridge carries secrets from Vault into Kubernetes Secrets and keeps them alive.

pub mod sensitive;
