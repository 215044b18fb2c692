//! What the keywords of a schema say, whichever of them are there.

use serde_json::{Map, Value};

/// Keywords that describe and constrain nothing.
pub const ANNOTATIONS: [&str; 14] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    // Every vendor's strict mode writes it, and no model needs it said.
    "additionalProperties",
];

/// Keywords that are understood, whether they are written or become something else.
pub const UNDERSTOOD: [&str; 16] = [
    "type",
    "title",
    "description",
    "nullable",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "properties",
    "required",
    "propertyOrdering",
    "items",
    "prefixItems",
    "format",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

/// Bounds, by the type that has them.
pub const BOUNDS: [(&str, &[&str]); 9] = [
    ("minLength", &["string"]),
    ("maxLength", &["string"]),
    ("pattern", &["string"]),
    ("minimum", &["integer", "number"]),
    ("maximum", &["integer", "number"]),
    ("minItems", &["array"]),
    ("maxItems", &["array"]),
    ("minProperties", &["object"]),
    ("maxProperties", &["object"]),
];

/// The types that a schema names, in lower case; whole numbers are numbers.
pub fn types(map: &Map<String, Value>) -> Vec<String> {
    let named = match map.get("type") {
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        Some(Value::Array(many)) => many.as_slice(),
        _ => &[],
    };
    let known = ["string", "number", "integer", "boolean", "object", "array", "null"];
    let mut found: Vec<String> =
        distinct(named.iter().filter_map(|t| Some(t.as_str()?.to_ascii_lowercase())).filter(|t| known.contains(&t.as_str())).collect());
    if found.iter().any(|t| t == "number") {
        found.retain(|t| t != "integer");
    }
    found
}

/// The type that a schema's other words tell.
pub fn implied(map: &Map<String, Value>, literals: Option<&[Value]>) -> Option<String> {
    let has = |keys: &[&str]| keys.iter().any(|k| map.contains_key(*k));
    let kinds: Option<Vec<&str>> = literals.map(|l| {
        let kind = |v: &Value| match v {
            Value::Null => None,
            Value::Bool(_) => Some("boolean"),
            Value::Number(n) if n.is_f64() => Some("number"),
            Value::Number(_) => Some("integer"),
            Value::String(_) => Some("string"),
            Value::Array(_) => Some("array"),
            Value::Object(_) => Some("object"),
        };
        distinct(l.iter().filter_map(kind).collect())
    });
    let kind = match kinds.as_deref() {
        Some([one]) => one,
        Some(["integer", "number"] | ["number", "integer"]) => "number",
        Some([_, ..]) => "string",
        Some([]) | None if has(&["properties", "required", "patternProperties", "propertyNames", "minProperties"]) => "object",
        Some([]) | None if has(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"]) => "array",
        Some([]) | None if has(&["pattern", "minLength", "maxLength", "format"]) => "string",
        Some([]) | None if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) => "number",
        Some([]) | None => return None,
    };
    Some(kind.to_owned())
}

/// The values that a schema enumerates.
pub fn literals(map: &Map<String, Value>) -> Option<Vec<Value>> {
    map.get("enum").and_then(Value::as_array).cloned().or_else(|| Some(vec![map.get("const")?.clone()]))
}

pub fn options(map: &Map<String, Value>) -> Option<Vec<Value>> {
    ["anyOf", "oneOf"].iter().find_map(|key| map.get(*key)?.as_array()).filter(|o| !o.is_empty()).cloned()
}

pub fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|t| t == "null") || schema.get("const") == Some(&Value::Null)
}

/// Whether a bound has the form that the wire takes.
pub fn bounds(name: &str, value: &Value) -> bool {
    match name {
        "pattern" => value.is_string(),
        "minimum" | "maximum" => value.is_number(),
        _ => value.is_u64(),
    }
}

/// Open bounds of whole numbers are closed ones beside them.
pub fn exclusive(map: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (open, closed, step) in [("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)] {
        if let Some(bound) = map.get(open).and_then(Value::as_i64).and_then(|b| b.checked_add(step)) {
            out.entry(closed).or_insert_with(|| bound.into());
        }
    }
}

pub fn distinct<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    all.into_iter().fold(Vec::new(), |mut out, item| {
        if !out.contains(&item) {
            out.push(item);
        }
        out
    })
}
