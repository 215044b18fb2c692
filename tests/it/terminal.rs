//! `pup run` as a person sees it, in a pseudo terminal: text that streams, questions, colours, a narrow window.
#![cfg(unix)]

use crate::support::{Cut, Key, Launch, Reply, Server, Terminal, TestEnv};
use serde_json::json;
use std::time::Duration;

/// In a terminal of 24 lines; a test that hangs fails after half a minute.
fn start(launch: Launch, columns: u16) -> Terminal {
    Terminal::start(launch.limit(Duration::from_secs(30)), 24, columns)
}

/// An edit, a command, an answer.
fn work() -> [Reply; 3] {
    [
        Reply::text("First the file.").and_call("create_file", &json!({"path": "made", "content": "x\n"})),
        Reply::tool_call("shell", json!({"command": "echo y >> made"})),
        Reply::text("Both are done, or not."),
    ]
}

#[test]
fn a_question_is_asked_for_each_effect_and_the_answer_counts() {
    // The answers, the file at the end, and the exit code.
    let rows: [(&[&str], Option<&str>, u32); 5] = [
        (&["y", "y"], Some("x\ny\n"), 0),
        (&["yes", "n"], Some("x\n"), 8),
        (&["n", "n"], None, 8),
        // Always for edits leaves the command to be asked about.
        (&["a", "y"], Some("x\ny\n"), 0),
        // What is no answer is asked again.
        (&["perhaps", "Y", "y"], Some("x\ny\n"), 0),
    ];
    for (answers, file, code) in rows {
        let env = TestEnv::new();
        let server = Server::script(work());
        let mut terminal = start(env.pup().args(["run", "x"]).model_server(&server), 80);
        terminal.wait_for("? allow");
        assert!(terminal.screen().contains("made") && !env.exists("made"), "{}", terminal.screen());
        for (asked, answer) in answers.iter().enumerate() {
            terminal.wait_until("one more question", |screen| screen.matches("? ").count() > asked);
            terminal.send(answer).key(Key::Enter);
        }
        terminal.wait_for("Both are done, or not.");
        assert_eq!(terminal.wait_exit(), code, "{answers:?}\n{}", terminal.screen());
        assert_eq!(env.exists("made").then(|| env.read("made")).as_deref(), file, "{answers:?}");
        let results = server.finish().pop().unwrap().results();
        let denied = results.iter().filter(|r| r.contains("denied")).count();
        assert_eq!(denied, answers.iter().filter(|a| **a == "n").count(), "{results:?}");
    }
}

#[test]
fn always_for_a_command_is_the_last_question() {
    let env = TestEnv::new();
    let command = || Reply::tool_call("shell", json!({"command": "echo y >> made"}));
    let edit = Reply::tool_call("create_file", json!({"path": "other", "content": "x\n"}));
    let server = Server::script([command(), command(), edit, Reply::text("That is all.")]);
    let mut terminal = start(env.pup().args(["run", "x"]).model_server(&server), 80);
    terminal.wait_for("? allow").send("a").key(Key::Enter);
    terminal.wait_for("That is all.");
    assert_eq!(terminal.wait_exit(), 0);
    assert_eq!((env.read("made").as_str(), env.exists("other")), ("y\ny\n", true));
    assert_eq!(terminal.screen().matches("? allow").count(), 1, "{}", terminal.screen());
}

#[test]
fn control_c_at_a_question_and_an_end_of_input_are_no_consent() {
    for (key, code) in [(Key::Ctrl('c'), 130), (Key::Ctrl('d'), 8)] {
        let env = TestEnv::new();
        let server = match key {
            Key::Ctrl('d') => Server::script([Reply::tool_call("shell", json!({"command": "touch made"})), Reply::text("Not done.")]),
            _ => Server::script([Reply::tool_call("shell", json!({"command": "touch made"}))]),
        };
        let mut terminal = start(env.pup().args(["run", "x"]).model_server(&server), 80);
        terminal.wait_for("? allow").key(key);
        assert_eq!(terminal.wait_exit(), code, "{}", terminal.screen());
        assert!(!env.exists("made"));
    }
}

#[test]
fn text_streams_as_it_comes_and_stands_there_once() {
    let env = TestEnv::new();
    let server =
        Server::script([Reply::text("The beginning of it, and much later the rest of it.").delay_each(Duration::from_millis(120))]);
    let mut terminal = start(env.pup().args(["run", "x"]).model_server(&server), 80);
    terminal.wait_until("a beginning without the rest", |screen| screen.contains("The beginning") && !screen.contains("the rest"));
    terminal.wait_for("the rest of it.");
    assert_eq!(terminal.wait_exit(), 0);
    let screen = terminal.screen();
    assert_eq!(screen.matches("The beginning of it, and much later the rest of it.").count(), 1, "{screen}");
    assert!(screen.contains("1 turn, 0 tool calls"), "{screen}");
}

