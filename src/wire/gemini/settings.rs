//! Everything of a request that stands behind the contents.

use super::family::{Family, Maker};
use super::schema::{self, Rules};
use super::{thinking, tools};
use crate::model::google_fields::GENERATION;
use crate::model::{Loss, Request, ResponseFormat, ToolChoice};
use crate::wire::json_out::Object;
use crate::wire::names::letter_first;
use serde_json::{Map, Value, json};

/// How many stop sequences the wire takes.
const MAX_STOPS: usize = 5;
pub const TOOL_CONFIG: &str = "toolConfig";
/// The part of the tool config that says how free the model is.
pub const CALLING: &str = "functionCallingConfig";

/// Fields that only the request itself sets, present or not.
const RESERVED: [&str; 5] = ["model", "contents", "systemInstruction", "stream", tools::EXTENSION];

/// What a body is for. Counting takes no settings: what bounds or shapes an answer has no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Answer,
    Count,
}

/// Writes the fields into an object that is already begun.
pub fn write(o: &mut Object<'_>, request: &Request, family: Family, rules: Rules, purpose: Purpose, losses: &mut Vec<Loss>) {
    if purpose == Purpose::Count {
        return;
    }
    let none = Map::new();
    let own = request.extensions.get(super::NAME).unwrap_or(&none);
    let tool_config = tool_config(request, own, rules, losses);
    if !tool_config.is_empty() {
        o.field(TOOL_CONFIG, &tool_config);
    }
    let generation = generation(request, own, family, rules, losses);
    if !generation.is_empty() {
        o.field(GENERATION, &generation);
    }
    let mut lose = |at: String, what: &str| losses.push(Loss::new(at, what));
    for key in request.metadata.keys() {
        lose(format!("metadata.{key}"), "the wire has no place for it");
    }
    if !request.cache_marks.is_empty() {
        lose("cache_marks".to_owned(), "this wire caches by itself and takes no marks");
    }
    for (wire, fields) in &request.extensions {
        for (name, value) in fields {
            let at = || format!("extensions.{wire}.{name}");
            let merged =
                matches!(name.as_str(), GENERATION | TOOL_CONFIG) && value.is_object() || name == tools::EXTENSION && value.is_array();
            if wire == crate::wire::antigravity::NAME && rules != Rules::Gemini {
                // Of the envelope.
            } else if wire != super::NAME {
                lose(at(), "a field of another wire");
            } else if RESERVED.contains(&name.as_str()) && !merged {
                lose(at(), "a field that the request itself sets");
            } else if !merged {
                o.field(name, value);
            }
        }
    }
}

fn object(own: &Map<String, Value>, key: &str) -> Map<String, Value> {
    own.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// How free the model is to call tools, beside what the caller put there itself.
fn tool_config(request: &Request, own: &Map<String, Value>, rules: Rules, losses: &mut Vec<Loss>) -> Map<String, Value> {
    let mut config = object(own, TOOL_CONFIG);
    let mut calling = object(&config, CALLING);
    let mut lose = |at: &str, what: &str| losses.push(Loss::new(at, what));
    if request.parallel_tool_calls == Some(false) {
        lose("parallel_tool_calls", "this wire cannot forbid more than one call at once");
    }
    if request.tools.is_empty() {
        if request.tool_choice != ToolChoice::Auto {
            lose("tool_choice", "there are no tools to choose from");
        }
    } else {
        let (mode, only) = match &request.tool_choice {
            // The service checks what Claude writes only where it is told to.
            ToolChoice::Auto if rules == Rules::Claude => (Some("VALIDATED"), None),
            ToolChoice::Auto => (None, None),
            ToolChoice::None => (Some("NONE"), None),
            ToolChoice::Required => (Some("ANY"), None),
            ToolChoice::Tool(name) => (Some("ANY"), Some(letter_first(name))),
        };
        if let Some(mode) = mode {
            if calling.get("mode").is_some_and(|own| own != mode) {
                lose(&format!("extensions.{}.{TOOL_CONFIG}.{CALLING}.mode", super::NAME), "a field that the request itself sets");
            }
            calling.insert("mode".to_owned(), mode.into());
        }
        if let Some(name) = only {
            calling.insert("allowedFunctionNames".to_owned(), json!([name]));
        }
    }
    if !calling.is_empty() {
        config.insert(CALLING.to_owned(), Value::Object(calling));
    }
    config
}

struct Config<'a> {
    out: Map<String, Value>,
    losses: &'a mut Vec<Loss>,
}

