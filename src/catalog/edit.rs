//! Changes to a `models.json` that people write: what changes is written, every other byte stays as it is.

use super::json::{Kind, Node};
use serde_json::Value;

/// The text with `value` at `path`, whose missing objects are made. `None` where the text is not JSON, or where something
/// else than an object is in the way.
pub fn set(text: &str, path: &[&str], value: &Value) -> Option<String> {
    if let Some(rest) = text.strip_prefix('\u{feff}') {
        return set(rest, path, value).map(|changed| format!("\u{feff}{changed}"));
    }
    if text.trim().is_empty() {
        return set("{}\n", path, value);
    }
    let root = Node::parse(text)?;
    let mut node = &root;
    let mut depth = 0;
    let mut left = path;
    while let [key, rest @ ..] = left {
        let Kind::Object(members) = &node.kind else { return None };
        // The last of two is the one that counts.
        let Some(member) = members.iter().rev().find(|m| m.key == *key) else { break };
        (node, left, depth) = (&member.value, rest, depth + 1);
    }
    let [key, rest @ ..] = left else { return Some(spliced(text, node.at, node.end, &one_line(value))) };
    let style = Style::of(text, &root);
    let value = rest.iter().rev().fold(value.clone(), |inner, key| Value::Object([((*key).to_owned(), inner)].into_iter().collect()));
    let Kind::Object(members) = &node.kind else { return None };
    let written = |indent: &str| format!("{}: {}", Value::from(*key), style.value(&value, depth + 1, indent));
    match members.last() {
        Some(last) => {
            let place = match indent_before(text, last.key_at) {
                Some(indent) => format!(",{}{indent}{}", style.line, written(indent)),
                None => format!(", {}", written("")),
            };
            Some(spliced(text, last.value.end, last.value.end, &place))
        }
        None if depth < DEEP && style.wide => {
            let outer = line_indent(text, node.at);
            let indent = format!("{outer}{}", style.unit);
            let place = format!("{{{}{indent}{}{}{outer}}}", style.line, written(&indent), style.line);
            Some(spliced(text, node.at, node.end, &place))
        }
        None => Some(spliced(text, node.at, node.end, &format!("{{ {} }}", written("")))),
    }
}

/// Objects from this depth on stand on one line: an entry is a line.
const DEEP: usize = 2;

/// How the file is laid out.
struct Style<'t> {
    /// The end of a line.
    line: &'static str,
    /// One step to the right.
    unit: &'t str,
    /// Members have lines of their own.
    wide: bool,
}

impl<'t> Style<'t> {
    fn of(text: &'t str, root: &Node) -> Self {
        let first = if let Kind::Object(members) = &root.kind { members.first() } else { None };
        let unit = first.and_then(|m| indent_before(text, m.key_at));
        Self {
            line: if text.contains("\r\n") { "\r\n" } else { "\n" },
            unit: unit.filter(|u| !u.is_empty()).unwrap_or("  "),
            wide: first.is_none() || unit.is_some(),
        }
    }

    /// A value whose own line, at `indent`, stands inside objects of `depth`.
    fn value(&self, value: &Value, depth: usize, indent: &str) -> String {
        let Value::Object(members) = value else { return one_line(value) };
        if depth >= DEEP || !self.wide || members.is_empty() {
            return one_line(value);
        }
        let inner = format!("{indent}{}", self.unit);
        let lines: Vec<String> =
            members.iter().map(|(k, v)| format!("{inner}{}: {}", Value::from(k.as_str()), self.value(v, depth + 1, &inner))).collect();
        format!("{{{}{}{}{indent}}}", self.line, lines.join(&format!(",{}", self.line)), self.line)
    }
}

/// What stands between the beginning of the line and `at`, where that is only space.
fn indent_before(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let indent = before.get(before.rfind('\n')? + 1..)?;
    indent.chars().all(|c| c == ' ' || c == '\t').then_some(indent)
}

/// The space at the beginning of the line of `at`.
fn line_indent(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    let line = before.get(before.rfind('\n').map_or(0, |p| p + 1)..).unwrap_or_default();
    line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or_default()
}

