//! Token counts: this wire's overlapping totals to pup's disjoint classes, and back.
//!
//! `prompt_tokens` includes cached and newly cached tokens, `completion_tokens` includes reasoning. xAI's leaves
//! reasoning out, which its total gives away.

use crate::model::Usage;
use crate::wire::json_out::Object;
use crate::wire::lenient::{self, Count};
use crate::wire::quirk::Total;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

#[derive(Debug, Default, Deserialize)]
pub struct WireUsage {
    #[serde(default, deserialize_with = "count")]
    prompt_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    completion_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    total_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::or_none")]
    prompt_tokens_details: Option<PromptDetails>,
    /// Mistral's older name for the same.
    #[serde(default, deserialize_with = "lenient::or_none")]
    prompt_token_details: Option<PromptDetails>,
    #[serde(default, deserialize_with = "lenient::or_none")]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's place for the same count.
    #[serde(default, deserialize_with = "count")]
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's. Together writes a 0 here whether it caches or not, so a 0 says nothing.
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
    /// Mistral's.
    #[serde(default, deserialize_with = "count")]
    num_cached_tokens: Option<u64>,
    /// Anthropic's names, from proxies that count these tokens as a part of the prompt.
    #[serde(default, deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_creation_input_tokens: Option<u64>,
    /// The names of OpenAI's other wire, from proxies.
    #[serde(default, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    output_tokens: Option<u64>,
    /// Some hosts of open models count it here.
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_write_tokens: Option<u64>,
    /// Alibaba's name for it.
    #[serde(default, deserialize_with = "count")]
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct CompletionDetails {
    #[serde(default, deserialize_with = "count")]
    reasoning_tokens: Option<u64>,
}

fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(Count::deserialize(from)?.0)
}

impl WireUsage {
    pub fn neutral(&self, total: Total) -> Usage {
        let details = self.prompt_tokens_details.as_ref().or(self.prompt_token_details.as_ref());
        let (prompt, completion) = (self.prompt_tokens.or(self.input_tokens), self.completion_tokens.or(self.output_tokens));
        let said = |count: Option<u64>| count.filter(|n| *n > 0);
        let cache_read = details.and_then(|d| d.cached_tokens).or(self.prompt_cache_hit_tokens);
        let cache_read = cache_read.or(said(self.cached_tokens)).or(said(self.num_cached_tokens)).or(said(self.cache_read_input_tokens));
        let cache_write = details.and_then(|d| d.cache_write_tokens.or(said(d.cache_creation_input_tokens)));
        let cache_write = cache_write.or(said(self.cache_creation_input_tokens));
        let reasoning = self.completion_tokens_details.as_ref().and_then(|d| d.reasoning_tokens).or(said(self.reasoning_tokens));
        let cached = cache_read.unwrap_or(0).saturating_add(cache_write.unwrap_or(0));
        // What the total counts beside prompt and completion.
        let beside = match (prompt, completion, self.total_tokens) {
            (Some(p), Some(c), Some(all)) => all.checked_sub(p.saturating_add(c)).filter(|n| *n > 0),
            _ => None,
        };
        let (apart, reasoning) = match (beside, reasoning, total) {
            (Some(rest), Some(r), _) if rest == r => (r, reasoning),
            (Some(rest), None, Total::Thoughts) => (rest, Some(rest)),
            _ => (0, reasoning),
        };
        Usage {
            input: prompt.map(|p| p.saturating_sub(cached)),
            cache_read,
            cache_write,
            cache_write_1h: None,
            output: completion.map(|c| c.saturating_add(apart)),
            reasoning,
        }
    }
}

/// llama.cpp's counts: what it read anew, what it had kept, and what it wrote.
pub fn timings(raw: &RawValue) -> Usage {
    #[derive(Default, Deserialize)]
    struct Timings {
        #[serde(default, deserialize_with = "count")]
        prompt_n: Option<u64>,
        #[serde(default, deserialize_with = "count")]
        cache_n: Option<u64>,
        #[serde(default, deserialize_with = "count")]
        predicted_n: Option<u64>,
    }
    let timings: Timings = serde_json::from_str(raw.get()).unwrap_or_default();
    Usage { input: timings.prompt_n, cache_read: timings.cache_n, output: timings.predicted_n, ..Usage::default() }
}

