//! Any history on any wire: what one provider's models said goes to every other one, and what arrives there is valid by
//! that provider's own rules, whole, free of what only its maker may see, and the same bytes turn after turn.

use crate::support::generate::parties::{self, Party};
use crate::support::generate::plan::{Plan, plan};
use crate::support::generate::shapes::{self, Tally};
use crate::support::generate::words::marks;
use crate::support::generate::{SERVED, Story, tell};
use crate::support::rules::{self, Args, Reading, Said};
use code_pup::model::history::Checker;
use code_pup::model::{Block, Loss, Message, Request, Role};
use code_pup::wire::{Encoder, Wire, encode};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

/// How often a run has to have seen each shape before it counts as a proof.
const EACH: usize = 100;

/// Runs `check` on generated stories and counts what was in them.
fn stories(check: impl Fn(&Story, &[Party]) -> Result<(), String>) -> Tally {
    let parties = parties::all();
    let tally = RefCell::new(Tally::default());
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&plan(), |plan: Plan| {
        let fail = |e: String| TestCaseError::fail(e);
        let story = tell(&plan, &parties).map_err(fail)?;
        tally.borrow_mut().count(&story, &parties);
        check(&story, &parties).map_err(fail)
    });
    match outcome {
        Ok(()) => tally.into_inner(),
        Err(TestError::Fail(why, plan)) => {
            let told = tell(&plan, &parties).map(|s| serde_json::to_string_pretty(&s.messages).unwrap());
            panic!("{why}\n\n{}\n\n{plan:?}", told.unwrap_or_default())
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn any_history_is_valid_whole_and_unforeign_on_any_wire() {
    let run = || {
        stories(|story, parties| {
            for target in parties {
                arrives(story, target).map_err(|e| format!("to {} of {}: {e}", target.origin.model, target.origin.provider))?;
            }
            Ok(())
        })
    };
    let mut tally = run();
    if Config::default().cases >= 256 {
        // The stories are drawn at random: a shape that they had too seldom gets another chance, not a lower bar.
        for _ in 0..2 {
            if !tally.rare(EACH, shapes::all(&SERVED)).is_empty() {
                tally.merge(run());
            }
        }
        let rare = tally.rare(EACH, shapes::all(&SERVED));
        assert!(rare.is_empty(), "too rare for a proof ({EACH} are asked for): {rare:?}");
    }
}

fn arrives(story: &Story, target: &Party) -> Result<(), String> {
    let model = &target.origin.model;
    let (body, losses) = encode(target.wire, &target.dialect, &story.plain(story.messages.len(), model));
    let text = || String::from_utf8_lossy(&body);
    let reading = read(target, &body)?;
    nothing_foreign(story, target, &body).map_err(|e| format!("{e}, in {}", text()))?;
    nothing_lost(story, &body, &losses).map_err(|e| format!("{e}, in {}\nlosses: {losses:?}", text()))?;
    every_call(story, &reading, &losses).map_err(|e| format!("{e}, in {}", text()))?;
    let (body, _) = encode(target.wire, &target.dialect, &story.request(model));
    read(target, &body)?;
    Ok(())
}

/// The body, read by the rules of its API, which it must not break.
fn read(target: &Party, body: &[u8]) -> Result<Reading, String> {
    let reading = rules::read(target.api, &target.origin.model, body);
    if reading.violations.is_empty() {
        return Ok(reading);
    }
    let found: Vec<String> = reading.violations.iter().map(ToString::to_string).collect();
    Err(format!("it breaks {:?}'s rules: {}\n{}", target.api, found.join("; "), String::from_utf8_lossy(body)))
}

/// The marks of a block, each with the letter of its kind.
fn marks_of(block: &Block) -> Vec<String> {
    let json = serde_json::to_string(block).unwrap();
    marks(&json).map(str::to_owned).collect()
}

fn holds(body: &[u8], mark: &str) -> bool {
    body.windows(mark.len()).any(|w| w == mark.as_bytes())
}

fn losses_at(losses: &[Loss], at: usize, block: usize) -> bool {
    let (message, block) = (format!("messages[{at}]"), format!("messages[{at}].blocks[{block}]"));
    losses.iter().any(|l| l.at == message || l.at == block || l.at.starts_with(&format!("{block}.")))
}

/// Signatures, encrypted and opaque items and providers' own ids are in the body only if their maker gets it.
fn nothing_foreign(story: &Story, target: &Party, body: &[u8]) -> Result<(), String> {
    for (at, message) in story.messages.iter().enumerate() {
        // What a client put beside its user's words belongs to that client's wire.
        let home = match message.role {
            Role::Assistant => message.origin.as_ref() == Some(&target.origin),
            _ => target.wire == Wire::Anthropic,
        };
        for (n, block) in message.blocks.iter().enumerate() {
            for mark in marks_of(block).iter().filter(|m| m.starts_with(['S', 'N'])) {
                if !home && holds(body, mark) {
                    return Err(format!("{mark} of messages[{at}].blocks[{n}] is foreign here"));
                }
            }
        }
    }
    Ok(())
}

/// Each text, result, argument, image and document is in the body, thinking and what is signed too, or a loss names its place.
fn nothing_lost(story: &Story, body: &[u8], losses: &[Loss]) -> Result<(), String> {
    let value: Value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let mut strings = Vec::new();
    gather(&value, &mut strings);
    for (at, message) in story.messages.iter().enumerate() {
        for (n, block) in message.blocks.iter().enumerate() {
            let lost = losses_at(losses, at, n);
            for mark in marks_of(block) {
                if !lost && !mark.starts_with('N') && !holds(body, &mark) {
                    return Err(format!("{mark} of messages[{at}].blocks[{n}] is lost, and no loss says so"));
                }
            }
            let texts: Vec<&str> = match block {
                Block::Text { text } => vec![text],
                Block::ToolResult(result) => {
                    let text = |p: &'_ code_pup::model::Part| matches!(p, code_pup::model::Part::Text { .. });
                    let parts = result.parts.iter().filter(|p| text(p));
                    parts.filter_map(|p| if let code_pup::model::Part::Text { text } = p { Some(text.as_str()) } else { None }).collect()
                }
                _ => vec![],
            };
            for text in texts.into_iter().filter(|t| !t.trim().is_empty()) {
                // Not even named losses may cost words that somebody said.
                if !strings.iter().any(|s| s.contains(text)) {
                    return Err(format!("the text {text:?} of messages[{at}].blocks[{n}] did not arrive whole"));
                }
            }
        }
    }
    Ok(())
}

fn gather<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(list) => list.iter().for_each(|v| gather(v, out)),
        Value::Object(map) => map.values().for_each(|v| gather(v, out)),
        _ => {}
    }
}

