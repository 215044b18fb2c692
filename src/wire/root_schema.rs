//! A tool's schema as OpenAI and Anthropic take it: its root is a plain object.
//!
//! MCP servers and other vendors' clients give unions at the top, no `type`, or arrays of nothing in particular, and one
//! such tool costs the whole request a 400. What is written instead only allows more: pup checks arguments against the
//! whole schema itself. A schema that fits is not touched.

use super::refs::Refs;
use crate::model::{Loss, ToolSpec};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::HashSet;

/// How deep a root that is a reference, or a union of unions, is followed.
const DEPTH: usize = 6;
const UNIONS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// Whose rules they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootRules {
    /// "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level", "object schema
    /// missing properties", "array schema missing items".
    OpenAi,
    /// "input_schema does not support oneOf, allOf, or anyOf at the top level".
    Anthropic,
}

impl RootRules {
    fn refuses(self, key: &str) -> bool {
        UNIONS.contains(&key) || self == Self::OpenAi && matches!(key, "enum" | "not" | "const")
    }
}

/// The schema as these rules want it.
pub fn fitted(schema: &Value, rules: RootRules) -> Cow<'_, Value> {
    if fits(schema, rules) {
        return Cow::Borrowed(schema);
    }
    let mut root = Root::default();
    root.take(schema, Refs::of(schema), DEPTH, Presence::Required);
    let mut out = Map::new();
    out.insert("type".to_owned(), "object".into());
    for (key, value) in schema.as_object().into_iter().flatten() {
        let own = matches!(key.as_str(), "type" | "properties" | "required" | "$ref");
        if !own && !rules.refuses(key) {
            out.insert(key.clone(), value.clone());
        }
    }
    if rules == RootRules::OpenAi || !root.properties.is_empty() || schema.get("properties").is_some() {
        out.insert("properties".to_owned(), root.properties.into());
    }
    if !root.required.is_empty() {
        out.insert("required".to_owned(), root.required.into());
    }
    // What only one variant names has to be allowed beside another one's.
    if schema.as_object().is_some_and(|map| UNIONS.iter().any(|key| map.contains_key(*key))) {
        out.remove("additionalProperties");
        out.remove("unevaluatedProperties");
    }
    let mut out = Value::Object(out);
    if rules == RootRules::OpenAi {
        each_schema(&mut out, &mut |schema| {
            if lacks_items(schema) {
                schema.insert("items".to_owned(), json!({}));
            }
        });
    }
    Cow::Owned(out)
}

/// Names the tools whose schemas say more than is sent. What is only spelt out, a type or an empty list, is no loss.
pub fn name_losses(specs: &[ToolSpec], rules: RootRules, losses: &mut Vec<Loss>) {
    for (n, spec) in specs.iter().enumerate() {
        let refused = |map: &Map<String, Value>| map.keys().any(|key| rules.refuses(key));
        if spec.parameters.as_object().is_none_or(refused) {
            let what = "what the top of the schema binds together: this wire takes a plain object, which allows more";
            losses.push(Loss::new(format!("tools[{n}].parameters"), what));
        }
    }
}

fn fits(schema: &Value, rules: RootRules) -> bool {
    let Some(map) = schema.as_object() else { return false };
    let plain = map.get("type").is_some_and(|t| t == "object") && !map.keys().any(|key| rules.refuses(key) || key == "$ref");
    plain && (rules == RootRules::Anthropic || map.get("properties").is_some_and(Value::is_object) && all_items(schema))
}

/// Whether every array in it says of what.
fn all_items(schema: &Value) -> bool {
    let mut all = true;
    each_schema(&mut schema.clone(), &mut |schema| all &= !lacks_items(schema));
    all
}

fn lacks_items(schema: &Map<String, Value>) -> bool {
    let array = schema.get("type").is_some_and(|t| t == "array" || t.as_array().is_some_and(|all| all.iter().any(|t| t == "array")));
    array && !schema.contains_key("items") && !schema.contains_key("prefixItems")
}

/// Calls `visit` with each schema inside this one, itself included.
fn each_schema(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Some(map) = schema.as_object_mut() else { return };
    visit(map);
    for (key, value) in map {
        match (key.as_str(), value) {
            ("properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas", Value::Object(named)) => {
                for inner in named.values_mut() {
                    each_schema(inner, visit);
                }
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(all)) => {
                for inner in all {
                    each_schema(inner, visit);
                }
            }
            (
                "items" | "additionalProperties" | "unevaluatedProperties" | "not" | "if" | "then" | "else" | "contains" | "propertyNames",
                inner @ Value::Object(_),
            ) => each_schema(inner, visit),
            _ => {}
        }
    }
}

/// The fields of an object, gathered from all places that say something of it.
#[derive(Debug, Default)]
struct Root {
    properties: Map<String, Value>,
    required: Vec<Value>,
    /// Fields that several places describe.
    joined: HashSet<String>,
}

/// Whether what a place requires is required by the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

