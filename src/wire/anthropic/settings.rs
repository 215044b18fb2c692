//! Everything of a request that stands behind the messages.

use super::betas;
use super::claude::{Claude, MAX_DEFAULT_OUTPUT, Sampling};
use super::thinking::{self, Thinking};
use crate::model::{Loss, Request, ResponseFormat, ToolChoice};
use crate::wire::definitions;
use crate::wire::fields::Fields;
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use crate::wire::quirk::Dialect;
use serde_json::{Map, Value, json};

/// What a body is for: counting takes fewer fields than answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Answer,
    Count,
}

/// The bound of the output, which this wire requires: the request's, else the most that the model surely takes.
pub fn max_tokens(request: &Request, dialect: &Dialect) -> u64 {
    request.max_output.unwrap_or_else(|| {
        let claude = Claude::of(&request.model).map(Claude::output);
        let most = claude.unwrap_or(if dialect.default_output.is_some() { MAX_DEFAULT_OUTPUT } else { UNKNOWN_OUTPUT });
        dialect.default_output.map_or(most, |limit| limit.min(most))
    })
}

/// For models of which nothing is known.
const UNKNOWN_OUTPUT: u64 = 8_192;

/// The one key of `metadata` that the wire has.
pub const USER: &str = "user_id";

/// Writes the fields into an object that is already begun.
pub fn write(o: &mut Object<'_>, request: &Request, dialect: &Dialect, thinking: &Thinking, purpose: Purpose, losses: &mut Vec<Loss>) {
    let mut fields = Fields::new(o, losses, RESERVED, &[]);
    if purpose == Purpose::Answer {
        fields.set("max_tokens", &max_tokens(request, dialect));
    }
    match thinking {
        Thinking::Budget(budget) => fields.set("thinking", &json!({"type": "enabled", "budget_tokens": budget})),
        Thinking::Adaptive { think: true, .. } => fields.set("thinking", &json!({"type": "adaptive"})),
        Thinking::Unasked | Thinking::NotThisTurn | Thinking::Adaptive { think: false, .. } | Thinking::Own { .. } => {}
    }
    output_config(&mut fields, request, thinking);
    tool_choice(&mut fields, request);
    if purpose == Purpose::Answer {
        sampling(&mut fields, request, thinking);
        stops(&mut fields, request);
        rest(&mut fields, request);
        if request.stream {
            fields.set("stream", &true);
        }
        extensions(&mut fields, request, &[]);
    } else {
        extensions(&mut fields, request, &["context_management", "mcp_servers", thinking::EXTENSION]);
    }
}

/// Fields that only the request itself sets, present or not.
const RESERVED: &[&str] =
    &["model", "system", "messages", "max_tokens", "stream", "output_config", definitions::EXTENSION, betas::EXTENSION];

/// The effort and the form of the answer, beside what the caller put there itself.
fn output_config(fields: &mut Fields<'_, '_>, request: &Request, thinking: &Thinking) {
    let own = request.extensions.get(super::NAME).and_then(|own| own.get("output_config")?.as_object());
    let mut config: Map<String, Value> = own.cloned().unwrap_or_default();
    if let Some(effort) = thinking.effort() {
        config.insert("effort".to_owned(), effort.into());
    }
    match &request.response_format {
        None => {}
        Some(ResponseFormat::JsonObject) => {
            fields.lose("response_format", "this wire can bind an answer to a schema, but not to JSON of any form");
        }
        Some(ResponseFormat::JsonSchema { name, schema, strict }) => {
            if !name.is_empty() || strict.is_some() {
                fields.lose("response_format", "the schema's name and strictness: on this wire it has no name and is always strict");
            }
            config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
        }
    }
    if !config.is_empty() {
        fields.set("output_config", &config);
    }
}

