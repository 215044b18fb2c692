//! Tool schemas in simpler words: local references written out, and without the keywords that a server does not take.

use crate::wire::refs::Refs;
use serde_json::{Map, Value, json};

/// How deep references and nested types are followed.
const DEPTH: usize = 6;

/// What becomes of a schema.
#[derive(Debug)]
pub struct Rules {
    /// Keywords that are left out wherever they stand.
    pub without: &'static [&'static str],
    pub open_objects: OpenObjects,
    pub constants: Constants,
}

/// An object that does not say whether it takes other fields than its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenObjects {
    Open,
    Closed,
}

/// How a single allowed value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constants {
    Const,
    /// As a list of one.
    Enum,
}

/// The schema as `rules` want it.
pub fn simplified(schema: &Value, rules: &Rules) -> Value {
    simplify(schema, Refs::of(schema), DEPTH, rules)
}

fn simplify(schema: &Value, refs: Refs<'_>, depth: usize, rules: &Rules) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    if depth == 0 {
        return json!({});
    }
    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
        // A reference that leads nowhere constrains nothing.
        return refs.get(reference).map_or_else(|| json!({}), |target| simplify(target, refs, depth - 1, rules));
    }
    let inner = |value: &Value| simplify(value, refs, depth - 1, rules);
    let mut out = Map::new();
    for (key, value) in map {
        if matches!(key.as_str(), "$defs" | "definitions") || rules.without.contains(&key.as_str()) {
            continue;
        }
        let kept = match key.as_str() {
            "properties" => match value.as_object() {
                Some(fields) => Value::Object(fields.iter().map(|(k, v)| (k.clone(), inner(v))).collect()),
                None => value.clone(),
            },
            "items" | "additionalProperties" => inner(value),
            "anyOf" | "oneOf" | "allOf" => match value.as_array() {
                Some(all) => Value::Array(all.iter().map(inner).collect()),
                None => value.clone(),
            },
            "const" if rules.constants == Constants::Enum => {
                out.insert("enum".to_owned(), json!([value]));
                continue;
            }
            _ => value.clone(),
        };
        out.insert(key.clone(), kept);
    }
    let closes = rules.open_objects == OpenObjects::Closed && out.get("type").and_then(Value::as_str) == Some("object");
    if closes && !out.contains_key("additionalProperties") {
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Value::Object(out)
}
