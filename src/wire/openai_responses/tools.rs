//! A tool's definition on the wire, which is flat here.

use crate::model::ToolSpec;
use crate::wire::definitions::{self, Fidelity};
use crate::wire::json_out::Object;
use crate::wire::names::wire_name;
use crate::wire::root_schema::{self, RootRules};
use serde_json::Value;

pub fn write(out: &mut Vec<u8>, spec: &ToolSpec) {
    let mut o = Object::begin(out);
    o.field("type", "function").field("name", &wire_name(&spec.name));
    if !spec.description.is_empty() {
        o.field("description", &spec.description);
    }
    // Without the word the server makes the schema strict by itself: every optional argument would become a required one.
    o.field("parameters", &root_schema::fitted(&spec.parameters, RootRules::OpenAi)).field("strict", &false);
    o.end();
}

/// Reads a definition: the neutral form of a tool that the client runs, and whether that form leaves something out.
pub fn read(definition: &Value) -> Option<(Option<ToolSpec>, Fidelity)> {
    let map = definition.as_object()?;
    if map.get("type")?.as_str()? != "function" {
        return Some((None, Fidelity::LeavesOut));
    }
    let name = definitions::name(definition)?.to_owned();
    let description = map.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let parameters = map.get("parameters").filter(|p| !p.is_null()).cloned();
    let parameters = parameters.unwrap_or_else(|| serde_json::json!({"type": "object", "properties": {}}));
    let known = ["type", "name", "description", "parameters"];
    let rest = map.iter().any(|(key, value)| !(known.contains(&key.as_str()) || value.is_null() || (key == "strict" && *value == false)));
    Some((Some(ToolSpec { name, description, parameters }), if rest { Fidelity::LeavesOut } else { Fidelity::Whole }))
}
