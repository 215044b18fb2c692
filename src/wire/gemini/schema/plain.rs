//! Schemas of this wire as plain JSON Schema, for everybody else.

use super::keywords::BOUNDS;
use serde_json::{Map, Value, json};

/// A schema of this wire as plain JSON Schema, for everybody else.
pub fn to_json_schema(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut out = Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("nullable" | "propertyOrdering", _) => continue,
            ("type", Value::String(kind)) => kind.to_ascii_lowercase().into(),
            ("properties" | "$defs" | "definitions", Value::Object(fields)) => {
                Value::Object(fields.iter().map(|(name, of)| (name.clone(), to_json_schema(of))).collect())
            }
            ("items", of) => to_json_schema(of),
            ("anyOf", Value::Array(options)) => Value::Array(options.iter().map(to_json_schema).collect()),
            // 64-bit numbers are strings where this wire's JSON is made by its own tools.
            (name, Value::String(n)) if BOUNDS.iter().any(|(b, _)| *b == name) && name != "pattern" => {
                n.parse::<u64>().map_or_else(|_| value.clone(), Value::from)
            }
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    if map.get("nullable") == Some(&Value::Bool(true)) {
        match out.get_mut("type") {
            Some(kind @ Value::String(_)) => *kind = json!([kind.take(), "null"]),
            Some(_) => {}
            None => {
                if let Some(Value::Array(options)) = out.get_mut("anyOf") {
                    options.push(json!({"type": "null"}));
                }
            }
        }
    }
    Value::Object(out)
}