#[test]
fn a_broken_attempt_is_called_void_and_the_answer_follows_whole() {
    let env = TestEnv::new();
    let answer = Reply::text("An answer that is said whole only the second time.");
    let server = Server::script([answer.clone().cut_at(answer.stream_len(0) / 2, Cut::Reset), answer]);
    let mut terminal = start(env.pup().args(["run", "x"]).model_server(&server), 80);
    terminal.wait_for("only the second time.");
    assert_eq!(terminal.wait_exit(), 0);
    let screen = terminal.screen();
    assert!(screen.contains("void") && screen.contains("again in"), "{screen}");
    assert_eq!(screen.matches("An answer that is said whole only the second time.").count(), 1, "{screen}");
}

#[test]
fn a_wait_is_counted_down_in_its_line() {
    let env = TestEnv::new();
    let server =
        Server::script([Reply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "4"), Reply::text("After the wait.")]);
    let mut terminal = start(env.pup().args(["run", "x"]).model_server(&server), 80);
    terminal.wait_for("again in 4 s").wait_for("again in 2 s");
    terminal.wait_until("one line of it", |screen| screen.matches("again in").count() == 1);
    terminal.wait_for("After the wait.");
    assert_eq!(terminal.wait_exit(), 0);
    let screen = terminal.screen();
    assert_eq!(screen.matches("again in").count(), 1, "{screen}");
    assert!(screen.contains("slow down"), "what stands above it stays: {screen}");
}

#[test]
fn a_narrow_window_loses_nothing() {
    let env = TestEnv::new();
    let long = "A sentence that is a good deal longer than the forty columns of this window.";
    let server = Server::script([
        Reply::tool_call("shell", json!({"command": "echo a command with a long line that will not fit either; touch made"})),
        Reply::text(long),
    ]);
    let mut terminal = start(env.pup().args(["run", "x"]).model_server(&server), 40);
    terminal.wait_for("? allow").wait_for("lways").send("y").key(Key::Enter);
    terminal.wait_for("this window.");
    assert_eq!(terminal.wait_exit(), 0);
    assert!(env.exists("made"));
    let joined: String = terminal.screen().lines().collect();
    assert!(joined.replace(' ', "").contains(&long.replace(' ', "")), "{}", terminal.screen());
}

type Change = fn(Launch) -> Launch;

#[test]
fn colour_is_for_terminals_that_want_it() {
    let colour = |screen: &[u8]| screen.windows(2).any(|w| w == b"\x1b[");
    let rows: [(&str, Change, bool); 5] = [
        ("a terminal", |l| l, true),
        ("NO_COLOR", |l| l.env("NO_COLOR", "1"), false),
        ("an empty NO_COLOR", |l| l.env("NO_COLOR", ""), true),
        ("--no-color", |l| l.arg("--no-color"), false),
        ("TERM=dumb", |l| l.env("TERM", "dumb"), false),
    ];
    for (name, change, wanted) in rows {
        let env = TestEnv::new();
        let server = Server::script([
            Reply::tool_call("shell", json!({"command": "printf '\\033[35mviolet\\033[0m\\n'"})),
            Reply::text("And \u{1b}[31mthis\u{1b}[2J stays here."),
        ]);
        let mut terminal = start(change(env.pup().args(["run", "--yolo", "x"]).model_server(&server)), 80);
        terminal.wait_for("stays here.");
        assert_eq!(terminal.wait_exit(), 0, "{name}");
        let raw = terminal.raw();
        assert_eq!(colour(&raw), wanted, "{name}\n{}", String::from_utf8_lossy(&raw));
        for foreign in ["\x1b[35m", "\x1b[31mthis", "\x1b[2J"] {
            assert!(!String::from_utf8_lossy(&raw).contains(foreign), "{name}: {foreign:?} came through");
        }
        assert!(terminal.screen().contains("violet"), "{name}\n{}", terminal.screen());
    }
}

#[test]
fn json_stays_json_at_a_terminal_and_quiet_shows_the_answer_alone() {
    let env = TestEnv::new();
    let server =
        Server::respond(
            |request| if request.turn() == 0 { Reply::tool_call("list_files", json!({"path": "."})) } else { Reply::text("Here.") },
        );
    let mut terminal = start(env.pup().args(["run", "--quiet", "x"]).model_server(&server), 80);
    terminal.wait_for("Here.");
    assert_eq!((terminal.wait_exit(), terminal.screen().as_str()), (0, "Here."));
    let mut terminal = start(env.pup().args(["run", "--output", "json", "x"]).model_server(&server), 2000);
    terminal.wait_for("duration_ms");
    assert_eq!(terminal.wait_exit(), 0);
    let screen = terminal.screen();
    let result: serde_json::Value = serde_json::from_str(&screen).unwrap_or_else(|e| panic!("{e}: {screen}"));
    assert_eq!(result["text"], "Here.");
}
