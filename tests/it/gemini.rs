//! `pup run` against a server that speaks Google's wire: the codec's own server half, a task of four replies, and what can
//! go wrong on the way. Each effect happens once.

use crate::support::http::RawRequest;
use crate::support::{Answer, Cut, End, Outcome, Reply, Server, TestEnv, WireServer};
use crate::task::{self, TURNS};
use code_pup::model::{BlockKind, Delta, Request, StreamEvent};
use code_pup::wire::gemini::{Head, decode_request, encode_events};
use serde_json::{Value, json};

/// Short enough to wait for, long enough for a busy machine to send the next piece of a healthy stream.
const SHORT_TIMEOUTS: &str = r#"{"providers": {"gemini": {"timeouts": {"first_byte_s": 1.2, "idle_s": 1.2}}}}"#;
const MODEL: &str = "gemini-3-pro-preview";

fn contents(request: &RawRequest) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body["contents"].as_array().cloned().unwrap_or_default()
}

fn turn(request: &RawRequest) -> usize {
    contents(request).iter().filter_map(|c| c["parts"].as_array()).flatten().filter(|p| !p["functionResponse"].is_null()).count()
}

/// The task's replies as this wire's server writes them. The calls have no ids, and the first one a signature.
fn replies() -> [Vec<u8>; TURNS] {
    task::events().map(|mut events| {
        let signed = events
            .iter()
            .position(|e| matches!(e, StreamEvent::BlockStart { kind: BlockKind::ToolCall { id, .. }, .. } if id == "toolu_1"));
        if let Some(at) = signed {
            events.insert(at + 1, StreamEvent::Delta { ix: 1, delta: Delta::Signature { text: "Call+/2=".into() } });
        }
        for event in &mut events {
            if let StreamEvent::BlockStart { kind: BlockKind::ToolCall { id, .. }, .. } = event {
                id.clear();
            }
        }
        encode_events(Head { id: String::new(), model: MODEL.into() }, &events).0
    })
}

fn refused(status: u16, word: &str, message: &str) -> Answer {
    Answer::json(status, json!({"error": {"code": status, "message": message, "status": word}}).to_string())
}

/// The stream's frames.
fn frames(body: &[u8]) -> Vec<String> {
    String::from_utf8(body.to_vec()).unwrap().split_inclusive("\n\n").map(str::to_owned).collect()
}

/// Puts a frame before the last one, or in its place.
fn before_the_end(body: &[u8], frame: &str, keep: bool) -> Vec<u8> {
    let mut all = frames(body);
    let last = all.pop().unwrap();
    all.push(frame.to_owned());
    if keep {
        all.push(last);
    }
    all.concat().into_bytes()
}

fn run(server: &WireServer, env: &TestEnv) -> Outcome {
    let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", &format!("gemini/{MODEL}"), "keep the notes"]);
    launch.env("GOOGLE_GEMINI_BASE_URL", server.url()).env("GEMINI_API_KEY", "test-key-not-a-secret").run()
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
        assert_eq!(request.path, format!("/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"));
        assert_eq!((request.header("x-goog-api-key"), request.header("authorization")), (Some("test-key-not-a-secret"), None));
        assert!(!request.path.contains("key="));
    }
    let asked: Vec<Request> = requests.iter().map(|r| decode_request(&r.path, &r.body).unwrap()).collect();
    for (n, pair) in asked.windows(2).enumerate() {
        let (earlier, later): (Vec<_>, Vec<_>) = (pair[0].messages.iter().collect(), pair[1].messages.iter().collect());
        assert_eq!(later[..earlier.len()], earlier[..], "request {n} is the beginning of the next");
        // Everything up to the end of the last content, which might have gone on.
        let end = requests[n].body.windows(3).rposition(|w| w == b"]}]").unwrap();
        assert_eq!(requests[n].body[..end], requests[n + 1].body[..end], "byte for byte");
    }
    let last = String::from_utf8(requests[TURNS - 1].body.clone()).unwrap();
    assert!(
        last.contains(r#"{"text":"what first?","thought":true,"thoughtSignature":"Proof+/1="},{"functionCall":{"name":"create_file","#),
        "{last}"
    );
    assert!(
        last.contains(
            r#"},"thoughtSignature":"Call+/2="}]},{"role":"user","parts":[{"functionResponse":{"name":"create_file","response":{"output":"#
        ),
        "{last}"
    );
    assert!(!last.contains("gcall_"), "ids that were made here stay here: {last}");
    assert_eq!(last.matches("skip_thought_signature_validator").count(), 2, "the steps that came without a signature");
}

