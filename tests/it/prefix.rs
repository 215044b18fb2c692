//! What is sent stays the same, byte for byte, for as long as it can: over many turns, two failovers and back, a kill and a
//! resume, on each provider's own wire; and the figure that says what came of it.
#![cfg(target_os = "linux")]

use crate::support::generate::write;
use crate::support::http::RawRequest;
use crate::support::{Answer, TestEnv, WireServer};
use code_pup::model::{Block, ToolCall};
use code_pup::wire::Wire;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The conversation of a body in the provider's own words, without the marks for its cache, which move on.
fn said(wire: Wire, request: &RawRequest) -> (String, String, Vec<String>) {
    let text = String::from_utf8(request.body.clone()).unwrap().replace(r#","cache_control":{"type":"ephemeral"}"#, "");
    let body: Value = serde_json::from_str(&text).unwrap();
    let of = |key: &str| body[key].to_string();
    let system = if wire == Wire::Anthropic { of("system") } else { String::new() };
    let messages = body["messages"].as_array().unwrap().iter().map(ToString::to_string).collect();
    (system, of("tools"), messages)
}

/// Fails unless each request goes on where the one before it ended.
#[track_caller]
fn assert_grows(wire: Wire, requests: &[RawRequest]) {
    for pair in requests.windows(2) {
        let ((system, tools, before), (later_system, later_tools, after)) = (said(wire, &pair[0]), said(wire, &pair[1]));
        assert_eq!((&system, &tools), (&later_system, &later_tools), "{wire:?}");
        assert!(after.len() >= before.len() && after[..before.len()] == before[..], "{wire:?}: the past has changed");
    }
}

const ROUNDS: usize = 50;

/// A model that reads a file in each of its turns. The counter is that of both providers: who answers is all that changes.
fn model(wire: Wire, turn: &Arc<AtomicUsize>, out: impl Fn(usize) -> bool + Send + 'static) -> WireServer {
    let turn = Arc::clone(turn);
    WireServer::asked(move |_| {
        let n = turn.load(Ordering::SeqCst);
        if out(n) {
            let refusal = json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}});
            return Answer::json(429, refusal.to_string()).header("retry-after", "0.1");
        }
        turn.fetch_add(1, Ordering::SeqCst);
        if wire == Wire::OpenaiChat {
            // Long enough for the other one to be asked again before the end.
            std::thread::sleep(Duration::from_millis(40));
        }
        let call = ToolCall {
            id: format!("call_{n}"),
            name: "read_file".into(),
            args_raw: json!({"path": "a.txt", "start_line": n + 1}).to_string(),
            signature: None,
        };
        let blocks =
            if n % (ROUNDS / 2) == ROUNDS / 2 - 1 { vec![Block::Text { text: format!("half {n}") }] } else { vec![Block::ToolCall(call)] };
        Answer::stream(write(wire, &blocks))
    })
}

#[test]
fn fifty_turns_two_failovers_and_a_resume_change_no_byte_of_what_was_sent() {
    let env = TestEnv::new();
    env.write("a.txt", (0..ROUNDS).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat());
    let turn = Arc::new(AtomicUsize::new(0));
    // The first one is out twice, and comes back.
    let first = model(Wire::Anthropic, &turn, |n| (8..11).contains(&n) || (33..36).contains(&n));
    let second = model(Wire::OpenaiChat, &turn, |_| false);
    let of = |wire: &str, url: String| json!({"wire": wire, "base_url": url, "api_key_env": []});
    let models = json!({"one": {"provider": "acme", "name": "m1", "context": 200_000, "max_output": 4000}, "two": {"provider": "other", "name": "m2", "context": 200_000, "max_output": 4000}});
    let providers = json!({"acme": of("anthropic", first.url()), "other": of("openai-chat", second.url())});
    env.write_config("models.json", json!({"providers": providers, "models": models, "chains": {"coding": ["one", "two"]}}).to_string());
    let run = |more: &[&str]| env.pup().args(["run", "--output", "json"]).args(more).env_remove("PUP_MODEL").run().expect_code(0).json();
    let begun = run(&["read"]);
    assert_eq!(begun["text"], "half 24", "{begun}");
    let result = run(&["--resume", "last", "go on"]);
    assert_eq!(result["text"], "half 49", "{result}");
    for (wire, server) in [(Wire::Anthropic, &first), (Wire::OpenaiChat, &second)] {
        let requests = server.requests();
        assert!(requests.len() > 5, "{wire:?} was asked {} times", requests.len());
        assert_grows(wire, &requests);
    }
    let switches = [&begun, &result]
        .iter()
        .map(|r| r["attempts"].as_array().unwrap().iter().filter(|a| a["outcome"] == "rate_limit").count())
        .collect::<Vec<_>>();
    assert!(switches.iter().all(|n| *n >= 1), "a failover in each half: {switches:?}");
    let last: usize = said(Wire::Anthropic, first.requests().last().unwrap()).2.len();
    assert!(last > 80, "it came back after each: {last} messages");
    let shown = env.pup().args(["sessions", "show", "last", "--json"]).run().expect_code(0).json();
    assert_eq!(shown["cache"], result["cache"], "the figure is the same from the journal");
}
