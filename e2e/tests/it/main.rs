//! The promises, one module each, proven on real servers with the built binary.

mod api;
mod calm;
mod canaries;
mod connection;
mod copies;
mod destination;
mod examples;
mod faults;
mod folders;
mod golden;
mod ground;
mod immutable;
mod kv;
mod leading;
mod leases;
mod login;
mod matrix;
mod missing;
mod ownership;
mod program;
mod refused;
mod render;
mod rollout;
mod secret;
mod templates;
mod values;
