//! `activate_skill`: the instructions of a skill, and single files of it, once they are needed.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::{nearest, text};
use crate::catalog::{Skill, skills};
use crate::model::ToolSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most that is shown of a file, in bytes.
const SHOWN: usize = 64 * 1024;
/// How many of its other files are named.
const NAMED: usize = 50;

pub struct ActivateSkill {
    skills: Vec<Skill>,
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct SkillArgs {
    name: String,
    /// One of its files instead.
    file: Option<String>,
}

impl ActivateSkill {
    pub fn new(skills: Vec<Skill>) -> Self {
        Self { skills, schema: schema::of::<SkillArgs>() }
    }

    fn show(&self, args: &Args) -> Result<Output, ToolError> {
        let SkillArgs { name, file } = args::read(self.name(), &self.schema, args)?;
        let names = || self.skills.iter().map(|s| s.name.as_str());
        let Some(skill) = self.skills.iter().find(|s| s.name == name.trim()) else {
            let hint = nearest::did_you_mean(&name, names())
                .unwrap_or_else(|| format!("the skills are {}", names().collect::<Vec<_>>().join(", ")));
            return Err(ToolError::model(format!("there is no skill `{name}`; {hint}")));
        };
        let root = skill.folder.canonicalize().map_err(|e| ToolError::model(format!("the skill {name} is gone: {e}")))?;
        let wanted = file.as_deref().unwrap_or(skills::FILE);
        let path = root.join(wanted);
        let real = path.canonicalize().map_err(|e| ToolError::model(format!("{wanted} of the skill {name} cannot be read: {e}")))?;
        if !real.starts_with(&root) {
            return Err(ToolError::model(format!("{wanted} is outside of the skill {name}")));
        }
        let whole = read(&real).map_err(|e| ToolError::model(format!("{wanted} of the skill {name} cannot be read: {e}")))?;
        let summary = text::counted(whole.lines().count() as u64, "line");
        let shown = if file.is_none() { skills::body(&whole) } else { whole.as_str() };
        let mut out = text::prefix(shown, SHOWN).to_owned();
        if out.len() < shown.len() {
            out.push_str("\n[The rest of this file is left out.]");
        }
        if file.is_none() {
            let others = others(&root);
            out = format!("Skill {name}, in {}:\n\n{out}", root.display());
            if !others.is_empty() {
                out.push_str("\n\nIts other files: ");
                out.push_str(&others.join(", "));
            }
        }
        Ok(Output { text: out, summary, ..Output::default() })
    }
}

/// The text of a file, as far as it may be of use.
fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(4 << 20).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not UTF-8 text"))
}

/// The names of a skill's files besides its instructions, by path.
fn others(root: &Path) -> Vec<String> {
    let walk = ignore::WalkBuilder::new(root).standard_filters(false).max_depth(Some(4)).sort_by_file_name(std::cmp::Ord::cmp).build();
    let files = walk.flatten().filter(|e| e.file_type().is_some_and(|t| t.is_file())).map(ignore::DirEntry::into_path);
    let inside = files.filter_map(|p: PathBuf| Some(p.strip_prefix(root).ok()?.display().to_string()));
    inside.filter(|p| p != skills::FILE).take(NAMED).collect()
}

impl Tool for ActivateSkill {
    fn name(&self) -> &'static str {
        "activate_skill"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Get the instructions of a skill, before work that it is for.";
        ToolSpec { name: self.name().into(), description: description.into(), parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        let file = args::peek(args, "file").map_or_else(String::new, |f| format!(", {f}"));
        format!("{}: {}{file}", self.name(), args::peek(args, "name").unwrap_or("?"))
    }

    /// Its files are its own, not the workspace's.
    fn paths(&self, _: &Args) -> Vec<String> {
        Vec::new()
    }

    fn run<'a>(&'a self, args: &'a Args, _: &'a Context) -> Running<'a> {
        Box::pin(async move { self.show(args) })
    }
}
