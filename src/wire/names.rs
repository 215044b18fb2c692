//! Tool names within the wires' bounds: shortened by hash, the same way every turn, and mapped back.
//!
//! Every wire takes at most 64 of `[A-Za-z0-9_-]`; MCP prefixes go beyond that. What already fits is never touched, so
//! nothing changes between turns.

use crate::base::digest;
use crate::base::text;
use crate::model::ToolSpec;
use std::borrow::Cow;
use std::collections::HashMap;

const MAX_NAME: usize = 64;

/// The tool name as a wire takes it.
pub fn wire_name(name: &str) -> Cow<'_, str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(fits) {
        return Cow::Borrowed(name);
    }
    let readable: String = name.chars().map(|c| if c.is_ascii() && fits(c as u8) { c } else { '_' }).collect();
    // The hash is of the whole name, so two names that look alike after the change stay two.
    Cow::Owned(format!("{}_{}", text::prefix(&readable, MAX_NAME - 11), digest::short(name.as_bytes(), 10)))
}

/// A schema without a name: OpenAI's wires require one.
pub const UNNAMED_FORMAT: &str = "answer";

/// The name of an answer's schema as a wire takes it.
pub fn format_name(name: &str) -> Cow<'_, str> {
    if name.is_empty() { Cow::Borrowed(UNNAMED_FORMAT) } else { wire_name(name) }
}

/// The tool name as a wire takes it whose names begin with a letter or `_`.
pub fn letter_first(name: &str) -> Cow<'_, str> {
    let fitted = wire_name(name);
    if fitted.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') {
        return fitted;
    }
    Cow::Owned(format!("_{}_{}", text::prefix(&fitted, MAX_NAME - 12), digest::short(name.as_bytes(), 10)))
}

/// The way back from a wire name to the tool's own.
#[derive(Debug, Clone, Default)]
pub struct ToolNames(HashMap<String, String>);

impl ToolNames {
    pub fn of(tools: &[ToolSpec]) -> Self {
        Self::fitted(tools, wire_name)
    }

    /// For names that went through `fit`.
    pub fn fitted(tools: &[ToolSpec], fit: impl Fn(&str) -> Cow<'_, str>) -> Self {
        let changed = tools.iter().filter_map(|t| match fit(&t.name) {
            Cow::Owned(wire) => Some((wire, t.name.clone())),
            Cow::Borrowed(_) => None,
        });
        Self(changed.collect())
    }

    pub fn original<'a>(&'a self, wire: &'a str) -> &'a str {
        self.0.get(wire).map_or(wire, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_and_what_does_not_is_bounded_distinct_and_mapped_back() {
        assert_eq!(wire_name("read_file"), "read_file");
        let long = "x".repeat(80);
        let names = [format!("mcp__{long}__a"), format!("mcp__{long}__b"), "a.b".to_owned(), "a/b".to_owned(), "ü".repeat(40)];
        let tools: Vec<ToolSpec> =
            names.iter().map(|n| ToolSpec { name: n.clone(), description: String::new(), parameters: serde_json::json!({}) }).collect();
        let back = ToolNames::of(&tools);
        let wire: Vec<String> = names.iter().map(|n| wire_name(n).into_owned()).collect();
        for (name, wire) in names.iter().zip(&wire) {
            assert!(wire.len() <= 64 && wire.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{wire}");
            assert_eq!(back.original(wire), name);
            assert_eq!(wire_name(wire), *wire, "shortening twice changes nothing");
        }
        let distinct: std::collections::HashSet<_> = wire.iter().collect();
        assert_eq!(distinct.len(), wire.len());
        assert_eq!(back.original("unknown"), "unknown");
    }

    #[test]
    fn an_answers_schema_always_has_a_name_that_fits() {
        assert_eq!((format_name(""), format_name("report")), (Cow::Borrowed(UNNAMED_FORMAT), Cow::Borrowed("report")));
        assert_eq!(format_name("an odd name!"), wire_name("an odd name!"));
    }

    #[test]
    fn a_first_letter_is_put_before_names_that_have_none() {
        assert_eq!(letter_first("read_file"), "read_file");
        let names = ["7zip", "-x", "_x", &"9".repeat(80), "ü"].map(str::to_owned);
        let tools: Vec<ToolSpec> =
            names.iter().map(|n| ToolSpec { name: n.clone(), description: String::new(), parameters: serde_json::json!({}) }).collect();
        let back = ToolNames::fitted(&tools, letter_first);
        for name in &names {
            let wire = letter_first(name);
            assert!(wire.len() <= 64 && wire.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic()), "{wire}");
            assert_eq!((back.original(&wire), letter_first(&wire)), (name.as_str(), wire.clone()));
        }
    }
}
