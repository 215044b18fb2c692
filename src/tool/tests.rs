//! The tools as a model calls them: real folders, real shells.

use super::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

struct Bench {
    dir: tempfile::TempDir,
    ctx: Context,
    tools: Registry,
}

impl Bench {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let ctx = Context::new(Workspace::open(dir.path()).unwrap());
        Self { dir, ctx, tools: Registry::builtin() }
    }

    fn call(&self, name: &str, args: Value) -> Result<Output, String> {
        let Value::Object(args) = args else { panic!() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let tool = self.tools.get(name).unwrap();
        runtime.block_on(call(tool.as_ref(), &args, &self.ctx)).map_err(|e| match e {
            ToolError::Model(text) | ToolError::Denied(text, _) => text,
            ToolError::Fatal(failure) => panic!("{failure}"),
        })
    }

    fn text(&self, name: &str, args: Value) -> String {
        self.call(name, args).unwrap().text
    }

    fn refusal(&self, name: &str, args: Value) -> String {
        self.call(name, args).unwrap_err()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn plan(&self, name: &str, args: &Value) -> Result<Vec<FileChange>, ToolError> {
        self.tools.get(name).unwrap().plan(args.as_object().unwrap(), &self.ctx)
    }
}

#[test]
fn reading_gives_the_text_itself_and_says_when_it_is_a_part() {
    let b = Bench::new(&[("a.txt", "one\ntwo\r\nthree"), ("empty", ""), ("long", &"x\n".repeat(3000)), ("wide", &"y".repeat(90_000))]);
    assert_eq!(b.text("read_file", json!({"path": "a.txt"})), "one\ntwo\r\nthree");
    assert_eq!(b.text("read_file", json!({"path": "a.txt", "start_line": 2})), "[lines 2-3 of 3]\ntwo\r\nthree");
    assert_eq!(b.text("read_file", json!({"path": "a.txt", "start_line": 2, "num_lines": 1})), "[lines 2-2 of 3]\ntwo\r\n");
    assert_eq!(b.text("read_file", json!({"path": "empty"})), "(empty file)");
    assert!(b.text("read_file", json!({"path": "long"})).starts_with("[lines 1-2000 of 3000]\nx\n"));
    let wide = b.text("read_file", json!({"path": "wide"}));
    assert!(wide.starts_with("[lines 1-1 of 1; line 1 is cut, it has 90000 bytes]\nyyy") && wide.len() < 52_000);
    assert_eq!(b.refusal("read_file", json!({"path": "a.txt", "start_line": 9})), "start_line is 9, but the file has 3 lines");
    assert_eq!(b.refusal("read_file", json!({"path": "."})), ". is a folder; use list_files");
    assert_eq!(b.refusal("read_file", json!({"path": "a.tx"})), "a.tx does not exist; did you mean `a.txt`?");
    assert!(b.refusal("read_file", json!({"path": "../x"})).contains("outside the workspace"));
}

#[test]
fn listing_names_sizes_folders_and_links_past_what_git_ignores() {
    let b = Bench::new(&[("b.txt", "12"), ("src/x.rs", "1"), ("target/o", "1"), (".gitignore", "target/\n"), (".git/HEAD", "x")]);
    symlink("b.txt", b.path("l")).unwrap();
    assert_eq!(b.text("list_files", json!({"path": "."})), ".git/\n.gitignore 8 B\nb.txt 2 B\nl -> b.txt\nsrc/\ntarget/\n");
    assert_eq!(
        b.text("list_files", json!({"path": "", "recursive": "true"})),
        ".gitignore 8 B\nb.txt 2 B\nl -> b.txt\nsrc/\nsrc/x.rs 1 B\n"
    );
    fs::create_dir(b.path("void")).unwrap();
    assert_eq!(b.text("list_files", json!({"path": "void"})), "(empty folder)\n");
    assert_eq!(b.refusal("list_files", json!({"path": "b.txt"})), "b.txt is a file; use read_file");
    assert_eq!(b.refusal("list_files", json!({"path": "scr"})), "scr does not exist; did you mean `src`?");
}

#[test]
fn a_long_listing_is_cut_with_its_count() {
    let mut b = Bench::new(&[("a", ""), ("b", ""), ("c", ""), ("d/e", "")]);
    b.ctx.limits.entries = 2;
    assert_eq!(b.text("list_files", json!({"path": "."})), "a 0 B\nb 0 B\n[2 of 4 entries shown; list a folder in it to see more]\n");
    assert!(
        b.text("list_files", json!({"path": ".", "recursive": true}))
            .ends_with("[2 of 5 entries shown; list a folder in it to see more]\n")
    );
}

#[test]
fn searching_shows_path_line_and_text() {
    let b = Bench::new(&[
        ("src/a.rs", "fn one() {}\nfn two() {}\n\nfn three() {}\n"),
        ("b.md", "FN One\r\n"),
        ("bin", "fn \0"),
        (".gitignore", "skip\n"),
        ("skip", "fn hidden"),
    ]);
    assert_eq!(b.text("grep", json!({"pattern": "fn t"})), "src/a.rs:2:fn two() {}\nsrc/a.rs:4:fn three() {}\n");
    assert_eq!(b.call("grep", json!({"pattern": "fn t"})).unwrap().summary, "2 matches in 1 file");
    assert_eq!(b.text("grep", json!({"pattern": "fn one", "ignore_case": true})), "b.md:1:FN One\nsrc/a.rs:1:fn one() {}\n");
    assert_eq!(b.text("grep", json!({"pattern": "one", "glob": "*.rs"})), "src/a.rs:1:fn one() {}\n");
    assert_eq!(
        b.text("grep", json!({"pattern": "two", "path": "src/a.rs", "context": 1})),
        "src/a.rs-1-fn one() {}\nsrc/a.rs:2:fn two() {}\nsrc/a.rs-3-\n"
    );
    assert_eq!(b.text("grep", json!({"pattern": "nowhere"})), "no line of these files matches\n");
    assert!(b.refusal("grep", json!({"pattern": "two("})).contains(r"to find it literally use `two\(`"));
    assert!(b.refusal("grep", json!({"pattern": "a\nb"})).contains("only single lines are searched"));
    assert_eq!(b.refusal("grep", json!({"pattern": "x", "path": "sr"})), "sr does not exist; did you mean `src`?");
}

#[test]
fn a_search_is_bounded() {
    let b = Bench::new(&[("many", &"hit\n".repeat(500)), ("wide", &format!("{}needle{}", "a".repeat(5000), "b".repeat(5000)))]);
    let out = b.call("grep", json!({"pattern": "hit"})).unwrap();
    assert!(out.text.ends_with("[stopped after 200 matches; narrow the search with path, glob or pattern]\n"));
    assert_eq!(out.summary, "at least 200 matches in 1 file");
    let line = b.text("grep", json!({"pattern": "needle"}));
    assert!(line.contains("needle") && line.len() < 350 && line.starts_with("wide:1:...aaa"), "{line}");
}

#[test]
fn creating_makes_folders_and_refuses_to_overwrite_unasked() {
    let b = Bench::new(&[("old.txt", "a\r\nb\r\n")]);
    let out = b.call("create_file", json!({"path": "x/y.txt", "content": "1\n2"})).unwrap();
    assert_eq!((out.text.as_str(), out.summary.as_str(), b.file("x/y.txt").as_str()), ("created x/y.txt", "+2 -0", "1\n2"));
    assert!(out.diff.unwrap().starts_with("--- /dev/null\n+++ b/x/y.txt\n"));
    let r = b.refusal("create_file", json!({"path": "old.txt", "content": "new\n"}));
    assert!(r.starts_with("old.txt exists (2 lines); nothing was changed."), "{r}");
    let again = b.text("create_file", json!({"path": "x/y.txt", "content": "1\n2"}));
    assert_eq!(again, "already has this content: x/y.txt");
    let over = b.text("create_file", json!({"path": "old.txt", "content": "new\n", "overwrite": true}));
    assert_eq!((over.as_str(), b.file("old.txt").as_str()), ("overwrote old.txt (kept its CRLF line endings)", "new\r\n"));
    assert!(b.refusal("create_file", json!({"path": "x", "content": ""})).contains("is a folder"));
    assert!(b.refusal("create_file", json!({"path": "old.txt/z", "content": ""})).contains("is a file, so"));
    assert!(b.refusal("create_file", json!({"path": "../z", "content": ""})).contains("outside the workspace"));
    assert!(!b.dir.path().parent().unwrap().join("z").exists());
}

#[test]
fn replacing_keeps_bom_endings_and_mode() {
    let b = Bench::new(&[("f", "\u{feff}a\r\nb\r\nc")]);
    fs::set_permissions(b.path("f"), fs::Permissions::from_mode(0o750)).unwrap();
    let args = json!({"path": "f", "replacements": [{"old_str": "a\nb\n", "new_str": "a\nB\nx\n"}, {"old_str": "c", "new_str": "C"}]});
    let out = b.call("replace_in_file", args).unwrap();
    assert_eq!(b.file("f"), "\u{feff}a\r\nB\r\nx\r\nC");
    assert_eq!(out.text, "edited f in 2 places: +3 -2 lines (matched apart from line endings, which were kept)");
    assert_eq!(fs::metadata(b.path("f")).unwrap().permissions().mode() & 0o777, 0o750);
    // Beside the path instead of in the list, under another tool's names.
    b.call("replace_in_file", json!({"file_path": "f", "old_string": "x", "new_string": "y"})).unwrap();
    assert_eq!(b.file("f"), "\u{feff}a\r\nB\r\ny\r\nC");
}

#[test]
fn a_refused_edit_changes_nothing() {
    let b = Bench::new(&[("f", "one\ntwo\n"), ("bin", "a\0b")]);
    let args = json!({"path": "f", "replacements": [{"old_str": "one", "new_str": "1"}, {"old_str": "tvo", "new_str": "2"}]});
    let r = b.refusal("replace_in_file", args);
    assert!(r.starts_with("f was not changed: replacement 2 of 2, so none was made: old_str was not found."), "{r}");
    assert_eq!(b.file("f"), "one\ntwo\n");
    assert!(b.refusal("replace_in_file", json!({"path": "bin", "old_str": "a", "new_str": "b"})).contains("binary file"));
    assert!(
        b.refusal("replace_in_file", json!({"path": "g", "old_str": "a", "new_str": "b"})).contains("to make a new file use create_file")
    );
    fs::set_permissions(b.path("f"), fs::Permissions::from_mode(0o444)).unwrap();
    let r = b.refusal("replace_in_file", json!({"path": "f", "old_str": "one", "new_str": "b"}));
    assert_eq!(r, "cannot write f: the file is read-only; `chmod u+w` allows it; nothing was changed");
    assert_eq!(b.file("f"), "one\ntwo\n");
}

#[test]
fn a_file_that_changed_since_it_was_read_is_a_conflict() {
    let b = Bench::new(&[("f", "one\n")]);
    let edit = json!({"path": "f", "old_str": "one", "new_str": "two"});
    b.text("read_file", json!({"path": "f"}));
    fs::write(b.path("f"), "one\nmore\n").unwrap();
    for (name, args) in [
        ("replace_in_file", edit.clone()),
        ("create_file", json!({"path": "f", "content": "x", "overwrite": true})),
        ("delete_file", json!({"path": "f"})),
    ] {
        let said = b.refusal(name, args);
        assert!(said.contains("f has changed since you read it"), "{name}");
        assert_eq!(said.contains("+more\n"), name != "delete_file", "{said}");
        assert_eq!(b.file("f"), "one\nmore\n");
    }
    b.text("read_file", json!({"path": "f"}));
    b.call("replace_in_file", edit).unwrap();
    // Its own write is not a conflict.
    b.call("replace_in_file", json!({"path": "f", "old_str": "two", "new_str": "three"})).unwrap();
    assert_eq!(b.file("f"), "three\nmore\n");
}

#[test]
fn a_hidden_secret_is_never_written_back() {
    let mut b = Bench::new(&[(".env", "DB_PASSWORD=hunter2hunter2\nPORT=1\n"), ("doc", "see [redacted:openai] there\n")]);
    let redactor = Redactor::default();
    redactor.learn("CANARY", "canary-value-0001");
    b.ctx.redactor = Arc::new(redactor);
    let seen = b.text("read_file", json!({"path": ".env"}));
    assert_eq!(seen, "DB_PASSWORD=[redacted:DB_PASSWORD]\nPORT=1\n");
    let r = b.refusal("create_file", json!({"path": ".env", "content": seen, "overwrite": true}));
    assert!(r.contains("stands for a secret that was hidden from you"), "{r}");
    let r = b.refusal("replace_in_file", json!({"path": ".env", "old_str": "DB_PASSWORD=[redacted:DB_PASSWORD]", "new_str": "A=1"}));
    assert!(r.contains("choose lines without it"), "{r}");
    let r = b.refusal("replace_in_file", json!({"path": ".env", "old_str": "PORT=1", "new_str": "P=[redacted:DB_PASSWORD]"}));
    assert!(r.contains("would destroy the secret"), "{r}");
    assert_eq!(b.file(".env"), "DB_PASSWORD=hunter2hunter2\nPORT=1\n");
    b.call("replace_in_file", json!({"path": "doc", "old_str": "see [redacted:openai]", "new_str": "say [redacted:openai]"})).unwrap();
    assert_eq!(b.text("shell", json!({"command": "echo canary-value-0001"})), "[redacted:CANARY]\n");
    let r = b.call("grep", json!({"pattern": "PASSWORD"})).unwrap();
    assert!(!r.text.contains("hunter2"));
    let out = b.call("replace_in_file", json!({"path": ".env", "old_str": "PORT=1", "new_str": "PORT=2"})).unwrap();
    assert!(!out.diff.unwrap().contains("hunter2"));
}

#[test]
fn a_part_of_a_private_key_is_hidden_too() {
    let key = format!("-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----\nafter\n", "QUJDREVGR0g\n".repeat(20));
    let b = Bench::new(&[("key", &key)]);
    let part = b.text("read_file", json!({"path": "key", "start_line": 5, "num_lines": 3}));
    assert!(!part.contains("QUJD") && part.contains("[redacted:private_key]"), "{part}");
    assert_eq!(b.text("read_file", json!({"path": "key", "start_line": 23})), "[lines 23-23 of 23]\nafter\n");
}

#[test]
fn deleting_takes_the_link_not_its_target_and_never_a_folder() {
    let b = Bench::new(&[("f", "1\n2\n"), ("d/x", ""), ("bin", "\0")]);
    symlink("f", b.path("l")).unwrap();
    symlink("/etc/passwd", b.path("out")).unwrap();
    assert_eq!(b.text("delete_file", json!({"path": "l"})), "deleted l");
    assert_eq!(b.call("delete_file", json!({"path": "out"})).unwrap().summary, "deleted (link to /etc/passwd)");
    assert!(Path::new("/etc/passwd").exists() && !b.path("out").is_symlink());
    let out = b.call("delete_file", json!({"path": "f"})).unwrap();
    assert_eq!((out.summary.as_str(), b.path("f").exists()), ("+0 -2", false));
    b.call("delete_file", json!({"path": "bin"})).unwrap();
    assert!(b.refusal("delete_file", json!({"path": "d"})).contains("is a folder; nothing was deleted"));
    assert!(b.refusal("delete_file", json!({"path": "."})).contains("is a folder"));
    assert_eq!(b.refusal("delete_file", json!({"path": "gone"})), "gone does not exist; . holds d");
}

#[test]
fn a_plan_tells_the_digests_that_the_call_then_makes() {
    let b = Bench::new(&[("f", "one\n"), ("g", "x")]);
    for (name, args) in [
        ("create_file", json!({"path": "new", "content": "n"})),
        ("replace_in_file", json!({"path": "f", "replacements": [{"old_str": "one", "new_str": "two"}]})),
        ("delete_file", json!({"path": "g"})),
    ] {
        let tool = b.tools.get(name).unwrap();
        let planned = b.plan(name, &args).unwrap();
        assert!(tool.preview(args.as_object().unwrap(), &b.ctx).unwrap().starts_with("--- "));
        let now = |path: &Path| fs::read(path).ok().map(|bytes| crate::base::digest::sha256(&bytes));
        assert_eq!(planned[0].before, now(&planned[0].path), "{name}");
        let Effect::Writes(paths) = tool.effect(args.as_object().unwrap(), &b.ctx).unwrap() else { panic!() };
        assert_eq!(paths, [planned[0].path.clone()]);
        let made = b.call(name, args).unwrap().changes;
        assert_eq!(made, planned, "{name}");
        assert_eq!(planned[0].after, now(&planned[0].path), "{name}");
    }
    let effect = |name: &str, args: Value| b.tools.get(name).unwrap().effect(args.as_object().unwrap(), &b.ctx);
    assert!(matches!(effect("shell", json!({"command": "ls"})), Ok(Effect::Exec)));
    assert!(matches!(effect("shell", json!({"comand": "ls"})), Err(ToolError::Model(m)) if m.contains("did you mean `command`?")));
    assert!(matches!(effect("grep", json!({})), Ok(Effect::ReadOnly)));
}

#[test]
fn a_command_says_how_it_ended() {
    let b = Bench::new(&[("sub/x", "")]);
    assert_eq!(b.text("shell", json!({"command": "true"})), "(no output)");
    assert_eq!(
        b.text("shell", json!({"command": "pwd; ls", "cwd": "sub"})),
        format!("{}\nx\n", b.ctx.workspace.root().join("sub").display())
    );
    let out = b.call("shell", json!({"command": "printf oops; exit 3"})).unwrap();
    assert_eq!((out.text.as_str(), out.summary.as_str()), ("oops\n[exit 3]", "exit 3"));
    let out = b.call("shell", json!({"command": "echo begun; sleep 300", "timeout_s": 1})).unwrap();
    assert!(out.text.starts_with("begun\n[timed out after 1 s; it and what it started were ended."), "{}", out.text);
    let out = b.text("shell", json!({"command": "sleep 300 & echo done"}));
    assert!(out.starts_with("done\n[ended 1 process that the command left running: sleep ("), "{out}");
    assert!(b.refusal("shell", json!({"command": " "})).contains("empty"));
    assert!(b.refusal("shell", json!({"command": "ls", "cwd": "nope"})).contains("nope does not exist"));
    assert!(b.refusal("shell", json!({"command": "ls", "cwd": "/"})).contains("outside the workspace"));
}

#[test]
fn a_commands_long_output_is_cut_in_the_middle_with_counts() {
    let b = Bench::new(&[]);
    let out = b.text("shell", json!({"command": "seq 1 100000"}));
    assert!(out.starts_with("1\n2\n") && out.ends_with("99999\n100000\n") && out.len() < 31_000, "{}", out.len());
    let (first, rest) = out.split_once("[... ").unwrap();
    let (cut, last) = rest.split_once(" cut ...]\n").unwrap();
    let number: usize = cut.split_once(" lines").unwrap().0.parse().unwrap();
    assert_eq!(first.lines().count() + number + last.lines().count(), 100_000);
}

#[test]
fn a_command_reports_live_and_is_cancelled() {
    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>, CancellationToken);
    impl CallEvents for Heard {
        fn output(&self, call: &str, text: &str) {
            self.0.lock().unwrap().push(format!("{call}: {text}"));
            self.1.cancel();
        }
        fn spawned(&self, call: &str, process: &Spawned) -> Result<(), Failure> {
            assert!(process.pid > 0 && process.start_time.is_some());
            self.0.lock().unwrap().push(format!("{call} spawned"));
            Ok(())
        }
    }
    let mut b = Bench::new(&[]);
    let heard = Arc::new(Heard::default());
    b.ctx.events = Arc::<Heard>::clone(&heard);
    b.ctx = b.ctx.for_call("c1", heard.1.clone());
    let out = b.call("shell", json!({"command": "echo hi; sleep 300"})).unwrap();
    assert_eq!((out.summary.as_str(), out.text.as_str()), ("cancelled", "hi\n[cancelled by the user; it and what it started were ended]"));
    assert_eq!(*heard.0.lock().unwrap(), ["c1 spawned", "c1: hi\n"]);
}

