//! Tools in a few words, and their schemas in a form that any grammar compiler takes.

use super::schema::{Constants, OpenObjects, Rules, simplified};
use crate::base::text;
use crate::model::ToolSpec;
use serde_json::Value;

/// A tool on one line: `grep(pattern: string, path?: string) - Searches files.`
pub fn line(tool: &ToolSpec) -> String {
    let schema = plain(&tool.parameters);
    let mut out = format!("{}{}", tool.name, arguments(&schema));
    let about = first_sentence(&tool.description);
    if !about.is_empty() {
        out.push_str(" - ");
        out.push_str(about);
    }
    out
}

fn first_sentence(description: &str) -> &str {
    let line = description.trim().lines().next().unwrap_or_default();
    let end = line.find(". ").map_or(line.len(), |at| at + 1);
    text::prefix(line.get(..end).unwrap_or(line), 200)
}

fn arguments(schema: &Value) -> String {
    format!("({})", fields(schema))
}

fn fields(schema: &Value) -> String {
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let one = |(name, of): (&String, &Value)| {
        let mark = if required.contains(&name.as_str()) { "" } else { "?" };
        format!("{name}{mark}: {}", kind(of))
    };
    properties.into_iter().flatten().map(one).collect::<Vec<_>>().join(", ")
}

fn kind(schema: &Value) -> String {
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return options.iter().map(Value::to_string).collect::<Vec<_>>().join("|");
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(options) = schema.get(key).and_then(Value::as_array) {
            let shown: Vec<String> = options.iter().map(kind).filter(|k| k != "null").collect();
            return shown.join("|");
        }
    }
    let named = match schema.get("type") {
        Some(Value::String(one)) => one.as_str(),
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).find(|t| *t != "null").unwrap_or("any"),
        _ => "any",
    };
    match named {
        "array" => format!("[{}]", schema.get("items").map_or_else(|| "any".to_owned(), kind)),
        "object" if schema.get("properties").is_some() => format!("{{{}}}", fields(schema)),
        other => other.to_owned(),
    }
}

/// What constrains, and no more: no titles, descriptions, defaults, number formats. An object without a word on it takes no
/// other fields than its own.
const BARE: Rules = Rules {
    without: &["$schema", "title", "description", "default", "format", "examples"],
    open_objects: OpenObjects::Closed,
    constants: Constants::Const,
};

/// The schema with its local references written out and without what does not constrain.
pub fn plain(schema: &Value) -> Value {
    simplified(schema, &BARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn edit() -> ToolSpec {
        ToolSpec {
            name: "replace_in_file".into(),
            description: "Changes a file. All or nothing.\nMore.".into(),
            parameters: json!({
                "$schema": "x", "title": "T", "type": "object", "required": ["path", "replacements"],
                "properties": {
                    "path": {"type": "string", "description": "d"},
                    "replacements": {"type": "array", "items": {"$ref": "#/$defs/R"}},
                    "mode": {"enum": ["a", "b"]},
                    "limit": {"type": ["integer", "null"], "format": "uint32", "default": null},
                },
                "$defs": {"R": {"type": "object", "required": ["old"], "properties": {"old": {"type": "string"}, "all": {"type": "boolean"}, "more": {"$ref": "#/$defs/R"}}}},
            }),
        }
    }

    #[test]
    fn a_tool_is_one_short_line() {
        let mut flat = edit();
        flat.parameters["$defs"]["R"]["properties"].as_object_mut().unwrap().remove("more");
        assert_eq!(
            line(&flat),
            r#"replace_in_file(path: string, replacements: [{old: string, all?: boolean}], mode?: "a"|"b", limit?: integer) - Changes a file."#
        );
        let bare = ToolSpec { name: "now".into(), description: String::new(), parameters: json!({"type": "object"}) };
        assert_eq!(line(&bare), "now()");
    }

    #[test]
    fn references_are_written_out_even_where_they_never_end() {
        let schema = plain(&edit().parameters);
        let text = schema.to_string();
        for gone in ["$ref", "$defs", "title", "\"description\"", "uint32", "default"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        assert_eq!(schema["properties"]["replacements"]["items"]["properties"]["old"], json!({"type": "string"}));
        assert_eq!(schema["additionalProperties"], json!(false));
    }
}
