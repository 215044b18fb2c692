//! What only Responses has, through the whole program: reasoning that goes back, its vendor's own events and failures, and
//! the codec by hand. The grids of faults, cuts and calls run over this wire too, in their own modules.

use crate::support::{Api, Reply, Server, TestEnv};
use crate::task::{self, TURNS};
use serde_json::{Value, json};
use std::collections::HashSet;

#[test]
fn reasoning_goes_back_whole_before_what_it_led_to() {
    let env = TestEnv::new();
    let server = Server::turns(task::replies().map(|r| r.thinking("what first?")));
    let out = task::launch_on(Api::Responses, &env, &server).run();
    // The server objects to reasoning that was changed, leads to nothing, or lost the id of what it led to.
    let requests = server.finish();
    task::assert_finished(&env, &out, &requests);
    let last = &requests[TURNS - 1];
    assert!(last.path.ends_with("/v1/responses"));
    let kinds: Vec<&str> = last.messages().iter().map(|i| i["type"].as_str().unwrap()).collect();
    let call = ["reasoning", "function_call", "function_call_output"];
    let said = ["reasoning", "message", "function_call", "function_call_output"];
    assert_eq!(kinds, [&["message"][..], &call, &said, &call].concat());
    assert_eq!(last.messages()[1]["encrypted_content"], "secret 0", "not the copy of its beginning");
    let system = last.body["instructions"].as_str().unwrap();
    assert!(!system.is_empty() && last.body["include"] == json!(["reasoning.encrypted_content"]), "{}", last.body["include"]);
}

#[test]
fn failures_inside_a_stream_are_the_vendors() {
    let failed = |code: &str| json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": code, "message": "as scripted"}}});
    let rows = [
        ("rate_limit", failed("rate_limit_exceeded")),
        ("server", failed("server_error")),
        ("overloaded", failed("server_is_overloaded")),
        ("server", json!({"type": "error", "code": "server_error", "message": "flat", "param": null})),
        ("rate_limit", json!({"type": "error", "error": {"type": "rate_limit_exceeded", "message": "soon"}, "status_code": 429})),
        ("server", json!({"type": "response.cancelled", "response": {"status": "cancelled"}})),
    ];
    task::each(
        6,
        &rows,
        |r| r.1.to_string(),
        |(class, event)| {
            let env = TestEnv::new();
            let (replies, frame) = (task::replies(), format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
            let mut spoilt = HashSet::new();
            let server = Server::respond(move |request| {
                let right = replies[request.turn()].clone();
                if spoilt.insert(request.turn()) { right.frame_at(4, frame.clone()) } else { right }
            });
            let out = task::launch_on(Api::Responses, &env, &server).run();
            let result = task::assert_finished(&env, &out, &server.finish());
            assert_eq!(task::attempts(&result), [*class, "ok"].repeat(TURNS), "{}", out.report());
        },
    );
}

#[test]
fn events_that_say_nothing_cost_no_attempt_and_what_is_lost_is_made_good() {
    type Odd = fn(Reply) -> Reply;
    let rows: [(&str, Odd); 4] = [
        ("limits of a login", |r| {
            r.frame_at(
                1,
                "event: codex.rate_limits\ndata: {\"type\":\"codex.rate_limits\",\"rate_limits\":{\"primary\":{\"used_percent\":3.5}}}\n\n",
            )
        }),
        ("an event of tomorrow", |r| r.frame_at(2, "data: {\"type\":\"response.brand_new.delta\",\"delta\":\"x\"}\n\n")),
        ("a keep-alive with a number", |r| r.frame_at(3, "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":900}\n\n")),
        ("the other wire's end", |r| r.frame_at(usize::MAX, "data: [DONE]\n\n")),
    ];
    task::each(
        4,
        &rows,
        |r| r.0.to_owned(),
        |(_, odd)| {
            let env = TestEnv::new();
            let server = Server::turns(task::replies().map(odd));
            let out = task::launch_on(Api::Responses, &env, &server).run();
            let result = task::assert_finished(&env, &out, &server.finish());
            assert_eq!(task::attempts(&result), vec!["ok"; TURNS], "{}", out.report());
        },
    );
}

#[test]
fn debug_decode_and_encode_speak_it() {
    let env = TestEnv::new();
    let ask = crate::support::reply::Ask { api: Api::Responses, model: "m", stream: true, usage: true, turn: 0 };
    let body = Reply::text("t").thinking("hm").and_call("f", &json!({"k": 1})).usage(7, 3).pieces(&ask).0.concat();
    let got = env.pup().args(["debug", "decode", "--wire", "openai-responses"]).input(body).run().expect_code(0).json();
    assert_eq!(
        (&got["text"], &got["thinking"], &got["stop"], &got["complete"]),
        (&json!("t"), &json!("hm"), &json!("tool_use"), &json!(true))
    );
    assert_eq!(got["tool_calls"], json!([{"id": "call_0_0", "name": "f", "arguments": {"k": 1}}]));
    assert_eq!(got["usage"], json!({"input": 7, "cache_read": 0, "cache_write": null, "output": 3, "reasoning": 0}));
    let request = r#"{"model":"gpt-5","messages":[{"role":"system","blocks":[{"type":"text","text":"s"}]},{"role":"user","blocks":[{"type":"text","text":"hi"}]}],"stream":true}"#;
    let out = env.pup().args(["debug", "encode", "--wire", "openai-responses"]).input(request).run().expect_code(0);
    let got: Value = out.json();
    assert_eq!((&got["instructions"], &got["input"][0]["content"][0]["text"], &got["store"]), (&json!("s"), &json!("hi"), &json!(false)));
}
