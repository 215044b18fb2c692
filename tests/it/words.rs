//! What passes between the model and the user while it works: the todo list, questions, plan mode, and what the user says
//! before the turn is over.
#![cfg(unix)]

use crate::chat::{journal, launch, open, ready, say, sessions};
use crate::support::server::assert_stable_prefix;
use crate::support::{Key, Reply, Request, Server, TestEnv};
use serde_json::{Value, json};
use std::time::Duration;

fn texts(request: &Request, role: &str) -> Vec<String> {
    let all = request.messages().iter().filter(|m| m["role"] == role);
    all.map(|m| m["content"].as_str().map_or_else(|| m["content"].to_string(), str::to_owned)).collect()
}

fn ask(question: &str, choices: &[&str]) -> Reply {
    Reply::tool_call("ask_user_question", json!({"question": question, "choices": choices}))
}

#[test]
fn a_question_is_asked_and_answered_by_number_or_in_words() {
    let env = TestEnv::new();
    let server = Server::script([ask("Which store?", &["sqlite", "postgres"]), ask("And the port?", &[]), Reply::text("Both are noted.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("set it up").key(Key::Enter).wait_for("own words>");
    let screen = terminal.screen();
    assert!(screen.contains("? Which store?") && screen.contains("  1. sqlite") && screen.contains("  2. postgres"), "{screen}");
    terminal.key(Key::Enter).wait_for("please say something");
    // What is typed before the second prompt is there is for the model, not an answer.
    terminal.wait_until("the prompt again", |screen| screen.matches("own words>").count() == 2);
    terminal.send("2").key(Key::Enter);
    terminal.wait_for("answer>").send("8417, only here").key(Key::Enter);
    ready(&mut terminal, "code-puppy", "Both are noted.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let requests = server.finish();
    assert!(requests[0].tools().contains(&"ask_user_question"));
    assert_eq!(requests[2].results(), ["postgres", "8417, only here"]);
    assert_stable_prefix(&requests);
    let [id] = sessions(&env).try_into().unwrap();
    let kept = journal(&env, &id).iter().any(|e| e["kind"] == "message" && e["message"].to_string().contains("8417, only here"));
    assert!(kept);
}

#[test]
fn a_question_without_an_answer_ends_nothing() {
    let env = TestEnv::new();
    let server = Server::script([ask("Sure?", &["yes"]), Reply::text("I guessed."), ask("Really?", &[]), Reply::text("Alive.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("go").key(Key::Enter).wait_for("own words>").key(Key::Ctrl('d'));
    ready(&mut terminal, "code-puppy", "I guessed.");
    terminal.send("go").key(Key::Enter).wait_for("answer>").key(Key::Ctrl('c'));
    ready(&mut terminal, "code-puppy", "stopped.");
    say(&mut terminal, "and now?", "Alive.");
    let results = server.finish().pop().unwrap().results();
    assert!(results.iter().all(|r| r.contains("the user gave no answer")) && results.len() == 2, "{results:?}");
}

#[test]
fn without_a_terminal_the_tool_is_not_there_and_a_call_is_told_why() {
    let env = TestEnv::new();
    let server = Server::script([ask("Sure?", &["yes"]), Reply::text("I assumed yes.")]);
    env.pup().args(["run", "go"]).model_server(&server).run().expect_code(0);
    let requests = server.finish();
    assert!(requests[0].tools().contains(&"todo") && !requests[0].tools().contains(&"ask_user_question"), "{:?}", requests[0].tools());
    assert!(requests[1].results()[0].contains("nobody can be asked: this run has no terminal"), "{:?}", requests[1].results());
}

#[test]
fn a_question_in_a_single_run_on_a_terminal() {
    let env = TestEnv::new();
    let server = Server::script([ask("Which?", &["left", "right"]), Reply::text("Left it is.")]);
    let launch = env.pup().args(["run", "go"]).model_server(&server).limit(Duration::from_mins(1));
    let mut terminal = crate::support::Terminal::start(launch, 40, 80);
    terminal.wait_for("own words>").send("1").key(Key::Enter).wait_for("Left it is.");
    assert_eq!(terminal.wait_exit(), 0);
    assert_eq!(server.finish()[1].results(), ["left"]);
}

#[test]
fn the_todo_list_is_shown_and_its_faults_are_told() {
    let env = TestEnv::new();
    let list = json!({"todos": [{"content": "read", "status": "completed"}, {"content": "write", "status": "in_progress"}]});
    let server = Server::script([
        Reply::tool_call("todo", list),
        Reply::tool_call("todo", json!({"todos": [{"content": "x", "status": "never"}]})),
        Reply::text("On it."),
    ]);
    let mut terminal = open(launch(&env, &server), 80);
    say(&mut terminal, "work", "On it.");
    let screen = terminal.screen();
    assert!(screen.contains("1 of 2 done, 1 under way") && screen.contains("  [x] read\n  [>] write"), "{screen}");
    let results = server.finish().pop().unwrap().results();
    assert!(results[0] == "[x] read\n[>] write" && results[1].contains("`never` is no status"), "{results:?}");
}

#[test]
fn plan_mode_changes_nothing_whatever_was_allowed() {
    let env = TestEnv::new();
    let make = || Reply::tool_call("create_file", json!({"path": "made", "content": "x\n"}));
    let server = Server::script([
        make().and_call("shell", &json!({"command": "touch made"})),
        Reply::text("The plan: make it."),
        Reply::text("A second thought."),
        make(),
        Reply::text("Made."),
    ]);
    let mut terminal = open(launch(&env, &server).arg("--yolo"), 80);
    say(&mut terminal, "/help", "/plan");
    terminal.send("/plan").key(Key::Enter);
    ready(&mut terminal, "code-puppy (plan)", "plan mode is on");
    terminal.send("make it").key(Key::Enter);
    ready(&mut terminal, "code-puppy (plan)", "/plan ends it");
    assert!(!env.exists("made"), "{}", terminal.screen());
    terminal.send("think again").key(Key::Enter);
    ready(&mut terminal, "code-puppy (plan)", "A second thought.");
    say(&mut terminal, "/plan", "plan mode is over");
    say(&mut terminal, "go", "Made.");
    assert!(env.exists("made"));
    let requests = server.finish();
    assert_stable_prefix(&requests);
    assert!(requests[1].results().iter().all(|r| r.contains("plan mode is on")), "{:?}", requests[1].results());
    let users = texts(&requests[4], "user");
    let told: Vec<[bool; 2]> = users.iter().map(|u| [u.contains("[Plan mode is on"), u.contains("[Plan mode is over")]).collect();
    assert_eq!(told, [[true, false], [false, false], [false, true]], "{users:?}");
}

#[test]
fn a_single_run_can_be_for_a_plan_alone() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("First this, then that.")]);
    env.pup().args(["run", "--plan", "how?"]).model_server(&server).run().expect_code(0);
    assert!(texts(&server.finish()[0], "user")[0].contains("[Plan mode is on"));
    let server = Server::script([Reply::tool_call("create_file", json!({"path": "made", "content": "x"})), Reply::text("I could not.")]);
    let out = env.pup().args(["run", "--approve", "plan", "--output", "json", "how?"]).model_server(&server).run().expect_code(8);
    assert_eq!((out.json()["cause"].clone(), env.exists("made")), (Value::from("denied"), false));
    env.pup().args(["run", "--plan", "--yolo", "x"]).run().expect_code(2);
}

#[test]
fn what_is_typed_in_a_turn_reaches_the_model_with_its_next_call() {
    let env = TestEnv::new();
    env.write("a.txt", "a\n");
    let late = Duration::from_millis(900);
    let server = Server::script([
        Reply::tool_call("read_file", json!({"path": "a.txt"})).first_byte_after(late),
        Reply::text("With tabs, then.").first_byte_after(late),
        Reply::text("And in red."),
    ]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("format it").key(Key::Enter);
    server.wait_for(1);
    terminal.send("use tabs").key(Key::Enter).wait_for("(the model hears next: use tabs)");
    server.wait_for(2);
    // Said before the answer is there: the turn does not end without it.
    terminal.send("and red").key(Key::Enter).wait_for("(the model hears next: and red)");
    ready(&mut terminal, "code-puppy", "And in red.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let requests = server.finish();
    assert_stable_prefix(&requests);
    let roles: Vec<&str> = requests[2].messages().iter().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "user", "assistant", "user"]);
    assert_eq!(texts(&requests[2], "user"), ["format it", "use tabs", "and red"]);
    assert_eq!(sessions(&env).len(), 1);
}

#[test]
fn commands_and_unfinished_lines_wait_for_the_prompt() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("First.").first_byte_after(Duration::from_millis(900)), Reply::text("Second.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("one").key(Key::Enter);
    server.wait_for(1);
    terminal.send("/model").key(Key::Enter).send("two").key(Key::Enter).send("half a li");
    ready_with(&mut terminal, "Second.", "code-puppy> half a li");
    let screen = terminal.screen();
    let order = ["First.", "code-puppy> /model", "gpt-4o-mini from openai", "code-puppy> two", "Second."].map(|w| screen.find(w));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{screen}");
    assert_eq!(texts(&server.finish()[1], "user"), ["one", "two"]);
}

#[track_caller]
fn ready_with(terminal: &mut crate::support::Terminal, shown: &str, prompt: &str) {
    terminal.wait_until(prompt, |s| s.contains(shown) && s.lines().last().is_some_and(|l| l.trim_end() == prompt));
}
