//! From what a model wrote to typed arguments: forgiving in form, never in meaning.
//!
//! Numbers and booleans in quotes, `null` for what was left out, lists written as JSON text, and the usual other names
//! of an argument are understood. An argument that does not exist is an error that names the ones that do.

use super::{Args, ToolError};
use crate::base::nearest;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Other names that models give to arguments.
const ALIASES: [(&str, &[&str]); 12] = [
    ("path", &["file_path", "filepath", "filePath", "filename", "file", "directory", "dir"]),
    ("old_str", &["old_string", "oldString", "old_text", "oldText", "before"]),
    ("new_str", &["new_string", "newString", "new_text", "newText", "after"]),
    ("replace_all", &["replaceAll", "allow_multiple"]),
    ("content", &["contents", "text", "file_text"]),
    ("patch", &["patch_text", "patchText", "input"]),
    ("command", &["cmd"]),
    ("cwd", &["workdir", "working_directory"]),
    ("pattern", &["query", "regex"]),
    ("replacements", &["edits"]),
    ("choices", &["options"]),
    ("todos", &["items", "tasks", "plan"]),
];

/// Arguments that explain a call and change nothing about it.
const REMARKS: [&str; 5] = ["description", "explanation", "reason", "activeForm", "priority"];

/// Reads `args` by the `schema` of the tool `tool`.
pub fn read<T: DeserializeOwned>(tool: &str, schema: &Value, args: &Args) -> Result<T, ToolError> {
    let fitted = fit(tool, schema, args.clone())?;
    serde_json::from_value(Value::Object(fitted)).map_err(|e| ToolError::model(format!("wrong arguments: {e}; {}", usage(tool, schema))))
}

/// The first of `args` that has the name `name` or one of its other names, as text; for people.
pub fn peek<'a>(args: &'a Args, name: &str) -> Option<&'a str> {
    let others = ALIASES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, others)| others);
    std::iter::once(&name).chain(others).find_map(|n| args.get(*n)).and_then(Value::as_str)
}

fn fit(tool: &str, schema: &Value, args: Args) -> Result<Map<String, Value>, ToolError> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(args) };
    let required: Vec<&str> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut out = Map::new();
    for (key, value) in args {
        let Some(name) = known_name(&key, properties) else {
            if value.is_null() || REMARKS.contains(&key.as_str()) {
                continue;
            }
            let near = nearest::did_you_mean(&key, properties.keys().map(String::as_str)).map_or_else(String::new, |h| format!(", {h}"));
            return Err(ToolError::model(format!("unknown argument `{key}`{near} ({})", usage(tool, schema))));
        };
        if value.is_null() && !required.contains(&name) {
            continue;
        }
        if out.contains_key(name) {
            return Err(ToolError::model(format!("`{name}` is given twice, once as `{key}`")));
        }
        let kind = properties.get(name).unwrap_or(&Value::Null);
        let value = coerce(tool, name, kind, value)?;
        out.insert(name.to_owned(), value);
    }
    match required.iter().find(|name| !out.contains_key(**name)) {
        Some(missing) => Err(ToolError::model(format!("`{missing}` is missing; {}", usage(tool, schema)))),
        None => Ok(out),
    }
}

/// Whether `key` is the argument `name` or one of its other names.
pub fn is_name_of(key: &str, name: &str) -> bool {
    key == name || ALIASES.iter().any(|(n, others)| *n == name && others.contains(&key))
}

fn known_name<'a>(key: &'a str, properties: &'a Map<String, Value>) -> Option<&'a str> {
    if properties.contains_key(key) {
        return Some(key);
    }
    ALIASES.iter().find(|(name, others)| properties.contains_key(*name) && others.contains(&key)).map(|(name, _)| *name)
}

fn coerce(tool: &str, name: &str, schema: &Value, value: Value) -> Result<Value, ToolError> {
    let wanted = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let fitted = match (wanted, value) {
        ("integer", Value::String(s)) => s.trim().parse::<u64>().map_or(Value::String(s), Value::from),
        ("integer", Value::Number(n)) => whole(&n).map_or(Value::Number(n), Value::from),
        ("boolean", Value::String(s)) => match s.trim().to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(s),
        },
        ("string", v @ (Value::Number(_) | Value::Bool(_))) => Value::String(v.to_string()),
        ("array", value) => return list(tool, name, schema, value),
        (_, value) => value,
    };
    let fits = match wanted {
        "integer" => fitted.is_u64(),
        "boolean" => fitted.is_boolean(),
        "string" => fitted.is_string(),
        _ => true,
    };
    let article = if wanted == "integer" { "a whole number from 0" } else { wanted };
    if fits { Ok(fitted) } else { Err(ToolError::model(format!("`{name}` must be {article}, not {}", shown(&fitted)))) }
}

