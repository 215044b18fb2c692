//! Money and shared knowledge, with the built binary: no call goes that could exceed a cap, what was spent stands in the
//! ledger, and a second process knows what the first found out.

use crate::support::{Launch, Outcome, Reply, Server, TestEnv};
use serde_json::{Value, json};

/// 3,000 tokens at 2 dollars and 4,000 at 8 dollars a million.
const DEAR: f64 = 0.038;

fn dear(reply: Reply) -> Reply {
    reply.usage(3_000, 4_000)
}

fn run(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--yolo", "--output", "json", "--model", "openai/gpt-4.1", "do it"]).model_server(server)
}

fn message(out: &Outcome) -> String {
    out.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

fn costs(env: &TestEnv) -> Value {
    env.pup().args(["costs", "--json"]).run().expect_code(0).json()
}

fn close(a: &Value, b: f64) -> bool {
    a.as_f64().is_some_and(|a| (a - b).abs() < 1e-9)
}

#[test]
fn a_call_that_could_exceed_the_cap_is_not_made_and_the_session_goes_on_with_a_higher_one() {
    let env = TestEnv::new();
    let server = Server::script([dear(Reply::tool_call("shell", json!({"command": "echo one >> log.txt"}))), dear(Reply::text("done"))]);
    let nothing = run(&env, &server).args(["--max-cost", "0.001"]).run().expect_code(6);
    assert_eq!(nothing.json()["cause"], "budget");
    assert!(message(&nothing).contains("of the $0.001 for this run (--max-cost) $0 are spent"), "{}", nothing.report());
    assert_eq!(server.requests().len(), 0, "nothing was sent");

    let out = run(&env, &server).args(["--max-cost", "0.05"]).run().expect_code(6);
    let result = out.json();
    assert!(close(&result["cost_usd"], DEAR), "{}", out.report());
    assert!(message(&out).contains("$0.05 for this run (--max-cost) $0.038 are spent"), "{}", out.report());
    let alerts: Vec<&str> = result["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(alerts.iter().any(|n| n.starts_with("50 % of the budget for this run")), "{alerts:?}");
    assert_eq!(env.read("log.txt"), "one\n", "what was done stays done");

    let on = env.pup().args(["run", "--yolo", "--output", "json", "--resume", "last", "--max-cost", "1"]).model_server(&server).run();
    let on = on.expect_code(0);
    assert_eq!((&on.json()["text"], env.read("log.txt").as_str()), (&json!("done"), "one\n"), "{}", on.report());
    let requests = server.finish();
    let bounds: Vec<Option<u64>> =
        requests.iter().map(|r| r.body["max_tokens"].as_u64().or(r.body["max_completion_tokens"].as_u64())).collect();
    assert!(bounds[0].is_some_and(|n| (1_024..6_000).contains(&n)), "the answer may be as long as the cap allows: {bounds:?}");
    assert!(close(&costs(&env)["total_usd"], 2.0 * DEAR), "{}", costs(&env));
}

#[test]
fn under_a_cap_the_provider_is_told_how_long_an_answer_was_reckoned_with() {
    let env = TestEnv::new();
    let server = Server::respond(|_| dear(Reply::text("done")));
    run(&env, &server).run().expect_code(0);
    run(&env, &server).env("PUP_DAILY_BUDGET", "50").run().expect_code(0);
    // Without a cap its own limit holds, which may be another than the one we know of.
    let bound = |n: usize| ["max_tokens", "max_completion_tokens"].into_iter().find_map(|f| server.requests()[n].body[f].as_u64());
    assert_eq!((bound(0), bound(1)), (None, Some(32_768)));
}

#[test]
fn a_day_s_cap_holds_over_processes_and_over_a_damaged_ledger() {
    let env = TestEnv::new();
    let server = Server::respond(|_| dear(Reply::text("done")));
    let capped = || run(&env, &server).env("PUP_DAILY_BUDGET", "0.05");
    let first = capped().run().expect_code(0);
    assert!(close(&first.json()["cost_usd"], DEAR));
    let out = capped().run().expect_code(6);
    assert!(message(&out).contains("$0.05 for a day (budget.daily) $0.038 are spent"), "{}", out.report());
    let path = env.pup_home().join("state").join("state.db");
    std::fs::write(&path, "this is no database, and it is longer than any header of one would be: ".repeat(20)).unwrap();
    let out = capped().run().expect_code(6);
    assert!(message(&out).contains("$0.038 are spent"), "made again from the journals: {}", out.report());
    assert_eq!(server.requests().len(), 1);
    // Whoever opens it first makes it again.
    std::fs::write(&path, "damaged a second time; ".repeat(50)).unwrap();
    let rows = costs(&env);
    assert!(rows["note"].as_str().is_some_and(|n| n.contains("was damaged")) && close(&rows["total_usd"], DEAR), "{rows}");
    let rows = costs(&env);
    assert_eq!((&rows["rows"][0]["name"], &rows["rows"][0]["output"]), (&json!("gpt-4.1"), &json!(4000)), "{rows}");
}

#[test]
fn an_unknown_price_is_refused_under_a_cap_unless_there_is_one_to_reckon_with() {
    let env = TestEnv::new();
    let server = Server::respond(|_| dear(Reply::text("done")));
    let unknown = || env.pup().args(["run", "--output", "json", "--model", "openai/never-heard-of", "hi"]).model_server(&server);
    let out = unknown().args(["--max-cost", "1"]).run().expect_code(6);
    assert!(message(&out).contains("`budget.ceiling`"), "{}", out.report());
    assert_eq!(server.requests().len(), 0);
    let out = unknown().run().expect_code(0).json();
    assert_eq!(out["cost_usd"], Value::Null, "{out}");
    let reckoned = unknown().args(["--max-cost", "1"]).env("PUP_BUDGET_CEILING", "input=2, output=8").run().expect_code(0).json();
    assert!(close(&reckoned["cost_usd"], DEAR), "{reckoned}");
    for bad in ["-1", "NaN", "a lot"] {
        let out = unknown().arg(format!("--max-cost={bad}")).run().expect_code(2);
        assert!(message(&out).contains("is no amount"), "{}", out.report());
    }
}

#[test]
fn eight_processes_at_once_stay_under_one_cap_and_the_ledger_is_the_sum_of_their_receipts() {
    let env = TestEnv::new();
    let server = Server::respond(|_| Reply::text("done").usage(3_000, 500));
    let all: Vec<_> = (0..8).map(|_| run(&env, &server).env("PUP_DAILY_BUDGET", "0.05").spawn()).collect();
    let ends: Vec<Outcome> = all.into_iter().map(crate::support::launch::Running::wait).collect();
    let spent: f64 = ends.iter().filter_map(|o| o.json()["cost_usd"].as_f64()).sum();
    let refused = ends.iter().filter(|o| o.json()["cause"] == "budget").count();
    assert!(spent <= 0.05 && refused >= 1, "{spent} {refused}");
    assert!(ends.iter().all(|o| ["done", "budget"].contains(&o.json()["cause"].as_str().unwrap())));
    assert!(close(&costs(&env)["total_usd"], spent), "{} is not {spent}", costs(&env));
}

/// Two models of two providers, one behind the other in every chain.
fn two(env: &TestEnv) {
    env.write_config(
        "models.json",
        r#"{"models": {"a": {"provider": "groq", "name": "a-there"}, "b": {"provider": "openai", "name": "b-there"}},
            "chains": {"orchestrator": ["a", "b"], "coding": ["a", "b"], "reasoning": ["a", "b"], "librarian": ["a", "b"]}}"#,
    );
}

#[test]
fn a_second_process_leaves_alone_what_the_first_one_found_out() {
    let env = TestEnv::new();
    two(&env);
    let (broken, good) = (Server::respond(|_| Reply::error(500, "server_error", "sorry")), Server::respond(|_| Reply::text("done")));
    let pup = || {
        let launch = env.pup().args(["run", "--output", "json", "hi"]).model_server(&good).env_remove("PUP_MODEL");
        launch.env("GROQ_API_KEY", "groq-key-0001").env("GROQ_BASE_URL", broken.base_url())
    };
    let first = pup().run().expect_code(0);
    assert_eq!(first.json()["model"], "b");
    let notes = first.json()["notes"].to_string();
    assert!(notes.contains("a -> b: ") && notes.contains("sorry"), "the switch and its reason are told: {notes}");
    let asked = broken.requests().len();
    let second = pup().run().expect_code(0);
    assert_eq!(second.json()["model"], "b", "{}", second.report());
    assert_eq!(broken.requests().len(), asked, "it is known to rest: {}", second.report());

    let text = env.pup().args(["run", "hi"]).model_server(&good).env_remove("PUP_MODEL");
    let text = text.env("GROQ_API_KEY", "groq-key-0001").env("GROQ_BASE_URL", broken.base_url()).run().expect_code(0);
    assert!(text.stderr.contains("pup: a -> b: server (HTTP 500): sorry"), "{}", text.report());

    // Alone it is asked all the same: it may be well again.
    let alone = pup().args(["--model", "a"]).env("PUP_HTTP_DEADLINE", "2s").run().expect_code(5);
    assert!(broken.requests().len() > asked, "{}", alone.report());
}

#[test]
fn another_model_goes_on_only_where_the_user_wants_it() {
    let env = TestEnv::new();
    two(&env);
    let (broken, good) = (Server::respond(|_| Reply::error(500, "server_error", "sorry")), Server::respond(|_| Reply::text("done")));
    let pup = |name: &str, policy: &str| {
        let launch = env.pup().args(["run", "--output", "json", "hi"]).model_server(&good).env_remove("PUP_MODEL").env(name, policy);
        launch.env("GROQ_API_KEY", "groq-key-0001").env("GROQ_BASE_URL", broken.base_url()).env("PUP_HTTP_DEADLINE", "2s")
    };
    // Without a terminal nobody can be asked.
    for (name, policy) in [("PUP_FAILOVER", "never"), ("PUP_FAILOVER", "ask"), ("PUP_FAILOVER_CODING", "never")] {
        let out = pup(name, policy).run().expect_code(5);
        let hint = out.json()["error"]["hint"].as_str().unwrap_or_default().to_owned();
        assert!(hint.contains("pup config set failover auto"), "{}", out.report());
        assert_eq!(good.requests().len(), 0, "{name}={policy}");
    }
    pup("PUP_FAILOVER_LIBRARIAN", "never").run().expect_code(0);
    assert_eq!(good.requests().len(), 1);
}

#[test]
fn status_and_quota_show_what_rests_and_what_is_left() {
    let env = TestEnv::new();
    two(&env);
    let show = |args: &[&str]| env.pup().args(args).run().expect_code(0);
    let nothing = show(&["status"]).stdout;
    assert!(nothing.starts_with("health: 100 of 100, good\nresting: nothing rests\nbreakers: all closed\n"), "{nothing}");
    assert!(nothing.contains("a day (budget.daily)") && nothing.contains("$0 of $50.00 spent"), "{nothing}");
    assert!(show(&["quota"]).stdout.contains("ask one something first"));
    assert_eq!(show(&["quota", "--json"]).json(), json!([]));

    let broken = Server::respond(|_| Reply::error(500, "server_error", "sorry"));
    let good = Server::respond(|_| {
        let low = [("x-ratelimit-limit-tokens", "1000"), ("x-ratelimit-remaining-tokens", "150"), ("x-ratelimit-reset-tokens", "300s")];
        low.iter().fold(Reply::text("done"), |reply, (name, value)| reply.header(name, value))
    });
    let launch = env.pup().args(["run", "--output", "json", "hi"]).model_server(&good).env_remove("PUP_MODEL");
    let out = launch.env("GROQ_API_KEY", "groq-key-0001").env("GROQ_BASE_URL", broken.base_url()).run().expect_code(0);
    let notes = out.json()["notes"].to_string();
    assert!(notes.contains("b: 15 % of its tokens left") && notes.contains("others come first"), "{notes}");

    let status = show(&["status", "--json"]).json();
    let resting = &status["resting"][0];
    assert_eq!(
        (&resting["provider"], &resting["upstream"], &resting["class"]),
        (&json!("groq"), &json!("a-there"), &json!("server")),
        "{status}"
    );
    assert!(resting["back_s"].as_u64().is_some_and(|s| (200..=300).contains(&s)), "{status}");
    assert_eq!(status["score"], json!(80), "{status}");
    let text = show(&["status"]).stdout;
    assert!(text.contains("groq a-there  back in ") && text.contains("[###.................]  15 %  150 of 1,000"), "{text}");
    let quota = show(&["quota", "--json"]).json();
    assert_eq!((&quota[0]["provider"], &quota[0]["remaining"]), (&json!("openai"), &json!(150)), "{quota}");

    // It goes on until it is interrupted, and each look is a line.
    let mut watch = env.pup().args(["status", "--watch", "--json"]).spawn();
    watch.wait_until("two looks", |out, _| out.lines().count() >= 2);
    watch.signal(rustix::process::Signal::INT);
    let out = watch.wait().expect_code(130);
    assert!(out.json_lines().iter().all(|l| l["score"] == json!(80)), "{}", out.report());
}
