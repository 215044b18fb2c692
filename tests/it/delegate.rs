//! Agents that hand work to other agents, with the real binary: what each sees, what comes back, what it costs, and that
//! nothing is lost or left behind, whichever way it ends.
#![cfg(target_os = "linux")]

use crate::support::launch::Running;
use crate::support::server::assert_stable_prefix;
use crate::support::{Launch, Reply, Request, Server, TestEnv};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// An agent file; its prompt is its name, by which the server knows who asks.
fn agent(env: &TestEnv, name: &str, workload: &str, delegates: &str) {
    let front = format!("name: {name}\ndescription: Does what {name} does.\nworkload: {workload}\ntools: [read_file, shell]\n");
    env.write_config(format!("agents/{name}.md"), format!("---\n{front}delegates: [{delegates}]\n---\nI am {name}.\n"));
}

fn env() -> TestEnv {
    let env = TestEnv::new();
    agent(&env, "lead", "ORCHESTRATOR", "helper, middle, coder");
    agent(&env, "middle", "CODING", "helper, lead");
    agent(&env, "helper", "LIBRARIAN", "");
    agent(&env, "coder", "CODING", "");
    env.write("a.txt", "alpha\n");
    env.write("b.txt", "beta\n");
    env
}

fn run(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--yolo", "-a", "lead"]).model_server(server).limit(Duration::from_mins(1))
}

/// Who asks.
fn who(request: &Request) -> String {
    let system = request.messages()[0]["content"].as_str().unwrap_or_default().to_owned();
    system.strip_prefix("I am ").and_then(|s| s.split('.').next()).unwrap_or("nobody").to_owned()
}

/// What it was asked first.
fn task(request: &Request) -> String {
    let user = request.messages().iter().find(|m| m["role"] == "user");
    user.and_then(|m| m["content"].as_str()).unwrap_or_default().to_owned()
}

fn invoke(agent: &str, prompt: &str) -> (&'static str, Value) {
    ("invoke_agent", json!({"agent": agent, "prompt": prompt}))
}

/// The journal of a session.
fn journal(env: &TestEnv, id: &str) -> Vec<Value> {
    let path = env.pup_home().join("state/sessions").join(id).join("journal.jsonl");
    let bytes = std::fs::read(&path).unwrap_or_default();
    bytes.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect()
}

/// The sessions: those of children behind their parents.
fn sessions(env: &TestEnv) -> Vec<String> {
    let folder: PathBuf = env.pup_home().join("state/sessions");
    let mut all: Vec<String> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

/// Processes of this test's project that still run.
fn left_running(env: &TestEnv) -> Vec<String> {
    let marks: Vec<Vec<u8>> = sessions(env).iter().map(|id| format!("PUP_SESSION={id}").into_bytes()).collect();
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|e| e.path());
    let marked =
        processes.filter(|p| std::fs::read(p.join("environ")).is_ok_and(|e| e.split(|b| *b == 0).any(|v| marks.iter().any(|m| m == v))));
    marked.map(|p| std::fs::read_to_string(p.join("stat")).unwrap_or_default()).filter(|s| !s.is_empty() && !s.contains(") Z")).collect()
}

