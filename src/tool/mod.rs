//! Row 5: what a model can call, one file a tool, spec and runtime on one object.

mod activate_skill;
mod apply_patch;
mod args;
mod ask_user_question;
mod change;
mod command_log;
mod create_file;
pub mod delegate;
mod delete_file;
mod grep;
mod invoke_agent;
mod job;
pub mod jobs;
mod list_agents;
mod list_files;
pub mod person;
mod read_file;
mod recall;
pub mod registry;
mod replace_in_file;
mod schema;
mod shell;
mod shell_output;
mod todo;
mod walk;

pub use delegate::{Delegate, Errand};
pub use jobs::Jobs;
pub use registry::{NAMES, Offers, Registry};

use crate::base::Failure;
use crate::base::redact::Redactor;
use crate::model::ToolSpec;
use crate::workspace::process::Spawned;
use crate::workspace::seen::Seen;
use crate::workspace::{PathError, Workspace};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a call does to the world; approval, parallelism and sandbox follow from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    ReadOnly,
    /// The real paths that it creates, changes or deletes.
    Writes(Vec<PathBuf>),
    Exec,
    Network,
}

/// The kinds of effect that can be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Writes,
    Exec,
    Network,
}

impl Kind {
    /// None for effects that nobody has to approve.
    pub const fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::ReadOnly => None,
            Effect::Writes(_) => Some(Self::Writes),
            Effect::Exec => Some(Self::Exec),
            Effect::Network => Some(Self::Network),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writes => "edits",
            Self::Exec => "commands",
            Self::Network => "network access",
        }
    }
}

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Told to the model, which can do better; nothing was changed.
    #[error("{0}")]
    Model(String),
    /// The same, where what it needed of these kinds was denied.
    #[error("{0}")]
    Denied(String, Vec<Kind>),
    /// The run cannot go on.
    #[error(transparent)]
    Fatal(#[from] Failure),
}

impl From<PathError> for ToolError {
    fn from(e: PathError) -> Self {
        Self::Model(e.to_string())
    }
}

impl ToolError {
    pub fn model(text: impl Into<String>) -> Self {
        Self::Model(text.into())
    }
}

/// One file's content before and after a call, as SHA-256; `None` is "no such file". With it the journal can tell
/// after a crash whether an intended edit was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    pub path: PathBuf,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// For the model.
    pub text: String,
    /// One short line for people: `3 matches`, `+4 -1`, `exit 0`.
    pub summary: String,
    /// A bounded unified diff for people.
    pub diff: Option<String>,
    pub changes: Vec<FileChange>,
}

/// Bounds of a call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// When a command names no time-out.
    pub shell_timeout: Duration,
    /// The longest time-out that a command may ask for.
    pub shell_timeout_max: Duration,
    /// Bytes of a command's output, a search or a listing in one result.
    pub output_bytes: usize,
    /// Bytes of a file in one result.
    pub read_bytes: usize,
    /// Lines of a file in one result.
    pub read_lines: usize,
    /// Entries of a listing.
    pub entries: usize,
    /// Matching lines of a search.
    pub matches: usize,
}

impl Limits {
    /// With outputs of at most about `bytes`.
    #[must_use]
    pub fn capped(self, bytes: usize) -> Self {
        let output_bytes = self.output_bytes.min(bytes);
        let read_bytes = self.read_bytes.min(bytes.saturating_mul(2));
        Self { output_bytes, read_bytes, matches: self.matches.min(bytes / 100), entries: self.entries.min(bytes / 40), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shell_timeout: Duration::from_mins(2),
            shell_timeout_max: Duration::from_hours(1),
            output_bytes: 30 * 1024,
            read_bytes: 50 * 1024,
            read_lines: 2000,
            entries: 500,
            matches: 200,
        }
    }
}

