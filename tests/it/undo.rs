//! What an agent's steps changed is taken back byte for byte, by the built program: files that git does not know, work that
//! is not committed, modes, links, empty folders; with git and without; and nothing of anybody else's is lost by it.
#![cfg(unix)]

use crate::support::launch::Running;
use crate::support::{Launch, Reply, Server, TestEnv, need};
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// Everything in the project but git's own folder: kind, mode and content.
pub type Tree = BTreeMap<String, (char, u32, Vec<u8>)>;

pub fn tree(env: &TestEnv) -> Tree {
    tree_of(&env.project())
}

pub fn tree_of(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, meta) = (entry.path(), entry.path().symlink_metadata().unwrap());
            if entry.file_name() == ".git" {
                continue;
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let what = if meta.is_symlink() {
                ('l', 0, fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
            } else if meta.is_dir() {
                open.push(path);
                ('d', meta.mode() & 0o7777, Vec::new())
            } else {
                ('f', meta.mode() & 0o7777, fs::read(&path).unwrap())
            };
            tree.insert(name, what);
        }
    }
    tree
}

/// The paths at which two trees differ, for a message.
pub fn differences(a: &Tree, b: &Tree) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().filter(|n| a.get(*n) != b.get(*n)).map(|n| format!("{n}: {:?} / {:?}", a.get(n), b.get(n))).collect()
}

pub fn shell(command: &str) -> Reply {
    Reply::tool_call("shell", json!({ "command": command }))
}

pub fn agent(env: &TestEnv, server: &Server) -> Launch {
    env.pup().args(["run", "--yolo", "--output", "json", "do it"]).model_server(server)
}

/// Runs an agent that makes these calls, one after the other.
pub fn steps(env: &TestEnv, calls: impl IntoIterator<Item = Reply>) {
    let server = Server::script(calls.into_iter().chain([Reply::text("Done.")]).collect::<Vec<_>>());
    agent(env, &server).run().expect_code(0);
    server.finish();
}

pub fn undo(env: &TestEnv, args: &[&str]) -> Launch {
    env.pup().args(args)
}

pub fn git(env: &TestEnv, args: &[&str]) -> String {
    env.command("git").args(args).run().expect_code(0).stdout
}

