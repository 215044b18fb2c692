//! Token counts: this wire's overlapping totals to pup's disjoint classes, and back.

use crate::model::Usage;
use crate::wire::json_out::Object;
use crate::wire::lenient::{self, Count};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub struct WireUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    total_tokens: Count,
    #[serde(default, deserialize_with = "lenient::or_none")]
    input_tokens_details: Option<InputDetails>,
    #[serde(default, deserialize_with = "lenient::or_none")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl WireUsage {
    /// `input_tokens` includes cached and newly cached ones, `output_tokens` includes reasoning, unless the total says
    /// that a server counts it apart.
    pub fn neutral(&self) -> Usage {
        let input = self.input_tokens_details.as_ref();
        let cache_read = input.and_then(|d| d.cached_tokens.0);
        let cache_write = input.and_then(|d| d.cache_write_tokens.0);
        let reasoning = self.output_tokens_details.as_ref().and_then(|d| d.reasoning_tokens.0);
        let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        let thought = reasoning.unwrap_or(0);
        let whole = |output: u64| {
            let apart = self.input_tokens.0.and_then(|i| i.checked_add(output)?.checked_add(thought)) == self.total_tokens.0;
            if apart { output.saturating_add(thought) } else { output }
        };
        Usage {
            input: self.input_tokens.0.map(|i| i.saturating_sub(cached)),
            cache_read,
            cache_write,
            cache_write_1h: None,
            output: self.output_tokens.0.map(whole),
            reasoning,
        }
    }
}

/// Writes the field `usage`, whose numbers clients require: what is not known stands as 0.
pub fn write(object: &mut Object<'_>, usage: &Usage) {
    let cached = usage.cache_read.unwrap_or(0);
    let written = usage.cache_write.unwrap_or(0).saturating_add(usage.cache_write_1h.unwrap_or(0));
    let input = usage.input.unwrap_or(0).saturating_add(cached).saturating_add(written);
    let output = usage.output.unwrap_or(0);
    object.object("usage", |o| {
        o.field("input_tokens", &input).object("input_tokens_details", |d| {
            d.field("cached_tokens", &cached);
            if usage.cache_write.or(usage.cache_write_1h).is_some() {
                d.field("cache_write_tokens", &written);
            }
        });
        o.field("output_tokens", &output).object("output_tokens_details", |d| {
            d.field("reasoning_tokens", &usage.reasoning.unwrap_or(0));
        });
        o.field("total_tokens", &input.saturating_add(output));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Usage {
        serde_json::from_str::<WireUsage>(json).unwrap().neutral()
    }

    #[test]
    fn classes_are_disjoint_and_absent_is_not_zero() {
        let u = read(
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":109}"#,
        );
        assert_eq!((u.input, u.cache_read, u.cache_write, u.output, u.reasoning), (Some(30), Some(60), Some(10), Some(9), Some(4)));
        assert_eq!(read(r#"{"input_tokens":"7","output_tokens":null}"#), Usage { input: Some(7), ..Usage::default() });
        let odd = read(r#"{"input_tokens":"7","input_tokens_details":[],"output_tokens":2.0,"output_tokens_details":"none"}"#);
        assert_eq!((odd.input, odd.output), (Some(7), Some(2)));
        let apart = read(r#"{"input_tokens":10,"output_tokens":5,"total_tokens":22,"output_tokens_details":{"reasoning_tokens":7}}"#);
        assert_eq!((apart.output, apart.reasoning), (Some(12), Some(7)));
    }

    #[test]
    fn what_is_known_comes_back() {
        let usage =
            Usage { input: Some(3), cache_read: Some(2), cache_write: Some(1), output: Some(5), reasoning: Some(4), ..Usage::default() };
        let mut out = Vec::new();
        let mut o = Object::begin(&mut out);
        write(&mut o, &usage);
        o.end();
        let whole: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(whole["usage"]["total_tokens"], 11);
        assert_eq!(read(&whole["usage"].to_string()), usage);
    }
}
