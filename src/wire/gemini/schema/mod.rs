//! JSON Schema to the part of it that the wire takes, and back.
//!
//! The wire's schemas know a fixed set of keywords, refuse any other with 400, and name nothing by reference. So
//! references are written out, constants become enumerations of one, unions with null become `nullable`, unions stand
//! alone, and what has no place is left out: the tool itself still checks what it is called with.

mod keywords;
mod merge;
mod plain;

use keywords::{ANNOTATIONS, BOUNDS, UNDERSTOOD, bounds, distinct, exclusive, implied, is_null, literals, options, types};
use merge::Merger;
pub use plain::to_json_schema;

use crate::wire::refs::Refs;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How much of the wire's schema a server takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rules {
    #[default]
    Gemini,
    /// Fewer keywords and no unions.
    Antigravity,
    /// Of those, what the service can pass on to Claude: no object without properties.
    Claude,
}

/// How deep a schema is followed.
const DEPTH: usize = 24;
/// How many schemas one document may become: references that fan out grow without ever being circular.
const NODES: usize = 4_000;
/// The property of an object that has none, where one is required. What it holds says nothing.
pub const PLACEHOLDER: &str = "_placeholder";

/// A schema in the wire's words.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    pub schema: Value,
    /// Keywords that constrained something and had no place.
    pub dropped: BTreeSet<String>,
}

/// Writes any schema in the wire's words.
pub fn convert(schema: &Value, rules: Rules) -> Converted {
    let mut converter = Converter { merger: Merger::new(Refs::of(schema)), rules, dropped: BTreeSet::new(), left: NODES };
    let converted = converter.node(schema, DEPTH);
    Converted { schema: Value::Object(converted), dropped: converter.dropped }
}

/// The schema of a tool's arguments, always an object; nothing where there are none to be described.
pub fn parameters(schema: &Value, rules: Rules) -> (Option<Value>, BTreeSet<String>) {
    let Converted { schema, mut dropped } = convert(schema, rules);
    let Value::Object(mut map) = schema else { return (None, dropped) };
    if map.get("type").is_none_or(|t| t != "object") {
        // A union, or something that no call's arguments can be.
        let mut all = Map::new();
        if let Some(Value::Array(options)) = map.get("anyOf") {
            dropped.insert("anyOf".to_owned());
            all.extend(options.iter().filter_map(|o| o.get("properties")?.as_object().cloned()).flatten());
        }
        map = Map::from_iter([("type".to_owned(), "object".into())]);
        if all.is_empty() && rules == Rules::Claude {
            all = placeholder();
        }
        if !all.is_empty() {
            map.insert("properties".to_owned(), Value::Object(all));
        }
    }
    map.remove("nullable");
    let described = map.contains_key("properties");
    (described.then_some(Value::Object(map)), dropped)
}

fn placeholder() -> Map<String, Value> {
    Map::from_iter([(PLACEHOLDER.to_owned(), json!({"type": "boolean", "description": "Not used; leave it out."}))])
}

struct Converter<'a> {
    merger: Merger<'a>,
    rules: Rules,
    dropped: BTreeSet<String>,
    left: usize,
}

