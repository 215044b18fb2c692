//! Whole processes: `--version` beside an empty Rust program, and a run of one and of twenty turns against a server that
//! answers at once.
//!
//! `cargo bench --bench startup` builds pup in release first. Each figure is from start to exit; what `empty` costs is the floor that nobody gets below.

#![allow(clippy::expect_used, clippy::panic, reason = "a bench that cannot go on says so by failing")]

use divan::Bencher;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use support::{Reply, Server, TestEnv};

#[path = "../tests/support/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "the integration tests' tool box; two of its tools are used here"
)]
mod support;

fn main() {
    divan::main();
}

/// The floor: a process that does nothing, with the same standard library under it.
#[divan::bench]
fn empty(bencher: Bencher<'_, '_>) {
    let Some(program) = empty_program() else { return };
    let env = TestEnv::new();
    let launch = env.command(program);
    bencher.bench_local(|| assert!(launch.timed().success()));
}

#[divan::bench]
fn version(bencher: Bencher<'_, '_>) {
    let env = TestEnv::new();
    let launch = env.pup().arg("--version");
    bencher.bench_local(|| assert!(launch.timed().success()));
}

/// A task of N shell turns and an answer, journal and all. One environment for all rounds, as a person has one HOME.
#[divan::bench(args = [0, 1, 20], sample_count = 30)]
fn run(bencher: Bencher<'_, '_>, turns: usize) {
    let step = |n: usize| Reply::tool_call("shell", serde_json::json!({ "command": format!("echo t{n} >> trace.log") }));
    let server = Server::turns((0..turns).map(step).chain([Reply::text("Done.")]));
    let env = TestEnv::new();
    let launch = env.pup().args(["run", "--yolo", "--model", "openai/mock-model", "Do the steps."]).model_server(&server);
    bencher.bench_local(|| assert!(launch.timed().success()));
}

/// Compiled once by the compiler that cargo uses; without one there is nothing to compare with.
fn empty_program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let made = PROGRAM.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
        let mut compiler = Command::new(rustc);
        compiler.args(["-O", "-Cstrip=symbols", "--crate-name=empty", "-", "-o"]).arg(&out).stdin(Stdio::piped());
        let mut compiler = compiler.spawn().ok()?;
        compiler.stdin.take()?.write_all(b"fn main() {}").ok()?;
        compiler.wait().ok()?.success().then_some(out)
    });
    made.as_deref()
}
