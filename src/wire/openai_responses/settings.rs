//! Everything of a request that stands behind the items.

use super::family::Family;
use crate::model::{Loss, Request, ResponseFormat, ToolChoice};
use crate::wire::definitions;
use crate::wire::json_out::Object;
use crate::wire::names::{format_name, wire_name};
use crate::wire::quirk::{Backend, Dialect, chatgpt_backend};
use serde_json::{Map, Value, json};

/// The least bound of the output that the server takes.
const LEAST_OUTPUT: u64 = 16;
/// The key of the metadata that is a field of its own: requests with the same one are sent where their prefix is cached.
pub const CACHE_KEY: &str = "prompt_cache_key";
/// What makes the server hand out reasoning in a form that can be sent back.
pub const ENCRYPTED: &str = "reasoning.encrypted_content";

const NO_REASONING: &str = "this model does not reason";
const CHATGPT: &str = "a ChatGPT login takes no such field";

/// Fields that only the request itself sets, present or not. `store`, `include`, `reasoning` and `text` are merged.
const RESERVED: &[&str] = &["model", "instructions", "input", "stream", "store", "include", "reasoning", "text", definitions::EXTENSION];

struct Fields<'a, 'o> {
    o: &'a mut Object<'o>,
    request: &'a Request,
    losses: &'a mut Vec<Loss>,
    written: Vec<&'static str>,
    backend: Backend,
    family: Option<Family<'a>>,
}

/// Writes the fields into an object that is already begun.
pub fn write(o: &mut Object<'_>, request: &Request, dialect: &Dialect, losses: &mut Vec<Loss>) {
    let family = Family::of(&request.model);
    let mut fields = Fields { o, request, losses, written: RESERVED.to_vec(), backend: dialect.backend, family };
    fields.tool_choice();
    fields.reasoning();
    fields.text();
    fields.sampling();
    fields.rest();
    fields.keeping();
    fields.extensions();
}

impl Fields<'_, '_> {
    fn set(&mut self, name: &'static str, value: &impl serde::Serialize) {
        self.o.field(name, value);
        self.written.push(name);
    }

    fn lose(&mut self, at: impl Into<String>, what: &str) {
        self.losses.push(Loss::new(at, what));
    }

    /// What the caller said of a field that is merged.
    fn own(&self, name: &str) -> Option<&Value> {
        self.request.extensions.get(super::NAME)?.get(name)
    }

