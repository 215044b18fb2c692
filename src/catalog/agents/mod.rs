//! Agent files: what an agent may do, and its prompt. pup's own are Markdown with front matter; those of Claude Code and
//! the JSON agents of Code Puppy are read too.
//!
//! Project files (trusted roots only) win over the user's, the user's over the built-in ones; in a project, `.pup/agents`
//! wins over `.claude/agents`, and in a folder Markdown over JSON. A file is read when its agent is asked for, so that a
//! broken one harms nobody else and start-up parses nothing.

mod built_in;
mod claude;
mod code_puppy;
pub(super) mod fields;
pub(super) mod finding;
pub(super) mod front;
mod mapped;
mod native;
mod shared;
pub(super) mod tree;

#[cfg(test)]
mod agents_tests;
#[cfg(test)]
mod prompts_tests;

pub use finding::{Finding, Severity};

use super::workload::Workload;
use crate::base::places::{Places, pasteable};
use crate::base::{Failure, nearest};
use fields::{At, Fields};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The agent that works when none is named.
pub const DEFAULT_AGENT: &str = "code-puppy";

/// Where an agent's definition stands. In JSON its layer alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    BuiltIn,
    User(PathBuf),
    Project(PathBuf),
}

impl Origin {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::User(_) => "user",
            Self::Project(_) => "project",
        }
    }

    /// The file, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::BuiltIn => None,
            Self::User(path) | Self::Project(path) => Some(path),
        }
    }

    fn folder(&self) -> Option<&Path> {
        self.path().and_then(Path::parent)
    }

    /// What errors call it.
    fn label(&self, name: &str) -> String {
        self.path().map_or_else(|| format!("built-in agent {name}"), |p| p.display().to_string())
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agent {
    /// The file's name without its extension.
    pub name: String,
    /// The name inside of another program's file, which need not be the file's.
    pub own_name: Option<String>,
    pub display_name: String,
    pub description: String,
    pub workload: Workload,
    /// Globs over tool names.
    pub tools: Vec<String>,
    /// Agents that it may hand work to.
    pub delegates: Vec<String>,
    /// A model that this agent is pinned to.
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub max_turns: Option<u32>,
    pub skills: Vec<String>,
    pub mcp_servers: Vec<String>,
    /// The body of the file with its shared fragments in place, without blank lines around it.
    pub prompt: String,
    pub origin: Origin,
    /// What of the file does not take effect.
    pub notes: Vec<Finding>,
}

/// Who wrote the file decides how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Native,
    Claude,
    CodePuppy,
}

impl Form {
    /// By extension, and by the folder that Claude Code keeps its agents in.
    fn of(path: &Path) -> Self {
        let claude = path.parent().is_some_and(|p| p.ends_with(".claude/agents"));
        match path.extension().and_then(|x| x.to_str()) {
            Some("json") => Self::CodePuppy,
            _ if claude => Self::Claude,
            _ => Self::Native,
        }
    }

    fn read(self, input: &Input<'_>) -> Result<Agent, Vec<Finding>> {
        match self {
            Self::Native => native::read(input),
            Self::Claude => claude::read(input),
            Self::CodePuppy => code_puppy::read(input),
        }
    }
}

/// A file's text and what it is held against.
struct Input<'a> {
    text: &'a str,
    /// The file's name without its extension: the agent's name.
    stem: &'a str,
    origin: Origin,
    tools: &'a [&'static str],
    agents: &'a BTreeSet<String>,
    check: Check<'a>,
}

/// How closely a file is looked at.
#[derive(Clone, Copy)]
enum Check<'a> {
    /// To use it: whom it may delegate to and whether its model exists matters only when that is tried.
    Use,
    /// To tell its author all that is wrong; the function says whether a model can be asked for.
    All(&'a dyn Fn(&str) -> Result<(), Failure>),
}

