//! `text-calls`: tool calls read out of plain text, for servers that cannot hold a model to a schema.
//!
//! Three forms are read: a bare JSON object and a fenced block, each at the beginning of a line, and `<tool_call>` tags;
//! several calls may follow one another. Only a whole object with exactly a known tool's name and an object of arguments
//! is a call. Everything else, and above all JSON that is cut off, stays the text that it is.
//!
//! Text is held back only while it could still become a call.

use super::emit::Emitter;
use crate::model::{BlockKind, Delta, Request, StreamEvent};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The filter over one reply's events.
#[derive(Debug)]
pub struct TextCalls {
    tools: Vec<String>,
    emit: Emitter,
    held: Option<Candidate>,
    place: Place,
    /// White space behind a call, which is shown only if text follows; nothing where the last thing was text.
    gap: Option<String>,
}

/// Where in the text the next character stands.
#[derive(Debug)]
struct Place {
    /// The line so far, as long as it is short: enough to see a fence.
    line: String,
    in_fence: bool,
}

const FENCE: &str = "```";
const TAG: &str = "<tool_call>";
const TAG_END: &str = "</tool_call>";
/// Words behind an opening fence under which models write calls.
const LABELS: [&str; 4] = ["json", "tool_call", "tool_calls", "tool"];

/// Text that may be a call.
#[derive(Debug)]
struct Candidate {
    /// Everything held back.
    text: String,
    wrapper: Wrapper,
    phase: Phase,
    calls: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapper {
    Unknown,
    Bare,
    Fence,
    Tag,
}

#[derive(Debug)]
enum Phase {
    /// White space at the beginning of the line, and then a part of an opening.
    Opening,
    /// The label behind a fence, up to the end of its line.
    Label {
        from: usize,
    },
    /// Between the parts. `fresh`: a line has ended since the last call.
    Between {
        fresh: bool,
    },
    Json {
        from: usize,
        scan: Scan,
    },
    /// A part of the closing fence or tag.
    Closing {
        from: usize,
    },
}

/// Where a JSON text's end is, without reading it.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

enum Verdict {
    More,
    /// It is not a call.
    Text,
    /// It is, up to and with this character.
    Calls,
    /// It is, before this character.
    CallsBefore,
}

impl TextCalls {
    /// `request` tells which tools there are.
    pub fn new(request: &Request) -> Self {
        Self::over(request.tools.iter().map(|t| t.name.clone()).collect(), Emitter::default())
    }

    fn over(tools: Vec<String>, emit: Emitter) -> Self {
        Self { tools, emit, held: None, place: Place { line: String::new(), in_fence: false }, gap: None }
    }