    fn own_object(&self, name: &str) -> Map<String, Value> {
        self.own(name).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    fn tool_choice(&mut self) {
        let request = self.request;
        if request.tools.is_empty() && definitions::whole(request, super::NAME).is_empty() {
            if request.tool_choice != ToolChoice::Auto {
                self.lose("tool_choice", "there are no tools to choose from");
            }
            if request.parallel_tool_calls.is_some() {
                self.lose("parallel_tool_calls", "there are no tools to call");
            }
            return;
        }
        let own = self.own("tool_choice").is_some();
        let chatgpt = self.backend == Backend::Chatgpt;
        match &request.tool_choice {
            ToolChoice::Auto if own => {}
            ToolChoice::Auto if chatgpt => self.set("tool_choice", &"auto"),
            ToolChoice::Auto => {}
            ToolChoice::None => self.set("tool_choice", &"none"),
            ToolChoice::Required => self.set("tool_choice", &"required"),
            ToolChoice::Tool(name) => self.set("tool_choice", &json!({"type": "function", "name": wire_name(name)})),
        }
        match request.parallel_tool_calls {
            Some(parallel) => self.set("parallel_tool_calls", &parallel),
            None if chatgpt => self.set("parallel_tool_calls", &true),
            None => {}
        }
    }

    /// Whether the model reasons; where nothing is known of it, it may.
    fn reasons(&self) -> bool {
        self.family.is_none_or(Family::reasons)
    }

    fn reasoning(&mut self) {
        let mut reasoning = self.own_object("reasoning");
        if let Some(asked) = &self.request.reasoning_effort {
            if self.reasons() {
                let effort = self.effort(asked);
                if effort != asked {
                    self.lose("reasoning_effort", "this model does not take it; the nearest one was sent");
                }
                reasoning.insert("effort".to_owned(), effort.into());
            } else {
                self.lose("reasoning_effort", NO_REASONING);
            }
        }
        if self.backend == Backend::Chatgpt && self.reasons() {
            reasoning.entry("summary").or_insert_with(|| "auto".into());
        }
        if !reasoning.is_empty() {
            self.o.field("reasoning", &reasoning);
        }
    }

    fn effort<'e>(&self, asked: &'e str) -> &'e str {
        match (self.backend, self.family) {
            (Backend::Chatgpt, Some(Family { version: Some(version), .. })) => {
                chatgpt_backend::effort(version, |word| self.family.is_some_and(|f| f.is(word)), asked)
            }
            (Backend::Chatgpt | Backend::Api, _) => asked,
        }
    }

    fn text(&mut self) {
        let mut text = self.own_object("text");
        let mut format = text.get("format").and_then(Value::as_object).cloned().unwrap_or_default();
        match &self.request.response_format {
            None => {}
            Some(ResponseFormat::JsonObject) => {
                text.insert("format".to_owned(), json!({"type": "json_object"}));
            }
            Some(ResponseFormat::JsonSchema { name, schema, strict }) => {
                let own = [("type", "json_schema".into()), ("name", format_name(name).into()), ("schema", schema.clone())];
                format.extend(own.map(|(key, value): (&str, Value)| (key.to_owned(), value)));
                if let Some(strict) = strict {
                    format.insert("strict".to_owned(), (*strict).into());
                }
                text.insert("format".to_owned(), format.into());
            }
        }
        if !text.is_empty() {
            self.o.field("text", &text);
        }
    }

    fn sampling(&mut self) {
        let chatgpt = self.backend == Backend::Chatgpt;
        for (name, value) in [("temperature", self.request.temperature), ("top_p", self.request.top_p)] {
            match value {
                None => {}
                Some(value) if !value.is_finite() => self.lose(name, "it is not a number that JSON can carry"),
                Some(_) if chatgpt => self.lose(name, CHATGPT),
                Some(_) if self.family.is_some_and(Family::reasons) => self.lose(name, "models that reason take none"),
                Some(value) => self.set(name, &value),
            }
        }
        match self.request.max_output {
            None => {}
            Some(_) if chatgpt => self.lose("max_output", CHATGPT),
            Some(max) => {
                if max < LEAST_OUTPUT {
                    self.lose("max_output", "the least that the wire takes is 16, which was sent");
                }
                self.set("max_output_tokens", &max.max(LEAST_OUTPUT));
            }
        }
    }

    fn rest(&mut self) {
        let request = self.request;
        if !request.stop.is_empty() {
            self.lose("stop", "the wire has no stop sequences");
        }
        if request.seed.is_some() {
            self.lose("seed", "the wire has no seed");
        }
        if request.n.is_some_and(|n| n != 1) {
            self.lose("n", "the wire gives one answer");
        }
        if !request.cache_marks.is_empty() {
            self.lose("cache_marks", "this wire caches by itself and takes no marks");
        }
        let mut metadata = request.metadata.clone();
        if let Some(key) = metadata.remove(CACHE_KEY) {
            self.set(CACHE_KEY, &key);
        }
        if !metadata.is_empty() {
            if self.backend == Backend::Chatgpt {
                self.lose("metadata", CHATGPT);
            } else {
                self.set("metadata", &metadata);
            }
        }
    }

    /// Nothing is stored, so what is needed of a reply is asked for; and whether it is streamed.
    fn keeping(&mut self) {
        let chatgpt = self.backend == Backend::Chatgpt;
        let stored = self.own("store").and_then(Value::as_bool).unwrap_or(false);
        if stored && chatgpt {
            self.lose(format!("extensions.{}.store", super::NAME), "a ChatGPT login stores nothing");
        }
        let stored = stored && !chatgpt;
        self.o.field("store", &stored);
        let mut include: Vec<Value> = self.own("include").and_then(Value::as_array).cloned().unwrap_or_default();
        if !stored && self.reasons() && !include.iter().any(|i| i == ENCRYPTED) {
            include.push(ENCRYPTED.into());
        }
        if !include.is_empty() {
            self.o.field("include", &include);
        }
        if self.request.stream || chatgpt {
            self.o.field("stream", &true);
        }
    }

    fn extensions(&mut self) {
        for (wire, own) in &self.request.extensions {
            for (name, value) in own {
                let at = || format!("extensions.{wire}.{name}");
                let merged = match name.as_str() {
                    "store" => value.is_boolean(),
                    "include" | definitions::EXTENSION => value.is_array(),
                    "reasoning" | "text" => value.is_object(),
                    _ => false,
                };
                if wire != super::NAME {
                    self.lose(at(), "a field of another wire");
                } else if merged {
                    // Written where it belongs, beside the request's own.
                } else if self.written.contains(&name.as_str()) {
                    self.lose(at(), "a field that the request itself sets");
                } else if self.backend == Backend::Chatgpt && !chatgpt_backend::FIELDS.contains(&name.as_str()) {
                    self.lose(at(), CHATGPT);
                } else {
                    self.o.field(name, value);
                }
            }
        }
    }
}
