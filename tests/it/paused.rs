//! Replies that their provider paused, and replies after which the connection stays open.
#![cfg(target_os = "linux")]

use crate::support::{Answer, End, Launch, TestEnv, WireServer};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn said(text: &str, stop: &str) -> Vec<u8> {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    let frames = events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap()));
    frames.collect::<String>().into_bytes()
}

fn launch(env: &TestEnv, server: &WireServer, args: &[&str]) -> Launch {
    let launch = env.pup().args(["run", "--output", "json", "--model", "anthropic/claude-sonnet-4-5"]).args(args);
    launch.env("ANTHROPIC_BASE_URL", server.url()).env("ANTHROPIC_API_KEY", "test-key-not-a-secret").limit(Duration::from_secs(40))
}

fn messages(server: &WireServer, at: usize) -> Value {
    let mut body: Value = serde_json::from_slice(&server.requests()[at].body).unwrap();
    body["messages"].take()
}

#[test]
fn a_kill_between_a_pause_and_its_continuation_goes_on_where_the_provider_paused() {
    let env = TestEnv::new();
    let mut asked = 0;
    let server = WireServer::asked(move |_| {
        asked += 1;
        match asked {
            1 => Answer::stream(said("I am still searching.", "pause_turn")),
            2 => Answer::stream(said("never heard", "end_turn")).end(End::StallAt(0)),
            _ => Answer::stream(said("It is 42.", "end_turn")),
        }
    });
    let running = launch(&env, &server, &["search"]).spawn();
    let begun = Instant::now();
    while server.requests().len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the paused reply never went back");
        std::thread::sleep(Duration::from_millis(20));
    }
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    let out = launch(&env, &server, &["--resume", "last"]).run().expect_code(0);
    assert_eq!(out.json()["text"], "It is 42.", "{}", out.report());
    assert_eq!(server.requests().len(), 3);
    assert_eq!(messages(&server, 1), messages(&server, 2), "the paused reply goes back as it was, and nothing behind it");
    assert_eq!(messages(&server, 2).as_array().unwrap().last().unwrap()["role"], "assistant");
    // What has its answer is not asked again.
    let again = launch(&env, &server, &["--resume", "last"]).run();
    assert_eq!((again.code, server.requests().len()), (Some(2), 3), "{}", again.report());
}

/// With the default idle time, minutes, each of these would run into the limit of the launch.
#[test]
fn a_whole_reply_on_a_connection_that_stays_open_is_not_waited_for() {
    let frames = |all: &[Value]| all.iter().flat_map(|v| format!("data: {v}\n\n").into_bytes()).collect::<Vec<u8>>();
    let uncounted = frames(&[
        json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "It is 42."}}]}),
        json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ]);
    let counts = json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}});
    let chat = [uncounted.clone(), frames(&[counts])].concat();
    let gemini = frames(&[
        json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "It is "}]}}]}),
        json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "42."}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 5}}),
    ]);
    let mut anthropic = said("It is 42.", "end_turn");
    anthropic.truncate(anthropic.len() - b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".len());
    for (model, base, key, body, output) in [
        ("gemini/gemini-3-pro-preview", "GOOGLE_GEMINI_BASE_URL", "GEMINI_API_KEY", gemini, json!(5)),
        ("openai/gpt-4.1", "OPENAI_BASE_URL", "OPENAI_API_KEY", chat, json!(5)),
        ("openai/gpt-4.1", "OPENAI_BASE_URL", "OPENAI_API_KEY", uncounted, json!(null)),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", anthropic, json!(5)),
    ] {
        let env = TestEnv::new();
        let server = WireServer::asked(move |_| {
            let end = End::StallAt(body.len());
            Answer::stream(body.clone()).end(end)
        });
        let launch = env.pup().args(["run", "--output", "json", "--model", model, "ask"]).limit(Duration::from_secs(25));
        let out = launch.env(base, server.url()).env(key, "test-key-not-a-secret").run().expect_code(0);
        let result = out.json();
        assert_eq!((&result["text"], &result["usage"]["output"]), (&json!("It is 42."), &output), "{model}: {}", out.report());
        assert_eq!(server.requests().len(), 1, "{model}");
    }
}