    /// Takes an event of the reply and appends what it becomes.
    pub fn push(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        match event {
            StreamEvent::BlockStart { kind: BlockKind::Text, .. } => {}
            StreamEvent::Delta { delta: Delta::Text { text }, .. } => self.text(&text, out),
            StreamEvent::BlockStart { .. } | StreamEvent::End { .. } => {
                self.settle(out);
                self.emit.close_prose(out);
                self.emit.pass(event, out);
            }
            other => self.emit.pass(other, out),
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<StreamEvent>) {
        let mut plain = String::new();
        for c in text.chars() {
            self.take(c, &mut plain, out);
        }
        self.show(&plain, out);
    }

    /// Takes one character; what is certain to be text is gathered in `plain`.
    fn take(&mut self, c: char, plain: &mut String, out: &mut Vec<StreamEvent>) {
        // A tag cannot be meant otherwise, so it counts within a line, too.
        let may_begin = !self.place.in_fence && (self.place.line.is_empty() || c == '<');
        if self.held.is_none() && may_begin {
            self.held = Some(Candidate { text: String::new(), wrapper: Wrapper::Unknown, phase: Phase::Opening, calls: Vec::new() });
        }
        let Some(held) = &mut self.held else {
            self.place.pass(c);
            plain.push(c);
            return;
        };
        match held.take(c, &self.tools) {
            Verdict::More => {}
            Verdict::Text => self.release(plain),
            Verdict::Calls => self.accept(plain, out),
            Verdict::CallsBefore => {
                self.accept(plain, out);
                self.take(c, plain, out);
            }
        }
    }

    /// The held text is text after all.
    fn release(&mut self, plain: &mut String) {
        let Some(held) = self.held.take() else { return };
        for c in held.text.chars() {
            self.place.pass(c);
        }
        plain.push_str(&held.text);
    }

    fn accept(&mut self, plain: &mut String, out: &mut Vec<StreamEvent>) {
        let Some(held) = self.held.take() else { return };
        self.show(&std::mem::take(plain), out);
        for (name, args) in &held.calls {
            self.emit.call(name, args, out);
        }
        self.place.line.clear();
        self.gap = Some(String::new());
    }

    fn show(&mut self, text: &str, out: &mut Vec<StreamEvent>) {
        match &mut self.gap {
            Some(gap) if text.trim().is_empty() => gap.push_str(text),
            Some(gap) => {
                let whole = format!("{gap}{text}");
                self.gap = None;
                self.emit.text(&whole, out);
            }
            None => self.emit.text(text, out),
        }
    }

    /// The text is over: a whole call counts even where its closing fence or tag is missing.
    fn settle(&mut self, out: &mut Vec<StreamEvent>) {
        let mut plain = String::new();
        let whole = self.held.as_ref().is_some_and(|h| !h.calls.is_empty() && !matches!(h.phase, Phase::Json { .. }));
        if whole {
            self.accept(&mut plain, out);
        } else {
            self.release(&mut plain);
        }
        self.show(&plain, out);
        self.gap = None;
        self.place.line.clear();
    }
}

/// Reads a whole text: calls and text go to `emit`.
pub(super) fn read(tools: &[String], emit: &mut Emitter, text: &str, out: &mut Vec<StreamEvent>) {
    let mut filter = TextCalls::over(tools.to_vec(), std::mem::take(emit));
    filter.text(text, out);
    filter.settle(out);
    *emit = filter.emit;
}

impl Place {
    fn pass(&mut self, c: char) {
        if c == '\n' {
            self.line.clear();
        } else if self.line.trim_start().len() < FENCE.len() {
            self.line.push(c);
            if self.line.trim_start() == FENCE {
                self.in_fence = !self.in_fence;
            }
        }
    }
}

impl Candidate {
    fn take(&mut self, c: char, tools: &[String]) -> Verdict {
        let at = self.text.len();
        if let (Phase::Between { fresh }, Wrapper::Bare) = (&self.phase, self.wrapper)
            && *fresh
            && !c.is_whitespace()
            && !matches!(c, '{' | '[')
        {
            return Verdict::CallsBefore;
        }
        self.text.push(c);
        match &mut self.phase {
            Phase::Opening => self.opening(),
            Phase::Label { from } => {
                let label = self.text.get(*from..).unwrap_or_default();
                if c == '\n' {
                    let known = label.trim().is_empty() || LABELS.contains(&label.trim());
                    self.phase = Phase::Between { fresh: true };
                    if known { Verdict::More } else { Verdict::Text }
                } else if LABELS.iter().any(|l| l.starts_with(label.trim())) || c.is_whitespace() && LABELS.contains(&label.trim()) {
                    Verdict::More
                } else {
                    Verdict::Text
                }
            }
            Phase::Between { fresh } => match (c, self.wrapper) {
                ('{' | '[', _) => {
                    let mut scan = Scan::default();
                    scan.step(c);
                    self.phase = Phase::Json { from: at, scan };
                    Verdict::More
                }
                ('\n', _) => {
                    *fresh = true;
                    Verdict::More
                }
                (c, _) if c.is_whitespace() => Verdict::More,
                ('`', Wrapper::Fence) | ('<', Wrapper::Tag) if !self.calls.is_empty() => {
                    self.phase = Phase::Closing { from: at };
                    Verdict::More
                }
                _ => Verdict::Text,
            },
            Phase::Json { from, scan } => {
                let from = *from;
                if scan.step(c) {
                    match read_calls(self.text.get(from..).unwrap_or_default(), tools) {
                        Some(calls) => {
                            self.calls.extend(calls);
                            self.phase = Phase::Between { fresh: false };
                            Verdict::More
                        }
                        None => Verdict::Text,
                    }
                } else if begins_like_a_call(self.text.get(from..).unwrap_or_default()) {
                    Verdict::More
                } else {
                    Verdict::Text
                }
            }
            Phase::Closing { from } => {
                let closing = if self.wrapper == Wrapper::Fence { FENCE } else { TAG_END };
                let so_far = self.text.get(*from..).unwrap_or_default();
                if so_far == closing {
                    Verdict::Calls
                } else if closing.starts_with(so_far) {
                    Verdict::More
                } else {
                    Verdict::Text
                }
            }
        }
    }

