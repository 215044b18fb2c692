//! The server's half: a request's path and body to the neutral request. What is not modelled is kept as an extension.
//!
//! The model and whether a stream is asked for stand in the path. Fields are read in both of Google's spellings.

use super::{NAME, call_id, message, partial, parts, path, schema, settings, shape, thinking, tools};
use crate::model::google_fields::GENERATION;
use crate::model::{Block, ImageSource, Message, Request, ResponseFormat, Role, ToolCall, ToolChoice, ToolResult};
use crate::wire::openai_chat::RequestError;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

fn shape(at: impl Into<String>, expected: &'static str) -> RequestError {
    RequestError::Shape { at: at.into(), expected }
}

/// A JSON object's fields, their values byte for byte.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Reads a generateContent request, or one that asks for a token count.
pub fn decode_request(path: &str, body: &[u8]) -> Result<Request, RequestError> {
    let (model, stream) = path::read(path).ok_or_else(|| shape("the path", "a model and a method, /v1beta/models/MODEL:METHOD"))?;
    let mut top = match serde_json::from_slice::<Fields<'_>>(body) {
        Ok(top) => top,
        Err(e) if e.is_data() => return Err(shape("the body", "an object")),
        Err(e) => return Err(RequestError::NotJson(e.to_string())),
    };
    let counted = take(&mut top, "generateContentRequest", "generate_content_request");
    if let Some(inner) = counted {
        top = fields("generateContentRequest", inner)?;
    }
    read(model, stream, top)
}

pub(in crate::wire) fn read(model: String, stream: bool, mut top: BTreeMap<String, &RawValue>) -> Result<Request, RequestError> {
    let mut request = Request { model, stream, ..Request::default() };
    let mut reader = Reader::default();
    if let Some(system) = take(&mut top, "systemInstruction", "system_instruction") {
        reader.system(system)?;
    }
    let contents = top.remove("contents").ok_or_else(|| shape("contents", "at least one content"))?;
    for (n, content) in list(contents).ok_or_else(|| shape("contents", "a list"))?.into_iter().enumerate() {
        reader.content(n, content)?;
    }
    if reader.messages.iter().all(|m| m.role == Role::System) {
        return Err(shape("contents", "at least one content"));
    }
    request.messages = reader.messages.into_iter().collect();
    top.remove("model");
    for (key, raw) in top {
        let value: Value = serde_json::from_str(raw.get()).map_err(|e| RequestError::NotJson(e.to_string()))?;
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            ("tools", Value::Array(items)) => definitions(&mut request, items)?,
            ("tools", _) => return Err(shape("tools", "a list")),
            ("toolConfig" | "tool_config", Value::Object(config)) => tool_config(&mut request, config)?,
            ("generationConfig" | "generation_config", Value::Object(config)) => generation(&mut request, config)?,
            (_, value) => {
                own(&mut request).insert(camel(&key), value);
            }
        }
    }
    Ok(request)
}

fn own(request: &mut Request) -> &mut Map<String, Value> {
    request.extensions.entry(NAME.to_owned()).or_default()
}

fn keep(request: &mut Request, key: &str, rest: Map<String, Value>) {
    if !rest.is_empty() {
        own(request).insert(key.to_owned(), Value::Object(rest));
    }
}

/// `top_k` as `topK`.
fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut out, word| {
        let mut letters = word.chars();
        out.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(letters.as_str());
        out
    })
}

fn camel_keys(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().map(|(key, value)| (camel(&key), value)).collect()
}

fn definitions(request: &mut Request, items: Vec<Value>) -> Result<(), RequestError> {
    let mut specs = Vec::new();
    let mut others = Vec::new();
    for (n, item) in items.into_iter().enumerate() {
        let at = || format!("tools[{n}]");
        let Value::Object(entry) = item else { return Err(shape(at(), "an object")) };
        let (functions, other) =
            tools::read(entry).ok_or_else(|| shape(format!("{}.functionDeclarations", at()), "functions with names"))?;
        specs.extend(functions);
        others.extend(other);
    }
    request.tools = specs.into();
    if !others.is_empty() {
        own(request).insert(tools::EXTENSION.to_owned(), Value::Array(others));
    }
    Ok(())
}

