//! JSON Schema of `config.toml`, made from the table of keys for `docs/schema/`.

use super::keys::{KEYS, Kind};
use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;

#[test]
fn the_published_schema_is_current() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    crate::base::published(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schema/config.schema.json"), &text);
}

fn of_kind(kind: Kind) -> Map<String, Json> {
    let schema = match kind {
        Kind::Text | Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::OneOf(words) => json!({ "enum": words }),
        Kind::Count { least } => json!({ "type": "integer", "minimum": least }),
        Kind::Amount => json!({ "anyOf": [{ "type": "number", "minimum": 0 }, { "const": "off" }] }),
        Kind::Amounts => json!({ "type": "string", "pattern": "=" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Duration => json!({ "anyOf": [
            { "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$" },
            { "type": "number", "exclusiveMinimum": 0 }
        ] }),
    };
    schema.as_object().cloned().unwrap_or_default()
}

fn schema() -> Json {
    let mut root = Map::new();
    for key in KEYS {
        let mut entry = of_kind(key.kind);
        entry.insert("description".into(), format!("{} Variable: {}.", key.doc, key.env()).into());
        if let Some(default) = key.default {
            let written = default.parse::<u64>().map(Json::from).or_else(|_| default.parse::<bool>().map(Json::from));
            entry.insert("default".into(), written.unwrap_or_else(|_| default.into()));
        }
        let (table, leaf) = key.name.split_once('.').map_or((None, key.name), |(t, l)| (Some(t), l));
        let properties = match table {
            None => Some(&mut root),
            Some(table) => root
                .entry(table)
                .or_insert_with(|| json!({ "type": "object", "additionalProperties": false, "properties": {} }))
                .get_mut("properties")
                .and_then(Json::as_object_mut),
        };
        if let Some(properties) = properties {
            properties.insert(leaf.into(), Json::Object(entry));
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pup's config.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": root,
    })
}
