//! The chat: turns that remember each other, agents and models that take over, approvals, and every way out of a turn.
#![cfg(unix)]

use crate::support::server::assert_stable_prefix;
use crate::support::{Key, Launch, Reply, Server, Terminal, TestEnv};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// A chat with a listed model, whose price is known, over the scripted server.
pub fn launch(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["-m", "gpt-4o-mini"]).model_server(server)
}

/// In a terminal of 40 lines; a test that hangs fails after a minute.
pub fn open(launch: Launch, columns: u16) -> Terminal {
    let mut terminal = Terminal::start(launch.limit(Duration::from_mins(1)), 40, columns);
    ready(&mut terminal, "code-puppy", "Ctrl-D");
    terminal
}

/// Waits until the prompt of this agent is there, below something that says `shown`. What is typed before that would be
/// kept for the prompt, but not for a question.
#[track_caller]
pub fn ready(terminal: &mut Terminal, agent: &str, shown: &str) {
    let prompt = format!("{agent}>");
    terminal.wait_until(&format!("{shown} and the prompt of {agent}"), |screen| {
        screen.contains(shown) && screen.lines().last().is_some_and(|l| l.trim_end() == prompt)
    });
}

/// Sends a line and waits for what it brings, up to the next prompt.
#[track_caller]
pub fn say(terminal: &mut Terminal, line: &str, brings: &str) {
    terminal.send(line).key(Key::Enter);
    ready(terminal, "code-puppy", brings);
}

/// The ids of the recorded sessions, oldest first.
pub fn sessions(env: &TestEnv) -> Vec<String> {
    let folder = env.pup_home().join("state/sessions");
    let mut ids: Vec<String> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().into_string().unwrap()).collect();
    ids.sort();
    ids
}

pub fn journal(env: &TestEnv, session: &str) -> Vec<Value> {
    let path: PathBuf = env.pup_home().join("state/sessions").join(session).join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn users(request: &crate::support::Request) -> Vec<&str> {
    request.messages().iter().filter(|m| m["role"] == "user").filter_map(|m| m["content"].as_str()).collect()
}

fn roles(request: &crate::support::Request) -> Vec<&str> {
    request.messages().iter().filter_map(|m| m["role"].as_str()).collect()
}

fn tools(request: &crate::support::Request) -> Vec<&str> {
    request.body["tools"].as_array().map_or(Vec::new(), |t| t.iter().filter_map(|t| t["function"]["name"].as_str()).collect())
}

#[test]
fn turns_remember_each_other_and_are_one_session() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("The first answer."), Reply::text("The second answer.")]);
    let mut terminal = open(launch(&env, &server), 80);
    assert!(sessions(&env).is_empty(), "a session begins with its first prompt");
    say(&mut terminal, "one", "The first answer.");
    say(&mut terminal, "two", "The second answer.");
    terminal.send("/exit").key(Key::Enter);
    assert_eq!(terminal.wait_exit(), 0);
    let requests = server.finish();
    assert_eq!(roles(&requests[1]), ["system", "user", "assistant", "user"]);
    assert_eq!(users(&requests[1]), ["one", "two"]);
    assert_stable_prefix(&requests);
    let [id] = sessions(&env).try_into().unwrap();
    let entries = journal(&env, &id);
    assert_eq!((entries[0]["prompt"].as_str(), entries.last().unwrap()["kind"].as_str()), (Some("one"), Some("end")));
    assert!(terminal.screen().contains(&id), "{}", terminal.screen());
}

