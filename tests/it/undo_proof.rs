//! Undo against anything: random trees, random edits, commands and uses of git, kills at any moment of a step, an undo or a redo;
//! and the ways in which git stands between its objects and the files.
#![cfg(target_os = "linux")]

use crate::resume::survivors;
use crate::support::{Key, Launch, Reply, Server, Terminal, TestEnv, need};
use crate::undo::{Tree, agent, differences, git, kill_after, shell, steps, tree, tree_of, undo};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const NAMES: [&str; 13] =
    ["a", "b", "dir/c", "dir/d", "dir/sub/e", "x.ign", "dir", "new/f", "l", "sp ace", "\u{fc}n\u{ef}", "dir/sub", "-dash"];

fn name() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(NAMES.to_vec())
}

fn command() -> impl Strategy<Value = String> {
    let text = || prop::sample::select(vec!["one", "two\\nlines", "", "three", "\\000\\377bin", "x\\r\\ny"]);
    let mode = || prop::sample::select(vec!["600", "755", "644", "500", "4755", "000"]);
    prop_oneof![
        3 => (name(), text()).prop_map(|(n, t)| format!("mkdir -p \"$(dirname './{n}')\"; printf '{t}' > './{n}'")),
        2 => name().prop_map(|n| format!("rm -rf './{n}'")),
        2 => (name(), name()).prop_map(|(a, b)| format!("mv './{a}' './{b}'")),
        1 => (name(), name()).prop_map(|(a, b)| format!("cp -a './{a}' './{b}'")),
        1 => (name(), name()).prop_map(|(a, b)| format!("ln './{a}' './{b}'; printf linked >> './{b}'")),
        1 => (name(), name()).prop_map(|(a, b)| format!("ln -sfn '{a}' './{b}'")),
        2 => (name(), mode()).prop_map(|(n, m)| format!("chmod {m} './{n}'")),
        1 => name().prop_map(|n| format!("test -f './{n}' && truncate -s 3 './{n}'")),
        1 => name().prop_map(|n| format!("test -f './{n}' && truncate -s 100000 './{n}'")),
        1 => name().prop_map(|n| format!("test -f './{n}' && sed -i s/a/A/ './{n}'")),
        // The same size, and the old times put back.
        1 => name().prop_map(|n| format!("test -f './{n}' && touch -r './{n}' .ref && tr a-y b-z < './{n}' > .t && cat .t > './{n}'; \
             touch -r .ref './{n}'; rm -f .t .ref")),
        1 => name().prop_map(|n| format!("rm -rf './{n}'; mkdir -p './{n}'")),
        1 => (name(), text()).prop_map(|(n, t)| format!("rm -rf './{n}'; printf '{t}' > './{n}'")),
        6 => prop::sample::select(vec![
            "git checkout -q .",
            "git clean -fdxq",
            "git stash -q -u",
            "git stash -q; git stash pop -q",
            "git add -A",
            "git reset -q --hard",
            "git add -A; git commit -qm more",
            "git checkout -qb other; echo o > o; git add o; git commit -qm o; git checkout -q -",
            "git rm -rqf dir",
            "git mv a moved-by-git",
            "git reset -q --hard HEAD~1",
            "git commit -qam all",
            "rm -rf .git/index; git reset -q",
            "git gc -q --prune=now",
            "for i in 1 2 3; do echo $i > s$i; done; rm -f a",
            "find . -name .git -prune -o -type f -exec touch {} +",
            "find . -name .git -prune -o -type f -name '[a-d]' -exec sh -c 'echo changed >> \"$1\"' _ {} \\;",
            "tar cf t.tar a dir 2>/dev/null; rm -rf a dir; tar xf t.tar; rm t.tar",
            "python3 -c \"import os; os.replace('a', 'b')\"",
        ])
        .prop_map(str::to_owned),
    ]
}

