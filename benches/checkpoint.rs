//! A mutating step in a large tree: the walk when nothing changed, and a whole step that changes one file.
#![allow(clippy::expect_used, reason = "a measurement that cannot go on says so by failing")]

use code_pup::tool::{self, Context, Registry};
use code_pup::workspace::Workspace;
use code_pup::workspace::checkpoint::{About, Keeper, Limits, Scope, Store};
use divan::Bencher;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

fn main() {
    divan::main();
}

const FOLDERS: usize = 1_000;
const FILES: usize = 100;

/// A tree of 100,000 files, and the folder of pup's state beside it.
static TREE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for folder in 0..FOLDERS {
        let at = dir.path().join(format!("tree/{}/{folder}", folder % 10));
        fs::create_dir_all(&at).expect("a folder");
        for file in 0..FILES {
            fs::write(at.join(format!("file-{file}.txt")), format!("{folder} {file}\n")).expect("a file");
        }
    }
    dir
});

fn keeper() -> Keeper {
    let root = TREE.path().join("tree").canonicalize().expect("the tree");
    let keeper = Keeper::new(Store::new(&root, &TREE.path().join("state"), Limits::default()));
    keeper.warm().expect("the first checkpoint");
    // Files that were written a moment ago are read once more.
    std::thread::sleep(std::time::Duration::from_millis(50));
    keeper.warm().expect("the second checkpoint");
    keeper
}

#[divan::bench(sample_count = 10)]
fn walk_100_000_unchanged(bencher: Bencher<'_, '_>) {
    let keeper = keeper();
    bencher.bench_local(|| keeper.warm().expect("a walk"));
}

#[divan::bench(sample_count = 10)]
fn step_of_one_file_in_100_000(bencher: Bencher<'_, '_>) {
    let keeper = keeper();
    let changed = TREE.path().join("tree/3/3/file-3.txt");
    let mut n = 0;
    bencher.bench_local(|| {
        n += 1;
        step(&keeper, &Scope::Tree, &changed, n);
    });
}

/// An edit's paths are known: nothing is walked.
#[divan::bench(sample_count = 20)]
fn edit_of_one_file_in_100_000(bencher: Bencher<'_, '_>) {
    let keeper = keeper();
    let changed = TREE.path().canonicalize().expect("the tree").join("tree/4/4/file-4.txt");
    let mut n = 0;
    bencher.bench_local(|| {
        n += 1;
        step(&keeper, &Scope::Paths(vec![changed.clone()]), &changed, n);
    });
}

fn step(keeper: &Keeper, scope: &Scope, changed: &Path, n: usize) {
    let begun = keeper.begin(About::default(), scope).expect("a checkpoint");
    fs::write(changed, format!("change {n}\n")).expect("the change");
    keeper.end(begun.open).expect("a record").expect("a step that changed something");
}

/// One line in the middle of a file of 10 MB, by the tool: read, found, compared, written and synced.
#[divan::bench(sample_count = 10)]
fn edit_of_a_10_mb_file(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let lines: Vec<String> = (0..160_000).map(|n| format!("line {n:06} of a file that is rather long, and goes on\n")).collect();
    fs::write(dir.path().join("big.txt"), lines.concat()).expect("the file");
    let context = Context::new(Workspace::open(dir.path()).expect("the folder"));
    let tools = Registry::builtin();
    let tool = tools.get("replace_in_file").expect("the tool");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let line = |n: usize| if n == 0 { "line 080000 of".to_owned() } else { format!("changed {n} times, the line of") };
    let mut n = 0;
    bencher.bench_local(|| {
        let edit = json!({"path": "big.txt", "replacements": [{"old_str": line(n), "new_str": line(n + 1)}]});
        n += 1;
        let done = runtime.block_on(tool::call(tool.as_ref(), edit.as_object().expect("arguments"), &context));
        assert!(done.is_ok(), "the edit");
    });
}