#[track_caller]
fn wait_until(what: &str, there: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !there() {
        assert!(Instant::now() < until, "no {what} in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(running: Running) {
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
}

#[test]
fn two_at_once_each_see_their_own_task_and_count_in_the_whole() {
    let env = env();
    let server = Server::respond(|request| match (who(request).as_str(), request.turn()) {
        ("lead", 0) => Reply::tool_calls([invoke("helper", "sum up a.txt"), invoke("helper", "sum up b.txt")]).usage(1000, 10),
        ("lead", _) => Reply::text(request.results().join(" | ")).usage(1100, 10),
        (_, 0) => Reply::tool_call("read_file", json!({"path": task(request).strip_prefix("sum up ").unwrap()})).usage(300, 10),
        _ => Reply::text(format!("It says {}", request.results()[0].trim())).usage(320, 10),
    });
    let out = run(&env, &server).args(["--output", "json", "sum up both"]).run().expect_code(0);
    let result = out.json();
    assert_eq!(result["text"], "It says alpha | It says beta");
    let (asked, attempts) = (server.finish(), result["attempts"].as_array().unwrap().len());
    assert_eq!((asked.len(), attempts), (6, 6));
    assert_eq!((&result["usage"]["input"], &result["usage"]["output"]), (&json!(1000 + 1100 + 2 * 620), &json!(60)));
    let total = result["cost_usd"].as_f64().unwrap();
    let sum: f64 = result["attempts"].as_array().unwrap().iter().map(|a| a["cost_usd"].as_f64().unwrap()).sum();
    assert!(total > 0.0 && (total - sum).abs() < 1e-9);

    let children = result["children"].as_array().unwrap();
    assert_eq!(children.len(), 2);
    assert!(
        children.iter().all(|c| c["ok"] == true && c["agent"] == "helper" && c["turns"] == 2 && c["usage"]["input"] == 620),
        "{children:?}"
    );
    let parent = result["session"].as_str().unwrap();
    for child in children {
        let id = child["session"].as_str().unwrap();
        assert!(id.starts_with(&format!("{parent}.")));
        assert_eq!(journal(&env, id)[0]["parent"], json!(parent));
        let shown = env.pup().args(["sessions", "show", id]).run().expect_code(0).stdout;
        assert!(shown.contains(&format!("works for session {parent}")) && shown.contains("It says "), "{shown}");
    }
    // Each sees its own task and nothing of the lead's conversation, and has no tools to hand work on.
    for request in asked.iter().filter(|r| who(r) == "helper") {
        assert!(request.tools() == ["read_file", "shell"] && !String::from_utf8_lossy(&request.raw).contains("sum up both"));
    }
    for name in ["lead", "helper"] {
        let mut by_task: BTreeMap<String, Vec<Request>> = BTreeMap::new();
        asked.iter().filter(|r| who(r) == name).for_each(|r| by_task.entry(task(r)).or_default().push(r.clone()));
        for run in by_task.values() {
            assert_stable_prefix(run);
        }
    }
    assert_eq!(asked[0].tools(), ["read_file", "shell", "invoke_agent", "list_agents"]);

    // In lists they stand below the session that they work for; it is the one that `last` and its beginning mean.
    let listed = env.pup().args(["sessions", "list"]).run().expect_code(0).stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with(parent) && lines[1].starts_with(&format!("  {parent}.")), "{listed}");
    let last = env.pup().args(["sessions", "show", "last", "--json"]).run().expect_code(0).json();
    assert_eq!((&last["id"], last["children"].as_array().unwrap().len()), (&json!(parent), 2));
    env.pup().args(["sessions", "show", &parent[..20]]).run().expect_code(0);
    let costs = env.pup().args(["costs", "--by", "session", "--json"]).run().expect_code(0).stdout;
    assert!(costs.contains(parent) && !costs.contains(&format!("{parent}.")), "the session pays for all: {costs}");
}

#[test]
fn itself_circles_and_strangers_are_refused_in_words() {
    let env = env();
    let server = Server::respond(|request| match (who(request).as_str(), request.turn()) {
        ("lead", 0) => {
            Reply::tool_calls([invoke("lead", "x"), invoke("code-puppy", "x"), invoke("helper", " "), invoke("middle", "go round")])
        }
        ("middle", 0) => Reply::tool_calls([invoke("lead", "you do it")]),
        (_, _) => Reply::text(request.results().join("\n")),
    });
    let out = run(&env, &server).args(["--output", "json", "x"]).run().expect_code(0);
    let text = out.json()["text"].as_str().unwrap().to_owned();
    for want in ["lead is what you are", "cannot invoke `code-puppy`", "the prompt is empty", "lead > middle > lead"] {
        assert!(text.contains(want), "no `{want}` in {text}");
    }
    assert_eq!(out.json()["children"].as_array().unwrap().len(), 1, "nobody was begun for what was refused");
}

#[test]
fn nothing_is_an_error_and_ten_megabytes_are_bounded_and_can_be_read() {
    let env = env();
    let server = Server::respond(|request| match (who(request).as_str(), request.turn()) {
        ("lead", 0) => Reply::tool_calls([invoke("helper", "say nothing"), invoke("helper", "say a lot"), invoke("helper", "fail")]),
        ("lead", 3) => {
            let results = request.results();
            let id = results[1].split("id \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            assert!(results[1].len() < 40_000, "{} bytes", results[1].len());
            Reply::tool_call("list_agents", json!({"id": id, "offset": 6_000_000}))
        }
        ("lead", _) => {
            let results = request.results();
            let part = &results[3];
            assert!(part.contains("bytes 6000000 to ") && part.len() > 1000, "{}", &part[..200]);
            Reply::text(format!("{}\n{}", results[0], results[2]))
        }
        _ if task(request) == "say nothing" => Reply::text(""),
        _ if task(request) == "fail" => Reply::error(400, "invalid_request_error", "this is not to my liking"),
        _ => Reply::text("all work and no play \n".repeat(500_000)).not_streamed(),
    });
    let out = run(&env, &server).args(["--output", "json", "x"]).run().expect_code(0);
    let text = out.json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("agent helper did not do it: rejected: the model returned an empty reply"), "{text}");
    assert!(text.contains("this is not to my liking"), "{text}");
    let failed = out.json()["children"].as_array().unwrap().iter().filter(|c| c["ok"] == false).count();
    assert_eq!(failed, 2);
}

#[test]
fn what_a_child_was_denied_the_run_was_denied() {
    let env = env();
    let server = Server::respond(|request| match (who(request).as_str(), request.turn()) {
        ("lead", 0) => Reply::tool_calls([invoke("coder", "touch it")]),
        ("coder", 0) => Reply::tool_call("shell", json!({"command": "touch touched"})),
        (_, _) => Reply::text(format!("as far as it went: {}", request.results()[0])),
    });
    let launch = env.pup().args(["run", "-a", "lead", "--approve", "read-only", "--output", "json", "x"]).model_server(&server);
    let out = launch.run().expect_code(8);
    assert!(out.json()["text"].as_str().unwrap().contains("the task needed commands"), "{}", out.stdout);
    assert!(!env.exists("touched"));
}

#[test]
fn the_cap_of_a_run_holds_for_all_that_work_in_it() {
    let env = env();
    let server = Server::respond(|request| match (who(request).as_str(), request.turn()) {
        ("lead", 0) => Reply::tool_calls([invoke("helper", "read")]).usage(300, 10),
        ("lead", _) => Reply::text("done"),
        (_, n) if n < 40 => {
            Reply::tool_call("read_file", json!({"path": "a.txt", "start_line": n + 1})).usage(request.raw.len() as u64 / 4, 10)
        }
        _ => Reply::text("read"),
    });
    let out = run(&env, &server).args(["--max-cost", "0.03", "--output", "json", "x"]).run().expect_code(6);
    let result = out.json();
    assert_eq!((&result["cause"], &result["children"][0]["cause"]), (&json!("budget"), &json!("budget")));
    assert!(result["cost_usd"].as_f64().unwrap() <= 0.03, "{}", result["cost_usd"]);
}

#[test]
fn one_in_the_background_is_asked_for_its_state_and_its_answer_comes_by_itself() {
    let env = env();
    let server = Server::respond(|request| match (who(request).as_str(), request.turn()) {
        ("lead", 0) => Reply::tool_call("invoke_agent", json!({"agent": "helper", "prompt": "sum up", "background": true})),
        ("lead", 1) => Reply::tool_call("list_agents", json!({})),
        ("lead", _) => {
            let letter = request.messages().iter().rfind(|m| m["role"] == "user").unwrap()["content"].as_str().unwrap().to_owned();
            let word = if letter.contains("has ended.]") { letter } else { "I have nothing yet".to_owned() };
            Reply::text(word)
        }
        (_, 0) => Reply::tool_call("shell", json!({"command": "sleep 0.7; cat a.txt"})),
        _ => Reply::text("It says alpha."),
    });
    let out = run(&env, &server).args(["--output", "json", "x"]).run().expect_code(0);
    let text = out.json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("[Agent helper in the background (") && text.ends_with("Its answer:\nIt says alpha."), "{text}");
    let lead: Vec<Request> = server.finish().into_iter().filter(|r| who(r) == "lead").collect();
    let state = &lead[2].results()[1];
    assert!(state.contains("helper: Does what helper does.") && state.contains("Invoked:\n"), "{state}");
    assert_stable_prefix(&lead);
}

