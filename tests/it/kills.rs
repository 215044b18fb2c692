//! One task, killed with -9 at every line of its journal and at random moments, once or twice, and taken up again: its
//! files are those of an undisturbed run, and nothing has happened twice.
#![cfg(target_os = "linux")]

use crate::resume::{entries, session, survivors};
use crate::support::launch::Running;
use crate::support::server::assert_stable_prefix;
use crate::support::{Launch, Reply, Request, Server, TestEnv};
use crate::task;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

const FINAL: &str = "The notes are numbered and the log has its lines.";

type Calls = Vec<(&'static str, Value)>;

/// The task: rounds of calls. The second append takes its time.
fn rounds() -> [Calls; 5] {
    let replace =
        |old: &str, new: &str| ("replace_in_file", json!({"path": "notes.txt", "replacements": [{"old_str": old, "new_str": new}]}));
    [
        vec![("create_file", json!({"path": "notes.txt", "content": "one\ntwo\nthree\n"}))],
        vec![("shell", json!({"command": "echo first >> log.txt"}))],
        vec![("read_file", json!({"path": "notes.txt"})), replace("one", "1")],
        vec![("shell", json!({"command": "sleep 0.1; echo second >> log.txt"})), replace("two", "2")],
        vec![("list_files", json!({"path": "."})), ("create_file", json!({"path": "sub/done.txt", "content": "yes\n"}))],
    ]
}

/// What a call was answered, the last time that it was made.
fn answer(request: &Request, name: &str, args: &Value) -> Option<String> {
    let args = args.to_string();
    let call = |c: &Value| c["function"]["name"] == name && c["function"]["arguments"] == args;
    let calls = request.messages().iter().rev().flat_map(|m| m["tool_calls"].as_array().into_iter().flatten());
    let id = &calls.into_iter().find(|c| call(c))?["id"];
    let result = request.messages().iter().find(|m| m["tool_call_id"] == *id)?;
    Some(result["content"].as_str().unwrap_or_default().to_owned())
}

/// A model that makes the calls of each round that have no answer yet, makes those again that are said not to have been
/// made, and leaves alone what is unknown.
fn model(request: &Request) -> Reply {
    let open =
        |(name, args): &(&str, Value)| answer(request, name, args).is_none_or(|a| a.contains("was not done") || a.contains("not run"));
    let next = rounds().into_iter().map(|round| round.into_iter().filter(open).collect::<Calls>()).find(|round| !round.is_empty());
    let reply = match next {
        Some(calls) => calls.iter().fold(Reply::text("The next step."), |reply, (name, args)| reply.and_call(name, args)),
        None => Reply::text(FINAL),
    };
    reply.delay_each(Duration::from_millis(2))
}

#[derive(Debug, Clone, Copy)]
enum When {
    /// Once the journal has so many lines.
    Lines(usize),
    /// After so many milliseconds.
    Millis(u64),
}

fn first(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--yolo", "--output", "json", "number the notes"]).model_server(server)
}

fn again(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--resume", "last", "--yolo", "--output", "json"]).model_server(server)
}

fn lines(env: &TestEnv) -> usize {
    let journal = session(env).and_then(|s| std::fs::read(s.join("journal.jsonl")).ok()).unwrap_or_default();
    journal.split(|b| *b == b'\n').count() - 1
}

fn kill(env: &TestEnv, running: Running, when: When) {
    let started = Instant::now();
    let due = || match when {
        When::Lines(n) => lines(env) >= n,
        When::Millis(ms) => started.elapsed() >= Duration::from_millis(ms),
    };
    while !due() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_micros(200));
    }
    // It may have come to its end by itself: then there is nothing to kill, and nothing left to do.
    running.signal(Signal::KILL);
    running.wait();
}

fn survive(kills: &[When]) {
    let env = TestEnv::new();
    let server = Server::respond(model);
    // A run that was killed before its first line was whole has left nothing to go on with.
    let begun = || entries(&env).first().is_some_and(|e| e["kind"] == "session");
    let over = || entries(&env).last().is_some_and(|e| e["kind"] == "end");
    for when in kills {
        let launch = if begun() { again(&env, &server) } else { first(&env, &server) };
        kill(&env, launch.spawn(), *when);
        if over() {
            break;
        }
    }
    if over() {
        again(&env, &server).run().expect_code(2);
    } else {
        let launch = if begun() { again(&env, &server) } else { first(&env, &server) };
        let out = launch.run().expect_code(0);
        assert_eq!((&out.json()["cause"], &out.json()["text"]), (&json!("done"), &json!(FINAL)), "{}", out.report());
    }
    assert_eq!(survivors(&env), Vec::<String>::new());
    assert_eq!((env.read("notes.txt").as_str(), env.read("sub/done.txt").as_str()), ("1\n2\nthree\n", "yes\n"));
    let mut names: Vec<String> = env
        .project()
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|n| n != "log.txt")
        .collect();
    names.sort();
    assert_eq!(names, ["notes.txt", "sub"], "nothing is left of an edit that was cut");
    assert_eq!(env.project().join("sub").read_dir().unwrap().count(), 1);

    let requests = server.finish();
    assert_stable_prefix(&requests);
    let last = requests.last().unwrap();
    let log = if env.exists("log.txt") { env.read("log.txt") } else { String::new() };
    for ((name, args), line) in [(&rounds()[1][0], "first"), (&rounds()[3][0], "second")] {
        let times = log.lines().filter(|l| *l == line).count();
        let said = answer(last, name, args).unwrap_or_default();
        if said.contains("outcome unknown") {
            assert!(times <= 1, "{line} stands there {times} times\n{log}");
        } else {
            assert_eq!(times, 1, "{line}: {said}\n{log}");
        }
    }
    for (name, args) in rounds().into_iter().flatten().filter(|(name, _)| *name != "shell") {
        let said = answer(last, name, &args).unwrap_or_default();
        assert!(!said.contains("unknown") && !said.starts_with("Error"), "{name} {args}: {said}");
    }
}

#[test]
fn a_task_survives_a_kill_at_every_line_of_its_journal() {
    let env = TestEnv::new();
    let server = Server::respond(model);
    first(&env, &server).run().expect_code(0);
    let all = lines(&env);
    assert!(all > 30, "{:#?}", entries(&env));
    let cases: Vec<[When; 1]> = (0..all).map(|n| [When::Lines(n)]).collect();
    task::each(6, &cases, |when| format!("{when:?}"), |when| survive(when));
}

#[test]
fn a_task_survives_kills_at_random_moments() {
    let env = TestEnv::new();
    let server = Server::respond(model);
    let started = Instant::now();
    first(&env, &server).run().expect_code(0);
    let whole = u64::try_from(started.elapsed().as_millis()).unwrap();
    let random = |n: u64, below: u64| RandomState::new().hash_one(n) % below.max(1);
    let cases: Vec<Vec<When>> = (0..24).map(|n| (0..=random(n, 3)).map(|k| When::Millis(random(k, whole))).collect()).collect();
    task::each(6, &cases, |when| format!("{when:?} of {whole} ms"), |when| survive(when));
}
