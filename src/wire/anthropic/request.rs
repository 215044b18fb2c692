//! The server's half: a request's body to the neutral request. What is not modelled is kept as an extension.

use super::thinking::{self, Match};
use super::{NAME, settings, tools};
use crate::model::request::CacheMark;
use crate::model::{Block, ImageSource, Message, Part, Request, ResponseFormat, Role, ToolCall, ToolChoice, ToolResult, ToolSpec};
use crate::wire::arguments;
use crate::wire::definitions::{self, Fidelity};
use crate::wire::openai_chat::RequestError;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

fn shape(at: impl Into<String>, expected: &'static str) -> RequestError {
    RequestError::Shape { at: at.into(), expected }
}

/// Reads a Messages request, or one that asks for a token count.
///
/// Results of tools leave the user's message for one of their own; marks for the cache become [`CacheMark`]s.
pub fn decode_request(body: &[u8]) -> Result<Request, RequestError> {
    // Kept as raw text, so that signed and opaque parts stay byte for byte.
    let top: BTreeMap<String, &RawValue> = match serde_json::from_slice(body) {
        Ok(top) => top,
        Err(e) if e.is_data() => return Err(shape("the body", "an object")),
        Err(e) => return Err(RequestError::NotJson(e.to_string())),
    };
    let mut request = Request::default();
    let mut reader = Reader::default();
    if let Some(system) = top.get("system") {
        reader.system(system)?;
    }
    if let Some(raw) = top.get("messages") {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| shape("messages", "a list"))?;
        for (n, item) in items.into_iter().enumerate() {
            reader.message(&format!("messages[{n}]"), item)?;
        }
        if reader.messages.iter().all(|m| m.role == Role::System) {
            return Err(shape("messages", "at least one message"));
        }
    } else {
        return Err(shape("messages", "at least one message"));
    }
    request.messages = reader.messages.into_iter().collect();
    request.cache_marks = reader.marks;
    for (key, raw) in top {
        let value: Value = serde_json::from_str(raw.get()).map_err(|e| RequestError::NotJson(e.to_string()))?;
        if !value.is_null() {
            setting(&mut request, key, value)?;
        }
    }
    if request.model.is_empty() {
        return Err(shape("model", "the name of a model"));
    }
    Ok(request)
}

fn setting(request: &mut Request, key: String, value: Value) -> Result<(), RequestError> {
    match (key.as_str(), value) {
        ("system" | "messages", _) => {}
        ("model", Value::String(model)) => request.model = model,
        ("tools", Value::Array(items)) => definitions(request, items)?,
        ("tool_choice", Value::Object(map)) => tool_choice(request, &map)?,
        ("thinking", value) => asked_thinking(request, value),
        ("output_config", Value::Object(map)) => output_config(request, map),
        ("max_tokens", Value::Number(n)) => request.max_output = n.as_u64(),
        ("temperature", Value::Number(n)) => request.temperature = n.as_f64(),
        ("top_p", Value::Number(n)) => request.top_p = n.as_f64(),
        ("stop_sequences", Value::Array(items)) => {
            let stops: Option<Vec<String>> = items.into_iter().map(|v| if let Value::String(s) = v { Some(s) } else { None }).collect();
            request.stop = stops.ok_or_else(|| shape("stop_sequences", "strings"))?;
        }
        ("metadata", Value::Object(map)) => {
            if let Some(Value::String(user)) = map.get(settings::USER) {
                request.metadata.insert(settings::USER.to_owned(), user.clone());
            }
        }
        ("stream", Value::Bool(stream)) => request.stream = stream,
        ("model", _) => return Err(shape("model", "a string")),
        ("tools", _) => return Err(shape("tools", "a list")),
        ("tool_choice", _) => return Err(shape("tool_choice", "an object")),
        (_, value) => {
            own(request).insert(key, value);
        }
    }
    Ok(())
}

fn own(request: &mut Request) -> &mut Map<String, Value> {
    request.extensions.entry(NAME.to_owned()).or_default()
}

fn definitions(request: &mut Request, items: Vec<Value>) -> Result<(), RequestError> {
    let mut specs: Vec<ToolSpec> = Vec::new();
    let mut fidelity = Fidelity::Whole;
    for (n, item) in items.iter().enumerate() {
        let (spec, how) = tools::read(item).ok_or_else(|| shape(format!("tools[{n}].name"), "a tool with a name"))?;
        specs.extend(spec);
        if how == Fidelity::LeavesOut {
            fidelity = how;
        }
    }
    request.tools = specs.into();
    // All of them, for their order counts: it is part of what a cache remembers.
    if fidelity == Fidelity::LeavesOut {
        own(request).insert(definitions::EXTENSION.to_owned(), Value::Array(items));
    }
    Ok(())
}

