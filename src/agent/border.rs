//! The border between two calls of the model: what reaches it there without having been asked for. These are the
//! instructions of folders that it has begun to touch, each once, as messages of their own: so what was sent before stays as
//! it is, and a conversation that is made smaller keeps them.

use super::event::{AgentEvent, EventSink};
use super::prompt;
use super::turn::Turn;
use crate::config::instructions::{ALL, Sources};
use crate::model::{History, Role, ToolCall};
use crate::tool::{Context, Registry};
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

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
}

impl Border {
    pub fn new(sources: Sources) -> Self {
        Self { sources, touched: BTreeSet::new(), looked: HashSet::new(), had: HashSet::new(), room: ALL, told: HashSet::new() }
    }

    /// A turn begins on this conversation, which may be another one than before.
    pub fn begin(&mut self, history: &History) {
        let said = history.iter().filter(|m| matches!(m.role, Role::System | Role::User)).map(|m| m.joined_text());
        self.had = said.flat_map(|text| prompt::labels(&text)).collect();
        self.looked.clear();
        self.touched.clear();
        self.room = ALL;
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
