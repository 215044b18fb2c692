//! `pup run` against a server that speaks Messages: the codec's own server half, a task of four replies, and what can go
//! wrong on the way. Each effect happens once.

use crate::support::{Answer, TestEnv, Web};
use crate::task::{self, FINAL, TURNS};
use code_pup::model::{BlockKind, Delta, Request, Stop, StreamEvent, Usage};
use code_pup::wire::anthropic::{Head, decode_request, encode_events};
use serde_json::{Value, json};
use std::collections::HashSet;

/// A server that answers by how many tool results a request holds.
fn serve(mut answer: impl FnMut(usize) -> Answer + Send + 'static) -> Web {
    Web::new(move |request| answer(results(&request.body)))
}

fn results(body: &[u8]) -> usize {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let blocks = body["messages"].as_array().into_iter().flatten().filter_map(|m| m["content"].as_array()).flatten();
    blocks.filter(|b| b["type"] == "tool_result").count()
}

/// The task's replies: thinking and text before some of the calls.
fn replies() -> [Vec<u8>; TURNS] {
    let text = |ix, text: &str| {
        let halves = text.split_at(text.len() / 2);
        let piece = |t: &str| StreamEvent::Delta { ix, delta: Delta::Text { text: t.into() } };
        vec![StreamEvent::BlockStart { ix, kind: BlockKind::Text }, piece(halves.0), piece(halves.1), StreamEvent::BlockEnd { ix }]
    };
    let thinking = |proof: &str| {
        let delta = |delta| StreamEvent::Delta { ix: 0, delta };
        vec![
            StreamEvent::BlockStart { ix: 0, kind: BlockKind::Thinking },
            delta(Delta::Thinking { text: "what first?".into() }),
            delta(Delta::Signature { text: proof.into() }),
            StreamEvent::BlockEnd { ix: 0 },
        ]
    };
    let call = |ix, id: &str, name: &str, args: &Value| {
        let (id, name, text) = (id.to_owned(), name.to_owned(), args.to_string());
        vec![
            StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id, name } },
            StreamEvent::Delta { ix, delta: Delta::Args { text } },
            StreamEvent::BlockEnd { ix },
        ]
    };
    let create = json!({"path": "notes.txt", "content": "one line\nsecond line\n"});
    let log = json!({"command": "echo ran >> log.txt; wc -l < log.txt"});
    let replace = json!({"path": "notes.txt", "replacements": [{"old_str": "one line", "new_str": "two lines"}]});
    let turns = [
        [thinking("Proof+/1="), call(1, "toolu_1", "create_file", &create)].concat(),
        [text(0, "Now the log."), call(1, "toolu_2", "shell", &log)].concat(),
        call(0, "toolu_3", "replace_in_file", &replace),
        text(0, FINAL),
    ];
    let mut n = 0;
    turns.map(|blocks| {
        n += 1;
        let usage = StreamEvent::Usage { usage: Usage { input: Some(100), cache_read: Some(7), output: Some(20), ..Usage::default() } };
        let stop = if n == TURNS { Stop::End } else { Stop::ToolUse };
        let end = [usage, StreamEvent::End { stop, reason: None }];
        let events: Vec<StreamEvent> = blocks.into_iter().chain(end).collect();
        encode_events(Head { id: format!("msg_{n}"), model: "mock-model".into() }, &events).0
    })
}

fn good(body: Vec<u8>) -> Answer {
    Answer::new(200, "text/event-stream", body)
}

fn refused(status: u16, kind: &str, header: Option<(&str, &str)>) -> Answer {
    let answer = Answer::json(status, &json!({"type": "error", "error": {"type": kind, "message": "as scripted"}}));
    header.into_iter().fold(answer, |answer, (name, value)| answer.header(name, value))
}

/// The stream with something put before its last two events, or instead of them.
fn before_the_end(body: &[u8], event: &str, rest: Rest) -> Vec<u8> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let at = text.find("event: message_delta").unwrap();
    let (head, tail) = text.split_at(at);
    (head.to_owned() + event + if rest == Rest::Kept { tail } else { "" }).into_bytes()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Kept,
    Gone,
}

fn run(server: &Web, env: &TestEnv) -> crate::support::Outcome {
    let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", "anthropic/mock-model", "keep the notes"]);
    launch.env("ANTHROPIC_BASE_URL", server.url()).env("ANTHROPIC_API_KEY", "test-key-not-a-secret").run()
}

#[track_caller]
fn assert_finished(env: &TestEnv, out: &crate::support::Outcome) -> Value {
    let result = out.json();
    assert_eq!((out.code, &result["text"]), (Some(0), &json!(FINAL)), "{}", out.report());
    assert_eq!((&result["turns"], &result["tool_calls"]), (&json!(TURNS), &json!(TURNS - 1)), "{}", out.report());
    assert_eq!((env.read("notes.txt").as_str(), env.read("log.txt").as_str()), ("two lines\nsecond line\n", "ran\n"), "{}", out.report());
    result
}

