//! The harness.

pub mod audit;
pub mod canaries;
pub mod certificates;
pub mod components;
pub mod control_plane;
pub mod demo;
pub mod ground;
pub mod objects;
pub mod operator;
pub mod ports;
pub mod process;
mod run;
pub mod tenant;
pub mod vault_server;
pub mod wait;

pub use ground::{Ground, GroundOptions, Mark};
pub use run::{block_on, run, run_alone};
pub use tenant::{SecretView, Tenant};
