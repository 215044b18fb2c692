//! The binary: `--version` at once, everything else in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    code_pup::cli::main(args, code_pup::repl::run)
}