/// What a running call reports besides its result. Called on the call's own thread: be quick.
pub trait CallEvents: Send + Sync {
    /// Live text of a command: whole lines, redacted, without control codes; bounded, so not always all of it.
    fn output(&self, call: &str, text: &str);
    /// A command's process exists. An error kills it and ends the run, for example when the journal cannot be written.
    fn spawned(&self, call: &str, process: &Spawned) -> Result<(), Failure>;
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl CallEvents for NoEvents {
    fn output(&self, _: &str, _: &str) {}

    fn spawned(&self, _: &str, _: &Spawned) -> Result<(), Failure> {
        Ok(())
    }
}

/// Everything that a call may use. Cheap to clone; clones share what the model has seen.
#[derive(Clone)]
pub struct Context {
    pub workspace: Workspace,
    pub seen: Arc<Mutex<Seen>>,
    pub cancel: CancellationToken,
    pub limits: Limits,
    pub redactor: Arc<Redactor>,
    pub events: Arc<dyn CallEvents>,
    /// Environment variables that commands do not get: the providers' keys.
    pub hidden: Arc<[String]>,
    /// The id of the session, if it is recorded; commands carry it.
    pub session: Option<Arc<str>>,
    /// The program that keeps commands, see [`crate::workspace::process::supervisor`].
    pub supervisor: Option<Arc<Path>>,
    /// The folder of the locks by which pups write a file one after the other.
    pub leases: Option<Arc<Path>>,
    /// The person who can be asked, where there is one.
    pub person: Option<person::Person>,
    /// Commands in the background, and the logs of all commands.
    pub jobs: Arc<Jobs>,
    /// The session's journal, if it is recorded.
    pub journal: Option<Arc<Path>>,
    /// The id of the call, handed to `events`.
    pub call: Arc<str>,
    /// Other agents that can be handed work, where there are some.
    pub delegate: Option<Arc<dyn Delegate>>,
}

impl Context {
    /// With default limits, nothing hidden, nothing redacted but the shapes of tokens, and reporting to nobody.
    pub fn new(workspace: Workspace) -> Self {
        Self {
            workspace,
            seen: Arc::default(),
            cancel: CancellationToken::new(),
            limits: Limits::default(),
            redactor: Arc::default(),
            events: Arc::new(NoEvents),
            hidden: Arc::default(),
            session: None,
            supervisor: None,
            leases: None,
            person: None,
            jobs: Arc::default(),
            journal: None,
            call: Arc::from(""),
            delegate: None,
        }
    }

    /// This context for the call `id`.
    #[must_use]
    pub fn for_call(&self, id: &str, cancel: CancellationToken) -> Self {
        Self { call: Arc::from(id), cancel, ..self.clone() }
    }

    /// The log that a path such as `log:3` means, unless a file of that name is there.
    pub(crate) fn log(&self, path: &str) -> Result<Option<PathBuf>, ToolError> {
        let Some(number) = path.strip_prefix("log:").and_then(|n| n.parse().ok()) else { return Ok(None) };
        if self.workspace.resolve(path).is_ok_and(|file| file.exists()) {
            return Ok(None);
        }
        let log = self.jobs.log_path(number);
        log.map(Some).ok_or_else(|| ToolError::model(format!("there is no {path}; only the output of a command that was cut has a log")))
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub type Args = Map<String, Value>;
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<Output, ToolError>> + Send + 'a>>;

/// Something that a model can call.
pub trait Tool: Send + Sync {
    fn name(&self) -> &'static str;

    /// Name, one sentence and the JSON Schema of the arguments. The same bytes every time.
    fn spec(&self) -> ToolSpec;

    /// What the call would do. Looks, but changes nothing.
    fn effect(&self, args: &Args, ctx: &Context) -> Result<Effect, ToolError>;

    /// One line for people: `shell: cargo test`. Works for wrong arguments too. Not redacted: it holds only what the model wrote.
    fn describe(&self, args: &Args) -> String;

    /// The paths that the call names, as the model wrote them.
    fn paths(&self, args: &Args) -> Vec<String> {
        ["path", "cwd"].iter().filter_map(|name| args::peek(args, name)).map(str::to_owned).collect()
    }

    /// A diff of what the call would change, for an approval, redacted. `None` where there is none to show.
    fn preview(&self, _args: &Args, _ctx: &Context) -> Option<String> {
        None
    }

    /// For a tool that writes: each file's digest now and after the call, to be journalled before it runs.
    fn plan(&self, _args: &Args, _ctx: &Context) -> Result<Vec<FileChange>, ToolError> {
        Ok(Vec::new())
    }

    /// Runs the call. Callers use [`call`], which also redacts.
    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a>;
}

/// Runs a tool and replaces secrets in everything that it says.
pub async fn call(tool: &dyn Tool, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
    let clean = |text: String| match ctx.redactor.redact(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(new) => new,
    };
    match tool.run(args, ctx).await {
        Ok(out) => Ok(Output { text: clean(out.text), summary: clean(out.summary), diff: out.diff.map(clean), changes: out.changes }),
        Err(ToolError::Model(text)) => Err(ToolError::Model(clean(text))),
        Err(ToolError::Denied(text, kinds)) => Err(ToolError::Denied(clean(text), kinds)),
        Err(ToolError::Fatal(failure)) => Err(ToolError::Fatal(failure)),
    }
}

#[cfg(test)]
mod contention_tests;
#[cfg(test)]
mod edit_corpus_tests;
#[cfg(test)]
mod tests;
