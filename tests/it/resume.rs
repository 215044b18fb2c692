//! Sessions that go on after their process has died: what they find, what they refuse, and what they tell model and user.
#![cfg(target_os = "linux")]

use crate::support::launch::Running;
use crate::support::server::assert_stable_prefix;
use crate::support::{Key, Launch, Outcome, Reply, Request, Server, Terminal, TestEnv};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(40);

fn run(env: &TestEnv, server: &Server, args: &[&str]) -> Launch {
    env.pup().arg("run").args(args).model_server(server).limit(LIMIT)
}

/// The folder of the latest session. A run that was killed as it began can have left one without a line.
pub fn session(env: &TestEnv) -> Option<PathBuf> {
    let all = std::fs::read_dir(env.pup_home().join("state/sessions")).ok()?.flatten().map(|e| e.path());
    all.max_by_key(|folder| folder.join("journal.jsonl").metadata().and_then(|m| m.modified()).ok())
}

fn id(env: &TestEnv) -> String {
    session(env).unwrap().file_name().unwrap().to_string_lossy().into_owned()
}

/// The whole lines of that session's journal.
pub fn entries(env: &TestEnv) -> Vec<Value> {
    let bytes = session(env).and_then(|s| std::fs::read(s.join("journal.jsonl")).ok()).unwrap_or_default();
    bytes.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect()
}

/// Processes that carry the session's mark.
pub fn survivors(env: &TestEnv) -> Vec<String> {
    let Some(folder) = session(env) else { return Vec::new() };
    let mark = format!("PUP_SESSION={}", folder.file_name().unwrap().to_string_lossy());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|e| e.path());
    let marked = processes.filter(|p| std::fs::read(p.join("environ")).is_ok_and(|e| e.split(|b| *b == 0).any(|v| v == mark.as_bytes())));
    marked.map(|p| std::fs::read_to_string(p.join("stat")).unwrap_or_default()).filter(|s| !s.is_empty() && !s.contains(") Z")).collect()
}

/// Kills pup, and nothing that it started.
fn kill(running: Running) {
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
}

/// Kills pup, and before that whatever would end its commands with it.
pub fn kill_with_supervisors(env: &TestEnv, running: Running) {
    running.signal(Signal::STOP);
    for line in survivors(env).iter().filter(|stat| stat.contains("(pup) ") || stat.contains("(exe) ")) {
        let pid = line.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }
    running.signal(Signal::KILL);
    running.wait();
}

/// A run that was killed while it waited for the model's second answer.
fn killed_in_the_middle(env: &TestEnv, server: &Server, args: &[&str]) {
    let running = run(env, server, &[args, &["--approve", "edits", "make a.txt"]].concat()).spawn();
    server.wait_for(2);
    kill(running);
}

/// Makes a file, and answers at the second time of asking.
fn file_then_answer() -> Server {
    let mut asked = 0;
    Server::respond(move |request| {
        if request.turn() == 0 {
            return Reply::tool_call("create_file", json!({"path": "a.txt", "content": "a\n"}));
        }
        asked += 1;
        if asked == 1 { Reply::text("never heard").stall_after(3) } else { Reply::text("It is made.") }
    })
}

#[track_caller]
fn assert_usage(out: &Outcome, code: i32, says: &[&str]) {
    assert_eq!(out.code, Some(code), "{}", out.report());
    assert!(out.stdout.is_empty() && says.iter().all(|s| out.stderr.contains(s)), "{says:?}\n{}", out.report());
}

