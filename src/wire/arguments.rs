//! A call's arguments: raw text inside pup, an object on the wires that want one.
//!
//! Arguments that are no object (cut off by a limit, or never JSON) are put into one under a key of our own, so that the
//! model sees what it wrote. They come out of it again when they are read.

use crate::wire::json_out::{self, Object};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The key under which arguments stand that are no object.
pub const UNPARSED: &str = "unparsed_arguments";

/// How arguments went onto the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    AsTheyWere,
    Wrapped,
}

/// Appends the arguments as an object, byte for byte where they are one.
pub fn write(out: &mut Vec<u8>, raw: &str) -> Written {
    let text = raw.trim();
    if text.is_empty() || text == "null" {
        out.extend_from_slice(b"{}");
        return Written::AsTheyWere;
    }
    if text.starts_with('{')
        && let Ok(object) = serde_json::from_str::<&RawValue>(text)
    {
        json_out::value(out, object);
        return Written::AsTheyWere;
    }
    let mut o = Object::begin(out);
    o.field(UNPARSED, raw);
    o.end();
    Written::Wrapped
}

/// The raw text of an `input`; empty for "no arguments".
pub fn read(input: &str) -> String {
    let text = input.trim();
    if text == "{}" || text == "null" {
        return String::new();
    }
    // Servers that translate from the other wire leave it the string that it is there.
    if text.starts_with('"')
        && let Ok(inner) = serde_json::from_str::<String>(text)
        && (inner.trim().is_empty() || inner.trim_start().starts_with('{'))
    {
        return read(&inner);
    }
    if let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text)
        && fields.len() == 1
        && let Some(inner) = fields.get(UNPARSED)
        && let Ok(raw) = serde_json::from_str::<String>(inner.get())
    {
        return raw;
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_stay_byte_for_byte_and_everything_else_comes_back_as_it_was() {
        for (raw, wire, how, back) in [
            ("", "{}", Written::AsTheyWere, ""),
            ("null", "{}", Written::AsTheyWere, ""),
            ("{}", "{}", Written::AsTheyWere, ""),
            (" {\"k\": 1.0} ", "{\"k\": 1.0}", Written::AsTheyWere, "{\"k\": 1.0}"),
            ("{\"k\"", r#"{"unparsed_arguments":"{\"k\""}"#, Written::Wrapped, "{\"k\""),
            ("[1]", r#"{"unparsed_arguments":"[1]"}"#, Written::Wrapped, "[1]"),
            ("ls -l", r#"{"unparsed_arguments":"ls -l"}"#, Written::Wrapped, "ls -l"),
        ] {
            let mut out = Vec::new();
            assert_eq!(write(&mut out, raw), how, "{raw}");
            assert_eq!(String::from_utf8(out).unwrap(), wire);
            assert_eq!(read(wire), back);
        }
        for (string, back) in [(r#""{\"k\":1}""#, r#"{"k":1}"#), (r#""""#, ""), (r#""{\"k""#, r#"{"k"#)] {
            assert_eq!(read(string), back, "a string of JSON");
        }
        let own = r#"{"unparsed_arguments":"x","k":1}"#;
        assert_eq!(read(own), own, "a tool that happens to have such an argument keeps it beside others");
    }
}