/// A child is in the middle of its second command when pup is killed.
#[test]
fn killed_with_its_parent_a_child_is_taken_up_and_does_nothing_twice() {
    for background in [false, true] {
        let env = env();
        let invoked = json!({"agent": "coder", "prompt": "write the log", "background": background});
        let model = move |request: &Request| match (who(request).as_str(), request.turn()) {
            ("lead", 0) => Reply::tool_call("invoke_agent", invoked.clone()),
            ("lead", _) => {
                let last = request.messages().last().unwrap();
                Reply::text(format!("heard: {}", last["content"].as_str().unwrap_or_default()))
            }
            (_, 0) => Reply::tool_call("shell", json!({"command": "echo one >> log.txt"})),
            (_, 1) => Reply::tool_call("shell", json!({"command": "echo two >> log.txt; touch begun; sleep 300"})),
            _ => Reply::text(format!("The log: {}", request.results()[1])),
        };
        let server = Server::respond(model.clone());
        let running = run(&env, &server).args(["--output", "json", "x"]).spawn();
        wait_until("second command", || env.exists("begun"));
        kill(running);
        drop(server);
        let parent = sessions(&env)[0].clone();
        let again = Server::respond(model);
        let out = run(&env, &again).args(["--resume", "last", "--output", "json"]).run().expect_code(0);
        let result = out.json();
        assert_eq!(result["session"], json!(parent));
        let text = result["text"].as_str().unwrap();
        assert!(text.contains("The log: ") && text.contains("outcome unknown"), "{text}");
        assert_eq!(env.read("log.txt"), "one\ntwo\n", "each effect once");
        assert_eq!((sessions(&env).len(), left_running(&env)), (2, vec![]));
        let child = sessions(&env)[1].clone();
        assert_eq!(journal(&env, &child).last().unwrap()["cause"], "done");
        for name in ["lead", "coder"] {
            let asked: Vec<Request> = again.requests().into_iter().filter(|r| who(r) == name).collect();
            assert_stable_prefix(&asked);
        }
    }
}

