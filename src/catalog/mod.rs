//! Row 2: providers, models, chains (`models.json` and its overlays), agent files, skills, custom commands and plugin manifests.
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
mod chain;
mod check;
mod commands;
mod edit;
mod foreign;
mod format;
mod json;
mod layers;
mod link;
pub mod manifest;
mod price_list;
pub mod refresh;
mod shelf;
pub mod skills;
mod source;
mod workload;

pub use agents::{Agent, Agents, DEFAULT_AGENT, Finding, Listed, Origin, Severity, agent_files};
pub use build::{Catalog, Endpoint, Model, Provider, Timeouts};
pub use chain::{ChainLink, Closed, Paid, Place, State, Terms, Usable, Why};
pub use commands::{Custom, Customs};
pub use format::{BatchPrice, Billing, Capability, Diet, File, Login, OptIn, Price, Quota, Rotation, Slimmer, WireId};
pub use link::Link;
pub use manifest::{Manifests, OAuth};
pub use price_list::read as read_price_list;
pub use skills::{Skill, Skills};
pub use workload::Workload;

#[cfg(test)]
mod built_in_tests;
#[cfg(test)]
mod catalog_tests;
#[cfg(test)]
mod chain_tests;