#[test]
fn a_task_runs_to_its_end_and_asks_as_the_vendor_wants() {
    let env = TestEnv::new();
    let all = replies();
    let server = serve(move |turn| good(all[turn].clone()));
    let out = run(&server, &env);
    let result = assert_finished(&env, &out);
    assert_eq!((&result["usage"]["input"], &result["usage"]["cache_read"]), (&json!(100 * TURNS), &json!(7 * TURNS)), "{}", out.report());
    let requests = server.requests();
    assert_eq!(requests.len(), TURNS);
    for request in &requests {
        assert_eq!(request.path, "/v1/messages");
        assert_eq!(request.header("x-api-key"), Some("test-key-not-a-secret"));
        assert_eq!((request.header("anthropic-version"), request.header("authorization")), (Some("2023-06-01"), None));
    }
    let asked: Vec<Request> = requests.iter().map(|r| decode_request(&r.body).unwrap()).collect();
    for (n, pair) in asked.windows(2).enumerate() {
        let (earlier, later): (Vec<_>, Vec<_>) = (pair[0].messages.iter().collect(), pair[1].messages.iter().collect());
        assert_eq!(later[..earlier.len()], earlier[..], "request {n} is the beginning of the next");
        // Everything up to the end of the last message, which was still open.
        let common = requests[n].body.windows(3).rposition(|w| w == b"}]}").unwrap();
        let end = String::from_utf8_lossy(&requests[n].body).rfind("}]}],\"max_tokens\"").unwrap_or(common);
        assert_eq!(requests[n].body[..end], requests[n + 1].body[..end], "byte for byte");
    }
    let thought = String::from_utf8(requests[TURNS - 1].body.clone()).unwrap();
    assert!(thought.contains(r#"{"type":"thinking","thinking":"what first?","signature":"Proof+/1="}"#), "{thought}");
}

#[test]
fn after_every_fault_at_every_turn_the_task_is_finished_once() {
    type Spoil = fn(Vec<u8>) -> Answer;
    let faults: [(&str, &str, Spoil); 9] = [
        ("429", "rate_limit", |_| refused(429, "rate_limit_error", Some(("retry-after", "0.2")))),
        ("500", "server", |_| refused(500, "api_error", None)),
        ("529", "overloaded", |_| refused(529, "overloaded_error", None)),
        ("overloaded in the stream", "overloaded", |b| {
            let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
            good(before_the_end(&b, error, Rest::Gone))
        }),
        ("no end", "network", |b| good(before_the_end(&b, "", Rest::Gone))),
        ("a second answer inside", "network", |b| {
            let other = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_other\",\"content\":[]}}\n\n";
            good(before_the_end(&b, other, Rest::Kept))
        }),
        ("cut in the middle", "network", |b| Answer { cut: Some(b.len() / 2), ..good(b) }),
        ("cut at once", "network", |b| Answer { cut: Some(0), ..good(b) }),
        ("a web page", "network", |_| good(b"<html><title>Sign in</title></html>".to_vec())),
    ];
    task::each(
        6,
        &faults,
        |f| f.0.to_owned(),
        |(_, class, spoil)| {
            let env = TestEnv::new();
            let (all, spoil) = (replies(), *spoil);
            let mut spoilt = HashSet::new();
            let server = serve(move |turn| if spoilt.insert(turn) { spoil(all[turn].clone()) } else { good(all[turn].clone()) });
            let out = run(&server, &env);
            let result = assert_finished(&env, &out);
            assert_eq!(task::attempts(&result), [*class, "ok"].repeat(TURNS), "{}", out.report());
            for pair in server.requests().chunks(2) {
                assert!(pair[0].body == pair[1].body, "a retried request changed");
            }
        },
    );
}

#[test]
fn what_only_looks_like_a_fault_costs_no_attempt() {
    type Odd = fn(Vec<u8>) -> Vec<u8>;
    let rows: [(&str, Odd); 4] = [
        ("a ping and an event that cannot be read", |b| {
            before_the_end(
                &b,
                "event: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_delta\ndata: {\"type\":\"conte\n\n",
                Rest::Kept,
            )
        }),
        ("a start that comes twice", |b| {
            let text = String::from_utf8(b).unwrap();
            let (start, _) = text.split_at(text.find("\n\n").unwrap() + 2);
            (start.to_owned() + &text).into_bytes()
        }),
        ("no message_stop", |b| {
            let text = String::from_utf8(b).unwrap();
            text.split("event: message_stop").next().unwrap().as_bytes().to_vec()
        }),
        ("[DONE] behind it", |b| [b, b"data: [DONE]\n\n".to_vec()].concat()),
    ];
    task::each(
        4,
        &rows,
        |r| r.0.to_owned(),
        |(_, odd)| {
            let env = TestEnv::new();
            let (all, odd) = (replies(), *odd);
            let server = serve(move |turn| good(odd(all[turn].clone())));
            let out = run(&server, &env);
            let result = assert_finished(&env, &out);
            assert_eq!(task::attempts(&result), vec!["ok"; TURNS], "{}", out.report());
        },
    );
}

/// A server that refuses signatures from its second turn on, in the vendor's words.
fn refusing_signatures() -> Web {
    let all = replies();
    Web::new(move |request| {
        let turn = results(&request.body);
        if turn > 0 && String::from_utf8_lossy(&request.body).contains("\"signature\":") {
            let error =
                json!({"type": "invalid_request_error", "message": "messages.1.content.0: Invalid `signature` in `thinking` block"});
            let body = json!({"type": "error", "error": error}).to_string().into_bytes();
            return Answer { status: 400, ..good(body) };
        }
        good(all[turn].clone())
    })
}

#[test]
fn a_refused_signature_is_left_out_for_good_and_told() {
    let env = TestEnv::new();
    let server = refusing_signatures();
    let out = run(&server, &env);
    let result = assert_finished(&env, &out);
    assert_eq!(task::attempts(&result), ["ok", "bad_request", "ok", "ok", "ok"], "{}", out.report());
    let told = "a signature of reasoning of this conversation will not be sent any more: anthropic refused it";
    assert!(result["notes"][0].as_str().unwrap().starts_with(told), "{}", out.report());
    let requests = server.requests();
    assert!(String::from_utf8_lossy(&requests[1].body).contains("Proof"));
    for later in &requests[2..] {
        let body = String::from_utf8_lossy(&later.body);
        assert!(!body.contains("Proof") && body.contains("toolu_1"), "{body}");
    }
    // The journal keeps what was said, and a resumed session leaves out the same and sends the same bytes before its prompt.
    let launch = env.pup().args(["run", "--yolo", "--output", "json", "--resume", "last", "--model", "anthropic/mock-model", "and now?"]);
    let key = ("ANTHROPIC_BASE_URL", server.url());
    launch.env(key.0, key.1).env("ANTHROPIC_API_KEY", "test-key-not-a-secret").run().expect_code(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 6);
    let (before, after) = (&requests[4].body, &requests[5].body);
    let messages = before.windows(13).rposition(|w| w == b"],\"max_tokens").unwrap();
    assert!(before[..messages - 2] == after[..messages - 2], "the bytes of the messages changed on resume");
}

#[test]
fn final_refusals_end_with_their_own_code_and_no_retry() {
    for (status, kind, code, cause) in [
        (400, "invalid_request_error", 9, "rejected"),
        (401, "authentication_error", 4, "auth"),
        (402, "billing_error", 5, "exhausted"),
        (404, "not_found_error", 2, "usage"),
        (413, "request_too_large", 7, "limit"),
        (429, "rate_limit_error", 5, "exhausted"),
    ] {
        let env = TestEnv::new();
        let server = serve(move |_| refused(status, kind, None));
        let out = run(&server, &env).expect_code(code);
        assert_eq!((out.json()["cause"].as_str(), server.requests().len()), (Some(cause), 1), "{}", out.report());
    }
}

#[test]
fn debug_decode_and_encode_speak_it() {
    let env = TestEnv::new();
    let body = replies()[0].clone();
    let out = env.pup().args(["debug", "decode", "--wire", "anthropic"]).input(body).run().expect_code(0);
    let got = out.json();
    assert_eq!((&got["thinking"], &got["stop"], &got["complete"]), (&json!("what first?"), &json!("tool_use"), &json!(true)));
    assert_eq!((&got["tool_calls"][0]["id"], &got["tool_calls"][0]["arguments"]["path"]), (&json!("toolu_1"), &json!("notes.txt")));
    assert_eq!(got["usage"], json!({"input": 100, "cache_read": 7, "cache_write": null, "output": 20, "reasoning": null}));
    let request = r#"{"model":"m","messages":[{"role":"system","blocks":[{"type":"text","text":"s"}]},{"role":"user","blocks":[{"type":"text","text":"hi"}]}],"stream":true}"#;
    let out = env.pup().args(["debug", "encode", "--wire", "anthropic"]).input(request).run().expect_code(0);
    let want = r#"{"model":"m","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"max_tokens":8192,"stream":true}"#;
    assert_eq!(out.stdout.trim_end(), want);
}
