//! The border between two calls of the model: what reaches it there without having been asked for. These are the
//! instructions of folders that it has begun to touch, each once, and what the user says meanwhile, as messages of their own:
//! so what was sent before stays as it is, and a conversation that is made smaller keeps them.

use super::event::{AgentEvent, Approver, EventSink};
use super::prompt;
use super::turn::Turn;
use crate::config::instructions::{ALL, Sources};
use crate::model::{History, Role, ToolCall};
use crate::tool::person::Asked;
use crate::tool::{Context, Registry};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// What the user says while a turn runs, in order. Cheap to clone; clones are the same box.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Mutex<VecDeque<String>>>);

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, text: String) {
        self.lock().push_back(text);
    }

    /// All of it, which is then no longer in here.
    pub fn take(&self) -> Vec<String> {
        self.lock().drain(..).collect()
    }

    /// Back to the front, in this order.
    fn put_back(&self, texts: Vec<String>) {
        let mut all = self.lock();
        texts.into_iter().rev().for_each(|text| all.push_front(text));
    }
}

/// What is known of a session at its borders.
#[derive(Debug)]
pub struct Border {
    sources: Sources,
    /// Folders whose files were touched since the last border.
    touched: BTreeSet<PathBuf>,
    /// Folders that were looked at.
    looked: HashSet<PathBuf>,
    /// The files that the conversation has.
    had: HashSet<String>,
    /// Bytes that further instructions may have.
    room: usize,
    /// What was said of them: once is enough.
    told: HashSet<String>,
    inbox: Inbox,
    /// What the turn was handed of it.
    handed: Vec<String>,
}

impl Border {
    pub fn new(sources: Sources) -> Self {
        Self {
            sources,
            touched: BTreeSet::new(),
            looked: HashSet::new(),
            had: HashSet::new(),
            room: ALL,
            told: HashSet::new(),
            inbox: Inbox::default(),
            handed: Vec::new(),
        }
    }

    /// Where the user can say something while a turn runs.
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// A turn begins on this conversation, which may be another one than before.
    pub fn begin(&mut self, history: &History) {
        let said = history.iter().filter(|m| matches!(m.role, Role::System | Role::User)).map(|m| m.joined_text());
        self.had = said.flat_map(|text| prompt::labels(&text)).collect();
        self.looked.clear();
        self.touched.clear();
        self.room = ALL;
        self.handed.clear();
    }

    /// The turn is handed what the user has said: it does not end before the model has heard it.
    pub fn hear(&mut self, turn: &mut Turn) {
        for text in self.inbox.take() {
            self.handed.push(text.clone());
            turn.steer(text);
        }
    }

    /// The turn has ended. What of the user's words the model has not heard goes back.
    pub fn end(&mut self, turn: &mut Turn) {
        let handed = std::mem::take(&mut self.handed);
        self.inbox.put_back(turn.unsaid().into_iter().filter(|text| handed.contains(text)).collect());
    }

    /// A tool asks the user. Without an answer it learns that there is none.
    pub async fn inquire(&self, asked: Asked, approver: &mut dyn Approver, stop: &CancellationToken) {
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            answer = approver.inquire(&asked.inquiry) => answer,
        };
        if let Some(answer) = answer {
            // A tool that was stopped meanwhile listens no more.
            let _ = asked.answer.send(answer);
        }
    }

    /// A call is over: the folders of the files that it named were touched.
    pub fn touch(&mut self, call: &ToolCall, registry: &Registry, context: &Context) {
        let (Some(tool), Ok(args)) = (registry.get(&call.name), call.args()) else { return };
        for path in tool.paths(&args).iter().filter_map(|p| context.workspace.resolve(p).ok()) {
            let folder = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
            if let Some(folder) = folder.filter(|f| !self.looked.contains(*f)) {
                self.touched.insert(folder.to_owned());
            }
        }
    }

    /// The model is about to be called: it gets what has come up.
    pub fn cross(&mut self, turn: &mut Turn, context: &Context, sink: &mut dyn EventSink) {
        if !turn.is_between_calls() {
            return;
        }
        self.hear(turn);
        for folder in std::mem::take(&mut self.touched) {
            let looked = &mut self.looked;
            let found = self.sources.below(context.workspace.root(), &folder, &mut self.room, &mut |f| !looked.insert(f.to_owned()));
            for text in found.texts {
                if self.had.insert(text.label.clone()) {
                    turn.steer(context.redactor.redact(&prompt::instruction(&text)).into_owned());
                }
            }
            for note in found.notes.into_iter().filter(|n| self.told.insert(n.clone())) {
                sink.emit(AgentEvent::Warning { text: &note });
            }
        }
    }
}
