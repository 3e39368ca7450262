//! When a server misbehaves the Secrets stay as they are, people are told once, and everything goes on by itself.

mod crowds;
mod fairness;
mod outages;
mod references;
mod storm;
mod strangers;
