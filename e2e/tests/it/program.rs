//! The program is told what it needs, says at once what is wrong, shows how it is, and ends when asked to.

mod ends;
pub mod lacks;
mod pages;
pub mod rights;
mod starts;
