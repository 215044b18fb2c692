//! Agent files: Markdown whose YAML front matter says what an agent may do and whose body is its prompt.
//!
//! Project files (trusted roots only) win over the user's, the user's over the built-in ones. A file is read when its
//! agent is asked for, so a broken file harms nobody else.

use super::workload::Workload;
use crate::base::places::Places;
use crate::base::{Cause, Failure, nearest, text};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The agent that works when none is named.
pub const DEFAULT_AGENT: &str = "code-puppy";

const BUILT_IN: &[(&str, &str)] = &[("code-puppy", include_str!("../../agents/code-puppy.md"))];

/// Where an agent's definition stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    BuiltIn,
    User(PathBuf),
    Project(PathBuf),
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agent {
    pub name: String,
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
    /// The body of the file, without blank lines around it.
    pub prompt: String,
    pub origin: Origin,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontMatter {
    name: String,
    display_name: Option<String>,
    description: String,
    #[serde(default)]
    workload: Option<String>,
    #[serde(default)]
    tools: Option<Vec<String>>,
    #[serde(default)]
    delegates: Vec<String>,
    model: Option<String>,
    temperature: Option<f64>,
    max_turns: Option<u32>,
    #[serde(default)]
    skills: Vec<String>,
    #[serde(default)]
    mcp_servers: Vec<String>,
}

/// The agents that can be asked for.
#[derive(Debug, Clone)]
pub struct Agents {
    /// Name (the file's stem) to where it stands, the winning layer only.
    found: BTreeMap<String, Origin>,
}

impl Agents {
    /// Looks which agent files there are; `project` must be trusted. Nothing is parsed yet.
    pub fn load(places: &Places, project: Option<&Path>) -> Result<Self, Failure> {
        let mut found: BTreeMap<String, Origin> = BUILT_IN.iter().map(|(name, _)| ((*name).to_owned(), Origin::BuiltIn)).collect();
        for path in agent_files(&places.config.join("agents"))? {
            found.insert(stem(&path), Origin::User(path));
        }
        if let Some(project) = project {
            for path in agent_files(&project.join(".pup/agents"))? {
                found.insert(stem(&path), Origin::Project(path));
            }
        }
        Ok(Self { found })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// The agent of this name. An unknown name is a `usage` failure with the nearest names, a broken file a `config`
    /// failure with its line.
    pub fn get(&self, name: &str) -> Result<Agent, Failure> {
        let Some(origin) = self.found.get(name) else {
            let hint = nearest::did_you_mean(name, self.names())
                .unwrap_or_else(|| format!("the agents are {}", self.names().collect::<Vec<_>>().join(", ")));
            return Err(Failure::usage(format!("there is no agent `{name}`")).hint(hint));
        };
        let (text, label) = match origin {
            Origin::BuiltIn => {
                let text = BUILT_IN.iter().find(|(n, _)| *n == name).map_or("", |(_, t)| *t);
                (Cow::Borrowed(text), format!("built-in agent {name}"))
            }
            Origin::User(path) | Origin::Project(path) => (Cow::Owned(read_text(path)?), path.display().to_string()),
        };
        let agent = parse(&text, &label, origin.clone())?;
        if agent.name == name {
            return Ok(agent);
        }
        Err(Failure::config(format!("{label}:{}: the file is called {name}, but its `name` is `{}`", line_of(&text, "name:"), agent.name))
            .hint(format!("rename the file to {}.md, or set `name: {name}`", agent.name)))
    }
}

/// The `.md` files of a folder, by name. A folder that does not exist has none.
fn agent_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(Failure::io("read", folder, &e)),
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|x| x == "md") && p.is_file()).collect();
    files.sort();
    Ok(files)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::io("read", path, &e))?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::config(format!("{}: the file is not UTF-8 text", path.display())).hint("save it as UTF-8"))
}

fn line_of(text: &str, start: &str) -> usize {
    text.lines().position(|l| l.starts_with(start)).map_or(1, |p| p + 1)
}

