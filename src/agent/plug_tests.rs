//! The plug is pulled at every place of a task: a task of twelve turns with tools in memory, every kind of fault at every turn
//! and, where it has a place, at every event's border, a byte before and behind it, and at seeded places between, over every
//! ordered pair of wires. The workspace is the fault-free run's at the end, byte for byte, and each effect happened once.
//!
//! A seeded part of it runs by default; `PUP_PLUG=all` runs all.

use super::border::Border;
use super::driver::{Compacting, Driver};
use super::event::{AgentEvent, Answer as Word, Approver, EventSink, Question};
use super::resume::Unfinished;
use super::slim::Slimmer;
use super::steps::Steps;
use super::turn::{Limits, Turn};
use super::{Approve, Stopper};
use crate::base::Cause;
use crate::config::instructions::Sources;
use crate::model::history::Checker;
use crate::model::{BlockKind, Class, Delta, History, Message, ProviderError, Scope, Stop, StreamEvent, ToolSpec, Usage};
use crate::provider::{Answer, Answers, Piece, Provider, Scripted, Timeouts};
use crate::route::{Link, Rotation, Router, Rules};
use crate::tool::person::Inquiry;
use crate::tool::{Args, Context, Effect, Offers, Output, Registry, Running, Tool, ToolError};
use crate::wire::{Encoded, Wire, anthropic, antigravity, gemini, openai_chat, openai_responses};
use crate::workspace::Workspace;
use bytes::Bytes;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WIRES: [Wire; 5] = [Wire::OpenaiChat, Wire::OpenaiResponses, Wire::Anthropic, Wire::Gemini, Wire::Antigravity];
const TURNS: usize = 12;
/// Cases of a default run.
const SAMPLE: usize = 2_500;
/// Seeded places in each reply.
const PLACES: usize = 64;

/// The files of the task, and what was done to them.
#[derive(Debug, Clone, Default, PartialEq)]
struct Files {
    texts: BTreeMap<String, String>,
    done: Vec<String>,
}

/// What each turn calls: tool, file, text.
fn calls(turn: usize) -> Vec<(&'static str, String, String)> {
    let file = |n: usize| format!("file{}.txt", n % 4);
    let text = |n: usize| format!("turn {turn}, line {n}: \"quoted\", \u{e9}\u{4e16}\n");
    match turn {
        t if t + 1 == TURNS => Vec::new(),
        t if t % 3 == 2 => vec![("look", file(t), String::new()), ("add", file(t), text(0))],
        t if t % 4 == 3 => vec![("add", file(t), text(0)), ("add", file(t), text(1)), ("put", file(t + 1), text(2))],
        t => vec![("add", file(t), text(0))],
    }
}

/// How many results a conversation has at each turn.
fn turn_of(results: usize) -> Option<usize> {
    let mut sum = 0;
    for turn in 0..TURNS {
        if sum == results {
            return Some(turn);
        }
        sum += calls(turn).len();
    }
    None
}

fn events(turn: usize) -> Vec<StreamEvent> {
    let text = |ix: usize, text: String| StreamEvent::Delta { ix, delta: Delta::Text { text } };
    let mut events = vec![StreamEvent::Start { id: Some(format!("reply{turn}")), model: Some("m".into()) }];
    events.push(StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text });
    events.push(text(0, format!("Step {turn} ")));
    events.push(text(0, "of the task.".to_owned()));
    events.push(StreamEvent::BlockEnd { ix: 0 });
    for (n, (name, file, content)) in calls(turn).into_iter().enumerate() {
        let args = json!({ "path": file, "text": content }).to_string();
        let half = (0..=args.len() / 2).rev().find(|at| args.is_char_boundary(*at)).unwrap_or(0);
        let ix = n + 1;
        events.push(StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id: format!("call_{turn}_{n}"), name: name.to_owned() } });
        for part in [&args[..half], &args[half..]] {
            events.push(StreamEvent::Delta { ix, delta: Delta::Args { text: part.to_owned() } });
        }
        events.push(StreamEvent::BlockEnd { ix });
    }
    events.push(StreamEvent::Usage { usage: Usage { input: Some(100), output: Some(20), ..Usage::default() } });
    events.push(StreamEvent::End { stop: if turn + 1 < TURNS { Stop::ToolUse } else { Stop::End }, reason: None });
    events
}

