//! How many tokens a conversation has: what the provider last reported, and an estimate of what was added since, in the
//! proportion that its reports have shown.

use super::vocabulary::Vocabulary;
use crate::model::history::Mark;
use crate::model::{Block, History, ImageSource, Message, Part, Role, ToolSpec, Usage};

/// Tokens to estimate before the first report: rather too many.
const RATE: f64 = 1.1;
/// What other vocabularies need more than the one that is at hand.
const MARGIN: f64 = 1.15;
/// An image costs about this, whatever its bytes.
const IMAGE: u64 = 1_600;
/// Roles, names and punctuation around a block.
const FRAME: u64 = 4;

/// The weight of a byte in 64ths of a token, by what it is: letters share a token, signs seldom do.
const fn weight(byte: u8) -> u64 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => 15,
        b'0'..=b'9' => 26,
        b' ' => 4,
        b'\n' => 20,
        b'\t' => 12,
        0x80..=0xBF => 0,
        0xC0..=0xDF => 44,
        0xE0..=0xEF => 64,
        0xF0..=0xFF => 140,
        _ => 36,
    }
}

/// An estimate that knows no vocabulary.
pub fn raw_text(text: &str) -> u64 {
    let sum: u64 = text.bytes().map(weight).sum();
    sum.div_ceil(64)
}

fn raw_block(block: &Block, text: &dyn Fn(&str) -> u64) -> u64 {
    FRAME
        + match block {
            Block::Text { text: t } => text(t),
            Block::Thinking { text: t, signature, .. } => {
                if t.is_empty() {
                    signature.as_ref().map_or(0, |s| s.len() as u64 / 4)
                } else {
                    text(t)
                }
            }
            Block::ToolCall(call) => text(&call.name) + text(&call.args_raw) + FRAME,
            Block::ToolResult(result) => result
                .parts
                .iter()
                .map(|p| match p {
                    Part::Text { text: t } => text(t),
                    Part::Image { source } => raw_image(source),
                })
                .sum(),
            Block::Image { source } => raw_image(source),
            Block::Document { data, .. } => IMAGE.max(data.len() as u64 / 24),
            Block::Opaque { raw, .. } => raw.len() as u64 / 4,
        }
}

const fn raw_image(source: &ImageSource) -> u64 {
    match source {
        ImageSource::Inline { .. } | ImageSource::Url { .. } => IMAGE,
    }
}

/// The same of a whole message.
pub fn raw_message(message: &Message) -> u64 {
    FRAME + message.blocks.iter().map(|b| raw_block(b, &raw_text)).sum::<u64>()
}

/// The same of the tools.
pub fn raw_tools(tools: &[ToolSpec]) -> u64 {
    tools.iter().map(|t| FRAME + raw_text(&t.name) + raw_text(&t.description) + raw_text(&t.parameters.to_string())).sum()
}

/// What is known of one session's counts.
#[derive(Debug, Clone)]
pub struct Gauge {
    /// Reported tokens for an estimated one.
    rate: f64,
    anchor: Option<Anchor>,
}

/// The last report.
#[derive(Debug, Clone)]
struct Anchor {
    of: Mark,
    messages: usize,
    /// As reported, tools and all.
    tokens: u64,
    /// As estimated, without the tools.
    raw: u64,
}

/// A count, and how much of it is an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub tokens: u64,
    pub estimated: u64,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { rate: RATE, anchor: None }
    }
}

impl Gauge {
    fn anchored(&self, history: &History) -> Option<&Anchor> {
        self.anchor.as_ref().filter(|a| history.grew_from(&a.of) && a.messages <= history.len())
    }

    /// What the history and the tools have. Looks only at what is new since the last report.
    pub fn count(&self, history: &History, tools: &[ToolSpec], vocabulary: &Vocabulary) -> Count {
        let (known, skip, tools) = match self.anchored(history) {
            Some(anchor) => (anchor.tokens, anchor.messages, 0),
            None => (0, 0, self.tokens(raw_tools(tools))),
        };
        let new = history.iter().skip(skip);
        let estimated = if vocabulary.ready() {
            let text = |t: &str| vocabulary.count(t).unwrap_or_else(|| raw_text(t));
            let exact: u64 = new.map(|m| FRAME + m.blocks.iter().map(|b| raw_block(b, &text)).sum::<u64>()).sum();
            (exact as f64 * MARGIN * (self.rate / RATE).max(1.0)) as u64
        } else {
            self.tokens(new.map(|m| raw_message(m)).sum())
        };
        Count { tokens: known + estimated + tools, estimated: estimated + tools }
    }

    /// An estimate in the proportion of the reports.
    pub fn tokens(&self, raw: u64) -> u64 {
        (raw as f64 * self.rate).ceil() as u64
    }

    /// A provider says what a request with this history and these tools had.
    pub fn reported(&mut self, history: &History, tools: &[ToolSpec], usage: &Usage) {
        let tokens: u64 = [usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h].into_iter().flatten().sum();
        if tokens == 0 {
            return;
        }
        let (skip, before) = self.anchored(history).map_or((0, 0), |a| (a.messages, a.raw));
        let raw = before + history.iter().skip(skip).map(|m| raw_message(m)).sum::<u64>();
        let all = raw + raw_tools(tools);
        // Of a few words the frame is the most, and says nothing of the rest.
        if all >= 200 {
            self.rate = (tokens as f64 / all as f64).clamp(0.4, 3.0);
        }
        self.anchor = Some(Anchor { of: history.mark(), messages: history.len(), tokens, raw });
    }
}

