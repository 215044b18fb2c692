//! Row 2: providers, models, chains (`models.json` and its overlays) and agent files.
//!
//! ```no_run
//! # use code_pup::{base::places::Places, catalog::Catalog};
//! # fn main() -> Result<(), code_pup::base::Failure> {
//! let env = |name: &str| std::env::var(name).ok();
//! let catalog = Catalog::load(&Places::from_env()?, None, &env)?;
//! let link = catalog.resolve("openai/gpt-4o-mini")?;
//! assert_eq!(link.provider.id, "openai");
//! # Ok(())
//! # }
//! ```

mod agents;
mod build;
mod check;
mod format;
mod json;
mod layers;
mod link;
mod workload;

pub use agents::{Agent, Agents, DEFAULT_AGENT, Finding, Listed, Origin, Severity, agent_files};
pub use build::{Catalog, Endpoint, Model, Provider, Timeouts};
pub use format::{BatchPrice, Billing, Capability, Diet, File, Price, Quota, Slimmer, WireId};
pub use link::Link;
pub use workload::Workload;

#[cfg(test)]
mod catalog_tests;