fn spliced(text: &str, from: usize, to: usize, with: &str) -> String {
    [text.get(..from).unwrap_or_default(), with, text.get(to..).unwrap_or_default()].concat()
}

/// `{ "a": 1, "b": [2, 3] }`
fn one_line(value: &Value) -> String {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let inner: Vec<String> = members.iter().map(|(k, v)| format!("{}: {}", Value::from(k.as_str()), one_line(v))).collect();
            format!("{{ {} }}", inner.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        scalar_or_empty => scalar_or_empty.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn entries_are_lines_and_the_rest_of_the_file_stays() {
        let new = set("", &["models", "a/b"], &json!({"provider": "a", "price": {"input": 0.3}})).unwrap();
        assert_eq!(new, "{\n  \"models\": {\n    \"a/b\": { \"provider\": \"a\", \"price\": { \"input\": 0.3 } }\n  }\n}\n");
        let more = set(&new, &["models", "a/b", "price", "output"], &json!(2.0)).unwrap();
        assert_eq!(more, new.replace("0.3 }", "0.3, \"output\": 2.0 }"));
        let hand = "{\r\n\t\"chains\" : {\"coding\":[ \"x\" ]},\r\n\t\"models\":{\r\n\t\t\"x\" :{\"context\":5 , \"tier\":1}\r\n\t}\r\n}";
        let changed = set(hand, &["models", "x", "context"], &json!(7)).unwrap();
        assert_eq!(changed, hand.replace('5', "7"));
        let grown = set(&changed, &["models", "y", "context"], &json!(8)).unwrap();
        assert_eq!(grown, changed.replace("1}\r\n", "1},\r\n\t\t\"y\": { \"context\": 8 }\r\n"));
        assert_eq!(
            set("{\"a\":1}", &["models", "y", "context"], &json!(8)).unwrap(),
            "{\"a\":1, \"models\": { \"y\": { \"context\": 8 } }}"
        );
        assert_eq!(set("\u{feff}{}", &["a"], &json!(1)).unwrap(), "\u{feff}{\n  \"a\": 1\n}");
        for (text, path) in [("[1]", ["a", "b"]), ("{\"a\": 3}", ["a", "b"]), ("{\"a\": ", ["a", "b"])] {
            assert_eq!(set(text, &path, &json!(1)), None, "{text}");
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i32>().prop_map(Into::into), "[ab\"\\\\é ]{0,4}".prop_map(Into::into), Just(json!([1, {"a": 2}]))];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop::collection::vec(("[abc]", inner), 0..4).prop_map(|m| Value::Object(m.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn the_meaning_is_that_of_a_merge_and_the_bytes_around_stay(
            root in prop::collection::vec(("[abc]", tree()), 0..4), path in prop::collection::vec("[abcd]", 1..4), value in tree(), pretty in any::<bool>()
        ) {
            let before = Value::Object(root.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&before) } else { serde_json::to_string(&before) }.unwrap();
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            // The same on the value.
            let mut wanted = before;
            let mut at = Some(&mut wanted);
            for key in &keys[..keys.len() - 1] {
                at = at.and_then(Value::as_object_mut).map(|o| o.entry(*key).or_insert(json!({})));
            }
            let possible = at.and_then(Value::as_object_mut).map(|o| o.insert(keys[keys.len() - 1].to_owned(), value.clone())).is_some();
            let got = set(&text, &keys, &value);
            prop_assert_eq!(got.is_some(), possible, "{}", text);
            if let Some(got) = got {
                prop_assert_eq!(serde_json::from_str::<Value>(&got).unwrap(), wanted);
                let kept = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
                let head = kept(&text, &got);
                let tail = kept(&text.chars().rev().collect::<String>(), &got.chars().rev().collect::<String>());
                let replaced = Node::parse(&text).unwrap().find(&keys).map_or(8, |m| m.value.end - m.value.at);
                prop_assert!(head + tail + replaced >= text.len(), "{} became {}", text, got);
            }
        }
    }
}