    fn opening(&mut self) -> Verdict {
        let begun = self.text.trim_start();
        // Blank lines are text at once; only the white space of this line can belong to a call.
        if begun.is_empty() {
            return if self.text.ends_with('\n') { Verdict::Text } else { Verdict::More };
        }
        let from = self.text.len() - begun.len();
        if begun.starts_with(['{', '[']) {
            let mut scan = Scan::default();
            begun.chars().for_each(|c| {
                scan.step(c);
            });
            self.wrapper = Wrapper::Bare;
            self.phase = Phase::Json { from, scan };
            Verdict::More
        } else if begun == FENCE {
            self.wrapper = Wrapper::Fence;
            self.phase = Phase::Label { from: self.text.len() };
            Verdict::More
        } else if begun == TAG {
            self.wrapper = Wrapper::Tag;
            self.phase = Phase::Between { fresh: true };
            Verdict::More
        } else if FENCE.starts_with(begun) || TAG.starts_with(begun) {
            Verdict::More
        } else {
            Verdict::Text
        }
    }
}

impl Scan {
    /// Takes the next character; true when the value that began has ended.
    fn step(&mut self, c: char) -> bool {
        if self.in_string {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth += 1,
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

/// Whether JSON that has only begun could still be a call: its first key must be one of a call's.
fn begins_like_a_call(json: &str) -> bool {
    let inner = json.trim_start_matches(|c: char| c.is_whitespace() || c == '[');
    let Some(first) = inner.strip_prefix('{') else { return inner.is_empty() };
    let first = first.trim_start();
    ["\"name\"", "\"tool\"", "\"arguments\"", "\"parameters\""].iter().any(|key| key.starts_with(first) || first.starts_with(key))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow, alias = "tool")]
    name: Cow<'a, str>,
    #[serde(borrow, alias = "parameters")]
    arguments: &'a RawValue,
}

/// The calls that a whole JSON value is: one object, or a list of nothing but calls.
fn read_calls(json: &str, tools: &[String]) -> Option<Vec<(String, String)>> {
    let objects: Vec<&RawValue> =
        if json.starts_with('[') { serde_json::from_str(json).ok()? } else { vec![serde_json::from_str(json).ok()?] };
    let calls: Option<Vec<_>> = objects
        .into_iter()
        .map(|object| {
            // A derived reader would take a list of the fields' values for the object.
            let w: Written<'_> = object.get().strip_prefix('{').and_then(|_| serde_json::from_str(object.get()).ok())?;
            let raw = w.arguments.get();
            // Some models write the arguments as a string of JSON, as the API itself has them.
            let args = if raw.starts_with('"') { serde_json::from_str::<String>(raw).ok()? } else { raw.to_owned() };
            let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&args).is_ok();
            (is_object && tools.iter().any(|t| *t == w.name)).then(|| (w.name.into_owned(), args))
        })
        .collect();
    calls.filter(|c| !c.is_empty())
}

#[cfg(test)]
#[path = "text_calls_tests.rs"]
mod tests;