/// Calls and results arrive in number and order, with their names, arguments and words, each result at its own call.
fn every_call(story: &Story, reading: &Reading, losses: &[Loss]) -> Result<(), String> {
    let mut calls = reading.said.iter().filter_map(|s| if let Said::Call { name, args } = s { Some((name, args)) } else { None });
    let results: BTreeMap<usize, (&String, bool)> = reading
        .said
        .iter()
        .filter_map(|s| if let Said::Result { call, text, error } = s { Some((*call, (text, *error))) } else { None })
        .collect();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut number = 0;
    for (at, message) in story.messages.iter().enumerate() {
        let mut waiting = story.messages[at + 1..]
            .iter()
            .take_while(|m| m.role == Role::Tool)
            .flat_map(code_pup::model::Message::tool_results)
            .collect::<Vec<_>>();
        for (n, block) in message.blocks.iter().enumerate() {
            let Block::ToolCall(call) = block else { continue };
            let place = format!("messages[{at}].blocks[{n}]");
            let (name, args) = calls.next().ok_or_else(|| format!("the call at {place} did not arrive"))?;
            if *names.entry(call.name.as_str()).or_insert(name) != name {
                return Err(format!("{place}: the tool `{}` has two names", call.name));
            }
            same_args(call, args).map_err(|e| format!("{place}: {e}"))?;
            if matches!(args, Args::Object(_)) && call.args().is_err() && !losses_at(losses, at, n) {
                return Err(format!("{place}: no loss says that the arguments are no object"));
            }
            let result = waiting.iter().position(|r| r.call_id == call.id).map(|ix| waiting.remove(ix));
            let result = result.ok_or_else(|| format!("{place}: the story is broken"))?;
            let (words, _) = results.get(&number).ok_or_else(|| format!("the result of {place} did not arrive"))?;
            let lost = result.parts.iter().find_map(|p| match p {
                code_pup::model::Part::Text { text } if !text.trim().is_empty() && !words.contains(text.as_str()) => Some(text),
                _ => None,
            });
            if let Some(lost) = lost {
                return Err(format!("the result of {place} says {words:?}, not {lost:?}"));
            }
            number += 1;
        }
    }
    if calls.next().is_some() || results.len() != number {
        return Err("more calls or results arrived than there are".to_owned());
    }
    let distinct: HashSet<&str> = names.values().copied().collect();
    if distinct.len() != names.len() {
        return Err(format!("two tools have one name: {names:?}"));
    }
    let offered: Vec<&str> = story.tools.iter().map(|t| t.name.as_str()).collect();
    for (name, wire) in names {
        let here = offered.iter().position(|o| *o == name);
        if here.is_some_and(|ix| reading.tools.get(ix).is_none_or(|t| t != wire)) {
            return Err(format!("`{name}` is called `{wire}` but offered as {:?}", reading.tools));
        }
    }
    Ok(())
}

