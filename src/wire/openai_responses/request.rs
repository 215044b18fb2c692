//! The server's half: a request's body to the neutral request. What is not modelled is kept as an extension.
//!
//! What the model made comes back as the items of a reply, so it is read as one: a run of such items is one assistant
//! message.

use super::items::{At, Items, Source};
use super::message::{PDF, UNNAMED};
use super::{NAME, about, settings, tools};
use crate::model::{
    Accumulator, Block, ImageSource, Message, Part, Request, ResponseFormat, Role, StreamEvent, ToolChoice, ToolResult, ToolSpec,
};
use crate::wire::definitions::{self, Fidelity};
use crate::wire::names;
use crate::wire::openai_chat::RequestError;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

fn shape(at: impl Into<String>, expected: &'static str) -> RequestError {
    RequestError::Shape { at: at.into(), expected }
}

/// Reads a Responses request. `instructions` and items of the system at the beginning are the same.
pub fn decode_request(body: &[u8]) -> Result<Request, RequestError> {
    // Kept as raw text, so that items that only the vendor understands stay byte for byte.
    let top: BTreeMap<String, &RawValue> = match serde_json::from_slice(body) {
        Ok(top) => top,
        Err(e) if e.is_data() => return Err(shape("the body", "an object")),
        Err(e) => return Err(RequestError::NotJson(e.to_string())),
    };
    let mut request = Request::default();
    let mut reader = Reader::default();
    if let Some(text) = top.get("instructions").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok()).filter(|t| !t.is_empty()) {
        reader.messages.push(Message::system(text));
    }
    let input = top.get("input").ok_or_else(|| shape("input", "a string or a list of items"))?;
    reader.input(input)?;
    request.messages = reader.finish().into_iter().collect();
    if request.messages.iter().all(|m| m.role == Role::System) {
        return Err(shape("input", "at least one item"));
    }
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
        // Read already; and nothing is stored unless it is asked for, and then reasoning has to be handed out.
        ("instructions" | "input", _) | ("store", Value::Bool(false)) => {}
        ("model", Value::String(model)) => request.model = model,
        ("tools", Value::Array(items)) => definitions(request, items)?,
        ("tool_choice", value) => tool_choice(request, value)?,
        ("parallel_tool_calls", Value::Bool(parallel)) => request.parallel_tool_calls = Some(parallel),
        ("reasoning", Value::Object(mut map)) => {
            if let Some(Value::String(effort)) = map.remove("effort") {
                request.reasoning_effort = Some(effort);
            }
            keep(request, key, map);
        }
        ("text", Value::Object(map)) => text(request, map)?,
        ("max_output_tokens", Value::Number(n)) => request.max_output = n.as_u64(),
        ("temperature", Value::Number(n)) => request.temperature = n.as_f64(),
        ("top_p", Value::Number(n)) => request.top_p = n.as_f64(),
        ("metadata", Value::Object(map)) => {
            let plain = |v: Value| if let Value::String(s) = v { s } else { v.to_string() };
            request.metadata = map.into_iter().map(|(k, v)| (k, plain(v))).collect();
        }
        ("stream", Value::Bool(stream)) => request.stream = stream,
        ("include", Value::Array(mut items)) => {
            items.retain(|item| item != settings::ENCRYPTED);
            if !items.is_empty() {
                own(request).insert(key, Value::Array(items));
            }
        }
        ("model", _) => return Err(shape("model", "a string")),
        ("tools", _) => return Err(shape("tools", "a list")),
        (_, value) => {
            own(request).insert(key, value);
        }
    }
    Ok(())
}

fn own(request: &mut Request) -> &mut Map<String, Value> {
    request.extensions.entry(NAME.to_owned()).or_default()
}

/// What is left of a field that is modelled in part.
fn keep(request: &mut Request, key: String, mut map: Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    if !map.is_empty() {
        own(request).insert(key, Value::Object(map));
    }
}

fn definitions(request: &mut Request, items: Vec<Value>) -> Result<(), RequestError> {
    let mut specs: Vec<ToolSpec> = Vec::new();
    let mut fidelity = Fidelity::Whole;
    for (n, item) in items.iter().enumerate() {
        let (spec, how) =
            tools::read(item).ok_or_else(|| shape(format!("tools[{n}]"), "a tool with a type, and a function with a name"))?;
        specs.extend(spec);
        if how == Fidelity::LeavesOut {
            fidelity = how;
        }
    }
    request.tools = specs.into();
    if fidelity == Fidelity::LeavesOut {
        own(request).insert(definitions::EXTENSION.to_owned(), Value::Array(items));
    }
    Ok(())
}

