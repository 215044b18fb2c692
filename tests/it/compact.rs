//! Conversations that grow too long while pup runs: made smaller in time, told, recorded, and taken up to the same bytes.

use crate::resume::entries;
use crate::support::server::assert_stable_prefix;
use crate::support::{Launch, Reply, Request, Server, TestEnv};
use serde_json::{Value, json};

/// The summariser is told that it gets a transcript, and has no tools.
fn is_summary(request: &Request) -> bool {
    request.last_text().starts_with("<transcript>")
}

const FILES: usize = 14;

fn env() -> TestEnv {
    let env = TestEnv::new();
    let limits = json!({"models": {"gpt-4o-mini": {"context": 16_000, "max_output": 1_000, "slimmer": {"compact_at": 0.5, "max_input": 12_000, "diet": "balanced"}}}});
    env.write_config("models.json", limits.to_string());
    for n in 0..FILES {
        let lines: Vec<String> = (0..180).map(|line| format!("line {line} of part {n} has the value {}\n", line * 37 + n)).collect();
        env.write(format!("part{n}.txt"), lines.concat());
    }
    env
}

fn run(env: &TestEnv, server: &Server, args: &[&str]) -> Launch {
    env.pup().arg("run").args(args).args(["--model", "gpt-4o-mini"]).model_server(server)
}

/// Reads one file after the other; the usage that it reports is that of its bytes.
fn reader(upto: usize, summary: &'static str) -> Server {
    let mut asked = 0;
    Server::respond(move |request| {
        let tokens = request.raw.len() as u64 / 3;
        if is_summary(request) {
            return Reply::text(summary).usage(tokens, 50);
        }
        asked += 1;
        if asked <= upto {
            let path = format!("part{}.txt", (asked - 1) % FILES);
            return Reply::text(format!("Reading {path}.")).and_call("read_file", &json!({"path": path})).usage(tokens, 20);
        }
        Reply::text("All parts are read.").usage(tokens, 10)
    })
}

/// The requests of the conversation itself, in runs between compactions.
fn between(requests: Vec<Request>) -> Vec<Vec<Request>> {
    let mut runs: Vec<Vec<Request>> = vec![Vec::new()];
    let mut messages = 0;
    for request in requests.into_iter().filter(|r| !is_summary(r)) {
        if request.messages().len() < messages + 2 && messages > 0 {
            runs.push(Vec::new());
        }
        messages = request.messages().len();
        runs.last_mut().unwrap().push(request);
    }
    runs
}

#[test]
fn a_long_task_stays_below_the_limit_and_says_so() {
    let env = env();
    let server = reader(FILES, "Goal: read all parts. Findings: part 3 has 180 lines.");
    let out = run(&env, &server, &["--output", "stream-json", "Read every part. Never forget: the port is 8417."]).run().expect_code(0);
    let lines: Vec<Value> = out.stdout.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let compacted: Vec<&Value> = lines.iter().filter(|l| l["type"] == "compacted").collect();
    assert!(!compacted.is_empty(), "{}", out.stdout);
    assert!(compacted.iter().all(|c| c["after"].as_u64() < c["before"].as_u64()), "{compacted:?}");
    let result = lines.last().unwrap();
    assert!(result["notes"].to_string().contains("compacted: "), "{result}");
    let journalled = entries(&env).iter().filter(|e| e["kind"] == "compaction").count();
    assert_eq!(journalled, compacted.len());

    let requests = server.finish();
    let usage: u64 = requests.iter().map(|r| r.raw.len() as u64 / 3).sum();
    assert_eq!(result["usage"]["input"].as_u64(), Some(usage), "summaries are counted too");
    assert!(requests.iter().any(is_summary));
    let runs = between(requests);
    assert!(runs.len() > 1);
    for run in &runs {
        assert_stable_prefix(run);
        for request in run {
            assert!(request.raw.len() / 3 <= 11_000, "{} bytes", request.raw.len());
            assert!(String::from_utf8_lossy(&request.raw).contains("Never forget: the port is 8417."));
        }
    }
    assert!(!runs[0][0].tools().contains(&"recall") && runs.last().unwrap()[0].tools().contains(&"recall"));
}

#[test]
fn a_resumed_session_sends_the_smaller_conversation_byte_for_byte_and_finds_the_rest() {
    let env = env();
    let server = reader(FILES, "Goal: read.");
    run(&env, &server, &["Read every part."]).run().expect_code(0);
    let before = server.finish();
    let last = before.into_iter().rfind(|r| !is_summary(r)).unwrap();

    let again = Server::script([Reply::tool_call("recall", json!({"query": "line 77 of part 0"})), Reply::text("It has 2849.")]);
    let out = run(&env, &again, &["--resume", "last", "--output", "json", "What has line 77 of part 0?"]).run().expect_code(0);
    assert_eq!(out.json()["cause"], "done");
    let requests = again.finish();
    assert_stable_prefix(&[last, requests[0].clone()]);
    assert!(requests[1].results().last().unwrap().contains("line 77 of part 0 has the value 2849"), "{:?}", requests[1].results().last());
}

#[test]
fn a_summary_that_fails_costs_nothing_but_the_summary() {
    let env = env();
    let mut asked = 0;
    let server = Server::respond(move |request| {
        if is_summary(request) {
            return Reply::error(400, "invalid_request_error", "no summaries today");
        }
        asked += 1;
        if asked <= FILES {
            return Reply::tool_call("read_file", json!({"path": format!("part{}.txt", asked - 1)}))
                .usage(request.raw.len() as u64 / 3, 20);
        }
        Reply::text("Read.")
    });
    let out = run(&env, &server, &["--output", "json", "Read every part."]).run().expect_code(0);
    assert!(out.json()["notes"].to_string().contains("left out"), "{}", out.stdout);
    assert!(server.finish().iter().any(is_summary));
}

#[test]
fn a_provider_s_refusal_for_length_makes_the_conversation_smaller_and_it_goes_on() {
    let env = TestEnv::new();
    let rows: Vec<String> = (0..400).map(|n| format!("row {n}: {}\n", n * 7919)).collect();
    (0..4).for_each(|n| drop(env.write(format!("part{n}.txt"), rows.concat())));
    let mut asked = 0;
    let respond = move |request: &Request| {
        if request.raw.len() > 30_000 {
            let message = "This model's maximum context length is 9000 tokens. However, your messages resulted in 12000 tokens.";
            return Reply::error(400, "invalid_request_error", message);
        }
        if is_summary(request) {
            return Reply::text("Goal: read.");
        }
        asked += 1;
        if asked <= 4 { Reply::tool_call("read_file", json!({"path": format!("part{}.txt", asked - 1)})) } else { Reply::text("Read.") }
    };
    let server = Server::respond(respond);
    let out = run(&env, &server, &["--output", "json", "Read every part."]).run().expect_code(0);
    assert!(out.json()["notes"].to_string().contains("compacted: "), "{}", out.stdout);
    drop(server.finish());

    let server = Server::respond(respond);
    let out = run(&env, &server, &["--output", "json", "--no-compact", "Read every part."]).run().expect_code(7);
    assert_eq!(out.json()["cause"], "limit");
    drop(server.finish());
}
