//! The server's half: a request's body to the neutral request. What is not modelled is kept as an extension.

use super::NAME;
use crate::model::{Block, CacheMark, ImageSource, Message, Request, ResponseFormat, Role, ToolCall, ToolChoice, ToolResult, ToolSpec};
use crate::wire::names::UNNAMED_FORMAT;
use serde_json::{Map, Value};

/// Why a body is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the body is not valid JSON: {0}")]
    NotJson(String),
    #[error("{at}: expected {expected}")]
    Shape { at: String, expected: &'static str },
}

fn shape(at: impl Into<String>, expected: &'static str) -> RequestError {
    RequestError::Shape { at: at.into(), expected }
}

/// Reads a Chat Completions request. `max_tokens` and `max_completion_tokens`, the roles `system` and `developer`, and
/// content as a string or as parts, are the same.
pub fn decode_request(body: &[u8]) -> Result<Request, RequestError> {
    let value: Value = serde_json::from_slice(body).map_err(|e| RequestError::NotJson(e.to_string()))?;
    let Value::Object(mut top) = value else { return Err(shape("the body", "an object")) };
    let mut request = Request::default();
    for (key, value) in std::mem::take(&mut top) {
        if value.is_null() {
            continue;
        }
        match (key.as_str(), value) {
            ("model", Value::String(model)) => request.model = model,
            ("messages", Value::Array(items)) => {
                let marks: Vec<Vec<Mark>> = items.iter().map(marks).collect();
                let messages: Result<Vec<Message>, RequestError> = items.into_iter().enumerate().map(|(n, m)| message(n, m)).collect();
                let (messages, marks) = join_results(messages?, marks);
                request.messages = messages.into_iter().collect();
                request.cache_marks = marks;
            }
            ("tools", Value::Array(items)) => {
                let tools: Result<Vec<ToolSpec>, RequestError> = items.into_iter().enumerate().map(|(n, t)| tool(n, t)).collect();
                request.tools = tools?.into();
            }
            ("tool_choice", value) => request.tool_choice = tool_choice(value)?,
            ("parallel_tool_calls", Value::Bool(b)) => request.parallel_tool_calls = Some(b),
            ("response_format", value) => request.response_format = response_format(value)?,
            ("max_completion_tokens" | "max_tokens", Value::Number(n)) => request.max_output = n.as_u64(),
            ("temperature", Value::Number(n)) => request.temperature = n.as_f64(),
            ("top_p", Value::Number(n)) => request.top_p = n.as_f64(),
            ("stop", Value::String(one)) => request.stop = vec![one],
            ("stop", Value::Array(items)) => {
                let stops: Option<Vec<String>> = items.into_iter().map(|v| if let Value::String(s) = v { Some(s) } else { None }).collect();
                request.stop = stops.ok_or_else(|| shape("stop", "strings"))?;
            }
            ("seed", Value::Number(n)) => request.seed = n.as_i64(),
            ("n", Value::Number(n)) => request.n = n.as_u64().and_then(|n| n.try_into().ok()),
            ("reasoning_effort", Value::String(effort)) => request.reasoning_effort = Some(effort),
            ("metadata", Value::Object(map)) => {
                request.metadata = map.into_iter().map(|(k, v)| (k, plain(v))).collect();
            }
            ("stream", Value::Bool(b)) => request.stream = b,
            // Whether to say the usage is decided by who serves it; pup always can.
            ("stream_options", _) => {}
            ("model", _) => return Err(shape("model", "a string")),
            ("messages", _) => return Err(shape("messages", "a list")),
            ("tools", _) => return Err(shape("tools", "a list")),
            (_, value) => {
                request.extensions.entry(NAME.to_owned()).or_default().insert(key, value);
            }
        }
    }
    if request.model.is_empty() {
        return Err(shape("model", "the name of a model"));
    }
    if request.messages.is_empty() {
        return Err(shape("messages", "at least one message"));
    }
    Ok(request)
}

fn plain(value: Value) -> String {
    if let Value::String(s) = value { s } else { value.to_string() }
}

fn take_text(map: &mut Map<String, Value>, key: &str) -> Option<String> {
    if let Some(Value::String(s)) = map.remove(key) { Some(s) } else { None }
}