fn tool_choice(request: &mut Request, value: Value) -> Result<(), RequestError> {
    request.tool_choice = match &value {
        Value::String(word) => match word.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(shape("tool_choice", "auto, none, required or a tool")),
        },
        Value::Object(map) if map.get("type").and_then(Value::as_str) == Some("function") => {
            let name = map.get("name").and_then(Value::as_str).ok_or_else(|| shape("tool_choice.name", "a string"))?;
            ToolChoice::Tool(name.to_owned())
        }
        // One of the vendor's own tools, or a list to choose from.
        Value::Object(_) => {
            own(request).insert("tool_choice".to_owned(), value);
            return Ok(());
        }
        _ => return Err(shape("tool_choice", "a string or an object")),
    };
    Ok(())
}

fn text(request: &mut Request, mut map: Map<String, Value>) -> Result<(), RequestError> {
    match map.remove("format") {
        None | Some(Value::Null) => {}
        Some(Value::Object(mut format)) => {
            let kind = format.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            request.response_format = match kind.as_str() {
                "text" => None,
                "json_object" => Some(ResponseFormat::JsonObject),
                "json_schema" => {
                    let name =
                        format.get("name").and_then(Value::as_str).filter(|n| *n != names::UNNAMED_FORMAT).unwrap_or_default().to_owned();
                    let schema = format.remove("schema").unwrap_or_else(|| Value::Object(Map::new()));
                    let strict = format.get("strict").and_then(Value::as_bool);
                    Some(ResponseFormat::JsonSchema { name, schema, strict })
                }
                _ => return Err(shape("text.format.type", "text, json_object or json_schema")),
            };
            format.retain(|key, value| !value.is_null() && !matches!(key.as_str(), "type" | "name" | "strict"));
            if !format.is_empty() {
                map.insert("format".to_owned(), Value::Object(format));
            }
        }
        Some(_) => return Err(shape("text.format", "an object")),
    }
    keep(request, "text".to_owned(), map);
    Ok(())
}

/// The messages so far.
#[derive(Debug, Default)]
struct Reader {
    messages: Vec<Message>,
    /// The run of items that the model made, as the reply that they were.
    run: Option<Run>,
}

#[derive(Debug)]
struct Run {
    items: Items,
    reply: Accumulator,
    count: u64,
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

fn text_of(fields: &Fields<'_>, key: &str) -> Option<String> {
    serde_json::from_str(fields.get(key)?.get()).ok()
}

fn fields<'a>(at: &str, raw: &'a RawValue) -> Result<Fields<'a>, RequestError> {
    serde_json::from_str(raw.get()).map_err(|_| shape(at, "an object"))
}

impl Reader {
    fn input(&mut self, raw: &RawValue) -> Result<(), RequestError> {
        if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
            self.messages.push(Message::user(text));
            return Ok(());
        }
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| shape("input", "a string or a list of items"))?;
        for (n, item) in items.into_iter().enumerate() {
            self.item(&format!("input[{n}]"), item)?;
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<Message> {
        self.end_run();
        self.messages
    }

    fn item(&mut self, at: &str, raw: &RawValue) -> Result<(), RequestError> {
        let item = fields(at, raw)?;
        let role = text_of(&item, "role");
        let kind = text_of(&item, "type").or_else(|| role.is_some().then(|| about::MESSAGE.to_owned()));
        let kind = kind.ok_or_else(|| shape(format!("{at}.type"), "a string"))?;
        match (kind.as_str(), role.as_deref()) {
            (about::MESSAGE, Some("assistant")) if item.contains_key("type") => self.made(at, raw),
            (about::MESSAGE, Some("assistant")) => {
                let typed = format!("{{\"type\":\"message\",{}", raw.get().trim_start().get(1..).unwrap_or_default());
                let typed = RawValue::from_string(typed).map_err(|e| RequestError::NotJson(e.to_string()))?;
                self.made(at, &typed)
            }
            (about::MESSAGE, Some("user")) => self.said(at, Role::User, &item),
            (about::MESSAGE, Some("system" | "developer")) => self.said(at, Role::System, &item),
            (about::MESSAGE, _) => Err(shape(format!("{at}.role"), "user, assistant, system or developer")),
            (about::CALL | about::CUSTOM_CALL, _) => {
                for key in ["call_id", "name"] {
                    text_of(&item, key).ok_or_else(|| shape(format!("{at}.{key}"), "a string"))?;
                }
                self.made(at, raw)
            }
            ("function_call_output" | "custom_tool_call_output", _) => {
                let result = result(at, &item)?;
                self.end_run();
                match self.messages.last_mut() {
                    // Several results in a row answer one assistant message: they are one message inside pup.
                    Some(last) if last.role == Role::Tool => last.blocks.push(Block::ToolResult(result)),
                    _ => self.messages.push(Message::results(vec![result])),
                }
                Ok(())
            }
            // What the client made, for the vendor alone.
            (kind, _) if kind.ends_with("_output") || kind.ends_with("_response") || kind == "item_reference" => {
                self.end_run();
                self.messages.push(Message::new(Role::User, vec![opaque(raw)]));
                Ok(())
            }
            _ => self.made(at, raw),
        }
    }

    /// An item that the model made.
    fn made(&mut self, at: &str, raw: &RawValue) -> Result<(), RequestError> {
        let begin = || Run { items: Items::returned(), reply: Accumulator::default(), count: 0 };
        let run = self.run.get_or_insert_with(begin);
        let mut events: Vec<StreamEvent> = Vec::new();
        let place = At { index: Some(run.count), id: None };
        run.count += 1;
        if run.items.finish(place, Source::Event, raw, at, &mut events) == super::items::Read::No {
            return Err(shape(at, "an item of a known form"));
        }
        for event in &events {
            run.reply.push(event);
        }
        Ok(())
    }

    fn end_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        let message = run.reply.finish().message;
        if !message.blocks.is_empty() {
            self.messages.push(message);
        }
    }

    fn said(&mut self, at: &str, role: Role, item: &Fields<'_>) -> Result<(), RequestError> {
        self.end_run();
        let expected = "a string or a list of parts";
        let content = item.get("content").ok_or_else(|| shape(format!("{at}.content"), expected))?;
        let blocks = if let Ok(text) = serde_json::from_str::<String>(content.get()) {
            vec![Block::Text { text }]
        } else {
            let parts: Vec<&RawValue> = serde_json::from_str(content.get()).map_err(|_| shape(format!("{at}.content"), expected))?;
            let parts = parts.into_iter().enumerate().map(|(n, raw)| block(&format!("{at}.content[{n}]"), role, raw));
            parts.collect::<Result<_, _>>()?
        };
        self.messages.push(Message::new(role, blocks));
        Ok(())
    }
}

