//! `pup trust`: which repositories may configure pup.

use super::print;
use crate::base::Failure;
use crate::base::places::Places;
use crate::config::Trust;
use clap::Subcommand;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TrustCommand {
    /// Trust a repository's pup files as they are now
    Add {
        /// The repository; the one of the current folder where absent
        path: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show trusted repositories
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take trust back
    Remove {
        /// The repository; the one of the current folder where absent
        path: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; `root` is the repository of the current folder.
pub fn run(command: &TrustCommand, places: &Places, root: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    let mut trust = Trust::load(places)?;
    match command {
        TrustCommand::Add { path, json } => {
            let path = path.as_deref().unwrap_or(root);
            let files = trust.add(path)?;
            if *json {
                return print::json(out, &json!({ "path": path, "state": "trusted", "files": files }));
            }
            let noun = if files == 1 { "file" } else { "files" };
            print::line(out, &format!("trusted {} ({files} {noun}; a change of any of them ends it)", path.display()))
        }
        TrustCommand::List { json } => {
            let all = trust.list()?;
            if *json {
                return print::json(out, &all);
            }
            if all.is_empty() {
                return print::line(out, "no repository is trusted");
            }
            let rows: Vec<Vec<String>> =
                all.iter().map(|t| vec![t.state.as_str().to_owned(), t.since.clone(), t.path.display().to_string()]).collect();
            print::table(out, &rows)
        }
        TrustCommand::Remove { path, json } => {
            let path = path.as_deref().unwrap_or(root);
            trust.remove(path)?;
            if *json {
                return print::json(out, &json!({ "path": path, "state": "untrusted" }));
            }
            print::line(out, &format!("{} is no longer trusted", path.display()))
        }
    }
}