impl Converter<'_> {
    fn node(&mut self, schema: &Value, depth: usize) -> Map<String, Value> {
        if depth == 0 || self.left == 0 {
            self.dropped.insert("nesting".to_owned());
            return any();
        }
        self.left -= 1;
        let before = self.merger.followed();
        let map = self.merger.merge(schema);
        let out = if map.is_empty() { any() } else { self.merged(map, depth) };
        self.merger.back_to(before);
        out
    }

    /// A schema whose references and `allOf` are written out.
    fn merged(&mut self, mut map: Map<String, Value>, depth: usize) -> Map<String, Value> {
        self.note(&map);
        let mut types = types(&map);
        let mut nullable = map.get("nullable") == Some(&Value::Bool(true));
        if types.iter().any(|t| t == "null") {
            types.retain(|t| t != "null");
            nullable = true;
        }
        let literals = literals(&map);
        if let Some(literals) = &literals
            && literals.contains(&Value::Null)
        {
            nullable = true;
        }
        if let Some(options) = options(&map) {
            if types.is_empty() && literals.is_none() && !map.contains_key("properties") && !map.contains_key("items") {
                return self.union(&map, &options, nullable, depth);
            }
            self.overlay(&mut map, &options);
        }
        if types.is_empty() {
            types.extend(implied(&map, literals.as_deref()));
        }
        match types.as_slice() {
            [] if nullable => self.finish(string(), &map, true),
            [] => self.finish(any(), &map, false),
            [one] => {
                let body = self.typed(one, &map, literals.as_deref(), depth);
                self.finish(body, &map, nullable)
            }
            several => {
                let options: Vec<Map<String, Value>> = several.iter().map(|t| self.typed(t, &map, literals.as_deref(), depth)).collect();
                self.choice(options, &map, nullable)
            }
        }
    }

    /// Remembers what will be left out.
    fn note(&mut self, map: &Map<String, Value>) {
        let known = |key: &&String| {
            let key = key.as_str();
            ANNOTATIONS.contains(&key)
                || UNDERSTOOD.contains(&key)
                || (self.rules == Rules::Gemini && BOUNDS.iter().any(|(b, _)| *b == key))
        };
        let unknown: Vec<String> = map.keys().filter(|k| !known(k) && !k.starts_with("x-")).cloned().collect();
        self.dropped.extend(unknown);
    }

    /// Options beside a type of its own. Those of an object lend it their properties; others only constrain.
    fn overlay(&mut self, map: &mut Map<String, Value>, options: &[Value]) {
        self.dropped.insert("anyOf".to_owned());
        for option in options {
            let option = self.merger.merge(option);
            if let Some(Value::Object(lent)) = option.get("properties")
                && let Value::Object(own) = map.entry("properties").or_insert_with(|| Value::Object(Map::new()))
            {
                for (name, schema) in lent {
                    own.entry(name.clone()).or_insert_with(|| schema.clone());
                }
            }
        }
    }

    fn union(&mut self, map: &Map<String, Value>, options: &[Value], nullable: bool, depth: usize) -> Map<String, Value> {
        let mut nullable = nullable;
        let mut found: Vec<Map<String, Value>> = Vec::new();
        let mut about = Vec::new();
        for option in options {
            if is_null(option) {
                nullable = true;
                continue;
            }
            let one = self.node(option, depth - 1);
            match one.get("anyOf").and_then(Value::as_array) {
                Some(inner) => found.extend(inner.iter().filter_map(Value::as_object).cloned()),
                None => found.push(one),
            }
        }
        // The usual spelling of an enumeration whose words are explained.
        let words: Option<Vec<Value>> =
            found.iter().map(|o| o.get("enum")?.as_array().cloned()).collect::<Option<Vec<_>>>().map(|w| w.concat());
        if let Some(words) = words.filter(|_| found.len() > 1) {
            for option in &found {
                if let (Some([Value::String(word)]), Some(Value::String(says))) =
                    (option.get("enum").and_then(Value::as_array).map(Vec::as_slice), option.get("description"))
                {
                    about.push(format!("`{word}`: {says}"));
                }
            }
            let mut one = string();
            one.insert("enum".to_owned(), Value::Array(distinct(words)));
            let mut one = self.finish(one, map, nullable);
            if !about.is_empty() {
                describe(&mut one, &about.join("\n"));
            }
            return one;
        }
        self.choice(found, map, nullable)
    }

    /// One of several forms. A union stands alone on this wire, so what is said of it is said of its first option.
    fn choice(&mut self, options: Vec<Map<String, Value>>, map: &Map<String, Value>, nullable: bool) -> Map<String, Value> {
        let mut options: Vec<Map<String, Value>> = distinct(options);
        if options.len() > 1 && self.rules != Rules::Gemini {
            self.dropped.insert("anyOf".to_owned());
            let kinds: Vec<String> = options.iter().filter_map(|o| Some(o.get("type")?.as_str()?.to_owned())).collect();
            let rank = |o: &Map<String, Value>| match o.get("type").and_then(Value::as_str) {
                Some("object") => 0,
                Some("array") => 1,
                _ => 2,
            };
            options.sort_by_key(rank);
            options.truncate(1);
            if let Some(one) = options.first_mut() {
                describe(one, &format!("Accepts: {}.", distinct(kinds).join(", ")));
            }
        }
        let mut options = options.into_iter();
        let Some(first) = options.next() else {
            return if nullable { self.finish(string(), map, true) } else { self.finish(any(), map, false) };
        };
        let mut all = vec![Value::Object(self.finish(first, map, nullable))];
        all.extend(options.map(Value::Object));
        // With what is said of it, the first may be what another one was already.
        let mut all = distinct(all);
        match all.as_mut_slice() {
            [Value::Object(one)] => std::mem::take(one),
            _ => Map::from_iter([("anyOf".to_owned(), Value::Array(all))]),
        }
    }

    /// The keywords of one type.
    fn typed(&mut self, kind: &str, map: &Map<String, Value>, literals: Option<&[Value]>, depth: usize) -> Map<String, Value> {
        let mut out = Map::from_iter([("type".to_owned(), kind.into())]);
        let formats: &[&str] = match kind {
            "string" => &["date-time"],
            "integer" => &["int32", "int64"],
            "number" => &["float", "double"],
            _ => &[],
        };
        if self.rules == Rules::Gemini
            && let Some(format) = map.get("format").filter(|f| f.as_str().is_some_and(|f| formats.contains(&f)))
        {
            out.insert("format".to_owned(), format.clone());
        }
        if let Some(literals) = literals {
            self.literals(kind, literals, &mut out);
        }
        match kind {
            "object" => self.object(map, &mut out, depth),
            "array" => {
                let items = self.items(map, depth);
                out.insert("items".to_owned(), Value::Object(items));
            }
            _ => {}
        }
        if self.rules == Rules::Gemini {
            for (name, of) in BOUNDS {
                if let Some(bound) = map.get(name).filter(|b| of.contains(&kind) && bounds(name, b)) {
                    out.insert(name.to_owned(), bound.clone());
                }
            }
            if kind == "integer" {
                exclusive(map, &mut out);
            }
        }
        out
    }

    /// Only words can be enumerated; other values are told in words.
    fn literals(&mut self, kind: &str, literals: &[Value], out: &mut Map<String, Value>) {
        let told: Vec<&Value> = literals.iter().filter(|v| !v.is_null()).collect();
        let words: Vec<Value> = told.iter().filter(|v| v.as_str().is_some_and(|s| !s.is_empty())).map(|v| (*v).clone()).collect();
        if kind == "string" && !words.is_empty() {
            out.insert("enum".to_owned(), Value::Array(distinct(words)));
        } else if !told.is_empty() && kind != "string" {
            self.dropped.insert("enum".to_owned());
            describe(out, &format!("One of: {}.", told.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
        }
    }

    fn object(&mut self, map: &Map<String, Value>, out: &mut Map<String, Value>, depth: usize) {
        let mut properties = Map::new();
        let mut optional = BTreeSet::new();
        for (name, schema) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            // `false` forbids the property.
            if name.is_empty() || *schema == Value::Bool(false) {
                continue;
            }
            let mut node = self.node(schema, depth - 1);
            if self.rules != Rules::Gemini && node.remove("nullable").is_some() {
                describe(&mut node, "May be left out.");
                optional.insert(name.clone());
            }
            properties.insert(name.clone(), Value::Object(node));
        }
        if properties.is_empty() && self.rules == Rules::Claude {
            properties = placeholder();
        }
        let named = |key: &str| -> Vec<Value> {
            let names = map.get(key).and_then(Value::as_array).into_iter().flatten();
            distinct(names.filter(|n| n.as_str().is_some_and(|n| properties.contains_key(n))).cloned().collect())
        };
        let (mut required, ordering) = (named("required"), named("propertyOrdering"));
        required.retain(|n| n.as_str().is_none_or(|n| !optional.contains(n)));
        if !properties.is_empty() {
            out.insert("properties".to_owned(), Value::Object(properties));
        }
        if !required.is_empty() {
            out.insert("required".to_owned(), Value::Array(required));
        }
        if self.rules == Rules::Gemini && !ordering.is_empty() {
            out.insert("propertyOrdering".to_owned(), Value::Array(ordering));
        }
    }

    /// A list's items are required on this wire, and of one kind for all places.
    fn items(&mut self, map: &Map<String, Value>, depth: usize) -> Map<String, Value> {
        let places = map.get("prefixItems").or_else(|| map.get("items").filter(|i| i.is_array())).and_then(Value::as_array);
        let mut node = match (places, map.get("items")) {
            (Some(places), _) if !places.is_empty() => {
                self.dropped.insert("prefixItems".to_owned());
                self.union(&Map::new(), places, false, depth)
            }
            (_, Some(items @ Value::Object(_))) => self.node(items, depth - 1),
            _ => any(),
        };
        if self.rules != Rules::Gemini {
            node.remove("nullable");
        }
        node
    }

    /// What may be said of any type.
    fn finish(&mut self, mut node: Map<String, Value>, map: &Map<String, Value>, nullable: bool) -> Map<String, Value> {
        if let Some(title) = map.get("title").filter(|t| t.is_string() && self.rules == Rules::Gemini) {
            node.insert("title".to_owned(), title.clone());
        }
        if let Some(says) = map.get("description").and_then(Value::as_str).filter(|s| !s.is_empty()) {
            // The outer words are about this use, the inner ones about what is used.
            let inner = node.remove("description");
            node.insert("description".to_owned(), says.into());
            if let Some(inner) = inner.as_ref().and_then(Value::as_str).filter(|inner| *inner != says && *inner != ANY) {
                describe(&mut node, inner);
            }
        }
        if nullable {
            node.insert("nullable".to_owned(), true.into());
        }
        node
    }
}

const ANY: &str = "Any JSON value.";

/// A schema without a word on its type. The wire wants a type, and a text can hold anything.
fn any() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "string".into()), ("description".to_owned(), ANY.into())])
}

fn string() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "string".into())])
}

/// Adds words to a description.
fn describe(node: &mut Map<String, Value>, words: &str) {
    let said = node.get("description").and_then(Value::as_str).map(|d| format!("{d}\n{words}"));
    node.insert("description".to_owned(), said.unwrap_or_else(|| words.to_owned()).into());
}

#[cfg(test)]
mod tests;