fn tool_config(request: &mut Request, config: Map<String, Value>) -> Result<(), RequestError> {
    let mut config = camel_keys(config);
    if let Some(Value::Object(calling)) = config.remove(settings::CALLING) {
        let mut calling = camel_keys(calling);
        let names: Vec<&str> =
            calling.get("allowedFunctionNames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mode = calling.get("mode").and_then(Value::as_str).map(str::to_ascii_uppercase);
        let choice = match (mode.as_deref(), names.as_slice()) {
            (None | Some("AUTO" | "MODE_UNSPECIFIED"), []) => Some(ToolChoice::Auto),
            (Some("NONE"), []) => Some(ToolChoice::None),
            (Some("ANY"), []) => Some(ToolChoice::Required),
            (Some("ANY"), [one]) => Some(ToolChoice::Tool((*one).to_owned())),
            // Several names, or the service's own mode: no neutral words for those.
            (Some("AUTO" | "NONE" | "ANY" | "VALIDATED") | None, _) => None,
            (Some(_), _) => return Err(shape("toolConfig.functionCallingConfig.mode", "AUTO, ANY, NONE or VALIDATED")),
        };
        if let Some(choice) = choice {
            request.tool_choice = choice;
            calling.remove("mode");
            calling.remove("allowedFunctionNames");
        }
        if !calling.is_empty() {
            config.insert(settings::CALLING.to_owned(), Value::Object(calling));
        }
    }
    keep(request, settings::TOOL_CONFIG, config);
    Ok(())
}

fn generation(request: &mut Request, config: Map<String, Value>) -> Result<(), RequestError> {
    let mut config = camel_keys(config);
    config.retain(|_, value| !value.is_null());
    let number = |config: &mut Map<String, Value>, key: &str| config.remove(key).as_ref().and_then(Value::as_f64);
    request.temperature = number(&mut config, "temperature");
    request.top_p = number(&mut config, "topP");
    request.max_output = config.remove("maxOutputTokens").as_ref().and_then(Value::as_u64);
    request.seed = config.remove("seed").as_ref().and_then(Value::as_i64);
    request.n = config.remove("candidateCount").as_ref().and_then(Value::as_u64).and_then(|n| n.try_into().ok());
    match config.remove("stopSequences") {
        None => {}
        Some(Value::Array(items)) => {
            let stops: Option<Vec<String>> = items.into_iter().map(|v| if let Value::String(s) = v { Some(s) } else { None }).collect();
            request.stop = stops.ok_or_else(|| shape("generationConfig.stopSequences", "strings"))?;
        }
        Some(_) => return Err(shape("generationConfig.stopSequences", "a list")),
    }
    let plain = config.remove("responseJsonSchema");
    let schema = plain.or_else(|| config.remove("responseSchema").map(|s| schema::to_json_schema(&s)));
    if config.get("responseMimeType").is_some_and(|m| m == "application/json") {
        config.remove("responseMimeType");
        request.response_format = Some(match schema {
            Some(schema) => ResponseFormat::JsonSchema { name: String::new(), schema, strict: None },
            None => ResponseFormat::JsonObject,
        });
    } else if let Some(schema) = schema {
        config.insert("responseSchema".to_owned(), schema);
    }
    if let Some(Value::Object(asked)) = config.get(thinking::FIELD).cloned() {
        let asked = camel_keys(asked);
        match thinking::effort(&asked) {
            Some(effort) => {
                config.remove(thinking::FIELD);
                request.reasoning_effort = Some(effort.to_owned());
            }
            None => {
                config.insert(thinking::FIELD.to_owned(), Value::Object(asked));
            }
        }
    }
    keep(request, GENERATION, config);
    Ok(())
}

fn take<'a>(fields: &mut Fields<'a>, camel: &str, snake: &str) -> Option<&'a RawValue> {
    fields.remove(camel).or_else(|| fields.remove(snake)).filter(|raw| raw.get() != "null")
}

