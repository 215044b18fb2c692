//! Going on with a journal: what was settled and what has changed is recorded, and the turn that was cut off is handed over.

use super::{Due, Known, Plan, Rest, settle};
use crate::base::{Failure, atomic, digest};
use crate::model::{History, Message, ToolResult};
use crate::session::{Entry, Journal, Receipt, Session};
use crate::workspace::process::Ending;
use std::path::{Path, PathBuf};

/// A session that is ready to go on.
#[derive(Debug, Clone)]
pub struct Continued {
    /// Valid, but for the calls at its end that [`Turn::resume`](crate::agent::Turn::resume) answers or hands out. The
    /// journal holds all of it.
    pub history: History,
    pub unfinished: Option<Unfinished>,
    /// What became of the calls that were under way, in words for the user.
    pub notes: Vec<String>,
}

/// What is left of a turn that was cut off.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Unfinished {
    pub settled: Vec<ToolResult>,
    pub prompts: Vec<String>,
    /// The conversation ends with a reply that its provider paused.
    pub paused: bool,
}

/// Records that the session goes on as `now`, where `before` is what it was, and settles what was under way. `system` is
/// used where the session goes over to another agent, or has lost its own. `survivors` has been dealt with before.
pub fn take_up(
    journal: &mut Journal,
    plan: Plan,
    before: Option<&Session>,
    now: Session,
    system: Message,
    survivors: &Ending,
) -> Result<Continued, Failure> {
    let root = PathBuf::from(&now.cwd);
    let moved = before.map(|s| PathBuf::from(&s.cwd)).filter(|old| *old != root);
    let here = |path: &Path| moved.as_ref().and_then(|old| path.strip_prefix(old).ok()).map_or_else(|| path.to_owned(), |p| root.join(p));
    for open in &plan.open {
        let Known::Began(intent) = &open.known else { continue };
        intent
            .files
            .iter()
            .filter_map(|f| Some((&f.path, f.after.as_ref()?)))
            .for_each(|(path, d)| atomic::sweep(&here(Path::new(path)), d));
    }
    let settled = settle(&plan.open, survivors, &here);
    let rest = if now.prompt.is_some() { Rest::Work } else { plan.rest() };
    let switched = before.is_none_or(|s| s.agent != now.agent);
    // First of all: it has the prompt, which must not be lost if this run is killed, too.
    journal.append(&Entry::Session(now))?;
    for one in settled.iter().filter(|s| s.receipt == Due::Yes) {
        let output = one.result.joined();
        let (call_id, digest) = (one.call.id.clone(), digest::sha256(output.as_bytes()));
        let receipt = Receipt { call_id, ok: !one.result.is_error, digest, output: Some(output), files: Vec::new() };
        journal.append(&Entry::Receipt(receipt))?;
    }
    let system = if let Some(recorded) = plan.system.filter(|_| !switched) {
        recorded
    } else {
        journal.append(&Entry::Message { message: system.clone() })?;
        system
    };
    let mut prompts = plan.prompts;
    if moved.is_some() && rest == Rest::Work {
        prompts.insert(0, format!("[The workspace has moved. It is now {}; paths are relative to it.]", root.display()));
    }
    let history = std::iter::once(system).chain(plan.messages).collect();
    let notes = settled.iter().filter_map(|s| s.note.clone()).collect();
    let settled = settled.into_iter().map(|s| s.result).collect();
    let unfinished = (rest != Rest::Nothing).then_some(Unfinished { settled, prompts, paused: plan.paused });
    Ok(Continued { history, unfinished, notes })
}
