//! The shape of the source, held by a test: who imports whom, what no line may say, how large a file may grow.

mod source;

use crate::support::need;
use regex::Regex;
use source::{blank, code_lines, line_of, without_tests};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The rows of `docs/ARCHITECTURE.md`. A module imports only from rows above its own, which have the lower number.
const ROWS: [&[&str]; 9] = [
    &["base"],
    &["model"],
    &["wire", "catalog", "config"],
    &["store", "auth", "provider", "session"],
    &["route", "workspace", "mcp"],
    &["tool"],
    &["agent"],
    &["plugin", "batch"],
    &["gateway", "acp", "repl", "cli"],
];

/// Imports inside one row: who, whom, and why there is no better way.
const SAME_ROW: [(&str, &str, &str); 2] = [
    ("provider", "auth", "a provider sends the key that auth found; the type that hides it from logs is auth's"),
    ("repl", "cli", "the chat is one more face over the engine, selection and output that `pup run` has; the binary hands it to cli"),
];

const MAX_LINES: usize = 800;
const LONG_LINES: usize = 500;
const MAX_MAIN: usize = 60;
const MAX_PACKAGES: usize = 560;

/// Dependencies so heavy that a second version of them is a mistake.
const ONCE: [&str; 4] = ["reqwest", "hyper", "rustls", "tokio"];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|modules| modules.contains(&module))
}

/// One file of the project; the path is relative to the package's root, with `/`.
struct File {
    path: String,
    text: String,
    code: String,
    /// The code without its tests; empty where the file holds nothing else.
    shipped: String,
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let code = blank(&text);
        let shipped = if is_test_file(path) { String::new() } else { without_tests(&code) };
        Self { path: path.to_owned(), text, code, shipped }
    }

    /// `lib` and `main` are the whole's, every other file of `src` belongs to the module that it is under.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    /// How many steps of `super` lead out of the file's module to the crate's root.
    fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        inside.split('/').count()
    }
}

fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with("_tests.rs") || name == "tests.rs" || path.contains("/tests/")
}

/// A name used through `crate::`, or through so many `super::` that it comes to the same.
#[derive(Debug, PartialEq, Eq)]
struct Import {
    line: usize,
    target: String,
}

fn imports(file: &File) -> Vec<Import> {
    let mut found = Vec::new();
    through_crate(&file.code, &mut found);
    through_super(&file.shipped, file.depth(), &mut found);
    found
}

fn through_crate(code: &str, found: &mut Vec<Import>) {
    static CRATE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bcrate\s*::\s*").unwrap());
    for hit in CRATE.find_iter(code) {
        let line = line_of(code, hit.start());
        found.extend(heads(&code[hit.end()..]).into_iter().map(|target| Import { line, target }));
    }
}

fn through_super(code: &str, depth: usize, found: &mut Vec<Import>) {
    static SUPERS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:super\s*::\s*)+").unwrap());
    for hit in SUPERS.find_iter(code) {
        if hit.as_str().matches("super").count() >= depth {
            let line = line_of(code, hit.start());
            found.extend(heads(&code[hit.end()..]).into_iter().map(|target| Import { line, target }));
        }
    }
}

/// The first names of what follows a `::`: one, or each of a group, however deep the groups inside it are.
fn heads(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '*')).collect::<String>();
    if !rest.starts_with('{') {
        return vec![name(rest)];
    }
    let (mut depth, mut start, mut out) = (0, 1, Vec::new());
    for (i, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            out.push(name(&rest[start..i]));
            start = i + 1;
        }
        if depth == 0 {
            break;
        }
    }
    out.retain(|n| !n.is_empty());
    out
}