/// A list that was written as JSON text, or one element that was not put into a list, is still that list.
fn list(tool: &str, name: &str, schema: &Value, value: Value) -> Result<Value, ToolError> {
    let value = match value {
        Value::String(s) => serde_json::from_str(&s).unwrap_or(Value::String(s)),
        value => value,
    };
    let items = match value {
        Value::Array(items) => items,
        one @ Value::Object(_) => vec![one],
        other => return Err(ToolError::model(format!("`{name}` must be a list, not {}", shown(&other)))),
    };
    let schema = schema.get("items").unwrap_or(&Value::Null);
    let words = schema.get("type").and_then(Value::as_str) == Some("string");
    let fitted = items.into_iter().map(|item| match item {
        Value::String(text) if words => Ok(Value::String(text)),
        // Such as a choice with an explanation beside it.
        Value::Object(mut args) if words => match args.remove("label") {
            Some(Value::String(label)) => Ok(Value::String(label)),
            _ => Err(ToolError::model(format!("an element of `{name}` must be text, not an object"))),
        },
        other if words => Ok(Value::String(other.to_string())),
        Value::Object(args) => fit(&format!("an element of `{name}` in {tool}"), schema, args).map(Value::Object),
        other => Err(ToolError::model(format!("an element of `{name}` must be an object, not {}", shown(&other)))),
    });
    fitted.collect::<Result<Vec<Value>, ToolError>>().map(Value::Array)
}

/// `10.0` and `1e3` are whole numbers, too.
fn whole(n: &serde_json::Number) -> Option<u64> {
    n.as_u64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9e15).contains(f)).map(|f| f as u64))
}

fn shown(value: &Value) -> String {
    crate::base::text::one_line(&value.to_string(), 60)
}

/// `grep takes pattern, path (optional), ...`.
fn usage(tool: &str, schema: &Value) -> String {
    let required = schema.get("required").and_then(Value::as_array);
    let names = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).map(|name| {
        let needed = required.is_some_and(|r| r.iter().any(|v| v == name));
        format!("{name}{}", if needed { "" } else { " (optional)" })
    });
    format!("{tool} takes {}", names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize, schemars::JsonSchema)]
    struct Sample {
        path: String,
        line: Option<u64>,
        #[serde(default)]
        all: bool,
        #[serde(default)]
        replacements: Vec<Item>,
    }

    #[derive(Debug, PartialEq, Deserialize, schemars::JsonSchema)]
    struct Item {
        old_str: String,
    }

    fn sample(value: Value) -> Result<Sample, String> {
        let Value::Object(args) = value else { panic!() };
        read("sample", &super::super::schema::of::<Sample>(), &args).map_err(|e| e.to_string())
    }

    #[test]
    fn the_usual_slips_are_understood() {
        let plain = sample(json!({"path": "a", "line": 10, "all": true, "replacements": [{"old_str": "x"}]})).unwrap();
        for same in [
            json!({"file_path": "a", "line": "10", "all": "True", "replacements": "[{\"old_str\": \"x\"}]", "reason": "because"}),
            json!({"filename": "a", "line": 10.0, "all": true, "edits": {"old_string": "x"}, "whatever": null}),
        ] {
            assert_eq!(sample(same).unwrap(), plain);
        }
        assert_eq!(
            sample(json!({"path": 7, "line": null})).unwrap(),
            Sample { path: "7".into(), line: None, all: false, replacements: vec![] }
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_right_names() {
        let rows = [
            (json!({}), "`path` is missing; sample takes path, line (optional), all (optional), replacements (optional)"),
            (json!({"path": null}), "`path` must be string, not null"),
            (
                json!({"path": "a", "lines": 1}),
                "unknown argument `lines`, did you mean `line`? (sample takes path, line (optional), all (optional), replacements (optional))",
            ),
            (json!({"path": "a", "file": "b"}), "`path` is given twice, once as `file`"),
            (json!({"path": "a", "line": -1}), "`line` must be a whole number from 0, not -1"),
            (json!({"path": "a", "line": "ten"}), "`line` must be a whole number from 0, not \"ten\""),
            (json!({"path": ["a"]}), "`path` must be string, not [\"a\"]"),
            (json!({"path": "a", "all": "maybe"}), "`all` must be boolean, not \"maybe\""),
            (json!({"path": "a", "replacements": "x"}), "`replacements` must be a list, not \"x\""),
            (json!({"path": "a", "replacements": [1]}), "an element of `replacements` must be an object, not 1"),
            (json!({"path": "a", "replacements": [{}]}), "`old_str` is missing; an element of `replacements` in sample takes old_str"),
        ];
        for (args, want) in rows {
            assert_eq!(sample(args).unwrap_err(), want);
        }
    }
}
