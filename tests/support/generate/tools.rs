//! Tools as MCP servers and users bring them: names that no wire takes, schemas that only some do.

use code_pup::model::ToolSpec;
use serde_json::{Value, json};

/// What is odd about a tool's schema.
pub const SCHEMAS: [&str; 22] = [
    "plain",
    "empty",
    "no properties",
    "no type",
    "empty properties",
    "reference",
    "cycle",
    "const",
    "one of, at the top",
    "any of, inside",
    "all of",
    "null union",
    "null in any of",
    "mixed enum",
    "number enum",
    "exclusive bounds",
    "pattern properties",
    "property names",
    "array without items",
    "tuple",
    "if then else",
    "true",
];

pub fn schema(kind: &str) -> Value {
    let object = |properties: Value| json!({"type": "object", "properties": properties, "required": ["x"], "additionalProperties": false});
    match kind {
        "plain" => object(json!({"x": {"type": "string", "description": "a path"}, "n": {"type": "integer", "minimum": 1, "default": 3}})),
        "empty" => json!({}),
        "no properties" => json!({"type": "object"}),
        "no type" => json!({"properties": {"x": {"type": "string"}}}),
        "empty properties" => json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {}}),
        "reference" => json!({
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/point"}, "y": {"$ref": "#/definitions/old"}},
            "$defs": {"point": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]}},
            "definitions": {"old": {"type": ["integer", "null"], "title": "Old"}},
        }),
        "cycle" => json!({
            "type": "object",
            "properties": {"x": {"$ref": "#/$defs/node"}},
            "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "all": {"type": "array", "items": {"$ref": "#"}}}}},
        }),
        "const" => object(json!({"x": {"const": "one"}, "n": {"const": 1}, "b": {"type": "boolean", "const": true}, "z": {"const": null}})),
        "one of, at the top" => json!({"oneOf": [object(json!({"x": {"type": "string"}})), object(json!({"x": {"type": "integer"}}))]}),
        "any of, inside" => object(json!({"x": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}})),
        "all of" => object(json!({"x": {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"required": ["a"]}]}})),
        "null union" => object(json!({"x": {"type": ["string", "null"], "default": null}, "y": {"type": ["string", "integer", "null"]}})),
        "null in any of" => object(json!({"x": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "z": {"type": "null"}})),
        "mixed enum" => object(json!({"x": {"enum": ["a", 1, true, null, ""]}})),
        "number enum" => object(json!({"x": {"type": "integer", "enum": [1, 2]}})),
        "exclusive bounds" => object(json!({"x": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 9, "multipleOf": 0.5}})),
        "pattern properties" => {
            json!({"type": "object", "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": {"type": "number"}})
        }
        "property names" => {
            object(json!({"x": {"type": "object", "propertyNames": {"pattern": "^a"}, "additionalProperties": {"type": "string"}}}))
        }
        "array without items" => object(json!({"x": {"type": "array"}, "y": {"type": "array", "items": {}}})),
        "tuple" => {
            object(json!({"x": {"type": "array", "items": [{"type": "string"}, {"type": "number"}], "prefixItems": [{"type": "string"}]}}))
        }
        "if then else" => json!({
            "type": "object",
            "properties": {"x": {"type": "string", "format": "uri", "examples": ["a"], "$comment": "c", "x-own": 1}},
            "if": {"required": ["x"]},
            "then": {"required": ["y"]},
            "not": {"required": ["z"]},
        }),
        "true" => object(json!({"x": true, "y": {}})),
        other => unreachable!("no schema `{other}`"),
    }
}

/// Names, some of which only some wires take.
pub const NAMES: [&str; 14] = [
    "read_file",
    "f",
    "mcp__a_server_with_a_rather_long_name_of_its_own__a_tool_whose_name_is_longer_still__one",
    "mcp__a_server_with_a_rather_long_name_of_its_own__a_tool_whose_name_is_longer_still__two",
    "a_name_of_exactly_sixty_five_characters_which_is_one_too_many_ok_",
    "größe_und_noch_viel_mehr_worte_als_irgendein_anbieter_in_einem_namen_haben_mag",
    "files.read",
    "files/read",
    "files:read",
    "3d_view",
    "-dash",
    "größe",
    "読む",
    "two words",
];

pub fn spec(name: usize, schema_of: usize) -> ToolSpec {
    let description = if name.is_multiple_of(5) { String::new() } else { format!("Does {}.\n\"Quoted\" \u{1f9ae}", NAMES[name]) };
    ToolSpec { name: NAMES[name].to_owned(), description, parameters: schema(SCHEMAS[schema_of]) }
}
