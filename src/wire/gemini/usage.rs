//! Token counts: this wire's overlapping totals to pup's disjoint classes, and back.
//!
//! `promptTokenCount` includes what came from the cache, but not what the server's own tools put into the prompt;
//! `candidatesTokenCount` leaves out thoughts. Counts are cumulative: a later one replaces an earlier one.

use crate::model::Usage;
use crate::wire::json_out::Object;
use crate::wire::lenient::Count;
use serde::Deserialize;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WireUsage {
    #[serde(rename = "promptTokenCount", alias = "prompt_token_count")]
    prompt: Count,
    #[serde(rename = "toolUsePromptTokenCount", alias = "tool_use_prompt_token_count")]
    tool_prompt: Count,
    #[serde(rename = "cachedContentTokenCount", alias = "cached_content_token_count")]
    cached: Count,
    #[serde(rename = "candidatesTokenCount", alias = "candidates_token_count", alias = "responseTokenCount")]
    candidates: Count,
    #[serde(rename = "thoughtsTokenCount", alias = "thoughts_token_count")]
    thoughts: Count,
}

fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}

impl WireUsage {
    pub fn replace_with(&mut self, later: &Self) {
        let newer = |new: Count, old: Count| Count(new.0.or(old.0));
        *self = Self {
            prompt: newer(later.prompt, self.prompt),
            tool_prompt: newer(later.tool_prompt, self.tool_prompt),
            cached: newer(later.cached, self.cached),
            candidates: newer(later.candidates, self.candidates),
            thoughts: newer(later.thoughts, self.thoughts),
        };
    }

    pub fn neutral(&self) -> Usage {
        let prompt = self.prompt.0.map(|p| p.saturating_sub(self.cached.0.unwrap_or(0)));
        Usage {
            input: sum(prompt, self.tool_prompt.0),
            cache_read: self.cached.0,
            output: sum(self.candidates.0, self.thoughts.0),
            reasoning: self.thoughts.0,
            ..Usage::default()
        }
    }
}

/// Writes the field `usageMetadata`. What was written to a cache is a part of the prompt here.
pub fn write(object: &mut Object<'_>, usage: &Usage) {
    let written = sum(usage.cache_write, usage.cache_write_1h);
    let prompt = sum(sum(usage.input, usage.cache_read), written);
    let candidates = usage.output.map(|o| o.saturating_sub(usage.reasoning.unwrap_or(0)));
    let total = prompt.zip(usage.output).map(|(p, o)| p.saturating_add(o));
    object.object("usageMetadata", |o| {
        o.maybe("promptTokenCount", prompt.as_ref()).maybe("cachedContentTokenCount", usage.cache_read.as_ref());
        o.maybe("candidatesTokenCount", candidates.as_ref()).maybe("thoughtsTokenCount", usage.reasoning.as_ref());
        o.maybe("totalTokenCount", total.as_ref());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(frames: &[&str]) -> Usage {
        let mut all = WireUsage::default();
        for frame in frames {
            all.replace_with(&serde_json::from_str(frame).unwrap());
        }
        all.neutral()
    }

    #[test]
    fn classes_are_disjoint_and_absent_is_not_zero() {
        let u = merged(&[
            r#"{"promptTokenCount":341,"cachedContentTokenCount":92,"toolUsePromptTokenCount":"7","candidatesTokenCount":10,"thoughtsTokenCount":499}"#,
        ]);
        assert_eq!((u.input, u.cache_read, u.output, u.reasoning), (Some(256), Some(92), Some(509), Some(499)));
        let u = merged(&[r#"{"promptTokenCount":14,"totalTokenCount":14,"candidatesTokenCount":null}"#]);
        assert_eq!((u.input, u.cache_read, u.output, u.reasoning), (Some(14), None, None, None));
        assert_eq!(merged(&[r#"{"trafficType":"ON_DEMAND"}"#]), Usage::default());
    }

    #[test]
    fn the_last_count_stands_whatever_the_later_frames_leave_out() {
        let u = merged(&[
            r#"{"promptTokenCount":44,"thoughtsTokenCount":902,"candidatesTokenCount":18}"#,
            r#"{"promptTokenCount":44,"candidatesTokenCount":0}"#,
            r#"{"candidatesTokenCount":608}"#,
        ]);
        assert_eq!((u.input, u.output, u.reasoning), (Some(44), Some(1510), Some(902)));
    }
}
