//! What becomes of the tool calls of a run: allowed, denied, impossible, cut, repeated; and of replies that are odd.

use crate::support::{Api, Reply, Server, TestEnv};
use crate::task;
use serde_json::{Value, json};

const NOTE: &str = "pup: no terminal: edits are allowed, commands are not; `--approve all` (or `--yolo`) allows them\n";

#[test]
fn without_a_terminal_each_mode_allows_what_it_says_and_asks_nothing() {
    /// Flags, the call, the exit code, what stderr begins with.
    type Row<'a> = (&'a [&'a str], &'a (&'a str, Value), i32, &'a str);
    let edit = ("create_file", json!({"path": "made", "content": "x\n"}));
    let command = ("shell", json!({"command": "echo x > made"}));
    let read = ("list_files", json!({"path": "."}));
    let rows: [Row<'_>; 13] = [
        (&[], &edit, 0, NOTE),
        (&[], &command, 8, NOTE),
        (&["--approve", "edits"], &edit, 0, ""),
        (&["--approve", "edits"], &command, 8, ""),
        (&["--approve", "ask"], &edit, 8, ""),
        (&["--approve", "ask"], &command, 8, ""),
        (&["--approve", "ask"], &read, 0, ""),
        (&["--approve", "read-only"], &edit, 8, ""),
        (&["--approve", "read-only"], &command, 8, ""),
        (&["--approve", "read-only"], &read, 0, ""),
        (&["--approve", "all"], &command, 0, ""),
        (&["--yolo"], &edit, 0, ""),
        (&["--yolo"], &command, 0, ""),
    ];
    for (flags, (tool, args), code, notes) in rows {
        let env = TestEnv::new();
        let server = Server::script([Reply::tool_call(tool, args.clone()), Reply::text("that was it")]);
        let out = env.pup().args(["run", "x"]).args(flags).model_server(&server).run().expect_code(code);
        assert_eq!(out.stdout, "that was it\n", "{flags:?} {tool}");
        assert_eq!(env.exists("made"), code == 0 && *tool != "list_files", "{flags:?} {tool}");
        let told = server.finish()[1].results()[0].clone();
        assert_eq!(told.starts_with("Error: denied"), code == 8, "{flags:?} {tool}: {told}");
        if code == 0 {
            assert_eq!(out.stderr, notes, "{flags:?} {tool}");
        } else {
            let rest = out.stderr.strip_prefix(notes).unwrap_or_else(|| panic!("{}", out.report()));
            assert!(rest.starts_with("pup: ") && rest.contains("--approve all"), "{}", out.report());
        }
    }
}

#[test]
fn a_denial_stays_a_denial_in_json_and_the_rest_of_the_task_is_done() {
    let env = TestEnv::new();
    let server = Server::script([
        Reply::tool_calls([
            ("create_file", json!({"path": "made", "content": "x\n"})),
            ("shell", json!({"command": "touch ran"})),
            ("list_files", json!({"path": "."})),
        ]),
        Reply::text("made it, could not run it"),
    ]);
    let out = env.pup().args(["run", "--output", "json", "x"]).model_server(&server).run().expect_code(8);
    let result = out.json();
    assert_eq!((&result["cause"], &result["ok"], &result["text"]), (&json!("denied"), &json!(false), &json!("made it, could not run it")));
    assert!(env.exists("made") && !env.exists("ran"));
    let results = server.finish()[1].results();
    assert!(results[1].starts_with("Error: denied") && results[2].contains("made"), "{results:?}");
}

#[test]
fn calls_that_cannot_be_run_are_answered_and_run_not_even_in_part() {
    let rows = [
        ("shell", r#"{"command": "touch ran"#, "not valid JSON"),
        ("shell", "touch ran", "not valid JSON"),
        ("shell", r#"{"command": "touch ran"}{"command": "touch ran"}"#, "not valid JSON"),
        ("shell", r#"{"command": "touch ran"} and then"#, "not valid JSON"),
        ("shell", r#"["touch ran"]"#, "object"),
        ("shell", r#""touch ran""#, "object"),
        ("shell", r#"{"line": "touch ran"}"#, "command"),
        ("shell", r#"{"command": ["touch", "ran"]}"#, "command"),
        ("shell", "", "command"),
        ("create_file", r#"{"path": "ran", "content": "half of i"#, "not valid JSON"),
        ("create_file", r#"{"path": "ran"}"#, "content"),
        ("create_file", r#"{"path": "../ran", "content": "x"}"#, "outside"),
        ("bash", r#"{"command": "touch ran"}"#, "shell"),
        ("no_such_tool", "{}", "no_such_tool"),
    ];
    for (api, (tool, args, says)) in task::on_all(&rows) {
        let env = TestEnv::new();
        let server = Server::script([Reply::text("").and_call_raw(tool, args), Reply::text("I see")]);
        let out = env.pup().args(["run", "--yolo", "x"]).args(api.args()).model_server(&server).run().expect_code(0);
        // Nobody knows what a made-up model costs, which is said.
        let said = out.stderr.lines().filter(|l| !l.contains("`budget.ceiling`")).count();
        assert_eq!((out.stdout.as_str(), said), ("I see\n", 0), "{tool} {args}: {}", out.report());
        let told = server.finish()[1].results();
        assert!(told.len() == 1 && told[0].starts_with("Error") && told[0].contains(says), "{tool} {args}: {told:?}");
        assert!(!env.exists("ran") && !env.project().with_file_name("ran").exists(), "{tool} {args}");
    }
}

#[test]
fn good_calls_beside_a_bad_one_are_run_and_each_gets_its_own_answer() {
    for api in Api::ALL {
        let env = TestEnv::new();
        let server = Server::script([
            Reply::tool_call("shell", json!({"command": "echo first"}))
                .and_call_raw("shell", "{\"command\": \"echo sec")
                .and_call("nothing", &json!({})),
            Reply::text("ok"),
        ]);
        env.pup().args(["run", "--yolo", "x"]).args(api.args()).model_server(&server).run().expect_code(0);
        let told = server.finish()[1].results();
        assert!(told[0].contains("first") && told[1].contains("not valid JSON") && told[2].contains("nothing"), "{told:?}");
    }
}

#[test]
fn a_call_cut_off_at_the_output_limit_is_told_and_not_run() {
    for (api, args) in task::on_all(&[r#"{"command": "touch ran; rm -rf"#, ""]) {
        let env = TestEnv::new();
        let server = Server::script([Reply::text("So:").and_call_raw("shell", args).finish_reason("length"), Reply::text("shorter then")]);
        let out = env.pup().args(["run", "--yolo", "x"]).args(api.args()).model_server(&server).run().expect_code(0);
        assert_eq!(out.stdout, "shorter then\n");
        let told = server.finish()[1].results();
        assert!(told[0].starts_with("Error") && told[0].contains("output limit"), "{told:?}");
        assert!(!env.exists("ran"));
    }
}

#[test]
fn calls_that_only_read_run_side_by_side_and_answer_in_order() {
    let env = TestEnv::new();
    for name in ["a", "b", "c"] {
        env.write(name, format!("this is {name}\n"));
    }
    let read = |name: &str| ("read_file", json!({"path": name}));
    let server = Server::script([
        Reply::tool_calls([read("a"), read("b"), ("grep", json!({"pattern": "this"})), read("missing"), read("c")]),
        Reply::text("ok"),
    ]);
    let out = env.pup().args(["run", "--approve", "read-only", "--output", "stream-json", "x"]).model_server(&server).run().expect_code(0);
    // Side by side: all are announced before the first is answered.
    let kinds = out.json_lines();
    let kinds: Vec<&str> = kinds.iter().filter_map(|l| l["type"].as_str()).filter(|k| k.starts_with("tool_")).collect();
    assert_eq!(kinds, [["tool_call"; 5], ["tool_result"; 5]].concat());
    let told = server.finish()[1].results();
    let has = ["this is a", "this is b", "this is c", "missing", "this is c"];
    assert!(told.iter().zip(has).all(|(t, h)| t.contains(h)) && told[3].starts_with("Error"), "{told:?}");
}

#[test]
fn a_model_that_turns_in_a_circle_is_told_and_then_stopped() {
    let env = TestEnv::new();
    env.write("a.txt", "hi\n");
    let server = Server::respond(|_| Reply::tool_call("read_file", json!({"path": "a.txt"})));
    let out = env.pup().args(["run", "--output", "json", "x"]).model_server(&server).run().expect_code(7);
    let result = out.json();
    assert_eq!(result["cause"], "limit");
    assert!(result["error"]["message"].as_str().unwrap().contains("`read_file` brought nothing new"), "{}", out.report());
    let requests = server.finish();
    assert!(requests.len() < 60, "{} requests", requests.len());
    let last = requests.last().unwrap().results();
    assert!(!last[1].contains("in a row") && last[2].contains("3 times in a row"), "{last:?}");
}

#[test]
fn odd_ends_of_a_reply_have_an_outcome_each() {
    let rows = [
        (Reply::text("as far as I got").finish_reason("eos_token"), 0, "done", "as far as I got"),
        (Reply::text("as far as I got").finish_reason("length"), 7, "limit", "as far as I got"),
        (Reply::text("I must not").finish_reason("content_filter"), 9, "rejected", "I must not"),
        (Reply::text("fine").without_done(), 0, "done", "fine"),
        (Reply::text("fine").not_streamed(), 0, "done", "fine"),
    ];
    for (api, (reply, code, cause, text)) in task::on_all(&rows) {
        let env = TestEnv::new();
        let server = Server::script([reply.clone()]);
        let out = env.pup().args(["run", "--output", "json", "x"]).args(api.args()).model_server(&server).run().expect_code(*code);
        let result = out.json();
        assert_eq!((&result["cause"], &result["text"]), (&json!(cause), &json!(text)), "{}", out.report());
    }
    // An unknown reason is not swallowed.
    let env = TestEnv::new();
    let server = Server::script([Reply::text("well").finish_reason("full_moon")]);
    let out = env.pup().args(["run", "--approve", "edits", "x"]).model_server(&server).run().expect_code(0);
    assert_eq!(out.stdout, "well\n");
    assert!(out.stderr.contains("full_moon") && out.stderr.lines().count() == 1, "{}", out.report());
}

#[test]
fn an_empty_reply_is_asked_about_twice_and_then_given_up() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text(""), Reply::text("here it is")]);
    let out = env.pup().args(["run", "--quiet", "x"]).model_server(&server).run().expect_code(0);
    assert_eq!(out.stdout, "here it is\n");
    let server = Server::script([Reply::text(""), Reply::text(""), Reply::text("")]);
    let out = env.pup().args(["run", "--quiet", "x"]).model_server(&server).run().expect_code(9);
    assert!(out.stdout.is_empty() && out.stderr.contains("empty reply 3 times"), "{}", out.report());
}