fn fields<'a>(at: &str, raw: &'a RawValue) -> Result<Fields<'a>, RequestError> {
    serde_json::from_str(raw.get()).map_err(|_| shape(at, "an object"))
}

/// A list; a single object is a list of one.
fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get().starts_with('{') {
        return Some(vec![raw]);
    }
    serde_json::from_str(raw.get()).ok()
}

fn text_of(fields: &Fields<'_>, camel: &str, snake: &str) -> Option<String> {
    serde_json::from_str(fields.get(camel).or_else(|| fields.get(snake))?.get()).ok()
}

/// The messages so far.
#[derive(Debug, Default)]
struct Reader {
    messages: Vec<Message>,
    /// Calls that wait for their result: the wire's id, if it has one, the name, and the id inside pup.
    open: Vec<(Option<String>, String, String)>,
    calls: usize,
}

impl Reader {
    /// Appends to the last message if it is of this role.
    fn push(&mut self, role: Role, block: Block) {
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.blocks.push(block),
            _ => self.messages.push(Message::new(role, vec![block])),
        }
    }

    fn system(&mut self, raw: &RawValue) -> Result<(), RequestError> {
        if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
            self.push(Role::System, Block::Text { text });
            return Ok(());
        }
        let content = fields("systemInstruction", raw)?;
        let parts = content.get("parts").ok_or_else(|| shape("systemInstruction.parts", "a list"))?;
        for (n, part) in list(parts).ok_or_else(|| shape("systemInstruction.parts", "a list"))?.into_iter().enumerate() {
            let at = format!("systemInstruction.parts[{n}]");
            let text = text_of(&fields(&at, part)?, "text", "text").ok_or_else(|| shape(format!("{at}.text"), "a string"))?;
            if !text.is_empty() {
                self.push(Role::System, Block::Text { text });
            }
        }
        Ok(())
    }

    fn content(&mut self, n: usize, raw: &RawValue) -> Result<(), RequestError> {
        let at = format!("contents[{n}]");
        let content = fields(&at, raw)?;
        let role = match text_of(&content, "role", "role").as_deref() {
            Some("user" | "function" | "tool") | None => Role::User,
            Some("model") => Role::Assistant,
            Some(_) => return Err(shape(format!("{at}.role"), "user or model")),
        };
        let Some(parts) = content.get("parts").filter(|p| p.get() != "null") else { return Ok(()) };
        for (n, part) in list(parts).ok_or_else(|| shape(format!("{at}.parts"), "a list"))?.into_iter().enumerate() {
            self.part(&format!("{at}.parts[{n}]"), role, part)?;
        }
        Ok(())
    }

    fn part(&mut self, at: &str, role: Role, raw: &RawValue) -> Result<(), RequestError> {
        let part = fields(at, raw)?;
        let signature = text_of(&part, "thoughtSignature", "thought_signature");
        let field = |camel: &str, snake: &str| part.get(camel).or_else(|| part.get(snake)).map(|raw| fields(&format!("{at}.{camel}"), raw));
        let block = if let Some(text) = text_of(&part, "text", "text") {
            self.text(role, text, signature, part.get("thought").is_some_and(|t| t.get() == "true"));
            return Ok(());
        } else if part.contains_key("functionCall") || part.contains_key("function_call") {
            if role != Role::Assistant {
                return Err(shape(at, "calls only of the model"));
            }
            Block::ToolCall(self.call(at, raw, signature.filter(|s| s != message::NO_SIGNATURE))?)
        } else if let Some(response) = field("functionResponse", "function_response") {
            let result = self.result(at, &response?)?;
            self.push(Role::Tool, Block::ToolResult(result));
            return Ok(());
        } else if let Some(data) = field("inlineData", "inline_data") {
            inline(&data?, role).unwrap_or_else(|| opaque(raw))
        } else if let Some(file) = field("fileData", "file_data") {
            self::file(&file?).unwrap_or_else(|| opaque(raw))
        } else {
            opaque(raw)
        };
        self.push(role, block);
        Ok(())
    }

    fn text(&mut self, role: Role, text: String, signature: Option<String>, thought: bool) {
        let mark = |raw| Block::Opaque { wire: NAME.to_owned(), raw };
        match (role, thought, signature) {
            (Role::Assistant, true, signature) => self.push(role, Block::Thinking { text, signature, redacted: false }),
            (Role::Assistant, false, Some(signature)) if text.is_empty() => self.push(role, mark(parts::signed_nothing(&signature))),
            (Role::Assistant, false, Some(signature)) => {
                self.push(role, Block::Text { text });
                self.push(role, mark(parts::mark(&signature)));
            }
            _ if text.is_empty() => {}
            _ => self.push(role, Block::Text { text }),
        }
    }

    fn call(&mut self, at: &str, raw: &RawValue, signature: Option<String>) -> Result<ToolCall, RequestError> {
        let part: shape::Part<'_> = serde_json::from_str(raw.get()).map_err(|_| shape(at, "a part"))?;
        let call = part.call.ok_or_else(|| shape(format!("{at}.functionCall"), "an object"))?;
        let name = call.name.get().ok_or_else(|| shape(format!("{at}.functionCall.name"), "a string"))?.to_owned();
        let mut args_raw = call.args.map(|args| parts::given_args(args.get())).unwrap_or_default();
        if let Some(pieces) = &call.partial {
            let mut all = partial::PartialArgs::default();
            for piece in pieces {
                all.take(piece);
            }
            args_raw = all.finish(partial::Whole::Yes);
        }
        if args_raw == "{}" {
            args_raw.clear();
        }
        let given = call.id.into_owned();
        let id = given.clone().unwrap_or_else(|| call_id::mint("", self.calls, &name, &args_raw));
        self.calls += 1;
        self.open.push((given, name.clone(), id.clone()));
        Ok(ToolCall { id, name, args_raw, signature })
    }

    /// A result belongs to the call of its id, else to the next one of its name.
    fn result(&mut self, at: &str, fields: &Fields<'_>) -> Result<ToolResult, RequestError> {
        let id = text_of(fields, "id", "id").filter(|id| !id.is_empty());
        let name = text_of(fields, "name", "name");
        let by_id = id.as_ref().and_then(|id| self.open.iter().position(|(given, ..)| given.as_ref() == Some(id)));
        let by_name = || self.open.iter().position(|(given, n, _)| Some(n) == name.as_ref() && (id.is_none() || given.is_none()));
        let call_id = match by_id.or_else(by_name) {
            Some(ix) => self.open.remove(ix).2,
            None => id.or(name).ok_or_else(|| shape(format!("{at}.functionResponse.name"), "a string"))?,
        };
        let response = fields.get("response").map_or("{}", |raw| raw.get());
        let said: Fields<'_> = serde_json::from_str(response).map_err(|_| shape(format!("{at}.functionResponse.response"), "an object"))?;
        let only = |key: &str| (said.len() == 1).then(|| text_of(&said, key, key)).flatten();
        Ok(match (only(message::OUTPUT), only(message::ERROR)) {
            (Some(text), _) => ToolResult::text(call_id, text, false),
            (None, Some(text)) => ToolResult::text(call_id, text, true),
            (None, None) => ToolResult::text(call_id, response, said.contains_key(message::ERROR)),
        })
    }
}

fn opaque(raw: &RawValue) -> Block {
    Block::Opaque { wire: NAME.to_owned(), raw: raw.get().to_owned() }
}

fn inline(data: &Fields<'_>, role: Role) -> Option<Block> {
    let media_type = text_of(data, "mimeType", "mime_type")?;
    let data = text_of(data, "data", "data")?;
    if media_type.starts_with("image/") {
        return Some(Block::Image { source: ImageSource::Inline { media_type, data } });
    }
    (role == Role::User).then_some(Block::Document { media_type, data, name: None })
}

/// An image's address; other files stay what they are.
fn file(file: &Fields<'_>) -> Option<Block> {
    let url = text_of(file, "fileUri", "file_uri")?;
    let kind = text_of(file, "mimeType", "mime_type");
    kind.is_some_and(|k| k == message::kind_of(&url)).then_some(Block::Image { source: ImageSource::Url { url } })
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "law_tests.rs"]
mod law;
