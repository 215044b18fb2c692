//! Taking up a recorded session: opening its journal, ending what its dead process left running, and settling the calls
//! that were under way. What is decided about them is decided in `agent::resume`.

use super::engine::{Parts, Report};
use crate::agent::delegate::{Child, DEPTH, Order, State, is_letter};
use crate::agent::resume::{self, Continued, Plan, Rest};
use crate::agent::turn::Outcome;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::catalog::Workload;
use crate::model::{Message, Role};
use crate::session::{self, Entry, Journal, Loaded, Session};
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

    pub fn loaded(&self) -> &Loaded {
        &self.loaded
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

    /// What came of it, where it has ended already and there is nothing left to do.
    pub fn ended(&self) -> Option<Report> {
        let end = self.loaded.ended.as_ref().filter(|_| self.plan.rest() == Rest::Nothing)?;
        let message = (end.cause != Cause::Done).then(|| "its session had ended before".to_owned());
        let outcome = Outcome { cause: end.cause, message, hint: None };
        Some(Report { answer: end.text.clone().unwrap_or_default(), ..Report::of(outcome) })
    }

    /// The agents that worked for it, as their own sessions have it; and those in the background whose answer it has not
    /// had: they are taken up.
    pub fn children(&self, places: Option<&Places>) -> (Vec<Child>, Vec<Order>) {
        let letters: Vec<String> = self.loaded.history.iter().filter(|m| m.role == Role::User).map(|m| m.joined_text()).collect();
        let above = self.above(places);
        let (mut known, mut left) = (Vec::new(), Vec::new());
        for line in &self.loaded.entries {
            let Entry::Child(session::Child { call_id, session: id, agent, background }) = &line.entry else { continue };
            let own = places.and_then(|p| Journal::load(&session::journal_path(p, id)).ok());
            let end = own.as_ref().and_then(|l| l.ended.as_ref());
            let state = match end {
                Some(end) if end.cause == Cause::Done => State::Ended { ok: true, text: end.text.clone().unwrap_or_default() },
                Some(end) => State::Ended { ok: false, text: end.cause.as_str().to_owned() },
                None => State::Queued,
            };
            let parent = self.id().to_owned();
            known.push(Child { id: id.clone(), parent: parent.clone(), agent: agent.clone(), background: *background, state });
            if *background && !letters.iter().any(|l| is_letter(l, agent, id)) {
                let call = self.loaded.history.iter().flat_map(|m| m.calls().cloned().collect::<Vec<_>>()).find(|c| c.id == *call_id);
                let prompt = call.and_then(|c| c.args().ok()?.get("prompt")?.as_str().map(str::to_owned)).unwrap_or_default();
                left.push(Order {
                    id: id.clone(),
                    parent,
                    call: call_id.clone(),
                    agent: agent.clone(),
                    workload: Workload::default(),
                    prompt,
                    background: true,
                    above: above.clone(),
                    tell: None,
                });
            }
        }
        (known, left)
    }

    /// The agents from the first one down to this session's own.
    fn above(&self, places: Option<&Places>) -> Vec<String> {
        let (mut names, mut at) = (Vec::new(), self.session().cloned());
        while let Some(session) = at.filter(|_| names.len() <= DEPTH) {
            names.insert(0, session.agent);
            let load = |id: String| Journal::load(&session::journal_path(places?, &id)).ok()?.latest().cloned();
            at = session.parent.and_then(load);
        }
        names
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