/// Imports that go up or sideways. `used` learns which entries of the allow-list were needed.
fn wrong_edges(file: &File, allowed: &[(&str, &str, &str)], used: &mut BTreeSet<(String, String)>) -> Vec<String> {
    let Some(from) = file.module() else { return Vec::new() };
    let Some(mine) = row(from) else {
        return vec![format!("{}: the module `{from}` has no row in docs/ARCHITECTURE.md and tests/it/architecture.rs", file.path)];
    };
    let mut wrong = Vec::new();
    for Import { line, target } in imports(file) {
        let Some(theirs) = row(&target) else {
            wrong.push(format!("{}:{line}: `crate::{target}` is no module with a row; name the module that has it", file.path));
            continue;
        };
        if theirs < mine || target == from {
            continue;
        }
        if theirs == mine && allowed.iter().any(|(a, b, _)| *a == from && *b == target) {
            used.insert((from.to_owned(), target));
            continue;
        }
        let way = if theirs == mine { "sideways" } else { "up" };
        wrong.push(format!("{}:{line}: `{from}` (row {mine}) imports {way} from `{target}` (row {theirs})", file.path));
    }
    wrong
}

/// Ways to crash that a user could meet.
fn crashes(file: &File) -> Vec<String> {
    static CRASH: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\.\s*unwrap\s*\(\s*\)|\.\s*expect\s*\(|::\s*(?:unwrap|expect)\b|\b(?:panic|todo|unimplemented)\s*!").unwrap()
    });
    let say = |hit: regex::Match<'_>| {
        let (line, what) = (line_of(&file.shipped, hit.start()), hit.as_str().split_whitespace().collect::<String>());
        format!("{}:{line}: `{what}` outside tests; return an error", file.path)
    };
    if file.path.starts_with("src/") { CRASH.find_iter(&file.shipped).map(say).collect() } else { Vec::new() }
}

/// Its size in code lines: the shipped ones where it ships any, else its own.
fn size(file: &File) -> usize {
    code_lines(if file.shipped.is_empty() || !file.path.starts_with("src/") { &file.code } else { &file.shipped })
}

fn untitled(file: &File) -> Option<String> {
    let first = file.text.lines().next().unwrap_or_default();
    let titled = first.strip_prefix("//!").is_some_and(|rest| rest.trim().len() > 10);
    (!titled).then(|| format!("{}: its first line is no `//!` that tells its subject", file.path))
}

/// Name and versions of the packages in a lock file.
fn packages(lock: &str) -> BTreeMap<&str, Vec<&str>> {
    let value = |line: &'static str| move |l: &&str| l.starts_with(line);
    let quoted = |l: &'_ str| -> Option<(usize, usize)> { Some((l.find('"')? + 1, l.rfind('"')?)) };
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for block in lock.split("[[package]]").skip(1) {
        let field = |name| block.lines().find(value(name)).and_then(|l| quoted(l).and_then(|(a, b)| l.get(a..b)));
        if let (Some(name), Some(version)) = (field("name = "), field("version = ")) {
            all.entry(name).or_default().push(version);
        }
    }
    all
}

/// What semver calls incompatible: the first number, or the first two where the first is 0.
fn major(version: &str) -> String {
    let parts: Vec<&str> = version.split('.').collect();
    let count = if parts.first() == Some(&"0") { 2 } else { 1 };
    parts.into_iter().take(count).collect::<Vec<_>>().join(".")
}

fn heavy(lock: &str) -> Vec<String> {
    let all = packages(lock);
    let count: usize = all.values().map(Vec::len).sum();
    let mut wrong = Vec::new();
    if count > MAX_PACKAGES {
        wrong.push(format!("Cargo.lock holds {count} packages, the cap is {MAX_PACKAGES}"));
    }
    for name in ONCE {
        let majors: BTreeSet<String> = all.get(name).into_iter().flatten().map(|v| major(v)).collect();
        if majors.len() > 1 {
            wrong.push(format!("Cargo.lock holds {name} in {majors:?}; cargo tree -i {name}@VERSION says who brings the second"));
        }
    }
    wrong
}

fn project() -> Vec<File> {
    let root = need::root();
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches"] {
        walk(&root.join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        File::new(&name, fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}")))
    };
    paths.into_iter().map(read).collect()
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} to mend:\n  {}", wrong.len(), wrong.join("\n  "));
}