#[test]
fn people_get_one_line_whatever_the_arguments() {
    let b = Bench::new(&[]);
    let describe = |name: &str, args: Value| b.tools.get(name).unwrap().describe(args.as_object().unwrap());
    assert_eq!(describe("shell", json!({"command": "cargo test\nls", "cwd": "a"})), "shell: cargo test... (in a)");
    assert_eq!(describe("read_file", json!({"file_path": "a", "start_line": 5})), "read_file: a from line 5");
    assert_eq!(describe("replace_in_file", json!({"path": "a", "replacements": [1, 2]})), "replace_in_file: a (2 replacements)");
    for name in b.tools.names() {
        assert!(!describe(name, json!({})).contains('\n'));
    }
}

#[test]
fn a_registry_is_selected_by_pattern_and_names_what_it_has() {
    let all = Registry::builtin();
    let files = all.select(&["*_file".to_owned(), "grep".to_owned()]).unwrap();
    assert_eq!(files.names(), ["read_file", "grep", "create_file", "replace_in_file", "delete_file"]);
    assert_eq!(files.specs().len(), 5);
    assert!(files.get("shell").is_none() && all.select(&[]).unwrap().names().is_empty());
    // Patches are for those who are trained on them, or who ask.
    let any = all.select(&["*".to_owned()]).unwrap();
    assert!(any.get("apply_patch").is_none() && any.clone().suited_to(Some("claude-x")).get("apply_patch").is_none());
    assert!(any.suited_to(Some("openai/gpt-5.1")).get("apply_patch").is_some() && files.suited_to(None).specs().len() == 5);
    let reading = all.select(&["read_file".to_owned()]).unwrap().suited_to(Some("gpt-5"));
    assert_eq!(reading.names(), ["read_file"]);
    assert_eq!(all.select(&["apply_patch".to_owned()]).unwrap().names(), ["apply_patch"]);
    let e = all.select(&["shel".to_owned()]).err().unwrap();
    assert_eq!((e.message.as_str(), e.hint.as_deref()), ("no tool is named `shel`", Some("did you mean `shell`?")));
    assert!(all.select(&["[".to_owned()]).is_err());
    assert!(all.unknown("bash", true).starts_with("there is no tool `bash`. The tools are: list_files, "));
    let without = all.clone().unattended();
    assert!(without.unknown("ask_user_question", true).starts_with("nobody can be asked"));
    assert!(without.unknown("ask_user_question", false).starts_with("there is no tool `ask_user_question`"), "there is a person");
}

