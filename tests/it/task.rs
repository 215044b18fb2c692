//! A small task for a scripted model whose every effect shows when it happens twice, and what must hold at its end.

use crate::support::{Api, Launch, Outcome, Reply, Request, Server, TestEnv};
use code_pup::model::{BlockKind, Delta, Stop, StreamEvent, Usage};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The model's last word, longer than any one piece of the stream.
pub const FINAL: &str = "Done: notes.txt says two lines, and log.txt was appended once. Nothing else was touched.";

/// How many replies the task has: three with one call each, then [`FINAL`].
pub const TURNS: usize = 4;

/// Reply `k` belongs to a request with `k` tool results. Creating the file again fails, so does replacing again, and the
/// appended line counts itself.
pub fn replies() -> [Reply; TURNS] {
    [
        Reply::tool_call("create_file", json!({"path": "notes.txt", "content": "one line\nsecond line\n"})),
        Reply::text("Now the log, with a command that must run exactly once.")
            .and_call("shell", &json!({"command": "echo ran >> log.txt; wc -l < log.txt"})),
        Reply::tool_call(
            "replace_in_file",
            json!({"path": "notes.txt", "replacements": [{"old_str": "one line", "new_str": "two lines"}]}),
        ),
        Reply::text(FINAL),
    ]
}

/// The same replies as events, for the server half of any wire: thinking with a proof before the first call, text before
/// the second one.
pub fn events() -> [Vec<StreamEvent>; TURNS] {
    let text = |text: &str| {
        let piece = |t: &str| StreamEvent::Delta { ix: 0, delta: Delta::Text { text: t.into() } };
        let (a, b) = text.split_at(text.len() / 2);
        vec![StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }, piece(a), piece(b), StreamEvent::BlockEnd { ix: 0 }]
    };
    let thinking = || {
        let delta = |delta| StreamEvent::Delta { ix: 0, delta };
        vec![
            StreamEvent::BlockStart { ix: 0, kind: BlockKind::Thinking },
            delta(Delta::Thinking { text: THOUGHT.into() }),
            delta(Delta::Signature { text: PROOF.into() }),
            StreamEvent::BlockEnd { ix: 0 },
        ]
    };
    let call = |id: &str, name: &str, args: &Value| {
        let (id, name, text) = (id.to_owned(), name.to_owned(), args.to_string());
        vec![
            StreamEvent::BlockStart { ix: 1, kind: BlockKind::ToolCall { id, name } },
            StreamEvent::Delta { ix: 1, delta: Delta::Args { text } },
            StreamEvent::BlockEnd { ix: 1 },
        ]
    };
    let create = json!({"path": "notes.txt", "content": "one line\nsecond line\n"});
    let log = json!({"command": "echo ran >> log.txt; wc -l < log.txt"});
    let replace = json!({"path": "notes.txt", "replacements": [{"old_str": "one line", "new_str": "two lines"}]});
    let turns = [
        [thinking(), call("toolu_1", "create_file", &create)].concat(),
        [text("Now the log."), call("toolu_2", "shell", &log)].concat(),
        call("toolu_3", "replace_in_file", &replace),
        text(FINAL),
    ];
    let mut n = 0;
    turns.map(|blocks| {
        n += 1;
        let usage = Usage { input: Some(100), cache_read: Some(7), output: Some(20), ..Usage::default() };
        let stop = if n == TURNS { Stop::End } else { Stop::ToolUse };
        let start = StreamEvent::Start { id: Some(format!("msg_{n}")), model: Some("mock-model".into()) };
        [vec![start], blocks, vec![StreamEvent::Usage { usage }, StreamEvent::End { stop, reason: None }]].concat()
    })
}

/// What the model thought before the first call, and its proof.
pub const THOUGHT: &str = "what first?";
pub const PROOF: &str = "Proof+/1=";

/// What a task over [`events`] must have done in the end. Returns the result object.
#[track_caller]
pub fn assert_done(env: &TestEnv, out: &Outcome) -> Value {
    let result = out.json();
    assert_eq!((out.code, &result["text"]), (Some(0), &json!(FINAL)), "{}", out.report());
    assert_eq!((&result["turns"], &result["tool_calls"]), (&json!(TURNS), &json!(TURNS - 1)), "{}", out.report());
    assert_eq!((env.read("notes.txt").as_str(), env.read("log.txt").as_str()), ("two lines\nsecond line\n", "ran\n"), "{}", out.report());
    result
}

/// `pup run` of the task with every tool allowed and the answer as one object.
pub fn launch(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--yolo", "--output", "json", "keep the notes"]).model_server(server)
}

/// The same, over this API.
pub fn launch_on(api: Api, env: &TestEnv, server: &Server) -> Launch {
    launch(env, server).args(api.args())
}

/// Each of these with each API.
pub fn on_all<T>(rows: &[T]) -> Vec<(Api, &T)> {
    Api::ALL.iter().flat_map(|api| rows.iter().map(move |row| (*api, row))).collect()
}

/// Everything that must hold when the task was finished, whatever went wrong on the way. Returns the result object.
#[track_caller]
pub fn assert_finished(env: &TestEnv, outcome: &Outcome, requests: &[Request]) -> Value {
    let result = outcome.json();
    let report = outcome.report();
    assert_eq!(outcome.code, Some(0), "{report}");
    assert_eq!((&result["cause"], &result["text"]), (&json!("done"), &json!(FINAL)), "{report}");
    assert_eq!((&result["turns"], &result["tool_calls"]), (&json!(TURNS), &json!(TURNS - 1)), "{report}");
    assert_eq!((env.read("notes.txt").as_str(), env.read("log.txt").as_str()), ("two lines\nsecond line\n", "ran\n"), "{report}");
    let last = requests.last().unwrap_or_else(|| panic!("no request\n{report}"));
    assert_eq!(last.turn(), TURNS - 1, "{report}");
    assert!(last.results().iter().all(|r| !r.starts_with("Error")), "{:?}\n{report}", last.results());
    crate::support::server::assert_stable_prefix(requests);
    result
}

/// The `outcome` of each attempt, in order.
pub fn attempts(result: &Value) -> Vec<String> {
    result["attempts"].as_array().into_iter().flatten().map(|a| a["outcome"].as_str().unwrap_or("?").to_owned()).collect()
}

/// Runs `test` for every case on `threads` threads at once, and fails with the names of the cases that failed. Most of a
/// case's time is spent waiting for a retry, so there may be more threads than cores.
pub fn each<T: Sync>(threads: usize, cases: &[T], name: impl Fn(&T) -> String + Sync, test: impl Fn(&T) + Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| test(case))) {
                        let said = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
                        failed.lock().unwrap().push(format!("== {}\n{}", name(case), said.unwrap_or_default()));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases failed\n{}", failed.len(), cases.len(), failed.join("\n"));
}
