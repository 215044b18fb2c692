//! Many real processes over one ledger: some are killed, prices are what a provider likes, and nobody goes over the cap
//! together; what one finds out of a key the others know at once.

use crate::support::launch::Running;
use crate::support::{Launch, Outcome, Reply, Server, TestEnv};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn run(env: &TestEnv, server: &Server) -> Launch {
    let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", "openai/gpt-4.1", "do it"]).model_server(server);
    launch.env("PUP_DAILY_BUDGET", "0.30")
}

fn total(env: &TestEnv) -> f64 {
    env.pup().args(["costs", "--json"]).run().expect_code(0).json()["total_usd"].as_f64().unwrap()
}

/// What each session's journal says that its attempts cost.
fn journals(env: &TestEnv) -> BTreeMap<String, f64> {
    let sessions = std::fs::read_dir(env.pup_home().join("state").join("sessions")).unwrap().flatten();
    let cost = |folder: &std::path::Path| {
        let text = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap_or_default();
        let lines = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).filter(|l| l["kind"] == "attempt");
        lines.filter_map(|l| l["cost_usd"].as_f64()).sum::<f64>()
    };
    sessions.map(|s| (s.file_name().to_string_lossy().into_owned(), cost(&s.path()))).collect()
}

#[test]
fn eight_processes_of_which_some_are_killed_stay_under_one_cap_and_the_ledger_is_their_journals() {
    let env = TestEnv::new();
    let mut asked = 0u64;
    let server = Server::respond(move |_| {
        asked += 1;
        // A different use each time; at times as long an answer as is allowed at all.
        let reply = Reply::text("done").usage(200 + asked * 37 % 900, 100 + asked * 7_919 % 3_000);
        reply.first_byte_after(Duration::from_millis(150 + asked * 61 % 300))
    });
    let mut seed = 20_261_126u64;
    let mut killed = 0;
    for _ in 0..2 {
        let all: Vec<Running> = (0..8).map(|_| run(&env, &server).spawn()).collect();
        for running in &all {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if seed >> 62 == 0 {
                std::thread::sleep(Duration::from_millis(seed >> 54 & 0xff));
                running.signal(rustix::process::Signal::KILL);
                killed += 1;
            }
        }
        let ends: Vec<Outcome> = all.into_iter().map(Running::wait).collect();
        assert!(ends.iter().all(|o| !o.stderr.contains("panicked")));
        assert!(total(&env) <= 0.30 + 1e-9, "{}", total(&env));
    }
    assert!(killed > 0);
    // Whoever comes next gives up what the dead ones held.
    run(&env, &server).run();
    let status = env.pup().args(["status", "--json"]).env("PUP_DAILY_BUDGET", "0.30").run().expect_code(0).json();
    assert!(status["budgets"].as_array().unwrap().iter().all(|b| b["reserved_usd"] == json!(0.0)), "{status}");
    let by_session = env.pup().args(["costs", "--by", "session", "--json"]).run().expect_code(0).json();
    let ledger: BTreeMap<String, f64> = by_session["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["name"].as_str().unwrap().to_owned(), r["cost_usd"].as_f64().unwrap()))
        .collect();
    let written: f64 = journals(&env).values().sum();
    for (session, cost) in &ledger {
        let told = journals(&env).get(session).copied().unwrap_or(0.0);
        assert!((told - cost).abs() < 1e-9 || told == 0.0, "{session}: {cost} in the ledger, {told} in its journal");
    }
    // One that was killed between the two has its receipt in the ledger alone.
    assert!(written <= total(&env) + 1e-9, "{written} is more than {}", total(&env));
}

#[test]
fn a_key_that_is_used_up_in_one_process_is_left_alone_by_another_within_a_second() {
    let env = TestEnv::new();
    // Who was asked with which key, and when the first key was refused.
    let asked: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
    let refused: Arc<Mutex<Option<Instant>>> = Arc::default();
    let (seen, when) = (Arc::clone(&asked), Arc::clone(&refused));
    let server = Server::respond(move |request| {
        let key = request.header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        let first = key.ends_with("0001");
        seen.lock().unwrap().push((key, Instant::now()));
        let text = serde_json::to_string(&request.body).unwrap();
        if text.contains("second process") && first {
            when.lock().unwrap().get_or_insert_with(Instant::now);
            return Reply::error(429, "rate_limit_error", "slow down").header("retry-after", "600");
        }
        if text.contains("first process") && !text.contains("\"role\":\"tool\"") {
            return Reply::tool_call("shell", json!({"command": "until test -e go; do sleep 0.05; done"}));
        }
        Reply::text("done")
    });
    let keys = "sk-test-first-0001,sk-test-second-0002";
    let pup = |prompt: &str| {
        let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", "openai/gpt-4.1", prompt]).model_server(&server);
        launch.env("OPENAI_API_KEY", keys)
    };
    let first = pup("first process").spawn();
    let began = Instant::now();
    while asked.lock().unwrap().is_empty() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    pup("second process").run().expect_code(0);
    let refused = refused.lock().unwrap().expect("the first key was asked");
    env.write("go", "");
    let out = first.wait().expect_code(0);
    let late: Vec<String> =
        asked.lock().unwrap().iter().filter(|(_, at)| *at > refused + Duration::from_secs(1)).map(|(key, _)| key.clone()).collect();
    let last = asked.lock().unwrap().last().cloned().unwrap().0;
    assert!(last.ends_with("0002"), "{last}: {}", out.report());
    assert!(late.iter().all(|key| key.ends_with("0002")), "{late:?}: {}", out.report());
    assert_eq!(asked.lock().unwrap().iter().filter(|(key, _)| key.ends_with("0001")).count(), 2, "once in each process");
}
