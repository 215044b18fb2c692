//! What every command stands on: places, settings, catalogue, agents, redaction. Built once, handed down in parts.

use crate::base::Failure;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::catalog::{Agents, Catalog};
use crate::config::{Config, trust};
use std::path::{Path, PathBuf};

/// The surroundings of a command.
pub struct App {
    pub places: Places,
    pub config: Config,
    pub catalog: Catalog,
    pub agents: Agents,
    pub redactor: Redactor,
    pub root: PathBuf,
}

impl App {
    /// Loads everything for work in `root`. `flags` are settings given on the command line.
    pub fn load(root: &Path, flags: &[(String, String)]) -> Result<Self, Failure> {
        let places = Places::from_env()?;
        let root = std::path::absolute(root).map_err(|e| Failure::io("find", root, &e))?;
        let trusted = trust::Store::load(&places)?.is_trusted(&root)?.then_some(root.as_path());
        let config = Config::load(&places, trusted, flags, &env)?;
        let catalog = Catalog::load(&places, trusted, &env)?;
        let agents = Agents::load(&places, trusted)?;
        let redactor = redactor();
        Ok(Self { config, catalog, agents, redactor, root, places })
    }
}

/// A variable of the environment, where it is set and not empty.
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Knows the secrets of the environment; those of the config folder's `.env` are learned where keys are read.
fn redactor() -> Redactor {
    Redactor::from_env(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))))
}
