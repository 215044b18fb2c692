//! A conversation as the text that a program reads on its standard input.
//!
//! One question is that question, to the letter. Anything longer is written out turn by turn, between marks that no turn
//! contains, so that nothing in a file or an answer can pose as somebody else's words.

use crate::model::{Block, Loss, Message, Part, Request, ResponseFormat, Role};
use crate::wire::codec::{Encode, Encoded};
use crate::wire::quirk::{Calls, Dialect};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Write;

/// What a program is asked. The body of an encoded request is this as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Empty: whatever the program takes by itself.
    pub model: String,
    pub system: String,
    pub prompt: String,
}

#[derive(Debug)]
pub struct Encoder {
    dialect: Dialect,
    /// Messages whose losses were told.
    told: usize,
}

impl Encoder {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, told: 0 }
    }
}

impl Encode for Encoder {
    fn encode(&mut self, request: &Request) -> Encoded {
        let mut losses = Vec::new();
        let (mut system, mut turns) = (Vec::new(), Vec::new());
        for (at, message) in request.messages.iter().enumerate() {
            let mut lost = Vec::new();
            let text = written(message, at, &mut lost);
            if at >= self.told {
                losses.append(&mut lost);
            }
            match message.role {
                Role::System => system.push(text),
                Role::User | Role::Assistant | Role::Tool => turns.push((message.role, text)),
            }
        }
        self.told = request.messages.len();
        settings(request, &mut losses);
        let mut prompt = match turns.as_slice() {
            [(Role::User, only)] => only.clone(),
            all => conversation(all),
        };
        // Where calls are asked for as text, the form of a reply is told with them.
        if self.dialect.calls != Calls::Constrained {
            form(request.response_format.as_ref(), &mut prompt);
        }
        let ask = Ask { model: request.model.clone(), system: system.join("\n\n"), prompt };
        // A structure of three strings always becomes JSON.
        let body = serde_json::to_vec(&ask).unwrap_or_default();
        Encoded { path: Cow::Borrowed(""), headers: Vec::new(), body: vec![Bytes::from(body)], losses }
    }
}

/// A message as text. What is no text is named among the losses.
fn written(message: &Message, at: usize, losses: &mut Vec<Loss>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (block, content) in message.blocks.iter().enumerate() {
        let mut lose = |what: &str| losses.push(Loss::new(format!("messages[{at}].blocks[{block}]"), what));
        match content {
            Block::Text { text } => parts.push(text.clone()),
            Block::ToolCall(call) => parts.push(format!("[called {} with {}]", call.name, call.args_raw)),
            Block::ToolResult(result) => {
                let word = if result.is_error { "error" } else { "result" };
                parts.push(format!("[{word} of the call]\n{}", result.joined()));
                if result.parts.iter().any(|p| matches!(p, Part::Image { .. })) {
                    lose("an image in a tool result");
                }
            }
            Block::Thinking { .. } => lose("reasoning of an earlier answer"),
            Block::Image { .. } | Block::Document { .. } | Block::Opaque { .. } => lose(content.kind()),
        }
    }
    parts.join("\n")
}

/// What a program has no way to be told.
fn settings(request: &Request, losses: &mut Vec<Loss>) {
    let set = [
        ("tools", !request.tools.is_empty()),
        ("max_output", request.max_output.is_some()),
        ("temperature", request.temperature.is_some()),
        ("top_p", request.top_p.is_some()),
        ("stop", !request.stop.is_empty()),
        ("seed", request.seed.is_some()),
        ("n", request.n.is_some()),
        ("reasoning_effort", request.reasoning_effort.is_some()),
        ("metadata", !request.metadata.is_empty()),
    ];
    losses.extend(set.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| Loss::new(*name, "the program has no such setting")));
}

/// The turns, each between its marks, and what is wanted.
fn conversation(turns: &[(Role, String)]) -> String {
    let mark = mark(turns);
    let mut out = format!("A conversation, each turn between <{mark}> and </{mark}>:\n\n");
    for (role, text) in turns {
        let who = match role {
            Role::Assistant => "assistant",
            Role::Tool => "tool",
            Role::User | Role::System => "user",
        };
        // Writing to a string does not fail.
        let _ = write!(out, "<{mark} of=\"{who}\">\n{text}\n</{mark}>\n\n");
    }
    out.push_str("Write what the assistant says next, without any marks.");
    out
}

/// A word for the marks that stands in no turn.
fn mark(turns: &[(Role, String)]) -> String {
    let taken = |word: &str| turns.iter().any(|(_, text)| text.contains(word));
    let numbered = (2..=u32::MAX).map(|n| format!("turn{n}")).find(|word| !taken(word));
    if taken("turn>") || taken("<turn ") { numbered.unwrap_or_default() } else { "turn".to_owned() }
}

fn form(format: Option<&ResponseFormat>, prompt: &mut String) {
    match format {
        None => {}
        Some(ResponseFormat::JsonObject) => prompt.push_str("\n\nReply with one JSON object and nothing else."),
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            let _ = write!(prompt, "\n\nReply with JSON of this schema and nothing else:\n{schema}");
        }
    }
}
