//! Tool definitions on the wire.
//!
//! What the neutral form has no fields for (the provider's own tools, a definition's cache mark or its strictness) stands
//! whole in the extension `tools`, in the caller's order. A definition there replaces the neutral one of its name; neutral
//! ones without such a twin follow behind.

use crate::model::{Request, ToolSpec};
use crate::wire::json_out::{self, Object};
use crate::wire::names::wire_name;
use serde_json::{Map, Value};

/// The extension that holds whole definitions.
pub const EXTENSION: &str = "tools";

/// The definitions that came in whole.
pub fn whole(request: &Request) -> &[Value] {
    request.extensions.get(super::NAME).and_then(|own| own.get(EXTENSION)?.as_array()).map_or(&[], Vec::as_slice)
}

fn name(definition: &Value) -> Option<&str> {
    definition.get("name")?.as_str()
}

/// Writes the field `tools`, where there are any.
pub fn write(object: &mut Object<'_>, specs: &[ToolSpec], whole: &[Value]) {
    if specs.is_empty() && whole.is_empty() {
        return;
    }
    let others = specs.iter().filter(|spec| !whole.iter().any(|w| name(w) == Some(spec.name.as_str())));
    let all = whole.iter().map(Definition::Whole).chain(others.map(Definition::Neutral));
    object.list("tools", all, |out, tool| match tool {
        Definition::Whole(definition) => json_out::value(out, definition),
        Definition::Neutral(spec) => neutral(out, spec),
    });
}

enum Definition<'a> {
    Neutral(&'a ToolSpec),
    Whole(&'a Value),
}

fn neutral(out: &mut Vec<u8>, spec: &ToolSpec) {
    let mut o = Object::begin(out);
    o.field("name", &wire_name(&spec.name));
    if !spec.description.is_empty() {
        o.field("description", &spec.description);
    }
    match spec.parameters.as_object() {
        // The server refuses a schema without it, and other vendors' clients leave it out.
        Some(schema) if !schema.contains_key("type") => {
            let mut typed: Map<String, Value> = Map::new();
            typed.insert("type".to_owned(), "object".into());
            typed.extend(schema.clone());
            o.field("input_schema", &typed);
        }
        _ => {
            o.field("input_schema", &spec.parameters);
        }
    }
    o.end();
}

/// Reads a definition: the neutral form of a tool that the client runs, and whether that form leaves something out.
pub fn read(definition: &Value) -> Option<(Option<ToolSpec>, Fidelity)> {
    let map = definition.as_object()?;
    let name = name(definition)?.to_owned();
    let own_kind = map.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "custom");
    let Some(parameters) = map.get("input_schema").filter(|_| !own_kind) else { return Some((None, Fidelity::LeavesOut)) };
    let description = map.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = ["name", "description", "input_schema", "type"];
    let rest = map.iter().any(|(key, value)| !known.contains(&key.as_str()) && !value.is_null());
    let spec = ToolSpec { name, description, parameters: parameters.clone() };
    Some((Some(spec), if rest { Fidelity::LeavesOut } else { Fidelity::Whole }))
}

/// Whether the neutral form of a definition is all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    Whole,
    LeavesOut,
}
