//! `pup run`: one task, then exit.

use super::agents;
use super::app::App;
use super::ask::can_ask;
use super::engine::{Audience, Parts};
use super::home::Home;
use super::log;
use super::output::Format;
use super::resume::Taken;
use super::select::{self, Behind, Chosen, Wanted};
use super::work::{self, Job, Task};
use crate::agent::{Approve, Compacting, Limits, prompt};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::catalog::Agent;
use crate::config::{self, Failover, Settings};
use crate::model::money::Nanos;
use crate::route::{Link, Purse, Rules};
use crate::session::{self, Session};
use crate::tool;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// The most that is taken from a pipe.
const PIPE_BYTES: u64 = 10 * 1024 * 1024;
/// With a prompt given, how long a silent pipe may keep the run from starting.
const PIPE_PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do; text piped into stdin is attached, or is the prompt if there is none
    pub prompt: Option<String>,
    /// The agent that does it
    #[arg(short, long, value_name = "NAME")]
    pub agent: Option<String>,
    /// A catalogue id, or provider/name for any name that the provider serves
    #[arg(short, long, value_name = "ID")]
    pub model: Option<String>,
    /// Use this provider's default model
    #[arg(long, value_name = "ID", conflicts_with = "model")]
    pub provider: Option<String>,
    /// With a named model or provider: the workload's chain stands behind it
    #[arg(long)]
    pub fallback: bool,
    /// Use this workload's chain: orchestrator, reasoning, coding or librarian [default: the agent's]
    #[arg(long, value_name = "NAME")]
    pub workload: Option<String>,
    /// Work in DIR instead of the current folder
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// What is written to stdout
    #[arg(long, value_enum, default_value_t)]
    pub output: Format,
    /// What may be done: ask, edits, all, read-only, plan [default: ask on a terminal, else edits]
    #[arg(long, value_name = "MODE")]
    pub approve: Option<String>,
    /// Change nothing and end with a plan; the same as --approve plan
    #[arg(long, conflicts_with_all = ["approve", "yolo"])]
    pub plan: bool,
    /// The same as --approve all
    #[arg(long, conflicts_with = "approve")]
    pub yolo: bool,
    /// At most N model calls
    #[arg(long, value_name = "N")]
    pub max_turns: Option<String>,
    /// Spend at most so many US dollars; a call that could cost more is not made
    #[arg(long, value_name = "USD")]
    pub max_cost: Option<String>,
    /// For the whole run, e.g. 90s or 10m
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Give the new session this id: up to 36 letters, digits, `-` and `_`
    #[arg(long, value_name = "ID", conflicts_with = "resume")]
    pub session: Option<String>,
    /// Go on with this session: an id, its beginning, or `last`
    #[arg(long, value_name = "ID")]
    pub resume: Option<String>,
    /// Record nothing
    #[arg(long, conflicts_with_all = ["resume", "session"])]
    pub no_session: bool,
    /// Never make the conversation smaller: when it is too long for the model, the run ends
    #[arg(long)]
    pub no_compact: bool,
    /// No progress and no notes on stderr
    #[arg(short, long)]
    pub quiet: bool,
    /// Never use colour
    #[arg(long)]
    pub no_color: bool,
    /// Log what happens to stderr; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Runs the command; the exit code. Every failure is reported in the output's form.
pub fn run(args: Args) -> u8 {
    let format = args.output;
    prepare(args).and_then(work::finish).unwrap_or_else(|failure| work::report(&failure, format))
}