fn message(n: usize, value: Value) -> Result<Message, RequestError> {
    let at = format!("messages[{n}]");
    let Value::Object(mut map) = value else { return Err(shape(at, "an object")) };
    let role = take_text(&mut map, "role").ok_or_else(|| shape(format!("{at}.role"), "a string"))?;
    let role = match role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        _ => return Err(shape(format!("{at}.role"), "system, developer, user, assistant or tool")),
    };
    let content = map.remove("content").unwrap_or(Value::Null);
    if role == Role::Tool {
        let id = take_text(&mut map, "tool_call_id").or_else(|| take_text(&mut map, "name"));
        let call_id = id.ok_or_else(|| shape(format!("{at}.tool_call_id"), "a string"))?;
        let text: String =
            blocks(&at, content)?.into_iter().filter_map(|b| if let Block::Text { text } = b { Some(text) } else { None }).collect();
        return Ok(Message::results(vec![ToolResult::text(call_id, text, false)]));
    }
    let mut all = Vec::new();
    if role == Role::Assistant {
        for key in ["reasoning_content", "reasoning"] {
            if let Some(text) = take_text(&mut map, key) {
                all.push(Block::Thinking { text, signature: None, redacted: false });
                break;
            }
        }
    }
    all.extend(blocks(&at, content)?);
    if let Some(Value::Array(calls)) = map.remove("tool_calls") {
        for (c, value) in calls.into_iter().enumerate() {
            all.push(call(&format!("{at}.tool_calls[{c}]"), value)?);
        }
    }
    if role == Role::Assistant {
        let own: Map<String, Value> =
            ["extra_content", "reasoning_details"].into_iter().filter_map(|k| map.remove(k).map(|v| (k.to_owned(), v))).collect();
        if !own.is_empty() {
            all.push(Block::Opaque { wire: NAME.to_owned(), raw: Value::Object(own).to_string() });
        }
    }
    Ok(Message::new(role, all))
}

/// A mark for the prompt cache, as OpenRouter's clients set it for Claude.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// The content's part; none where the whole message is marked.
    part: Option<usize>,
    long: bool,
}

fn marks(message: &Value) -> Vec<Mark> {
    let long = |value: &Value| value.get("cache_control").filter(|c| c.is_object()).map(|c| c.get("ttl").is_some_and(|ttl| ttl == "1h"));
    let parts = message.get("content").and_then(Value::as_array).into_iter().flatten().enumerate();
    let of_parts = parts.filter_map(|(n, part)| Some(Mark { part: Some(n), long: long(part)? }));
    of_parts.chain(long(message).map(|long| Mark { part: None, long })).collect()
}

/// Several results in a row answer one assistant message: they are one message inside pup. The marks, too, get their places
/// in it.
fn join_results(messages: Vec<Message>, marks: Vec<Vec<Mark>>) -> (Vec<Message>, Vec<CacheMark>) {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut placed = Vec::new();
    for (message, marks) in messages.into_iter().zip(marks) {
        let thinking = message.blocks.iter().take_while(|b| matches!(b, Block::Thinking { .. })).count();
        let new = message.blocks.len();
        match out.last_mut() {
            Some(last) if last.role == Role::Tool && message.role == Role::Tool => last.blocks.extend(message.blocks),
            _ => out.push(message),
        }
        let (at, blocks) = (out.len() - 1, out.last().map_or(0, |m| m.blocks.len()));
        let last = out.last().map_or(Role::User, |m| m.role);
        placed.extend(marks.into_iter().filter(|_| new > 0).map(|Mark { part, long }| {
            // A result's parts are one block.
            let of_parts = part.filter(|_| last != Role::Tool).map(|part| blocks - new + thinking + part);
            CacheMark { message: at, block: of_parts.unwrap_or(blocks - 1), long }
        }));
    }
    placed.dedup_by_key(|mark| (mark.message, mark.block));
    (out, placed)
}

fn blocks(at: &str, content: Value) -> Result<Vec<Block>, RequestError> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Block::Text { text }]),
        Value::Array(parts) => parts.into_iter().enumerate().map(|(n, p)| part(&format!("{at}.content[{n}]"), p)).collect(),
        _ => Err(shape(format!("{at}.content"), "a string or a list of parts")),
    }
}