fn opaque(raw: &RawValue) -> Block {
    Block::Opaque { wire: NAME.to_owned(), raw: raw.get().to_owned() }
}

/// A part of what the user or the system says.
fn block(at: &str, role: Role, raw: &RawValue) -> Result<Block, RequestError> {
    let part = fields(at, raw)?;
    let user = role == Role::User;
    Ok(match text_of(&part, "type").as_deref() {
        Some("input_text" | "text" | "output_text") => {
            Block::Text { text: text_of(&part, "text").ok_or_else(|| shape(format!("{at}.text"), "a string"))? }
        }
        Some("input_image") if user => image(&part).map_or_else(|| opaque(raw), |source| Block::Image { source }),
        Some("input_file") if user => document(&part).unwrap_or_else(|| opaque(raw)),
        Some(_) => opaque(raw),
        None => return Err(shape(format!("{at}.type"), "a string")),
    })
}

/// An image that other wires could carry; others stay opaque.
fn image(part: &Fields<'_>) -> Option<ImageSource> {
    let plain = part.iter().all(|(key, value)| match key.as_str() {
        "type" | "image_url" => true,
        "detail" => matches!(value.get(), "\"auto\"" | "null"),
        _ => value.get() == "null",
    });
    let url = text_of(part, "image_url").filter(|_| plain)?;
    Some(match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((media_type, data)) => ImageSource::Inline { media_type: media_type.to_owned(), data: data.to_owned() },
        None => ImageSource::Url { url },
    })
}

fn document(part: &Fields<'_>) -> Option<Block> {
    let plain = part.iter().all(|(key, value)| matches!(key.as_str(), "type" | "filename" | "file_data") || value.get() == "null");
    let data = text_of(part, "file_data").filter(|_| plain)?;
    let data = data.strip_prefix("data:")?.strip_prefix(PDF)?.strip_prefix(";base64,")?.to_owned();
    let name = text_of(part, "filename").filter(|name| name != UNNAMED);
    Some(Block::Document { media_type: PDF.to_owned(), data, name })
}

fn result(at: &str, item: &Fields<'_>) -> Result<ToolResult, RequestError> {
    let call_id = text_of(item, "call_id").ok_or_else(|| shape(format!("{at}.call_id"), "a string"))?;
    let output = item.get("output").ok_or_else(|| shape(format!("{at}.output"), "a string or a list of parts"))?;
    if let Ok(text) = serde_json::from_str::<String>(output.get()) {
        return Ok(ToolResult::text(call_id, text, false));
    }
    let parts: Vec<&RawValue> =
        serde_json::from_str(output.get()).map_err(|_| shape(format!("{at}.output"), "a string or a list of parts"))?;
    let read = |(n, raw): (usize, &RawValue)| {
        let part = fields(&format!("{at}.output[{n}]"), raw)?;
        Ok(match (text_of(&part, "type").as_deref(), text_of(&part, "text"), image(&part)) {
            (Some("input_text" | "output_text" | "text"), Some(text), _) => Part::Text { text },
            (Some("input_image"), _, Some(source)) => Part::Image { source },
            // A result holds text and images; what else it may hold is shown as what it is.
            _ => Part::Text { text: raw.get().to_owned() },
        })
    };
    let parts = parts.into_iter().enumerate().map(read).collect::<Result<_, RequestError>>()?;
    Ok(ToolResult { call_id, parts, is_error: false })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