#[test]
fn the_argument_names_are_the_contract() {
    let contract = [
        ("list_files", "path", "recursive"),
        ("read_file", "path", "start_line num_lines"),
        ("grep", "pattern", "path glob ignore_case context"),
        ("create_file", "path content", "overwrite"),
        ("replace_in_file", "path replacements", ""),
        ("delete_file", "path", ""),
        ("shell", "command", "cwd timeout_s background tty"),
        ("todo", "todos", ""),
        ("ask_user_question", "question", "choices"),
        ("apply_patch", "patch", ""),
    ];
    let specs = Registry::builtin().specs();
    assert_eq!(specs.len(), contract.len());
    for (spec, (name, required, optional)) in specs.iter().zip(contract) {
        let properties: Vec<&str> = spec.parameters["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let wanted: Vec<&str> = required.split(' ').chain(optional.split_terminator(' ')).collect();
        assert_eq!((spec.name.as_str(), properties), (name, wanted));
        assert_eq!(spec.parameters["required"], json!(required.split(' ').collect::<Vec<_>>()));
    }
    let item = &specs[4].parameters["properties"]["replacements"]["items"];
    assert_eq!(item["required"], json!(["old_str", "new_str"]));
    assert!(item["properties"]["replace_all"]["type"] == "boolean");
}

#[test]
fn a_patch_is_applied_to_all_of_its_files_or_to_none() {
    let b = Bench::new(&[("a", "one\r\ntwo\r\n"), ("b", "b\n"), ("old", "x\ny\n"), ("there", "t\n")]);
    fs::set_permissions(b.path("old"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let patch = |parts: &str| json!({"patch": format!("*** Begin Patch\n{parts}*** End Patch")});
    let good = "*** Update File: a\n one\n-two\n+2\n*** Delete File: b\n*** Update File: old\n*** Move to: new/name\n-x\n+X\n*** Add File: c\n+c\n";
    for bad in [
        "*** Update File: gone\n-x\n+y\n",
        "*** Update File: there\n-x\n+y\n",
        "*** Add File: there\n+y\n",
        "*** Delete File: new\n*** Delete File: nothing\n",
        "*** Update File: there\n*** Move to: ../out\n",
        "*** Update File: there\n*** Move to: c\n",
        "*** Add File: b/below\n+x\n",
    ] {
        b.refusal("apply_patch", patch(&format!("{good}{bad}")));
        assert_eq!((b.file("a"), b.file("b"), b.file("old")), ("one\r\ntwo\r\n".into(), "b\n".into(), "x\ny\n".into()), "{bad}");
        assert!(!b.path("new").exists() && !b.path("c").exists(), "{bad}");
    }
    let said = b.text("apply_patch", patch(good));
    assert_eq!(said, "applied:\nM a\nD b\nR old -> new/name\nA c");
    assert_eq!((b.file("a"), b.file("new/name"), b.file("c")), ("one\r\n2\r\n".into(), "X\ny\n".into(), "c\n".into()));
    assert!(!b.path("b").exists() && !b.path("old").exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(b.path("new/name")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o755);
}
