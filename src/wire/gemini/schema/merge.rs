//! References and `allOf` of a schema written out into one, with a guard against circles.

use crate::wire::refs::Refs;
use serde_json::{Map, Value, json};

/// How many schemas one may be put together from.
const MOST: usize = 256;

/// Writes schemas out. What is followed stays on a stack until the schema's children are done, so that a circle is seen
/// wherever it closes.
#[derive(Debug)]
pub struct Merger<'a> {
    refs: Refs<'a>,
    /// The references that lead to where we are.
    stack: Vec<String>,
}

impl<'a> Merger<'a> {
    pub fn new(refs: Refs<'a>) -> Self {
        Self { refs, stack: Vec::new() }
    }

    /// One schema of all that this one is made of; empty for one that takes any value. The references that were followed
    /// to it count as followed until [`Self::back_to`].
    pub fn merge(&mut self, schema: &Value) -> Map<String, Value> {
        let mut out = Map::new();
        let mut left = MOST;
        self.add(schema, &mut out, &mut left);
        out
    }

    /// How many references have been followed.
    pub fn followed(&self) -> usize {
        self.stack.len()
    }

    pub fn back_to(&mut self, followed: usize) {
        self.stack.truncate(followed);
    }

    fn add(&mut self, schema: &Value, out: &mut Map<String, Value>, left: &mut usize) {
        let Value::Object(map) = schema else { return };
        if *left == 0 {
            return;
        }
        *left -= 1;
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            if self.stack.iter().any(|seen| seen == reference) {
                // It contains itself: said once, then it is whatever the tool takes.
                out.entry("type").or_insert_with(|| "object".into());
            } else if let Some(target) = self.refs.get(reference) {
                self.stack.push(reference.to_owned());
                self.add(target, out, left);
            }
        }
        for part in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.add(part, out, left);
        }
        for (key, value) in map {
            match key.as_str() {
                "$ref" | "allOf" => {}
                "properties" => properties(out, value),
                "required" => required(out, value),
                _ => {
                    out.insert(key.clone(), value.clone());
                }
            }
        }
    }
}

/// A property that several schemas describe has to meet them all.
fn properties(out: &mut Map<String, Value>, more: &Value) {
    let Value::Object(more) = more else { return };
    let Value::Object(have) = out.entry("properties").or_insert_with(|| Value::Object(Map::new())) else { return };
    for (name, schema) in more {
        match have.get_mut(name) {
            Some(before) if before != schema => *before = json!({"allOf": [before.take(), schema]}),
            Some(_) => {}
            None => {
                have.insert(name.clone(), schema.clone());
            }
        }
    }
}

fn required(out: &mut Map<String, Value>, more: &Value) {
    let Value::Array(more) = more else { return };
    if let Value::Array(have) = out.entry("required").or_insert_with(|| Value::Array(Vec::new())) {
        have.extend(more.iter().filter(|n| !have.contains(n)).cloned().collect::<Vec<_>>());
    }
}
