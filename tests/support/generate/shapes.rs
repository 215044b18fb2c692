//! What is in a conversation that some provider somewhere chokes on, so that a run can count that it was there.

use super::Story;
use super::parties::Party;
use code_pup::model::{Block, ImageSource, Message, Part, Role};
use std::collections::{BTreeMap, HashSet};

/// How often each shape was seen.
#[derive(Debug, Default)]
pub struct Tally(pub BTreeMap<String, usize>);

impl Tally {
    fn add(&mut self, shape: impl Into<String>) {
        *self.0.entry(shape.into()).or_default() += 1;
    }

    /// Which of these were seen less often than that.
    pub fn rare(&self, least: usize, shapes: impl IntoIterator<Item = String>) -> Vec<String> {
        let seen = |shape: &str| self.0.get(shape).copied().unwrap_or(0);
        shapes.into_iter().filter(|shape| seen(shape) < least).map(|shape| format!("{shape}: {}", seen(&shape))).collect()
    }

    pub fn merge(&mut self, other: Self) {
        for (shape, n) in other.0 {
            *self.0.entry(shape).or_default() += n;
        }
    }

    pub fn count(&mut self, story: &Story, parties: &[Party]) {
        self.tools(story);
        for kind in &story.damage {
            self.add(format!("damage: {kind:?}"));
        }
        let messages = &story.messages;
        let mut ids: HashSet<&str> = HashSet::new();
        for (at, message) in messages.iter().enumerate() {
            match message.role {
                Role::System if at > 0 && messages[at - 1].role != Role::System => self.add("late system message"),
                Role::System => {}
                Role::User => self.user(messages, at),
                Role::Assistant => {
                    self.assistant(messages, at);
                    if let Some(maker) = story.maker(at, parties) {
                        for target in parties {
                            self.add(format!("{} to {}", maker.wire, target.wire));
                        }
                        for block in &message.blocks {
                            if let Block::Opaque { wire, .. } = block {
                                self.add(format!("opaque block of {wire}"));
                            }
                            if matches!(block, Block::Thinking { signature: Some(_), redacted: false, .. }) {
                                self.add(format!("signed thinking of {}", maker.wire));
                            }
                        }
                    }
                    let here: HashSet<&str> = message.calls().map(|c| c.id.as_str()).collect();
                    if here.iter().any(|id| ids.contains(id)) {
                        self.add("an id of an earlier turn");
                    }
                    ids.extend(here);
                }
                Role::Tool => self.results(messages, at),
            }
            for block in &message.blocks {
                if let Block::Text { text } = block {
                    self.text(text);
                }
            }
        }
    }

    fn tools(&mut self, story: &Story) {
        for kind in &story.schemas {
            self.add(format!("schema: {kind}"));
        }
        for tool in story.tools.iter() {
            let plain = tool.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
            if !plain {
                self.add("odd tool name");
            }
            if tool.name.len() > 64 {
                self.add("long tool name");
            }
        }
    }

    fn text(&mut self, text: &str) {
        if text.trim().is_empty() {
            self.add("blank text");
        }
        if text.chars().any(|c| c > '\u{ffff}') {
            self.add("text beyond the basic plane");
        }
        if text.chars().any(|c| c < ' ') {
            self.add("control characters");
        }
    }

    fn user(&mut self, messages: &[Message], at: usize) {
        if at > 0 && messages[at - 1].role == Role::User {
            self.add("users in a row");
        }
        if at > 0 && messages[at - 1].role == Role::Tool {
            self.add("user behind results");
        }
        for block in &messages[at].blocks {
            match block {
                Block::Image { source: ImageSource::Url { .. } } => self.add("image by address"),
                Block::Image { source: ImageSource::Inline { media_type, .. } } if media_type == "image/bmp" => {
                    self.add("image of an odd type");
                }
                Block::Image { .. } => self.add("image"),
                Block::Document { media_type, .. } if media_type == "application/pdf" => self.add("document: PDF"),
                Block::Document { .. } => self.add("document: other"),
                Block::Opaque { .. } => self.add("opaque block of the user's"),
                _ => {}
            }
        }
    }

    fn assistant(&mut self, messages: &[Message], at: usize) {
        if messages[..at].iter().all(|m| m.role == Role::System) {
            self.add("assistant first");
        }
        let message = &messages[at];
        let mut thought = false;
        for block in &message.blocks {
            match block {
                Block::Thinking { redacted: true, .. } => self.add("redacted thinking"),
                Block::Thinking { text, signature: Some(_), .. } if text.is_empty() => self.add("signature alone"),
                Block::Thinking { signature: Some(_), .. } => self.add("signed thinking"),
                Block::Thinking { .. } => self.add("unsigned thinking"),
                Block::Image { .. } => self.add("image of the assistant"),
                Block::Text { .. } if thought => self.add("text behind thinking"),
                Block::ToolCall(call) => self.call(call),
                _ => {}
            }
            thought |= matches!(block, Block::Thinking { .. });
        }
        match message.calls().count() {
            0 => {}
            1 => self.add("one call"),
            n => self.add(format!("{n} parallel calls")),
        }
    }

