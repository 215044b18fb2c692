//! A vendor's own program on this machine as a provider: found, checked once, and started anew for every request.
//!
//! The program is the user's and logs itself in; pup hands it a conversation and reads its answer. Its own tools are off,
//! and it stands in an empty folder, so that nothing of a project reaches it but what the conversation says. What runs
//! can cost money after it is of no use, so whoever drops an [`Exchange`] ends the program with all that it started.

mod child;
mod software;

pub use child::Child;
pub use software::Software;

use super::exchange::{Exchange, Source};
use super::http::Timeouts;
use crate::base::clock;
use crate::model::{Class, ProviderError, Scope};
use crate::wire::cli::Ask;
use crate::wire::{Decoder, Dialect, Encoded, Sender, Wire};
use child::Start;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a program may take to tell its version.
const VERSION_TIME: Duration = Duration::from_secs(20);
/// The most that is read of what should be a version.
const VERSION_BYTES: usize = 4096;

/// Everything that is known about starting it.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Id of the catalogue.
    pub provider: String,
    pub software: Software,
    pub path: PathBuf,
    /// An empty folder to stand in; made where it is not there.
    pub cwd: PathBuf,
    /// Environment variables that are somebody else's secrets.
    pub hidden: Vec<String>,
    pub dialect: Dialect,
    pub timeouts: Timeouts,
}

/// A program as a provider.
#[derive(Debug)]
pub struct CliProvider {
    setup: Box<Setup>,
    /// What was found out about its version.
    checked: OnceCell<Result<(), ProviderError>>,
}

impl CliProvider {
    pub fn new(setup: Setup) -> Self {
        Self { setup: Box::new(setup), checked: OnceCell::new() }
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(super) fn wire(&self) -> Wire {
        self.setup.software.wire()
    }

    /// Starts the program with this request.
    pub(super) async fn send(&self, encoded: &Encoded) -> Result<Exchange, ProviderError> {
        self.checked.get_or_init(|| self.check()).await.clone()?;
        let Setup { provider, software, dialect, timeouts, .. } = self.setup.as_ref();
        let ask: Ask = serde_json::from_slice(&encoded.to_vec())
            .map_err(|e| ProviderError::new(Class::BadRequest, Scope::Request, format!("the request is none for a program: {e}")))?;
        let system =
            system_file(&ask.system).map_err(|e| ProviderError::setup(format!("cannot write the instructions for {software}: {e}")))?;
        let args = software.args(&ask.model, system.as_ref().map(tempfile::NamedTempFile::path));
        let child = self.start(&args, Some(ask.prompt))?.keeping(system);
        let sender = Sender::new(software.wire(), provider).at(clock::unix_ms());
        let decoder = Decoder::new(software.wire(), dialect).sent_by(sender);
        Ok(Exchange::new(Source::Program(Box::new(child)), decoder, *timeouts))
    }

    fn start(&self, args: &[String], input: Option<String>) -> Result<Child, ProviderError> {
        let Setup { software, path, cwd, hidden, .. } = self.setup.as_ref();
        let made = std::fs::create_dir_all(cwd);
        made.map_err(|e| ProviderError::setup(format!("cannot make {}: {e}", cwd.display())))?;
        let foreign = hidden.iter().filter(|name| !software.keeps(name)).map(String::as_str).chain(software.unset().iter().copied());
        let start = Start { name: software.name(), path, args, cwd, unset: foreign.collect(), set: software.set(), input };
        Child::start(start).map_err(|e| ProviderError::setup(format!("cannot start {}: {e}", path.display())))
    }

    /// Whether its version is one that understands what it is told.
    async fn check(&self) -> Result<(), ProviderError> {
        let Setup { software, path, .. } = self.setup.as_ref();
        let mut child = self.start(&["--version".to_owned()], None)?;
        let read = async {
            let mut said = Vec::new();
            while let Ok(Some(piece)) = child.chunk().await {
                said.extend_from_slice(&piece);
                if said.len() > VERSION_BYTES {
                    break;
                }
            }
            said
        };
        let said = tokio::time::timeout(VERSION_TIME, read).await;
        let said =
            said.map_err(|_| ProviderError::setup(format!("{} --version says nothing for {} s", path.display(), VERSION_TIME.as_secs())))?;
        let said = String::from_utf8_lossy(&said).into_owned();
        software.judge(path, &said, child.last_words().as_deref()).map_err(ProviderError::setup)
    }
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The instructions in a file that only this user can read, and that ends with the request: other users see arguments.
fn system_file(text: &str) -> std::io::Result<Option<tempfile::NamedTempFile>> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut file = tempfile::Builder::new().prefix("pup-").suffix(".md").tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    Ok(Some(file))
}

/// Where a program is: at `own`, if the user says so, else in the first absolute folder of `path` that has it.
pub fn find(software: Software, own: Option<&Path>, path: Option<&str>) -> Option<PathBuf> {
    if let Some(own) = own {
        return is_program(own).then(|| own.to_owned());
    }
    let names: &[&str] = if cfg!(windows) { &["exe", "cmd"] } else { &[""] };
    // A folder that is relative to where one happens to stand could be a repository's.
    let folders = std::env::split_paths(path?).filter(|f| f.is_absolute()).collect::<Vec<_>>();
    folders.iter().flat_map(|f| names.iter().map(|ext| f.join(software.name()).with_extension(ext))).find(|p| is_program(p))
}

fn is_program(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    #[cfg(unix)]
    let runs = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let runs = true;
    metadata.is_file() && runs
}
