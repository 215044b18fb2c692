//! JSON agents of Code Puppy: `name`, `description`, `system_prompt` (text or a list of lines) and `tools`; optional
//! `display_name`, `user_prompt`, `tools_config`, `model`, `model_settings` and `mcp_servers`.

use super::fields::Fields;
use super::finding::Finding;
use super::tree::{self, Datum, Node, Spot};
use super::{Agent, Input, mapped, settle};
use crate::base::nearest;
use crate::catalog::Workload;

const KEYS: &[&str] = &[
    "name",
    "description",
    "system_prompt",
    "tools",
    "display_name",
    "user_prompt",
    "tools_config",
    "model",
    "model_settings",
    "mcp_servers",
];

/// See [`super::native::read`].
pub fn read(input: &Input<'_>) -> Result<Agent, Vec<Finding>> {
    if let Err(e) = serde_json::from_str::<serde::de::IgnoredAny>(input.text) {
        let text = e.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text);
        let finding = Finding::error(format!("this is not JSON: {what}")).at(Spot { line: e.line().max(1), column: e.column().max(1) });
        return Err(vec![finding.hint("JSON has no comments and no comma before a closing bracket")]);
    }
    let Some(tree) = tree::from_json(input.text) else { return Err(vec![Finding::error("this is not JSON")]) };
    let mut fields = Fields::new(tree, "a JSON agent", KEYS).map_err(|f| vec![f])?;
    let name = fields.required("name");
    let description = fields.required("description");
    let prompt = prompt(&mut fields);
    let tools = tools(&mut fields, input);
    let display_name = fields.text("display_name").map(|t| t.value);
    let model = fields.text("model");
    input.check_model(model.as_ref(), &mut fields);
    let temperature = settings(&mut fields);
    let mcp_servers = fields.take("mcp_servers").map(|node| names_of(&node)).unwrap_or_default();
    for key in ["user_prompt", "tools_config"] {
        if let Some(node) = fields.take(key) {
            fields.report(Finding::warning(format!("`{key}` has no effect in pup")).at(node.at).key(key));
        }
    }
    for key in fields.rest() {
        let finding = Finding::warning(format!("`{}` is not a known key and has no effect", key.value)).at(key.at).key(&key.value);
        fields.report(finding.hint_if(nearest::did_you_mean(&key.value, KEYS.iter().copied())));
    }
    let agent = name.zip(description).zip(prompt).zip(tools).map(|(((name, description), prompt), tools)| Agent {
        name: input.stem.to_owned(),
        display_name: display_name.unwrap_or_else(|| name.value.clone()),
        own_name: Some(name.value),
        description: description.value.trim().to_owned(),
        workload: Workload::default(),
        tools,
        delegates: Vec::new(),
        model: model.map(|m| m.value),
        temperature,
        max_turns: None,
        skills: Vec::new(),
        mcp_servers,
        prompt,
        origin: input.origin.clone(),
        notes: Vec::new(),
    });
    settle(agent, fields.findings)
}

fn prompt(fields: &mut Fields) -> Option<String> {
    const KEY: &str = "system_prompt";
    let Some(node) = fields.take(KEY) else {
        // Says that it is absent, and what stands there instead.
        return fields.required(KEY).map(|t| t.value);
    };
    let text = match node.datum {
        Datum::Text(text) => text,
        Datum::List(lines) => {
            let mut all = Vec::new();
            for line in lines {
                match line.datum {
                    Datum::Text(text) => all.push(text),
                    other => fields.wrong(KEY, line.at, "text or a list of lines", &other),
                }
            }
            all.join("\n")
        }
        other => {
            fields.wrong(KEY, node.at, "text or a list of lines", &other);
            return None;
        }
    };
    let text = text.trim();
    if text.is_empty() {
        fields.report(Finding::error(format!("`{KEY}` is empty")).at(node.at).key(KEY));
    }
    (!text.is_empty()).then(|| text.to_owned())
}

fn tools(fields: &mut Fields, input: &Input<'_>) -> Option<Vec<String>> {
    let before = fields.findings.len();
    let Some(listed) = fields.names("tools") else {
        if fields.findings.len() == before {
            fields.required("tools");
        }
        return None;
    };
    let (tools, notes) = mapped::tools(&listed, counterpart, input.tools);
    fields.findings.extend(notes);
    Some(tools)
}

fn counterpart(name: &str) -> &'static [&'static str] {
    match name {
        "agent_run_shell_command" => &["shell"],
        "ask_user_question" => &["ask_user_question"],
        // It writes whole files and replaces parts of them.
        "edit_file" => &["create_file", "replace_in_file"],
        "delete_snippet" | "delete_snippet_from_file" => &["replace_in_file"],
        _ => &[],
    }
}

/// The temperature; the other settings of a model are said to have no effect.
fn settings(fields: &mut Fields) -> Option<f64> {
    let node = fields.take("model_settings")?;
    let mut inner = match Fields::new(node, "`model_settings`", &["temperature"]) {
        Ok(inner) => inner,
        Err(finding) => {
            fields.report(finding.key("model_settings"));
            return None;
        }
    };
    let temperature = inner.number("temperature", 0.0..=2.0);
    for key in inner.rest() {
        inner.report(Finding::warning(format!("`model_settings.{}` has no effect in pup", key.value)).at(key.at).key("model_settings"));
    }
    fields.findings.extend(inner.findings);
    temperature
}

/// Servers are listed by name, or are a group whose keys are the names.
fn names_of(node: &Node) -> Vec<String> {
    match &node.datum {
        Datum::List(items) => items.iter().filter_map(|i| if let Datum::Text(t) = &i.datum { Some(t.clone()) } else { None }).collect(),
        Datum::Map(entries) => entries.iter().map(|e| e.key.clone()).collect(),
        Datum::Text(one) => vec![one.clone()],
        Datum::Null | Datum::Bool | Datum::Number(_) => Vec::new(),
    }
}
