//! `pup demo`: the real loop, tools and journal on a throw-away project with a failing test, against the built-in
//! scripted providers: the first is out, and the second's stream is cut once on the way. No account, no network.

use super::engine::{Audience, Parts};
use super::output::Format;
use super::work::{self, Job, Task};
use crate::agent::{Approve, Compacting, Limits};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure, atomic};
use crate::catalog::{Agents, DEFAULT_AGENT, Skills};
use crate::config::Failover;
use crate::config::instructions::Sources;
use crate::provider::scripted::{Fault, FaultKind, Scene};
use crate::provider::{Provider, Scripted};
use crate::route::{Link, Rotation, Rules};
use crate::tool;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two pieces of the scripted stream: fast, but a person sees it flow.
const PACE: Duration = Duration::from_millis(12);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the result object only
    #[arg(long)]
    pub json: bool,
    /// Work in DIR (created if missing) and leave it there
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Never use colour
    #[arg(long)]
    pub no_color: bool,
}

const GREET: &str = "#!/bin/sh\n# Prints a greeting for each name it is given.\n\ngreet() {\n    printf 'Hello, %s!\\n' \"$2\"\n}\n\nfor name in \"$@\"; do\n    greet \"$name\"\ndone\n";

const CHECK: &str = "#!/bin/sh\n# The project's test: greet.sh must greet everybody by name.\n\ncd \"$(dirname \"$0\")\" || exit 1\nwant='Hello, Ada!\nHello, Grace!'\ngot=$(sh greet.sh Ada Grace)\nif [ \"$got\" = \"$want\" ]; then\n    echo 'ok: everybody is greeted by name'\nelse\n    echo 'FAILED: wrong greeting'\n    echo \"  want: $want\"\n    echo \"  got:  $got\"\n    exit 1\nfi\n";

/// The defect and its repair.
const WRONG: &str = "\"$2\"";
const RIGHT: &str = "\"$1\"";

const TASK: &str = "The test `sh check.sh` fails. Find out why, fix it, and show that it passes.";

/// What the scripted model does. Its third reply is cut in the middle of its text.
fn scenes() -> Vec<Scene> {
    vec![
        Scene {
            text: "I will look at the project first.",
            calls: vec![
                ("list_files", json!({"path": "."})),
                ("read_file", json!({"path": "check.sh"})),
                ("read_file", json!({"path": "greet.sh"})),
            ],
        },
        Scene { text: "Now the test, to see how it fails.", calls: vec![("shell", json!({"command": "sh check.sh"}))] },
        Scene {
            text: "greet.sh prints its second argument, but the function gets only one: the name is $1. I will change that line.",
            calls: vec![("replace_in_file", json!({"path": "greet.sh", "replacements": [{"old_str": WRONG, "new_str": RIGHT}]}))],
        },
        Scene { text: "The test again.", calls: vec![("shell", json!({"command": "sh check.sh"}))] },
        Scene {
            text: "Fixed: `greet` in greet.sh used `$2`, which a function with one argument does not have, so every greeting lost its name. It prints `$1` now, and `sh check.sh` passes.",
            calls: vec![],
        },
    ]
}

/// The two plugs that are pulled: the first link is out from the start, the second loses a reply half-way.
const OUT: Fault = Fault { request: 0, kind: FaultKind::RateLimit { retry_after_s: 600 } };
const CUT: Fault = Fault { request: 2, kind: FaultKind::CutAfter(1400) };

pub fn run(args: &Args) -> u8 {
    match demo(args) {
        Ok(code) => code,
        Err(failure) => work::report(&failure, if args.json { Format::Json } else { Format::Text }),
    }
}