/// A stream as a server of this wire writes it.
fn written(wire: Wire, events: &[StreamEvent]) -> Vec<u8> {
    let (id, model) = ("r".to_owned(), "m".to_owned());
    match wire {
        Wire::OpenaiChat => openai_chat::encode_events(openai_chat::Head { id, model, created: 0 }, events).0,
        Wire::OpenaiResponses => openai_responses::encode_events(openai_responses::Head { id, model, created: 0 }, events).0,
        Wire::Anthropic => anthropic::encode_events(anthropic::Head { id, model }, events).0,
        Wire::Gemini => gemini::encode_events(gemini::Head { id, model }, events).0,
        Wire::Antigravity => antigravity::reply_writer(gemini::Head { id, model }).write_all(events).0,
        Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Burst,
    Day,
    Quota,
    Billing,
    Unauthorized,
    Forbidden,
    Server,
    Overloaded,
    OverloadInside,
    Reset,
    Cut,
    StallBefore,
    StallMidway,
    Trickle,
    Malformed,
    Html,
}

const FAULTS: [Fault; 16] = [
    Fault::Burst,
    Fault::Day,
    Fault::Quota,
    Fault::Billing,
    Fault::Unauthorized,
    Fault::Forbidden,
    Fault::Server,
    Fault::Overloaded,
    Fault::OverloadInside,
    Fault::Reset,
    Fault::Cut,
    Fault::StallBefore,
    Fault::StallMidway,
    Fault::Trickle,
    Fault::Malformed,
    Fault::Html,
];

impl Fault {
    /// It happens somewhere within the reply.
    fn has_place(self) -> bool {
        matches!(self, Self::OverloadInside | Self::Reset | Self::Cut | Self::StallMidway | Self::Trickle | Self::Malformed)
    }
}

/// One case of the matrix.
#[derive(Debug, Clone, Copy)]
struct Case {
    wires: (Wire, Wire),
    turn: usize,
    fault: Fault,
    at: usize,
    /// How many requests of the turn meet it; the first provider is well again then.
    times: usize,
}

/// A provider that answers each turn of the task.
#[derive(Debug)]
struct Server {
    wire: Wire,
    replies: Arc<Vec<Vec<u8>>>,
    case: Option<Case>,
    met: AtomicUsize,
    wrong: Arc<Mutex<Vec<String>>>,
}

fn body(bytes: &[u8]) -> VecDeque<Piece> {
    [Piece::Bytes(Bytes::copy_from_slice(bytes), Duration::ZERO)].into()
}

impl Answers for Server {
    fn answer(&self, request: &Encoded) -> Result<Answer, ProviderError> {
        let text = String::from_utf8_lossy(&request.to_vec()).into_owned();
        let Some(turn) = turn_of(text.matches("done#").count()) else {
            self.wrong.lock().unwrap().push(format!("a request with {} results", text.matches("done#").count()));
            return Err(ProviderError::network("no such turn"));
        };
        let whole = &self.replies[turn];
        let case = self.case.filter(|case| case.turn == turn && self.met.fetch_add(1, Ordering::Relaxed) < case.times);
        let Some(Case { fault, at, .. }) = case else { return Ok(Answer { status: 200, headers: Vec::new(), body: body(whole) }) };
        let error = |status: u16, kind: &str, message: &str| {
            let json = match self.wire {
                Wire::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
                Wire::Gemini | Wire::Antigravity => {
                    json!({"error": {"code": status, "status": kind.to_ascii_uppercase(), "message": message}})
                }
                _ => json!({"error": {"type": kind, "code": kind, "message": message}}),
            };
            Answer { status, headers: Vec::new(), body: body(json.to_string().as_bytes()) }
        };
        let after = |seconds: u32, answer: Answer| Answer { headers: vec![("retry-after".into(), seconds.to_string())], ..answer };
        let part = &whole[..at.min(whole.len())];
        let stream = |body: VecDeque<Piece>| Answer { status: 200, headers: Vec::new(), body };
        Ok(match fault {
            Fault::Burst => after(1, error(429, "rate_limit_error", "too many requests")),
            Fault::Day => after(86_400, error(429, "rate_limit_error", "too many requests today")),
            Fault::Quota => error(429, "insufficient_quota", "You exceeded your current quota"),
            Fault::Billing => error(402, "billing_error", "Insufficient credits"),
            Fault::Unauthorized => error(401, "authentication_error", "invalid api key"),
            Fault::Forbidden => error(403, "permission_error", "not allowed"),
            Fault::Server => error(500, "api_error", "sorry"),
            Fault::Overloaded => error(529, "overloaded_error", "Overloaded"),
            Fault::OverloadInside => {
                let error = ProviderError::new(Class::Overloaded, Scope::Model, "Overloaded");
                let all = events(turn);
                let mut before: Vec<StreamEvent> = all.iter().take(1 + at % (all.len() - 1)).cloned().collect();
                before.push(StreamEvent::Error { error });
                stream(body(&written(self.wire, &before)))
            }
            Fault::Reset => {
                let mut pieces = body(part);
                pieces.push_back(Piece::Cut);
                stream(pieces)
            }
            Fault::Cut => stream(body(part)),
            Fault::StallBefore => stream([Piece::Silence].into()),
            Fault::StallMidway => {
                let mut pieces = body(part);
                pieces.push_back(Piece::Silence);
                stream(pieces)
            }
            Fault::Trickle => {
                let mut pieces = body(part);
                let slow = whole[part.len()..].chunks(5);
                pieces.extend(slow.map(|c| Piece::Bytes(Bytes::copy_from_slice(c), Duration::from_millis(50))));
                stream(pieces)
            }
            Fault::Malformed => {
                // The event at this place ends in the middle of its data, and another one begins.
                let line = part.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
                let data = whole[line..].iter().position(|b| *b == b'{').map_or(whole.len(), |brace| line + brace + 1);
                let at = at.max(data).min(whole.len());
                stream(body(&[&whole[..at], &b"\n\n"[..], &whole[at..]].concat()))
            }
            Fault::Html => {
                let page = b"<!DOCTYPE html><html><body><h1>Bad Gateway</h1></body></html>";
                Answer { status: if at % 2 == 0 { 502 } else { 200 }, headers: Vec::new(), body: body(page) }
            }
        })
    }
}

/// A tool over [`Files`].
struct InMemory(&'static str, Arc<Mutex<Files>>);

impl Tool for InMemory {
    fn name(&self) -> &'static str {
        self.0
    }

    fn spec(&self) -> ToolSpec {
        let text = json!({"type": "string"});
        let parameters = json!({"type": "object", "properties": {"path": text, "text": text}, "required": ["path", "text"]});
        ToolSpec { name: self.0.into(), description: format!("{} a file", self.0), parameters }
    }

    fn effect(&self, args: &Args, _: &Context) -> Result<Effect, ToolError> {
        let path = args.get("path").and_then(|p| p.as_str()).ok_or_else(|| ToolError::model("no path"))?;
        Ok(if self.0 == "look" { Effect::ReadOnly } else { Effect::Writes(vec![path.into()]) })
    }

    fn describe(&self, _: &Args) -> String {
        self.0.to_owned()
    }

    fn run<'a>(&'a self, args: &'a Args, _: &'a Context) -> Running<'a> {
        Box::pin(async move {
            let [path, text] = ["path", "text"].map(|name| args.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned());
            let files = &mut *self.1.lock().unwrap();
            match self.0 {
                "put" => drop(files.texts.insert(path.clone(), text.clone())),
                "add" => files.texts.entry(path.clone()).or_default().push_str(&text),
                _ => {}
            }
            if self.0 != "look" {
                files.done.push(format!("{} {path} {text}", self.0));
            }
            Ok(Output { text: format!("done# {}", files.texts.get(&path).map_or(0, String::len)), ..Output::default() })
        })
    }
}