impl Input<'_> {
    /// Whether a name or pattern fits a tool.
    fn known_tool(&self, pattern: &str) -> Result<(), Finding> {
        let glob = globset::Glob::new(pattern)
            .map_err(|e| Finding::error(format!("`{pattern}` is not a tool name or pattern: {}", e.kind())))?
            .compile_matcher();
        if self.tools.iter().any(|t| glob.is_match(t)) {
            return Ok(());
        }
        let near = nearest::did_you_mean(pattern, self.tools.iter().copied());
        let hint = near.unwrap_or_else(|| format!("the tools are {}", self.tools.join(", ")));
        Err(Finding::error(format!("no tool is named `{pattern}`")).hint(hint))
    }

    /// Reports a pinned model that does not exist.
    fn check_model(&self, model: Option<&At<String>>, fields: &mut Fields) {
        if let (Check::All(known), Some(model)) = (self.check, model)
            && let Err(failure) = known(&model.value)
        {
            fields.report(Finding::error(failure.message).at(model.at).key("model").hint_if(failure.hint));
        }
    }
}

/// The agent with its notes, or everything that was found where some of it is an error.
fn settle(agent: Option<Agent>, mut findings: Vec<Finding>) -> Result<Agent, Vec<Finding>> {
    findings.sort_by_key(|f| (f.line.unwrap_or(1), f.column));
    match agent {
        Some(agent) if findings.iter().all(|f| f.severity == Severity::Warning) => Ok(Agent { notes: findings, ..agent }),
        _ => Err(findings),
    }
}

/// One of the agents that there are, as [`Agents::list`] has it.
#[derive(Debug)]
pub struct Listed {
    pub name: String,
    pub origin: Origin,
    pub agent: Result<Agent, Failure>,
}

/// The agents that can be asked for.
#[derive(Debug, Clone)]
pub struct Agents {
    /// Name (the file's stem) to where it stands, the winning layer only.
    found: BTreeMap<String, Origin>,
    tools: &'static [&'static str],
}

