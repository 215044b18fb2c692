//! pup: a multi-agent coding assistant for the terminal that keeps working when a provider does not.
//!
//! The modules are layers; each imports only from rows above its own (`docs/ARCHITECTURE.md`, held by a test).

pub mod base;
pub mod model;