fn prepare(args: Args) -> Result<Job, Failure> {
    let taken = match &args.resume {
        Some(wanted) => Some(Taken::open(&Places::from_env()?, wanted, super::app::redactor())?),
        None => None,
    };
    if let Some(id) = &args.session {
        session::check_new(&Places::from_env()?, id)?;
    }
    let root = match &taken {
        Some(taken) => taken.root(args.cwd.as_deref())?,
        None => root(args.cwd.as_deref())?,
    };
    let flags = [
        ("approve", approval(args.yolo, args.plan, args.approve.as_deref())),
        ("max_turns", args.max_turns.clone()),
        ("timeout", args.timeout.clone()),
        ("compact", args.no_compact.then(|| "false".to_owned())),
    ];
    let flags: Vec<(String, String)> = flags.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect();
    let run_cap = args.max_cost.as_deref().map(max_cost).transpose()?;
    let app = App::load(&root, &flags)?;
    log::start(args.verbose, &app.redactor, log::Sink::Stderr);
    let piped = piped(args.prompt.is_some() || taken.is_some(), app.settings.timeout)?;
    let expanded = args.prompt.as_deref().and_then(|line| app.customs.expand(line));
    let task = match (taken, prompt::user(expanded.as_deref().or(args.prompt.as_deref()), piped.as_deref())) {
        (Some(taken), prompt) => {
            taken.require_work(prompt.as_deref())?;
            Task::Resume { taken: Box::new(taken), prompt }
        }
        (None, Some(prompt)) => Task::New { prompt },
        (None, None) => return Err(Failure::usage("the prompt is empty").hint("say what to do: pup run \"explain this project\"")),
    };
    let recorded = if let Task::Resume { taken, .. } = &task { taken.session() } else { None };
    let agent = agent(&app, args.agent.as_deref(), recorded)?;
    let workload = args.workload.as_deref().map(str::parse).transpose()?.unwrap_or(agent.workload);
    let behind = if args.fallback { Behind::Chain } else { Behind::Nothing };
    let home = Home { app: Arc::new(app), model: args.model.clone(), provider: args.provider.clone(), fallback: args.fallback };
    let app = &home.app;
    let wanted = Wanted { model: args.model, provider: args.provider, pin: agent.model.clone(), workload, behind };
    let left_out = agents::left_out(&agent);
    let redactor = app.redactor.clone();
    let (Chosen { links, notes: of_keys }, other_model) = links(app, &wanted, recorded.and_then(|s| s.model.as_deref()), &redactor)?;
    let (approve, note) = approve(app.settings.approve);
    let timeout = app.settings.timeout;
    let notes = note.into_iter().chain(app.notes()).chain(left_out).chain(other_model).chain(of_keys).collect();
    let places = (!args.no_session).then(|| app.places.clone());
    let purse = app.purse(run_cap);
    let parts = Parts { session: args.session, ..parts(home, agent, links, redactor, approve, places, purse) };
    Ok(Job { task, parts, timeout, notes, format: args.output, quiet: args.quiet, no_color: args.no_color })
}

/// The mode that the command line names.
pub fn approval(yolo: bool, plan: bool, named: Option<&str>) -> Option<String> {
    let short = yolo.then_some("all").or(plan.then_some("plan"));
    short.or(named).map(str::to_owned)
}

/// The cap of `--max-cost`.
fn max_cost(text: &str) -> Result<Nanos, Failure> {
    let amount = config::amount(text.trim()).and_then(Nanos::at_least);
    amount.ok_or_else(|| Failure::usage(format!("`--max-cost {text}` is no amount")).hint("write US dollars, e.g. `--max-cost 0.50`"))
}

/// The folder to work in.
pub fn root(cwd: Option<&Path>) -> Result<PathBuf, Failure> {
    match cwd {
        Some(dir) => Ok(dir.to_path_buf()),
        None => std::env::current_dir().map_err(|e| {
            Failure::usage(format!("the current folder is gone: {e}")).hint("change to a folder that exists, or use `--cwd DIR`")
        }),
    }
}

/// What a session is made of, by the settings. It is recorded in `places`, if there are any.
pub fn parts(
    home: Home,
    agent: Agent,
    links: Vec<Link>,
    redactor: Redactor,
    approve: Approve,
    places: Option<Places>,
    purse: Purse,
) -> Parts {
    let app = Arc::clone(&home.app);
    let settings = &app.settings;
    Parts {
        home: Some(home),
        session: None,
        below: None,
        limits: limits(settings, &agent),
        rules: rules(settings),
        rotation: app.rotation(&redactor),
        failover: failover(settings, &agent),
        purse: Some(purse),
        hidden: app.secret_variables(),
        compacting: if settings.compact { Compacting::On } else { Compacting::Off },
        tool_limits: tool::Limits {
            shell_timeout: settings.shell.timeout,
            output_bytes: settings.shell.max_output,
            ..tool::Limits::default()
        },
        // Who wants nothing recorded does not want copies of files either.
        checkpoints: places.as_ref().map(|places| places.state.clone()),
        places,
        redactor,
        instructions: app.instructions.clone(),
        audience: audience(),
        skills: app.skills.clone(),
        root: app.root.clone(),
        leases: Some(app.places.leases()),
        links,
        agent,
        approve,
    }
}

/// Whether the user can be asked.
pub fn audience() -> Audience {
    if can_ask() { Audience::Person } else { Audience::Nobody }
}

/// What is done where the chosen model cannot: by the agent's workload, else for all.
pub fn failover(settings: &Settings, agent: &Agent) -> Failover {
    let own = settings.failovers.iter().find(|(workload, _)| *workload == agent.workload.as_str().to_ascii_lowercase());
    let policy = own.map_or(settings.failover, |(_, policy)| *policy);
    // Without anybody to ask the answer would be no.
    if policy == Failover::Ask && !can_ask() { Failover::Never } else { policy }
}

/// The bounds of one prompt: the agent may narrow what the settings say.
pub fn limits(settings: &Settings, agent: &Agent) -> Limits {
    Limits { max_turns: agent.max_turns.unwrap_or(settings.max_turns).min(settings.max_turns), loop_guard: settings.loop_guard }
}

