//! pup: a multi-agent coding assistant for the terminal that keeps working when a provider does not.
//!
//! The modules are layers; each imports only from rows above its own (`docs/ARCHITECTURE.md`, held by a test).

pub mod agent;
pub mod auth;
pub mod base;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod model;
pub mod provider;
pub mod repl;
pub mod route;
pub mod session;
pub mod store;
pub mod tool;
pub mod wire;
pub mod workspace;