impl Root {
    fn take(&mut self, schema: &Value, refs: Refs<'_>, depth: usize, presence: Presence) {
        let Some(map) = schema.as_object().filter(|_| depth > 0) else { return };
        if let Some(target) = map.get("$ref").and_then(Value::as_str).and_then(|reference| refs.get(reference)) {
            self.take(target, refs, depth - 1, presence);
        }
        for (name, field) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            self.field(name, field);
        }
        if presence == Presence::Required {
            for name in map.get("required").and_then(Value::as_array).into_iter().flatten() {
                self.require(name);
            }
        }
        for (key, all) in [("allOf", true), ("anyOf", false), ("oneOf", false)] {
            let Some(variants) = map.get(key).and_then(Value::as_array) else { continue };
            let mut common: Option<Vec<Value>> = None;
            for variant in variants {
                self.take(variant, refs, depth - 1, if all { presence } else { Presence::Optional });
                let needs = required(variant, refs, depth - 1);
                common = Some(common.map_or_else(|| needs.clone(), |common| common.into_iter().filter(|n| needs.contains(n)).collect()));
            }
            // What every variant requires is required, whichever is meant.
            if !all && presence == Presence::Required {
                common.iter().flatten().for_each(|name| self.require(name));
            }
        }
    }

    /// Where several places describe one field, any of them may be meant.
    fn field(&mut self, name: &str, field: &Value) {
        let Some(known) = self.properties.get_mut(name) else {
            self.properties.insert(name.to_owned(), field.clone());
            return;
        };
        if known == field {
            return;
        }
        if let Some(Value::Array(all)) = known.get_mut("anyOf").filter(|_| self.joined.contains(name)) {
            if !all.contains(field) {
                all.push(field.clone());
            }
            return;
        }
        *known = json!({"anyOf": [known.take(), field]});
        self.joined.insert(name.to_owned());
    }

    fn require(&mut self, name: &Value) {
        if !self.required.contains(name) {
            self.required.push(name.clone());
        }
    }
}

/// What a variant requires by itself.
fn required(schema: &Value, refs: Refs<'_>, depth: usize) -> Vec<Value> {
    let mut root = Root::default();
    root.take(schema, refs, depth, Presence::Required);
    root.required
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_the_same_bytes() {
        let schema = json!({"type": "object", "properties": {"x": {"type": "array", "items": {"type": "string"}}}, "required": ["x"]});
        for rules in [RootRules::OpenAi, RootRules::Anthropic] {
            assert!(matches!(fitted(&schema, rules), Cow::Borrowed(_)), "{rules:?}");
        }
    }

    #[test]
    fn every_root_becomes_an_object_with_properties() {
        for odd in
            [json!({}), json!(null), json!(true), json!({"type": "object"}), json!({"type": ["object", "null"]}), json!({"type": "string"})]
        {
            assert_eq!(*fitted(&odd, RootRules::OpenAi), json!({"type": "object", "properties": {}}), "{odd}");
            assert_eq!(fitted(&odd, RootRules::Anthropic)["type"], "object", "{odd}");
        }
    }

    #[test]
    fn a_union_at_the_top_allows_what_any_variant_allows_and_requires_what_all_require() {
        let schema = json!({
            "type": "object", "description": "d", "additionalProperties": false, "required": ["k"],
            "properties": {"k": {"type": "string"}},
            "oneOf": [
                {"properties": {"a": {"type": "string"}, "s": {"type": "string"}}, "required": ["a", "s"]},
                {"$ref": "#/$defs/B"},
            ],
            "$defs": {"B": {"properties": {"b": {"type": "array"}, "s": {"type": "integer"}}, "required": ["b", "s"]}},
        });
        let anthropic = json!({
            "type": "object", "description": "d", "required": ["k", "s"],
            "$defs": {"B": {"properties": {"b": {"type": "array"}, "s": {"type": "integer"}}, "required": ["b", "s"]}},
            "properties": {
                "k": {"type": "string"}, "a": {"type": "string"}, "b": {"type": "array"},
                "s": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            },
        });
        assert_eq!(*fitted(&schema, RootRules::Anthropic), anthropic);
        let openai = fitted(&schema, RootRules::OpenAi);
        assert_eq!(openai["properties"]["b"], json!({"type": "array", "items": {}}));
        assert_eq!(*fitted(&openai, RootRules::OpenAi), *openai, "what was fitted fits");
    }

    #[test]
    fn all_parts_of_a_whole_are_required_and_a_reference_at_the_top_is_followed() {
        let schema = json!({
            "allOf": [{"$ref": "#/definitions/A"}, {"properties": {"b": {}}, "required": ["b"]}],
            "definitions": {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}},
        });
        let fitted_ = fitted(&schema, RootRules::OpenAi);
        assert_eq!((&fitted_["required"], fitted_["properties"].as_object().unwrap().len()), (&json!(["a", "b"]), 2));
        let loops = json!({"$ref": "#", "not": {"required": ["x"]}, "enum": [{}]});
        assert_eq!(*fitted(&loops, RootRules::OpenAi), json!({"type": "object", "properties": {}}));
    }
}