#[test]
fn a_command_that_was_cut_is_ended_reported_and_not_run_again() {
    let env = TestEnv::new();
    let command = "(trap '' TERM; sleep 3; echo late >> f) & setsid sleep 300 & echo begun; sleep 3; echo late >> f";
    let server = Server::respond(move |request| match request.turn() {
        0 => Reply::tool_call("shell", json!({"command": command})),
        _ => Reply::text("I will look at f."),
    });
    let started = Instant::now();
    let mut running = run(&env, &server, &["--yolo", "--output", "stream-json", "append"]).spawn();
    running.wait_until("the command's word", |out, _| out.contains(r#""type":"tool_output""#));
    kill_with_supervisors(&env, running);
    // Its last process may not have begun yet.
    while survivors(&env).len() < 3 {
        assert!(started.elapsed() < LIMIT, "the command outlives its pup: {:?}", survivors(&env));
        std::thread::sleep(Duration::from_millis(5));
    }
    let listed = env.pup().args(["sessions", "list"]).run().expect_code(0);
    assert!(listed.stdout.contains("interrupted"), "{}", listed.report());

    let out = run(&env, &server, &["--resume", "last", "--yolo"]).run().expect_code(0);
    assert_eq!(survivors(&env), Vec::<String>::new());
    assert_eq!(out.stdout, "I will look at f.\n");
    for says in ["stopped what the killed run had left running: ", "sleep (", "outcome unknown: pup was killed during `shell`"] {
        assert!(out.stderr.contains(says), "{says}\n{}", out.report());
    }
    let requests = server.finish();
    assert_stable_prefix(&requests);
    let result = &requests[1].results()[0];
    assert!(result.contains("outcome unknown") && result.contains("processes were stopped (") && result.contains("bash ("), "{result}");
    assert_eq!(entries(&env).iter().filter(|e| e["kind"] == "intent").count(), 1);
    assert_eq!(entries(&env).last().unwrap()["cause"], "done");
    let listed = env.pup().args(["sessions", "list"]).run().expect_code(0);
    assert!(!listed.stdout.contains("interrupted"), "{}", listed.report());
    // Nothing that was started could still write when its time comes.
    std::thread::sleep(Duration::from_millis(3500).saturating_sub(started.elapsed()));
    assert!(!env.exists("f"));
}

#[test]
fn a_session_goes_on_where_it_was_with_the_same_bytes() {
    let env = TestEnv::new();
    let server = file_then_answer();
    killed_in_the_middle(&env, &server, &[]);
    // The system message lists the folder as it was then, and has to stay as it was.
    env.write("another.txt", "x");
    let out = run(&env, &server, &["--resume", "last", "--approve", "edits", "--output", "json"]).run().expect_code(0);
    let result = out.json();
    assert_eq!((&result["text"], &result["turns"], &result["session"]), (&json!("It is made."), &json!(1), &json!(id(&env))));
    let requests = server.finish();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[1].messages(), requests[2].messages());
    assert_stable_prefix(&requests);
    assert!(requests[0].messages()[0].to_string().contains("Workspace") && !requests[2].raw.windows(11).any(|w| w == b"another.txt"));

    // It is over now: without something to do it is refused, and with it the conversation grows.
    assert_usage(&run(&env, &file_then_answer(), &["--resume", "last"]).run(), 2, &["has ended (it is done)", "pup run --resume "]);
    let more = Server::script([Reply::text("Because.")]);
    let args = ["sessions", "resume", &id(&env), "--approve", "edits", "why?"];
    let out = env.pup().args(args).model_server(&more).run().expect_code(0);
    assert_eq!(out.stdout, "Because.\n");
    let all: Vec<Request> = requests.into_iter().chain(more.finish()).collect();
    assert_stable_prefix(&all);
    assert_eq!(all.last().unwrap().last_text(), "why?");
    let prompts: Vec<Value> = entries(&env).iter().filter(|e| e["kind"] == "session").map(|e| e["prompt"].clone()).collect();
    assert_eq!(prompts, [json!("make a.txt"), json!(null), json!("why?")]);
}

#[test]
fn a_prompt_at_resume_follows_the_results() {
    let env = TestEnv::new();
    let server = file_then_answer();
    killed_in_the_middle(&env, &server, &[]);
    run(&env, &server, &["--resume", "last", "--approve", "edits", "and be brief"]).run().expect_code(0);
    let requests = server.finish();
    let roles: Vec<&Value> = requests[2].messages().iter().map(|m| &m["role"]).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user"]);
    assert_eq!(requests[2].last_text(), "and be brief");
}

#[test]
fn a_run_that_was_interrupted_goes_on_without_a_prompt() {
    let env = TestEnv::new();
    let server = file_then_answer();
    let running = run(&env, &server, &["--approve", "edits", "make a.txt"]).spawn();
    server.wait_for(2);
    running.signal(Signal::INT);
    let out = running.wait().expect_code(130);
    let hint = out.stderr.split_once("pup run --resume ").map(|(_, id)| id.trim().to_owned()).unwrap_or_default();
    assert_eq!(hint, id(&env), "the hint works when pasted: {}", out.report());
    let out = run(&env, &server, &["--resume", &hint, "--approve", "edits"]).run().expect_code(0);
    assert_eq!(out.stdout, "It is made.\n");
    assert_stable_prefix(&server.finish());
}

#[test]
fn a_second_process_is_told_who_has_the_session() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("never").stall_after(0)]);
    let running = run(&env, &server, &["--approve", "edits", "x"]).spawn();
    server.wait_for(1);
    let list = env.pup().args(["sessions", "list"]).run().expect_code(0);
    assert!(list.stdout.contains("running"), "{}", list.report());
    let out = run(&env, &server, &["--resume", "last", "y"]).run();
    assert_usage(&out, 2, &["is in use by process ", &running.pid().to_string(), "wait until it ends"]);
    kill(running);
}

