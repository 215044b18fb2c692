//! Row 8: the command line.

pub mod config;
mod print;
pub mod sessions;
pub mod trust;

#[cfg(test)]
mod data_tests;