/// The agent that was named, else the session's own, else the default.
pub fn agent(app: &App, named: Option<&str>, recorded: Option<&Session>) -> Result<Agent, Failure> {
    match (named, recorded) {
        (Some(name), _) => app.agents.get(name),
        (None, Some(session)) => app.agents.get(&session.agent).map_err(|e| {
            let more = e.hint.as_ref().map_or_else(String::new, |h| format!(" ({h})"));
            Failure { message: format!("the session's agent: {}", e.message), ..e }
                .hint(format!("go on with another: pup run --resume {} --agent NAME{more}", session.id))
        }),
        (None, None) => app.agents.get(&app.settings.agent),
    }
}

/// The links of the run. A resumed session keeps its model, where none is named now and it is still to be had; else the
/// note says which one takes its place.
pub fn links(app: &App, wanted: &Wanted, recorded: Option<&str>, redactor: &Redactor) -> Result<(Chosen, Option<String>), Failure> {
    let Some(recorded) = recorded.filter(|_| wanted.model.is_none() && wanted.provider.is_none()) else {
        return Ok((select::links(app, wanted, redactor)?, None));
    };
    let normal = select::links(app, wanted, redactor);
    if let Ok(chosen) = &normal
        && chosen.links.iter().any(|l| l.id == recorded)
    {
        return Ok((normal?, None));
    }
    let same = Wanted { model: Some(recorded.to_owned()), provider: None, pin: None, workload: wanted.workload, behind: wanted.behind };
    match select::links(app, &same, redactor) {
        Ok(chosen) => Ok((chosen, None)),
        Err(why) => {
            let chosen = normal?;
            let now = chosen.links.first().map_or("another", |l| l.id.as_str());
            let note = format!("the session's model {recorded} is not to be had now ({}); going on with {now}", why.message);
            Ok((chosen, Some(note)))
        }
    }
}

/// How long and how often a model call is tried.
fn rules(settings: &Settings) -> Rules {
    let default = Rules::default();
    let max_attempts = settings.http.retries.map_or(default.max_attempts, |n| n.saturating_add(1));
    Rules { deadline: Some(settings.http.deadline), max_attempts, ..default }
}

/// The mode, and what must be said of it: without a terminal the default is narrower than people may expect.
fn approve(mode: Option<Approve>) -> (Approve, Option<String>) {
    match mode {
        Some(mode) => (mode, None),
        None if can_ask() => (Approve::Ask, None),
        None => {
            let note = "no terminal: edits are allowed, commands are not; `--approve all` (or `--yolo`) allows them";
            (Approve::Edits, Some(note.to_owned()))
        }
    }
}

/// What was piped in. With a prompt given, a pipe that says nothing for a while is left alone: a script that leaves
/// its stdin open must not hang the run. The run's own time limit holds here too.
fn piped(have_prompt: bool, timeout: Option<Duration>) -> Result<Option<String>, Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let (say, heard) = mpsc::channel();
    // A thread, because a read of a silent pipe cannot be given up; it dies with the process.
    std::thread::spawn(move || {
        let mut first = [0; 1];
        let mut stdin = std::io::stdin().lock();
        let mut all = Vec::new();
        match stdin.read(&mut first) {
            Ok(n) if n > 0 => {
                all.extend_from_slice(&first);
                let _ = say.send(None);
            }
            _ => {}
        }
        let rest = if all.is_empty() { Ok(0) } else { stdin.take(PIPE_BYTES).read_to_end(&mut all) };
        let _ = say.send(Some(rest.map(|_| all)));
    });
    let limit = timeout.unwrap_or(Duration::MAX);
    let late = || {
        Failure::new(Cause::Limit, format!("stdin was still open after the time limit of {} s", limit.as_secs()))
            .hint("end the input, run with `</dev/null`, or raise `--timeout`")
    };
    let patience = if have_prompt { PIPE_PATIENCE.min(limit) } else { limit };
    let read = match heard.recv_timeout(patience) {
        Ok(Some(read)) => read,
        Ok(None) => heard.recv_timeout(limit).map_err(|_| late())?.unwrap_or_else(|| Ok(Vec::new())),
        Err(_) if have_prompt => {
            eprintln_quiet("pup: nothing came from stdin for 3 s; going on without it");
            return Ok(None);
        }
        Err(_) => return Err(late()),
    };
    // A closed stdin reads as an error on some systems and as nothing on others: both mean that there is no input.
    let Ok(bytes) = read else { return Ok(None) };
    if bytes.len() as u64 > PIPE_BYTES {
        return Err(
            Failure::usage("more than 10 MB came from stdin").hint("put it into a file of the workspace and name that in the prompt")
        );
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Failure::usage("what came from stdin is not UTF-8 text")
            .hint("put it into a file of the workspace and name that in the prompt")),
    }
}

fn eprintln_quiet(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
