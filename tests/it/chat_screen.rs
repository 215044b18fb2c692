//! What the chat puts on the screen and takes from the keys: wide and narrow windows, terminals without escape codes,
//! pasted and continued lines, completion, what is remembered.
#![cfg(unix)]

use crate::chat::{launch, open, ready, say};
use crate::support::{Key, Reply, Request, Server, Terminal, TestEnv};
use regex::Regex;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// The screen without what differs from run to run.
fn shown(terminal: &Terminal) -> String {
    let screen = terminal.screen();
    let screen = Regex::new(r"\d+\.\d s").unwrap().replace_all(&screen, "0.0 s").into_owned();
    let screen = Regex::new(r"\d{8}-\d{6}-[0-9a-f]{6}").unwrap().replace_all(&screen, "DAY-TIME-SESSION").into_owned();
    screen.replace(concat!("pup ", env!("CARGO_PKG_VERSION")), "pup VERSION")
}

fn prompt(request: &Request) -> String {
    request.messages().iter().rfind(|m| m["role"] == "user").unwrap()["content"].as_str().unwrap().to_owned()
}

/// An edit that is asked about, a command that is not allowed, and an answer.
fn work() -> [Reply; 4] {
    [
        Reply::text("First the file.").and_call("create_file", &json!({"path": "notes.txt", "content": "one\nzwei ü 漢字\n"})),
        Reply::tool_call("shell", json!({"command": "git push --force origin main"})),
        Reply::text("The file is made; nothing was pushed.").usage(1234, 56),
        Reply::text("It is a plan."),
    ]
}

fn session(columns: u16) -> Terminal {
    let env = TestEnv::new();
    let server = Server::script(work());
    let mut terminal = open(launch(&env, &server), columns);
    terminal.send("make notes and push").key(Key::Enter).wait_for("ways>").send("y").key(Key::Enter);
    terminal.wait_until("the second question", |s| s.matches("ways>").count() == 2 && s.ends_with("ways>")).send("n").key(Key::Enter);
    ready(&mut terminal, "code-puppy", "nothing was pushed.");
    say(&mut terminal, "/agnt planning", "blank");
    terminal.send("/agent planning").key(Key::Enter);
    ready(&mut terminal, "planning", "goes on with the");
    terminal.send("a plan, please").key(Key::Enter);
    ready(&mut terminal, "planning", "It is a plan.");
    terminal.send("/cost").key(Key::Enter);
    ready(&mut terminal, "planning", "total");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    server.finish();
    terminal
}

