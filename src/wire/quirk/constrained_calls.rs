//! `constrained-calls`: tool calls as text that the server binds to a JSON schema.
//!
//! Small local models write calls as text whatever the API offers. Asked for one JSON object, one branch a tool and one
//! for the answer, and held to it by the server's grammar, even a model of 1.5 billion parameters writes well-formed
//! calls. [`rewrite`] changes the request, [`CallFilter`] turns the reply's text back into calls.
//!
//! The history is shown in the same form, one call a message, so that the model sees what it is asked to write.

use super::emit::Emitter;
use super::{signature, text_calls};
use crate::model::{
    Block, BlockKind, Delta, History, Message, Part, Request, ResponseFormat, Role, StreamEvent, ToolCall, ToolChoice, ToolResult, ToolSpec,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The same request, asking for calls as JSON text. Without tools to call it asks for plain text, and only past calls are
/// shown as text.
pub fn rewrite(request: &Request) -> Request {
    if request.tools.is_empty() || request.tool_choice == ToolChoice::None {
        return Request {
            tools: [].into(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: None,
            messages: history(request, None),
            ..request.clone()
        };
    }
    let offered = |name: &str| !matches!(&request.tool_choice, ToolChoice::Tool(only) if only != name);
    let tools: Vec<_> = request.tools.iter().filter(|t| offered(&t.name)).collect();
    let may_answer = request.tool_choice == ToolChoice::Auto;
    let mut branches: Vec<Value> =
        tools.iter().map(|t| object(&[("tool", json!({"const": t.name})), ("arguments", signature::plain(&t.parameters))])).collect();
    if may_answer {
        let answer = match &request.response_format {
            Some(ResponseFormat::JsonSchema { schema, .. }) => signature::plain(schema),
            Some(ResponseFormat::JsonObject) => json!({"type": "object"}),
            None => json!({"type": "string"}),
        };
        branches.push(object(&[("answer", answer)]));
    }
    let brief = brief(&tools, may_answer);
    Request {
        messages: history(request, Some(&brief)),
        tools: [].into(),
        tool_choice: ToolChoice::Auto,
        parallel_tool_calls: None,
        response_format: Some(ResponseFormat::JsonSchema { name: "reply".into(), schema: json!({"anyOf": branches}), strict: Some(true) }),
        ..request.clone()
    }
}

/// An exchange as it should go. Without one, small models answer at once and make up what they could have looked at.
/// Its tools are nobody's, so that nothing in it fits a real task; the schema keeps a model from calling them.
const EXAMPLE: &str = r#"

An example with tools of another place. The user asks: turn the lamp off and tell me how warm it is
{"tool": "lamp", "arguments": {"state": "off"}}
Result of lamp:
off
{"tool": "sensor", "arguments": {"name": "temperature"}}
Result of sensor:
21.5
{"answer": "The lamp is off. It is 21.5 degrees warm."}"#;

/// Stands behind every result. Small models take the first result for the end of the task.
const WHAT_NEXT: &str = "\n\nWhat does the task still need? Make the next call, or answer if nothing.";

/// The same behind an error, where the question would be answered with making up what is missing.
const LOOK_FIRST: &str = "\n\nThe call did nothing. Look at what is there, then make a call that fits it.";

/// What the model is told: the tools, and last, where it is remembered best, the form of a reply.
fn brief(tools: &[&ToolSpec], may_answer: bool) -> String {
    let mut brief = String::from("Tools:");
    for tool in tools {
        brief.push('\n');
        brief.push_str(&signature::line(tool));
    }
    brief.push_str("\n\nYou see and do things only through these tools. Reply with one JSON object and nothing else: ");
    brief.push_str(r#"{"tool": NAME, "arguments": {...}} to call one tool, whose result comes next"#);
    if may_answer {
        brief.push_str(r#", or {"answer": TEXT} once results have shown that all of the task is done."#);
        brief.push_str(EXAMPLE);
    } else {
        brief.push('.');
    }
    brief
}

fn object(fields: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|(name, of)| ((*name).to_owned(), of.clone())).collect();
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The history in the form that is asked for. `brief` stands in the first system message.
fn history(request: &Request, brief: Option<&str>) -> History {
    let mut out: Vec<Message> = Vec::new();
    let constrained = brief.is_some();
    let mut brief = brief;
    // Calls of the last assistant message that still wait to be shown with their results, and what was said before them.
    let mut open: Vec<&ToolCall> = Vec::new();
    let mut said = String::new();
    for message in &request.messages {
        match message.role {
            Role::System => {
                let mut message = Message::clone(message);
                if let Some(brief) = brief.take() {
                    message.blocks.push(Block::Text { text: format!("\n\n{brief}") });
                }
                out.push(message);
            }
            Role::User => add_user(&mut out, message.blocks.clone()),
            Role::Assistant => {
                let text = message.joined_text();
                open = message.calls().collect();
                if open.is_empty() && !text.trim().is_empty() {
                    let shown = if constrained { format!(r#"{{"answer": {}}}"#, Value::from(text)) } else { text };
                    out.push(Message::assistant(shown));
                } else {
                    said = text;
                }
            }
            Role::Tool => {
                for result in message.tool_results() {
                    let call = open.iter().position(|c| c.id == result.call_id).map(|at| open.remove(at));
                    if let Some(call) = call {
                        out.push(Message::assistant(written(call)));
                    }
                    let after = match (constrained, result.is_error) {
                        (false, _) => "",
                        (true, false) => WHAT_NEXT,
                        (true, true) => LOOK_FIRST,
                    };
                    add_user(&mut out, told(result, call.map_or("a tool", |c| &c.name), &std::mem::take(&mut said), after));
                }
            }
        }
    }
    // Without any system message the words stand in front.
    if let Some(brief) = brief {
        out.insert(0, Message::system(brief));
    }
    out.into_iter().collect()
}

/// A call as the model should have written it. Arguments that are no JSON are shown as the text that they are.
fn written(call: &ToolCall) -> String {
    let name = Value::from(call.name.as_str());
    let arguments = match call.args() {
        // To the letter: the server has these very tokens in its cache.
        Ok(_) if !call.args_raw.trim().is_empty() => call.args_raw.clone(),
        Ok(none) => Value::Object(none).to_string(),
        Err(_) => Value::from(call.args_raw.as_str()).to_string(),
    };
    format!(r#"{{"tool": {name}, "arguments": {arguments}}}"#)
}

fn told(result: &ToolResult, name: &str, said: &str, after: &str) -> Vec<Block> {
    let word = if result.is_error { "Error from" } else { "Result of" };
    let before = if said.trim().is_empty() { String::new() } else { format!("[Before this call you said: {}]\n", said.trim()) };
    let mut blocks = vec![Block::Text { text: format!("{before}{word} {name}:\n{}{after}", result.joined()) }];
    blocks.extend(result.parts.iter().filter_map(|p| match p {
        Part::Image { source } => Some(Block::Image { source: source.clone() }),
        Part::Text { .. } => None,
    }));
    blocks
}

/// Appends to a user message that stands last: many chat templates refuse two in a row.
fn add_user(out: &mut Vec<Message>, blocks: Vec<Block>) {
    match out.last_mut() {
        Some(last) if last.role == Role::User => {
            for block in blocks {
                match (last.blocks.last_mut(), block) {
                    (Some(Block::Text { text }), Block::Text { text: more }) => {
                        text.push_str("\n\n");
                        text.push_str(&more);
                    }
                    (_, block) => last.blocks.push(block),
                }
            }
        }
        _ => out.push(Message::new(Role::User, blocks)),
    }
}

/// Turns the reply to a [`rewrite`]n request back: an answer into text, while it arrives, and a call into a call.
///
/// Text that is neither, because the server does not hold the model to the schema or the reply was cut, stays text.
#[derive(Debug)]
pub struct CallFilter {
    tools: Vec<String>,
    emit: Emitter,
    /// All text so far.
    text: String,
    answer: Answer,
}

/// How much of an answer has been handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It may still become one.
    Perhaps,
    /// It is one; the text is read up to this byte.
    Reading(usize),
    /// Its closing quote stood at this byte.
    Whole(usize),
    No,
}

impl CallFilter {
    /// `request` is the one before [`rewrite`].
    pub fn new(request: &Request) -> Self {
        let tools = request.tools.iter().map(|t| t.name.clone()).collect();
        Self { tools, emit: Emitter::default(), text: String::new(), answer: Answer::Perhaps }
    }

    /// Takes an event of the reply and appends what it becomes.
    pub fn push(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        match event {
            StreamEvent::BlockStart { kind: BlockKind::Text, .. } => {}
            StreamEvent::Delta { delta: Delta::Text { text }, .. } => {
                self.text.push_str(&text);
                self.read_answer(out);
            }
            StreamEvent::End { .. } => {
                self.settle(out);
                self.emit.close_prose(out);
                self.emit.pass(event, out);
            }
            other => self.emit.pass(other, out),
        }
    }

    /// Hands on as much of an answer as is certain.
    fn read_answer(&mut self, out: &mut Vec<StreamEvent>) {
        if self.answer == Answer::Perhaps {
            self.answer = match opening(&self.text) {
                Opening::More => Answer::Perhaps,
                Opening::No => Answer::No,
                Opening::At(from) => Answer::Reading(from),
            };
        }
        if let Answer::Reading(from) = self.answer {
            let (text, read, closed) = string_piece(self.text.get(from..).unwrap_or_default());
            self.answer = if closed { Answer::Whole(from + read) } else { Answer::Reading(from + read) };
            self.emit.text(&text, out);
        }
    }

    /// The reply is over: what is held back becomes a call or text.
    fn settle(&mut self, out: &mut Vec<StreamEvent>) {
        let text = std::mem::take(&mut self.text);
        match self.answer {
            // Cut within an escape: shown as it is.
            Answer::Reading(from) => self.emit.text(text.get(from..).unwrap_or_default(), out),
            Answer::Whole(at) => {
                let rest = text.get(at..).unwrap_or_default().trim_start_matches('"').trim_start();
                let rest = rest.strip_prefix('}').unwrap_or(rest);
                if !rest.trim().is_empty() {
                    self.emit.text(rest, out);
                }
            }
            Answer::Perhaps | Answer::No => match OwnForm::of(&text) {
                Some(OwnForm { answer }) => self.emit.text(answer.get(), out),
                // A server that passes over the schema leaves the model free to write calls its own way.
                None => text_calls::read(&self.tools, &mut self.emit, &text, out),
            },
        }
    }
}

/// An answer in the form that the caller asked for, where that is not plain text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnForm<'a> {
    #[serde(borrow)]
    answer: &'a RawValue,
}

impl<'a> OwnForm<'a> {
    fn of(text: &'a str) -> Option<Self> {
        // A derived reader would take a list of one value for the object.
        text.trim_start().strip_prefix('{').and_then(|_| serde_json::from_str(text).ok())
    }
}

enum Opening {
    /// It begins like one but is not there yet.
    More,
    No,
    /// The text of the answer begins at this byte.
    At(usize),
}

/// Whether the text begins with `{"answer":"`, white space aside.
fn opening(text: &str) -> Opening {
    let mut rest = text;
    for token in ["{", "\"answer\"", ":", "\""] {
        rest = rest.trim_start();
        match rest.strip_prefix(token) {
            Some(after) => rest = after,
            None if token.starts_with(rest) => return Opening::More,
            None => return Opening::No,
        }
    }
    Opening::At(text.len() - rest.len())
}

/// Reads a JSON string's inside as far as it is whole: the text, the bytes read, and whether the closing quote was there.
fn string_piece(raw: &str) -> (String, usize, bool) {
    let mut end = 0;
    let mut closed = false;
    let mut chars = raw.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                closed = true;
                end = at;
                break;
            }
            '\\' => match chars.next() {
                Some((_, 'u')) => match unicode(raw.get(at..).unwrap_or_default()) {
                    Some(len) => {
                        end = at + len;
                        while chars.clone().next().is_some_and(|(next, _)| next < end) {
                            chars.next();
                        }
                    }
                    None => break,
                },
                Some((next, escaped)) => end = next + escaped.len_utf8(),
                None => break,
            },
            c => end = at + c.len_utf8(),
        }
    }
    let piece = raw.get(..end).unwrap_or_default();
    // Models put line feeds into strings as they are; a strict reader would refuse the whole answer for it.
    let strict = piece.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t");
    let text = serde_json::from_str::<String>(&format!("\"{strict}\"")).unwrap_or_else(|_| piece.to_owned());
    (text, end, closed)
}

/// The length of a `\uXXXX` escape, with its second half where it is a surrogate pair; nothing while it is not whole.
fn unicode(raw: &str) -> Option<usize> {
    let hex = |from: usize| {
        let digits = raw.as_bytes().get(from..from + 4)?;
        Some(std::str::from_utf8(digits).ok().and_then(|d| u16::from_str_radix(d, 16).ok()))
    };
    match hex(2)? {
        None => Some(2),
        Some(0xd800..=0xdbff) => match raw.as_bytes().get(6..8) {
            Some(b"\\u") => hex(8).map(|second| if second.is_some() { 12 } else { 6 }),
            Some(_) => Some(6),
            None => None,
        },
        Some(_) => Some(6),
    }
}

#[cfg(test)]
#[path = "constrained_calls_tests.rs"]
mod tests;