fn demo(args: &Args) -> Result<u8, Failure> {
    let temp =
        tempfile::Builder::new().prefix("pup-demo-").tempdir().map_err(|e| Failure::io("create a folder in", &std::env::temp_dir(), &e))?;
    let root = match &args.keep {
        Some(dir) => dir.clone(),
        None => temp.path().join("greeting"),
    };
    lay_out(&root)?;
    // Where there is no home, or none to write in, the journal is real all the same: it goes with the throw-away folder.
    let own = Places::from_env().ok().filter(can_record);
    let record = if own.is_some() { Record::Stays } else { Record::ThrownAway };
    let places = own.unwrap_or_else(|| Places::under(&temp.path().join("pup")));
    let pace = if args.json { Duration::ZERO } else { PACE };
    let link = |id: &str, fault| {
        let provider = Provider::Scripted(Scripted::new(id, scenes(), vec![fault], pace));
        Link::new(format!("{id}/demo"), "demo".to_owned(), provider, None)
    };
    let parts = Parts {
        root: root.clone(),
        home: None,
        session: None,
        below: None,
        agent: Agents::load(&places, None, tool::NAMES)?.get(DEFAULT_AGENT)?,
        links: vec![link("first", OUT), link("second", CUT)],
        approve: Approve::All,
        limits: Limits { max_turns: 20, loop_guard: 5 },
        tool_limits: tool::Limits::default(),
        compacting: Compacting::On,
        rules: Rules::default(),
        places: Some(places),
        // The project is a throw-away one that nobody else works on.
        leases: None,
        checkpoints: None,
        redactor: Redactor::default(),
        instructions: Sources::default(),
        audience: Audience::Nobody,
        skills: Skills::default(),
        rotation: Rotation::default(),
        failover: Failover::default(),
        purse: None,
        hidden: Vec::new(),
    };
    let job = Job {
        task: Task::New { prompt: TASK.to_owned() },
        parts,
        timeout: Some(Duration::from_mins(1)),
        notes: Vec::new(),
        format: if args.json { Format::Json } else { Format::Text },
        quiet: false,
        no_color: args.no_color,
    };
    let code = work::finish(job)?;
    if !args.json {
        outro(args.keep.as_deref(), record, code);
    }
    Ok(code)
}

/// What becomes of the journal.
#[derive(Clone, Copy)]
enum Record {
    Stays,
    ThrownAway,
}

/// Whether sessions can be written there. Looks without making the folders: the journal makes them private.
fn can_record(places: &Places) -> bool {
    let sessions = places.state.join("sessions");
    sessions.ancestors().find(|p| p.exists()).is_some_and(|there| tempfile::tempfile_in(there).is_ok())
}

/// Writes the project. A file of somebody else's in its place is never overwritten; the demo's own, fixed by an earlier
/// run, is made wrong again.
fn lay_out(root: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(root).map_err(|e| Failure::io("create", root, &e))?;
    let fixed = GREET.replace(WRONG, RIGHT);
    for (name, text, own) in [("greet.sh", GREET, fixed.as_str()), ("check.sh", CHECK, CHECK)] {
        let path = root.join(name);
        match std::fs::read(&path) {
            Ok(old) if old != text.as_bytes() && old != own.as_bytes() => {
                return Err(Failure::new(Cause::Usage, format!("{} exists and is not the demo's own", path.display()))
                    .hint("give `--keep` an empty folder, or remove the file"));
            }
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Failure::io("read", &path, &e)),
            _ => atomic::write(&path, text.as_bytes(), false).map_err(|e| Failure::io("write", &path, &e))?,
        }
    }
    Ok(())
}

/// What was shown, and how to go on.
fn outro(kept: Option<&Path>, record: Record, code: u8) {
    use std::fmt::Write as _;
    use std::io::Write as _;
    let mut text = String::from("\n");
    if code == 0 {
        text.push_str("What you saw: the first provider was out (429), so pup went on with the second one. It\nread the project and ran its failing test, lost the connection in the middle of an\nanswer, took the answer up again without repeating anything, edited one line, and ran\nthe test again. The model was a script; the loop, the tools and the journal are the\nreal ones");
        text.push_str(match record {
            Record::Stays => " (`pup sessions show last`).\n\n",
            Record::ThrownAway => ".\n\n",
        });
    }
    if let Some(dir) = kept {
        let _ = write!(text, "The project is in {}: try `sh check.sh` there.\n\n", dir.display());
    }
    text.push_str("Now with a real model:\n  export OPENAI_API_KEY=...     or GROQ_API_KEY, OPENROUTER_API_KEY, ...\n  (or start Ollama, llama.cpp or LM Studio on this machine: pup finds it)\n  pup run \"explain this project\"\n");
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
