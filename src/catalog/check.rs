//! What is wrong with a file of JSON, in a person's words: the tree of the file is walked beside the schema that the
//! types themselves give, so there is one description of the format and no second list of keys.

use super::json::{Kind, Node};
use crate::base::nearest;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// A fault at a place of the file.
#[derive(Debug)]
pub struct Fault {
    pub at: usize,
    pub path: Vec<String>,
    pub what: String,
    pub hint: Option<String>,
}

/// The first fault of the tree, in the order of the file; `None` where it has the form of a `T`.
pub fn first_fault<T: JsonSchema>(tree: &Node) -> Option<Fault> {
    if let Some((path, at)) = tree.first_duplicate() {
        return Some(Fault { at, path, what: "stands here a second time".into(), hint: Some("remove one of the two".into()) });
    }
    let schema = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true).into_generator().into_root_schema_for::<T>();
    walk(tree, schema.as_value(), &mut Vec::new())
}

/// `a."b.c".d[0]`
pub fn key_path<S: AsRef<str>>(path: &[S]) -> String {
    path.iter().fold(String::new(), |mut out, key| {
        let key = key.as_ref();
        let dot = if out.is_empty() || key.starts_with('[') { "" } else { "." };
        let plain = !key.is_empty() && (key.starts_with('[') || !key.contains(['.', ' ']));
        out.push_str(dot);
        let quoted = if plain { key.to_owned() } else { format!("{key:?}") };
        out.push_str(&quoted);
        out
    })
}

fn walk(node: &Node, schema: &Value, path: &mut Vec<String>) -> Option<Fault> {
    if let (Some(words), Kind::String(text)) = (words(schema), &node.kind) {
        if words.contains(&text.as_str()) {
            return None;
        }
        let hint = nearest::did_you_mean(text, words.iter().copied());
        let what = format!("cannot be {text:?}; this version knows {}", words.join(", "));
        return Some(Fault { at: node.at, path: path.clone(), what, hint });
    }
    if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        let mut faults = branches.iter().map(|b| walk(node, b, &mut path.clone()));
        // `Option<T>` lists T first, and its complaint is the one that helps.
        let first = faults.next()?;
        return if faults.any(|f| f.is_none()) { None } else { first };
    }
    let fault = |what: String, hint: Option<String>| Some(Fault { at: node.at, path: path.clone(), what, hint });
    if let Some(allowed) = allowed_types(schema)
        && !allowed.iter().any(|t| has_type(node, t))
    {
        let wanted = allowed.iter().filter(|t| **t != "null").map(|t| type_name(t)).collect::<Vec<_>>().join(" or ");
        return fault(format!("must be {wanted}, not {}", node.kind_name()), None);
    }
    match &node.kind {
        Kind::Object(members) => {
            for m in members {
                path.push(m.key.clone());
                let known = schema.get("properties").and_then(Value::as_object);
                let of_any_name = schema.get("additionalProperties");
                let found = match (known.and_then(|p| p.get(&m.key)), of_any_name) {
                    (Some(inner), _) | (None, Some(inner @ Value::Object(_))) => walk(&m.value, inner, path),
                    (None, Some(Value::Bool(false))) => {
                        let names = known.into_iter().flat_map(|p| p.keys().map(String::as_str));
                        let hint = nearest::did_you_mean(&m.key, names.clone())
                            .unwrap_or_else(|| format!("the keys here are {}", names.collect::<Vec<_>>().join(", ")));
                        Some(Fault { at: m.key_at, path: path.clone(), what: "is not a known key".into(), hint: Some(hint) })
                    }
                    (None, _) => None,
                };
                if found.is_some() {
                    return found;
                }
                path.pop();
            }
            None
        }
        Kind::Array(items) => {
            let inner = schema.get("items")?;
            items.iter().enumerate().find_map(|(ix, item)| {
                path.push(format!("[{ix}]"));
                let found = walk(item, inner, path);
                path.pop();
                found
            })
        }
        Kind::Number(text) => {
            let least = schema.get("minimum").and_then(Value::as_f64)?;
            let most = schema.get("maximum").and_then(Value::as_f64).unwrap_or(f64::MAX);
            let value: f64 = text.parse().ok()?;
            if value < least || value > most { fault(format!("is out of range: {text}"), None) } else { None }
        }
        Kind::String(_) | Kind::Bool | Kind::Null => None,
    }
}

/// The words of an enumeration, in either of the two forms that schemas have for it.
fn words(schema: &Value) -> Option<Vec<&str>> {
    let text = |v: &'_ Value| v.as_str().map(str::len).is_some();
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    let branches = schema.get("oneOf")?.as_array()?;
    let constants: Vec<&Value> = branches
        .iter()
        .flat_map(|b| b.get("const").into_iter().chain(b.get("enum").and_then(Value::as_array).into_iter().flatten()))
        .collect();
    let all = branches.iter().all(|b| b.get("const").is_some() || b.get("enum").is_some()) && constants.iter().all(|c| text(c));
    all.then(|| constants.into_iter().filter_map(Value::as_str).collect())
}

fn allowed_types(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn has_type(node: &Node, wanted: &str) -> bool {
    match (&node.kind, wanted) {
        (Kind::Number(text), "integer") => text.parse::<i128>().is_ok(),
        (Kind::Object(_), "object")
        | (Kind::Array(_), "array")
        | (Kind::String(_), "string")
        | (Kind::Number(_), "number")
        | (Kind::Bool, "boolean")
        | (Kind::Null, "null") => true,
        _ => false,
    }
}

fn type_name(json_type: &str) -> &'static str {
    match json_type {
        "object" => "an object",
        "array" => "a list",
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "null",
    }
}