/// What fills a request, part by part, in tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    pub system: u64,
    pub tools: u64,
    pub user: u64,
    /// The note of what was taken out.
    pub note: u64,
    pub assistant: u64,
    pub thinking: u64,
    pub calls: u64,
    pub results: u64,
    pub pictures: u64,
}

impl Parts {
    /// Each with its name, the empty ones left out.
    pub fn rows(&self) -> Vec<(&'static str, u64)> {
        let all = [
            ("system prompt", self.system),
            ("tools", self.tools),
            ("your words", self.user),
            ("notes of what was taken out", self.note),
            ("answers", self.assistant),
            ("thinking", self.thinking),
            ("tool calls", self.calls),
            ("tool results", self.results),
            ("images and documents", self.pictures),
        ];
        all.into_iter().filter(|(_, n)| *n > 0).collect()
    }

    pub fn total(&self) -> u64 {
        self.rows().iter().map(|(_, n)| n).sum()
    }
}

impl Gauge {
    /// What fills the request.
    pub fn parts(&self, history: &History, tools: &[ToolSpec]) -> Parts {
        let mut parts = Parts { tools: raw_tools(tools), ..Parts::default() };
        for message in history {
            let note = super::note::is_note(message);
            for block in &message.blocks {
                let slot = match (block, message.role) {
                    (Block::Image { .. } | Block::Document { .. }, _) => &mut parts.pictures,
                    (Block::Thinking { .. } | Block::Opaque { .. }, _) => &mut parts.thinking,
                    (Block::ToolCall(_), _) => &mut parts.calls,
                    (Block::ToolResult(_), _) | (Block::Text { .. }, Role::Tool) => &mut parts.results,
                    (Block::Text { .. }, Role::System) => &mut parts.system,
                    (Block::Text { .. }, Role::User) if note => &mut parts.note,
                    (Block::Text { .. }, Role::User) => &mut parts.user,
                    (Block::Text { .. }, Role::Assistant) => &mut parts.assistant,
                };
                *slot += raw_block(block, &raw_text);
            }
        }
        let Parts { system, tools, user, note, assistant, thinking, calls, results, pictures } = &mut parts;
        for slot in [system, tools, user, note, assistant, thinking, calls, results, pictures] {
            *slot = self.tokens(*slot);
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, read: u64) -> Usage {
        Usage { input: Some(input), cache_read: Some(read), ..Usage::default() }
    }

    #[test]
    fn a_report_is_believed_and_what_was_added_is_estimated_in_its_proportion() {
        let mut history: History = [Message::user("word ".repeat(1_000))].into_iter().collect();
        let (mut gauge, none) = (Gauge::default(), Vocabulary::default());
        let first = gauge.count(&history, &[], &none);
        assert_eq!(first.tokens, first.estimated);
        gauge.reported(&history, &[], &usage(first.tokens, first.tokens));
        assert_eq!(gauge.count(&history, &[], &none), Count { tokens: 2 * first.tokens, estimated: 0 });
        history.push(Message::assistant("word ".repeat(1_000)));
        let grown = gauge.count(&history, &[], &none);
        assert!(grown.estimated.abs_diff(2 * first.tokens) < 20, "{grown:?} {first:?}");
        // Another history is not the one that was reported, but the proportion holds.
        let other: History = history.iter().cloned().collect();
        let count = gauge.count(&other, &[], &none);
        assert!(count.estimated == count.tokens && count.tokens.abs_diff(grown.tokens) < 20, "{count:?}");
        gauge.reported(&other, &[], &Usage::default());
        assert_eq!(gauge.count(&other, &[], &none), count, "no report is none of zero");
    }

    #[test]
    fn the_parts_are_the_whole() {
        let history: History = [Message::system("be good"), Message::user("do it"), Message::assistant("done")].into_iter().collect();
        let parts = Gauge::default().parts(&history, &[]);
        let names: Vec<&str> = parts.rows().into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["system prompt", "your words", "answers"]);
        assert!(parts.total() > 10 && parts.total() < 30);
    }

    #[test]
    fn prose_code_and_other_scripts_are_near_their_real_counts() {
        // Counted with o200k_base.
        for (text, real) in [
            ("The quick brown fox jumps over the lazy dog and then goes home to sleep for the rest of the day.", 21),
            ("fn main() { let x: Vec<u32> = foo.iter().map(|n| n + 1).collect(); println!(\"{x:?}\"); }", 32),
            ("猫は静かに眠っている。明日は雨が降るかもしれない。", 18),
            ("2026-11-26T00:35:35Z 10.0.0.1 GET /index.html 200 1234567", 33),
        ] {
            let guess = raw_text(text) as f64 / f64::from(real);
            assert!((0.6..1.7).contains(&guess), "{text}: {guess}");
        }
    }
}
