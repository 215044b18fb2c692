//! JSON with places: where each member stands, so that an error can name its line. Only used on files that people
//! write, after `serde_json` has accepted their syntax.

/// A value and the byte offsets at which it starts and ends.
#[derive(Debug)]
pub struct Node {
    pub at: usize,
    pub end: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    /// Members in order, duplicates included.
    Object(Vec<Member>),
    Array(Vec<Node>),
    String(String),
    /// The number's text.
    Number(String),
    Bool,
    Null,
}

#[derive(Debug)]
pub struct Member {
    pub key: String,
    pub key_at: usize,
    pub value: Node,
}

impl Node {
    /// Reads text that is already known to be valid JSON. `None` only where it is not.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        reader.node()
    }

    /// The member's key and value at `path`, the last one where a key is repeated.
    pub fn find(&self, path: &[&str]) -> Option<&Member> {
        let (first, rest) = path.split_first()?;
        let Kind::Object(members) = &self.kind else { return None };
        let member = members.iter().rev().find(|m| m.key == *first)?;
        if rest.is_empty() { Some(member) } else { member.value.find(rest) }
    }

    /// Where the string `item` stands in the list at `path`, the last time where it stands there more than once.
    pub fn find_item(&self, path: &[&str], item: &str) -> Option<usize> {
        let Kind::Array(items) = &self.find(path)?.value.kind else { return None };
        items.iter().rev().find(|n| matches!(&n.kind, Kind::String(text) if text == item)).map(|n| n.at)
    }

    /// The first member, anywhere, whose key its object already has; with the path to it.
    pub fn first_duplicate(&self) -> Option<(Vec<String>, usize)> {
        match &self.kind {
            Kind::Object(members) => {
                let mut seen = std::collections::HashSet::new();
                members.iter().find_map(|m| {
                    if !seen.insert(m.key.as_str()) {
                        return Some((vec![m.key.clone()], m.key_at));
                    }
                    let (mut path, at) = m.value.first_duplicate()?;
                    path.insert(0, m.key.clone());
                    Some((path, at))
                })
            }
            Kind::Array(items) => items.iter().find_map(Self::first_duplicate),
            Kind::String(_) | Kind::Number(_) | Kind::Bool | Kind::Null => None,
        }
    }

    /// What a person calls this kind of value.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Object(_) => "an object",
            Kind::Array(_) => "a list",
            Kind::String(_) => "a string",
            Kind::Number(_) => "a number",
            Kind::Bool => "true or false",
            Kind::Null => "null",
        }
    }
}

/// Line and column of a byte offset, both from 1; the column counts characters.
pub fn line_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |p| p + 1);
    let column = before.get(line_start..).map_or(0, |s| s.chars().count()) + 1;
    (before.bytes().filter(|b| *b == b'\n').count() + 1, column)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.rest().chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn node(&mut self) -> Option<Node> {
        let first = self.peek()?;
        let at = self.at;
        let kind = match first {
            '{' => self.object()?,
            '[' => self.array()?,
            '"' => Kind::String(self.string()?),
            _ => {
                let end = self.rest().find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(self.rest().len());
                let word = self.rest().get(..end)?.to_owned();
                self.at += end;
                match word.as_str() {
                    // Nothing was read, so nothing would ever end the list around it.
                    "" => return None,
                    "null" => Kind::Null,
                    "true" | "false" => Kind::Bool,
                    _ => Kind::Number(word),
                }
            }
        };
        Some(Node { at, end: self.at, kind })
    }

    fn object(&mut self) -> Option<Kind> {
        self.eat('{');
        let mut members = Vec::new();
        while !self.eat('}') {
            self.skip_space();
            let key_at = self.at;
            let key = self.string()?;
            if !self.eat(':') {
                return None;
            }
            members.push(Member { key, key_at, value: self.node()? });
            self.eat(',');
        }
        Some(Kind::Object(members))
    }

    fn array(&mut self) -> Option<Kind> {
        self.eat('[');
        let mut items = Vec::new();
        while !self.eat(']') {
            items.push(self.node()?);
            self.eat(',');
        }
        Some(Kind::Array(items))
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let mut escaped = false;
        for (ix, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    self.at = start + ix + 1;
                    return self.text.get(start..self.at).and_then(|s| serde_json::from_str(s).ok());
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_and_duplicates() {
        let text = "{\n  \"a\": {\"b\": [1, {\"é\\\"\": null}], \"b\": 2}\n}";
        let tree = Node::parse(text).unwrap();
        let b = tree.find(&["a", "b"]).unwrap();
        assert!(matches!(b.value.kind, Kind::Number(_)) && text[b.value.at..b.value.end] == *"2");
        assert_eq!(line_column(text, b.key_at), (2, 34));
        assert_eq!(tree.first_duplicate().unwrap().0, ["a", "b"]);
        let tree = Node::parse("{\"a\": {\"b\": [\"x\", \"y\"]}}").unwrap();
        assert_eq!(
            (tree.find_item(&["a", "b"], "y"), tree.find_item(&["a", "b"], "z"), tree.find_item(&["a"], "x")),
            (Some(18), None, None)
        );
    }

    #[test]
    fn what_is_no_json_comes_to_an_end() {
        for text in ["[}", "[,", "[:", "{\"a\":}", "{\"a\":,", "[\"a\" }", "{", "[", "", "]"] {
            let _ = Node::parse(text);
        }
        assert!(Node::parse("[}").is_none() && Node::parse("[,").is_none());
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec((".{0,4}", inner), 0..4).prop_map(|m| serde_json::Value::Object(m.into_iter().collect()))
            ]
        })
    }

    fn same(node: &Node, v: &serde_json::Value) -> bool {
        use serde_json::Value as V;
        match (&node.kind, v) {
            (Kind::Object(m), V::Object(o)) => m.len() == o.len() && m.iter().zip(o).all(|(m, (k, v))| m.key == *k && same(&m.value, v)),
            (Kind::Array(a), V::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Kind::String(a), V::String(b)) => a == b,
            (Kind::Number(a), V::Number(b)) => *a == b.to_string(),
            (Kind::Bool, V::Bool(_)) | (Kind::Null, V::Null) => true,
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_reads(v in value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&v) } else { serde_json::to_string(&v) }.unwrap();
            prop_assert!(same(&Node::parse(&text).unwrap(), &v), "{}", text);
        }

        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = Node::parse(&text);
        }
    }
}
