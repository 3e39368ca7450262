//! Everything that touches Kubernetes: what we watch, and the few things we write.
//!
//! Reading is done once, by watches, into caches that keep only what decisions need. Writing goes through the
//! functions below and nowhere else; every write carries a precondition, so that what was true when we decided is
//! still true when the API server acts, or nothing happens.

pub mod caches;
pub mod election;
pub mod events;
pub mod gate;
pub mod guarded;
pub mod handover;
pub mod managed_fields;
pub mod parts;
pub mod patience;
pub mod reach;
pub mod references;
pub mod secret_meta;
pub mod secrets;
pub mod status;
pub mod templates;
pub mod tokens;
pub mod vault_secrets;
pub mod workloads;
pub mod write_error;

pub use caches::{Caches, Key};
pub use guarded::Guarded;
pub use secret_meta::SecretMeta;
pub use write_error::WriteError;
