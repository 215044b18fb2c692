//! Each login over its own protocol: the token and what belongs to it are in every request, and nothing that would pass pup
//! off as another program.

use crate::login::{chatgpt_tokens, home, logged_in, record};
use crate::support::http::RawRequest;
use crate::support::wire::{Answer, WireServer};
use crate::support::{Authority, TestEnv};
use serde_json::{Value, json};

fn sse(events: &[(&str, Value)]) -> Answer {
    let frame = |(name, data): &(&str, Value)| match *name {
        "" => format!("data: {data}\n\n"),
        name => format!("event: {name}\ndata: {data}\n\n"),
    };
    Answer::stream(events.iter().map(frame).collect::<String>().into_bytes())
}

fn messages() -> Answer {
    sse(&[
        (
            "message_start",
            json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}}),
        ),
        ("content_block_start", json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        ("content_block_delta", json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "done"}})),
        ("content_block_stop", json!({"type": "content_block_stop", "index": 0})),
        ("message_delta", json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}})),
        ("message_stop", json!({"type": "message_stop"})),
    ])
}

fn code_assist() -> Answer {
    sse(&[("", json!({"response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "done"}]}, "finishReason": "STOP"}]}}))])
}

fn responses() -> Answer {
    let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "done", "annotations": []}]});
    let usage = json!({"input_tokens": 9, "output_tokens": 2, "total_tokens": 11});
    sse(&[
        ("response.created", json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}})),
        (
            "response.output_item.added",
            json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}}),
        ),
        (
            "response.output_text.delta",
            json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "done"}),
        ),
        ("response.output_item.done", json!({"type": "response.output_item.done", "output_index": 0, "item": item})),
        (
            "response.completed",
            json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [item], "usage": usage}}),
        ),
    ])
}

fn guarded(authority: &Authority, good: fn() -> Answer) -> WireServer {
    let authority = authority.clone();
    WireServer::asked(move |request| {
        if authority.accepts(request.header("authorization")) {
            return good();
        }
        Answer::json(
            401,
            json!({"type": "error", "error": {"type": "authentication_error", "message": "OAuth token has expired."}}).to_string(),
        )
    })
}

fn ask(env: &TestEnv, model: &str, variable: &str, server: &WireServer) -> Value {
    env.pup()
        .args(["run", "--model", model, "--output", "json", "go"])
        .env(variable, server.url())
        .env("ANTIGRAVITY_CLIENT_ID", "client-g")
        .env("ANTIGRAVITY_CLIENT_SECRET", "canary-client-secret")
        .run()
        .expect_code(0)
        .json()
}

/// Nobody else's name, in no header and nowhere in the body.
#[track_caller]
fn assert_honest(request: &RawRequest) {
    assert!(request.header("user-agent").is_some_and(|a| a.starts_with("pup/")), "{:?}", request.headers);
    let all = format!("{:?} {}", request.headers, String::from_utf8_lossy(&request.body)).to_lowercase();
    for name in ["claude-cli", "x-app", "you are claude code", "codex_cli_rs", "x-stainless", "antigravity/"] {
        assert!(!all.contains(name), "{name}: {all}");
    }
    assert!(request.header("x-api-key").is_none() && request.header("x-goog-api-key").is_none());
}

#[test]
fn a_claude_login_over_messages() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "claude_code");
    let server = guarded(&authority, messages);
    let model = "claude-code-claude-haiku-4-5-20251001";
    let result = ask(&env, model, "CLAUDE_CODE_BASE_URL", &server);
    assert_eq!((&result["text"], &result["provider"]), (&json!("done"), &json!("claude_code")));
    // Its token ends, and the next run does not notice.
    authority.revoke_access();
    assert_eq!(ask(&env, model, "CLAUDE_CODE_BASE_URL", &server)["text"], "done");
    let requests = server.requests();
    assert_eq!((requests.len(), authority.grants("refresh_token").len()), (3, 1));
    for request in &requests {
        assert_honest(request);
        assert!(request.header("authorization").is_some_and(|a| a.starts_with("Bearer canary-access-")));
        assert!(request.header("anthropic-beta").is_some_and(|b| b.split(',').any(|b| b.trim() == "oauth-2025-04-20")));
        assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    }
}

#[test]
fn a_claude_login_that_is_not_wanted_from_pup() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "claude_code");
    let refusal = "This credential is only authorized for use with Claude Code and cannot be used for other API requests.";
    let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": refusal}}).to_string();
    let server = WireServer::asked(move |_| Answer::json(400, body.clone()));
    let spare = WireServer::asked(|_| messages());
    let run = || {
        let run = env.pup().args(["run", "--model", "claude-code-claude-haiku-4-5-20251001", "--fallback", "--output", "json", "go"]);
        run.env("CLAUDE_CODE_BASE_URL", server.url())
            .env("ANTHROPIC_BASE_URL", spare.url())
            .env("ANTHROPIC_API_KEY", "spare-key-0123456789")
            .run()
    };
    let out = run();
    let result = out.expect_code(0).json();
    assert_eq!((&result["text"], &result["attempts"][0]["outcome"]), (&json!("done"), &json!("permission")), "{result}");
    assert!(record(&env, "claude_code")["ended"]["why"].as_str().unwrap().contains("only authorized"), "disabled, with the reason");
    // The key serves the same model in the same place from now on, and the login is not tried again.
    assert_eq!(run().expect_code(0).json()["provider"], "anthropic");
    assert_eq!(server.requests().len(), 1);
    let out = env.pup().args(["auth", "status", "claude_code"]).run();
    assert!(out.stdout.contains("only authorized") && out.stdout.contains("pup auth login claude_code"), "{}", out.report());
}

#[test]
fn a_chatgpt_login_over_responses() {
    let authority = Authority::new();
    authority.answers_with(chatgpt_tokens());
    let env = home(&authority);
    logged_in(&env, "chatgpt");
    let server = guarded(&authority, responses);
    let ask = || ask(&env, "chatgpt-gpt-5.2-codex", "CHATGPT_BASE_URL", &server);
    let result = ask();
    assert_eq!(
        (&result["text"], &result["provider"], &result["attempts"][0]["account"]),
        (&json!("done"), &json!("chatgpt"), &json!("acc-1"))
    );
    authority.revoke_access();
    assert_eq!(ask()["text"], "done");
    let requests = server.requests();
    assert_eq!((requests.len(), authority.grants("refresh_token").len()), (3, 1));
    for request in &requests {
        assert_honest(request);
        assert!(request.path.ends_with("/responses"), "{}", request.path);
        assert_eq!((request.header("chatgpt-account-id"), request.header("originator")), (Some("acc-1"), Some("pup")));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&body["store"], &body["stream"], &body["max_output_tokens"]),
            (&json!(false), &json!(true), &Value::Null),
            "as this backend takes it"
        );
    }
}

#[test]
fn a_google_login_names_its_project() {
    let authority = Authority::new();
    let env = home(&authority);
    logged_in(&env, "antigravity");
    let server = guarded(&authority, code_assist);
    let result = ask(&env, "antigravity-gemini-3-flash", "ANTIGRAVITY_BASE_URL", &server);
    assert_eq!((&result["text"], &result["provider"]), (&json!("done"), &json!("antigravity")));
    let request = &server.requests()[0];
    assert_honest(request);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["project"], record(&env, "antigravity")["project"]);
    assert_eq!(body["project"], "made-1");
}