#[test]
fn after_every_fault_at_every_turn_the_task_is_finished_once() {
    type Spoil = fn(Answer) -> Answer;
    let faults: [(&str, &str, Spoil); 17] = [
        ("stall before the first event", "timeout", |a| a.end(End::StallAt(0))),
        ("stall in the middle", "timeout", |a| {
            let at = frames(&a.body)[0].len();
            a.end(End::StallAt(at))
        }),
        ("429", "rate_limit", |_| refused(429, "RESOURCE_EXHAUSTED", "slow down").header("retry-after", "0.2")),
        ("429 with the wait inside", "rate_limit", |_| {
            let retry = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.2s"}]);
            Answer::json(
                429,
                json!([{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": retry}}]).to_string(),
            )
        }),
        ("500", "server", |_| refused(500, "INTERNAL", "An internal error has occurred.")),
        ("503", "overloaded", |_| refused(503, "UNAVAILABLE", "The model is overloaded.")),
        ("a web page", "network", |_| Answer::stream(b"<html><title>Sign in</title></html>".to_vec())),
        ("200 and nothing", "network", |_| Answer::stream(Vec::new())),
        ("overloaded in the stream", "overloaded", |a| {
            let error = "data: {\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}\n\n";
            Answer::stream(before_the_end(&a.body, error, false))
        }),
        ("an error as the whole answer", "server", |_| refused(500, "INTERNAL", "no").with_status(200)),
        ("no finish reason", "network", |a| Answer::stream(before_the_end(&a.body, "", false))),
        ("a call that the provider could not read", "server", |a| {
            let end = "data: {\"candidates\":[{\"content\":{},\"finishReason\":\"MALFORMED_FUNCTION_CALL\",\"finishMessage\":\"Malformed\"}]}\n\n";
            Answer::stream(before_the_end(&a.body, end, false))
        }),
        ("cut in the middle", "network", |a| {
            let half = a.body.len() / 2;
            a.end(End::CutAt(half, Cut::Close))
        }),
        ("aborted in the middle", "network", |a| {
            let half = a.body.len() / 2;
            a.end(End::CutAt(half, Cut::Reset))
        }),
        ("cut at once", "network", |a| a.end(End::CutAt(0, Cut::Reset))),
        ("cut before the last frame", "network", |a| {
            let at = a.body.len() - frames(&a.body).last().unwrap().len();
            a.end(End::CutAt(at, Cut::Close))
        }),
        ("an array that ends in its middle", "network", |a| {
            let whole = array(&a.body);
            let half = whole.len() / 2;
            Answer::json(200, whole[..half].to_owned())
        }),
    ];
    task::each(
        8,
        &faults,
        |f| f.0.to_owned(),
        |(_, class, spoil)| {
            let env = TestEnv::new();
            env.write_config("models.json", SHORT_TIMEOUTS);
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

/// The stream's chunks as one array, as they come where nobody asked for events.
fn array(body: &[u8]) -> String {
    let chunks: Vec<String> = frames(body).iter().map(|f| f.trim().trim_start_matches("data: ").to_owned()).collect();
    format!("[{}\n]\n", chunks.join("\n,\r\n"))
}

#[test]
fn what_only_looks_like_a_fault_costs_no_attempt() {
    type Odd = fn(Vec<u8>) -> Vec<u8>;
    let rows: [(&str, Odd); 5] = [
        ("comments and the other wire's mark", |b| [b": hello\n\n".to_vec(), b, b"data: [DONE]\n\n".to_vec()].concat()),
        ("an array", |b| array(&b).into_bytes()),
        ("line ends of every kind", |b| String::from_utf8(b).unwrap().replace('\n', "\r\n").into_bytes()),
        ("counts behind the end", |b| [b, b"data: {\"usageMetadata\":{\"promptTokenCount\":107}}\n\n".to_vec()].concat()),
        ("a call that is sent twice", |b| {
            frames(&b).iter().map(|f| if f.contains("functionCall") { f.repeat(2) } else { f.clone() }).collect::<String>().into_bytes()
        }),
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
    let server = WireServer::new(turn, move |turn| Answer::stream(before_the_end(&all[turn], "data: {\"candidates\":[{\"conte\n\n", true)));
    let out = run(&server, &env);
    let result = task::assert_done(&env, &out);
    assert_eq!(task::attempts(&result), ["network", "ok"].repeat(TURNS), "{}", out.report());
}

#[test]
fn calls_that_cannot_be_run_are_answered_and_the_model_goes_on() {
    let chunk = |parts: Value, end: &str| {
        let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
        if !end.is_empty() {
            candidate["finishReason"] = end.into();
        }
        format!("data: {}\n\n", json!({"candidates": [candidate], "responseId": "r"}))
    };
    let piece = json!([{"functionCall": {"partialArgs": [{"jsonPath": "$.command", "stringValue": "echo ran >> log.txt; rm -rf ", "willContinue": true}], "willContinue": true}}]);
    let rows: [(&str, String); 3] = [
        (
            "cut in its pieces",
            chunk(json!([{"functionCall": {"name": "shell", "willContinue": true}}]), "") + &chunk(piece.clone(), "STOP"),
        ),
        ("cut by the limit", chunk(json!([{"functionCall": {"name": "shell", "willContinue": true}}]), "") + &chunk(piece, "MAX_TOKENS")),
        ("not an object", chunk(json!([{"functionCall": {"name": "shell", "args": "echo ran >> log.txt"}}]), "STOP")),
    ];
    task::each(
        3,
        &rows,
        |r| r.0.to_owned(),
        |(_, bad)| {
            let env = TestEnv::new();
            let bad = bad.clone().into_bytes();
            let last = replies()[TURNS - 1].clone();
            let server = WireServer::new(turn, move |turn| Answer::stream(if turn == 0 { bad.clone() } else { last.clone() }));
            let out = run(&server, &env).expect_code(0);
            assert!(!env.exists("log.txt"), "a truncated command ran\n{}", out.report());
            let asked = contents(&server.requests()[1]);
            let answer = asked.last().unwrap()["parts"][0]["functionResponse"]["response"]["error"].as_str().unwrap_or_default();
            assert!(answer.contains("nothing was run"), "{asked:?}");
        },
    );
}

#[test]
fn final_refusals_end_with_their_own_code_and_no_retry() {
    let key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let day = json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]);
    let none = json!([]);
    let rows: [(u16, &str, &str, &Value, i32, &str); 8] = [
        (400, "INVALID_ARGUMENT", "Please use a valid role: user, model.", &none, 9, "rejected"),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", &key, 4, "auth"),
        (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (5).", &none, 7, "limit"),
        (403, "PERMISSION_DENIED", "no", &none, 4, "auth"),
        (404, "NOT_FOUND", "models/x is not found", &none, 2, "usage"),
        (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", &day, 5, "exhausted"),
        (200, "blocked", "", &none, 9, "rejected"),
        (200, "SAFETY", "", &none, 9, "rejected"),
    ];
    task::each(
        4,
        &rows,
        |r| format!("{} {}", r.0, r.2),
        |(status, word, message, details, code, cause)| {
            let body = match *word {
                "blocked" => json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
                "SAFETY" => json!({"candidates": [{"content": {}, "finishReason": "SAFETY"}]}),
                word => json!({"error": {"code": status, "message": message, "status": word, "details": details}}),
            };
            let (status, body) = (*status, body.to_string());
            let env = TestEnv::new();
            let server = WireServer::new(turn, move |_| Answer::json(status, body.clone()));
            let out = run(&server, &env).expect_code(*code);
            assert_eq!((out.json()["cause"].as_str(), server.requests().len()), (Some(*cause), 1), "{}", out.report());
        },
    );
}

#[test]
fn a_refused_signature_is_left_out_for_good_and_told() {
    let env = TestEnv::new();
    let all = replies();
    let server = WireServer::asked(move |request| {
        if String::from_utf8_lossy(&request.body).contains("Call+/2=") {
            return refused(400, "INVALID_ARGUMENT", "Corrupted thought signature.");
        }
        Answer::stream(all[turn(request)].clone())
    });
    let out = run(&server, &env);
    let result = task::assert_done(&env, &out);
    assert_eq!(task::attempts(&result), ["ok", "bad_request", "ok", "ok", "ok"], "{}", out.report());
    assert!(result["notes"][0].as_str().unwrap().contains("gemini refused it"), "{}", out.report());
    let last = String::from_utf8(server.requests().pop().unwrap().body).unwrap();
    assert_eq!(last.matches("skip_thought_signature_validator").count(), 3, "in its place stands what this model takes instead: {last}");
}

#[test]
fn a_session_that_another_provider_began_goes_on_here_and_takes_nothing_of_it_along() {
    let env = TestEnv::new();
    let first = Server::turns([
        Reply::tool_call("create_file", json!({"path": "a.txt", "content": "a\n"})).thinking("secret"),
        Reply::text("made it"),
    ]);
    env.pup().args(["run", "--yolo", "make a file"]).model_server(&first).run().expect_code(0);
    let last = replies()[TURNS - 1].clone();
    let server = WireServer::new(turn, move |_| Answer::stream(last.clone()));
    let launch = env.pup().args(["run", "--yolo", "--resume", "last", "--model", &format!("gemini/{MODEL}"), "and now?"]);
    launch.env("GOOGLE_GEMINI_BASE_URL", server.url()).env("GEMINI_API_KEY", "test-key-not-a-secret").run().expect_code(0);
    let requests = server.requests();
    let asked = contents(&requests[0]);
    let body = String::from_utf8(requests[0].body.clone()).unwrap();
    let roles: Vec<&str> = asked.iter().map(|c| c["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "model", "user", "model", "user"]);
    assert_eq!(asked[1]["parts"][0]["thoughtSignature"], "skip_thought_signature_validator");
    assert!(!body.contains("secret") && !body.contains("\"id\":"), "{body}");
    assert!(
        asked[2]["parts"][0]["functionResponse"]["response"]["output"].is_string() && asked[4]["parts"][0]["text"] == "and now?",
        "{body}"
    );
}

#[test]
fn debug_decode_and_encode_speak_both_of_googles_wires() {
    let env = TestEnv::new();
    let body = replies()[0].clone();
    let wrapped = frames(&body)
        .iter()
        .map(|f| format!("data: {{\"response\":{}}}\n\n", f.trim().trim_start_matches("data: ")))
        .collect::<Vec<_>>()
        .concat();
    for (wire, body) in [("gemini", body), ("antigravity", wrapped.into_bytes())] {
        let out = env.pup().args(["debug", "decode", "--wire", wire]).input(body).run().expect_code(0);
        let got = out.json();
        assert_eq!(
            (&got["thinking"], &got["stop"], &got["complete"]),
            (&json!(task::THOUGHT), &json!("tool_use"), &json!(true)),
            "{}",
            out.report()
        );
        assert_eq!(
            (&got["tool_calls"][0]["name"], &got["tool_calls"][0]["arguments"]["path"]),
            (&json!("create_file"), &json!("notes.txt"))
        );
        assert_eq!(got["usage"], json!({"input": 100, "cache_read": 7, "cache_write": null, "output": 20, "reasoning": null}));
    }
    let request = r#"{"model":"m","messages":[{"role":"system","blocks":[{"type":"text","text":"s"}]},{"role":"user","blocks":[{"type":"text","text":"hi"}]}],"stream":true}"#;
    let inner = r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]"#;
    let out = env.pup().args(["debug", "encode", "--wire", "gemini"]).input(request).run().expect_code(0);
    assert_eq!(out.stdout.trim_end(), format!("{inner}}}"));
    let out = env.pup().args(["debug", "encode", "--wire", "antigravity"]).input(request).run().expect_code(0);
    assert!(
        out.stdout.starts_with(&format!(r#"{{"model":"m","request":{inner},"sessionId":""#)) && out.stdout.contains(r#""userAgent":"pup""#),
        "{}",
        out.report()
    );
}
