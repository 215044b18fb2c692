//! Commands as the built program runs them: whatever they do to get away, a call returns in bounded time and nothing is left; long
//! output is on the disk and can be read; what runs in the background is shown, waited for, stopped, and ends with its session.
#![cfg(target_os = "linux")]

use crate::resume::{entries, kill_with_supervisors, session, survivors};
use crate::support::{Launch, Reply, Server, TestEnv};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Longer than any call here may take, with its time-out of two seconds.
const BOUND: Duration = Duration::from_secs(40);

fn tool(env: &TestEnv, name: &str, args: &Value) -> Launch {
    env.pup().args(["debug", "tool", name, "--approve", "all", &args.to_string()]).limit(BOUND)
}

/// A number of seconds to sleep that no other process on this machine has in its arguments.
fn nap() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("3000.{}{n:04}", std::process::id())
}

/// Processes that have `mark` in their arguments, or still run in `folder`.
fn left(mark: &str, folder: &std::path::Path) -> Vec<String> {
    let me = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|e| e.path()).filter(|p| !p.ends_with(&me));
    let shown = processes.filter_map(|p| {
        let stat = fs::read_to_string(p.join("stat")).ok()?;
        let line = String::from_utf8_lossy(&fs::read(p.join("cmdline")).ok()?).replace('\0', " ");
        let here = fs::read_link(p.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        ((line.contains(mark) || here) && !stat.contains(") Z")).then_some(line)
    });
    shown.collect()
}

/// Name, command (`NAP` is a sleep that nobody may find later), and what the output must contain.
const ESCAPES: &[(&str, &str, &str)] = &[
    ("double fork", "( ( setsid sleep NAP & ) & ); echo out", "out"),
    ("setsid", "setsid -f sleep NAP; echo out", "out"),
    ("nohup", "nohup sleep NAP >/dev/null 2>&1 & echo out", "out"),
    ("background", "sleep NAP & echo out", "out"),
    ("held pipe", "setsid sleep NAP & disown; echo out", "out"),
    ("deaf to signals", "trap '' TERM INT HUP QUIT; setsid sh -c 'trap \"\" TERM HUP; while :; do sleep NAP; done' & echo out", "out"),
    ("deaf shell", "trap '' TERM INT HUP; echo out; while :; do sleep NAP; done", "timed out after 2 s"),
    ("stopped", "sh -c 'kill -STOP $$; sleep NAP' & sleep NAP & echo out", "out"),
    ("itself stopped", "kill -STOP $$; echo never", "timed out"),
    ("no environment", "env -i setsid -f sleep NAP; echo out", "out"),
    ("no environment, forked twice", "( ( env -i setsid sh -c 'sleep NAP & exec sleep NAP' & ) & ); echo out", "out"),
    ("fork storm", "f() { sleep 0.01; ( f & ); exec sleep NAP; }; for i in 1 2 3 4 5; do ( f & ); done; sleep 0.3; echo out", "out"),
    ("exec", "exec setsid sleep NAP", "timed out"),
    ("exec itself", "exec sleep NAP", "timed out"),
    ("trap on exit", "trap 'setsid sleep NAP & echo trapped' EXIT; echo out", "trapped"),
    ("trap on TERM that forks", "trap 'setsid sleep NAP & sleep NAP' TERM; echo out; sleep NAP", "timed out"),
    ("coprocess", "coproc sleep NAP; echo out", "out"),
    ("process substitution", "echo out > >(cat; sleep NAP)", "out"),
    ("a pipeline that goes on", "sleep NAP | cat & echo out", "out"),
    ("closed output", "exec >&- 2>&-; sleep 0.1; setsid sleep NAP &", ""),
    ("closed everything, goes on", "exec >&- 2>&- <&-; sleep NAP", "timed out"),
    ("read", "read -r line; echo \"[$line]\"; sleep NAP & ", "[]"),
    ("cat", "cat; echo out", "out"),
    ("a program that asks", "read -rp 'Proceed? [y/N] ' x || echo no-input", "no-input"),
    ("opens the terminal", "cat </dev/tty || echo no-terminal", "no-terminal"),
    ("renamed", "exec -a innocent sleep NAP & (exec -a '(x) Z 1 ' sleep NAP) & sleep 0.2; echo out", "out"),
    ("at and batch by hand", "sh -c 'trap \"\" HUP; (sleep 0.1; exec sleep NAP) &' ; echo out", "out"),
    ("named pipe without a reader", "mkfifo p; echo x > p", "timed out"),
    ("wait for nothing", "sleep NAP & wait", "timed out"),
    ("kills its group", "sleep NAP & kill -9 0", "killed by signal 9"),
    ("kills itself", "setsid sleep NAP & kill -9 $$", "killed by signal 9"),
    ("stops its parent and lets it go on", "kill -STOP $PPID & sleep 0.1; kill -CONT $PPID; echo out", "out"),
    ("stops its parent", "kill -STOP $PPID; sleep NAP & echo out", "out"),
    ("stops its parent over and over", "(while :; do kill -STOP $PPID; sleep 0.05; done) & sleep 0.2; echo out", "out"),
    ("stops its parent from another session", "setsid sh -c \"kill -STOP $PPID; sleep NAP\" & sleep NAP", "timed out"),
    ("kills its parent", "kill -9 $PPID; setsid sleep NAP & sleep NAP", "killed by signal 9"),
    ("ends its parent", "kill $PPID; trap '' TERM; sleep NAP", "killed by signal 15"),
    ("a mark of its own, forked twice", "( ( PUP_CALL=mine setsid sleep NAP & ) & ); sleep 0.2; echo out", "out"),
];

