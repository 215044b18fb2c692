//! The vendors' own programs as providers: scripted ones for what can go wrong, and the real ones against a server on loopback.

use crate::support::generate::write;
use crate::support::http::RawRequest;
use crate::support::rules;
use crate::support::{Answer, Launch, TestEnv, WireServer, need};
use code_pup::model::{Block, BlockKind, Delta, Stop, StreamEvent, ToolCall, Usage};
use code_pup::wire::{Wire, anthropic, openai_responses};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An answer of `claude`, with the text that is given in JSON quotes.
fn answer(text: &str) -> String {
    let event = |event: Value| json!({"type": "stream_event", "event": event, "parent_tool_use_id": null}).to_string();
    [
        json!({"type": "system", "subtype": "init", "session_id": "s", "model": "m"}).to_string(),
        event(json!({"type": "message_start", "message": {"id": "a", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1}}})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
        event(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})),
        event(json!({"type": "content_block_stop", "index": 0})),
        event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}})),
        event(json!({"type": "message_stop"})),
        json!({"type": "result", "subtype": "success", "is_error": false, "result": text, "usage": {"input_tokens": 1, "output_tokens": 2}}).to_string(),
    ]
    .join("\n")
}

/// A program of this name whose version is good, and which then does `work`; `$D` is its folder, `$D/N` a file with an answer.
fn program(env: &TestEnv, name: &str, work: &str) -> PathBuf {
    let folder = env.home().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let version = if name == "claude" { "2.1.20 (Claude Code)" } else { "codex-cli 0.100.0" };
    let script = format!("#!/bin/sh\nD={}\n[ \"$1\" = --version ] && {{ echo '{version}'; exit; }}\n{work}\n", folder.display());
    let path = folder.join(name);
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn said(env: &TestEnv, name: &str, text: &str) {
    std::fs::write(env.home().join("bin").join(name), text).unwrap();
}

fn run(env: &TestEnv, program: &Path, args: &[&str]) -> Launch {
    let name = program.file_name().unwrap().to_str().unwrap().to_uppercase();
    let launch = env.pup().args(["run", "--output", "json", "--yolo", "--model"]).arg(if name == "CLAUDE" {
        "claude_cli/m-1"
    } else {
        "codex_cli/m-1"
    });
    launch.args(args).env(format!("PUP_CLI_{name}"), program).env("PUP_HTTP_RETRIES", "0")
}

#[test]
fn what_a_program_does_wrong_is_said_with_its_reason() {
    const NOISE: &str = "echo 'a warning'; echo '{\"type\": 7}'; echo '{'; head -c 17000000 /dev/zero | tr '\\0' x; echo;";
    // What it does, the exit code, the class, and a word of the message.
    let rows: &[(&str, &str, i32, &str, &str)] = &[
        ("claude", "cat > $D/in; cat $D/good", 0, "", "Good day"),
        ("claude", &format!("{NOISE} cat $D/good; {NOISE}"), 0, "", "Good day"),
        ("claude", "cat $D/good; sleep 600 &", 0, "", "Good day"),
        ("claude", "exec <&-; cat $D/good", 0, "", "Good day"),
        ("claude", "head -n 4 $D/good; echo 'node: out of memory' >&2; exit 3", 5, "network", "exit status: 3: node: out of memory"),
        ("claude", "head -n 4 $D/good; kill -9 $$", 5, "network", "signal: 9"),
        ("claude", "sleep 600 & exit 1", 5, "network", "exit status: 1"),
        ("claude", "exit 0", 5, "network", "claude ended"),
        ("claude", "cat $D/out; exit 1", 4, "auth", "type /login"),
        ("claude", "cat $D/limit; sleep 600", 5, "rate_limit", "would try again"),
        ("codex", "cat > /dev/null; cat $D/turn", 0, "", "Good day"),
        ("codex", "cat $D/denied; exit 1", 4, "auth", "codex login"),
        ("codex", "echo \"error: unexpected argument '--ephemeral'\" >&2; exit 2", 5, "network", "unexpected argument"),
    ];
    for (name, work, code, class, word) in rows {
        let env = TestEnv::new();
        let path = program(&env, name, work);
        said(&env, "good", &(answer("Good day") + "\n"));
        said(
            &env,
            "out",
            "{\"type\":\"assistant\",\"message\":{},\"error\":\"authentication_failed\"}\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"result\":\"Not logged in\"}\n",
        );
        said(
            &env,
            "limit",
            "{\"type\":\"system\",\"subtype\":\"api_retry\",\"error_status\":429,\"error\":\"rate_limit\",\"retry_delay_ms\":900}\n",
        );
        said(
            &env,
            "turn",
            "{\"type\":\"thread.started\",\"thread_id\":\"t\"}\n{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"Good day\"}}\n{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}\n",
        );
        said(
            &env,
            "denied",
            "{\"type\":\"turn.failed\",\"error\":{\"message\":\"unexpected status 401 Unauthorized: no, url: http://h\"}}\n",
        );
        let started = Instant::now();
        let out = run(&env, &path, &["hello"]).run();
        let result = out.json();
        assert_eq!(out.code, Some(*code), "{name}: {work}\n{}", out.report());
        let attempt = &result["attempts"][0];
        if *code == 0 {
            assert_eq!(result["text"], json!(word), "{work}");
        } else {
            assert_eq!(attempt["outcome"], json!(class), "{work}\n{}", out.report());
            let shown = format!("{}{}", out.stdout, out.stderr);
            assert!(shown.contains(word), "{work}: {word}\n{shown}");
            assert!(!shown.contains("set another key") && !shown.contains("server is running"), "advice for servers: {shown}");
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{work}: what it left running was waited for");
    }
}

#[test]
fn a_program_that_is_missing_old_or_something_else_is_named_with_what_to_do() {
    let env = TestEnv::new();
    let place = |launch: Launch| {
        let chain = launch.args(["models", "chain", "librarian", "--json"]).run().expect_code(0).json();
        chain["links"].as_array().unwrap_or_else(|| chain.as_array().unwrap())[0].clone()
    };
    let gone = place(env.pup());
    assert!(gone.to_string().contains("no_program"), "{gone}");
    let chain = env.pup().args(["models", "chain", "librarian"]).run().expect_code(0);
    assert!(chain.stdout.contains("claude_cli: the program claude is not installed"), "{}", chain.stdout);
    let missing = env.pup().args(["run", "--model", "claude_cli/m", "hi"]).run().expect_code(4);
    assert!(
        missing.stderr.contains("npm install -g @anthropic-ai/claude-code") && missing.stderr.contains("pup config set cli.claude PATH"),
        "{}",
        missing.stderr
    );

    // A search path that leads into the project is not followed there; one that is absolute is.
    let path = program(&env, "claude", "exit 9");
    std::fs::copy(&path, env.project().join("claude")).unwrap();
    let with_path = |path: String| env.pup().env_remove("PUP_CLI_CLAUDE").env("PATH", path);
    assert!(place(with_path(".:bin:/usr/bin".into())).to_string().contains("no_program"));
    let found = place(with_path(format!("/nowhere:{}:/usr/bin", path.parent().unwrap().display())));
    assert_eq!((&found["served_by"]["provider"], found.to_string().contains("no_program")), (&json!("claude_cli"), false), "{found}");
    // Nor does a project say where it is.
    env.write(".pup/config.toml", format!("[cli]\nclaude = {:?}\n", path.display().to_string()));
    env.pup().args(["trust", "add", "."]).run().expect_code(0);
    assert!(!env.pup().args(["run", "--model", "claude_cli/m", "hi"]).run().stderr.contains("exit status: 9"));
    std::fs::remove_dir_all(env.project().join(".pup")).unwrap();

    for (version, words) in [
        ("1.0.128 (Claude Code)", ["is claude 1.0.128", "2.1.20 or later: npm install -g"]),
        ("hello", ["tells no version: hello", "pup config set cli.claude PATH"]),
        ("", ["tells no version", "npm install -g"]),
    ] {
        std::fs::write(&path, format!("#!/bin/sh\necho '{version}'\ncat $0 > {}/ran\n[ $1 = --version ]", env.home().display())).unwrap();
        let out = run(&env, &path, &["hi"]).run().expect_code(5);
        assert!(words.iter().all(|w| out.stdout.contains(w)), "{}", out.report());
    }
}

/// How many processes have this number as an argument.
fn sleepers(number: u32) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let wanted = format!("sleep\0{number}\0");
    processes.filter(|p| std::fs::read(p.path().join("cmdline")).is_ok_and(|c| c == wanted.as_bytes())).count()
}

#[track_caller]
fn assert_ended(number: u32) {
    let until = Instant::now() + Duration::from_secs(10);
    while sleepers(number) > 0 {
        assert!(Instant::now() < until, "{} of {number} still run", sleepers(number));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// It starts a child, a grandchild in a session of its own, and one whose parent is gone; all of them sleep.
fn family(number: u32) -> String {
    format!(
        "sleep {number} & setsid sh -c 'sleep {number} & trap \"\" TERM; sleep {number}' & (setsid sleep {number} &); echo up > $D/up; exec sleep {number}"
    )
}

#[test]
fn a_program_that_hangs_or_is_given_up_ends_with_all_that_it_started() {
    let env = TestEnv::new();
    env.write_config("models.json", r#"{"providers": {"claude_cli": {"timeouts": {"first_byte_s": 1.5, "idle_s": 1.5}}}}"#);
    let base = 400_000_000 + std::process::id() % 1_000_000 * 10;
    for (number, before) in [(base, ""), (base + 1, "head -n 3 $D/good;")] {
        let path = program(&env, "claude", &format!("{before} {}", family(number)));
        said(&env, "good", &answer("never whole"));
        let out = run(&env, &path, &["hi"]).run().expect_code(5);
        assert_eq!(out.json()["attempts"][0]["outcome"], json!("timeout"), "{}", out.report());
        assert!(env.home().join("bin/up").exists(), "it never ran");
        assert_ended(number);
    }
    for (number, signal, code) in [(base + 2, Signal::INT, 130), (base + 3, Signal::TERM, 143)] {
        std::fs::remove_file(env.home().join("bin/up")).unwrap();
        let path = program(&env, "codex", &family(number));
        let running = run(&env, &path, &["hi"]).spawn();
        let until = Instant::now() + Duration::from_secs(20);
        while !env.home().join("bin/up").exists() || sleepers(number) < 5 {
            assert!(Instant::now() < until, "{} of the family run", sleepers(number));
            std::thread::sleep(Duration::from_millis(10));
        }
        running.signal(signal);
        running.wait().expect_code(code);
        assert_ended(number);
    }
}

/// Answers the task of two turns: a call of pup's, then the last word.
const TWO_TURNS: &str = r#"n=$(ls $D | grep -c ^seen); mkdir $D/seen$n; pwd > $D/seen$n/cwd; ls -A > $D/seen$n/files; env > $D/seen$n/env; printf '%s\n' "$@" > $D/seen$n/args
cat > $D/seen$n/in; grep -o "/[^ \"]*\.md" $D/seen$n/args | head -1 | xargs cat > $D/seen$n/system
if grep -q 'Result of create_file' $D/seen$n/in; then cat $D/last; else cat $D/first; fi"#;

#[test]
fn calls_go_through_pup_and_nothing_secret_or_foreign_reaches_a_program() {
    let env = TestEnv::new();
    let path = program(&env, "claude", TWO_TURNS);
    said(&env, "first", &(answer(r#"{"tool": "create_file", "arguments": {"path": "a.txt", "content": "written once\n"}}"#) + "\n"));
    said(&env, "last", &(answer(r#"{"answer": "It is there."}"#) + "\n"));
    env.write("CLAUDE.md", "of the project");
    let out = run(&env, &path, &["canary-prompt-77"])
        .env("GROQ_API_KEY", "canary-groq")
        .env("OPENAI_API_KEY", "canary-a,canary-b")
        .env("OPENAI_API_KEY_1", "canary-c")
        .env("ANTIGRAVITY_CLIENT_SECRET", "canary-d")
        .env("ANTHROPIC_API_KEY", "its-own")
        .env("CLAUDECODE", "1")
        .run()
        .expect_code(0);
    let result = out.json();
    assert_eq!((&result["text"], &result["turns"], &result["tool_calls"]), (&json!("It is there."), &json!(2), &json!(1)), "{result}");
    assert_eq!(env.read("a.txt"), "written once\n");
    assert_eq!((&result["usage"]["input"], &result["usage"]["output"]), (&json!(2), &json!(4)), "{result}");
    let seen = |turn: usize, what: &str| std::fs::read_to_string(env.home().join(format!("bin/seen{turn}/{what}"))).unwrap();
    for turn in 0..2 {
        let (environment, args) = (seen(turn, "env"), seen(turn, "args"));
        assert!(!environment.contains("canary") && !environment.contains("CLAUDECODE="), "{environment}");
        assert!(environment.contains("ANTHROPIC_API_KEY=its-own"), "{environment}");
        assert!(!args.contains("canary") && !args.contains("create_file") && args.contains("--model\nm-1\n"), "{args}");
        assert!(seen(turn, "in").contains("canary-prompt-77"));
        let system = seen(turn, "system");
        assert!(system.contains("create_file") && system.contains("\"tool\""), "the tools are told: {system}");
        assert_eq!((seen(turn, "files").as_str(), seen(turn, "cwd").trim()), ("", env.pup_home().join("cache/cli").to_str().unwrap()));
    }
    let left: Vec<_> = std::fs::read_dir(env.project().parent().unwrap().join("tmp")).unwrap().flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "instructions stay behind: {left:?}");
}

#[test]
fn each_door_to_a_model_serves_it_in_its_place() {
    let env = TestEnv::new();
    let claude = program(&env, "claude", "exit 1");
    let codex = program(&env, "codex", "exit 1");
    // A workload, a place in its chain, what opens a door, and who serves it then.
    let doors: [(&str, &str, (&str, &str), &str); 9] = [
        ("orchestrator", "claude-code-claude-opus-4-5-20251101", ("ANTHROPIC_API_KEY", "k"), "anthropic"),
        ("orchestrator", "claude-code-claude-opus-4-5-20251101", ("PUP_CLI_CLAUDE", claude.to_str().unwrap()), "claude_cli"),
        ("reasoning", "claude-code-claude-sonnet-4-5-20250929", ("PUP_CLI_CLAUDE", claude.to_str().unwrap()), "claude_cli"),
        ("librarian", "claude-code-claude-haiku-4-5-20251001", ("ANTHROPIC_API_KEY", "k"), "anthropic"),
        ("coding", "chatgpt-gpt-5.2-codex", ("OPENAI_API_KEY", "k"), "openai"),
        ("coding", "chatgpt-gpt-5.2-codex", ("PUP_CLI_CODEX", codex.to_str().unwrap()), "codex_cli"),
        ("coding", "antigravity-gemini-3-flash", ("GEMINI_API_KEY", "k"), "gemini"),
        ("librarian", "antigravity-gemini-3-pro-low", ("GOOGLE_AI_KEY", "k"), "gemini"),
        ("orchestrator", "chatgpt-gpt-5.2-codex", ("OPENAI_API_KEY", "k"), "openai"),
    ];
    let chain = |workload: &str, with: &[(&str, &str)]| -> Vec<Value> {
        let launch = with.iter().fold(env.pup().args(["models", "chain", workload, "--json"]), |l, (n, v)| l.env(n, v));
        let all = launch.run().expect_code(0).json();
        all["links"].as_array().or(all.as_array()).unwrap().clone()
    };
    for (workload, id, opens, provider) in doors {
        let (before, after) = (chain(workload, &[]), chain(workload, &[opens]));
        let place = |links: &[Value]| links.iter().position(|l| l["id"] == json!(id));
        assert_eq!(place(&before), place(&after), "{workload} {id}");
        let link = &after[place(&after).unwrap()];
        assert_eq!(link["served_by"]["provider"], json!(provider), "{workload} {id}: {link}");
        assert_eq!((&link["state"], &before[place(&before).unwrap()]["state"]), (&json!("in"), &json!("out")), "{link}");
    }
    // A key comes before a program.
    let both = chain("orchestrator", &[("ANTHROPIC_API_KEY", "k"), ("PUP_CLI_CLAUDE", claude.to_str().unwrap())]);
    assert_eq!(both[0]["served_by"]["provider"], json!("anthropic"));
}

#[test]
fn a_program_that_cannot_serve_gives_way_to_the_next_link() {
    let out = |text: &str| format!("{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"result\":\"{text}\"}}\n");
    for (says, class, often) in [
        (out("Not logged in · Please run /login"), "auth", 1),
        (out("You've hit your limit · resets 3pm"), "quota", 1),
        (out("This credential is only authorized for use elsewhere"), "permission", 1),
        (answer("never whole").rsplit_once('\n').unwrap().0.to_owned() + "\n", "network", 2),
    ] {
        let env = TestEnv::new();
        let path = program(&env, "claude", "cat > /dev/null; echo >> $D/asked; cat $D/out");
        said(&env, "out", &says);
        env.write_config("models.json", r#"{"chains": {"coding": ["claude-code-claude-opus-4-5-20251101", "chatgpt-gpt-5.2-codex"], "orchestrator": ["claude-code-claude-opus-4-5-20251101", "chatgpt-gpt-5.2-codex"]}}"#);
        let server = WireServer::asked(|_| {
            let text = vec![Block::Text { text: "From the API.".into() }];
            Answer::stream(write(Wire::OpenaiResponses, &text))
        });
        let launch = env.pup().args(["run", "--output", "json", "hi"]).env("PUP_CLI_CLAUDE", &path);
        let out = launch.env_remove("PUP_MODEL").env("OPENAI_API_KEY", "k").env("OPENAI_BASE_URL", server.url()).run().expect_code(0);
        let result = out.json();
        assert_eq!((&result["text"], &result["provider"]), (&json!("From the API."), &json!("openai")), "{}", out.report());
        let first = &result["attempts"][0];
        assert_eq!((&first["provider"], &first["outcome"]), (&json!("claude_cli"), &json!(class)), "{}", out.report());
        assert_eq!(std::fs::read_to_string(env.home().join("bin/asked")).unwrap().len(), often, "{}", out.report());
    }
}

#[test]
fn a_session_goes_through_a_program_and_back() {
    let env = TestEnv::new();
    let path = program(&env, "claude", "cat > $D/in; cat $D/good");
    said(&env, "good", &(answer(r#"{"answer": "said by the program"}"#) + "\n"));
    let proof = "ErOwnProofAEw==";
    let mut asked = 0;
    let server = WireServer::asked(move |_| {
        asked += 1;
        let call = ToolCall { id: "toolu_1".into(), name: "list_files".into(), args_raw: r#"{"path":"."}"#.into(), signature: None };
        let blocks = match asked {
            1 => vec![Block::Thinking { text: "a thought".into(), signature: Some(proof.into()), redacted: false }, Block::ToolCall(call)],
            2 => vec![Block::Text { text: "said by the API".into() }],
            _ => vec![Block::Text { text: "said at the end".into() }],
        };
        Answer::stream(write(Wire::Anthropic, &blocks))
    });
    env.write("there.txt", "here\n");
    let go = |model: &str, more: &[&str], prompt: &str| {
        let launch = env.pup().args(["run", "--yolo", "--output", "json", "--model", model]).args(more).arg(prompt);
        let launch = launch.env("PUP_CLI_CLAUDE", &path).env("ANTHROPIC_BASE_URL", server.url());
        launch.env("ANTHROPIC_API_KEY", "test-key-not-a-secret").run().expect_code(0).json()
    };
    let api = "anthropic/claude-opus-4-6";
    assert_eq!(go(api, &[], "question 0")["text"], json!("said by the API"));
    assert_eq!(go("claude_cli/m", &["--resume", "last"], "question 1")["text"], json!("said by the program"));
    let read = std::fs::read_to_string(env.home().join("bin/in")).unwrap();
    for (text, is_in) in
        [("question 0", true), ("there.txt", true), ("said by the API", true), ("question 1", true), (proof, false), ("a thought", false)]
    {
        assert_eq!(read.contains(text), is_in, "{text}: {read}");
    }
    assert_eq!(go(api, &["--resume", "last"], "question 2")["text"], json!("said at the end"));
    let requests = server.requests();
    for request in &requests {
        let reading = rules::read(rules::Api::Anthropic, "claude-opus-4-6", &request.body);
        assert!(reading.violations.is_empty(), "{:?}", reading.violations);
    }
    let last = String::from_utf8_lossy(&requests.last().unwrap().body).into_owned();
    for text in ["question 0", "question 1", "said by the program", "question 2", proof] {
        assert!(last.contains(text), "{text}: {last}");
    }
}

/// What the model of a real program says: a call of pup's, then the last word.
fn spoken(request: &RawRequest) -> Vec<StreamEvent> {
    let done = String::from_utf8_lossy(&request.body).contains("Result of create_file");
    let text = if done {
        r#"{"answer": "It is there."}"#
    } else {
        r#"{"tool": "create_file", "arguments": {"path": "a.txt", "content": "written once\n"}}"#
    };
    let (head, tail) = text.split_at(20);
    let piece = |t: &str| StreamEvent::Delta { ix: 0, delta: Delta::Text { text: t.into() } };
    let usage = Usage { input: Some(50), output: Some(7), ..Usage::default() };
    vec![
        StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text },
        piece(head),
        piece(tail),
        StreamEvent::BlockEnd { ix: 0 },
        StreamEvent::Usage { usage },
        StreamEvent::End { stop: Stop::End, reason: None },
    ]
}

fn assert_worked(env: &TestEnv, launch: Launch, server: &WireServer, path: &str) {
    let out = launch.limit(Duration::from_mins(3)).run();
    assert_eq!(out.code, Some(0), "{}", out.report());
    let result = out.json();
    assert_eq!((&result["text"], &result["tool_calls"]), (&json!("It is there."), &json!(1)), "{}", out.report());
    assert_eq!(env.read("a.txt"), "written once\n");
    assert!(result["usage"]["output"].as_u64().is_some_and(|n| n >= 7), "{result}");
    let asked: Vec<RawRequest> = server.requests().into_iter().filter(|r| r.path.contains(path)).collect();
    assert_eq!(asked.len(), 2, "{:?}", server.requests().iter().map(|r| r.path.clone()).collect::<Vec<_>>());
    let body: Value = serde_json::from_slice(&asked[1].body).unwrap();
    let names: Vec<&str> = body["tools"].as_array().into_iter().flatten().filter_map(|t| t["name"].as_str()).collect();
    assert!(
        !names.iter().any(|n| ["Bash", "Edit", "Write", "Read", "shell", "exec_command", "apply_patch"].contains(n)),
        "its own tools are off: {names:?}"
    );
}

#[test]
fn the_real_claude_does_a_task_with_pups_tools() {
    let Some(modules) = need::node_package("@anthropic-ai/claude-code") else { return };
    let server = WireServer::asked(|request| {
        if request.path.contains("count_tokens") {
            Answer::json(200, r#"{"input_tokens": 1}"#)
        } else if request.path.contains("/messages") {
            Answer::stream(anthropic::encode_events(anthropic::Head::default(), &spoken(request)).0)
        } else {
            Answer::json(404, "{}")
        }
    });
    let env = TestEnv::new();
    let launch = run(&env, &modules.join(".bin/claude"), &["make a.txt"]);
    assert_worked(&env, launch.env("ANTHROPIC_BASE_URL", server.url()).env("ANTHROPIC_API_KEY", "k"), &server, "/messages");

    // Refused by the service: at once, although it would try again for minutes.
    let server = WireServer::asked(|_| {
        Answer::json(401, r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#)
    });
    let env = TestEnv::new();
    let launch = run(&env, &modules.join(".bin/claude"), &["hi"]);
    let out = launch.env("ANTHROPIC_BASE_URL", server.url()).env("ANTHROPIC_API_KEY", "k").run().expect_code(4);
    assert_eq!(out.json()["attempts"][0]["outcome"], json!("auth"), "{}", out.report());
    // And without any login.
    let out = run(&env, &modules.join(".bin/claude"), &["hi"]).env("ANTHROPIC_BASE_URL", server.url()).run().expect_code(4);
    assert!(out.stdout.contains("type /login"), "{}", out.report());
}

#[test]
fn the_real_codex_does_a_task_with_pups_tools() {
    let Some(modules) = need::node_package("@openai/codex") else { return };
    let server = WireServer::asked(|request| {
        if request.path.contains("/responses") {
            Answer::stream(openai_responses::encode_events(openai_responses::Head::default(), &spoken(request)).0)
        } else {
            Answer::json(404, "{}")
        }
    });
    let configured = |env: &TestEnv, url: String| {
        let folder = env.home().join(".codex");
        std::fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "model_provider = \"mock\"\n[model_providers.mock]\nname = \"mock\"\nbase_url = \"{url}/v1\"\nwire_api = \"responses\"\nenv_key = \"MOCK_TOKEN\"\n"
        );
        std::fs::write(folder.join("config.toml"), config).unwrap();
    };
    let env = TestEnv::new();
    configured(&env, server.url());
    let launch = run(&env, &modules.join(".bin/codex"), &["make a.txt"]).env("MOCK_TOKEN", "k");
    assert_worked(&env, launch, &server, "/responses");

    let server = WireServer::asked(|_| {
        Answer::json(401, r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#)
    });
    configured(&env, server.url());
    let out = run(&env, &modules.join(".bin/codex"), &["hi"]).env("MOCK_TOKEN", "k").run().expect_code(4);
    assert_eq!(out.json()["attempts"][0]["outcome"], json!("auth"), "{}", out.report());
    assert!(out.stdout.contains("codex login"), "{}", out.report());
}
