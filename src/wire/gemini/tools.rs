//! Tool definitions on the wire: functions in one list, and beside it the provider's own tools, which stand whole in the
//! extension `tools`.

use super::schema::{self, Rules};
use crate::model::{Loss, Request, ToolSpec};
use crate::wire::json_out::{self, Object};
use crate::wire::names::letter_first;
use serde_json::{Map, Value, json};

/// The extension that holds the provider's own tools.
pub const EXTENSION: &str = "tools";

/// The provider's own tools that the caller asks for.
pub fn own(request: &Request) -> &[Value] {
    request.extensions.get(super::NAME).and_then(|own| own.get(EXTENSION)?.as_array()).map_or(&[], Vec::as_slice)
}

/// Writes the field `tools`, where there are any.
pub fn write(object: &mut Object<'_>, specs: &[ToolSpec], own: &[Value], rules: Rules, losses: &mut Vec<Loss>) {
    if specs.is_empty() && own.is_empty() {
        return;
    }
    let functions = (!specs.is_empty()).then_some(Tool::Functions(specs));
    object.list("tools", functions.into_iter().chain(own.iter().map(Tool::Own)), |out, tool| match tool {
        Tool::Own(tool) => json_out::value(out, tool),
        Tool::Functions(specs) => {
            let mut o = Object::begin(out);
            o.list("functionDeclarations", specs.iter().enumerate(), |out, (n, spec)| function(out, n, spec, rules, losses));
            o.end();
        }
    });
}

enum Tool<'a> {
    Functions(&'a [ToolSpec]),
    Own(&'a Value),
}

fn function(out: &mut Vec<u8>, n: usize, spec: &ToolSpec, rules: Rules, losses: &mut Vec<Loss>) {
    let (parameters, dropped) = schema::parameters(&spec.parameters, rules);
    if !dropped.is_empty() {
        let words: Vec<String> = dropped.into_iter().collect();
        losses.push(Loss::new(format!("tools[{n}].parameters"), format!("what this wire's schemas cannot say: {}", words.join(", "))));
    }
    let mut o = Object::begin(out);
    o.field("name", &letter_first(&spec.name));
    if !spec.description.is_empty() {
        o.field("description", &spec.description);
    }
    o.maybe("parameters", parameters.as_ref());
    o.end();
}

/// What an entry of the field holds: the functions as neutral specs, and what is left of it.
pub fn read(mut entry: Map<String, Value>) -> Option<(Vec<ToolSpec>, Option<Value>)> {
    let functions = entry.remove("functionDeclarations").or_else(|| entry.remove("function_declarations"));
    let specs: Option<Vec<ToolSpec>> = match functions {
        None => Some(Vec::new()),
        Some(Value::Array(items)) => items.into_iter().map(spec).collect(),
        Some(_) => None,
    };
    Some((specs?, (!entry.is_empty()).then_some(Value::Object(entry))))
}

fn spec(value: Value) -> Option<ToolSpec> {
    let Value::Object(mut map) = value else { return None };
    let Some(Value::String(name)) = map.remove("name") else { return None };
    let description = map.remove("description").and_then(|d| d.as_str().map(str::to_owned)).unwrap_or_default();
    let plain = map.remove("parametersJsonSchema").or_else(|| map.remove("parameters_json_schema"));
    let parameters = plain.or_else(|| map.remove("parameters").map(|p| schema::to_json_schema(&p)));
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    Some(ToolSpec { name, description, parameters })
}
