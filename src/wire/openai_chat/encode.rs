//! Requests to bodies, turn after turn, serialising only what is new.
//!
//! A body is `{"model":..,"tools":[..],"messages":[` + messages + `],` + settings + `}`: what changes from call to call
//! (a lowered bound of the output, say) stands behind the history, so the bytes before it stay the same.

use super::message::{Open, Writer};
use crate::model::{Loss, Request, ResponseFormat, ToolChoice, ToolSpec};
use crate::wire::Encoded;
use crate::wire::codec::Encode;
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use crate::wire::prefix::Prefix;
use crate::wire::quirk::{Dialect, MaxOutput, StreamUsage};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many stop sequences the wire takes.
const MAX_STOPS: usize = 4;

#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    head: Option<Head>,
    prefix: Prefix<Open>,
}

/// The beginning of the body and what it was made of.
#[derive(Debug)]
struct Head {
    model: String,
    tools: Arc<[ToolSpec]>,
    bytes: Bytes,
}

impl Encoder {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, head: None, prefix: Prefix::default() }
    }

    fn head(&mut self, request: &Request) -> Bytes {
        if let Some(head) = &self.head
            && head.model == request.model
            && Arc::ptr_eq(&head.tools, &request.tools)
        {
            return head.bytes.clone();
        }
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.field("model", &request.model);
        if !request.tools.is_empty() {
            object.list("tools", request.tools.iter(), |out, tool| {
                let mut o = Object::begin(out);
                o.field("type", "function").object("function", |f| {
                    f.field("name", &wire_name(&tool.name));
                    if !tool.description.is_empty() {
                        f.field("description", &tool.description);
                    }
                    f.field("parameters", &tool.parameters);
                });
                o.end();
            });
        }
        object.key("messages").push(b'[');
        let bytes = Bytes::from(out);
        self.head = Some(Head { model: request.model.clone(), tools: Arc::clone(&request.tools), bytes: bytes.clone() });
        bytes
    }
}

impl Encode for Encoder {
    fn encode(&mut self, request: &Request) -> Encoded {
        let mut losses = Vec::new();
        let head = self.head(request);
        let dialect = &self.dialect;
        self.prefix.extend(&request.messages, 0, |out, place| {
            Writer::new(dialect, place.open.cloned().unwrap_or_default(), out, &mut losses).message(place.at, place.message)
        });
        let mut tail = Vec::new();
        Writer::new(dialect, self.prefix.open().cloned().unwrap_or_default(), &mut tail, &mut losses).flush();
        tail.push(b']');
        settings(&mut tail, request, &self.dialect, &mut losses);
        tail.push(b'}');
        let mut body = Vec::with_capacity(self.prefix.segments().len() + 2);
        body.push(head);
        body.extend_from_slice(self.prefix.segments());
        body.push(Bytes::from(tail));
        Encoded { path: "/chat/completions".into(), body, losses }
    }
}

/// Everything behind the messages.
fn settings(out: &mut Vec<u8>, request: &Request, dialect: &Dialect, losses: &mut Vec<Loss>) {
    let mut lose = |at: &str, what: &str| losses.push(Loss::new(at, what));
    let mut written: Vec<&str> = RESERVED.to_vec();
    let mut o = Object::resume(out);
    let mut field = |name: &'static str, value: &dyn erased::Json| {
        value.write(o.key(name));
        written.push(name);
    };
    if request.tools.is_empty() {
        if request.tool_choice != ToolChoice::Auto {
            lose("tool_choice", "there are no tools to choose from");
        }
        if request.parallel_tool_calls.is_some() {
            lose("parallel_tool_calls", "there are no tools to call");
        }
    } else {
        match &request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::None => field("tool_choice", &"none"),
            ToolChoice::Required => field("tool_choice", &"required"),
            ToolChoice::Tool(name) => {
                field("tool_choice", &json!({"type": "function", "function": {"name": wire_name(name)}}));
            }
        }
        if let Some(parallel) = &request.parallel_tool_calls {
            field("parallel_tool_calls", parallel);
        }
    }
    match &request.response_format {
        None => {}
        Some(ResponseFormat::JsonObject) => field("response_format", &json!({"type": "json_object"})),
        Some(ResponseFormat::JsonSchema { name, schema, strict }) => field("response_format", &schema_format(name, schema, *strict)),
    }
    if let Some(max) = &request.max_output {
        match dialect.max_output {
            MaxOutput::MaxCompletionTokens => field("max_completion_tokens", max),
            MaxOutput::MaxTokens => field("max_tokens", max),
        }
    }
    for (name, value) in [("temperature", &request.temperature), ("top_p", &request.top_p)] {
        match value {
            Some(value) if value.is_finite() => field(name, value),
            Some(_) => lose(name, "it is not a number that JSON can carry"),
            None => {}
        }
    }
    if !request.stop.is_empty() {
        if request.stop.len() > MAX_STOPS {
            lose("stop", "the wire takes four stop sequences; the first four were sent");
        }
        field("stop", &request.stop.iter().take(MAX_STOPS).collect::<Vec<_>>());
    }
    if let Some(seed) = &request.seed {
        field("seed", seed);
    }
    match &request.n {
        None => {}
        Some(1) => field("n", &1),
        Some(_) => lose("n", "one choice is asked for; pup reads no more"),
    }
    if let Some(effort) = &request.reasoning_effort {
        field("reasoning_effort", effort);
    }
    if !request.metadata.is_empty() {
        field("metadata", &request.metadata);
    }
    if request.stream {
        field("stream", &true);
        if dialect.stream_usage == StreamUsage::Ask {
            field("stream_options", &json!({"include_usage": true}));
        }
    }
    if !request.cache_marks.is_empty() {
        lose("cache_marks", "this wire caches by itself and takes no marks");
    }
    for (wire, fields) in &request.extensions {
        for (name, value) in fields {
            if wire != super::NAME {
                lose(&format!("extensions.{wire}.{name}"), "a field of another wire");
            } else if written.contains(&name.as_str()) {
                lose(&format!("extensions.{wire}.{name}"), "a field that the request itself sets");
            } else {
                o.field(name, value);
            }
        }
    }
}

/// Fields that only the request itself sets, present or not.
const RESERVED: &[&str] = &["model", "messages", "tools", "stream", "stream_options"];

fn schema_format(name: &str, schema: &Value, strict: Option<bool>) -> Value {
    let mut inner = json!({"name": name, "schema": schema});
    if let (Some(strict), Some(inner)) = (strict, inner.as_object_mut()) {
        inner.insert("strict".to_owned(), Value::Bool(strict));
    }
    json!({"type": "json_schema", "json_schema": inner})
}

mod erased {
    //! Any serialisable value behind one pointer, so that the settings are written by one closure.
    pub trait Json {
        fn write(&self, out: &mut Vec<u8>);
    }

    impl<T: serde::Serialize> Json for T {
        fn write(&self, out: &mut Vec<u8>) {
            crate::wire::json_out::value(out, self);
        }
    }
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