#[test]
fn a_question_that_was_open_is_asked_again() {
    let env = TestEnv::new();
    let server = Server::respond(|request| match request.turn() {
        0 => Reply::tool_calls([("list_files", json!({"path": "."})), ("shell", json!({"command": "echo once >> f"}))]),
        _ => Reply::text("It is appended."),
    });
    let mut terminal = Terminal::start(run(&env, &server, &["x"]), 24, 100);
    terminal.wait_for("? allow shell: echo once");
    let pid = std::fs::read_to_string(session(&env).unwrap().join("lock")).unwrap().parse::<i32>().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    terminal.wait_exit();
    assert!(!env.exists("f"));
    let mut terminal = Terminal::start(run(&env, &server, &["--resume", "last"]), 24, 100);
    terminal.wait_for("? allow shell: echo once").send("y").key(Key::Enter).wait_for("It is appended.");
    assert_eq!(terminal.wait_exit(), 0);
    assert_eq!(env.read("f"), "once\n");
    let screen = terminal.screen();
    assert!(!screen.contains("unknown"), "nothing had begun\n{screen}");
    assert_stable_prefix(&server.finish());
}

#[test]
fn a_torn_or_zeroed_end_is_named_and_the_session_goes_on() {
    for (garbage, says) in [(&b"{\"v\":1,\"seq\":99,\"ki"[..], "not a whole entry"), (&[0; 512], "512 NUL bytes")] {
        let env = TestEnv::new();
        let server = file_then_answer();
        killed_in_the_middle(&env, &server, &[]);
        let path = session(&env).unwrap().join("journal.jsonl");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole, garbage].concat()).unwrap();
        let out = run(&env, &server, &["--resume", "last", "--approve", "edits"]).run().expect_code(0);
        assert!(out.stderr.contains("the session's record is damaged; dropped line ") && out.stderr.contains(says), "{}", out.report());
        assert!(std::fs::read(&path).unwrap().starts_with(&whole), "what was written stays");
        assert_stable_prefix(&server.finish());
    }
}