fn same_args(call: &code_pup::model::ToolCall, args: &Args) -> Result<(), String> {
    let raw = call.args_raw.as_str();
    let same = match (args, call.args()) {
        (Args::Text(text), Ok(map)) if map.is_empty() => serde_json::from_str::<Value>(text).is_ok_and(|v| v == Value::Object(map)),
        // What the model wrote, to the letter.
        (Args::Text(text), _) => text == raw,
        (Args::Object(value), Ok(map)) => *value == Value::Object(map),
        // What is no object stands somewhere in one, to the letter.
        (Args::Object(value), Err(_)) => {
            let mut strings = Vec::new();
            gather(value, &mut strings);
            strings.contains(&raw)
        }
    };
    if same { Ok(()) } else { Err(format!("the arguments {raw:?} became {args:?}")) }
}

/// Up to how many messages a history can be sent: wherever no call is open.
fn lengths(messages: &[Message]) -> Vec<usize> {
    let mut checker = Checker::default();
    let mut found = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        checker.push(message);
        let next_is_result = messages.get(at + 1).is_some_and(|m| m.role == Role::Tool);
        // The system messages at the beginning are one field on some wires; no request has them alone.
        let begun = message.role != Role::System || found.last() == Some(&at);
        if checker.pending().is_empty() && !next_is_result && begun {
            found.push(at + 1);
        }
    }
    found
}

#[test]
fn a_history_that_grows_keeps_its_bytes() {
    stories(|story, parties| {
        for target in parties {
            grows(story, target).map_err(|e| format!("to {} of {}: {e}", target.origin.model, target.origin.provider))?;
        }
        Ok(())
    });
}

/// Whatever is said next, here or by others in between (a failover and the way back), the bytes of what was sent stay.
fn grows(story: &Story, target: &Party) -> Result<(), String> {
    let model = &target.origin.model;
    // Two assistants in a row are one message on some wires. Where thinking stands inside of such a one, Anthropic refuses it
    // whether the request thinks or not, so the bytes of that turn cannot stay; real histories have that only behind a pause.
    let in_a_row = story.messages.windows(2).any(|w| w.iter().all(|m| m.role == Role::Assistant));
    let effort = story.settings.effort.filter(|_| !in_a_row).map(str::to_owned);
    let mut before: Option<(usize, Vec<u8>)> = None;
    let mut kept = Encoder::new(target.wire, target.dialect.clone());
    // It was asked only while its own models spoke, as in a session that fails over and comes back.
    let mut back = Encoder::new(target.wire, target.dialect.clone());
    for n in lengths(&story.messages) {
        // A request asks for what comes behind the user, or behind results.
        if story.messages[n - 1].role == Role::Assistant {
            continue;
        }
        let request = Request { reasoning_effort: effort.clone(), ..story.plain(n, model) };
        let (body, _) = encode(target.wire, &target.dialect, &request);
        if kept.encode(&request).to_vec() != body {
            return Err(format!("an encoder that saw the beginning writes {n} messages otherwise"));
        }
        let home =
            story.messages[..n].iter().rfind(|m| m.role == Role::Assistant).is_none_or(|m| m.origin.as_ref() == Some(&target.origin));
        if home && back.encode(&request).to_vec() != body {
            return Err(format!("an encoder that was away writes {n} messages otherwise"));
        }
        if let Some((m, earlier)) = &before {
            let shared = prefix(target, earlier);
            if !body.starts_with(shared) {
                let at = shared.iter().zip(&body).take_while(|(a, b)| a == b).count();
                let show = |bytes: &[u8]| String::from_utf8_lossy(&bytes[at.saturating_sub(60)..(at + 60).min(bytes.len())]).into_owned();
                return Err(format!(
                    "with {n} messages, the bytes of the first {m} changed at {at}: {} became {}",
                    show(earlier),
                    show(&body)
                ));
            }
        }
        before = Some((n, body));
    }
    Ok(())
}

/// A body up to the end of its messages, without the brackets that close the last of them.
fn prefix<'a>(target: &Party, body: &'a [u8]) -> &'a [u8] {
    let end = rules::messages(target.api, body).end;
    if body[..end].ends_with(b"[]") {
        return &body[..end - 1];
    }
    let closing: &[u8] = if matches!(target.wire.as_str(), "openai-chat" | "openai-responses") { b"]" } else { b"]}]" };
    body[..end].strip_suffix(closing).unwrap_or(&body[..end])
}