#[test]
fn imports_point_down_only() {
    let (files, mut used) = (project(), BTreeSet::new());
    let mut wrong: Vec<String> = files.iter().flat_map(|f| wrong_edges(f, &SAME_ROW, &mut used)).collect();
    for (from, to, why) in SAME_ROW {
        if !used.contains(&(from.to_owned(), to.to_owned())) {
            wrong.push(format!("the allow-list lets {from} import from {to}, and nothing does: take it out"));
        }
        if row(from) != row(to) || why.len() < 20 || used.contains(&(to.to_owned(), from.to_owned())) {
            wrong.push(format!("the allow-list's {from} -> {to}: one row, one direction, and a reason"));
        }
    }
    none(&wrong);
    let modules = files.iter().filter_map(File::module).collect::<BTreeSet<_>>();
    assert!(modules.len() > 8 && files.iter().any(|f| !imports(f).is_empty()), "the test does not see the source: {modules:?}");
}

#[test]
fn nothing_crashes_on_purpose() {
    none(&project().iter().flat_map(crashes).collect::<Vec<_>>());
}

#[test]
fn files_have_one_subject_each() {
    let files = project();
    let mut wrong: Vec<String> = files.iter().filter_map(untitled).collect();
    for file in &files {
        let lines = size(file);
        if lines > MAX_LINES {
            wrong.push(format!("{}: {lines} code lines, the cap is {MAX_LINES}; which second subject moved in?", file.path));
        } else if lines > LONG_LINES {
            println!("long: {} has {lines} code lines", file.path);
        }
    }
    let main = files.iter().find(|f| f.path == "src/main.rs").map_or(usize::MAX, |f| f.text.lines().count());
    if main >= MAX_MAIN {
        wrong.push(format!("src/main.rs: {main} lines; it only hands over, in less than {MAX_MAIN}"));
    }
    none(&wrong);
}

#[test]
fn the_tree_of_dependencies_stays_light() {
    let lock = fs::read_to_string(need::root().join("Cargo.lock")).unwrap();
    assert!(packages(&lock).contains_key("tokio"), "the lock file is not understood");
    none(&heavy(&lock));
}

