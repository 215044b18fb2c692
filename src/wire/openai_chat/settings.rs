//! Everything of a request that stands behind the messages.

use crate::model::{Loss, Request, ResponseFormat, ToolChoice};
use crate::wire::fields::Fields;
use crate::wire::json_out::Object;
use crate::wire::names::{format_name, wire_name};
use crate::wire::quirk::{Choices, Dialect, MaxOutput, StreamUsage, Unbounded, bound_output};
use serde_json::{Value, json};

/// Fields that only the request itself sets, present or not.
const RESERVED: &[&str] = &["model", "messages", "tools", "stream", "stream_options"];

/// Writes the fields into an object that is already begun.
pub fn write(o: &mut Object<'_>, request: &Request, dialect: &Dialect, losses: &mut Vec<Loss>) {
    let mut fields = Fields::new(o, losses, RESERVED, &dialect.unsent);
    tool_choice(&mut fields, request, dialect);
    response_format(&mut fields, request, dialect);
    let bound = (dialect.unbounded == Unbounded::Bounded)
        .then(|| dialect.default_output.map_or(bound_output::BOUND, |most| most.min(bound_output::BOUND)));
    if let Some(max) = request.max_output.or(bound) {
        match dialect.max_output {
            MaxOutput::MaxCompletionTokens => fields.set("max_completion_tokens", &max),
            MaxOutput::MaxTokens => fields.set("max_tokens", &max),
        }
    }
    sampling(&mut fields, request, dialect);
    match &request.n {
        None => {}
        Some(1) => fields.set("n", &1),
        Some(_) => fields.lose("n", "one choice is asked for; pup reads no more"),
    }
    if let Some(effort) = &request.reasoning_effort {
        let spelled = dialect.effort.spell(effort, &request.model);
        for (name, value) in &spelled.fields {
            fields.set(name, value);
        }
        if let Some(loss) = spelled.loss {
            fields.lose("reasoning_effort", loss);
        }
    }
    if !request.metadata.is_empty() {
        fields.set("metadata", &request.metadata);
    }
    if request.stream {
        fields.set("stream", &true);
        if dialect.stream_usage == StreamUsage::Ask {
            fields.set("stream_options", &json!({"include_usage": true}));
        }
    }
    let own = request.extensions.get(super::NAME);
    for extra in dialect.extra.iter().filter(|extra| extra.when.is(request)) {
        // A caller who sets the field knows what for.
        if own.is_none_or(|own| !own.contains_key(extra.name)) {
            fields.set(extra.name, &extra.value);
        }
    }
    if !request.cache_marks.is_empty() && !dialect.marks.are_for(&request.model) {
        fields.lose("cache_marks", "this wire caches by itself and takes no marks");
    }
    for (wire, own) in &request.extensions {
        for (name, value) in own {
            let at = format!("extensions.{wire}.{name}");
            if wire == super::NAME { fields.pass(&at, name, value) } else { fields.lose(at, "a field of another wire") }
        }
    }
}

fn tool_choice(fields: &mut Fields<'_, '_>, request: &Request, dialect: &Dialect) {
    if request.tools.is_empty() {
        if request.tool_choice != ToolChoice::Auto {
            fields.lose("tool_choice", "there are no tools to choose from");
        }
        if request.parallel_tool_calls.is_some() {
            fields.lose("parallel_tool_calls", "there are no tools to call");
        }
        return;
    }
    match (&request.tool_choice, dialect.choices) {
        (ToolChoice::Auto, _) => {}
        (_, Choices::Auto) => fields.lose("tool_choice", "this server lets the model choose"),
        (ToolChoice::None, _) => fields.set("tool_choice", "none"),
        (ToolChoice::Required, _) => fields.set("tool_choice", "required"),
        (ToolChoice::Tool(_), Choices::Words) => {
            fields.set("tool_choice", "required");
            fields.lose("tool_choice", "this server can be asked for some tool, but not for one by its name");
        }
        (ToolChoice::Tool(name), Choices::All) => {
            fields.set("tool_choice", &json!({"type": "function", "function": {"name": wire_name(name)}}));
        }
    }
    if let Some(parallel) = &request.parallel_tool_calls {
        fields.set("parallel_tool_calls", parallel);
    }
}

fn response_format(fields: &mut Fields<'_, '_>, request: &Request, dialect: &Dialect) {
    let Some(wanted) = &request.response_format else { return };
    let (format, loss) = dialect.formats.fit(wanted);
    if let Some(loss) = loss {
        fields.lose("response_format", loss);
    }
    match format.as_ref() {
        ResponseFormat::JsonObject => fields.set("response_format", &json!({"type": "json_object"})),
        ResponseFormat::JsonSchema { name, schema, strict } => fields.set("response_format", &schema_format(name, schema, *strict)),
    }
}

fn schema_format(name: &str, schema: &Value, strict: Option<bool>) -> Value {
    let mut inner = json!({"name": format_name(name), "schema": schema});
    if let (Some(strict), Some(inner)) = (strict, inner.as_object_mut()) {
        inner.insert("strict".to_owned(), Value::Bool(strict));
    }
    json!({"type": "json_schema", "json_schema": inner})
}

fn sampling(fields: &mut Fields<'_, '_>, request: &Request, dialect: &Dialect) {
    let taken = |field: &str| dialect.sampling.takes(&request.model, field);
    for (name, value) in [("temperature", &request.temperature), ("top_p", &request.top_p)] {
        match value {
            Some(_) if !taken(name) => fields.lose(name, "this model takes none"),
            Some(value) if value.is_finite() => fields.set(name, value),
            Some(_) => fields.lose(name, "it is not a number that JSON can carry"),
            None => {}
        }
    }
    let most = dialect.stops.most();
    let stops: Vec<&str> = request.stop.iter().map(String::as_str).filter(|s| !s.is_empty()).collect();
    if !request.stop.is_empty() && !taken("stop") {
        fields.lose("stop", "this model takes none");
    } else if !request.stop.is_empty() {
        if stops.len() < request.stop.len() {
            fields.lose("stop", "the wire takes no empty stop sequences");
        }
        if stops.len() > most {
            fields.lose("stop", &format!("the server takes {most} at most; the first were sent"));
        }
        if !stops.is_empty() {
            fields.set("stop", &stops.into_iter().take(most).collect::<Vec<_>>());
        }
    }
    if let Some(seed) = &request.seed {
        fields.set(dialect.seed.name(), seed);
    }
}
