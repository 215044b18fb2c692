//! `recall`: finds again what was taken out of a long conversation. The session's journal has all of it.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::text;
use crate::model::{Block, Message, Role, ToolSpec};
use crate::session::Journal;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// How many passages are shown.
const PASSAGES: usize = 8;
/// Bytes of one.
const PASSAGE: usize = 700;
/// Lines around the one that fits best.
const AROUND: usize = 2;

pub struct Recall {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct RecallArgs {
    /// Words that it had, or a call's id.
    query: String,
}

/// A text of the conversation.
struct Said {
    /// Which message of the conversation it stood in, from 1.
    at: usize,
    who: String,
    text: String,
    /// The id of the call that it answers.
    call: Option<String>,
}

impl Recall {
    pub fn new() -> Self {
        Self { schema: schema::of::<RecallArgs>() }
    }

    fn search(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let RecallArgs { query } = args::read(self.name(), &self.schema, args)?;
        let Some(path) = &ctx.journal else {
            return Err(ToolError::model("this session is not recorded, so nothing of it can be found again"));
        };
        let loaded = Journal::load(path)?;
        let all = said(loaded.history.iter().map(AsRef::as_ref));
        let query = query.trim().trim_matches('`');
        if let Some(one) = all.iter().find(|s| s.call.as_deref() == Some(query)) {
            let room = ctx.limits.output_bytes;
            let whole = if one.text.len() <= room {
                one.text.clone()
            } else {
                format!(
                    "{}\n[... {} bytes in all ...]\n{}",
                    text::prefix(&one.text, room * 2 / 3),
                    one.text.len(),
                    text::suffix(&one.text, room / 4)
                )
            };
            return Ok(Output { text: format!("[{}]\n{whole}", one.who), summary: format!("the output of {query}"), ..Output::default() });
        }
        let words = words(query);
        if words.is_empty() {
            return Err(ToolError::model("the query has no words to look for"));
        }
        let found = best(&all, query, &words);
        if found.is_empty() {
            return Err(ToolError::model(format!("nothing of this session has any of: {}", words.join(", "))));
        }
        let mut out = String::new();
        let mut shown: u64 = 0;
        for (said, passage) in found {
            let entry = format!("[message {}, {}]\n{passage}\n\n", said.at, said.who);
            if out.len() + entry.len() > ctx.limits.output_bytes && shown > 0 {
                break;
            }
            out.push_str(&entry);
            shown += 1;
        }
        Ok(Output { text: out.trim_end().to_owned(), summary: text::counted(shown, "passage"), ..Output::default() })
    }
}

/// The conversation's texts. What an earlier search found is none of them.
fn said<'m>(messages: impl Iterator<Item = &'m Message>) -> Vec<Said> {
    let mut calls: HashMap<&str, (&str, &str)> = HashMap::new();
    let mut all = Vec::new();
    for (ix, message) in messages.enumerate() {
        for block in &message.blocks {
            let (who, text, call) = match block {
                Block::Text { text } => {
                    let who = match message.role {
                        Role::User => "the user",
                        Role::Assistant => "you",
                        Role::System | Role::Tool => continue,
                    };
                    (who.to_owned(), text.clone(), None)
                }
                Block::ToolCall(call) => {
                    calls.insert(&call.id, (&call.name, &call.args_raw));
                    if call.name == "recall" {
                        continue;
                    }
                    (format!("your call of {}", call.name), call.args_raw.clone(), None)
                }
                Block::ToolResult(result) => {
                    let (name, args) = calls.get(result.call_id.as_str()).copied().unwrap_or(("?", ""));
                    if name == "recall" {
                        continue;
                    }
                    let who = format!("result of {name} {}, id {}", text::one_line(args, 100), result.call_id);
                    (who, result.joined(), Some(result.call_id.clone()))
                }
                Block::Thinking { .. } | Block::Image { .. } | Block::Document { .. } | Block::Opaque { .. } => continue,
            };
            all.push(Said { at: ix + 1, who, text, call });
        }
    }
    all
}

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text
        .to_lowercase()
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|w| w.chars().count() > 1 || w.chars().all(|c| c.is_numeric() || !c.is_ascii()))
        .filter(|w| !w.is_empty())
        .map(str::to_owned)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The passages that fit best, each from another text. A word that stands in few texts tells more than one of many.