/// Writes the field `usage`. Absent counts stay absent; both times-to-live of cache writes are one class here.
pub fn write(object: &mut Object<'_>, usage: &Usage) {
    let write = sum(usage.cache_write, usage.cache_write_1h);
    let prompt = usage.input.map(|i| i.saturating_add(usage.cache_read.unwrap_or(0)).saturating_add(write.unwrap_or(0)));
    let total = prompt.zip(usage.output).map(|(p, c)| p.saturating_add(c));
    object.object("usage", |o| {
        o.maybe("prompt_tokens", prompt.as_ref()).maybe("completion_tokens", usage.output.as_ref()).maybe("total_tokens", total.as_ref());
        if usage.cache_read.is_some() || write.is_some() {
            o.object("prompt_tokens_details", |d| {
                d.maybe("cached_tokens", usage.cache_read.as_ref()).maybe("cache_write_tokens", write.as_ref());
            });
        }
        if usage.reasoning.is_some() {
            o.object("completion_tokens_details", |d| {
                d.maybe("reasoning_tokens", usage.reasoning.as_ref());
            });
        }
    });
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Usage {
        serde_json::from_str::<WireUsage>(json).unwrap().neutral(Total::Ignored)
    }

    #[test]
    fn classes_are_disjoint_and_absent_is_not_zero() {
        let u = read(
            r#"{"prompt_tokens":100,"completion_tokens":9,"total_tokens":109,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10}}"#,
        );
        assert_eq!((u.input, u.cache_read, u.cache_write, u.output, u.reasoning), (Some(30), Some(60), Some(10), Some(9), None));
        let u = read(r#"{"prompt_tokens":100,"completion_tokens":null}"#);
        assert_eq!((u.input, u.cache_read, u.output), (Some(100), None, None));
    }

    #[test]
    fn a_total_that_counts_reasoning_apart_puts_it_into_the_output() {
        let u = read(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7}}"#);
        assert_eq!((u.output, u.reasoning), (Some(12), Some(7)));
        let u = read(r#"{"prompt_tokens":10,"completion_tokens":12,"total_tokens":22,"completion_tokens_details":{"reasoning_tokens":7}}"#);
        assert_eq!(u.output, Some(12));
    }

    #[test]
    fn other_places_of_the_cached_count_and_odd_numbers() {
        assert_eq!(read(r#"{"prompt_tokens":9,"prompt_cache_hit_tokens":4}"#).cache_read, Some(4));
        assert_eq!(read(r#"{"prompt_tokens":9.0,"cached_tokens":"x"}"#).input, Some(9));
        assert_eq!(read(r#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":5}}"#).input, Some(0));
        assert_eq!(read(r#"{"prompt_tokens":-1}"#), Usage::default());
        let u = read(r#"{"prompt_tokens":"100","completion_tokens":"9","prompt_tokens_details":{"cached_tokens":"60"}}"#);
        assert_eq!((u.input, u.cache_read, u.output), (Some(40), Some(60), Some(9)));
        let u = read(r#"{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":[],"completion_tokens_details":"none"}"#);
        assert_eq!((u.input, u.output), (Some(7), Some(2)));
        let u = read(
            r#"{"prompt_tokens":100,"prompt_token_details":{"cached_tokens":10},"cache_read_input_tokens":10,"cache_creation_input_tokens":30}"#,
        );
        assert_eq!((u.input, u.cache_read, u.cache_write), (Some(60), Some(10), Some(30)));
        let u = read(r#"{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_input_tokens":40}}"#);
        assert_eq!((u.input, u.cache_read, u.cache_write), (Some(60), Some(0), Some(40)));
        let u = read(r#"{"input_tokens":9,"output_tokens":2,"num_cached_tokens":4,"reasoning_tokens":1}"#);
        assert_eq!((u.input, u.cache_read, u.output, u.reasoning), (Some(5), Some(4), Some(2), Some(1)));
    }

    #[test]
    fn a_total_that_says_more_is_reasoning_only_where_it_is_known_to_be() {
        let json = r#"{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}"#;
        assert_eq!((read(json).output, read(json).reasoning), (Some(12), None));
        let google = serde_json::from_str::<WireUsage>(json).unwrap().neutral(Total::Thoughts);
        assert_eq!((google.input, google.output, google.reasoning), (Some(35), Some(74), Some(62)));
    }

    #[test]
    fn a_servers_own_counts_stand_where_there_is_no_usage() {
        let raw = RawValue::from_string(r#"{"prompt_n":3,"cache_n":90,"predicted_n":7,"predicted_ms":1.5}"#.to_owned()).unwrap();
        let u = timings(&raw);
        assert_eq!((u.input, u.cache_read, u.output), (Some(3), Some(90), Some(7)));
    }
}
