//! Keeps the journal of a run: every message once, every attempt, an intent before each effect and its receipt after.
//! A run without a session has a scribe that writes nothing.

use super::delegate::Order;
use super::policy::Kind;
use crate::base::{Cause, Failure, digest};
use crate::model::{History, Message, Reply, Stop, ToolCall, Usage};
use crate::route::Attempt;
use crate::session::{self, Child, Compaction, Discarded, Effect, End, Entry, Intent, Journal, Quarantine, Receipt, Session, UsageEntry};
use crate::tool::{CallEvents, FileChange};
use crate::workspace::process::Spawned;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Cheap to clone; clones write to the same journal.
#[derive(Clone, Default)]
pub struct Scribe(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    journal: Option<Journal>,
    /// How many messages of the history are written.
    written: usize,
}

/// Whether an entry must be on the disk before the run goes on.
#[derive(Clone, Copy)]
enum Durable {
    Yes,
    No,
}

impl Scribe {
    pub fn new(journal: Option<Journal>) -> Self {
        Self(Arc::new(Mutex::new(State { journal, written: 0 })))
    }

    /// Begins anew: what comes is the beginning of this journal, or is not written at all.
    pub fn restart(&self, journal: Option<Journal>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State { journal, written: 0 };
    }

    /// Another agent or model takes the conversation over; `system` is the agent's own first message. Before anything of
    /// the conversation is written there is nothing to change: the journal then begins with what is in force.
    pub fn switched(&self, session: &Session, system: Option<&Message>) -> Result<(), Failure> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { journal: Some(journal), written: 1.. } = &mut *state else { return Ok(()) };
        journal.append(&Entry::Session(session.clone()))?;
        if let Some(message) = system {
            journal.append(&Entry::Message { message: message.clone() })?;
        }
        Ok(())
    }

    /// Goes on with a journal that holds the first `written` messages of the history already.
    pub fn resume(journal: Journal, written: usize) -> Self {
        Self(Arc::new(Mutex::new(State { journal: Some(journal), written })))
    }

    /// Writes the messages that are not written yet.
    pub fn messages(&self, history: &History) -> Result<(), Failure> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { journal, written } = &mut *state;
        for message in history.iter().skip(*written) {
            if let Some(journal) = journal {
                journal.append(&Entry::Message { message: (**message).clone() })?;
            }
            *written += 1;
        }
        Ok(())
    }

    pub fn attempt(&self, attempt: &Attempt) -> Result<(), Failure> {
        self.write(Durable::No, || Entry::Attempt(attempt.clone()))
    }

    /// What an attempt had shown and is void.
    pub fn discarded(&self, attempt: &Attempt, chars: usize, reason: &str) -> Result<(), Failure> {
        let Attempt { model, provider, .. } = attempt.clone();
        self.write(Durable::No, || Entry::Discarded(Discarded { model, provider, chars: chars as u64, reason: reason.to_owned() }))
    }

    /// On the disk before the history is sent without them: a resumed session has to send the same bytes.
    pub fn quarantine(&self, quarantine: &Quarantine) -> Result<(), Failure> {
        self.write(Durable::Yes, || Entry::Quarantine(quarantine.clone()))
    }

    /// On the disk before the smaller conversation is sent, for the same reason; it has `messages` now. All of the larger
    /// one is written.
    pub fn compaction(&self, compaction: &Compaction, messages: usize) -> Result<(), Failure> {
        self.write(Durable::Yes, || Entry::Compaction(compaction.clone()))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).written = messages;
        Ok(())
    }

    /// What a call beside the conversation's own used.
    pub fn usage(&self, model: &str, provider: &str, usage: &Usage, cost_usd: Option<f64>) -> Result<(), Failure> {
        self.used(UsageEntry { model: model.to_owned(), provider: provider.to_owned(), usage: *usage, cost_usd, paused: false })
    }

    /// What a reply used, whose message follows.
    pub fn reply(&self, model: &str, provider: &str, reply: &Reply, cost_usd: Option<f64>) -> Result<(), Failure> {
        let paused = reply.stop == Stop::Pause;
        self.used(UsageEntry { model: model.to_owned(), provider: provider.to_owned(), usage: reply.usage, cost_usd, paused })
    }

    fn used(&self, entry: UsageEntry) -> Result<(), Failure> {
        self.write(Durable::No, || Entry::Usage(entry))
    }

    /// On the disk before the effect begins: after a crash, what has no receipt may have happened.
    pub fn intent(&self, call: &ToolCall, kind: Kind, changes: &[FileChange], checkpoint: Option<u64>) -> Result<(), Failure> {
        let effect = match kind {
            Kind::Writes => Effect::Writes,
            Kind::Exec => Effect::Exec,
            Kind::Network => Effect::Network,
        };
        let (call_id, tool, args) = (call.id.clone(), call.name.clone(), call.args_raw.clone());
        self.write(Durable::Yes, || Entry::Intent(Intent { call_id, tool, args, effect, files: files(changes), checkpoint }))
    }

    /// Before it begins: after a crash its session is known.
    pub fn child(&self, order: &Order) -> Result<(), Failure> {
        let Order { id, call, agent, background, .. } = order;
        let child = Child { call_id: call.clone(), session: id.clone(), agent: agent.clone(), background: *background };
        self.write(Durable::Yes, || Entry::Child(child))
    }

    pub fn receipt(&self, call: &ToolCall, ok: bool, output: &str, changes: &[FileChange]) -> Result<(), Failure> {
        let (call_id, digest, output) = (call.id.clone(), digest::sha256(output.as_bytes()), Some(output.to_owned()));
        self.write(Durable::No, || Entry::Receipt(Receipt { call_id, ok, digest, output, files: files(changes) }))
    }

    /// The end of the run. The run is over whatever comes of this, so a failure is only logged.
    pub fn end(&self, cause: Cause, text: &str) {
        let text = (!text.is_empty()).then(|| text.to_owned());
        if let Err(e) = self.write(Durable::Yes, || Entry::End(End { cause, text })) {
            tracing::error!(%e, "the end of the session is not recorded");
        }
    }

    fn write(&self, durable: Durable, entry: impl FnOnce() -> Entry) -> Result<(), Failure> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(journal) = &mut state.journal else { return Ok(()) };
        match durable {
            Durable::Yes => journal.append_durable(&entry()),
            Durable::No => journal.append(&entry()),
        }
        .map(|_| ())
    }
}

fn files(changes: &[FileChange]) -> Vec<session::FileChange> {
    let file =
        |c: &FileChange| session::FileChange { path: c.path.display().to_string(), before: c.before.clone(), after: c.after.clone() };
    changes.iter().map(file).collect()
}

/// Takes what running calls report: output goes to the face, processes into the journal.
pub struct Live {
    scribe: Scribe,
    output: mpsc::UnboundedSender<(String, String)>,
}

impl Live {
    pub fn new(scribe: Scribe) -> (Self, mpsc::UnboundedReceiver<(String, String)>) {
        let (output, shown) = mpsc::unbounded_channel();
        (Self { scribe, output }, shown)
    }
}

impl CallEvents for Live {
    fn output(&self, call: &str, text: &str) {
        // Nobody listens once the run is over; the result has the text anyway.
        let _ = self.output.send((call.to_owned(), text.to_owned()));
    }

    fn spawned(&self, call: &str, process: &Spawned) -> Result<(), Failure> {
        let Spawned { pid, pgid, start_time, .. } = *process;
        let call_id = call.to_owned();
        self.scribe.write(Durable::No, || Entry::Spawned(session::Spawned { call_id, pid, pgid: Some(pgid), start_time }))
    }
}
