//! The promises, one module each, proven on real servers with the built binary.

mod api;
mod calm;
mod faults;
mod ground;
