//! The chat itself: a line, what it means, and the turn or command that comes of it.

use super::asker::Asker;
use super::command::{self, Line};
use super::input::{Heard, Input};
use super::meter::Meter;
use super::metered::{Approved, Metered};
use super::terminal::{self, Mode};
use super::watch::Watch;
use crate::agent::Approve;
use crate::base::places::Places;
use crate::base::{Cause, Failure, text};
use crate::cli::app::App;
use crate::cli::engine::{Engine, Report};
use crate::cli::output::{Screen, Style, TextFace};
use crate::model::Usage;
use std::time::Instant;

/// Everything that outlives a turn.
pub struct Chat {
    pub(super) app: App,
    pub(super) engine: Engine,
    pub(super) screen: Screen,
    pub(super) meter: Meter,
    /// The model that the user named, on the command line or with `/model`.
    pub(super) named: Option<String>,
    /// Where sessions are recorded, if they are.
    pub(super) places: Option<Places>,
    face: TextFace,
    input: Input,
    watch: Watch,
}

/// What a chat stands in.
pub struct Surroundings {
    pub named: Option<String>,
    pub places: Option<Places>,
    pub screen: Screen,
    pub input: Input,
    pub watch: Watch,
}

/// Whether the chat goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    /// With this exit code.
    Leave(u8),
}

impl From<Option<Cause>> for Next {
    fn from(cause: Option<Cause>) -> Self {
        cause.map_or(Self::Stay, |c| Self::Leave(c.exit_code()))
    }
}

impl Chat {
    pub fn new(app: App, engine: Engine, surroundings: Surroundings) -> Self {
        let Surroundings { named, places, screen, input, watch } = surroundings;
        Self { app, engine, screen, meter: Meter::default(), named, places, face: TextFace::new(screen, false), input, watch }
    }

    /// Talks until the user leaves; the exit code.
    pub async fn talk(mut self) -> Result<u8, Failure> {
        loop {
            let next = match self.hear().await {
                Heard::Line(typed) => match (command::read(&typed), self.app.customs.expand(&typed)) {
                    (Line::Nothing, _) => Next::Stay,
                    (Line::Command(command), _) => self.obey(command).await,
                    // One that is not pup's own.
                    (Line::Prompt(prompt), None) | (Line::Prompt(_) | Line::Wrong { .. }, Some(prompt)) => {
                        self.turn(Some(prompt)).await.into()
                    }
                    (Line::Wrong { message, hint }, None) => {
                        self.complain(&Failure::usage(message).hint(hint));
                        Next::Stay
                    }
                },
                Heard::Interrupted => {
                    self.say(Style::Dim, "Ctrl-D or /exit leaves");
                    Next::Stay
                }
                Heard::End => Next::Leave(0),
                Heard::Failed(error) => return Err(Failure::config(format!("cannot read from the terminal: {error}"))),
            };
            if let Next::Leave(code) = next {
                self.close().await;
                self.farewell();
                return Ok(code);
            }
        }
    }

    async fn hear(&mut self) -> Heard {
        let plain = self.input.mode() == Mode::Plain;
        let mode = if self.engine.approve == Approve::Plan { " (plan)" } else { "" };
        let name = format!("{}{mode}", self.engine.agent.name);
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

    /// One prompt, or without one the work that a resumed session has left over, up to the end of the agent's work. Some:
    /// the chat has to end, too.
    pub(super) async fn turn(&mut self, prompt: Option<String>) -> Option<Cause> {
        let began = Instant::now();
        let stopper = self.watch.begin();
        let approved = Approved::default();
        self.input.listen(self.engine.inbox(), self.screen);
        let mut sink = Metered::new(&mut self.face, &mut self.meter, Approved::clone(&approved));
        let mut asker = Asker { input: &mut self.input, screen: self.screen, approved, stopper: stopper.clone() };
        let report = match prompt {
            Some(prompt) => Some(self.engine.work(prompt, &mut sink, &mut asker, stopper, None).await),
            None => self.engine.go_on(&mut sink, &mut asker, stopper, None).await,
        };
        sink.finish();
        let leave = self.watch.end();
        self.input.hush().await;
        // What came too late for the model is what is said next.
        self.input.wait(self.engine.inbox().take());
        self.meter.price(self.engine.router().links());
        if let Some(report) = report {
            self.ended(&report, began);
        }
        leave
    }

    /// `/compact`.
    pub(super) async fn compact(&mut self) -> Result<Next, Failure> {
        let stopper = self.watch.begin();
        let approved = Approved::default();
        let mut sink = Metered::new(&mut self.face, &mut self.meter, Approved::clone(&approved));
        let mut asker = Asker { input: &mut self.input, screen: self.screen, approved, stopper: stopper.clone() };
        let done = self.engine.compact(&mut sink, &mut asker, stopper).await;
        sink.finish();
        let leave = self.watch.end();
        self.meter.price(self.engine.router().links());
        if done?.is_none() {
            self.say(Style::Plain, "there is nothing to take out of this conversation");
        }
        Ok(leave.into())
    }

    /// What a person should know of a turn's end that is not on the screen yet.
    fn ended(&self, report: &Report, began: Instant) {
        let outcome = &report.outcome;
        match outcome.cause {
            Cause::Denied if self.engine.approve == Approve::Plan => {
                self.say(Style::Yellow, "plan mode: nothing was changed; /plan ends it");
            }
            Cause::Denied if self.engine.approve == Approve::ReadOnly => {
                self.say(Style::Yellow, "this chat may only read; without `--approve read-only` it asks");
            }
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
        if *usage != Usage::default() {
            let cost = report.cost_usd.filter(|c| *c > 0.0).map(|c| format!(", ${c:.4}")).unwrap_or_default();
            let seconds = began.elapsed().as_secs_f64();
            self.screen.line(Style::Dim, &format!("{input} tokens in, {} out{cost}, {seconds:.1} s", usage.output.unwrap_or(0)));
        }
    }

    /// The session is left: nothing of it goes on in the background.
    pub(super) async fn close(&mut self) {
        for note in self.engine.close().await {
            self.say(Style::Yellow, &note);
        }
    }

    fn farewell(&self) {
        if let Some(id) = &self.engine.session {
            self.say(Style::Dim, &format!("session {id}; to go on with it: pup, then /resume last"));
        }
    }

    /// Words of pup's own, in the width of the window.
    pub(super) fn say(&self, style: Style, words: &str) {
        for line in text::wrap(words, terminal::columns()) {
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