impl Config<'_> {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.out.insert(name.to_owned(), value.into());
    }

    fn lose(&mut self, at: impl Into<String>, what: &str) {
        self.losses.push(Loss::new(at, what));
    }
}

fn generation(request: &Request, own: &Map<String, Value>, family: Family, rules: Rules, losses: &mut Vec<Loss>) -> Map<String, Value> {
    let mut rest = object(own, GENERATION);
    let plan = thinking::plan(request, family, rest.remove(thinking::FIELD).as_ref(), losses);
    let mut config = Config { out: Map::new(), losses };
    if let Some(most) = request.max_output.or(plan.output) {
        config.set("maxOutputTokens", most);
    }
    sampling(&mut config, request, family);
    stops(&mut config, request);
    format(&mut config, request, family, rules);
    if let Some(thinking) = plan.config {
        config.set(thinking::FIELD, thinking);
    }
    for (name, value) in rest {
        if config.out.contains_key(&name) {
            config.lose(format!("extensions.{}.{GENERATION}.{name}", super::NAME), "a field that the request itself sets");
        } else {
            config.set(&name, value);
        }
    }
    config.out
}

fn sampling(config: &mut Config<'_>, request: &Request, family: Family) {
    let hottest = if family.maker == Maker::Claude { 1.0 } else { 2.0 };
    for (at, name, value, most) in [("temperature", "temperature", request.temperature, hottest), ("top_p", "topP", request.top_p, 1.0)] {
        let Some(wanted) = value else { continue };
        if !wanted.is_finite() {
            config.lose(at, "it is not a number that JSON can carry");
            continue;
        }
        let sent = wanted.clamp(0.0, most);
        if !(0.0..=most).contains(&wanted) {
            config.lose(at, "outside of what this wire takes; the nearest value was sent");
        }
        config.set(name, sent);
    }
    match request.seed.map(i32::try_from) {
        Some(Ok(seed)) => config.set("seed", seed),
        Some(Err(_)) => config.lose("seed", "the wire's seeds have 32 bits"),
        None => {}
    }
    match request.n {
        None => {}
        Some(1) => config.set("candidateCount", 1),
        Some(_) => config.lose("n", "one answer is asked for; pup reads no more"),
    }
}

fn stops(config: &mut Config<'_>, request: &Request) {
    let usable: Vec<&str> = request.stop.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
    if usable.len() < request.stop.len() {
        config.lose("stop", "the wire takes no empty stop sequences");
    }
    if usable.len() > MAX_STOPS {
        config.lose("stop", "the wire takes five stop sequences; the first five were sent");
    }
    if !usable.is_empty() {
        config.set("stopSequences", usable.into_iter().take(MAX_STOPS).collect::<Vec<_>>());
    }
}

fn format(config: &mut Config<'_>, request: &Request, family: Family, rules: Rules) {
    let Some(wanted) = &request.response_format else { return };
    if family.maker == Maker::GeminiTwo && !request.tools.is_empty() {
        return config.lose("response_format", "this model takes either a form of the answer or tools");
    }
    config.set("responseMimeType", "application/json");
    if let ResponseFormat::JsonSchema { name, schema, strict } = wanted {
        if !name.is_empty() || strict.is_some() {
            config.lose("response_format", "the schema's name and strictness: on this wire it has no name and always binds");
        }
        let schema::Converted { schema, dropped } = schema::convert(schema, rules);
        if !dropped.is_empty() {
            let words: Vec<String> = dropped.into_iter().collect();
            config.lose("response_format.schema", &format!("what this wire's schemas cannot say: {}", words.join(", ")));
        }
        config.set("responseSchema", schema);
    }
}
