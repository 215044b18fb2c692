//! The dialects of JSON Schema in which tools may be described.

use super::{Check, sub};
use serde_json::Value;

/// Calls `each` for every schema inside this one, with its pointer, itself included.
fn walk(at: &str, schema: &Value, each: &mut impl FnMut(&str, &Value)) {
    each(at, schema);
    for key in ["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"] {
        if let Some(inner) = schema.get(key).filter(|s| s.is_object()) {
            walk(&sub(at, key), inner, each);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for (i, inner) in schema[key].as_array().into_iter().flatten().enumerate() {
            walk(&format!("{at}/{key}/{i}"), inner, each);
        }
    }
    for key in ["properties", "$defs", "definitions", "patternProperties"] {
        for (name, inner) in schema[key].as_object().into_iter().flatten() {
            walk(&format!("{at}/{key}/{name}"), inner, each);
        }
    }
}

/// What is wrong with the root of a schema for OpenAI and Anthropic alike.
fn root(c: &mut Check, at: &str, schema: &Value) {
    // OpenAI: "schema must be a JSON Schema of 'type: \"object\"', got 'type: null'" (chatanywhere/GPT_API_free#403);
    // Anthropic: "input_schema.type: Field required".
    c.rule(schema["type"] == "object", &sub(at, "type"), "is not `object`");
    // Anthropic: "input_schema does not support oneOf, allOf, or anyOf at the top level" (anthropics/claude-code#5319);
    // OpenAI: "not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level" (chatanywhere/GPT_API_free#403).
    for key in ["oneOf", "anyOf", "allOf"] {
        c.rule(schema.get(key).is_none(), &sub(at, key), "may not stand at the top of a tool's schema");
    }
}

pub fn anthropic(c: &mut Check, at: &str, schema: &Value) {
    root(c, at, schema);
}

pub fn openai(c: &mut Check, at: &str, schema: &Value) {
    root(c, at, schema);
    for key in ["enum", "not"] {
        c.rule(schema.get(key).is_none(), &sub(at, key), "may not stand at the top of a tool's schema");
    }
    // "object schema missing properties" (spring-projects/spring-ai#4776, tailcallhq/forgecode#1359)
    c.rule(schema["properties"].is_object(), &sub(at, "properties"), "an object's schema has to have it");
    let mut found = Vec::new();
    walk(at, schema, &mut |at, schema| {
        // "array schema missing items" (sigoden/aichat#1049)
        if schema["type"] == "array" && schema.get("items").is_none() && schema.get("prefixItems").is_none() {
            found.push(at.to_owned());
        }
    });
    for at in found {
        c.say(&at, "an array's schema has to have `items`");
    }
}

/// What `parameters` and `responseSchema` take at Google (the reference's `Schema`), without the fields that not every
/// server accepts.
const GEMINI: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "items",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "propertyOrdering",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
];

pub fn gemini(c: &mut Check, at: &str, schema: &Value) {
    let mut found = Vec::new();
    walk(at, schema, &mut |at, schema| {
        let Some(map) = schema.as_object() else { return found.push((at.to_owned(), "is no object")) };
        for key in map.keys() {
            // "Unknown name \"propertyNames\"" (www-zaq-ai/zaq#555) and its like (router-for-me/CLIProxyAPI#97, #136).
            if !GEMINI.contains(&key.as_str()) {
                found.push((sub(at, key), "is not a keyword of Google's schemas"));
            }
        }
        if schema.get("type").is_some() {
            let kind = schema["type"].as_str().unwrap_or_default().to_ascii_lowercase();
            if !["string", "number", "integer", "boolean", "array", "object"].contains(&kind.as_str()) {
                found.push((sub(at, "type"), "is not one of Google's types"));
            }
            if kind == "array" && !schema["items"].is_object() {
                // "items: missing field"
                found.push((sub(at, "items"), "an array's schema has to have it"));
            }
            if schema.get("enum").is_some() && kind != "string" {
                found.push((sub(at, "enum"), "is only for strings"));
            }
        } else if schema.get("anyOf").is_none() {
            found.push((sub(at, "type"), "is missing, and there is no anyOf"));
        }
        if let Some(words) = schema.get("enum") {
            let words = words.as_array().map_or(&[][..], Vec::as_slice);
            if words.is_empty() || !words.iter().all(|w| w.as_str().is_some_and(|w| !w.is_empty())) {
                found.push((sub(at, "enum"), "is not a list of strings"));
            }
        }
        // "properties: should be non-empty for OBJECT type" (containers/kubernetes-mcp-server#340)
        if schema["properties"].as_object().is_some_and(serde_json::Map::is_empty) {
            found.push((sub(at, "properties"), "is empty"));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            // "required[0]: property is not defined"
            if schema["properties"].get(name.as_str().unwrap_or_default()).is_none() {
                found.push((sub(at, "required"), "names a property that is not defined"));
            }
        }
        if schema.get("nullable").is_some_and(|n| !n.is_boolean()) {
            found.push((sub(at, "nullable"), "is neither true nor false"));
        }
    });
    for (at, what) in found {
        c.say(&at, what);
    }
}
