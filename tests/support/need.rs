//! What a test needs from outside: without it the test says SKIP and passes, unless `PUP_REQUIRE_ALL=1` makes it fail.

use std::path::{Path, PathBuf};

/// The package's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of recorded provider traffic: `$PUP_SHARED/recordings`, else `../shared/recordings` beside the checkout.
pub fn recordings() -> Option<PathBuf> {
    let shared = std::env::var_os("PUP_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let folder = shared.join("recordings");
    found(folder.is_dir(), &format!("the recordings ({}; PUP_SHARED names their parent folder)", folder.display())).then_some(folder)
}

/// Whether a program is on the PATH.
pub fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    found(std::env::split_paths(&path).any(|folder| folder.join(name).is_file()), &format!("the program `{name}`"))
}

/// The folder of Node's packages that holds this one: `$PUP_NODE_MODULES`, else `pup-tests/node_modules` of the user's cache,
/// where `.ci/run` puts it.
pub fn node_package(name: &str) -> Option<PathBuf> {
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = std::env::var_os("PUP_NODE_MODULES").map(PathBuf::from).or_else(|| Some(cache?.join("pup-tests/node_modules")))?;
    let there = program("node") && found(folder.join(name).is_dir(), &format!("the Node package `{name}` ({})", folder.display()));
    there.then_some(folder)
}

/// Whether the surroundings give `what`.
pub fn given(there: bool, what: &str) -> bool {
    found(there, what)
}

fn found(there: bool, what: &str) -> bool {
    let required = std::env::var_os("PUP_REQUIRE_ALL").is_some_and(|v| v == "1");
    assert!(there || !required, "PUP_REQUIRE_ALL=1, and {what} is missing");
    if !there {
        println!("SKIP {}: {what} is missing", std::thread::current().name().unwrap_or("test"));
    }
    there
}