impl Agents {
    /// Looks which agent files there are; `project` must be trusted, `tools` are the names that agents may list. Nothing
    /// is parsed yet.
    pub fn load(places: &Places, project: Option<&Path>, tools: &'static [&'static str]) -> Result<Self, Failure> {
        let mut found: BTreeMap<String, Origin> = built_in::ALL.iter().map(|(name, _)| ((*name).to_owned(), Origin::BuiltIn)).collect();
        for path in agent_files(&places.config.join("agents"))? {
            found.insert(stem(&path), Origin::User(path));
        }
        for folder in [".claude/agents", ".pup/agents"] {
            for path in project.map(|p| agent_files(&p.join(folder))).transpose()?.unwrap_or_default() {
                found.insert(stem(&path), Origin::Project(path));
            }
        }
        Ok(Self { found, tools })
    }

    /// By name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// The agent of this name. An unknown name is a `usage` failure with the nearest names, a broken file a `config`
    /// failure with its line.
    pub fn get(&self, name: &str) -> Result<Agent, Failure> {
        if let Some((name, origin)) = self.found.get_key_value(name) {
            return self.read(name, origin);
        }
        if let Some((_, meant)) = built_in::ALIASES.iter().find(|(alias, _)| *alias == name) {
            return self.get(meant);
        }
        if let Some(agent) = self.by_own_name(name) {
            return Ok(agent);
        }
        let hint = nearest::did_you_mean(name, self.names())
            .unwrap_or_else(|| format!("the agents are {}", self.names().collect::<Vec<_>>().join(", ")));
        Err(Failure::usage(format!("there is no agent `{name}`")).hint(hint))
    }

    /// All agents by name, the broken ones with what is wrong with them. Reads every file.
    pub fn list(&self) -> Vec<Listed> {
        let one =
            |(name, origin): (&String, &Origin)| Listed { name: name.clone(), origin: origin.clone(), agent: self.read(name, origin) };
        self.found.iter().map(one).collect()
    }

    /// All that is wrong with the file at `path`, or worth knowing; with the agent where nothing is. `known_model` says
    /// whether a pinned model can be asked for.
    pub fn validate(&self, path: &Path, known_model: &dyn Fn(&str) -> Result<(), Failure>) -> (Option<Agent>, Vec<Finding>) {
        let name = stem(path);
        let mut agents = self.agent_names();
        agents.extend(agent_files(path.parent().unwrap_or(Path::new("."))).unwrap_or_default().iter().map(|p| stem(p)));
        match self.read_file(&name, &Origin::User(path.to_owned()), &agents, Check::All(known_model)) {
            Ok(agent) => {
                let notes = agent.notes.clone();
                (Some(agent), notes)
            }
            Err(findings) => (None, findings),
        }
    }

    /// Agents of other programs have a name inside that need not be the file's.
    fn by_own_name(&self, name: &str) -> Option<Agent> {
        let foreign = self.found.iter().filter(|(_, o)| o.path().is_some_and(|p| Form::of(p) != Form::Native));
        let mut wanting = foreign.filter(|(_, o)| o.path().and_then(|p| read_text(p).ok()).is_some_and(|t| t.contains(name)));
        wanting.find_map(|(stem, origin)| self.read(stem, origin).ok().filter(|a| a.own_name.as_deref() == Some(name)))
    }

    fn agent_names(&self) -> BTreeSet<String> {
        let aliases = built_in::ALIASES.iter().map(|(alias, _)| (*alias).to_owned());
        self.found.keys().cloned().chain(aliases).collect()
    }

    fn read(&self, name: &str, origin: &Origin) -> Result<Agent, Failure> {
        self.read_file(name, origin, &self.agent_names(), Check::Use).map_err(|findings| failure(name, origin, findings))
    }

    fn read_file(&self, name: &str, origin: &Origin, agents: &BTreeSet<String>, check: Check<'_>) -> Result<Agent, Vec<Finding>> {
        let (text, form) = match origin.path() {
            None => (Cow::Borrowed(built_in::text(name).unwrap_or_default()), Form::Native),
            Some(path) => (Cow::Owned(read_text(path).map_err(|f| vec![f])?), Form::of(path)),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        form.read(&Input { text, stem: name, origin: origin.clone(), tools: self.tools, agents, check })
    }
}

/// The first error; how to see the others, where there are some.
fn failure(name: &str, origin: &Origin, findings: Vec<Finding>) -> Failure {
    let label = origin.label(name);
    let mut errors = findings.into_iter().filter(|f| f.severity == Severity::Error);
    let Some(first) = errors.next() else { return Failure::internal(format!("{label}: cannot be used, and no error says why")) };
    let mut failure = first.into_failure(&label);
    let more = errors.count();
    if let (true, Some(path)) = (more > 0, origin.path()) {
        let others = if more == 1 { "1 more error".to_owned() } else { format!("{more} more errors") };
        let line = format!("{others}: pup agents validate {}", pasteable(path));
        failure.hint = Some(failure.hint.map_or(line.clone(), |hint| format!("{hint}\n  {line}")));
    }
    failure
}

/// The agent files of a folder; Markdown stands behind JSON, so that it wins where both have the name. A folder that does
/// not exist has none; a README is none.
pub fn agent_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(Failure::io("read", folder, &e)),
    };
    let is_agent =
        |p: &PathBuf| p.extension().is_some_and(|x| x == "md" || x == "json") && !stem(p).eq_ignore_ascii_case("readme") && p.is_file();
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_agent).collect();
    files.sort_by_key(|p| (p.extension().map(ToOwned::to_owned), p.clone()));
    Ok(files)
}

pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn read_text(path: &Path) -> Result<String, Finding> {
    let bytes = std::fs::read(path).map_err(|e| Finding::error(format!("cannot be read: {e}")))?;
    String::from_utf8(bytes).map_err(|e| {
        let good = e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or(&[]);
        let line = String::from_utf8_lossy(good).split('\n').count();
        Finding::error("the file is not UTF-8 text").at(tree::Spot::line(line)).hint("save it as UTF-8")
    })
}