fn best<'s>(all: &'s [Said], query: &str, words: &[String]) -> Vec<(&'s Said, String)> {
    let lower: Vec<String> = all.iter().map(|s| s.text.to_lowercase()).collect();
    let weights: Vec<f64> = words
        .iter()
        .map(|w| {
            let texts = lower.iter().filter(|t| has(t, w)).count();
            (1.0 + all.len() as f64 / (texts as f64 + 0.5)).ln()
        })
        .collect();
    let score = |text: &str| -> f64 { words.iter().zip(&weights).filter(|(w, _)| has(text, w)).map(|(_, weight)| weight).sum() };
    let phrase = query.to_lowercase();
    let mut found: Vec<(f64, &Said, String)> = Vec::new();
    for (said, lower) in all.iter().zip(&lower) {
        let lines: Vec<&str> = said.text.lines().collect();
        let scored = lower.lines().enumerate().map(|(ix, line)| (ix, score(line)));
        let Some((at, line)) = scored.max_by(|(a, x), (b, y)| x.total_cmp(y).then(b.cmp(a))).filter(|(_, s)| *s > 0.0) else { continue };
        let near = lines.get(at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len())).unwrap_or_default().join("\n");
        // The line counts most, what stands around it a little.
        let literal = if lower.lines().nth(at).is_some_and(|l| has(l, &phrase)) { 2.0 * line } else { 0.0 };
        let all_of_it = literal + line + score(&near.to_lowercase()) / 4.0 + score(lower) / 8.0;
        let passage = if near.len() <= PASSAGE { near } else { around(lines.get(at).copied().unwrap_or_default(), words) };
        found.push((all_of_it, said, passage));
    }
    found.sort_by(|(a, s, _), (b, t, _)| b.total_cmp(a).then(t.at.cmp(&s.at)));
    let mut passages: Vec<(&Said, String)> = Vec::new();
    for (_, said, passage) in found {
        if passages.len() < PASSAGES && !passages.iter().any(|(_, p)| *p == passage) {
            passages.push((said, passage));
        }
    }
    passages
}

/// Whether the text has the word. Short ones, and those that are numbers, stand alone: `7` is not in `77`.
fn has(text: &str, word: &str) -> bool {
    let loose = word.len() > 3 && !word.ends_with(|c: char| c.is_ascii_digit());
    text.match_indices(word).any(|(at, _)| {
        let alone = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        loose
            || !word.is_ascii()
            || (alone(text.get(..at).and_then(|t| t.chars().next_back()))
                && alone(text.get(at + word.len()..).and_then(|t| t.chars().next())))
    })
}

/// The part of a long line where a word stands.
fn around(line: &str, words: &[String]) -> String {
    if line.len() <= PASSAGE {
        return line.to_owned();
    }
    let lower = line.to_lowercase();
    let at = words.iter().filter_map(|w| lower.find(w.as_str())).min().unwrap_or(0);
    // Lower case may be longer than what was written: the place is only near.
    let head = text::prefix(line, (at + PASSAGE / 2).min(line.len()));
    format!("... {} ...", text::suffix(head, PASSAGE))
}

impl Tool for Recall {
    fn name(&self) -> &'static str {
        "recall"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Find earlier parts of this session that were taken out of the conversation.".into();
        ToolSpec { name: self.name().into(), description, parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        format!("{}: {}", self.name(), args::peek(args, "query").unwrap_or("?"))
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(async move { self.search(args, ctx) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ToolCall, ToolResult};

    fn conversation() -> Vec<Message> {
        let call = |id: &str, name: &str, args: &str| {
            Message::new(
                Role::Assistant,
                vec![Block::ToolCall(ToolCall { id: id.into(), name: name.into(), args_raw: args.into(), signature: None })],
            )
        };
        let long = format!("{}the needle is here{}", "hay ".repeat(900), " hay".repeat(900));
        vec![
            Message::system("the port is in the prompt"),
            Message::user("Which port does the server use?"),
            call("c1", "shell", r#"{"command":"cat conf"}"#),
            Message::results(vec![ToolResult::text("c1", "a = 1\nserver_port = 8417\nb = 2\nc = 3\nd = 4\ne = 5", false)]),
            Message::assistant("The server's port is 8417."),
            call("c2", "recall", r#"{"query":"port"}"#),
            Message::results(vec![ToolResult::text("c2", "port port port 8417", false)]),
            call("c3", "shell", "{}"),
            Message::results(vec![ToolResult::text("c3", long, false)]),
        ]
    }

    fn top(query: &str) -> Vec<(usize, String)> {
        let (all, messages) = (words(query), conversation());
        best(&said(messages.iter()), query, &all).into_iter().map(|(s, p)| (s.at, p)).collect()
    }

    #[test]
    fn the_line_that_has_the_rarest_words_comes_first_with_what_stands_around_it() {
        let found = top("server_port");
        assert_eq!(found, [(4, "a = 1\nserver_port = 8417\nb = 2\nc = 3".to_owned())]);
        assert_eq!(top("the port 8417").first().unwrap().1, "The server's port is 8417.");
        let places: Vec<usize> = top("port").into_iter().map(|(at, _)| at).collect();
        assert!(places.iter().all(|at| ![1, 6, 7].contains(at)), "neither the system message nor an earlier search: {places:?}");
        let needle = top("NEEDLE");
        assert!(needle[0].1.contains("the needle is here") && needle[0].1.len() < PASSAGE + 20);
        assert!(top("nothing_like_it").is_empty() && words("? -").is_empty());
    }
}
