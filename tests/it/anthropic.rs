//! `pup run` against a server that speaks Messages: the codec's own server half, a task of four replies, and what can go
//! wrong on the way. Each effect happens once.

use crate::support::http::RawRequest;
use crate::support::{Answer, Cut, End, Launch, Outcome, TestEnv, WireServer};
use crate::task::{self, TURNS};
use code_pup::model::Request;
use code_pup::wire::anthropic::{Head, decode_request, encode_events};
use serde_json::{Value, json};

fn turn(request: &RawRequest) -> usize {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let blocks = body["messages"].as_array().into_iter().flatten().filter_map(|m| m["content"].as_array()).flatten();
    blocks.filter(|b| b["type"] == "tool_result").count()
}

/// The task's replies as this wire's server writes them.
fn replies() -> [Vec<u8>; TURNS] {
    task::events().map(|events| encode_events(Head::default(), &events).0)
}

fn refused(status: u16, kind: &str) -> Answer {
    Answer::json(status, json!({"type": "error", "error": {"type": kind, "message": "as scripted"}}).to_string())
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

fn launch(server: &WireServer, env: &TestEnv) -> Launch {
    let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", "anthropic/mock-model", "keep the notes"]);
    launch.env("ANTHROPIC_BASE_URL", server.url()).env("ANTHROPIC_API_KEY", "test-key-not-a-secret")
}

fn run(server: &WireServer, env: &TestEnv) -> Outcome {
    launch(server, env).run()
}

/// A body without the marks for the prompt cache, which move from turn to turn.
fn unmarked(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap().replace(r#","cache_control":{"type":"ephemeral"}"#, "")
}

#[test]
fn a_task_runs_to_its_end_and_asks_as_the_vendor_wants() {
    let env = TestEnv::new();
    let all = replies();
    let server = WireServer::new(turn, move |turn| Answer::stream(all[turn].clone()));
    let out = run(&server, &env);
    let result = task::assert_done(&env, &out);
    assert_eq!((&result["usage"]["input"], &result["usage"]["cache_read"]), (&json!(100 * TURNS), &json!(7 * TURNS)), "{}", out.report());
    let requests = server.requests();
    assert_eq!(requests.len(), TURNS);
    for request in &requests {
        assert_eq!(request.path, "/v1/messages");
        assert_eq!(request.header("x-api-key"), Some("test-key-not-a-secret"));
        assert_eq!((request.header("anthropic-version"), request.header("authorization")), (Some("2023-06-01"), None));
    }
    let asked: Vec<Request> = requests.iter().map(|r| decode_request(&r.body).unwrap()).collect();
    let unmarked: Vec<String> = requests.iter().map(|r| unmarked(&r.body)).collect();
    for request in &asked {
        let marks: Vec<usize> = request.cache_marks.iter().map(|mark| mark.message).collect();
        assert!(marks.len() <= 4 && marks[0] == 0 && marks.ends_with(&[request.messages.len() - 1]), "{marks:?}");
    }
    for (n, pair) in asked.windows(2).enumerate() {
        let newest = pair[0].messages.len() - 1;
        assert!(pair[1].cache_marks.iter().any(|mark| mark.message == newest), "what request {n} stored is looked for");
        let (earlier, later): (Vec<_>, Vec<_>) = (pair[0].messages.iter().collect(), pair[1].messages.iter().collect());
        assert_eq!(later[..earlier.len()], earlier[..], "request {n} is the beginning of the next");
        // Everything up to the end of the last message, which was still open.
        let end = unmarked[n].rfind("}]}],\"max_tokens\"").unwrap();
        assert_eq!(unmarked[n][..end], unmarked[n + 1][..end], "byte for byte, but for the marks");
    }
    let thought = String::from_utf8(requests[TURNS - 1].body.clone()).unwrap();
    assert!(thought.contains(r#"{"type":"thinking","thinking":"what first?","signature":"Proof+/1="}"#), "{thought}");
}

#[test]
fn signed_thinking_keeps_its_key_and_never_goes_to_another() {
    let env = TestEnv::new();
    let all = replies();
    let mut limited = false;
    let server = WireServer::new(turn, move |turn| {
        let refuse = turn == 2 && !std::mem::replace(&mut limited, turn == 2);
        if refuse { refused(429, "rate_limit_error").header("retry-after", "600") } else { Answer::stream(all[turn].clone()) }
    });
    // Each call would take another key, if the first reply did not bind the rest to the one that made it.
    let keys = "the-first-key-0001,the-second-key-002,the-third-key-0003";
    let out = launch(&server, &env).env("ANTHROPIC_API_KEY", keys).env("PUP_AUTH_ROTATION", "round_robin").run();
    task::assert_done(&env, &out);
    let requests = server.requests();
    let used: Vec<&str> = requests.iter().map(|r| r.header("x-api-key").unwrap()).collect();
    assert_eq!(used[..4], ["the-first-key-0001", "the-first-key-0001", "the-first-key-0001", "the-second-key-002"], "{used:?}");
    for request in &requests[1..] {
        let home = request.header("x-api-key") == Some("the-first-key-0001");
        assert_eq!(String::from_utf8_lossy(&request.body).contains("Proof+/1="), home, "{used:?}");
    }
    assert!(!used[4..].contains(&"the-first-key-0001"), "it is cooling: {used:?}");
}

#[test]
fn after_every_fault_at_every_turn_the_task_is_finished_once() {
    type Spoil = fn(Answer) -> Answer;
    let faults: [(&str, &str, Spoil); 9] = [
        ("429", "rate_limit", |_| refused(429, "rate_limit_error").header("retry-after", "0.2")),
        ("500", "server", |_| refused(500, "api_error")),
        ("529", "overloaded", |_| refused(529, "overloaded_error")),
        ("overloaded in the stream", "overloaded", |a| {
            let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
            Answer::stream(before_the_end(&a.body, error, Rest::Gone))
        }),
        ("no end", "network", |a| Answer::stream(before_the_end(&a.body, "", Rest::Gone))),
        ("a second answer inside", "network", |a| {
            let other = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_other\",\"content\":[]}}\n\n";
            Answer::stream(before_the_end(&a.body, other, Rest::Kept))
        }),
        ("cut in the middle", "network", |a| {
            let half = a.body.len() / 2;
            a.end(End::CutAt(half, Cut::Close))
        }),
        ("cut at once", "network", |a| a.end(End::CutAt(0, Cut::Reset))),
        ("a web page", "network", |_| Answer::stream(b"<html><title>Sign in</title></html>".to_vec())),
    ];
    task::each(
        6,
        &faults,
        |f| f.0.to_owned(),
        |(_, class, spoil)| {
            let env = TestEnv::new();
            let server = WireServer::once_spoilt(turn, replies().map(Answer::stream).to_vec(), *spoil);
            let out = run(&server, &env);
            let result = task::assert_done(&env, &out);
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
    let rows: [(&str, Odd); 3] = [
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
            let server = WireServer::new(turn, move |turn| Answer::stream(odd(all[turn].clone())));
            let out = run(&server, &env);
            let result = task::assert_done(&env, &out);
            assert_eq!(task::attempts(&result), vec!["ok"; TURNS], "{}", out.report());
        },
    );
}

/// What was in it may have been a piece of the answer. A server that tears an event each time is believed the second time.
#[test]
fn a_torn_event_costs_one_attempt_and_no_more() {
    let env = TestEnv::new();
    let all = replies();
    let server = WireServer::new(turn, move |turn| {
        Answer::stream(before_the_end(&all[turn], "event: content_block_delta\ndata: {\"type\":\"conte\n\n", Rest::Kept))
    });
    let out = run(&server, &env);
    let result = task::assert_done(&env, &out);
    assert_eq!(task::attempts(&result), ["network", "ok"].repeat(TURNS), "{}", out.report());
}

/// A server that refuses signatures from its second turn on, in the vendor's words.
fn refusing_signatures() -> WireServer {
    let all = replies();
    WireServer::asked(move |request| {
        let turn = turn(request);
        if turn > 0 && String::from_utf8_lossy(&request.body).contains("\"signature\":") {
            let error =
                json!({"type": "invalid_request_error", "message": "messages.1.content.0: Invalid `signature` in `thinking` block"});
            return Answer::json(400, json!({"type": "error", "error": error}).to_string());
        }
        Answer::stream(all[turn].clone())
    })
}

#[test]
fn a_refused_signature_is_left_out_for_good_and_told() {
    let env = TestEnv::new();
    let server = refusing_signatures();
    let out = run(&server, &env);
    let result = task::assert_done(&env, &out);
    assert_eq!(task::attempts(&result), ["ok", "bad_request", "ok", "ok", "ok"], "{}", out.report());
    let told = "a signature of reasoning of this conversation will not be sent any more: anthropic refused it";
    let notes = result["notes"].as_array().unwrap();
    assert!(notes.iter().any(|n| n.as_str().unwrap().starts_with(told)), "{}", out.report());
    let requests = server.requests();
    assert!(String::from_utf8_lossy(&requests[1].body).contains("Proof"));
    for later in &requests[2..] {
        let body = String::from_utf8_lossy(&later.body);
        assert!(!body.contains("Proof") && body.contains("toolu_1"), "{body}");
    }
    // The journal keeps what was said, and a resumed session leaves out the same and sends the same bytes before its prompt.
    let launch = env.pup().args(["run", "--yolo", "--output", "json", "--resume", "last", "--model", "anthropic/mock-model", "and now?"]);
    launch.env("ANTHROPIC_BASE_URL", server.url()).env("ANTHROPIC_API_KEY", "test-key-not-a-secret").run().expect_code(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 6);
    let (before, after) = (unmarked(&requests[4].body), unmarked(&requests[5].body));
    let messages = before.rfind("],\"max_tokens").unwrap();
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
        let server = WireServer::new(turn, move |_| refused(status, kind));
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
    assert_eq!((&got["thinking"], &got["stop"], &got["complete"]), (&json!(task::THOUGHT), &json!("tool_use"), &json!(true)));
    assert_eq!((&got["tool_calls"][0]["id"], &got["tool_calls"][0]["arguments"]["path"]), (&json!("toolu_1"), &json!("notes.txt")));
    assert_eq!(got["usage"], json!({"input": 100, "cache_read": 7, "cache_write": null, "output": 20, "reasoning": null}));
    let request = r#"{"model":"m","messages":[{"role":"system","blocks":[{"type":"text","text":"s"}]},{"role":"user","blocks":[{"type":"text","text":"hi"}]}],"stream":true}"#;
    let out = env.pup().args(["debug", "encode", "--wire", "anthropic"]).input(request).run().expect_code(0);
    let want = r#"{"model":"m","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"max_tokens":8192,"stream":true}"#;
    assert_eq!(out.stdout.trim_end(), want);
}
