//! Opening an address in the user's browser, where there is one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the opener may take to say that it failed; the browser itself may run on.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens `url`; whether some program took it. Over SSH and without a screen there is no browser to open.
pub fn open(url: &str, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).is_some_and(|v| !v.is_empty());
    if let Some(browser) = env("BROWSER").filter(|b| !b.trim().is_empty()) {
        return run(browser.trim(), &[url]);
    }
    if cfg!(target_os = "macos") {
        return run("open", &[url]);
    }
    if cfg!(windows) {
        // Not `cmd /c start`: it would read the ampersands of the address as its own.
        return run("rundll32", &["url.dll,FileProtocolHandler", url]);
    }
    if !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        return false;
    }
    run("xdg-open", &[url])
}

fn run(program: &str, args: &[&str]) -> bool {
    let started = Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = started else { return false };
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => return false,
        }
    }
    // Still running: it is the browser.
    true
}