#[test]
fn another_agent_goes_on_with_the_conversation() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("A puppy's answer."), Reply::text("A plan."), Reply::text("A puppy again.")]);
    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "one", "A puppy's answer.");
    say(&mut terminal, "/agent plannin", "did you mean `planning`?");
    terminal.send("/agent planning").key(Key::Enter);
    ready(&mut terminal, "planning", "planning goes on with the conversation");
    terminal.send("two").key(Key::Enter);
    ready(&mut terminal, "planning", "A plan.");
    terminal.send("/agent planning").key(Key::Enter);
    ready(&mut terminal, "planning", "is the agent already");
    say(&mut terminal, "/agent code-puppy", "code-puppy goes on");
    say(&mut terminal, "three", "A puppy again.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);

    let requests = server.finish();
    let (puppy, planner, back) = (&requests[0], &requests[1], &requests[2]);
    assert_eq!(roles(planner), ["system", "user", "assistant", "user"]);
    assert_ne!(planner.messages()[0], puppy.messages()[0], "the planner has its own prompt");
    assert_eq!(planner.messages()[1], puppy.messages()[1], "and the same conversation");
    assert!(tools(puppy).contains(&"create_file") && !tools(planner).contains(&"create_file"), "{:?}", tools(planner));
    assert_eq!((&back.messages()[0], tools(back)), (&puppy.messages()[0], tools(puppy)));
    assert_eq!(users(back), ["one", "two", "three"]);

    // The journal knows who spoke when: each change is followed by the prompt in force.
    let [id] = sessions(&env).try_into().unwrap();
    let entries = journal(&env, &id);
    let changes: Vec<usize> = (0..entries.len()).filter(|i| entries[*i]["kind"] == "session").collect();
    let agents: Vec<&str> = changes.iter().map(|i| entries[*i]["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["code-puppy", "planning", "code-puppy"]);
    for at in &changes[1..] {
        assert_eq!(entries[at + 1]["message"]["role"], "system", "{:#?}", entries[at + 1]);
    }
    // What is loaded of it is a valid conversation.
    env.pup().args(["sessions", "show", &id]).run().expect_code(0);
}

#[test]
fn the_model_can_be_changed_and_the_chain_is_shown() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("From the small one."), Reply::text("From the other one.")]);
    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "/chain", "1. gpt-4o-mini from openai");
    say(&mut terminal, "one", "From the small one.");
    say(&mut terminal, "/model openai/another-model", "goes on with openai/another-model");
    say(&mut terminal, "two", "From the other one.");
    say(&mut terminal, "/model", "openai/another-model from openai");
    say(&mut terminal, "/model nowhere/x", "there is no provider `nowhere`");
    say(&mut terminal, "/model gpt-4o-minni", "gpt-4o-mini");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let requests = server.finish();
    let models: Vec<&str> = requests.iter().map(|r| r.body["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["gpt-4o-mini", "another-model"]);
    assert_eq!(users(&requests[1]), ["one", "two"]);
}

#[test]
fn control_c_in_an_answer_stops_the_turn_and_keeps_the_chat() {
    let env = TestEnv::new();
    let server =
        Server::script([Reply::text("Half of an answer that never comes to its end.").stall_after(5), Reply::text("The chat goes on.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("one").key(Key::Enter).wait_for("Half of an").key(Key::Ctrl('c'));
    ready(&mut terminal, "code-puppy", "stopped.");
    server.wait_for_hangup(0);
    say(&mut terminal, "two", "The chat goes on.");
    say(&mut terminal, "/cost", "1 reply broke off");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let requests = server.finish();
    // The scripted server has checked that both are valid; nothing of the half answer is in the second.
    assert_eq!(users(&requests[1]), ["one", "two"]);
    assert!(!String::from_utf8_lossy(&requests[1].raw).contains("Half of an"));
}

#[test]
fn control_c_in_a_command_ends_it_and_the_model_learns_of_it() {
    let env = TestEnv::new();
    let command = "echo $$ > pid; echo it runs; sleep 300";
    let server = Server::script([Reply::tool_call("shell", json!({"command": command})), Reply::text("It was stopped.")]);
    let mut terminal = open(launch(&env, &server).arg("--yolo"), 80);
    terminal.send("run it").key(Key::Enter).wait_for("| it runs").key(Key::Ctrl('c'));
    ready(&mut terminal, "code-puppy", "stopped.");
    let pid = env.read("pid");
    let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z"), "still there: {state}");
    say(&mut terminal, "what happened?", "It was stopped.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let last = server.finish().pop().unwrap();
    assert_eq!(roles(&last), ["system", "user", "assistant", "tool", "user"]);
    assert_eq!(last.results().len(), 1);
}

#[test]
fn a_second_control_c_leaves() {
    let env = TestEnv::new();
    let stubborn = "trap '' TERM INT HUP; echo $$ > pid; echo it runs; while :; do sleep 0.2; done";
    let server = Server::script([Reply::tool_call("shell", json!({"command": stubborn}))]);
    let mut terminal = open(launch(&env, &server).arg("--yolo"), 80);
    terminal.send("run it").key(Key::Enter).wait_for("| it runs").key(Key::Ctrl('c'));
    std::thread::sleep(Duration::from_millis(300));
    terminal.key(Key::Ctrl('c'));
    assert_eq!(terminal.wait_exit(), 130, "{}", terminal.screen());
}

#[test]
fn each_approval_is_asked_with_what_it_is_for() {
    let make = |name: &str| Reply::tool_call("create_file", json!({"path": name, "content": "one line\n"}));
    // The answers, which files there are at the end, and how often was asked.
    let rows: [(&[&str], [bool; 2], usize); 4] = [
        (&["y", "n"], [true, false], 2),
        (&["n", "yes"], [false, true], 2),
        (&["a"], [true, true], 1),
        (&["what?", "y", "n"], [true, false], 3),
    ];
    for (answers, there, asked) in rows {
        let env = TestEnv::new();
        let server = Server::script([make("first"), make("second"), Reply::text("That is all of it.")]);
        let mut terminal = open(launch(&env, &server), 80);
        terminal.send("make two files").key(Key::Enter);
        for (n, answer) in answers.iter().enumerate() {
            terminal.wait_until("one more question", |s| {
                s.matches("[y]es [n]o [a]lways>").count() > n && s.lines().last().is_some_and(|l| l.ends_with("ways>"))
            });
            assert!(terminal.screen().contains("+one line"), "the diff is there before the answer\n{}", terminal.screen());
            terminal.send(answer).key(Key::Enter);
        }
        ready(&mut terminal, "code-puppy", "That is all of it.");
        assert_eq!([env.exists("first"), env.exists("second")], there, "{answers:?}\n{}", terminal.screen());
        assert_eq!(terminal.screen().matches("ways>").count(), asked, "{}", terminal.screen());
        let denied = server.finish().pop().unwrap().results().iter().filter(|r| r.contains("denied")).count();
        assert_eq!(denied, there.iter().filter(|t| !**t).count());
        terminal.key(Key::Ctrl('d'));
        assert_eq!(terminal.wait_exit(), 0);
    }
}

#[test]
fn always_holds_for_the_whole_chat() {
    let env = TestEnv::new();
    let command = || Reply::tool_call("shell", json!({"command": "echo x >> made"}));
    let server = Server::script([command(), Reply::text("Made once."), command(), Reply::text("Made twice.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("one").key(Key::Enter).wait_for("ways>").send("a").key(Key::Enter);
    ready(&mut terminal, "code-puppy", "Made once.");
    say(&mut terminal, "two", "Made twice.");
    assert_eq!(env.read("made"), "x\nx\n");
    assert_eq!(terminal.screen().matches("ways>").count(), 1);
    server.finish();
}

#[test]
fn a_question_shows_all_of_a_command_and_nothing_in_it_can_hide() {
    let env = TestEnv::new();
    let command = "touch hidden\rtouch shown\ntouch \u{202e}below";
    let server = Server::script([Reply::tool_call("shell", json!({"command": command})), Reply::text("Not done.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("go").key(Key::Enter).wait_for("ways>");
    let screen = terminal.screen();
    assert!(screen.contains("touch hidden\\u{d}touch shown") && screen.contains("touch \\u{202e}below"), "{screen}");
    terminal.send("n").key(Key::Enter);
    ready(&mut terminal, "code-puppy", "Not done.");
    assert!(!env.exists("hidden") && !env.exists("shown"));
    server.finish();
}

#[test]
fn what_was_typed_before_a_question_is_no_answer_to_it() {
    let env = TestEnv::new();
    let server = Server::script([
        Reply::tool_call("shell", json!({"command": "touch made"})).first_byte_after(Duration::from_millis(700)),
        Reply::text("Not done."),
    ]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("go").key(Key::Enter);
    server.wait_for(1);
    terminal.send("y").key(Key::Enter).send("y").key(Key::Enter).wait_for("ways>");
    std::thread::sleep(Duration::from_millis(300));
    assert!(!env.exists("made"), "{}", terminal.screen());
    terminal.send("n").key(Key::Enter);
    ready(&mut terminal, "code-puppy", "Not done.");
    server.finish();
}

#[test]
fn control_c_at_a_question_stops_the_turn() {
    let env = TestEnv::new();
    let server = Server::script([Reply::tool_call("shell", json!({"command": "touch made"})), Reply::text("Alive.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("go").key(Key::Enter).wait_for("ways>").key(Key::Ctrl('c'));
    ready(&mut terminal, "code-puppy", "stopped.");
    say(&mut terminal, "and now?", "Alive.");
    assert!(!env.exists("made"));
    assert_eq!(roles(&server.finish().pop().unwrap()), ["system", "user", "assistant", "tool", "user"]);
}

#[test]
fn clear_begins_another_session_without_the_old_conversation() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("Old news."), Reply::text("A fresh start.")]);
    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "one", "Old news.");
    let [first] = sessions(&env).try_into().unwrap();
    say(&mut terminal, "/clear", &format!("/resume {first} goes back"));
    assert_eq!(sessions(&env).len(), 1, "nothing is recorded of a conversation that has not begun");
    say(&mut terminal, "two", "A fresh start.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let requests = server.finish();
    assert_eq!((roles(&requests[1]), users(&requests[1])), (vec!["system", "user"], vec!["two"]));
    assert_eq!(requests[0].messages()[0], requests[1].messages()[0]);
    assert_eq!(sessions(&env).len(), 2);
}

#[test]
fn the_cost_is_what_the_provider_reported() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("One.").usage(1_000_000, 500_000), Reply::text("Two.").usage(200_000, 100_000)]);
    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "/cost", "nothing has been used yet");
    say(&mut terminal, "one", "One.");
    say(&mut terminal, "/clear", "a new conversation");
    say(&mut terminal, "two", "Two.");
    say(&mut terminal, "/cost", "total");
    let screen = terminal.screen();
    // 0.15 dollars for a million in, 0.6 for a million out.
    for row in
        ["uncached input     1,200,000     0.1800", "output               600,000     0.3600", "total              1,800,000     0.5400"]
    {
        assert!(screen.contains(row), "{row}\n{screen}");
    }
    server.finish();
}

#[test]
fn a_wait_for_a_provider_has_no_deadline_but_control_c() {
    let env = TestEnv::new();
    env.write_config("config.toml", "[http]\ndeadline = \"1s\"\n");
    let mut asked = 0;
    let server = Server::respond(move |_| {
        asked += 1;
        if asked == 1 {
            Reply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "3600")
        } else {
            Reply::text("Back again.")
        }
    });
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("one").key(Key::Enter).wait_for("again in").key(Key::Ctrl('c'));
    ready(&mut terminal, "code-puppy", "stopped.");
    say(&mut terminal, "/chain", "out for");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn a_provider_that_refuses_leaves_the_chat_alive() {
    let env = TestEnv::new();
    let server = Server::script([Reply::error(400, "invalid_request_error", "no such thing"), Reply::text("Better now.")]);
    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "one", "no such thing");
    say(&mut terminal, "two", "Better now.");
    server.finish();
}

#[test]
fn a_session_is_taken_up_again_with_its_agent() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("Noted: 42."), Reply::text("It was 42."), Reply::text("And 42 again.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("/agent planning").key(Key::Enter);
    ready(&mut terminal, "planning", "goes on");
    terminal.send("remember 42").key(Key::Enter);
    ready(&mut terminal, "planning", "Noted: 42.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let [id] = sessions(&env).try_into().unwrap();

    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "/resume", &id);
    say(&mut terminal, "/resume 1999", "there is no session `1999`");
    terminal.send("/resume last").key(Key::Enter);
    ready(&mut terminal, "planning", "the last prompt was: remember 42");
    terminal.send("which number?").key(Key::Enter);
    ready(&mut terminal, "planning", "It was 42.");
    terminal.send(&format!("/resume {id}")).key(Key::Enter);
    ready(&mut terminal, "planning", "is the session that you are in");
    // Away and back again, in one chat.
    terminal.send("/clear").key(Key::Enter);
    ready(&mut terminal, "planning", "a new conversation");
    terminal.send("/resume last").key(Key::Enter);
    ready(&mut terminal, "planning", "the last prompt was: which number?");
    terminal.send("again").key(Key::Enter);
    ready(&mut terminal, "planning", "And 42 again.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let requests = server.finish();
    assert_stable_prefix(&requests);
    assert_eq!(users(&requests[2]), ["remember 42", "which number?", "again"]);
    assert_eq!(sessions(&env), [id]);
}

#[test]
fn a_session_of_another_folder_is_not_taken_up_here() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("Done over there.")]);
    env.write("sub/x", "");
    let out = env.pup().args(["run", "-m", "gpt-4o-mini", "--cwd", "sub", "one"]).model_server(&server).run().expect_code(0);
    assert!(out.stdout.contains("Done over there."), "{}", out.report());
    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "/resume last", "belongs to another folder");
    let mut terminal = open(launch(&env, &server).arg("--no-session"), 80);
    say(&mut terminal, "/resume last", "records nothing");
    server.finish();
}

#[test]
fn a_killed_chat_s_command_is_taken_up_as_unknown_and_never_run_again() {
    let env = TestEnv::new();
    let command = "echo once >> made; echo it runs; sleep 300";
    let server = Server::script([Reply::tool_call("shell", json!({"command": command})), Reply::text("I will look first.")]);
    let mut terminal = open(launch(&env, &server).arg("--yolo"), 80);
    terminal.send("run it").key(Key::Enter).wait_for("| it runs");
    let [id] = sessions(&env).try_into().unwrap();
    let lock = std::fs::read_to_string(env.pup_home().join("state/sessions").join(&id).join("lock")).unwrap();
    let pid = rustix::process::Pid::from_raw(lock.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    terminal.wait_exit();

    let mut terminal = open(launch(&env, &server).arg("--yolo"), 80);
    say(&mut terminal, "/resume last", "I will look first.");
    assert!(terminal.screen().contains("unknown"), "{}", terminal.screen());
    assert_eq!(env.read("made"), "once\n");
    let last = server.finish().pop().unwrap();
    assert!(last.results().iter().any(|r| r.contains("unknown")), "{:?}", last.results());
}

#[test]
fn nothing_is_recorded_where_nothing_is_to_be() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("Unrecorded.")]);
    let mut terminal = open(launch(&env, &server).arg("--no-session"), 80);
    say(&mut terminal, "one", "Unrecorded.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    assert!(sessions(&env).is_empty() && !env.pup_home().join("state/chat-history").exists());
    server.finish();
}

#[test]
fn without_a_terminal_the_chat_is_refused_and_says_what_to_run() {
    let env = TestEnv::new();
    for launch in [env.pup(), env.pup().input("hello\n"), env.pup().args(["-a", "planning"])] {
        let out = launch.run().expect_code(2);
        assert!(out.stdout.is_empty() && out.stderr.contains("needs a terminal") && out.stderr.contains("pup run"), "{}", out.report());
        assert!(!out.stderr.contains('\x1b'), "{}", out.report());
    }
    // Options of the chat do not stand before another command.
    let out = env.pup().args(["-m", "gpt-4o-mini", "run", "x"]).run().expect_code(2);
    assert!(out.stderr.contains("cannot be used with"), "{}", out.report());
}

#[test]
fn a_chat_that_cannot_begin_says_why() {
    let env = TestEnv::new();
    let rows: [(Launch, u32, &str); 4] = [
        (env.pup().args(["-a", "code-pupy"]).env("OPENAI_API_KEY", "x"), 2, "code-puppy"),
        (env.pup().args(["-m", "nowhere/x"]).env("OPENAI_API_KEY", "x"), 2, "there is no provider `nowhere`"),
        (env.pup().args(["--approve", "mybe"]).env("OPENAI_API_KEY", "x"), 2, "mybe"),
        (env.pup().args(["--cwd", "nowhere"]).env("OPENAI_API_KEY", "x"), 2, "nowhere"),
    ];
    for (launch, code, says) in rows {
        let mut terminal = Terminal::start(launch.limit(Duration::from_secs(30)), 24, 80);
        let exit = terminal.wait_exit();
        assert!(terminal.screen().contains(says), "{says}\n{}", terminal.screen());
        assert_eq!(exit, code, "{}", terminal.screen());
    }
}

#[test]
fn a_termination_ends_the_chat_and_the_terminal_is_as_it_was() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("never the end").stall_after(3)]);
    let script = r#"stty -g > before; sh -c 'echo $$ > pid; exec "$0" -m gpt-4o-mini' "$PUP"; echo "code $?"; stty -g > after"#;
    let wrapped = || env.command("sh").args(["-c", script]).env("PUP", env!("CARGO_BIN_EXE_pup")).model_server(&server);
    let kill = |signal| {
        let pid = rustix::process::Pid::from_raw(env.read("pid").trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    let unchanged = |terminal: &Terminal| assert_eq!(env.read("before"), env.read("after"), "{}", terminal.screen());

    // At the prompt, where the editor has its own settings, and in a turn.
    let mut terminal = open(wrapped(), 80);
    kill(rustix::process::Signal::TERM);
    terminal.wait_for("code 143");
    assert_eq!(terminal.wait_exit(), 0);
    unchanged(&terminal);

    let mut terminal = open(wrapped(), 80);
    terminal.send("one").key(Key::Enter).wait_for("never");
    kill(rustix::process::Signal::TERM);
    terminal.wait_for("code 143");
    assert_eq!(terminal.wait_exit(), 0);
    unchanged(&terminal);

    let mut terminal = open(wrapped(), 80);
    terminal.key(Key::Ctrl('d')).wait_for("code 0");
    assert_eq!(terminal.wait_exit(), 0);
    unchanged(&terminal);
    server.finish();
}