fn part(at: &str, value: Value) -> Result<Block, RequestError> {
    let Value::Object(mut map) = value else { return Err(shape(at, "an object")) };
    let kind = take_text(&mut map, "type").unwrap_or_default();
    match kind.as_str() {
        "text" => take_text(&mut map, "text").map(|text| Block::Text { text }).ok_or_else(|| shape(format!("{at}.text"), "a string")),
        "refusal" => {
            take_text(&mut map, "refusal").map(|text| Block::Text { text }).ok_or_else(|| shape(format!("{at}.refusal"), "a string"))
        }
        "image_url" => {
            let url = match map.remove("image_url") {
                Some(Value::Object(mut inner)) => take_text(&mut inner, "url"),
                Some(Value::String(url)) => Some(url),
                _ => None,
            };
            let url = url.ok_or_else(|| shape(format!("{at}.image_url.url"), "a string"))?;
            Ok(Block::Image { source: image(url) })
        }
        _ => {
            map.insert("type".to_owned(), Value::String(kind));
            Ok(Block::Opaque { wire: NAME.to_owned(), raw: Value::Object(map).to_string() })
        }
    }
}

fn image(url: String) -> ImageSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => ImageSource::Inline { media_type: media_type.to_owned(), data: data.to_owned() },
        None => ImageSource::Url { url },
    }
}

fn call(at: &str, value: Value) -> Result<Block, RequestError> {
    let Value::Object(mut map) = value else { return Err(shape(at, "an object")) };
    let id = take_text(&mut map, "id").unwrap_or_default();
    let Some(Value::Object(mut function)) = map.remove("function") else { return Err(shape(format!("{at}.function"), "an object")) };
    let name = take_text(&mut function, "name").ok_or_else(|| shape(format!("{at}.function.name"), "a string"))?;
    let args_raw = function.remove("arguments").map(plain).unwrap_or_default();
    let signature = map.get("extra_content").and_then(|e| e.get("google")?.get("thought_signature")?.as_str()).map(str::to_owned);
    Ok(Block::ToolCall(ToolCall { id, name, args_raw, signature }))
}

fn tool(n: usize, value: Value) -> Result<ToolSpec, RequestError> {
    let at = format!("tools[{n}]");
    let Value::Object(mut map) = value else { return Err(shape(at, "an object")) };
    let Some(Value::Object(mut function)) = map.remove("function") else { return Err(shape(format!("{at}.function"), "an object")) };
    let name = take_text(&mut function, "name").ok_or_else(|| shape(format!("{at}.function.name"), "a string"))?;
    let description = take_text(&mut function, "description").unwrap_or_default();
    let parameters = function.remove("parameters").unwrap_or_else(|| serde_json::json!({"type": "object", "properties": {}}));
    Ok(ToolSpec { name, description, parameters })
}

fn tool_choice(value: Value) -> Result<ToolChoice, RequestError> {
    match value {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(shape("tool_choice", "auto, none, required or a tool")),
        },
        Value::Object(map) => {
            let name = map.get("function").and_then(|f| f.get("name")).and_then(Value::as_str);
            name.map(|n| ToolChoice::Tool(n.to_owned())).ok_or_else(|| shape("tool_choice.function.name", "a string"))
        }
        _ => Err(shape("tool_choice", "a string or an object")),
    }
}

fn response_format(value: Value) -> Result<Option<ResponseFormat>, RequestError> {
    let Value::Object(mut map) = value else { return Err(shape("response_format", "an object")) };
    match take_text(&mut map, "type").as_deref() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(ResponseFormat::JsonObject)),
        Some("json_schema") => {
            let Some(Value::Object(mut inner)) = map.remove("json_schema") else {
                return Err(shape("response_format.json_schema", "an object"));
            };
            Ok(Some(ResponseFormat::JsonSchema {
                name: take_text(&mut inner, "name").filter(|name| name != UNNAMED_FORMAT).unwrap_or_default(),
                strict: inner.get("strict").and_then(Value::as_bool),
                schema: inner.remove("schema").unwrap_or_else(|| Value::Object(Map::new())),
            }))
        }
        _ => Err(shape("response_format.type", "text, json_object or json_schema")),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
