//! Row 8: the chat. A prompt on a terminal, turns of an agent, commands that begin with a slash.
//!
//! It stands on the command line's parts (engine, output, selection) and draws nothing while a turn prints: text streams
//! as it comes, the prompt is there only while a line is read.

mod ahead;
mod asker;
mod chat;
mod command;
mod complete;
mod editor;
mod input;
mod layout;
mod meter;
mod metered;
mod obey;
mod resume;
mod terminal;
mod watch;

use crate::agent::Approve;
use crate::base::Failure;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::catalog::Agent;
use crate::cli::ChatArgs;
use crate::cli::app::App;
use crate::cli::engine::{Engine, Parts};
use crate::cli::output::{Format, Screen, Style};
use crate::cli::select::{Behind, Chosen, Wanted};
use crate::cli::{agents, log, run as one_run, work};
use crate::route::Link;
use chat::{Chat, Surroundings};
use complete::Names;
use input::{Input, Memory};
use rustyline::ColorMode;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use terminal::{Guard, Mode};
use watch::Watch;

/// Opens the chat and stays in it until the user leaves; the exit code.
pub fn run(args: ChatArgs) -> u8 {
    open(args).unwrap_or_else(|failure| work::report(&failure, Format::Text))
}

fn open(args: ChatArgs) -> Result<u8, Failure> {
    terminals()?;
    let flags = flags(&args);
    let app = App::load(&one_run::root(args.cwd.as_deref())?, &flags)?;
    let log = (args.verbose > 0).then(|| log_file(&app)).transpose()?;
    let agent = app.agents.get(args.agent.as_deref().unwrap_or(&app.settings.agent))?;
    let (Chosen { links, notes: of_keys }, redactor) = links_for(&app, &agent, args.model.as_deref())?;
    let mut notes: Vec<String> = app.notes().chain(of_keys).collect();
    if let Some((file, path)) = log {
        log::start(args.verbose, &redactor, log::Sink::File(file));
        notes.push(format!("what happens is logged in {path}"));
    }

    notes.extend(agents::left_out(&agent));
    let memory = (!args.no_session).then(|| Memory { path: app.places.state.join("chat-history"), redactor: redactor.clone() });
    let approve = app.settings.approve.unwrap_or(Approve::Ask);
    let places = (!args.no_session).then(|| app.places.clone());
    let engine = Engine::idle(parts_of(&app, agent, links, redactor, approve, places.clone()))?;
    notes.extend(engine.notes.iter().cloned());

    let mode = Mode::detect();
    let mut screen = Screen::detect(args.no_color, false);
    screen.color &= mode == Mode::Rich;
    let colors = if screen.color { ColorMode::Enabled } else { ColorMode::Disabled };
    let names = Names {
        agents: app.agents.names().map(str::to_owned).collect(),
        models: app.catalog.models().iter().map(|m| m.id.clone()).collect(),
        customs: app.customs.list().map(|c| c.name.clone()).collect(),
    };
    let hidden = names.customs.iter().filter(|n| command::COMMANDS.iter().any(|c| c.name.eq_ignore_ascii_case(n)));
    notes.extend(hidden.map(|n| format!("your own command /{n} is not used: pup has one of that name")));
    let guard = Guard::quiet(mode);
    // Before the first read, which must not find the editor's own idea of these signals in their place.
    let watch = Watch::start(guard.saved())?;
    let (input, trouble) = Input::start(mode, colors, names, memory)?;
    notes.extend(trouble.map(|f| format!("{}; what you type is not remembered", f.message)));

    let chat = Chat::new(app, engine, Surroundings { named: args.model, places, screen, input, watch });
    chat.greet(&notes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::internal(format!("cannot start the runtime: {e}")))?;
    let code = runtime.block_on(chat.talk());
    // A read of the terminal may still be under way on its thread: do not wait for it.
    runtime.shutdown_background();
    drop(guard);
    code
}

impl Chat {
    fn greet(&self, notes: &[String]) {
        let model = self.engine.router().links().first().map_or("no model", |l| l.id.as_str());
        self.say(Style::Bold, &format!("pup {}: {} on {model}", env!("CARGO_PKG_VERSION"), self.engine.agent.name));
        for note in notes {
            self.say(Style::Yellow, note);
        }
        self.say(Style::Dim, "/help lists the commands. Ctrl-C stops a turn, Ctrl-D leaves.");
    }
}

/// A chat needs somebody who sees and answers.
fn terminals() -> Result<(), Failure> {
    let streams = [("stdin", io::stdin().is_terminal()), ("stdout", io::stdout().is_terminal()), ("stderr", io::stderr().is_terminal())];
    match streams.into_iter().find(|(_, there)| !there) {
        None => Ok(()),
        Some((name, _)) => Err(Failure::usage(format!("the chat needs a terminal, and {name} is none"))
            .hint("give one task instead: pup run \"what does this project do?\"   (or see: pup --help)")),
    }
}

fn flags(args: &ChatArgs) -> Vec<(String, String)> {
    let mode = one_run::approval(args.yolo, args.plan, args.approve.as_deref());
    let compact = args.no_compact.then(|| "false".to_owned());
    [("approve", mode), ("compact", compact)].into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect()
}

/// A log on the screen would be in everybody's way.
fn log_file(app: &App) -> Result<(File, String), Failure> {
    let folder = app.places.state.join("logs");
    std::fs::create_dir_all(&folder).map_err(|e| Failure::io("create", &folder, &e))?;
    let path = folder.join("chat.log");
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(|e| Failure::io("open", &path, &e))?;
    Ok((file, path.display().to_string()))
}

/// What a conversation is made of.
fn parts_of(app: &App, agent: Agent, links: Vec<Link>, redactor: Redactor, approve: Approve, places: Option<Places>) -> Parts {
    let mut parts = one_run::parts(app, agent, links, redactor, approve, places, None);
    // No model call has a deadline: somebody is there to end it.
    parts.rules.deadline = None;
    parts
}

/// The links for an agent, and a redactor that knows their keys.
fn links_for(app: &App, agent: &Agent, named: Option<&str>) -> Result<(Chosen, Redactor), Failure> {
    links_again(app, agent, named, None).map(|(chosen, redactor, _)| (chosen, redactor))
}

/// The same for a session that was held with the model `recorded`; the note says where it cannot be had.
fn links_again(
    app: &App,
    agent: &Agent,
    named: Option<&str>,
    recorded: Option<&str>,
) -> Result<(Chosen, Redactor, Option<String>), Failure> {
    let wanted = Wanted {
        model: named.map(str::to_owned),
        provider: None,
        pin: agent.model.clone(),
        workload: agent.workload,
        behind: Behind::Nothing,
    };
    let redactor = app.redactor.clone();
    // Looking for a local server needs a runtime of its own, which cannot be inside the chat's: so it has another thread.
    let found = std::thread::scope(|s| s.spawn(|| one_run::links(app, &wanted, recorded, &redactor)).join());
    let (chosen, note) = found.map_err(|_| Failure::internal("looking for a model failed"))??;
    Ok((chosen, redactor, note))
}