struct Nobody;

impl EventSink for Nobody {
    fn emit(&mut self, _: AgentEvent<'_>) {}
}

impl Approver for Nobody {
    fn ask<'a>(&'a mut self, _: Question<'a>) -> Pin<Box<dyn Future<Output = Word> + 'a>> {
        Box::pin(std::future::ready(Word::No))
    }

    fn inquire<'a>(&'a mut self, _: &'a Inquiry) -> Pin<Box<dyn Future<Output = Option<String>> + 'a>> {
        Box::pin(std::future::ready(None))
    }
}

/// Where a run has come to.
#[derive(Clone)]
struct Stand {
    history: History,
    files: Files,
}

/// What all cases share.
struct Bench {
    runtime: tokio::runtime::Runtime,
    context: Context,
    replies: BTreeMap<&'static str, Arc<Vec<Vec<u8>>>>,
}

impl Bench {
    fn new(folder: &std::path::Path) -> Self {
        let replies = |wire: Wire| Arc::new((0..TURNS).map(|turn| written(wire, &events(turn))).collect::<Vec<_>>());
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap(),
            context: Context::new(Workspace::open(folder).unwrap()),
            replies: WIRES.into_iter().map(|wire| (wire.as_str(), replies(wire))).collect(),
        }
    }

    fn link(&self, name: &str, wire: Wire, case: Option<Case>, wrong: &Arc<Mutex<Vec<String>>>) -> Link {
        let wait = Duration::from_secs(30);
        let timeouts = Timeouts { connect: wait, first_byte: wait, idle: wait };
        let replies = Arc::clone(&self.replies[wire.as_str()]);
        let server = Server { wire, replies, case, met: AtomicUsize::new(0), wrong: Arc::clone(wrong) };
        let provider = Scripted::answering(name, wire, timeouts, Box::new(server));
        Link::new(format!("{name}/m"), "m".into(), Provider::Scripted(provider), None)
    }

