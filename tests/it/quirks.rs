//! Vendors' oddities over HTTP: what a provider of the catalogue is sent, and what its odd answers come to.

use crate::support::{Launch, Reply, Server, TestEnv};
use serde_json::{Value, json};

/// `pup run` with a provider whose server this is.
fn run(env: &TestEnv, server: &Server, model: &str, key: Option<&str>) -> Launch {
    let provider = model.split('/').next().unwrap();
    let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", model, "do it"]);
    let launch = launch.env(format!("{}_BASE_URL", provider.to_uppercase()), server.base_url());
    key.into_iter().fold(launch, |launch, name| launch.env(name, "test-key-not-a-secret"))
}

#[test]
fn a_call_that_groq_refused_is_answered_by_the_tool() {
    let env = TestEnv::new();
    let generation = json!({"name": "read_file", "arguments": {"which_one": "a.txt"}}).to_string();
    let refusal = json!({"error": {
        "message": "Tool call validation failed", "type": "invalid_request_error", "code": "tool_use_failed", "failed_generation": generation,
    }});
    let server = Server::script([Reply::plain(400, "application/json", refusal.to_string()), Reply::text("mended")]);
    let result = run(&env, &server, "groq/openai/gpt-oss-120b", Some("GROQ_API_KEY")).run().expect_code(0).json();
    assert_eq!((&result["text"], &result["tool_calls"]), (&json!("mended"), &json!(1)));
    let attempts: Vec<&Value> = result["attempts"].as_array().unwrap().iter().map(|a| &a["outcome"]).collect();
    assert_eq!(attempts, ["ok", "ok"], "it is an answer, not a failure");
    let requests = server.finish();
    assert_eq!(requests.len(), 2);
    let told = requests[1].results();
    assert!(told[0].starts_with("Error") && told[0].contains("path"), "the tool says which argument it wants: {told:?}");

    // Words that are no call are a failure as before, and the next try may go right.
    let torn = refusal.to_string().replace("a.txt", "a.txt\\\\");
    let server = Server::script([Reply::plain(400, "application/json", torn), Reply::text("done")]);
    let result = run(&env, &server, "groq/openai/gpt-oss-120b", Some("GROQ_API_KEY")).run().expect_code(0).json();
    assert_eq!((&result["attempts"][0]["outcome"], &result["attempts"][1]["outcome"]), (&json!("server"), &json!("ok")), "{result}");
}

#[test]
fn azure_is_where_its_owner_says_and_takes_the_key_its_own_way() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("hello")]);
    run(&env, &server, "azure/my-deployment", Some("AZURE_OPENAI_API_KEY")).run().expect_code(0);
    let requests = server.finish();
    assert_eq!(requests[0].header("api-key"), Some("test-key-not-a-secret"));
    assert_eq!((requests[0].header("authorization"), requests[0].body["model"].as_str()), (None, Some("my-deployment")));

    let nowhere = env.pup().args(["run", "--model", "azure/my-deployment", "x"]).env("AZURE_API_KEY", "k").run().expect_code(3);
    assert!(nowhere.stderr.contains("AZURE_BASE_URL is not set") && nowhere.stderr.contains("export"), "{}", nowhere.report());
    let listed = env.pup().args(["models", "list", "--provider", "azure"]).env("AZURE_API_KEY", "k").run().expect_code(0);
    assert_eq!(listed.stdout, "azure: AZURE_BASE_URL is not set\n");
}

#[test]
fn claude_behind_openrouter_gets_marks_that_move_between_bytes_that_stay() {
    let env = TestEnv::new();
    env.write("a.txt", "text");
    let read = || Reply::tool_call("read_file", json!({"path": "a.txt"}));
    let server = Server::turns([read(), read(), Reply::text("done")]);
    run(&env, &server, "openrouter/anthropic/claude-sonnet-4.5", Some("OPENROUTER_API_KEY")).run().expect_code(0);
    let requests = server.finish();
    assert_eq!(requests.len(), 3);
    let control = r#","cache_control":{"type":"ephemeral"}"#;
    let marked = |message: &Value| {
        let parts = message["content"].as_array().into_iter().flatten();
        message.get("cache_control").is_some() || parts.into_iter().any(|part| part.get("cache_control").is_some())
    };
    let mut before = None;
    for request in &requests {
        assert_eq!(request.header("x-title"), Some("pup"));
        let raw = String::from_utf8(request.raw.clone()).unwrap();
        assert!((1..=4).contains(&raw.matches(control).count()), "{raw}");
        let messages = request.messages();
        assert!(marked(&messages[0]) && marked(messages.last().unwrap()), "the system prompt and what is newest: {raw}");
        if let Some(newest) = before.replace(messages.len() - 1) {
            assert!(marked(&messages[newest]), "what the last request stored is looked for: {raw}");
        }
    }
    let plain: Vec<String> = requests.iter().map(|r| String::from_utf8(r.raw.clone()).unwrap().replace(control, "")).collect();
    for pair in plain.windows(2) {
        let end = pair[0].rfind("],\"").unwrap();
        assert!(pair[1].starts_with(&pair[0][..end]), "{}\n{}", pair[0], pair[1]);
    }
}

#[test]
fn a_window_that_was_too_small_is_no_answer() {
    let env = TestEnv::new();
    let long = "word ".repeat(20_000);
    let server = Server::script([Reply::text("I see nothing to do.").usage(4_096, 9)]);
    let out = run(&env, &server, "ollama/small", None).arg(&long).run();
    assert_eq!(out.code, Some(2), "one prompt only: {}", out.report());
    let ask = |server: &Server| {
        let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", "ollama/small", &long]);
        launch.env("OLLAMA_BASE_URL", server.base_url()).run()
    };
    let out = ask(&server);
    let result = out.json();
    assert_eq!((out.code, &result["attempts"][0]["outcome"]), (Some(7), &json!("context_too_long")), "{}", out.report());
    assert!(result["error"]["message"].as_str().is_some_and(|m| m.contains("OLLAMA_CONTEXT_LENGTH")), "{}", out.report());
    let enough = Server::script([Reply::text(r#"{"answer": "seen"}"#).usage(30_000, 9)]);
    assert_eq!(ask(&enough).expect_code(0).json()["text"], "seen");
}
