//! pup's own agent files: Markdown, every key known.

use super::fields::Fields;
use super::finding::Finding;
use super::tree::Spot;
use super::{Agent, Check, Input, front, settle, shared};
use crate::base::nearest;
use crate::catalog::Workload;

const KEYS: &[&str] = &[
    "name",
    "display_name",
    "description",
    "workload",
    "tools",
    "delegates",
    "model",
    "temperature",
    "max_turns",
    "skills",
    "mcp_servers",
];

/// The agent, with what is merely worth knowing; or all findings, of which one at least is an error.
pub fn read(input: &Input<'_>) -> Result<Agent, Vec<Finding>> {
    let Some(parts) = front::split(input.text) else { return Err(vec![front::absent()]) };
    let tree = front::strict(parts.front).map_err(|f| vec![f])?;
    let mut fields = Fields::new(tree, "front matter", KEYS).map_err(|f| vec![f])?;
    let name = fields.required("name");
    if let Some(name) = name.as_ref().filter(|n| n.value != input.stem) {
        let hint = format!("rename the file to {}.md, or set `name: {}`", name.value, input.stem);
        let what = format!("the file is called {}, but its `name` is `{}`", input.stem, name.value);
        fields.report(Finding::error(what).at(name.at).key("name").hint(hint));
    }
    let description = fields.required("description");
    let display_name = fields.text("display_name").map(|t| t.value);
    let workload = workload(&mut fields);
    let tools = fields.names("tools").map(|tools| {
        for tool in &tools {
            if let Err(finding) = input.known_tool(&tool.value) {
                fields.report(finding.at(tool.at).key("tools"));
            }
        }
        tools.into_iter().map(|t| t.value).collect()
    });
    let delegates = fields.names("delegates").unwrap_or_default();
    for delegate in delegates.iter().filter(|d| !input.agents.contains(&d.value)) {
        let what = format!("there is no agent `{}` to delegate to", delegate.value);
        let finding = if matches!(input.check, Check::All(_)) { Finding::error(what) } else { Finding::warning(what) };
        let hint = nearest::did_you_mean(&delegate.value, input.agents.iter().map(String::as_str));
        fields.report(finding.at(delegate.at).key("delegates").hint_if(hint));
    }
    let model = fields.text("model");
    input.check_model(model.as_ref(), &mut fields);
    let temperature = fields.number("temperature", 0.0..=2.0);
    let max_turns = fields.count("max_turns");
    let mut plain = |key| fields.names(key).unwrap_or_default().into_iter().map(|n| n.value).collect::<Vec<_>>();
    let (skills, mcp_servers) = (plain("skills"), plain("mcp_servers"));
    fields.refuse_rest();
    let (prompt, faults) = shared::expand(parts.body, parts.body_line, input.origin.folder());
    fields.findings.extend(faults);
    if parts.body.trim().is_empty() {
        fields.report(no_prompt(parts.body_line));
    }
    let agent = name.zip(description).map(|(name, description)| Agent {
        display_name: display_name.unwrap_or_else(|| name.value.clone()),
        name: name.value,
        own_name: None,
        description: description.value.trim().to_owned(),
        workload,
        tools: tools.unwrap_or_else(|| vec!["*".to_owned()]),
        delegates: delegates.into_iter().map(|d| d.value).collect(),
        model: model.map(|m| m.value),
        temperature,
        max_turns,
        skills,
        mcp_servers,
        prompt: prompt.trim().to_owned(),
        origin: input.origin.clone(),
        notes: Vec::new(),
    });
    settle(agent, fields.findings)
}

pub fn no_prompt(line: usize) -> Finding {
    Finding::error("there is no prompt below the front matter")
        .at(Spot::line(line))
        .hint("write there what the agent is for and how it works")
}

fn workload(fields: &mut Fields) -> Workload {
    let Some(node) = fields.text("workload") else { return Workload::default() };
    node.value.parse().unwrap_or_else(|f: crate::base::Failure| {
        let finding = Finding::error(f.message).at(node.at).key("workload");
        fields.report(finding.hint_if(f.hint));
        Workload::default()
    })
}