    fn call(&mut self, call: &code_pup::model::ToolCall) {
        let raw = call.args_raw.as_str();
        match raw.trim() {
            "" => self.add("arguments: empty"),
            "{}" => self.add("arguments: {}"),
            "null" => self.add("arguments: null"),
            _ if call.args().is_ok() => self.add("arguments: an object"),
            raw if serde_json::from_str::<serde_json::Value>(raw).is_ok() => self.add("arguments: no object"),
            raw if raw.starts_with("{\"path") => self.add("arguments: cut"),
            _ => self.add("arguments: not JSON"),
        }
        if raw.contains("12345678901234567890123") {
            self.add("arguments: numbers beyond 64 bits");
        }
        if raw.starts_with("{\"a\":1,\"a\"") {
            self.add("arguments: a key twice");
        }
        if call.signature.is_some() {
            self.add("signed call");
        }
        let id = &call.id;
        if id.len() == 9 {
            self.add("id: nine");
        }
        if id.len() > 64 {
            self.add("id: over 64");
        } else if id.len() > 40 {
            self.add("id: over 40");
        }
        if id.contains('.') {
            self.add("id: dotted");
        }
        if !id.is_ascii() {
            self.add("id: not ASCII");
        }
        if id.contains('"') {
            self.add("id: quoted");
        }
    }

    fn results(&mut self, messages: &[Message], at: usize) {
        let message = &messages[at];
        if at > 0 && messages[at - 1].role == Role::Tool {
            self.add("results in several messages");
        }
        let asked: Vec<&str> = messages[..at]
            .iter()
            .rfind(|m| m.role == Role::Assistant)
            .into_iter()
            .flat_map(Message::calls)
            .map(|c| c.id.as_str())
            .collect();
        let order: Vec<usize> = message.tool_results().filter_map(|r| asked.iter().position(|id| *id == r.call_id)).collect();
        if !order.is_sorted() {
            self.add("results out of order");
        }
        for result in message.tool_results() {
            let blank = result.joined().trim().is_empty();
            let image = result.parts.iter().any(|p| matches!(p, Part::Image { .. }));
            if image {
                self.add("image in a result");
            }
            if result.is_error {
                self.add("error result");
            }
            if blank && !image {
                self.add(if result.is_error { "error without words" } else { "result of nothing" });
            }
        }
    }
}

/// Every shape that a run has to have seen; `wires` are those that are built.
pub fn all(wires: &[code_pup::wire::Wire]) -> Vec<String> {
    let fixed = [
        "assistant first",
        "late system message",
        "odd tool name",
        "long tool name",
        "blank text",
        "text beyond the basic plane",
        "control characters",
        "users in a row",
        "user behind results",
        "image",
        "image by address",
        "image of an odd type",
        "document: PDF",
        "document: other",
        "opaque block of the user's",
        "redacted thinking",
        "signature alone",
        "signed thinking",
        "unsigned thinking",
        "text behind thinking",
        "image of the assistant",
        "one call",
        "2 parallel calls",
        "3 parallel calls",
        "4 parallel calls",
        "5 parallel calls",
        "arguments: empty",
        "arguments: {}",
        "arguments: null",
        "arguments: an object",
        "arguments: no object",
        "arguments: cut",
        "arguments: not JSON",
        "arguments: numbers beyond 64 bits",
        "arguments: a key twice",
        "signed call",
        "id: nine",
        "id: over 40",
        "id: over 64",
        "id: dotted",
        "id: not ASCII",
        "id: quoted",
        "an id of an earlier turn",
        "results in several messages",
        "results out of order",
        "image in a result",
        "error result",
        "error without words",
        "result of nothing",
    ];
    let mut shapes: Vec<String> = fixed.iter().map(|s| (*s).to_owned()).collect();
    for from in wires {
        // What Antigravity wraps is Gemini's.
        if from.as_str() != "antigravity" {
            shapes.push(format!("opaque block of {from}"));
        }
        // Signed reasoning on Chat Completions is among what a message has beside its text.
        if from.as_str() != "openai-chat" {
            shapes.push(format!("signed thinking of {from}"));
        }
        shapes.extend(wires.iter().map(|to| format!("{from} to {to}")));
    }
    shapes
}
