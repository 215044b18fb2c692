//! `pup doctor`: looks at everything that a run needs, and says what to do about what is missing.

use super::app::App;
use super::{auth_logins, print};
use crate::base::places::Places;
use crate::base::{Cause, Failure};
use crate::provider::local;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// Works, but worth knowing.
    Note,
    Wrong,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: State, what: impl Into<String>) -> Self {
        Self { name, state, what: what.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn wrong(name: &'static str, failure: &Failure) -> Self {
        Self { name, state: State::Wrong, what: failure.message.clone(), hint: failure.hint.clone() }
    }
}

/// Prints the findings; the exit code is that of the first thing that keeps a run from working.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<u8, Failure> {
    let mut checks = Vec::new();
    let mut code = 0;
    match Places::from_env() {
        Ok(places) => checks.push(folders(&places)),
        Err(failure) => {
            code = failure.cause.exit_code();
            checks.push(Check::wrong("folders", &failure));
        }
    }
    match App::load(Path::new("."), &[]) {
        Ok(app) => {
            checks.push(Check::new("config", State::Ok, "settings, catalogue and agents load"));
            checks.extend(app.note.clone().map(|n| Check::new("trust", State::Note, n)));
            let models = models(&app)?;
            if !models.iter().any(|c| c.state == State::Ok) {
                code = Cause::Auth.exit_code();
            }
            checks.extend(models);
            checks.push(shared(&app));
        }
        Err(failure) if code == 0 => {
            code = failure.cause.exit_code();
            checks.push(Check::wrong("config", &failure));
        }
        Err(_) => {}
    }
    checks.extend([terminal(), git(), sandbox()]);
    let next = match code {
        0 => "pup run \"what does this project do?\"",
        4 => "pup demo   (needs no key), or set a key: export OPENAI_API_KEY=...",
        _ => "mend what is marked `wrong`, then: pup doctor",
    };
    if args.json {
        print::json(out, &serde_json::json!({"ok": code == 0, "exit_code": code, "checks": checks, "next": next}))?;
        return Ok(code);
    }
    for check in &checks {
        let mark = match check.state {
            State::Ok => "ok   ",
            State::Note => "note ",
            State::Wrong => "wrong",
        };
        print::line(out, &format!("{mark} {}: {}", check.name, check.what))?;
        for line in check.hint.iter().flat_map(|h| h.lines()) {
            print::line(out, &format!("      {line}"))?;
        }
    }
    print::line(out, &format!("\nnext: {next}"))?;
    Ok(code)
}

fn folders(places: &Places) -> Check {
    // The nearest folder that exists decides whether the rest can be made.
    let unwritable = [&places.config, &places.state].into_iter().find_map(|folder| {
        let existing = folder.ancestors().find(|p| p.exists())?;
        let probe = tempfile::Builder::new().prefix(".pup-").tempfile_in(existing);
        probe.err().map(|e| Failure::io("write to", existing, &e))
    });
    match unwritable {
        Some(failure) => Check::wrong("folders", &failure.hint("give write access, or keep pup's files elsewhere: PUP_HOME=DIR")),
        None => Check::new("folders", State::Ok, format!("config {}, state {}", places.config.display(), places.state.display())),
    }
}

/// What all pups of this user share: costs, rests, limits.
fn shared(app: &App) -> Check {
    match app.store() {
        Ok(store) => match &store.note {
            Some(note) => Check::new("state", State::Note, note.clone()),
            None => Check::new("state", State::Ok, "costs, rests and limits are kept"),
        },
        Err(failure) => Check::wrong("state", &failure),
    }
}

/// Keys (masked) and local servers.
fn models(app: &App) -> Result<Vec<Check>, Failure> {
    let mut checks = Vec::new();
    let keys = app.keys(&app.redactor)?;
    for provider in app.catalog.providers() {
        for known in keys.of(provider).iter() {
            let key = &known.key;
            let what = match key.at_hand() {
                Some(secret) => format!("{}: {} = {}", provider.id, key.label(), secret.masked()),
                None => format!("{}: {} is in the {}", provider.id, key.label(), key.source().as_str()),
            };
            checks.push(known.why_out(&provider.id).map_or_else(|| Check::new("key", State::Ok, what), |f| Check::wrong("key", &f)));
        }
    }
    for login in auth_logins::found(app, &keys) {
        let what = format!("{}: {}", login.provider, login.lines().iter().map(|l| l.trim()).collect::<Vec<_>>().join("; "));
        let state = if login.is_usable() { State::Ok } else { State::Wrong };
        checks.push(Check::new("login", state, what));
    }
    if let Err(failure) = keys.vault() {
        checks.push(Check::wrong("vault", failure));
    }
    let said = keys.file_notes().into_iter().filter(|_| keys.vault().is_ok()).chain(keys.exposed());
    checks.extend(said.map(|n| Check::new("vault", State::Note, n)));
    if !checks.iter().any(|c| matches!(c.name, "key" | "login")) {
        checks.push(Check::new("key", State::Note, "no provider's key is set, and there is no login"));
    }
    let servers = super::select::on_this_machine(local::find(&app.pool))?;
    for server in &servers {
        let names = server.models.join(", ");
        checks.push(Check::new(
            "local",
            State::Ok,
            format!("{} at {}: {}", server.software.name(), server.base_url, crate::base::text::one_line(&names, 120)),
        ));
    }
    if servers.is_empty() {
        checks.push(Check::new(
            "local",
            State::Note,
            "no model server answers on this machine (Ollama 11434, llama.cpp 8080, LM Studio 1234)",
        ));
    }
    Ok(checks)
}

fn terminal() -> Check {
    let (input, output) = (std::io::stdin().is_terminal(), std::io::stdout().is_terminal());
    let term = std::env::var("TERM").unwrap_or_else(|_| "not set".to_owned());
    if input && output {
        Check::new("terminal", State::Ok, format!("TERM is {term}"))
    } else {
        Check::new("terminal", State::Note, "no terminal on both sides: nothing can be asked, so commands need `--approve all`")
    }
}

fn git() -> Check {
    let asked = Command::new("git").arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    match asked {
        Ok(out) if out.status.success() => Check::new("git", State::Ok, String::from_utf8_lossy(&out.stdout).trim().to_owned()),
        _ => Check::new("git", State::Note, "git is not found").hint("install it to let agents look at history and branches"),
    }
}

/// What the system offers; pup uses none of it yet.
fn sandbox() -> Check {
    let landlock = std::fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|l| l.contains("landlock"));
    let what = if landlock { "the kernel has Landlock" } else { "no Landlock seen in this kernel" };
    Check::new("sandbox", State::Note, format!("{what}; this version runs commands without a sandbox"))
        .hint("for code that you do not trust, use a container or a virtual machine")
}