#[test]
fn a_session_at_80_columns() {
    insta::assert_snapshot!(shown(&session(80)), @r"
    pup VERSION: code-puppy on gpt-4o-mini
    /help lists the commands. Ctrl-C stops a turn, Ctrl-D leaves.
    code-puppy> make notes and push
    First the file.
    > create_file: notes.txt (2 lines)
      @@ -0,0 +1,2 @@
      +one
      +zwei ü 漢字
    ? allow create_file: notes.txt (2 lines)
    [y]es [n]o [a]lways> y
      +2 -0
    > shell: git push --force origin main
    ? allow shell: git push --force origin main
    [y]es [n]o [a]lways> n
      denied
    The file is made; nothing was pushed.
    1434 tokens in, 89 out, $0.0003, 0.0 s
    code-puppy> /agnt planning
    there is no command /agnt
    did you mean /agent? (a line that is meant for the model can begin with a blank)
    code-puppy> /agent planning
    planning goes on with the conversation, on gpt-4o-mini
    planning> a plan, please
    It is a plan.
    100 tokens in, 4 out, $0.0000, 0.0 s
    planning> /cost
                          tokens US dollars
    uncached input         1,534     0.0002
    cache read                 -          -
    cache write                -          -
    output                    93     0.0001
    total                  1,627     0.0003
    planning>
    session DAY-TIME-SESSION; to go on with it: pup, then /resume last
    ");
}

#[test]
fn a_session_at_40_columns() {
    insta::assert_snapshot!(shown(&session(40)), @r"
    /help lists the commands. Ctrl-C stops a
    turn, Ctrl-D leaves.
    code-puppy> make notes and push
    First the file.
    > create_file: notes.txt (2 lines)
      @@ -0,0 +1,2 @@
      +one
      +zwei ü 漢字
    ? allow create_file: notes.txt (2 lines)
    [y]es [n]o [a]lways> y
      +2 -0
    > shell: git push --force origin main
    ? allow shell: git push --force origin main
    [y]es [n]o [a]lways> n
      denied
    The file is made; nothing was pushed.
    1434 tokens in, 89 out, $0.0003, 0.0 s
    code-puppy> /agnt planning
    there is no command /agnt
    did you mean /agent? (a line that is
    meant for the model can begin with a
    blank)
    code-puppy> /agent planning
    planning goes on with the conversation,
    on gpt-4o-mini
    planning> a plan, please
    It is a plan.
    100 tokens in, 4 out, $0.0000, 0.0 s
    planning> /cost
                          tokens US dollars
    uncached input         1,534     0.0002
    cache read                 -          -
    cache write                -          -
    output                    93     0.0001
    total                  1,627     0.0003
    planning>
    session DAY-TIME-SESSION; to go on
    with it: pup, then /resume last
    ");
}

#[test]
fn help_and_agents_fit_the_window() {
    for columns in [40, 80] {
        let env = TestEnv::new();
        let server = Server::script([]);
        let mut terminal = Terminal::start(launch(&env, &server).limit(Duration::from_secs(30)), 160, columns);
        ready(&mut terminal, "code-puppy", "Ctrl-D");
        say(&mut terminal, "/help", "The same as /exit");
        say(&mut terminal, "/agent", "LIBRARIAN");
        let screen = terminal.screen();
        assert!(screen.contains("* code-puppy") && screen.contains("  planning"), "{screen}");
        // No word is cut by the edge: the lines that were broken were broken at blanks.
        let words: Vec<&str> = screen.split_whitespace().collect();
        for word in ["conversation", "repository", "reviewer", "commit-message-generator"] {
            assert!(words.iter().any(|w| w.contains(word)), "{word} at {columns}\n{screen}");
        }
        assert!(screen.lines().all(|l| l.chars().count() <= usize::from(columns)));
    }
}

#[test]
fn a_terminal_without_escape_codes_gets_none() {
    for term in ["dumb", ""] {
        let env = TestEnv::new();
        let server = Server::script(work());
        let mut terminal = open(launch(&env, &server).env("TERM", term), 80);
        terminal.send("make notes and push").key(Key::Enter).wait_for("ways>").send("y").key(Key::Enter);
        terminal.wait_until("the second question", |s| s.matches("ways>").count() == 2).send("n").key(Key::Enter);
        ready(&mut terminal, "code-puppy", "nothing was pushed.");
        // Ctrl-C takes back what is typed, and says how to leave.
        terminal.send("half a li").wait_for("half a li").key(Key::Ctrl('c'));
        ready(&mut terminal, "code-puppy", "/exit leaves");
        terminal.send("first \\").key(Key::Enter).wait_for("...").send("second").key(Key::Enter);
        ready(&mut terminal, "code-puppy", "It is a plan.");
        terminal.key(Key::Ctrl('d'));
        assert_eq!(terminal.wait_exit(), 0, "{}", terminal.screen());
        let raw = terminal.raw();
        assert!(!raw.contains(&0x1b), "{}", String::from_utf8_lossy(&raw).escape_debug());
        assert_eq!(prompt(server.finish().last().unwrap()), "first \nsecond");
        assert!(env.exists("notes.txt"));
    }
}

#[test]
fn control_c_stops_a_turn_on_a_terminal_without_escape_codes_too() {
    let env = TestEnv::new();
    let server = Server::script([
        Reply::text("Half of it").stall_after(3),
        Reply::tool_call("shell", json!({"command": "touch made"})),
        Reply::text("Still here."),
    ]);
    let mut terminal = open(launch(&env, &server).env("TERM", "dumb"), 80);
    terminal.send("one").key(Key::Enter).wait_for("Half").key(Key::Ctrl('c'));
    ready(&mut terminal, "code-puppy", "stopped.");
    // A question that nobody answered leaves its reader behind; the next line goes to the prompt all the same.
    terminal.send("two").key(Key::Enter).wait_for("ways>").key(Key::Ctrl('c'));
    terminal.wait_until("the prompt again", |s| s.matches("stopped.").count() == 2 && s.ends_with("code-puppy>"));
    terminal.send("y").key(Key::Enter);
    ready(&mut terminal, "code-puppy", "Still here.");
    assert!(!env.exists("made"));
    assert_eq!(prompt(server.finish().last().unwrap()), "y");
}

#[test]
fn colour_is_for_those_who_want_it() {
    let colour = Regex::new("\x1b\\[[0-9;]+m").unwrap();
    for (env_name, arg) in [(Some("NO_COLOR"), None), (None, Some("--no-color"))] {
        let env = TestEnv::new();
        let server = Server::script([Reply::text("No colours here.")]);
        let mut launch = launch(&env, &server);
        if let Some(name) = env_name {
            launch = launch.env(name, "1");
        }
        let mut terminal = open(launch.args(arg), 80);
        say(&mut terminal, "one", "No colours here.");
        terminal.key(Key::Ctrl('d'));
        assert_eq!(terminal.wait_exit(), 0);
        let raw = String::from_utf8_lossy(&terminal.raw()).into_owned();
        assert!(!colour.is_match(&raw), "{}", raw.escape_debug());
        server.finish();
    }
    let env = TestEnv::new();
    let server = Server::script([]);
    let terminal = open(launch(&env, &server), 80);
    assert!(String::from_utf8_lossy(&terminal.raw()).contains("\x1b[1m"));
}

#[test]
fn a_line_goes_on_behind_a_backslash_and_in_a_code_block() {
    let env = TestEnv::new();
    let server = Server::respond(|r| Reply::text(format!("Answer {}.", r.messages().len())));
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("one \\").key(Key::Enter).send("two");
    say(&mut terminal, "", "Answer 2.");
    terminal
        .send("look:")
        .key(Key::Escape)
        .send("\r")
        .send("```rust")
        .key(Key::Enter)
        .send("let x = \\")
        .key(Key::Enter)
        .send("1;")
        .key(Key::Enter);
    say(&mut terminal, "```", "Answer 4.");
    let requests = server.finish();
    assert_eq!(prompt(&requests[0]), "one \ntwo");
    assert_eq!(prompt(&requests[1]), "look:\n```rust\nlet x = \\\n1;\n```");
}

#[test]
fn a_paste_of_several_lines_is_one_prompt_where_the_terminal_marks_it() {
    let env = TestEnv::new();
    let server = Server::respond(|r| Reply::text(format!("Answer {}.", r.messages().len())));
    let mut terminal = open(launch(&env, &server), 40);
    let pasted = "fn main() {\n\tprintln!(\"a \\\\ b\");\n}\nmake x \\\n  y";
    terminal.send(&format!("\x1b[200~{pasted}\x1b[201~"));
    say(&mut terminal, "", "Answer 2.");
    // Without the marks each line is a prompt of its own, and none is lost.
    terminal.send("first\rsecond\rthird\r");
    ready(&mut terminal, "code-puppy", "Answer 8.");
    let requests = server.finish();
    assert_eq!(prompt(&requests[0]), pasted);
    assert_eq!(requests[1..].iter().map(prompt).collect::<Vec<_>>(), ["first", "second", "third"]);
}

#[test]
fn what_is_typed_ahead_waits_for_the_prompt_and_is_not_in_the_answer() {
    let env = TestEnv::new();
    let server = Server::script([
        Reply::text("A slow answer that takes its time to come.").delay_each(Duration::from_millis(150)),
        Reply::text("Heard you."),
    ]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("one").key(Key::Enter).wait_for("A slow").send("typed ahead");
    ready_with(&mut terminal, "code-puppy> typed ahead");
    assert!(terminal.screen().contains("A slow answer that takes its time to come.\n"), "{}", terminal.screen());
    say(&mut terminal, "!", "Heard you.");
    assert_eq!(prompt(server.finish().last().unwrap()), "typed ahead!");
}

#[track_caller]
fn ready_with(terminal: &mut Terminal, line: &str) {
    terminal.wait_until(line, |s| s.lines().last() == Some(line));
}

#[test]
fn wide_characters_long_lines_and_a_changed_window_lose_nothing() {
    let env = TestEnv::new();
    let server = Server::respond(|r| Reply::text(format!("Answer {}.", r.messages().len())));
    let mut terminal = open(launch(&env, &server), 40);
    let typed = "漢字とひらがな ".repeat(12) + "ü 🐶 end";
    terminal.send(&typed).wait_for("end");
    terminal.key(Key::Left).key(Key::Left).key(Key::Left).send("the ");
    terminal.resize(40, 57);
    terminal.send("very ").wait_for("the very end");
    say(&mut terminal, "", "Answer 2.");
    let long = "word ".repeat(300) + "last";
    terminal.send(&long).wait_for("last");
    say(&mut terminal, "", "Answer 4.");
    let requests = server.finish();
    assert_eq!(prompt(&requests[0]), typed.replace("end", "the very end"));
    assert_eq!(prompt(&requests[1]), long);
}

#[test]
fn tab_completes_commands_and_names() {
    let env = TestEnv::new();
    let server = Server::script([]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("/ag").key(Key::Tab);
    ready_with(&mut terminal, "code-puppy> /agent");
    terminal.send("plan").key(Key::Tab);
    ready_with(&mut terminal, "code-puppy> /agent planning");
    terminal.key(Key::Enter);
    ready(&mut terminal, "planning", "goes on");
    // Several: all of them are shown.
    terminal.send("/agent golang").key(Key::Tab).wait_for("golang-programmer").wait_for("golang-reviewer");
    terminal.key(Key::Ctrl('c'));
    terminal.send("/model gpt-4o-m").key(Key::Tab).wait_for("/model gpt-4o-mini");
}

#[test]
fn control_c_at_the_prompt_empties_the_line_and_then_says_how_to_leave() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("One.")]);
    let mut terminal = open(launch(&env, &server), 80);
    terminal.send("half a line").wait_for("half a line").key(Key::Ctrl('c'));
    ready_with(&mut terminal, "code-puppy>");
    assert!(!terminal.screen().contains("/exit leaves"));
    terminal.key(Key::Ctrl('c')).wait_for("/exit leaves");
    say(&mut terminal, "one", "One.");
    assert_eq!(prompt(&server.finish()[0]), "one");
}

#[test]
fn lines_are_remembered_for_the_owner_alone_and_without_secrets() {
    let env = TestEnv::new();
    let server = Server::respond(|_| Reply::text("An answer."));
    let secret = "sk-live-0123456789abcdefghij";
    let start = || open(launch(&env, &server).env("SOME_API_KEY", secret), 80);
    let mut terminal = start();
    say(&mut terminal, &format!("use {secret} please"), "An answer.");
    say(&mut terminal, "the line to recall", "An answer.");
    say(&mut terminal, " not to be kept", "An answer.");
    terminal.key(Key::Ctrl('d'));
    assert_eq!(terminal.wait_exit(), 0);
    let path = env.pup_home().join("state/chat-history");
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains("the line to recall") && !kept.contains("not to be kept") && !kept.contains(secret), "{kept}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let mut terminal = start();
    terminal.key(Key::Up);
    ready_with(&mut terminal, "code-puppy> the line to recall");
    drop(terminal);
    // One that cannot be read is told, and nothing is lost but the memory.
    std::fs::write(&path, b"\xff\xfe").unwrap();
    let mut terminal = start();
    assert!(terminal.screen().contains("is not remembered"), "{}", terminal.screen());
    say(&mut terminal, "one", "An answer.");
    server.finish();
}

#[test]
fn what_happens_is_logged_into_a_file_and_not_onto_the_screen() {
    let env = TestEnv::new();
    let server = Server::script([Reply::text("Logged.")]);
    let mut terminal = open(launch(&env, &server).arg("-v"), 80);
    say(&mut terminal, "one", "Logged.");
    let log = std::fs::read_to_string(env.pup_home().join("state/logs/chat.log")).unwrap();
    assert!(log.contains("sending") && !log.contains("test-key-not-a-secret"), "{log}");
    assert!(terminal.screen().contains("chat.log") && !terminal.screen().contains("sending"), "{}", terminal.screen());
    server.finish();
}
