//! A file's keys and values with the places where they stand: one form for YAML and JSON, so that one reader can look
//! at both and name every fault's line.

use super::super::json::{self, line_column};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// A place in a file; both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub line: usize,
    pub column: usize,
}

impl Spot {
    /// The beginning of a line.
    pub const fn line(line: usize) -> Self {
        Self { line, column: 1 }
    }
}

impl From<serde_saphyr::Location> for Spot {
    fn from(at: serde_saphyr::Location) -> Self {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Self { line: number(at.line()), column: number(at.column()) }
    }
}

#[derive(Debug, Clone)]
pub struct Node {
    pub at: Spot,
    pub datum: Datum,
}

#[derive(Debug, Clone)]
pub enum Datum {
    Null,
    Bool,
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub at: Spot,
    pub value: Node,
}

impl Datum {
    /// What a person calls this kind of value.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a group of keys",
        }
    }
}

/// The tree of a YAML text; the error is the parser's.
pub fn from_yaml(text: &str) -> Result<Node, serde_saphyr::Error> {
    serde_saphyr::from_str::<Spanned<Datum>>(text).map(Node::from)
}

/// The tree of a JSON text that is known to be valid.
pub fn from_json(text: &str) -> Option<Node> {
    json::Node::parse(text).map(|node| convert(text, node))
}

fn spot(text: &str, at: usize) -> Spot {
    let (line, column) = line_column(text, at);
    Spot { line, column }
}

fn convert(text: &str, node: json::Node) -> Node {
    use json::Kind;
    let datum = match node.kind {
        Kind::Null => Datum::Null,
        Kind::Bool => Datum::Bool,
        Kind::Number(n) => n.parse().map_or(Datum::Null, Datum::Number),
        Kind::String(s) => Datum::Text(s),
        Kind::Array(items) => Datum::List(items.into_iter().map(|n| convert(text, n)).collect()),
        Kind::Object(members) => {
            let entry = |m: json::Member| Entry { key: m.key, at: spot(text, m.key_at), value: convert(text, m.value) };
            Datum::Map(members.into_iter().map(entry).collect())
        }
    };
    Node { at: spot(text, node.at), datum }
}

impl From<Spanned<Datum>> for Node {
    fn from(spanned: Spanned<Datum>) -> Self {
        Self { at: spanned.referenced.into(), datum: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DatumVisitor)
    }
}

struct DatumVisitor;

impl<'de> Visitor<'de> for DatumVisitor {
    type Value = Datum;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Datum, E> {
        Ok(Datum::Null)
    }

    fn visit_none<E>(self) -> Result<Datum, E> {
        Ok(Datum::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Datum, E> {
        Ok(Datum::Bool)
    }

    fn visit_i64<E>(self, n: i64) -> Result<Datum, E> {
        Ok(Datum::Number(n as f64))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Datum, E> {
        Ok(Datum::Number(n as f64))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Datum, E> {
        Ok(Datum::Number(n))
    }

    fn visit_str<E>(self, s: &str) -> Result<Datum, E> {
        Ok(Datum::Text(s.to_owned()))
    }

    fn visit_string<E>(self, s: String) -> Result<Datum, E> {
        Ok(Datum::Text(s))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Datum, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Datum>>()? {
            all.push(item.into());
        }
        Ok(Datum::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Datum, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Datum>>()? {
            all.push(Entry { key: key.value, at: key.referenced.into(), value: value.into() });
        }
        Ok(Datum::Map(all))
    }
}
