//! `pup config`: what is set, where it was set, and setting it.

use super::print;
use crate::base::Failure;
use crate::base::places::Places;
use crate::config::{self, Config, KEYS};
use clap::Subcommand;
use serde_json::{Map, json};
use std::io::Write;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Show the value of a setting, or of all
    Get {
        /// e.g. model, http.idle_timeout
        key: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a value in your config.toml
    Set { key: String, value: String },
    /// Show every value that a setting has, where each comes from, and which one wins
    Explain {
        /// All settings where absent
        key: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the folders that pup uses
    Path {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command. `project` is the root of a trusted repository.
pub fn run(
    command: &ConfigCommand,
    places: &Places,
    project: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let load = || Config::load(places, project, &[], env);
    match command {
        ConfigCommand::Get { key: Some(name), json } => get(name, &load()?, *json, out),
        ConfigCommand::Get { key: None, json } => get_all(&load()?, *json, out),
        ConfigCommand::Set { key, value } => {
            let path = config::set(places, key, value)?;
            print::line(out, &format!("set {key} in {}", path.display()))?;
            shadowed(key, &load()?, out)
        }
        ConfigCommand::Explain { key, json } => {
            let config = load()?;
            let names: Vec<&str> = match key {
                Some(name) => vec![config::key(name)?.name],
                None => KEYS.iter().map(|k| k.name).collect(),
            };
            explain(&names, &config, *json, out)
        }
        ConfigCommand::Path { json } => path(places, *json, out),
    }
}

fn get(name: &str, config: &Config, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let key = config::key(name)?;
    let value = config.get(key.name);
    if json {
        return print::json(out, &json!({ "key": key.name, "value": value }));
    }
    print::line(out, &value.map_or("(not set)".to_owned(), ToString::to_string))
}

fn get_all(config: &Config, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        let all: Map<_, _> = KEYS.iter().map(|k| (k.name.to_owned(), json!(config.get(k.name)))).collect();
        return print::json(out, &all);
    }
    let row = |k: &config::Key| vec![k.name.to_owned(), config.get(k.name).map_or("(not set)".to_owned(), ToString::to_string)];
    print::table(out, &KEYS.iter().map(row).collect::<Vec<_>>())
}

/// A value that was just set but does not win deserves a word.
fn shadowed(name: &str, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    match config.explain(name)?.iter().find(|v| v.won && v.layer > config::Layer::User) {
        Some(winner) => print::line(out, &format!("note: {} still wins with {} ({})", winner.source, winner.value, winner.layer)),
        None => Ok(()),
    }
}

fn explain(names: &[&str], config: &Config, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        let entries = names.iter().map(|n| Ok(json!({ "key": n, "value": config.get(n), "layers": config.explain(n)? })));
        let entries = entries.collect::<Result<Vec<_>, Failure>>()?;
        return match entries.as_slice() {
            [one] => print::json(out, one),
            all => print::json(out, all),
        };
    }
    for name in names {
        let key = config::key(name)?;
        print::line(out, &format!("{name}: {} (variable {})", key.doc, key.env()))?;
        let values = config.explain(name)?;
        if values.is_empty() {
            print::line(out, "  not set anywhere")?;
        }
        let row = |v: &config::LayerValue| {
            let mark = if v.won { "=>" } else { "  " };
            vec![mark.to_owned(), v.layer.to_string(), v.value.to_string(), v.source.clone()]
        };
        print::table(out, &values.iter().map(row).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn path(places: &Places, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let [config, state, cache] = [&places.config, &places.state, &places.cache].map(|p| p.display().to_string());
    if json {
        return print::json(out, &json!({ "config": config, "state": state, "cache": cache }));
    }
    let rows = [("config", config), ("state", state), ("cache", cache)];
    print::table(out, &rows.map(|(name, path)| vec![name.to_owned(), path]))
}