    /// Runs from a stand on, for so many turns.
    fn run(&self, (first, second): (Wire, Wire), case: Option<Case>, from: &Stand, turns: u32) -> Result<(Stand, Cause), String> {
        let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
        let links = vec![self.link("first", first, case, &wrong), self.link("second", second, None, &wrong)];
        let files = Arc::new(Mutex::new(from.files.clone()));
        let registry =
            Registry::new(["put", "add", "look"].into_iter().map(|n| Arc::new(InMemory(n, Arc::clone(&files))) as Arc<dyn Tool>).collect());
        let mut turn = Turn::resume(from.history.clone(), Unfinished::default(), Limits { max_turns: turns, loop_guard: 50 });
        let offers = Offers::new(&registry, false);
        let (_, mut inquiries) = tokio::sync::mpsc::unbounded_channel();
        let (_, mut output) = tokio::sync::mpsc::unbounded_channel();
        let end = self.runtime.block_on(async {
            let router = Router::new(links, Rules::default(), Rotation::default()).in_virtual_time();
            let mut driver = Driver {
                router: &router,
                offers: &offers,
                context: &self.context,
                output: &mut output,
                scribe: &super::scribe::Scribe::default(),
                steps: &mut Steps::default(),
                border: &mut Border::new(Sources::default()),
                inquiries: &mut inquiries,
                sink: &mut Nobody,
                approver: &mut Nobody,
                approve: Approve::All,
                stopper: Stopper::default(),
                until: None,
                temperature: None,
                checker: &mut Checker::default(),
                slimmer: &mut Slimmer::default(),
                compacting: Compacting::Off,
                shortened: 0,
                attempts: Vec::new(),
                switches: true,
            };
            driver.run(&mut turn).await
        });
        let outcome = end.map_err(|f| f.message)?;
        if let Some(wrong) = wrong.lock().unwrap().first() {
            return Err(wrong.clone());
        }
        if !matches!(outcome.cause, Cause::Done | Cause::Limit) {
            return Err(format!("{outcome:?}"));
        }
        let files = files.lock().unwrap().clone();
        Ok((Stand { history: turn.history().clone(), files }, outcome.cause))
    }
}

