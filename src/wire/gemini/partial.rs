//! A call's arguments that arrive value by value: `{"jsonPath":"$.a.b[0]","stringValue":"..","willContinue":true}`.
//!
//! A string may come in pieces. What cannot be put together (a path that leads nowhere, a piece that is still to come) is
//! never made to look like arguments: the text that results is no JSON, so the call is answered and not run.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How long a list may become by an index alone.
const MAX_INDEX: usize = 4_096;
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone, Default)]
pub struct PartialArgs {
    root: Map<String, Value>,
    /// The path whose string goes on.
    open: Option<String>,
    /// What could not be placed.
    lost: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Piece {
    #[serde(rename = "jsonPath", alias = "json_path")]
    path: String,
    #[serde(rename = "stringValue", alias = "string_value")]
    string: Option<String>,
    #[serde(rename = "numberValue", alias = "number_value")]
    number: Option<Value>,
    #[serde(rename = "boolValue", alias = "bool_value")]
    bool: Option<bool>,
    #[serde(default, rename = "willContinue", alias = "will_continue")]
    will_continue: bool,
}

/// A step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl PartialArgs {
    /// Arguments that came whole beside the pieces.
    pub fn seed(&mut self, args: &str) {
        match serde_json::from_str(args) {
            Ok(map) => self.root = map,
            Err(_) => self.lost.push(args.to_owned()),
        }
    }

    pub fn take(&mut self, raw: &RawValue) {
        let placed = serde_json::from_str::<Piece>(raw.get()).ok().and_then(|piece| self.place(piece));
        if placed.is_none() {
            self.lost.push(raw.get().to_owned());
        }
    }

    fn place(&mut self, piece: Piece) -> Option<()> {
        let steps = steps(&piece.path)?;
        let goes_on = self.open.as_deref() == Some(&piece.path);
        let slot = slot(&mut self.root, &steps)?;
        match (piece.string, piece.number, piece.bool) {
            (Some(more), None, None) => match slot {
                Value::String(have) if goes_on => have.push_str(&more),
                slot => *slot = Value::String(more),
            },
            (None, Some(number), None) => *slot = number,
            (None, None, Some(bool)) => *slot = Value::Bool(bool),
            // `nullValue`, or a mark that a string has ended.
            (None, None, None) if !goes_on => *slot = Value::Null,
            (None, None, None) => {}
            _ => return None,
        }
        self.open = piece.will_continue.then_some(piece.path);
        Some(())
    }

    /// The arguments as text: an object if all of them came, else text that is none.
    pub fn finish(self, whole: Whole) -> String {
        let mut text = Value::Object(self.root).to_string();
        if whole == Whole::No || self.open.is_some() {
            text.pop();
        }
        for lost in self.lost {
            text.push('\n');
            text.push_str(&lost);
        }
        text
    }
}

/// Whether a call's end was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    Yes,
    No,
}

/// `$.a['b c'][0]` in steps; the root itself is no place for a value.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let step;
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            step = Step::Name(name.to_owned());
            rest = after;
        } else {
            let inner = rest.strip_prefix('[')?;
            if let Some(quote) = inner.chars().next().filter(|c| matches!(c, '\'' | '"')) {
                let (name, after) = inner.strip_prefix(quote)?.split_once(&format!("{quote}]"))?;
                step = Step::Name(name.replace(&format!("\\{quote}"), &quote.to_string()));
                rest = after;
            } else {
                let (index, after) = inner.split_once(']')?;
                step = Step::Index(index.parse().ok().filter(|i| *i < MAX_INDEX)?);
                rest = after;
            }
        }
        if step == Step::Name(String::new()) || steps.len() == MAX_DEPTH {
            return None;
        }
        steps.push(step);
    }
    (!steps.is_empty()).then_some(steps)
}

/// The place that a path names, made where it is not there yet.
fn slot<'a>(root: &'a mut Map<String, Value>, steps: &[Step]) -> Option<&'a mut Value> {
    let (first, rest) = steps.split_first()?;
    let Step::Name(first) = first else { return None };
    let mut at = root.entry(first.clone()).or_insert(Value::Null);
    for step in rest {
        match step {
            Step::Name(name) => {
                if at.is_null() {
                    *at = Value::Object(Map::new());
                }
                at = at.as_object_mut()?.entry(name.clone()).or_insert(Value::Null);
            }
            Step::Index(index) => {
                if at.is_null() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut()?;
                while list.len() <= *index {
                    list.push(Value::Null);
                }
                at = list.get_mut(*index)?;
            }
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn put(pieces: &[Value], whole: Whole) -> String {
        let mut args = PartialArgs::default();
        for piece in pieces {
            args.take(&RawValue::from_string(piece.to_string()).unwrap());
        }
        args.finish(whole)
    }

    #[test]
    fn values_go_where_their_paths_say_and_strings_grow() {
        let pieces = [
            json!({"jsonPath": "$.text", "stringValue": "he", "willContinue": true}),
            json!({"jsonPath": "$.text", "stringValue": "l{\"", "willContinue": true}),
            json!({"jsonPath": "$.text", "stringValue": "lo"}),
            json!({"jsonPath": "$.n", "numberValue": 2}),
            json!({"jsonPath": "$.list[1].on", "boolValue": true}),
            json!({"jsonPath": "$['a.b'][\"c\"]", "nullValue": null}),
            json!({"jsonPath": "$.list[0]", "stringValue": "x"}),
        ];
        let want = json!({"text": "hel{\"lo", "n": 2, "list": ["x", {"on": true}], "a.b": {"c": null}});
        assert_eq!(serde_json::from_str::<Value>(&put(&pieces, Whole::Yes)).unwrap(), want);
        assert_eq!(put(&[], Whole::Yes), "{}");
    }

    #[test]
    fn what_is_not_whole_is_no_object() {
        let good = json!({"jsonPath": "$.a", "stringValue": "x"});
        let rows = [
            vec![json!({"jsonPath": "$.a", "stringValue": "x", "willContinue": true})],
            vec![good.clone(), json!({"jsonPath": "a", "stringValue": "y"})],
            vec![good.clone(), json!({"jsonPath": "$", "stringValue": "y"})],
            vec![good.clone(), json!({"jsonPath": "$.a.b", "stringValue": "y"})],
            vec![good.clone(), json!({"jsonPath": "$.l[99999999]", "stringValue": "y"})],
            vec![good.clone(), json!({"jsonPath": "$[0]", "stringValue": "y"})],
            vec![good.clone(), json!({"jsonPath": "$..a", "stringValue": "y"})],
            vec![json!(7)],
        ];
        for row in rows {
            let text = put(&row, Whole::Yes);
            assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Value>(&put(&[good], Whole::No)).is_err());
    }
}
