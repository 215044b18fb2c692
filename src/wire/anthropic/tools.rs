//! A tool's definition on the wire.

use crate::model::ToolSpec;
use crate::wire::definitions::{self, Fidelity};
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use crate::wire::root_schema::{self, RootRules};
use serde_json::Value;

pub fn write(out: &mut Vec<u8>, spec: &ToolSpec) {
    let mut o = Object::begin(out);
    o.field("name", &wire_name(&spec.name));
    if !spec.description.is_empty() {
        o.field("description", &spec.description);
    }
    o.field("input_schema", &root_schema::fitted(&spec.parameters, RootRules::Anthropic));
    o.end();
}

/// Reads a definition: the neutral form of a tool that the client runs, and whether that form leaves something out.
pub fn read(definition: &Value) -> Option<(Option<ToolSpec>, Fidelity)> {
    let map = definition.as_object()?;
    let name = definitions::name(definition)?.to_owned();
    let own_kind = map.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "custom");
    let Some(parameters) = map.get("input_schema").filter(|_| !own_kind) else { return Some((None, Fidelity::LeavesOut)) };
    let description = map.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = ["name", "description", "input_schema", "type"];
    let rest = map.iter().any(|(key, value)| !known.contains(&key.as_str()) && !value.is_null());
    let spec = ToolSpec { name, description, parameters: parameters.clone() };
    Some((Some(spec), if rest { Fidelity::LeavesOut } else { Fidelity::Whole }))
}
