//! The chat itself: a line, what it means, and the turn or command that comes of it.

use super::asker::Asker;
use super::command::{self, Line};
use super::input::{Heard, Input};
use super::layout;
use super::meter::Meter;
use super::metered::Metered;
use super::terminal::{self, Mode};
use super::watch::Watch;
use crate::base::{Cause, Failure};
use crate::cli::app::App;
use crate::cli::engine::{Engine, Report};
use crate::cli::output::{Screen, Style, TextFace};
use std::time::Instant;

/// Everything that outlives a turn.
pub struct Chat {
    pub(super) app: App,
    pub(super) engine: Engine,
    pub(super) screen: Screen,
    pub(super) meter: Meter,
    /// The model that the user named, on the command line or with `/model`.
    pub(super) named: Option<String>,
    face: TextFace,
    input: Input,
    watch: Watch,
}

/// Whether the chat goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
}

impl Chat {
    pub fn new(app: App, engine: Engine, named: Option<String>, screen: Screen, input: Input, watch: Watch) -> Self {
        Self { app, engine, screen, meter: Meter::default(), named, face: TextFace::new(screen, false), input, watch }
    }

    /// Talks until the user leaves; the exit code.
    pub async fn talk(mut self) -> Result<u8, Failure> {
        loop {
            match self.hear().await {
                Heard::Line(typed) => match command::read(&typed) {
                    Line::Nothing => {}
                    Line::Prompt(prompt) => {
                        if let Some(cause) = self.turn(prompt).await {
                            self.farewell();
                            return Ok(cause.exit_code());
                        }
                    }
                    Line::Command(command) => {
                        if self.obey(command) == Next::Leave {
                            break;
                        }
                    }
                    Line::Wrong { message, hint } => self.complain(&Failure::usage(message).hint(hint)),
                },
                Heard::Interrupted => self.say(Style::Dim, "Ctrl-D or /exit leaves"),
                Heard::End => break,
                Heard::Failed(error) => return Err(Failure::config(format!("cannot read from the terminal: {error}"))),
            }
        }
        self.farewell();
        Ok(0)
    }

    async fn hear(&mut self) -> Heard {
        let plain = self.input.mode() == Mode::Plain;
        let name = self.engine.agent.name.clone();
        let heard = tokio::select! {
            heard = self.input.prompt(&name) => heard,
            // An editor gets the key itself. Without one it is a signal, and the terminal has forgotten the line.
            () = self.watch.interrupted(), if plain => Heard::Interrupted,
        };
        if plain && matches!(heard, Heard::Interrupted | Heard::End) {
            // The terminal leaves the cursor behind what was typed.
            self.screen.line(Style::Plain, "");
        }
        heard
    }

    /// One prompt, up to the end of the agent's work. Some: the chat has to end, too.
    async fn turn(&mut self, prompt: String) -> Option<Cause> {
        let (began, first) = (Instant::now(), self.engine.session.is_none());
        let stopper = self.watch.begin();
        let mut sink = Metered::new(&mut self.face, &mut self.meter);
        let mut asker = Asker { input: &mut self.input, screen: self.screen, stopper: stopper.clone() };
        let report = self.engine.work(prompt, &mut sink, &mut asker, stopper, None).await;
        sink.finish();
        let leave = self.watch.end();
        self.meter.price(self.engine.router().links());
        self.ended(&report, began);
        if let (true, Some(id)) = (first, &self.engine.session) {
            tracing::info!(session = id, "the session is recorded");
        }
        leave
    }

    /// What a person should know of a turn's end that is not on the screen yet.
    fn ended(&self, report: &Report, began: Instant) {
        let outcome = &report.outcome;
        match outcome.cause {
            // Whoever said no knows.
            Cause::Done | Cause::Denied => {}
            Cause::Interrupted | Cause::Terminated => {
                self.say(Style::Yellow, "stopped. What was shown of an unfinished answer is not part of the conversation.");
            }
            Cause::Internal
            | Cause::Usage
            | Cause::Config
            | Cause::Auth
            | Cause::Exhausted
            | Cause::Budget
            | Cause::Limit
            | Cause::Rejected => {
                let message = outcome.message.clone().unwrap_or_else(|| outcome.cause.as_str().to_owned());
                self.complain(&Failure { cause: outcome.cause, message, hint: outcome.hint.clone() });
            }
        }
        let usage = &report.usage;
        let input = [usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h].into_iter().flatten().sum::<u64>();
        if report.turns > 0 {
            let cost = report.cost_usd.filter(|c| *c > 0.0).map(|c| format!(", ${c:.4}")).unwrap_or_default();
            let seconds = began.elapsed().as_secs_f64();
            self.screen.line(Style::Dim, &format!("{input} tokens in, {} out{cost}, {seconds:.1} s", usage.output.unwrap_or(0)));
        }
    }

    fn farewell(&self) {
        if let Some(id) = &self.engine.session {
            self.say(Style::Dim, &format!("recorded: pup sessions show {id}"));
        }
    }

    /// Words of pup's own, in the width of the window.
    pub(super) fn say(&self, style: Style, text: &str) {
        for line in layout::wrap(text, 0, terminal::columns()) {
            self.screen.line(style, &line);
        }
    }

    pub(super) fn complain(&self, failure: &Failure) {
        for line in failure.message.lines() {
            self.say(Style::Red, line);
        }
        for line in failure.hint.iter().flat_map(|h| h.lines()) {
            self.say(Style::Plain, line);
        }
    }
}
