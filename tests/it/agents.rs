//! `pup agents`: the list, one agent, the checks; whose file wins, and that a wrong file harms nobody else.

use crate::support::{Outcome, Reply, Server, Terminal, TestEnv};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const MINE: &str = "---\nname: mine\ndescription: Does my thing.\nworkload: LIBRARIAN\ntools: [read_file]\n---\nDo my thing.\n";

fn list(env: &TestEnv) -> Vec<Value> {
    let out = env.pup().args(["agents", "list", "--json"]).run().expect_code(0);
    let all = out.json();
    all.as_array().unwrap_or_else(|| panic!("{}", out.report())).clone()
}

fn named<'l>(all: &'l [Value], name: &str) -> &'l Value {
    all.iter().find(|a| a["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn show(env: &TestEnv, name: &str) -> Value {
    env.pup().args(["agents", "show", name, "--json"]).run().expect_code(0).json()
}

#[test]
fn the_list_has_thirty_six_by_workload() {
    let env = TestEnv::new();
    let all = list(&env);
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for agent in &all {
        *count.entry(agent["workload"].as_str().unwrap()).or_default() += 1;
        assert_eq!((&agent["origin"], &agent["model"]), (&json!("built_in"), &Value::Null), "{agent}");
        assert!(agent.get("error").is_none() && agent["tools"].as_array().is_some_and(|t| !t.is_empty()), "{agent}");
        for key in ["name", "display_name", "description", "delegates"] {
            assert!(!agent[key].is_null(), "{key}: {agent}");
        }
        for delegate in agent["delegates"].as_array().unwrap() {
            named(&all, delegate.as_str().unwrap());
        }
    }
    assert_eq!(count, BTreeMap::from([("ORCHESTRATOR", 5), ("REASONING", 12), ("CODING", 15), ("LIBRARIAN", 4)]));
    let text = env.pup().args(["agents", "list"]).run().expect_code(0);
    assert!(text.stdout.lines().count() == 36 + 4 && text.stderr.is_empty(), "{}", text.report());
    let heads: Vec<&str> = text.stdout.lines().filter(|l| !l.starts_with(' ')).collect();
    assert_eq!(heads, ["ORCHESTRATOR (5)", "REASONING (12)", "CODING (15)", "LIBRARIAN (4)"]);
}

#[test]
fn the_list_is_readable_in_forty_columns() {
    let env = TestEnv::new();
    for columns in [40_u16, 80] {
        let mut terminal = Terminal::start(env.pup().args(["agents", "list"]), 250, columns);
        // The last words of the last agent.
        let screen = terminal.wait_for("numbers.").screen();
        assert_eq!(terminal.wait_exit(), 0, "{screen}");
        // Lines that the terminal had to break are one line here.
        let long: Vec<&str> = screen.lines().filter(|l| l.chars().count() > usize::from(columns)).collect();
        assert!(long.is_empty() && screen.contains("  commit-message-generator"), "{long:?}\n{screen}");
    }
}

#[test]
fn an_agent_is_shown_with_its_whole_prompt() {
    let env = TestEnv::new();
    let reviewer = show(&env, "cpp-reviewer");
    assert_eq!((&reviewer["workload"], &reviewer["path"]), (&json!("REASONING"), &Value::Null));
    let prompt = reviewer["prompt"].as_str().unwrap();
    assert!(prompt.contains("string_view") && prompt.contains("\"severity\"") && !prompt.contains("{{"), "{prompt}");
    let text = env.pup().args(["agents", "show", "cpp-reviewer"]).run().expect_code(0);
    assert!(text.stdout.contains(prompt) && text.stdout.contains("list_files, read_file, grep, shell"), "{}", text.report());
    assert_eq!(show(&env, "planning-agent")["name"], "planning");
}

#[test]
fn an_unknown_name_is_a_usage_error_with_the_nearest() {
    let env = TestEnv::new();
    let out = env.pup().args(["agents", "show", "python-reviwer"]).run().expect_code(2);
    assert!(out.stdout.is_empty() && out.stderr.contains("did you mean `python-reviewer`"), "{}", out.report());
    let out = env.pup().args(["run", "-a", "nope", "x"]).run().expect_code(2);
    assert!(out.stderr.contains("there is no agent `nope`"), "{}", out.report());
    let out = env.pup().args(["run", "--output", "json", "-a", "bloodhoud", "x"]).run().expect_code(2);
    let result = out.json();
    assert_eq!((&result["cause"], &result["exit_code"]), (&json!("usage"), &json!(2)), "{}", out.report());
    assert!(result["error"]["hint"].as_str().is_some_and(|h| h.contains("`bloodhound`")), "{}", out.report());
}

fn validate(env: &TestEnv, path: &str) -> Outcome {
    env.pup().args(["agents", "validate", path]).run()
}

#[test]
fn validation_names_every_fault_with_its_line() {
    let env = TestEnv::new();
    env.write(
        "bad.md",
        "---\nname: bad\ndescription: d\nworklod: CODING\ntools: [shel]\ndelegates: [plannig]\nmodel: gtp-9\n---\np\n{{shared:x}}\n",
    );
    let out = validate(&env, "bad.md").expect_code(3);
    for says in [
        "bad.md:4:1: error: `worklod` is not a known key\n  did you mean `workload`?",
        "bad.md:5:9: error: no tool is named `shel`\n  did you mean `shell`?",
        "bad.md:6:13: error: there is no agent `plannig` to delegate to\n  did you mean `planning`?",
        "bad.md:7:8: error: ",
        "bad.md:10:1: error: there is no shared fragment `x`",
    ] {
        assert!(out.stdout.contains(says), "{says}\n{}", out.report());
    }
    let out = env.pup().args(["agents", "validate", "bad.md", "--json"]).run().expect_code(3);
    let report = out.json();
    let (file, findings) = (&report["files"][0], report["files"][0]["findings"].as_array().unwrap());
    assert_eq!((&report["ok"], &file["ok"], &file["agent"], findings.len()), (&json!(false), &json!(false), &Value::Null, 5));
    assert!(findings.iter().all(|f| f["line"].is_u64() && f["severity"] == "error"), "{report}");

    env.write("mine.md", MINE);
    let out = validate(&env, "mine.md").expect_code(0);
    assert_eq!(out.stdout, "mine.md: usable as `mine`\n");
    let out = validate(&env, ".").expect_code(3);
    assert!(out.stdout.contains("mine.md: usable") && out.stdout.contains("bad.md:4:1: error"), "{}", out.report());
    assert!(validate(&env, "gone.md").expect_code(2).stderr.contains("gone.md"));
    std::fs::create_dir(env.project().join("empty")).unwrap();
    validate(&env, "empty").expect_code(2);
}

#[test]
fn every_agent_of_the_repository_is_valid() {
    let env = TestEnv::new();
    let folder = crate::support::need::root().join("agents");
    let out = env.pup().args(["agents", "validate", "--json"]).arg(folder).run().expect_code(0);
    let report = out.json();
    let files = report["files"].as_array().unwrap();
    assert!(files.len() == 36 && files.iter().all(|f| f["findings"] == json!([])), "{}", out.report());
}

#[test]
fn a_broken_file_stops_no_other() {
    let env = TestEnv::new();
    env.write_config("agents/mine.md", MINE);
    let broken = env.write_config("agents/broken.md", "---\nname: broken\ndescription: d\ntools: [sheel]\n---\np\n");
    env.write_config("agents/torn.json", "{\"name\": \"torn\",");
    let all = list(&env);
    assert_eq!(all.len(), 39);
    assert_eq!(named(&all, "mine")["origin"], "user");
    let entry = named(&all, "broken");
    let message = entry["error"]["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("{}:4:9: ", broken.display())) && entry["workload"].is_null(), "{entry}");
    assert!(entry["error"]["hint"].as_str().unwrap().contains("`shell`"), "{entry}");
    assert!(named(&all, "torn")["error"]["message"].as_str().unwrap().contains("torn.json:1:"));
    let text = env.pup().args(["agents", "list"]).run().expect_code(0);
    assert!(text.stdout.contains("NOT USABLE (2)") && text.stdout.contains("mine") && text.stdout.contains("[user]"), "{}", text.report());
    env.pup().args(["agents", "show", "mine"]).run().expect_code(0);
    for command in [&["agents", "show", "broken"][..], &["run", "-a", "broken", "x"]] {
        let out = env.pup().args(command).run().expect_code(3);
        assert!(out.stderr.contains(":4:9: no tool is named `sheel`") && out.stderr.contains("`shell`"), "{}", out.report());
    }
}

#[test]
fn the_user_overrides_and_a_project_does_once_it_is_trusted() {
    let env = TestEnv::new();
    let puppy = |d: &str| format!("---\nname: code-puppy\ndescription: {d}\n---\nBe {d}.\n");
    env.write_config("agents/code-puppy.md", puppy("mine"));
    assert_eq!((&show(&env, "code-puppy")["prompt"], list(&env).len()), (&json!("Be mine."), 36));
    env.write(".pup/agents/code-puppy.md", puppy("theirs"));
    env.write(
        ".claude/agents/helper.md",
        "---\nname: helper\ndescription: Helps: much [really\ntools: Read, Bash\nmodel: haiku\n---\nHelp.\n",
    );
    assert_eq!(show(&env, "code-puppy")["prompt"], "Be mine.");
    env.pup().args(["agents", "show", "helper"]).run().expect_code(2);
    let out = env.pup().args(["agents", "list"]).run().expect_code(0);
    assert!(out.stderr.contains("pup trust add") && !out.stdout.contains("helper"), "{}", out.report());
    env.pup().args(["trust", "add"]).run().expect_code(0);
    let puppy = show(&env, "code-puppy");
    assert_eq!((&puppy["prompt"], &puppy["origin"]), (&json!("Be theirs."), &json!("project")));
    let helper = show(&env, "helper");
    assert_eq!((&helper["tools"], &helper["workload"]), (&json!(["read_file", "shell"]), &json!("LIBRARIAN")));
    env.write(".pup/agents/code-puppy.md", "changed");
    assert_eq!(show(&env, "code-puppy")["prompt"], "Be mine.");
}

#[test]
fn a_json_agent_runs_with_its_tools_and_says_what_is_left_out() {
    let env = TestEnv::new();
    let tutor = json!({
        "name": "tutor", "description": "Teaches.", "system_prompt": ["You teach.", "Kindly."],
        "tools": ["read_file", "agent_run_shell_command", "agent_share_your_reasoning"], "user_prompt": "Hello!",
    });
    env.write_config("agents/tutor-agent.json", tutor.to_string());
    let server = Server::script([Reply::text("Lesson one.")]);
    let out = env.pup().args(["run", "-a", "tutor", "teach me"]).model_server(&server).run().expect_code(0);
    assert!(out.stdout.contains("Lesson one.") && out.stderr.contains("2 things of its file have no effect"), "{}", out.report());
    let requests = server.finish();
    let body = &requests[0].body;
    let tools: Vec<&str> = body["tools"].as_array().unwrap().iter().map(|t| t["function"]["name"].as_str().unwrap()).collect();
    assert_eq!(tools, ["read_file", "shell"]);
    assert!(body["messages"][0]["content"].as_str().unwrap().starts_with("You teach.\nKindly."), "{body}");
}

#[test]
fn the_first_request_of_the_default_agent_stays_lean() {
    let env = TestEnv::new();
    let prompt = env.pup().args(["debug", "prompt"]).run().expect_code(0).json();
    let total = prompt["tokens"]["total"].as_u64().unwrap();
    assert!((500..1500).contains(&total), "{total} tokens");
}

#[test]
fn the_examples_of_the_document_are_valid_and_its_keys_complete() {
    let env = TestEnv::new();
    let doc = std::fs::read_to_string(crate::support::need::root().join("docs/agents.md")).unwrap();
    let block = |mark: &str| doc.split_once(&format!("```{mark}\n")).unwrap().1.split_once("\n```").unwrap().0.to_owned();
    env.write("release-notes.md", block("markdown"));
    env.write("tutor.json", block("json"));
    let out = env.pup().args(["agents", "validate", ".", "--json"]).run().expect_code(0);
    let report = out.json();
    assert!(report["files"].as_array().unwrap().iter().all(|f| f["findings"] == json!([])), "{}", out.report());
    env.write("odd.md", "---\nname: odd\ndescription: d\nzzz: 1\n---\np\n");
    let out = env.pup().args(["agents", "validate", "odd.md"]).run().expect_code(3);
    let keys = out.stdout.split_once("the keys are ").unwrap().1;
    assert!(keys.split(", ").count() > 8, "{keys}");
    for key in keys.trim().split(", ") {
        assert!(doc.contains(&format!("`{key}`")), "docs/agents.md does not know `{key}`");
    }
}