fn tool_choice(request: &mut Request, map: &Map<String, Value>) -> Result<(), RequestError> {
    request.tool_choice = match map.get("type").and_then(Value::as_str) {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => {
            let name = map.get("name").and_then(Value::as_str);
            ToolChoice::Tool(name.ok_or_else(|| shape("tool_choice.name", "the name of a tool"))?.to_owned())
        }
        _ => return Err(shape("tool_choice.type", "auto, any, none or tool")),
    };
    request.parallel_tool_calls = map.get("disable_parallel_tool_use").and_then(Value::as_bool).map(|disable| !disable);
    Ok(())
}

/// Thinking as an effort, by which every wire can ask for it; what an effort does not say exactly is kept beside it.
fn asked_thinking(request: &mut Request, value: Value) {
    let plain = value.as_object().is_some_and(|map| map.keys().all(|k| matches!(k.as_str(), "type" | "budget_tokens")));
    let kind = value.get("type").and_then(Value::as_str);
    let budget = value.get("budget_tokens").and_then(Value::as_u64);
    match (kind, budget) {
        // The effort that goes with it stands in `output_config`, which is read before.
        (Some("adaptive"), None) if plain && request.reasoning_effort.is_some() => {}
        (Some("enabled"), Some(budget)) => {
            let (word, how) = thinking::effort_of(budget);
            let free = request.reasoning_effort.is_none();
            if free {
                request.reasoning_effort = Some(word.to_owned());
            }
            if !(free && plain && how == Match::Exact) {
                own(request).insert(thinking::EXTENSION.to_owned(), value);
            }
        }
        _ => {
            own(request).insert(thinking::EXTENSION.to_owned(), value);
        }
    }
}

fn output_config(request: &mut Request, mut map: Map<String, Value>) {
    if let Some(Value::String(effort)) = map.get("effort") {
        request.reasoning_effort = Some(effort.clone());
        map.remove("effort");
    }
    let schema = map.get("format").filter(|f| f.get("type").and_then(Value::as_str) == Some("json_schema"));
    if let Some(schema) = schema.and_then(|f| f.get("schema")).cloned() {
        request.response_format = Some(ResponseFormat::JsonSchema { name: String::new(), schema, strict: None });
        map.remove("format");
    }
    if !map.is_empty() {
        own(request).insert("output_config".to_owned(), Value::Object(map));
    }
}

/// The messages and marks so far.
#[derive(Debug, Default)]
struct Reader {
    messages: Vec<Message>,
    marks: Vec<CacheMark>,
}

/// A block's fields, as far as some kind of block has them.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

fn text_of(fields: &Fields<'_>, key: &str) -> Option<String> {
    serde_json::from_str(fields.get(key)?.get()).ok()
}

impl Reader {
    fn system(&mut self, raw: &RawValue) -> Result<(), RequestError> {
        for (n, block) in blocks("system", raw)?.into_iter().enumerate() {
            if let Ok(text) = serde_json::from_str::<String>(block.get()) {
                self.push(Role::System, Block::Text { text });
                continue;
            }
            let fields = fields(&format!("system[{n}]"), block)?;
            let text = text_of(&fields, "text").ok_or_else(|| shape(format!("system[{n}].text"), "a string"))?;
            self.push(Role::System, Block::Text { text });
            self.mark(&fields);
        }
        Ok(())
    }