fn tool_choice(fields: &mut Fields<'_, '_>, request: &Request) {
    if request.tools.is_empty() && definitions::whole(request, super::NAME).is_empty() {
        if request.tool_choice != ToolChoice::Auto {
            fields.lose("tool_choice", "there are no tools to choose from");
        }
        if request.parallel_tool_calls.is_some() {
            fields.lose("parallel_tool_calls", "there are no tools to call");
        }
        return;
    }
    let (kind, name) = match &request.tool_choice {
        ToolChoice::Auto if request.parallel_tool_calls.is_none() => return,
        ToolChoice::Auto => ("auto", None),
        ToolChoice::None => ("none", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::Tool(name) => ("tool", Some(wire_name(name))),
    };
    let mut choice = Map::new();
    choice.insert("type".to_owned(), kind.into());
    if let Some(name) = name {
        choice.insert("name".to_owned(), name.into_owned().into());
    }
    match request.parallel_tool_calls {
        Some(_) if kind == "none" => fields.lose("parallel_tool_calls", "no tool may be called at all"),
        Some(parallel) => {
            choice.insert("disable_parallel_tool_use".to_owned(), (!parallel).into());
        }
        None => {}
    }
    fields.set("tool_choice", &choice);
}

/// Temperature and `top_p`, as far as the model takes them.
fn sampling(fields: &mut Fields<'_, '_>, request: &Request, thinking: &Thinking) {
    let taken = Claude::of(&request.model).map_or(Sampling::Both, Claude::sampling);
    let mut temperature = false;
    if let Some(wanted) = request.temperature {
        let sent = wanted.clamp(0.0, 1.0);
        if !wanted.is_finite() {
            fields.lose("temperature", "it is not a number that JSON can carry");
        } else if taken == Sampling::None {
            fields.lose("temperature", "this model takes none");
        } else if thinking.is_on() {
            fields.lose("temperature", "the wire takes none beside thinking");
        } else {
            if !(0.0..=1.0).contains(&wanted) {
                fields.lose("temperature", "the wire takes 0 to 1; the nearest of these was sent");
            }
            fields.set("temperature", &sent);
            temperature = true;
        }
    }
    if let Some(top_p) = request.top_p {
        if !top_p.is_finite() {
            fields.lose("top_p", "it is not a number that JSON can carry");
        } else if taken == Sampling::None {
            fields.lose("top_p", "this model takes none");
        } else if temperature && taken == Sampling::OneOfThem {
            fields.lose("top_p", "this model takes either temperature or top_p; the temperature was sent");
        } else if thinking.is_on() && top_p < 0.95 {
            fields.lose("top_p", "beside thinking the wire takes 0.95 to 1");
        } else {
            fields.set("top_p", &top_p);
        }
    }
}

fn stops(fields: &mut Fields<'_, '_>, request: &Request) {
    let usable: Vec<&String> = request.stop.iter().filter(|s| !s.trim().is_empty()).collect();
    if usable.len() < request.stop.len() {
        fields.lose("stop", "the wire takes no blank stop sequences");
    }
    if !usable.is_empty() {
        fields.set("stop_sequences", &usable);
    }
}

fn rest(fields: &mut Fields<'_, '_>, request: &Request) {
    if request.seed.is_some() {
        fields.lose("seed", "the wire has no seed");
    }
    if request.n.is_some_and(|n| n != 1) {
        fields.lose("n", "the wire gives one answer");
    }
    for (key, value) in &request.metadata {
        if key == USER {
            fields.set("metadata", &json!({USER: value}));
        } else {
            fields.lose(format!("metadata.{key}"), "the wire's metadata has only `user_id`");
        }
    }
}

/// The caller's own fields; for counting only those in `only`.
fn extensions(fields: &mut Fields<'_, '_>, request: &Request, only: &[&str]) {
    for (wire, own) in &request.extensions {
        for (name, value) in own {
            let at = || format!("extensions.{wire}.{name}");
            if wire != super::NAME {
                fields.lose(at(), "a field of another wire");
            } else if (matches!(name.as_str(), definitions::EXTENSION | betas::EXTENSION) && value.is_array())
                || (name == "output_config" && value.is_object())
            {
                // Written where they belong, beside the request's own.
            } else if fields.has(name) || only.is_empty() || only.contains(&name.as_str()) {
                fields.pass(&at(), name, value);
            }
        }
    }
}
