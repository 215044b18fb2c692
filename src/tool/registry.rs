//! The tools that an agent has, by name.

use super::Tool;
use super::activate_skill::ActivateSkill;
use super::apply_patch::ApplyPatch;
use super::ask_user_question::{AskUserQuestion, NOBODY};
use super::create_file::CreateFile;
use super::delete_file::DeleteFile;
use super::grep::Grep;
use super::invoke_agent::{self, InvokeAgent};
use super::job::JobTool;
use super::list_agents::{self, ListAgents};
use super::list_files::ListFiles;
use super::read_file::ReadFile;
use super::recall::Recall;
use super::replace_in_file::ReplaceInFile;
use super::shell::Shell;
use super::todo::Todo;
use crate::base::{Failure, nearest};
use crate::catalog::Skill;
use crate::model::ToolSpec;
use std::sync::Arc;

/// What tools are called that agent files may name, in their order, without making them.
pub const NAMES: &[&str] = &[
    "list_files",
    "read_file",
    "grep",
    "create_file",
    "replace_in_file",
    "delete_file",
    "shell",
    "todo",
    "ask_user_question",
    "apply_patch",
    invoke_agent::NAME,
    list_agents::NAME,
];

/// Tools that an agent file may name, and that come with what they stand on instead of with the name.
pub const DELEGATION: &[&str] = &[invoke_agent::NAME, list_agents::NAME];

const PATCHES: &str = "apply_patch";
const ASKS: &str = "ask_user_question";

/// An ordered set of tools and their specs; the order and the bytes of the specs never change once made.
#[derive(Clone)]
pub struct Registry {
    tools: Vec<Arc<dyn Tool>>,
    specs: Arc<[ToolSpec]>,
}

impl Registry {
    pub fn new(tools: Vec<Arc<dyn Tool>>) -> Self {
        let specs = tools.iter().map(|t| t.spec()).collect();
        Self { tools, specs }
    }

    /// The built-in tools that need nothing but a workspace.
    pub fn builtin() -> Self {
        Self::new(vec![
            Arc::new(ListFiles::new()),
            Arc::new(ReadFile::new()),
            Arc::new(Grep::new()),
            Arc::new(CreateFile::new()),
            Arc::new(ReplaceInFile::new()),
            Arc::new(DeleteFile::new()),
            Arc::new(Shell::new()),
            Arc::new(Todo::new()),
            Arc::new(AskUserQuestion::new()),
            Arc::new(ApplyPatch::new()),
        ])
    }

    /// With the patch tool, where the model `id` is of a family that is trained on its format and these tools can edit files
    /// anyway. Others do better without it, and every tool is paid for in every request.
    #[must_use]
    pub fn suited_to(mut self, id: Option<&str>) -> Self {
        let trained = id.is_some_and(|id| ["gpt-4.1", "gpt-5", "codex"].iter().any(|family| id.contains(family)));
        if trained && self.get("replace_in_file").is_some() && self.get(PATCHES).is_none() {
            self.tools.push(Arc::new(ApplyPatch::new()));
            return Self::new(self.tools);
        }
        self
    }

    /// Without the tools that need a person, where there is none.
    #[must_use]
    pub fn unattended(self) -> Self {
        Self::new(self.tools.into_iter().filter(|t| t.name() != ASKS).collect())
    }

    /// With the tool that has the instructions of these skills, where there are some.
    #[must_use]
    pub fn with_skills(self, skills: Vec<Skill>) -> Self {
        if skills.is_empty() {
            return self;
        }
        self.with([Arc::new(ActivateSkill::new(skills)) as Arc<dyn Tool>])
    }

    /// With the tools that hand work to the agents of these names, if there are any.
    #[must_use]
    pub fn delegating_to(&self, names: &[String]) -> Self {
        if names.is_empty() {
            return self.clone();
        }
        let more: [Arc<dyn Tool>; 2] = [Arc::new(InvokeAgent::new(names)), Arc::new(ListAgents::new())];
        self.with(more)
    }

    /// With further tools behind these.
    #[must_use]
    pub fn with(&self, more: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        Self::new(self.tools.iter().cloned().chain(more).collect())
    }

    /// The tools whose names match one of `globs`, in this registry's order. A pattern that matches nothing is an error.
    /// The patch tool has to be named as it is: see [`Self::suited_to`].
    pub fn select(&self, globs: &[String]) -> Result<Self, Failure> {
        let named = globs.iter().any(|g| g == PATCHES);
        let mut set = globset::GlobSetBuilder::new();
        for pattern in globs {
            let glob = globset::Glob::new(pattern).map_err(|e| Failure::config(format!("tool pattern `{pattern}`: {}", e.kind())))?;
            let matcher = glob.compile_matcher();
            if !self.names().iter().chain(DELEGATION).any(|n| matcher.is_match(n)) {
                let hint =
                    nearest::did_you_mean(pattern, self.names()).unwrap_or_else(|| format!("the tools are {}", self.names().join(", ")));
                return Err(Failure::config(format!("no tool is named `{pattern}`")).hint(hint));
            }
            set.add(glob);
        }
        let set = set.build().map_err(|e| Failure::config(format!("tool patterns: {e}")))?;
        Ok(Self::new(self.tools.iter().filter(|t| set.is_match(t.name()) && (t.name() != PATCHES || named)).cloned().collect()))
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|t| t.name() == name)
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.tools.iter().map(|t| t.name()).collect()
    }

    pub fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    /// What a model is told about a tool that does not exist; `unattended`: where there is no person either.
    pub fn unknown(&self, name: &str, unattended: bool) -> String {
        if name == ASKS && unattended {
            return NOBODY.to_owned();
        }
        let near = nearest::did_you_mean(name, self.names()).map_or_else(|| ".".to_owned(), |hint| format!("; {hint}"));
        format!("there is no tool `{name}`{near} The tools are: {}", self.names().join(", "))
    }
}

/// An agent's tools as they are offered at each point of a session. A tool that is of no use yet is not sent: every tool is
/// paid for in every request.
pub struct Offers {
    /// By whether `recall` is among them, then by whether `job` is.
    sets: [[Registry; 2]; 2],
    recorded: bool,
}

impl Offers {
    /// `recorded`: what was taken out of the conversation can be found again.
    pub fn new(tools: &Registry, recorded: bool) -> Self {
        let with_jobs = |tools: &Registry| {
            if tools.get("shell").is_some() { tools.with([Arc::new(JobTool::new()) as Arc<dyn Tool>]) } else { tools.clone() }
        };
        let recalling = if recorded { tools.with([Arc::new(Recall::new()) as Arc<dyn Tool>]) } else { tools.clone() };
        let sets = [tools, &recalling].map(|tools| [tools.clone(), with_jobs(tools)]);
        Self { sets, recorded }
    }

    /// `gaps`: something was taken out of the conversation. `jobs`: a command was begun in the background.
    pub fn at(&self, gaps: bool, jobs: bool) -> &Registry {
        let [[plain, with_job], [recalling, all]] = &self.sets;
        match (gaps, jobs) {
            (false, false) => plain,
            (false, true) => with_job,
            (true, false) => recalling,
            (true, true) => all,
        }
    }

    pub const fn recalls(&self) -> bool {
        self.recorded
    }
}