fn beginning() -> Stand {
    Stand { history: [Message::user("Do the task.")].into_iter().collect(), files: Files::default() }
}

/// Each place of a reply at which a fault happens.
fn places(reply: &[u8], seed: usize) -> Vec<usize> {
    let mut places = Vec::new();
    for at in 0..reply.len() {
        if reply[at..].starts_with(b"\n\n") || reply[at..].starts_with(b"\r\n\r\n") {
            let border = at + if reply[at] == b'\r' { 4 } else { 2 };
            places.extend([border - 1, border, (border + 1).min(reply.len())]);
        }
    }
    let mut state = seed as u64 + 1;
    for _ in 0..PLACES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        places.push(usize::try_from(state >> 33).unwrap() % reply.len());
    }
    places.sort_unstable();
    places.dedup();
    places
}

fn cases(bench: &Bench) -> Vec<Case> {
    let mut all = Vec::new();
    for first in WIRES {
        for second in WIRES {
            for turn in 0..TURNS {
                let reply = &bench.replies[first.as_str()][turn];
                for fault in FAULTS {
                    let places = if fault.has_place() { places(reply, turn) } else { vec![0, 1] };
                    let case =
                        |(n, at): (usize, usize)| Case { wires: (first, second), turn, fault, at, times: if n % 2 == 0 { 1 } else { 99 } };
                    all.extend(places.into_iter().enumerate().map(case));
                }
            }
        }
    }
    all
}

#[test]
fn wherever_the_plug_is_pulled_the_task_ends_with_the_same_files_and_each_effect_once() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    let all = cases(&bench);
    let total = all.len();
    // A sample takes cases from everywhere: the step has no factor in common with what the loops above are made of.
    let step = if std::env::var_os("PUP_PLUG").is_some_and(|v| v == "all") { 1 } else { (total / SAMPLE) | 1 };
    let (mut wrong, mut ran) = (Vec::new(), 0usize);
    let parts: Vec<(Vec<String>, usize)> = std::thread::scope(|scope| {
        let all = &all;
        let folder = folder.path();
        let part = |n: usize| {
            move || {
                let bench = Bench::new(folder);
                let (mut wrong, mut ran) = (Vec::new(), 0);
                let mut stands: BTreeMap<(&str, usize), Stand> = BTreeMap::new();
                let (whole, cause) = bench.run((WIRES[0], WIRES[0]), None, &beginning(), 50).unwrap();
                assert_eq!((cause, whole.files.done.len()), (Cause::Done, (0..TURNS).flat_map(calls).filter(|c| c.0 != "look").count()));
                for case in all.iter().step_by(step).skip(n).step_by(2) {
                    let stand = stands.entry((case.wires.0.as_str(), case.turn)).or_insert_with(|| {
                        if case.turn == 0 {
                            return beginning();
                        }
                        bench.run((case.wires.0, case.wires.0), None, &beginning(), u32::try_from(case.turn).unwrap()).unwrap().0
                    });
                    ran += 1;
                    match bench.run(case.wires, Some(*case), stand, 50) {
                        Ok((end, Cause::Done)) if end.files == whole.files => {}
                        Ok((end, cause)) => wrong.push(format!("{case:?}: {cause:?} with {:?}", end.files.done)),
                        Err(e) => wrong.push(format!("{case:?}: {e}")),
                    }
                }
                (wrong, ran)
            }
        };
        let running: Vec<_> = (0..2).map(|n| scope.spawn(part(n))).collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    });
    for (w, n) in parts {
        wrong.extend(w);
        ran += n;
    }
    println!("{ran} of {total} cases");
    let list: Vec<&str> = wrong.iter().take(10).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {ran} cases\n{}", wrong.len(), list.join("\n"));
    assert!(ran >= SAMPLE.min(total) / 2);
}