#[test]
fn an_edit_that_was_cut_is_recognised_by_what_the_file_holds() {
    for (there, says) in
        [(true, "Done: pup was killed right after this change"), (false, "was not done: pup was killed before this change")]
    {
        let env = TestEnv::new();
        let server = file_then_answer();
        killed_in_the_middle(&env, &server, &[]);
        // As if the kill had come between the edit and its receipt, or between the intent and the edit.
        let path = session(&env).unwrap().join("journal.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        let upto = text.find(r#""kind":"receipt""#).and_then(|at| text[..at].rfind('\n')).unwrap();
        std::fs::write(&path, &text[..=upto]).unwrap();
        if !there {
            std::fs::remove_file(env.project().join("a.txt")).unwrap();
        }
        let out = run(&env, &server, &["--resume", "last", "--approve", "edits"]).run().expect_code(0);
        let requests = server.finish();
        let results = requests.last().unwrap().results();
        assert!(results.len() == 1 && results[0].contains(says), "{results:?}\n{}", out.report());
        assert!(out.stderr.contains("when pup was killed") || out.stderr.contains("before pup was killed"), "{}", out.report());
        assert_eq!(env.exists("a.txt"), there, "it is the model that decides to do it again");
        let intents = entries(&env).iter().filter(|e| e["kind"] == "intent").count();
        assert_eq!(intents, 1);
    }
}

/// A power cut can take lines out of the middle as well: here those of a reply, whose calls had begun.
#[test]
fn calls_that_the_record_lost_are_told_to_the_model() {
    let env = TestEnv::new();
    let server = file_then_answer();
    killed_in_the_middle(&env, &server, &[]);
    let path = session(&env).unwrap().join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let zeroed =
        |l: &str| if l.contains(r#""role":"assistant""#) || l.contains(r#""role":"tool""#) { "\0".repeat(l.len()) } else { l.to_owned() };
    std::fs::write(&path, text.lines().map(|l| zeroed(l) + "\n").collect::<String>()).unwrap();
    let more = Server::script([Reply::text("I see.")]);
    run(&env, &more, &["--resume", "last", "--approve", "edits"]).run().expect_code(0);
    let requests = more.finish();
    let last = requests[0].last_text();
    assert!(
        last.contains("record of this conversation is damaged") && last.contains("create_file") && last.contains("it ended well"),
        "{last}"
    );
}

#[test]
fn what_cannot_be_taken_up_is_refused_with_a_way_out() {
    let env = TestEnv::new();
    let server = file_then_answer();
    assert_usage(&run(&env, &server, &["--resume", "last"]).run(), 2, &["there are no sessions yet"]);
    killed_in_the_middle(&env, &server, &[]);
    assert_usage(&run(&env, &server, &["--resume", "nonsense"]).run(), 2, &["there is no session `nonsense`"]);
    assert_usage(&run(&env, &server, &["--resume", "last", "--no-session"]).run(), 2, &["--no-session"]);
    assert_usage(&env.pup().args(["sessions", "resume", "last", "--no-session"]).run(), 2, &["--no-session"]);
    let out = run(&env, &server, &["--resume", "last", "--agent", "no-such"]).run();
    assert_usage(&out, 2, &["there is no agent `no-such`"]);

    let path = session(&env).unwrap().join("journal.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{{\"v\":99,\"seq\":77,\"kind\":\"later\"}}\n")).unwrap();
    assert_usage(&run(&env, &server, &["--resume", "last"]).run(), 3, &["written by a newer pup (journal version 99", "update pup"]);
    std::fs::write(&path, vec![0; whole.len()]).unwrap();
    assert_usage(&run(&env, &server, &["--resume", "last"]).run(), 3, &["nothing of session ", "NUL bytes", "start a new one"]);
    std::fs::write(&path, whole.replace(r#""agent":"code-puppy""#, r#""agent":"gone-puppy""#)).unwrap();
    assert_usage(&run(&env, &server, &["--resume", "last"]).run(), 2, &["the session's agent", "gone-puppy", "--agent NAME"]);
    // None of these attempts has left anything behind.
    std::fs::write(&path, whole).unwrap();
    let out = run(&env, &server, &["--resume", "last", "--approve", "edits"]).run().expect_code(0);
    assert_eq!(out.stdout, "It is made.\n");
}

#[test]
fn a_folder_that_is_gone_can_be_replaced() {
    let env = TestEnv::new();
    let server = file_then_answer();
    killed_in_the_middle(&env, &server, &[]);
    let moved = env.home().join("moved");
    std::fs::rename(env.project(), &moved).unwrap();
    let resume = |args: &[&str]| run(&env, &server, &[&["--resume", "last", "--approve", "edits"], args].concat()).cwd(env.home()).run();
    assert_usage(&resume(&[]), 2, &["the folder of session ", "is gone", env.project().to_str().unwrap(), "--cwd DIR"]);
    let out = resume(&["--cwd", "moved"]).expect_code(0);
    assert_eq!(out.stdout, "It is made.\n");
    let requests = server.finish();
    let last = requests.last().unwrap();
    assert!(last.last_text().contains(&format!("The workspace has moved. It is now {}", moved.display())), "{}", last.last_text());
    assert_stable_prefix(&requests);
}

#[test]
fn the_agent_and_the_model_stay_unless_others_are_named() {
    let env = TestEnv::new();
    env.write_config(
        "agents/terse.md",
        "---\nname: terse\ndescription: Says little.\nworkload: coding\ntools: [read_file]\n---\nYou say little.\n",
    );
    let server = file_then_answer();
    killed_in_the_middle(&env, &server, &["--model", "openai/first"]);
    let asked = |args: &[&str], says: &str| {
        let server = Server::script([Reply::text("so")]);
        let out = run(&env, &server, &[&["--resume", "last"], args, &["go on"]].concat()).run().expect_code(0);
        assert!(out.stderr.contains(says), "{}", out.report());
        let request = server.finish().remove(0);
        let terse = request.messages()[0]["content"].to_string().contains("You say little.");
        (request.body["model"].as_str().unwrap_or_default().to_owned(), terse, request.tools().len() == 1)
    };
    assert_eq!(asked(&[], ""), ("first".to_owned(), false, false));
    assert_eq!(asked(&["--model", "openai/second"], ""), ("second".to_owned(), false, false));
    assert_eq!(asked(&["--agent", "terse"], ""), ("second".to_owned(), true, true));
    assert_eq!(asked(&[], ""), ("second".to_owned(), true, true));
    // A model that has no key any more is replaced, and that is said.
    let other = Server::script([Reply::text("so")]);
    let out =
        env.pup().args(["run", "--resume", "last", "go on"]).env("GROQ_BASE_URL", other.base_url()).env("GROQ_API_KEY", "k-0123456789");
    let out = out.limit(LIMIT).run().expect_code(0);
    assert!(out.stderr.contains("the session's model openai/second is not to be had now"), "{}", out.report());
    assert!(other.finish()[0].messages()[0]["content"].to_string().contains("You say little."));
}