/// A project with work in every state that git knows.
fn project(env: &TestEnv, with_git: bool) {
    env.write(".gitignore", "secret.env\nbuild/\nnode_modules/\n");
    env.write("src/main.rs", "fn main() {}\n");
    env.write("src/clean.rs", "// committed and not touched\n");
    env.write("old.txt", "committed\n");
    if with_git {
        git(env, &["add", "-A"]);
        git(env, &["commit", "-q", "-m", "first"]);
        git(env, &["stash", "list"]);
    }
    env.write("src/main.rs", "fn main() { /* hours of work */ }\n");
    env.write("staged.rs", "staged\n");
    if with_git {
        git(env, &["add", "staged.rs"]);
    }
    env.write("secret.env", b"KEY=\xff\xfe\0binary\r\n");
    env.write("build/out/deep.bin", vec![0xa5; 300_000]);
    env.write("notes untracked.md", "mine\n");
    env.write("node_modules/dep/index.js", "module.exports = 1\n");
    let at = |name: &str| env.project().join(name);
    fs::set_permissions(at("secret.env"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(at("notes untracked.md"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("src/main.rs", at("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
    fs::create_dir_all(at("empty/inner")).unwrap();
    fs::set_permissions(at("empty/inner"), fs::Permissions::from_mode(0o750)).unwrap();
}

const HAVOC: &str = "rm -rf secret.env build 'notes untracked.md' empty link dangling; chmod 700 src; mv old.txt moved.txt; \
    mkdir -p new/folder; echo x > new/folder/made; ln -s made new/folder/l; : > src/clean.rs";

fn git_state(env: &TestEnv) -> (String, String, String, Vec<u8>) {
    let hooks = env.project().join(".git/hooks").read_dir().map(Iterator::count).unwrap_or_default().to_string();
    (git(env, &["rev-parse", "HEAD"]), git(env, &["stash", "list"]), hooks, fs::read(env.project().join(".git/index")).unwrap())
}

#[test]
fn havoc_in_a_git_repository_is_undone_and_redone_byte_for_byte() {
    if !need::program("git") {
        return;
    }
    let env = TestEnv::new().git();
    project(&env, true);
    let before = tree(&env);
    steps(&env, [shell(HAVOC), shell("git checkout ."), shell("git reset -q --hard"), shell("ls > /dev/null")]);
    let after = tree(&env);
    assert!(!env.exists("secret.env") && env.read("src/main.rs") == "fn main() {}\n" && env.exists("old.txt"));
    let listed = undo(&env, &["checkpoints", "--json"]).run().expect_code(0).json();
    let count = listed["checkpoints"].as_array().unwrap().len();
    assert!(count == 3, "the step that changed nothing is none: {listed}");
    assert_eq!(listed["not_covered"][0]["path"], "node_modules", "{listed}");
    let state = git_state(&env);
    let said = undo(&env, &["undo", "--all"]).run().expect_code(0);
    assert!(said.stdout.contains("undid step") && said.stdout.contains("git checkout ."), "{}", said.report());
    assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
    assert_eq!(git_state(&env), state, "git's own data are git's");
    undo(&env, &["redo", "--all", "--json"]).run().expect_code(0);
    assert_eq!(differences(&tree(&env), &after), Vec::<String>::new());
    for _ in 0..count {
        undo(&env, &["undo"]).run().expect_code(0);
    }
    assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
    let said = undo(&env, &["undo"]).run().expect_code(2);
    assert!(said.stderr.contains("nothing to undo"), "{}", said.report());
}

#[test]
fn havoc_without_git_is_undone_and_redone_byte_for_byte() {
    let env = TestEnv::new();
    project(&env, false);
    let before = tree(&env);
    let edit = json!({"path": "src/main.rs", "replacements": [{"old_str": "hours", "new_str": "days"}]});
    let made = json!({"path": "a/b/c.txt", "content": "made\n"});
    steps(
        &env,
        [Reply::tool_call("replace_in_file", edit), Reply::tool_call("create_file", made), shell(HAVOC), shell("rm -rf src a; touch src")],
    );
    let after = tree(&env);
    undo(&env, &["undo", "4"]).run().expect_code(0);
    assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
    undo(&env, &["redo", "4"]).run().expect_code(0);
    assert_eq!(differences(&tree(&env), &after), Vec::<String>::new());
    let ids = undo(&env, &["checkpoints", "--json"]).run().expect_code(0).json();
    let first = ids["checkpoints"][0]["id"].to_string();
    undo(&env, &["undo", "--to", &first]).run().expect_code(0);
    assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
}

#[test]
fn folders_that_cannot_be_written_in_go_and_come_back_with_their_modes() {
    let env = TestEnv::new();
    env.write("shut/f", "f\n");
    fs::set_permissions(env.project().join("shut"), fs::Permissions::from_mode(0o555)).unwrap();
    let before = tree(&env);
    steps(&env, [shell("chmod 755 shut; rm -rf shut")]);
    for _ in 0..2 {
        undo(&env, &["undo"]).run().expect_code(0);
        assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
        undo(&env, &["redo"]).run().expect_code(0);
        assert!(!env.exists("shut"));
    }
}

/// A name that a step made into another name of a file gets its own content back; names that stay together stay one file.
#[test]
fn names_of_one_file_part_again_and_come_together_again() {
    for outside in [false, true] {
        let env = TestEnv::new();
        for (name, text) in [("a", "alpha\n"), ("b", "beta\n"), ("c", "gamma\n")] {
            env.write(name, text);
        }
        fs::hard_link(env.project().join("c"), env.project().join("d")).unwrap();
        let far = env.pup_home().join("far");
        if outside {
            fs::create_dir_all(env.pup_home()).unwrap();
            fs::hard_link(env.project().join("a"), &far).unwrap();
        }
        let file = |name: &str| env.project().join(name).symlink_metadata().unwrap().ino();
        let before = tree(&env);
        steps(&env, [shell("ln -f a b; printf linked >> b; printf more >> c")]);
        let after = tree(&env);
        undo(&env, &["undo"]).run().expect_code(0);
        assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
        assert_ne!(file("a"), file("b"));
        assert_eq!(file("c"), file("d"), "both went to the same content");
        if outside {
            assert_eq!(fs::read_to_string(&far).unwrap(), "alpha\n", "it had got the content that is taken back");
        }
        undo(&env, &["redo"]).run().expect_code(0);
        assert_eq!(differences(&tree(&env), &after), Vec::<String>::new());
    }
}

#[test]
fn what_the_user_changed_since_is_asked_for_and_never_lost() {
    let env = TestEnv::new();
    env.write("a", "before\n");
    env.write("b", "b\n");
    steps(&env, [shell("echo agent > a; rm b")]);
    env.write("a", "mine\n");
    let refused = undo(&env, &["undo"]).run().expect_code(8);
    assert!(refused.stderr.contains("changed since: a") && refused.stderr.contains("pup undo --force"), "{}", refused.report());
    assert!(env.read("a") == "mine\n" && !env.exists("b"), "all or nothing");
    let done = undo(&env, &["undo", "--force", "--json"]).run().expect_code(0).json();
    assert_eq!(done["overwritten"], json!(["a"]));
    assert_eq!((env.read("a").as_str(), env.read("b").as_str()), ("before\n", "b\n"));
    undo(&env, &["redo"]).run().expect_code(0);
    assert_eq!(env.read("a"), "mine\n", "what was gone over comes back");
    // What is already as it is to become is no conflict, and a file of the user's keeps its folder.
    steps(&env, [shell("mkdir d; echo 1 > d/theirs; rm a")]);
    env.write("d/mine", "mine\n");
    env.write("a", "mine\n");
    let left = undo(&env, &["undo"]).run().expect_code(3);
    assert!(left.stderr.contains("d: left: it holds other files"), "{}", left.report());
    assert!(env.read("d/mine") == "mine\n" && !env.exists("d/theirs"));
}

#[test]
fn what_is_not_covered_is_named_and_left_alone() {
    let env = TestEnv::new();
    let big = env.project().join("big.bin");
    fs::File::create(&big).unwrap().set_len((50 << 20) + 1).unwrap();
    env.write("node_modules/x.js", "1\n");
    steps(&env, [shell("rm -rf big.bin node_modules; head -c 52428801 /dev/zero > other.bin; echo x > small")]);
    let said = undo(&env, &["undo"]).run().expect_code(0);
    for gap in ["big.bin (larger", "node_modules (a dependency", "other.bin (larger"] {
        assert!(said.stdout.contains(&format!("not covered: {gap}")), "{}", said.report());
    }
    assert!(!env.exists("small") && env.exists("other.bin"), "what could not be made again is not deleted");
    // Nothing recorded means nothing copied either.
    let server = Server::script([shell("echo y > small"), Reply::text("Done.")]);
    agent(&env, &server).arg("--no-session").run().expect_code(0);
    undo(&env, &["undo"]).run().expect_code(2);
    let store = env.pup_home().join("state/checkpoints");
    assert_eq!(store.read_dir().unwrap().next().unwrap().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
}

#[test]
fn the_journal_names_each_checkpoint_and_a_cut_step_can_be_undone() {
    let env = TestEnv::new();
    env.write("keep", "1\n");
    let before = tree(&env);
    let server = Server::script([shell("rm keep; echo half > half; touch ready; sleep 4")]);
    let running = agent(&env, &server).spawn();
    wait_for(&env.project().join("ready"));
    let live = undo(&env, &["undo"]).run().expect_code(3);
    assert!(live.stderr.contains("a step is under way here: shell: rm keep"), "{}", live.report());
    running.signal(Signal::KILL);
    running.wait();
    let said = undo(&env, &["undo"]).run().expect_code(0);
    assert!(said.stderr.contains("was cut off"), "{}", said.report());
    assert_eq!(differences(&tree(&env), &before), Vec::<String>::new());
    let entries = crate::resume::entries(&env);
    let intent = entries.iter().find(|e| e["kind"] == "intent").unwrap();
    assert_eq!(intent["checkpoint"], 1, "{intent}");
    server.finish();
}

fn wait_for(path: &Path) {
    for _ in 0..4000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{} did not come", path.display());
}

pub fn kill_after(running: Running, ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
    running.signal(Signal::KILL);
    running.wait();
}