/// A random thing that an agent does.
fn operation() -> impl Strategy<Value = Reply> {
    let text = || prop::sample::select(vec!["one\n", "two\nlines", "", "three"]);
    let patch = |n: &str, t: &str| format!("*** Begin Patch\n*** Add File: {n}.1\n+{}\n*** Add File: p/{n}.2\n+x\n*** End Patch", t.trim());
    prop_oneof![
        5 => command().prop_map(|c| shell(&format!("{c}; true"))),
        1 => (name(), text()).prop_map(|(n, t)| Reply::tool_call("create_file", json!({"path": n, "content": t, "overwrite": true}))),
        1 => name().prop_map(|n| Reply::tool_call("delete_file", json!({ "path": n }))),
        1 => (name(), text()).prop_map(move |(n, t)| Reply::tool_call("apply_patch", json!({ "patch": patch(n, t) }))),
    ]
}

/// A random tree, in git or not.
fn seed(env: &TestEnv, with_git: bool, extra: &[(usize, u32)]) {
    env.write(".gitignore", "*.ign\n");
    for (name, text) in [("a", "alpha\n"), ("dir/c", "gamma\n"), ("dir/sub/e", "epsilon\n"), ("sp ace", "s\n")] {
        env.write(name, text);
    }
    if with_git {
        git(env, &["add", "-A"]);
        git(env, &["commit", "-q", "-m", "first"]);
        env.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 0\n");
    }
    env.write("x.ign", "ignored\n");
    env.write("b", "untracked\n");
    env.write("dir/c", "gamma, and not committed\n");
    for (n, mode) in extra {
        let path = env.project().join(NAMES[n % NAMES.len()]);
        if path.symlink_metadata().is_err() && fs::create_dir_all(path.parent().unwrap()).is_ok() {
            fs::write(&path, vec![u8::try_from(*n % 256).unwrap(); n * 37]).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}

type Case = (Vec<Reply>, bool, Vec<u64>, Vec<(usize, u32)>);

fn random(name: &str, cases: u32, check: impl Fn(&TestEnv, Case)) {
    if !need::program("git") {
        return;
    }
    // More for a long search: PUP_CASES=500.
    let cases = std::env::var("PUP_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() });
    let extra = prop::collection::vec((0_usize..2000, prop::sample::select(vec![0o600, 0o644, 0o755, 0o444])), 0..6);
    let input = (prop::collection::vec(operation(), 1..8), any::<bool>(), prop::collection::vec(0_u64..250, 2), extra);
    runner
        .run(&input, |case| {
            let env = TestEnv::new();
            let env = if case.1 { env.git() } else { env };
            seed(&env, case.1, &case.3);
            check(&env, case);
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// What git has, read without letting git touch anything.
fn git_data(env: &TestEnv) -> Tree {
    let folder = env.project().join(".git");
    if folder.is_dir() { tree_of(&folder) } else { Tree::new() }
}

fn done(env: &TestEnv) -> usize {
    let listed = undo(env, &["checkpoints", "--json"]).run().expect_code(0).json();
    listed["checkpoints"].as_array().unwrap().iter().filter(|c| c["state"] == "done").count()
}

/// Carries the operations out, and returns the tree after each of them.
fn states(env: &TestEnv, ops: Vec<Reply>) -> Vec<Tree> {
    let states = Arc::new(Mutex::new(Vec::new()));
    let (seen, root, mut left) = (Arc::clone(&states), env.project(), ops.into_iter());
    let server = Server::respond(move |_| {
        seen.lock().unwrap().push(tree_of(&root));
        left.next().unwrap_or_else(|| Reply::text("Done."))
    });
    agent(env, &server).run().expect_code(0);
    server.finish();
    std::mem::take(&mut *states.lock().unwrap())
}

#[test]
fn anything_is_undone_step_by_step_and_redone() {
    random("step by step", 16, |env, (ops, ..)| {
        let mut states = states(env, ops);
        // A step that changed nothing is none.
        states.dedup();
        assert_eq!(done(env), states.len() - 1, "a change without a step, or a step without a change");
        let data = git_data(env);
        for state in states.iter().rev().skip(1) {
            undo(env, &["undo"]).run().expect_code(0);
            assert_eq!(differences(&tree(env), state), Vec::<String>::new());
        }
        assert_eq!(differences(&git_data(env), &data), Vec::<String>::new(), "git's own data are git's");
        for state in states.iter().skip(1) {
            undo(env, &["redo"]).run().expect_code(0);
            assert_eq!(differences(&tree(env), state), Vec::<String>::new());
        }
        assert_eq!(differences(&git_data(env), &data), Vec::<String>::new());
    });
}

#[test]
fn a_step_killed_at_any_moment_is_undone_to_what_was_before() {
    random("killed step", 12, |env, (ops, _, kills, _)| {
        let before = tree(env);
        let mut left = ops.into_iter();
        let server = Server::respond(move |_| left.next().unwrap_or_else(|| Reply::text("Done.")));
        kill_after(agent(env, &server).spawn(), kills[0] * 2);
        // What the killed pup left running ends by itself.
        let until = Instant::now() + Duration::from_secs(20);
        // A process that just becomes another program shows no environment for a moment: one look is not enough.
        let mut empty = 0;
        while empty < 5 && Instant::now() < until {
            empty = if survivors(env).is_empty() { empty + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(5));
        }
        let cut = tree(env);
        let steps = done(env);
        assert!(steps > 0 || cut == before, "changed without a step: {:?}", differences(&cut, &before));
        if steps > 0 {
            undo(env, &["undo", "--all"]).run().expect_code(0);
            assert_eq!(differences(&tree(env), &before), Vec::<String>::new());
            undo(env, &["redo", "--all"]).run().expect_code(0);
            // What a killed edit left behind is none of the step's files.
            let ours = |t: &Tree| t.iter().filter(|(n, _)| !n.contains(".pup-")).map(|(n, w)| (n.clone(), w.clone())).collect::<Tree>();
            assert_eq!(differences(&ours(&tree(env)), &ours(&cut)), Vec::<String>::new());
        }
    });
}

#[test]
fn an_undo_or_redo_killed_at_any_moment_is_finished_and_never_mixed() {
    random("killed undo and redo", 12, |env, (ops, _, kills, _)| {
        let mut states = states(env, ops);
        states.dedup();
        let (before, after) = (states.first().unwrap().clone(), states.last().unwrap().clone());
        if states.len() == 1 {
            return;
        }
        let data = git_data(env);
        for (verb, ms) in [("undo", kills[0]), ("redo", kills[1]), ("undo", kills[1] / 3)] {
            kill_after(undo(env, &[verb, "--all"]).spawn(), ms / 4);
            for (name, what) in &tree(env) {
                // A folder is open while something in it is put back.
                let known = what.0 == 'd' || states.iter().any(|s| s.get(name) == Some(what)) || name.contains(".pup-");
                assert!(known, "{name} is neither old nor new: {what:?}");
            }
            // Whoever comes next finishes it.
            let left = done(env);
            let now = tree(env);
            assert!(now == before || now == after, "mixed: {:?} / {:?}", differences(&now, &before), differences(&now, &after));
            assert_eq!(left == 0, now == before, "the record and the files agree");
        }
        assert_eq!(differences(&git_data(env), &data), Vec::<String>::new());
    });
}

const DELETE: &str = "find . -name .git -prune -o -type f -exec rm -f {} +";

/// Deletes all files, and has them back.
fn all_come_back(env: &TestEnv, what: &str) {
    let before = tree(env);
    assert!(before.len() > 2, "{what}: {before:?}");
    steps(env, [shell(DELETE), shell("git checkout -q . 2>/dev/null; git status >/dev/null 2>&1; true")]);
    undo(env, &["undo", "--all"]).run().expect_code(0);
    assert_eq!(differences(&tree(env), &before), Vec::<String>::new(), "{what}");
}

#[test]
fn bytes_come_back_as_they_were_whatever_git_does_to_them() {
    if !need::program("git") {
        return;
    }
    let text = "one two\nthree\n";
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("* text eol=crlf\n", &[]),
        ("*.txt text eol=lf\n", &[("core.autocrlf", "true")]),
        ("", &[("core.autocrlf", "true")]),
        ("", &[("core.autocrlf", "input"), ("core.eol", "crlf")]),
        ("*.txt filter=shout\n", &[("filter.shout.smudge", "tr a-z A-Z"), ("filter.shout.clean", "tr A-Z a-z")]),
        ("*.txt ident\n", &[]),
        ("*.txt working-tree-encoding=UTF-16LE-BOM eol=crlf\n", &[]),
    ];
    for (attributes, config) in rows {
        let env = TestEnv::new().git();
        for (key, value) in *config {
            git(&env, &["config", key, value]);
        }
        let what = format!("{attributes:?} {config:?}");
        env.write("crlf.bin", "a\r\nb\r\n");
        git(&env, &["add", "-A"]);
        git(&env, &["commit", "-q", "-m", "bin"]);
        env.write(".gitattributes", attributes);
        let utf16 = attributes.contains("UTF-16");
        let bytes = if utf16 {
            [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        } else {
            text.as_bytes().to_vec()
        };
        env.write("a.txt", bytes.clone());
        env.write("$Id$.txt", if utf16 { bytes } else { b"$Id$ x\n".to_vec() });
        git(&env, &["add", "-A"]);
        git(&env, &["commit", "-q", "-m", "first"]);
        // As git itself writes them; what it says in the index is then of these bytes.
        git(&env, &["rm", "-rq", "--cached", "."]);
        git(&env, &["reset", "-q", "--hard"]);
        all_come_back(&env, &what);
        // And as somebody else wrote them, with git knowing nothing of it yet.
        env.write(
            "a.txt",
            if utf16 { "\u{feff}x\n".encode_utf16().flat_map(u16::to_le_bytes).collect() } else { b"by\r\nhand\n".to_vec() },
        );
        all_come_back(&env, &what);
    }
}

#[test]
fn linked_worktrees_submodules_and_sparse_checkouts_are_files_like_others() {
    if !need::program("git") {
        return;
    }
    // A worktree, whose `.git` is a file.
    let env = TestEnv::new().git();
    env.write("a.txt", "a\n");
    env.write("dir/b.txt", "b\n");
    git(&env, &["add", "-A"]);
    git(&env, &["commit", "-q", "-m", "first"]);
    let linked = env.home().join("linked");
    git(&env, &["worktree", "add", "-q", &linked.display().to_string()]);
    fs::write(linked.join("mine"), "mine\n").unwrap();
    let before = tree_of(&linked);
    let server = Server::script([shell(DELETE), shell("git checkout -q .; rm -rf dir"), Reply::text("Done.")]);
    agent(&env, &server).cwd(&linked).run().expect_code(0);
    undo(&env, &["undo", "--all"]).cwd(&linked).run().expect_code(0);
    assert_eq!(differences(&tree_of(&linked), &before), Vec::<String>::new());
    server.finish();

    // A submodule with work that is not committed.
    let (env, other) = (TestEnv::new().git(), TestEnv::new().git());
    other.write("lib.c", "int x;\n");
    git(&other, &["add", "-A"]);
    git(&other, &["commit", "-q", "-m", "lib"]);
    env.write("a.txt", "a\n");
    git(&env, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &other.project().display().to_string(), "sub"]);
    git(&env, &["add", "-A"]);
    git(&env, &["commit", "-q", "-m", "with sub"]);
    env.write("sub/lib.c", "int y; /* hours of work */\n");
    env.write("sub/new.c", "new\n");
    all_come_back(&env, "submodule");
    let before = tree(&env);
    steps(&env, [shell("git submodule --quiet foreach 'git reset -q --hard; git clean -fdxq'"), shell("rm -rf sub/*.c")]);
    undo(&env, &["undo", "--all"]).run().expect_code(0);
    assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());

    // A sparse checkout: what is not there is not missed, and what comes is taken back.
    let env = TestEnv::new().git();
    for name in ["in/a", "out/b", "top"] {
        env.write(name, format!("{name}\n"));
    }
    git(&env, &["add", "-A"]);
    git(&env, &["commit", "-q", "-m", "first"]);
    git(&env, &["sparse-checkout", "set", "in"]);
    assert!(!env.exists("out/b"));
    env.write("in/a", "changed\n");
    all_come_back(&env, "sparse");
    let before = tree(&env);
    steps(&env, [shell("git stash -q; git sparse-checkout disable; rm in/a")]);
    assert!(env.exists("out/b"));
    undo(&env, &["undo", "--all"]).run().expect_code(0);
    assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
}

fn patch_of(files: usize, size: usize) -> Value {
    let old = format!("old {}", "o".repeat(size));
    let hunk = |n: usize| format!("*** Update File: f{n}\n@@\n-{old}\n+new {}\n", "n".repeat(size));
    json!({"patch": format!("*** Begin Patch\n{}*** Add File: made\n+made\n*** Delete File: gone\n*** End Patch\n", (0..files).map(hunk).collect::<String>())})
}

#[test]
fn an_edit_of_several_files_killed_in_the_middle_is_all_or_nothing() {
    const FILES: usize = 12;
    let (mut cut, mut whole) = (0, 0);
    // How long it takes here and now; the first one is not killed.
    let mut time = 0;
    for n in 0..25 {
        let env = TestEnv::new();
        let old = format!("old {}\n", "o".repeat(2000));
        (0..FILES).for_each(|n| drop(env.write(format!("f{n}"), &old)));
        env.write("gone", "gone\n");
        let before = tree(&env);
        let args = patch_of(FILES, 2000).to_string();
        let call = |args: &str| -> Launch { env.pup().args(["debug", "tool", "apply_patch", "--approve", "all", args]) };
        if n == 0 {
            let began = Instant::now();
            call(&args).run().expect_code(0);
            time = u64::try_from(began.elapsed().as_millis()).unwrap().max(24);
        } else {
            kill_after(call(&args).spawn(), time * n / 16);
        }
        // Whoever edits next puts it in order.
        env.pup().args(["debug", "tool", "create_file", "--approve", "all", r#"{"path":"next","content":""}"#]).run().expect_code(0);
        fs::remove_file(env.project().join("next")).unwrap();
        let now: Tree = tree(&env).into_iter().filter(|(n, _)| !n.contains(".pup-")).collect();
        if now == before {
            cut += 1;
            continue;
        }
        whole += 1;
        let done = (0..FILES).all(|n| env.read(format!("f{n}")).starts_with("new ")) && env.exists("made") && !env.exists("gone");
        assert!(done, "half of an edit: {:?}", differences(&now, &before).len());
    }
    assert!(cut > 0 && whole > 0, "the kills came before the edits ({cut}) or after them ({whole})");
}

#[test]
fn a_conflict_is_asked_about_in_a_terminal() {
    let env = TestEnv::new();
    for (answer, left) in [("n", "mine\n"), ("", "mine\n"), ("y", "before\n")] {
        env.write("a", "before\n");
        steps(&env, [shell("echo agent > a")]);
        env.write("a", "mine\n");
        let mut terminal = Terminal::start(undo(&env, &["undo"]), 24, 80);
        terminal.wait_for("changed since").wait_for("[y]es, [n]o").send(answer).key(Key::Enter);
        let code = terminal.wait_exit();
        assert_eq!((code == 0, env.read("a").as_str()), (answer == "y", left), "{answer:?}: {}", terminal.screen());
        if answer == "y" {
            undo(&env, &["redo"]).run().expect_code(0);
            assert_eq!(env.read("a"), "mine\n", "what was gone over comes back");
        }
    }
    // Ctrl-C is no permission.
    env.write("a", "before\n");
    steps(&env, [shell("echo agent > a")]);
    env.write("a", "mine\n");
    let mut terminal = Terminal::start(undo(&env, &["undo"]), 24, 80);
    terminal.wait_for("[y]es, [n]o").key(Key::Ctrl('c'));
    assert_ne!(terminal.wait_exit(), 0);
    assert_eq!(env.read("a"), "mine\n");
    assert!(Path::new(&env.project()).join("a").exists());
}
