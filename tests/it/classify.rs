//! `pup debug classify`: the printed object, where the body comes from, and what cannot be read.

use crate::support::TestEnv;
use serde_json::json;

#[test]
fn it_prints_one_object_from_a_file_or_from_stdin() {
    let env = TestEnv::new();
    let limit = r#"{"error":{"message":"Please try again in 1.2s","code":"rate_limit_exceeded"}}"#;
    let file = env.write("error.json", limit);
    let want = json!({"class": "rate_limit", "scope": "key", "retry_after_s": 1.2, "verdict": "next_key"});
    let args = ["debug", "classify", "--provider", "openai", "--status", "429"];
    let out = env.pup().args(args).arg(&file).run().expect_code(0);
    assert_eq!((out.json(), out.stderr.as_str()), (want.clone(), ""));
    assert_eq!(env.pup().args(args).input(limit).run().expect_code(0).json(), want);
    let headers = ["--header", "Retry-After-Ms: 250", "--header", "retry-after: 7"];
    let out = env.pup().args(args).args(headers).input("").run().expect_code(0);
    assert_eq!(out.json()["retry_after_s"], 0.25);
}

#[test]
fn whose_error_it_is_decides() {
    let env = TestEnv::new();
    for (provider, status, want) in [
        ("together", "403", ("context_too_long", "request", "compact")),
        ("openai", "403", ("permission", "key", "next_key")),
        ("cerebras", "400", ("context_too_long", "request", "compact")),
        ("anthropic", "429", ("quota", "key", "next_key")),
        ("openrouter", "429", ("rate_limit", "model", "next_link")),
        ("zai", "401", ("auth", "key", "relogin")),
        ("acme", "400", ("bad_request", "request", "stop")),
        ("acme", "500", ("server", "provider", "retry")),
    ] {
        let out = env.pup().args(["debug", "classify", "--provider", provider, "--status", status]).input("").run().expect_code(0);
        let (class, scope, verdict) = want;
        assert_eq!(out.json(), json!({"class": class, "scope": scope, "retry_after_s": null, "verdict": verdict}), "{provider} {status}");
        assert_eq!(out.stderr.contains("not a provider that pup knows"), provider == "acme", "{}", out.report());
    }
    // A provider of one's own is judged by what it speaks.
    env.write_config("models.json", r#"{"providers":{"relay":{"wire":"anthropic","base_url":"http://127.0.0.1:1","api_key_env":[]}}}"#);
    let out = env.pup().args(["debug", "classify", "--provider", "relay", "--status", "429"]).input("").run().expect_code(0);
    assert_eq!((out.json()["class"].as_str(), out.stderr.as_str()), (Some("quota"), ""));
}

#[test]
fn what_is_no_error_or_no_name_or_no_header_is_a_usage_error() {
    let env = TestEnv::new();
    let classify = |args: &[&str], body: &str| env.pup().args(["debug", "classify"]).args(args).input(body).run().expect_code(2);
    let good = classify(&["--provider", "openai", "--status", "200"], r#"{"choices":[]}"#);
    assert!(good.stdout.is_empty() && good.stderr.contains("nothing to classify"), "{}", good.report());
    let name = classify(&["--provider", "open ai", "--status", "500"], "");
    assert!(name.stderr.contains("`openai`"), "{}", name.report());
    let header = classify(&["--provider", "openai", "--status", "500", "--header", "Retry-After 7"], "");
    assert!(header.stderr.contains("Retry-After 7"), "{}", header.report());
    let file = env.pup().args(["debug", "classify", "--provider", "openai", "--status", "500", "none.json"]).run().expect_code(2);
    assert!(file.stderr.contains("none.json"), "{}", file.report());
}