/// Reads one agent file; `label` names it in errors.
fn parse(text: &str, label: &str, origin: Origin) -> Result<Agent, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let no_front = || {
        Failure::config(format!("{label}:1: an agent file begins with front matter between two `---` lines"))
            .hint("e.g. `---`, `name: my-agent`, `description: what it does`, `---`, then the prompt")
    };
    let mut offset = 0;
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|l| l.trim_end() == "---").ok_or_else(no_front)?;
    offset += first.len();
    let mut body = None;
    for line in lines {
        if line.trim_end() == "---" {
            body = Some((offset, offset + line.len()));
            break;
        }
        offset += line.len();
    }
    let (end, body_at) = body.ok_or_else(no_front)?;
    // The opening line stays: it is a YAML document marker, and with it the parser's lines are the file's.
    let front: FrontMatter = serde_saphyr::from_str(text.get(..end).unwrap_or("")).map_err(|e| yaml_failure(label, text, &e))?;
    let place = |key: &str| format!("{label}:{}", line_of(text, key));
    let workload = match &front.workload {
        None => Workload::Coding,
        Some(w) => w.parse().map_err(|f: Failure| Failure {
            message: format!("{}: {}", place("workload:"), f.message),
            cause: Cause::Config,
            hint: f.hint,
        })?,
    };
    for glob in front.tools.iter().flatten() {
        globset::Glob::new(glob)
            .map_err(|e| Failure::config(format!("{}: `{glob}` is not a tool name or pattern: {}", place("tools:"), e.kind())))?;
    }
    if front.max_turns == Some(0) {
        return Err(Failure::config(format!("{}: max_turns must be at least 1", place("max_turns:"))));
    }
    if front.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
        return Err(Failure::config(format!("{}: temperature must be between 0 and 2", place("temperature:"))));
    }
    let prompt = text.get(body_at..).unwrap_or("").trim().to_owned();
    if prompt.is_empty() {
        return Err(Failure::config(format!("{label}: there is no prompt below the front matter")));
    }
    Ok(Agent {
        display_name: front.display_name.unwrap_or_else(|| front.name.clone()),
        name: front.name,
        description: front.description,
        workload,
        tools: front.tools.unwrap_or_else(|| vec!["*".to_owned()]),
        delegates: front.delegates,
        model: front.model,
        temperature: front.temperature,
        max_turns: front.max_turns,
        skills: front.skills,
        mcp_servers: front.mcp_servers,
        prompt,
        origin,
    })
}

fn yaml_failure(label: &str, source: &str, error: &serde_saphyr::Error) -> Failure {
    use serde_saphyr::Error as E;
    let error = error.without_snippet();
    let place = error.location().map_or_else(|| label.to_owned(), |at| format!("{label}:{}:{}", at.line(), at.column()));
    match error {
        E::SerdeUnknownField { field, expected, .. } => {
            let hint =
                nearest::did_you_mean(field, expected.iter().copied()).unwrap_or_else(|| format!("the keys are {}", expected.join(", ")));
            Failure::config(format!("{place}: `{field}` is not a known key")).hint(hint)
        }
        E::SerdeMissingField { field, .. } => Failure::config(format!("{label}: the front matter has no `{field}`")),
        E::SerdeInvalidType { unexpected, expected, .. } => Failure::config(format!("{place}: expected {expected}, found {unexpected}")),
        E::DuplicateMappingKey { key, .. } => {
            Failure::config(format!("{place}: `{}` stands here a second time", key.as_deref().unwrap_or("a key")))
        }
        other => {
            let what = other.to_string();
            let what = what.split(" at line ").next().unwrap_or(&what);
            let line = error.location().and_then(|at| source.lines().nth(usize::try_from(at.line()).ok()?.saturating_sub(1)));
            let shown = line.map_or(String::new(), |l| format!("`{}` cannot be read: ", text::one_line(l, 60)));
            Failure::config(format!("{place}: {shown}{}", text::one_line(what, 200)))
        }
    }
}
