//! Instructions: whose hold, in which order, once each, only trusted ones, and that nothing of them can stop a run.

use crate::support::server::assert_stable_prefix;
use crate::support::{Launch, Outcome, Reply, Request, Server, TestEnv};
use serde_json::json;

fn run(env: &TestEnv, server: &Server, args: &[&str]) -> Launch {
    env.pup().arg("run").args(args).model_server(server)
}

fn trust(env: &TestEnv) -> Outcome {
    env.pup().args(["trust", "add"]).run().expect_code(0)
}

fn system(request: &Request) -> String {
    request.messages()[0]["content"].as_str().unwrap().to_owned()
}

/// The messages that stand for a person.
fn users(request: &Request) -> Vec<String> {
    let users = request.messages().iter().filter(|m| m["role"] == "user");
    users.map(|m| m["content"].as_str().map_or_else(|| m["content"].to_string(), str::to_owned)).collect()
}

#[test]
fn the_users_and_the_projects_hold_from_the_root_down_once_they_are_trusted() {
    let env = TestEnv::new();
    env.write_config("AGENTS.md", "Speak plainly.");
    env.write(".git/HEAD", "");
    env.write("AGENTS.md", "Use tabs.\n@docs/style.md");
    env.write("docs/style.md", "No comments.");
    env.write("app/CLAUDE.md", "The app is in Lua.");
    let ask = || {
        let server = Server::script([Reply::text("Yes.")]);
        let out = run(&env, &server, &["hi"]).cwd(env.project().join("app")).run().expect_code(0);
        (system(&server.finish()[0]), out.stderr)
    };
    let (before, said) = ask();
    assert!(before.contains("Speak plainly.") && !before.contains("Use tabs."), "{before}");
    assert!(said.contains("AGENTS.md, app/CLAUDE.md are not trusted") && said.contains("pup trust add"), "{said}");
    assert!(trust(&env).stdout.contains("3 files"));
    let (after, said) = ask();
    let places = ["Speak plainly.", "Use tabs.", "No comments.", "The app is in Lua."].map(|w| after.find(w));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{after}");
    assert!(!said.contains("not trusted"), "{said}");
    // A change of one leaves the others in force.
    env.write("AGENTS.md", "Use spaces.");
    let (changed, said) = ask();
    assert!(changed.contains("in Lua") && !changed.contains("Use spaces."), "{changed}");
    assert!(said.contains("AGENTS.md is not trusted as it stands now"), "{said}");
}

#[test]
fn those_of_a_sub_folder_come_with_the_first_touch_of_its_files_and_once() {
    let env = TestEnv::new();
    env.write("AGENTS.md", "Rules of all.");
    env.write("web/AGENTS.md", "Rules of web.");
    env.write("web/api/GEMINI.md", "Rules of the API.");
    env.write("web/api/a.txt", "a\n");
    env.write("db/AGENTS.md", "Rules of db.");
    trust(&env);
    env.write("web/new/AGENTS.md", "Nobody has looked at this.");
    let read = |path: &str| Reply::tool_call("read_file", json!({"path": path}));
    let server = Server::script([
        read("web/api/a.txt"),
        read("web/api/a.txt"),
        Reply::tool_call("list_files", json!({"path": "web/new"})),
        Reply::text("Done."),
    ]);
    let out = run(&env, &server, &["look"]).run().expect_code(0);
    let requests = server.finish();
    assert_stable_prefix(&requests);
    assert_eq!(users(&requests[0]), ["look"]);
    let after = users(&requests[1]);
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(after[1].contains("from=\"web/AGENTS.md\"") && after[2].contains("Rules of the API."), "{after:?}");
    assert_eq!(users(&requests[3]), after, "once each");
    let all = String::from_utf8_lossy(&requests[3].raw).into_owned();
    assert!(!all.contains("Rules of db.") && !all.contains("Nobody has looked"), "{all}");
    assert!(out.stderr.contains("web/new/AGENTS.md is not trusted"), "{}", out.stderr);

    // A session that goes on has them, and does not get them again.
    let server = Server::script([read("web/api/a.txt"), Reply::text("Done again.")]);
    run(&env, &server, &["--resume", "last", "again"]).run().expect_code(0);
    let again = server.finish().pop().unwrap();
    assert_eq!(users(&again).iter().filter(|u| u.contains("Rules of web.")).count(), 1, "{:?}", users(&again));
}

#[test]
fn nothing_of_them_can_stop_a_run() {
    let env = TestEnv::new();
    env.write("AGENTS.md", format!("Begin.\n@a.md @big.md @bin.md @../../etc/passwd\n{}", "x".repeat(5 << 20)));
    env.write("a.md", "Loop.\n@AGENTS.md");
    env.write("big.md", "y".repeat(17 << 20));
    env.write("bin.md", b"\xff\xfe\x00");
    #[cfg(unix)]
    {
        std::fs::create_dir(env.project().join("sub")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", env.project().join("sub/AGENTS.md")).unwrap();
    }
    env.write("sub/a.txt", "a\n");
    trust(&env);
    let server = Server::script([Reply::tool_call("read_file", json!({"path": "sub/a.txt"})), Reply::text("Fine.")]);
    let out = run(&env, &server, &["--output", "json", "hi"]).run().expect_code(0);
    let notes = out.json()["notes"].to_string();
    for told in ["AGENTS.md has 5120 KB", "circle (AGENTS.md -> a.md -> AGENTS.md)", "larger than 16 MB", "bin.md:1: this is not UTF-8"] {
        assert!(notes.contains(told), "{told}: {notes}");
    }
    #[cfg(unix)]
    assert!(notes.contains("sub/AGENTS.md leads out of"), "{notes}");
    let requests = server.finish();
    let system = system(&requests[0]);
    assert!(system.len() < 40_000 && system.contains("Loop.") && !system.contains("root:"), "{}", system.len());
}

#[test]
fn they_survive_a_conversation_that_is_made_smaller() {
    let env = TestEnv::new();
    let limits = json!({"models": {"gpt-4o-mini": {"context": 16_000, "max_output": 1_000, "slimmer": {"compact_at": 0.5, "max_input": 12_000, "diet": "balanced"}}}});
    env.write_config("models.json", limits.to_string());
    env.write("AGENTS.md", "Rule one: the build is called falcon.");
    env.write("sub/AGENTS.md", "Rule two: the port is 8417.");
    let lines: Vec<String> = (0..180).map(|line| format!("line {line} has the value {}\n", line * 37)).collect();
    (0..14).for_each(|n| drop(env.write(format!("sub/part{n}.txt"), lines.concat())));
    trust(&env);
    let mut asked = 0;
    let server = Server::respond(move |request| {
        let tokens = request.raw.len() as u64 / 3;
        if request.last_text().starts_with("<transcript>") {
            return Reply::text("Goal: read.").usage(tokens, 50);
        }
        asked += 1;
        if asked > 14 {
            return Reply::text("Read.").usage(tokens, 10);
        }
        Reply::text("Next.").and_call("read_file", &json!({"path": format!("sub/part{}.txt", asked - 1)})).usage(tokens, 20)
    });
    let out = run(&env, &server, &["--model", "gpt-4o-mini", "--output", "json", "Read every part."]).run().expect_code(0);
    assert!(out.json()["notes"].to_string().contains("compacted: "), "{}", out.stdout);
    let last = server.finish().pop().unwrap();
    let text = String::from_utf8_lossy(&last.raw).into_owned();
    assert!(text.contains("the build is called falcon") && text.contains("Rule two: the port is 8417."), "{text}");
}