    fn message(&mut self, at: &str, raw: &RawValue) -> Result<(), RequestError> {
        let message = fields(at, raw)?;
        let role = match text_of(&message, "role").as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            _ => return Err(shape(format!("{at}.role"), "user or assistant")),
        };
        let content = message.get("content").ok_or_else(|| shape(format!("{at}.content"), "a string or a list of blocks"))?;
        for (n, block) in blocks(&format!("{at}.content"), content)?.into_iter().enumerate() {
            self.block(&format!("{at}.content[{n}]"), role, block)?;
        }
        Ok(())
    }

    /// Appends to the last message if it is of this role.
    fn push(&mut self, role: Role, block: Block) {
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.blocks.push(block),
            _ => self.messages.push(Message::new(role, vec![block])),
        }
    }

    /// Notes the mark of the block that was just pushed.
    fn mark(&mut self, fields: &Fields<'_>) {
        let Some(control) = fields.get("cache_control").and_then(|c| serde_json::from_str::<Value>(c.get()).ok()) else { return };
        let last = self.messages.len().checked_sub(1).and_then(|at| Some((at, self.messages.get(at)?.blocks.len().checked_sub(1)?)));
        if let (Some((message, block)), false) = (last, control.is_null()) {
            let long = control.get("ttl").and_then(Value::as_str) == Some("1h");
            self.marks.push(CacheMark { message, block, long });
        }
    }

    fn block(&mut self, at: &str, role: Role, raw: &RawValue) -> Result<(), RequestError> {
        // A plain string among the blocks, or instead of them, is text.
        if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
            if !text.is_empty() {
                self.push(role, Block::Text { text });
            }
            return Ok(());
        }
        let fields = fields(at, raw)?;
        let need = |key: &str| text_of(&fields, key).ok_or_else(|| shape(format!("{at}.{key}"), "a string"));
        let opaque = || Block::Opaque { wire: NAME.to_owned(), raw: raw.get().to_owned() };
        let (role, block) = match (role, need("type")?.as_str()) {
            (_, "text") => (role, Block::Text { text: need("text")? }),
            (Role::Assistant, "thinking") => {
                let signature = text_of(&fields, "signature").filter(|s| !s.is_empty());
                (role, Block::Thinking { text: need("thinking")?, signature, redacted: false })
            }
            (Role::Assistant, "redacted_thinking") => {
                (role, Block::Thinking { text: String::new(), signature: Some(need("data")?), redacted: true })
            }
            (Role::Assistant, "tool_use") => {
                let args_raw = fields.get("input").map(|i| arguments::read(i.get())).unwrap_or_default();
                (role, Block::ToolCall(ToolCall { id: need("id")?, name: need("name")?, args_raw, signature: None }))
            }
            (Role::User, "tool_result") => (Role::Tool, Block::ToolResult(result(at, &fields)?)),
            (_, "image") => (role, source(&fields).map_or_else(opaque, |source| Block::Image { source })),
            (Role::User, "document") => (role, document(&fields).unwrap_or_else(opaque)),
            _ => (role, opaque()),
        };
        let markable = !matches!(block, Block::Opaque { .. });
        self.push(role, block);
        // An opaque block has its mark in it.
        if markable {
            self.mark(&fields);
        }
        Ok(())
    }
}

fn fields<'a>(at: &str, raw: &'a RawValue) -> Result<Fields<'a>, RequestError> {
    serde_json::from_str(raw.get()).map_err(|_| shape(at, "an object"))
}

/// Content as a list; a string is a list of one.
fn blocks<'a>(at: &str, raw: &'a RawValue) -> Result<Vec<&'a RawValue>, RequestError> {
    if raw.get().starts_with('"') {
        return Ok(vec![raw]);
    }
    serde_json::from_str(raw.get()).map_err(|_| shape(at, "a string or a list of blocks"))
}

fn result(at: &str, fields: &Fields<'_>) -> Result<ToolResult, RequestError> {
    let call_id = text_of(fields, "tool_use_id").ok_or_else(|| shape(format!("{at}.tool_use_id"), "a string"))?;
    let is_error = fields.get("is_error").is_some_and(|v| v.get() == "true");
    let mut parts = Vec::new();
    if let Some(content) = fields.get("content").filter(|c| c.get() != "null") {
        for (n, raw) in blocks(&format!("{at}.content"), content)?.into_iter().enumerate() {
            if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
                parts.push(Part::Text { text });
                continue;
            }
            let part = self::fields(&format!("{at}.content[{n}]"), raw)?;
            parts.push(match (text_of(&part, "type").as_deref(), text_of(&part, "text"), source(&part)) {
                (Some("text"), Some(text), _) => Part::Text { text },
                (Some("image"), _, Some(source)) => Part::Image { source },
                // A result holds text and images; what else it may hold is shown as what it is.
                _ => Part::Text { text: raw.get().to_owned() },
            });
        }
    }
    Ok(ToolResult { call_id, parts, is_error })
}

/// An image's source, if it is one that other wires have too.
fn source(fields: &Fields<'_>) -> Option<ImageSource> {
    let source: Fields<'_> = serde_json::from_str(fields.get("source")?.get()).ok()?;
    match text_of(&source, "type")?.as_str() {
        "base64" => Some(ImageSource::Inline { media_type: text_of(&source, "media_type")?, data: text_of(&source, "data")? }),
        "url" => Some(ImageSource::Url { url: text_of(&source, "url")? }),
        _ => None,
    }
}

/// A document that other wires could carry; others stay opaque.
fn document(fields: &Fields<'_>) -> Option<Block> {
    let plain = fields.keys().all(|k| matches!(k.as_str(), "type" | "source" | "title" | "cache_control"));
    let source: Fields<'_> = serde_json::from_str(fields.get("source")?.get()).ok()?;
    if !plain || text_of(&source, "type")? != "base64" {
        return None;
    }
    let media_type = text_of(&source, "media_type").filter(|m| m == "application/pdf")?;
    Some(Block::Document { media_type, data: text_of(&source, "data")?, name: text_of(fields, "title") })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