#[test]
fn whatever_a_command_does_to_get_away_the_call_returns_and_nothing_is_left() {
    for (name, command, wanted) in ESCAPES {
        let env = TestEnv::new();
        let mark = nap();
        let began = Instant::now();
        let out = tool(&env, "shell", &json!({"command": command.replace("NAP", &mark), "timeout_s": 2})).run().expect_code(0);
        let took = began.elapsed();
        let text = out.json()["output"].as_str().unwrap().to_owned();
        assert!(text.contains(wanted), "{name}: {text}");
        assert!(took < Duration::from_secs(20), "{name}: {took:?}");
        assert_eq!(left(&mark, &env.project()), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn output_of_any_kind_is_bounded_clean_and_counted() {
    let rows: &[(&str, &str)] = &[
        ("printf 'no newline'", "no newline"),
        ("printf ''", "(no output)"),
        ("printf 'a\\0b\\n'", "ab\n"),
        ("printf '\\033[1;31mred\\033[0m \\033]0;title\\007x\\n'", "red x\n"),
        ("printf '10%%\\r50%%\\r100%%\\n'", "100%\n"),
        ("printf 'one\\r\\ntwo\\r\\n'", "one\ntwo\n"),
        ("printf '\\xff\\xfe\\x80\\n'", "\u{fffd}\u{fffd}\u{fffd}\n"),
        ("echo out; echo err >&2; echo out", "out\nerr\nout\n"),
        ("exit 7", "[exit 7]"),
        ("kill -SEGV $$", "[killed by signal 11]"),
        ("kill -PIPE $$", "[killed by signal 13]"),
        ("exit 141", "[exit 141]"),
        ("nosuchprogram-x 2>/dev/null", "[exit 127]"),
        ("printf 'x\\n'; exec 1>&-; echo lost 2>/dev/null", "x\n[exit 1]"),
    ];
    let env = TestEnv::new();
    for (command, wanted) in rows {
        let out = tool(&env, "shell", &json!({ "command": command })).run().expect_code(0);
        assert_eq!(out.json()["output"], *wanted, "{command}");
    }
    // A character that a reader's buffer cuts in two, one endless line, and a great deal of output.
    let cases = [
        ("yes '\u{e9}\u{1f436}' | tr -d '\\n' | head -c 2000000", 2_000_000),
        ("head -c 3000000 /dev/zero | tr '\\0' x", 3_000_000),
        ("yes 0123456789abcdef | head -c 60000000", 60_000_000),
        ("head -c 5000000 /dev/urandom", 0),
    ];
    for (command, bytes) in cases {
        let out = tool(&env, "shell", &json!({ "command": command })).run().expect_code(0);
        let text = out.json()["output"].as_str().unwrap().to_owned();
        assert!(text.len() < 120_000 && text.contains(" cut ...]"), "{command}: {}", text.len());
        assert!(bytes == 0 || !text.trim_matches('\u{fffd}').contains('\u{fffd}') || text.matches('\u{fffd}').count() <= 4, "{command}");
    }
}

#[test]
fn a_terminal_on_request_and_nobody_at_it() {
    let env = TestEnv::new();
    let rows: &[(&str, &str)] = &[
        ("test -t 0 && test -t 1 && test -t 2 && echo terminal; stty size", "terminal\n24 80\n"),
        ("tty | cut -c1-9; cat; read -r x || echo end; echo more; cat", "/dev/pts/\nend\nmore\n"),
        ("echo controlling > /dev/tty", "controlling\n"),
        ("printf '\\033[31mred\\033[0m\\n'; exit 3", "red\n[exit 3]"),
    ];
    for (command, wanted) in rows {
        let out = tool(&env, "shell", &json!({"command": command, "tty": true, "timeout_s": 10})).run().expect_code(0);
        assert_eq!(out.json()["output"], *wanted, "{command}");
    }
    let mark = nap();
    for command in ["setsid sleep NAP & sleep NAP & echo out", "nohup sleep NAP & exec sleep NAP", "stty raw; cat"] {
        let args = json!({"command": command.replace("NAP", &mark), "tty": true, "timeout_s": 1});
        tool(&env, "shell", &args).run().expect_code(0);
        assert_eq!(left(&mark, &env.project()), Vec::<String>::new(), "{command}");
    }
}

#[test]
fn the_folder_is_looked_at_before_anything_runs() {
    let env = TestEnv::new();
    env.write("file", "x");
    for (cwd, why) in [("gone", "does not exist"), ("file", "is not a folder"), ("file/x", ""), ("../..", "")] {
        let out = tool(&env, "shell", &json!({"command": "touch ran", "cwd": cwd})).run().expect_code(1);
        let error = out.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(why) && !env.exists("ran"), "{cwd}: {error}");
    }
}

#[test]
fn a_signal_to_a_tool_ends_its_command() {
    for signal in [Signal::TERM, Signal::INT] {
        let env = TestEnv::new();
        let mark = nap();
        let command = format!("setsid sleep {mark} & touch ready; sleep {mark}");
        let running = tool(&env, "shell", &json!({ "command": command })).spawn();
        wait_for(|| env.exists("ready"));
        running.signal(signal);
        running.wait();
        assert_eq!(left(&mark, &env.project()), Vec::<String>::new());
    }
}

fn wait_for(there: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !there() {
        assert!(Instant::now() < until, "it did not come in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn shell(args: Value) -> Reply {
    Reply::tool_call("shell", args)
}

fn agent(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--yolo", "--output", "json", "do it"]).model_server(server).limit(BOUND)
}

/// The results of tools that the model was sent, in order.
fn results(server: Server) -> Vec<String> {
    let requests = server.finish();
    let last = requests.last().unwrap();
    let messages = last.body["messages"].as_array().unwrap().clone();
    messages.iter().filter(|m| m["role"] == "tool").map(|m| m["content"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_whole_of_a_long_output_can_be_read_and_searched() {
    let env = TestEnv::new();
    let server = Server::script([
        shell(json!({"command": "echo short"})),
        shell(json!({"command": "seq 1 50000; echo OPENAI_API_KEY=$OPENAI_API_KEY token=canary-0123456789-abc"})),
        Reply::tool_call("read_file", json!({"path": "log:2", "start_line": 25000, "num_lines": 3})),
        Reply::tool_call("grep", json!({"pattern": "^4999[89]$", "path": "log:2"})),
        Reply::tool_call("read_file", json!({"path": "log:2", "start_line": 50001})),
        Reply::tool_call("read_file", json!({"path": "log:1"})),
        Reply::text("Done."),
    ]);
    agent(&env, &server).run().expect_code(0);
    let results = results(server);
    assert!(results[1].contains("under the path log:2"), "{}", results[1]);
    assert_eq!(results[2], "[lines 25000-25002 of 50001]\n25000\n25001\n25002\n");
    assert!(results[3].contains("49998") && results[3].contains("49999"), "{}", results[3]);
    assert!(!results[4].contains("canary") && results[4].contains("[redacted:"), "{}", results[4]);
    assert!(results[5].contains("there is no log:1"), "what was shown whole needs no log: {}", results[5]);
    let log = session(&env).unwrap().join("commands/2.log");
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.lines().count() == 50_001 && !text.contains("canary"));
}

#[test]
fn background_commands_are_listed_shown_waited_for_and_stopped() {
    let env = TestEnv::new();
    let mark = nap();
    let server = Server::script([
        shell(json!({"command": format!("echo up; trap 'echo down; exit 0' TERM; sleep {mark} & wait"), "background": true})),
        shell(json!({"command": "sleep 0.8; echo finished; exit 4", "background": true})),
        shell(json!({"command": "exit 9", "background": true})),
        Reply::tool_call("job", json!({"id": 2, "wait_s": 20})),
        Reply::tool_call("job", json!({})),
        Reply::tool_call("job", json!({"id": 1, "stop": true})),
        Reply::tool_call("job", json!({"id": 7})),
        Reply::text("Done."),
    ]);
    agent(&env, &server).run().expect_code(0);
    let requests = server.requests();
    let offered = |n: usize| requests[n].body["tools"].as_array().unwrap().iter().any(|t| t["function"]["name"] == "job");
    assert!(!offered(0) && offered(1), "the tool is offered once it is of use");
    let results = results(server);
    assert!(results[0].starts_with("up\n[job 1: running"), "{}", results[0]);
    assert!(results[1].starts_with("[job 2: running"), "{}", results[1]);
    assert!(results[2].starts_with("[job 3: exit 9"), "{}", results[2]);
    assert_eq!(results[3], "finished\n[job 2: exit 4]");
    assert!(results[4].contains("1: running") && results[4].contains("2: exit 4: sleep 0.8"), "{}", results[4]);
    assert!(results[5].contains("down") && results[5].contains("[job 1: stopped]"), "{}", results[5]);
    assert!(results[6].contains("no command 7 is in the background"), "{}", results[6]);
    assert_eq!(left(&mark, &env.project()), Vec::<String>::new());
    let spawned = entries(&env).iter().filter(|e| e["kind"] == "spawned").count();
    assert_eq!(spawned, 3, "each is journalled");
}

#[test]
fn no_background_command_survives_its_session() {
    let env = TestEnv::new();
    let mark = nap();
    let command =
        format!("( trap '' TERM; setsid sh -c 'trap \"\" TERM; while :; do sleep {mark}; done' & ); setsid sleep {mark} & sleep {mark}");
    let server = Server::script([shell(json!({"command": command, "background": true})), Reply::text("Done.")]);
    let out = agent(&env, &server).run().expect_code(0);
    assert!(out.json()["notes"].to_string().contains("ended with the session"), "{}", out.report());
    assert_eq!(left(&mark, &env.project()), Vec::<String>::new());
    server.finish();

    // Without a session, too.
    let server = Server::script([shell(json!({"command": command, "background": true})), Reply::text("Done.")]);
    agent(&env, &server).arg("--no-session").run().expect_code(0);
    assert_eq!(left(&mark, &env.project()), Vec::<String>::new());
    server.finish();
    tool(&env, "shell", &json!({"command": command, "background": true})).run().expect_code(0);
    assert_eq!(left(&mark, &env.project()), Vec::<String>::new());
}

/// However it was called, a command ends with its pup, also where that is killed and nobody goes on.
#[test]
fn a_killed_pups_commands_end_with_it() {
    let patient = "trap '' TERM HUP; while :; do sleep NAP; done";
    let strays = "setsid sleep NAP & (nohup sleep NAP &) ; env -i sleep NAP & python3 -c 'import time; time.sleep(NAP)' & wait";
    for (command, more) in [
        (patient, json!({})),
        (strays, json!({})),
        (patient, json!({"background": true})),
        (strays, json!({"background": true})),
        (patient, json!({"tty": true})),
        (strays, json!({"tty": true})),
    ] {
        let env = TestEnv::new();
        let mark = nap();
        let mut args = json!({"command": format!("touch ready; {}", command.replace("NAP", &mark))});
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let server = Server::respond(move |request| match request.turn() {
            0 => shell(args.clone()),
            _ => Reply::text("never heard").stall_after(3),
        });
        let running = agent(&env, &server).spawn();
        let (started, wanted) = (Instant::now(), if command == patient { 2 } else { 5 });
        while !env.exists("ready") || left(&mark, &env.project()).len() < wanted {
            assert!(started.elapsed() < BOUND / 2, "{command} {more}: {} {:?}", env.exists("ready"), left(&mark, &env.project()));
            std::thread::sleep(Duration::from_millis(10));
        }
        running.signal(Signal::KILL);
        running.wait();
        let killed = Instant::now();
        while !left(&mark, &env.project()).is_empty() {
            assert!(killed.elapsed() < BOUND, "{more}: {:?}", left(&mark, &env.project()));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_killed_pups_background_commands_are_ended_at_the_next_resume() {
    let env = TestEnv::new();
    let mark = nap();
    let command = format!("setsid sleep {mark} & env -i sleep {mark} & touch ready; sleep {mark}");
    let server = Server::respond(move |request| match request.turn() {
        0 => shell(json!({"command": command, "background": true})),
        1 => Reply::text("never heard").stall_after(3),
        _ => Reply::text("Done."),
    });
    let running = agent(&env, &server).spawn();
    server.wait_for(2);
    kill_with_supervisors(&env, running);
    assert!(env.exists("ready") && !survivors(&env).is_empty(), "without its supervisor the command outlives its pup");
    let server = Server::script([Reply::text("Done.")]);
    let out = env.pup().args(["run", "--yolo", "--resume", "last", "go on"]).model_server(&server).limit(BOUND).run().expect_code(0);
    assert!(out.stderr.contains("stopped what the killed run had left running"), "{}", out.report());
    assert_eq!(left(&mark, &env.project()), Vec::<String>::new());
}

#[test]
fn what_a_background_command_changes_is_undone_as_a_step_of_its_own() {
    let env = TestEnv::new();
    env.write("mine", "mine\n");
    env.write("watched", "0\n");
    // It goes on changing files after its call, beside an edit, and until the session ends. An answer comes only when it has
    // written once more: between two calls there is a change, however slow the machine is.
    let watched = env.project().join("watched");
    let server = Server::respond(move |request| {
        let read = || fs::read_to_string(&watched).unwrap();
        let (before, start) = (read(), Instant::now());
        while request.turn() > 0 && read() == before && start.elapsed() < BOUND {
            std::thread::sleep(Duration::from_millis(10));
        }
        match request.turn() {
            0 => shell(json!({"command": "n=0; while :; do n=$((n+1)); echo $n > watched; sleep 0.05; done", "background": true})),
            1 => Reply::tool_call("create_file", json!({"path": "made", "content": "made\n"})),
            2 => shell(json!({"command": "sleep 0.5; rm mine"})),
            _ => Reply::text("Done."),
        }
    });
    agent(&env, &server).run().expect_code(0);
    server.finish();
    let listed = env.pup().args(["checkpoints", "--json"]).run().expect_code(0).json();
    let lines: Vec<String> = listed["checkpoints"].as_array().unwrap().iter().map(|c| c["line"].as_str().unwrap().to_owned()).collect();
    assert!(lines.iter().any(|l| l.starts_with("in the background: ")), "{lines:?}");
    env.pup().args(["undo", "--all"]).run().expect_code(0);
    assert_eq!((env.read("mine").as_str(), env.read("watched").as_str(), env.exists("made")), ("mine\n", "0\n", false));
    env.pup().args(["redo", "--all"]).run().expect_code(0);
    assert!(!env.exists("mine") && env.read("watched") != "0\n" && env.read("made") == "made\n");
}
