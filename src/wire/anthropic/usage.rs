//! Token counts. This wire's are disjoint already: `input_tokens` leaves out what was read from and written to the cache.
//!
//! Frames are cumulative and the later one often says less (no split of cache writes), so frames are merged as they
//! stand on the wire and translated afterwards.

use crate::model::Usage;
use crate::wire::json_out::Object;
use crate::wire::lenient::{self, Count};
use serde::Deserialize;

/// What a frame says, or all frames so far. Null counts as unsaid.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct WireUsage {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    #[serde(deserialize_with = "lenient::or_none")]
    cache_creation: Option<CacheCreation>,
    #[serde(deserialize_with = "lenient::or_none")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

impl WireUsage {
    pub fn replace_with(&mut self, later: &Self) {
        let newer = |new: Count, old: Count| Count(new.0.or(old.0));
        // What was read once is never unread: a 0 that follows a count is a proxy's blank.
        let said = |new: Count, old: Count| Count(new.0.filter(|n| *n > 0).or(old.0).or(new.0));
        *self = Self {
            input_tokens: said(later.input_tokens, self.input_tokens),
            output_tokens: newer(later.output_tokens, self.output_tokens),
            cache_read_input_tokens: said(later.cache_read_input_tokens, self.cache_read_input_tokens),
            cache_creation_input_tokens: said(later.cache_creation_input_tokens, self.cache_creation_input_tokens),
            cache_creation: later.cache_creation.or(self.cache_creation),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        };
    }

    pub fn neutral(&self) -> Usage {
        let split = self.cache_creation.unwrap_or_default();
        let (short, long) = (split.ephemeral_5m_input_tokens.0, split.ephemeral_1h_input_tokens.0);
        let cache_write = match self.cache_creation_input_tokens.0 {
            // The total is newer than the split, or there is no split.
            Some(total) => Some(total.saturating_sub(long.unwrap_or(0))),
            None => short,
        };
        Usage {
            input: self.input_tokens.0,
            cache_read: self.cache_read_input_tokens.0,
            cache_write,
            cache_write_1h: long,
            output: self.output_tokens.0,
            reasoning: self.output_tokens_details.and_then(|d| d.thinking_tokens.0),
        }
    }
}

/// Writes the field `usage`. Clients require the two totals; what is not known of them is 0.
pub fn write(object: &mut Object<'_>, usage: &Usage) {
    let written = match (usage.cache_write, usage.cache_write_1h) {
        (Some(short), Some(long)) => Some(short.saturating_add(long)),
        (short, long) => short.or(long),
    };
    object.object("usage", |o| {
        o.field("input_tokens", &usage.input.unwrap_or(0));
        o.maybe("cache_creation_input_tokens", written.as_ref()).maybe("cache_read_input_tokens", usage.cache_read.as_ref());
        if let Some(long) = usage.cache_write_1h {
            o.object("cache_creation", |c| {
                c.field("ephemeral_5m_input_tokens", &usage.cache_write.unwrap_or(0)).field("ephemeral_1h_input_tokens", &long);
            });
        }
        o.field("output_tokens", &usage.output.unwrap_or(0));
        if let Some(thinking) = usage.reasoning {
            o.object("output_tokens_details", |d| {
                d.field("thinking_tokens", &thinking);
            });
        }
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
    fn frames_replace_and_null_says_nothing() {
        let u = merged(&[
            r#"{"input_tokens":43,"output_tokens":1,"cache_read_input_tokens":5}"#,
            r#"{"input_tokens":null,"output_tokens":2}"#,
            r#"{"input_tokens":61}"#,
        ]);
        assert_eq!((u.input, u.output, u.cache_read, u.cache_write, u.cache_write_1h), (Some(61), Some(2), Some(5), None, None));
        assert_eq!(merged(&[r#"{"output_tokens":"x"}"#]), Usage::default());
        let u = merged(&[
            r#"{"input_tokens":43,"output_tokens":1,"cache_read_input_tokens":5,"cache_creation_input_tokens":0}"#,
            r#"{"input_tokens":0,"output_tokens":7,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}"#,
        ]);
        assert_eq!((u.input, u.output, u.cache_read, u.cache_write), (Some(43), Some(7), Some(5), Some(0)));
    }

    #[test]
    fn the_two_kinds_of_cache_writes_are_disjoint_whatever_the_last_frame_leaves_out() {
        let split =
            r#"{"cache_creation_input_tokens":144,"cache_creation":{"ephemeral_5m_input_tokens":44,"ephemeral_1h_input_tokens":100}}"#;
        for frames in [&[split][..], &[split, r#"{"cache_creation_input_tokens":144}"#]] {
            let u = merged(frames);
            assert_eq!((u.cache_write, u.cache_write_1h), (Some(44), Some(100)));
        }
        assert_eq!(merged(&[r#"{"cache_creation_input_tokens":7}"#]).cache_write, Some(7));
    }

    #[test]
    fn odd_forms_cost_only_themselves() {
        let u = merged(&[r#"{"input_tokens":"7","cache_creation":[],"output_tokens":2.0,"output_tokens_details":"none"}"#]);
        assert_eq!((u.input, u.output), (Some(7), Some(2)));
    }

    #[test]
    fn thinking_is_a_part_of_the_output() {
        let u = merged(&[r#"{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}"#]);
        assert_eq!((u.output, u.reasoning), (Some(9), Some(4)));
    }
}