#[test]
fn a_signal_ends_the_whole_tree_and_each_can_be_gone_on_with() {
    let env = env();
    let server = Server::respond(|request| match (who(request).as_str(), request.turn()) {
        ("lead", 0) => Reply::tool_calls([invoke("middle", "a"), invoke("coder", "b"), invoke("coder", "c")]),
        ("middle", 0) => Reply::tool_calls([invoke("helper", "deep")]),
        _ => Reply::tool_call("shell", json!({"command": "echo x >> begun; trap '' TERM; sleep 300 & setsid sleep 300 & wait"})),
    });
    let running = run(&env, &server).args(["--output", "json", "x"]).spawn();
    wait_until("all at work", || env.exists("begun") && env.read("begun").lines().count() == 3);
    running.signal(Signal::INT);
    let result = running.wait().expect_code(130).json();
    assert_eq!(left_running(&env), Vec::<String>::new());
    assert_eq!(result["children"].as_array().unwrap().len(), 4);
    for id in sessions(&env) {
        let entries = journal(&env, &id);
        assert_eq!((&entries.last().unwrap()["kind"], &entries.last().unwrap()["cause"]), (&json!("end"), &json!("interrupted")), "{id}");
    }
    // A child's session goes on like any other.
    let child = sessions(&env).into_iter().find(|id| journal(&env, id)[0]["agent"] == "helper").unwrap();
    let alone = Server::script([Reply::text("Then I stop.")]);
    let out = env.pup().args(["run", "--resume", &child, "--output", "json", "stop"]).model_server(&alone).run().expect_code(0);
    assert_eq!((&out.json()["agent"], &out.json()["text"]), (&json!("helper"), &json!("Then I stop.")));
}

/// How many of a stream's agents were at work at once, of each kind.
fn most_at_once(lines: &[Value]) -> BTreeMap<String, usize> {
    let (mut now, mut most): (BTreeMap<String, usize>, BTreeMap<String, usize>) = (BTreeMap::new(), BTreeMap::new());
    for line in lines {
        let agent = line["agent"].as_str().unwrap_or_default().to_owned();
        match line["type"].as_str() {
            Some("agent_start") => {
                let n = now.entry(agent.clone()).or_default();
                *n += 1;
                let m = most.entry(agent).or_default();
                *m = (*m).max(*n);
            }
            Some("agent_end") => *now.entry(agent).or_default() -= 1,
            _ => {}
        }
    }
    most
}

