//! Taking up a recorded session: opening its journal, ending what its dead process left running, and settling the calls
//! that were under way. What is decided about them is decided in `agent::resume`.

use super::engine::Parts;
use crate::agent::resume::{self, Continued, Plan, Rest};
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::model::Message;
use crate::session::{self, Journal, Loaded, Session};
use crate::workspace::process::{names, survivors};
use crate::workspace::rollback;
use std::path::{Path, PathBuf};

/// A session that this process has open. Nobody else writes to it any more, and nothing of it has been changed yet.
pub struct Taken {
    journal: Journal,
    loaded: Loaded,
    plan: Plan,
}

impl Taken {
    /// Opens the session that `wanted` means: `last`, an id, or the beginning of one.
    pub fn open(places: &Places, wanted: &str, redactor: Redactor) -> Result<Self, Failure> {
        let id = session::find(places, wanted)?;
        let (journal, loaded) = Journal::open(places, &id, redactor)?;
        if loaded.session.is_none() && loaded.history.is_empty() {
            let what = loaded.dropped.first().map_or_else(|| "it is empty".to_owned(), Clone::clone);
            return Err(Failure::config(format!("nothing of session {id} can be read: {what}"))
                .hint("start a new one: pup run \"...\"; `pup sessions list` shows the others"));
        }
        let plan = Plan::of(&loaded);
        Ok(Self { journal, loaded, plan })
    }

    pub fn id(&self) -> &str {
        self.journal.id()
    }

    /// Refuses a session that has nothing left to do, and is given nothing.
    pub fn require_work(&self, prompt: Option<&str>) -> Result<(), Failure> {
        if prompt.is_some() || self.plan.rest() != Rest::Nothing {
            return Ok(());
        }
        let id = self.journal.id();
        let ended = self.plan.ended.map_or("there is nothing to go on with", |c| if c == Cause::Done { "it is done" } else { c.as_str() });
        Err(Failure::usage(format!("session {id} has ended ({ended}); give it something to do"))
            .hint(format!("pup run --resume {id} \"...\"; `pup sessions show {id}` shows what was done")))
    }

    /// What the session is now: its agent, model and folder. `None` where the journal has lost that.
    pub fn session(&self) -> Option<&Session> {
        self.loaded.latest()
    }

    /// The folder to go on in: `cwd`, else the session's own.
    pub fn root(&self, cwd: Option<&Path>) -> Result<PathBuf, Failure> {
        let id = self.journal.id();
        let hint = format!("name the folder to go on in: pup run --resume {id} --cwd DIR");
        match (cwd, self.loaded.latest()) {
            (Some(dir), _) => Ok(dir.to_owned()),
            (None, Some(session)) if Path::new(&session.cwd).is_dir() => Ok(PathBuf::from(&session.cwd)),
            (None, Some(session)) => Err(Failure::usage(format!("the folder of session {id} is gone: {}", session.cwd)).hint(hint)),
            (None, None) => Err(Failure::usage(format!("the folder of session {id} is not known: its first line is lost")).hint(hint)),
        }
    }

    /// Ends what still runs, settles what was under way, and records that the session goes on as `now`, with the prompt in
    /// it if there is one. Also returns what the user must know of what was found.
    pub async fn go_on(self, parts: &Parts, now: Session, system: Message) -> Result<(Journal, Continued), Failure> {
        let Self { mut journal, loaded, plan } = self;
        let mut notes: Vec<String> = loaded.dropped.iter().map(|what| format!("the session's record is damaged; dropped {what}")).collect();
        notes.extend(plan.notes.iter().map(|what| format!("the session's record was repaired: {what}")));
        let ending = survivors::end(journal.id(), &plan.commands).await;
        if !ending.stopped.is_empty() {
            notes.push(format!("stopped what the killed run had left running: {}", names(&ending.stopped)));
        }
        if !ending.left.is_empty() {
            notes.push(format!("could not stop what the killed run had left running: {}; end it yourself", names(&ending.left)));
        }
        notes.extend(parts.leases.as_deref().map(rollback::recover).unwrap_or_default());
        journal.redact_with(parts.redactor.clone());
        let mut continued = resume::take_up(&mut journal, plan, loaded.latest(), now, system, &ending)?;
        notes.append(&mut continued.notes);
        Ok((journal, Continued { notes, ..continued }))
    }
}
