//! pup's own time of one turn, late in a history of N messages: check, encode, and the machine's steps. It must stay flat.
//!
//! What a turn costs besides is the network's, the tools' and the disk's.

#![allow(clippy::expect_used, reason = "a bench that cannot go on says so by failing")]

use code_pup::agent::turn::{Ran, Step};
use code_pup::agent::{Limits, Turn};
use code_pup::model::history::Checker;
use code_pup::model::{Block, History, Message, Reply, Request, Role, Stop, ToolCall, ToolResult, ToolSpec, Usage};
use code_pup::tool::Registry;
use code_pup::wire::{Dialect, Encoded, Encoder, Wire};
use divan::Bencher;
use std::sync::Arc;

fn main() {
    divan::main();
}

const LENGTHS: [usize; 4] = [10, 100, 1_000, 10_000];

/// A session that has come as far as `messages` messages and has sent them all.
struct Late {
    turn: Turn,
    checker: Checker,
    encoder: Encoder,
    tools: Arc<[ToolSpec]>,
    reply: Reply,
}

fn call(n: usize) -> ToolCall {
    let args_raw = format!(r#"{{"command":"cargo test --lib part_{n}","timeout_s":60}}"#);
    ToolCall { id: format!("call_{n}"), name: "shell".to_owned(), args_raw, signature: None }
}

fn asks(n: usize) -> Message {
    Message::new(Role::Assistant, vec![Block::ToolCall(call(n))])
}

fn result(n: usize) -> ToolResult {
    let text = format!("running {n} tests\n{}test result: ok. {n} passed; 0 failed\n", "test part::case ... ok\n".repeat(10));
    ToolResult::text(format!("call_{n}"), text, false)
}

fn late(messages: usize) -> Late {
    let mut history = History::default();
    history.push(Message::system("You are an agent that does things step by step."));
    history.push(Message::user("Run the tests of every part."));
    for n in 0..messages.saturating_sub(2) / 2 {
        history.push(asks(n));
        history.push(Message::results(vec![result(n)]));
    }
    let reply = Reply {
        message: asks(messages),
        stop: Stop::ToolUse,
        reason: None,
        usage: Usage::default(),
        id: None,
        model: None,
        complete: true,
        error: None,
    };
    let mut late = Late {
        turn: Turn::new(history, Limits { max_turns: u32::MAX, loop_guard: u32::MAX }),
        checker: Checker::default(),
        encoder: Encoder::new(Wire::OpenaiChat, Dialect::default()),
        tools: Registry::builtin().specs(),
        reply,
    };
    late.ask();
    late
}

impl Late {
    /// The way to a model call, as the driver goes it: the next step, the check of what is new, the request's bytes.
    fn ask(&mut self) -> Encoded {
        assert!(matches!(self.turn.step(), Step::CallModel), "the model is next");
        let history = self.turn.history();
        let mut broken = Vec::new();
        for message in history.iter().skip(self.checker.seen()) {
            broken.extend(self.checker.push(message));
        }
        broken.extend(self.checker.pending());
        assert!(broken.is_empty(), "{broken:?}");
        let request = Request {
            model: "m".to_owned(),
            messages: history.clone(),
            tools: Arc::clone(&self.tools),
            stream: true,
            ..Request::default()
        };
        self.encoder.encode(&request)
    }

    /// One whole turn: the reply comes, its call runs (in no time), and the next request is ready to be sent.
    fn turn(&mut self) -> Encoded {
        self.turn.replied(self.reply.clone());
        let Step::RunTools(calls) = self.turn.step() else {
            return Encoded { path: "".into(), headers: Vec::new(), body: Vec::new(), losses: Vec::new() };
        };
        for call in calls {
            self.turn.tool_done(ToolResult::text(call.id, "ok\n", false), Ran::Allowed(None));
        }
        self.ask()
    }
}

#[divan::bench(args = LENGTHS, sample_count = 100, sample_size = 1)]
fn own_time(bencher: Bencher<'_, '_>, messages: usize) {
    bencher.with_inputs(|| late(messages)).bench_local_refs(|late| {
        let body = late.turn();
        assert!(body.len() > 2_000, "the request holds the tools and the history");
        body
    });
}

/// What it would cost without the memory of what was sent: everything from the beginning, each time.
#[divan::bench(args = LENGTHS, sample_count = 20, sample_size = 1)]
fn from_scratch(bencher: Bencher<'_, '_>, messages: usize) {
    let forget = |mut late: Late| {
        late.encoder = Encoder::new(Wire::OpenaiChat, Dialect::default());
        late.checker = Checker::default();
        late
    };
    bencher.with_inputs(|| forget(late(messages))).bench_local_refs(Late::turn);
}