#[test]
fn twenty_at_once_against_rate_limits_stay_within_bounds_and_add_up() {
    let env = env();
    let mut refused = 0;
    let server = Server::respond(move |request| {
        // Every third request of a child is refused first.
        if who(request) != "lead" && request.number % 3 == 1 && refused < 12 {
            refused += 1;
            return Reply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "0.2");
        }
        match (who(request).as_str(), request.turn()) {
            ("lead", 0) => {
                let agent = |n: usize| if n.is_multiple_of(2) { "helper" } else { "coder" };
                let calls: Vec<(&str, Value)> = (0..20).map(|n| invoke(agent(n), &format!("task {n}"))).collect();
                Reply::tool_calls(calls).usage(500, 5)
            }
            ("lead", _) => Reply::text(request.results().join("|")).usage(700, 5),
            (_, 0) => Reply::tool_call("read_file", json!({"path": "a.txt"})).usage(100, 5).delay_each(Duration::from_millis(5)),
            _ => Reply::text(format!("done {}", task(request))).usage(120, 5),
        }
    });
    let out = run(&env, &server).args(["--output", "stream-json", "x"]).run().expect_code(0);
    let lines = out.json_lines();
    let most = most_at_once(&lines);
    assert!(most["helper"] <= 3 && most["coder"] <= 2 && most["helper"] > 1, "{most:?}");
    let result = lines.last().unwrap();
    let want: Vec<String> = (0..20).map(|n| format!("done task {n}")).collect();
    assert_eq!(result["text"], want.join("|"));
    assert_eq!((&result["usage"]["input"], &result["usage"]["output"]), (&json!(1200 + 20 * 220), &json!(210)));
    let attempts = result["attempts"].as_array().unwrap();
    let limited = attempts.iter().filter(|a| a["outcome"] == "rate_limit").count();
    assert!(limited > 0 && attempts.len() == 42 + limited, "{limited} of {}", attempts.len());
    assert_eq!(server.finish().len(), attempts.len());
    let inner = lines.iter().find(|l| l["type"] == "agent_event").unwrap();
    assert!(inner["child"].as_str().is_some_and(|id| id.contains('.')) && inner["event"]["type"].is_string(), "{inner}");
}

#[test]
fn twenty_at_once_are_all_stopped_by_a_time_limit() {
    let env = env();
    let server = Server::respond(|request| match who(request).as_str() {
        "lead" => Reply::tool_calls((0..20).map(|n| invoke("coder", &format!("task {n}"))).collect::<Vec<_>>()),
        _ => Reply::tool_call("shell", json!({"command": "sleep 300"})),
    });
    let out = run(&env, &server).args(["--timeout", "2s", "--output", "json", "x"]).run().expect_code(7);
    let children = out.json()["children"].as_array().unwrap().clone();
    assert!(children.iter().all(|c| c["cause"] == "limit" && c["ok"] == false), "{children:?}");
    assert_eq!(left_running(&env), Vec::<String>::new());
}

#[test]
fn summaries_come_from_the_librarian_s_chain_and_are_paid_for() {
    let env = TestEnv::new();
    let main = Server::respond({
        let mut asked = 0;
        move |request| {
            asked += 1;
            let tokens = request.raw.len() as u64 / 3;
            if asked <= 14 {
                return Reply::tool_call("read_file", json!({"path": format!("part{asked}.txt")})).usage(tokens, 20);
            }
            Reply::text("Read.").usage(tokens, 20)
        }
    });
    let small = Server::respond(|request| {
        assert!(request.last_text().starts_with("<transcript>"));
        Reply::text("Goal: read all parts.").usage(4321, 50)
    });
    let at = |server: &Server| json!({"wire": "openai-chat", "base_url": server.base_url(), "api_key_env": []});
    let of = |provider: &str| {
        json!({"provider": provider, "name": "m", "context": 16_000, "max_output": 1_000,
        "slimmer": {"compact_at": 0.5, "max_input": 12_000, "diet": "balanced"}, "price": {"input": 1.0, "output": 2.0}})
    };
    let chains = json!({"coding": ["big"], "librarian": ["small"]});
    let overlay = json!({"providers": {"acme": at(&main), "little": at(&small)}, "models": {"big": of("acme"), "small": of("little")}, "chains": chains});
    env.write_config("models.json", overlay.to_string());
    for n in 1..=14 {
        let lines: Vec<String> = (0..180).map(|line| format!("line {line} of part {n} has the value {}\n", line * 37 + n)).collect();
        env.write(format!("part{n}.txt"), lines.concat());
    }
    let out = env.pup().args(["run", "--output", "json", "read all"]).env_remove("PUP_MODEL").run().expect_code(0);
    let result = out.json();
    let summaries = small.finish().len();
    assert!(summaries > 0);
    let of_small: Vec<&Value> = result["attempts"].as_array().unwrap().iter().filter(|a| a["model"] == "small").collect();
    assert_eq!(of_small.len(), summaries);
    assert!(of_small.iter().all(|a| a["cost_usd"].as_f64().unwrap() > 0.004), "{of_small:?}");
    assert_eq!(result["model"], "big");
}