#[test]
fn the_document_names_the_same_rows() {
    let text = fs::read_to_string(need::root().join("docs/ARCHITECTURE.md")).unwrap();
    let lib = blank(&fs::read_to_string(need::root().join("src/lib.rs")).unwrap());
    let built: Vec<&str> = lib.lines().filter_map(|l| l.trim().strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(!built.is_empty());
    for module in built {
        let row = row(module).unwrap_or_else(|| panic!("`{module}` of src/lib.rs has no row"));
        let named = text.lines().any(|l| l.starts_with(&format!("| {row} |")) && l.contains(&format!("`{module}`")));
        assert!(named, "docs/ARCHITECTURE.md does not name `{module}` in row {row}");
    }
}

mod planted {
    //! The checks find what they are for.
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File::new(path, text.to_owned())
    }

    fn edges(path: &str, text: &str) -> Vec<String> {
        wrong_edges(&file(path, text), &[("config", "catalog", "a reason")], &mut BTreeSet::new())
    }

    #[test]
    fn upward_imports_in_any_dress() {
        let rows = [
            "use crate::agent::Turn;",
            "pub(crate) use crate::agent::Turn;",
            "use crate::{base::{Failure, text}, agent::{Turn, x::{self, y}}};",
            "use crate::{\n    base,\n    agent,\n};",
            "fn f() { let x = crate::agent::turn(); }",
            "type T = Vec<crate :: agent :: Turn>;",
            "use super::super::agent::Turn;",
            "use super::super::{base, agent};",
            "#[cfg(test)] mod tests { use crate::agent::Turn; }",
            "macro_rules! m { () => { $crate::agent::x() } }",
        ];
        for text in rows {
            let found = edges("src/wire/sse.rs", text);
            assert!(found.len() == 1 && found[0].contains("imports up from `agent`"), "{text}: {found:?}");
        }
    }

    #[test]
    fn sideways_needs_the_list_and_down_does_not() {
        assert!(edges("src/config/mod.rs", "use crate::wire::Wire;")[0].contains("sideways"));
        assert_eq!(edges("src/config/mod.rs", "use crate::catalog::x;"), Vec::<String>::new());
        assert!(edges("src/catalog/mod.rs", "use crate::config::x;")[0].contains("sideways"));
        let fine = "use crate::{base::text, model::{Message, Role}};\nuse super::super::model;\nuse super::other;\n// crate::cli\nlet s = \"crate::cli\";";
        assert_eq!(edges("src/wire/sse.rs", fine), Vec::<String>::new());
        assert_eq!(edges("src/main.rs", "use crate::cli::x;"), Vec::<String>::new());
        assert!(edges("src/wire/a.rs", "use crate::Thing;")[0].contains("no module with a row"));
        assert!(edges("src/wire/a.rs", "use crate::*;")[0].contains("no module with a row"));
        assert!(edges("src/odd/a.rs", "")[0].contains("has no row"));
    }

    #[test]
    fn lines_are_named() {
        assert!(edges("src/wire/a.rs", "/* a\n b */\nuse crate::base::x;\n\nuse crate::tool::y;")[0].starts_with("src/wire/a.rs:5:"));
        assert!(crashes(&file("src/wire/a.rs", "fn f() {\n  x.unwrap()\n}"))[0].starts_with("src/wire/a.rs:2:"));
    }

    #[test]
    fn crashes_in_any_dress_but_not_in_tests_comments_or_strings() {
        let bad = [
            "x.unwrap();",
            "x\n    .unwrap()",
            "x.expect(\"y\")",
            "map(Option::unwrap)",
            "panic!(\"x\")",
            "todo!()",
            "unimplemented!()",
            "std::panic!()",
        ];
        for text in bad {
            assert_eq!(crashes(&file("src/wire/a.rs", text)).len(), 1, "{text}");
        }
        let good = "// x.unwrap()\n\"todo!()\";\nx.unwrap_or(y);\n#[expect(dead_code)]\nx.expected();\n#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }";
        assert_eq!(crashes(&file("src/wire/a.rs", good)), Vec::<String>::new());
        assert_eq!(crashes(&file("src/wire/a_tests.rs", "x.unwrap()")), Vec::<String>::new());
        let after = "#[cfg(test)]\nmod tests { }\nfn f() { x.unwrap() }";
        assert_eq!(crashes(&file("src/wire/a.rs", after)).len(), 1);
    }

    #[test]
    fn titles_and_sizes() {
        assert!(untitled(&file("src/a.rs", "use x;\n//! late")).is_some());
        assert!(untitled(&file("src/a.rs", "//!\n")).is_some());
        assert!(untitled(&file("src/a.rs", "//! One subject.\n")).is_none());
        let body = "let a = 1; // x\n\n// only a comment\n".repeat(5);
        let tests = "#[cfg(test)]\nmod t {\n  fn x() {}\n}\n";
        assert_eq!(size(&file("src/a/b.rs", &format!("{body}{tests}"))), 5);
        assert_eq!(size(&file("src/a/b_tests.rs", &body)), 5);
        assert_eq!(size(&file("tests/it/b.rs", &format!("{body}{tests}"))), 9);
    }

    #[test]
    fn a_second_heavy_version_and_a_crowd() {
        let package = |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n");
        let twice = package("reqwest", "0.12.9") + &package("reqwest", "0.13.5") + &package("tokio", "1.0.0") + &package("tokio", "1.54.0");
        let found = heavy(&twice);
        assert!(found.len() == 1 && found[0].contains("reqwest"), "{found:?}");
        let crowd: String = (0..=MAX_PACKAGES).map(|i| package(&format!("p{i}"), "1.0.0")).collect();
        assert!(heavy(&crowd)[0].contains("561 packages"));
    }
}
