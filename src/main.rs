//! Vaultbridge.
fn main() {}
