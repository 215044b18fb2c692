//! A mutating step in a large tree: the walk when nothing changed, and a whole step that changes one file.
#![allow(clippy::expect_used, reason = "a measurement that cannot go on says so by failing")]

use code_pup::workspace::checkpoint::{About, Keeper, Limits, Scope, Store};
use divan::Bencher;
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
