//! Agent files of Claude Code (`.claude/agents/*.md`), read as they are. Their front matter has `name`, `description`,
//! `tools` and `disallowedTools` (names with commas between them; all tools where `tools` is absent), `model`
//! (`sonnet`, `opus`, `haiku`, `inherit` or an id), `maxTurns`, `skills`; other keys say nothing to pup and are ignored.

use super::fields::{At, Fields};
use super::finding::Finding;
use super::native::no_prompt;
use super::{Agent, Input, front, mapped, settle};
use crate::catalog::Workload;

const KEYS: &[&str] = &["name", "description", "tools", "disallowedTools", "model", "maxTurns", "skills"];

/// See [`super::native::read`].
pub fn read(input: &Input<'_>) -> Result<Agent, Vec<Finding>> {
    let Some(parts) = front::split(input.text) else { return Err(vec![front::absent()]) };
    let mut fields = Fields::new(front::lenient(parts.front), "front matter", KEYS).map_err(|f| vec![f])?;
    let name = fields.text("name").map_or_else(|| input.stem.to_owned(), |n| n.value);
    let description = fields.required("description");
    let listed = fields.names("tools").filter(|all| all.iter().all(|t| t.value != "*"));
    let mut tools = match &listed {
        Some(listed) => {
            let (tools, notes) = mapped::tools(listed, counterpart, input.tools);
            fields.findings.extend(notes);
            tools
        }
        None => vec!["*".to_owned()],
    };
    if let Some(taken) = fields.names("disallowedTools") {
        let gone = without(&taken);
        let all = if listed.is_some() { tools } else { input.tools.iter().map(|t| (*t).to_owned()).collect() };
        tools = all.into_iter().filter(|t| !gone.contains(&t.as_str())).collect();
    }
    let (workload, model) = model(fields.text("model"));
    input.check_model(model.as_ref(), &mut fields);
    let max_turns = fields.count("maxTurns");
    let skills = fields.names("skills").unwrap_or_default().into_iter().map(|s| s.value).collect();
    if parts.body.trim().is_empty() {
        fields.report(no_prompt(parts.body_line));
    }
    let agent = description.map(|description| Agent {
        name: input.stem.to_owned(),
        display_name: name.clone(),
        own_name: Some(name),
        description: description.value.trim().to_owned(),
        workload,
        tools,
        delegates: Vec::new(),
        model: model.map(|m| m.value),
        temperature: None,
        max_turns,
        skills,
        mcp_servers: Vec::new(),
        prompt: parts.body.trim().to_owned(),
        origin: input.origin.clone(),
        notes: Vec::new(),
    });
    settle(agent, fields.findings)
}

/// `Bash(git:*)` is less than a shell, so it is nothing here; taken away, it takes the whole shell.
fn counterpart(name: &str) -> &'static [&'static str] {
    match name {
        "Read" | "NotebookRead" => &["read_file"],
        "Write" => &["create_file"],
        "Edit" | "MultiEdit" => &["replace_in_file"],
        "Glob" | "LS" => &["list_files"],
        "Grep" => &["grep"],
        "Bash" => &["shell"],
        "TodoWrite" => &["todo"],
        "AskUserQuestion" => &["ask_user_question"],
        _ => &[],
    }
}

fn without(taken: &[At<String>]) -> Vec<&'static str> {
    let bare = |name: &str| name.split('(').next().unwrap_or(name).trim().to_owned();
    taken.iter().flat_map(|t| counterpart(&bare(&t.value))).copied().collect()
}

/// A family's name chooses the chain that such a model leads; an id is pinned on Anthropic's own door.
fn model(named: Option<At<String>>) -> (Workload, Option<At<String>>) {
    let Some(At { value, at }) = named else { return (Workload::default(), None) };
    match value.trim() {
        "opus" => (Workload::Orchestrator, None),
        "sonnet" => (Workload::Reasoning, None),
        "haiku" => (Workload::Librarian, None),
        "" | "inherit" => (Workload::default(), None),
        id if id.starts_with("claude-") => (Workload::default(), Some(At { value: format!("anthropic/{id}"), at })),
        id => (Workload::default(), Some(At { value: id.to_owned(), at })),
    }
}
