//! The screen with a meter behind it: what a turn shows is also counted.

use super::meter::Meter;
use crate::agent::{AgentEvent, ChildEvent, EventSink};
use crate::cli::output::TextFace;
use std::cell::RefCell;
use std::rc::Rc;

/// The diff that was shown with a question, for as long as nothing else has come.
pub type Approved = Rc<RefCell<Option<String>>>;

/// Shows events, and counts what each reply used.
pub struct Metered<'a> {
    face: &'a mut TextFace,
    meter: &'a mut Meter,
    approved: Approved,
    /// Something of a reply has come, and its usage has not.
    open: bool,
}

impl<'a> Metered<'a> {
    pub fn new(face: &'a mut TextFace, meter: &'a mut Meter, approved: Approved) -> Self {
        Self { face, meter, approved, open: false }
    }

    /// The turn is over: whatever was still coming will not come.
    pub fn finish(mut self) {
        self.broke_off();
        // All of the answer has been streamed; what is left is the line that it ended in.
        self.face.finish("");
    }

    fn broke_off(&mut self) {
        if std::mem::take(&mut self.open) {
            self.meter.broke_off();
        }
    }
}

impl EventSink for Metered<'_> {
    fn emit(&mut self, mut event: AgentEvent<'_>) {
        match &mut event {
            AgentEvent::Text { .. } | AgentEvent::Thinking { .. } => self.open = true,
            AgentEvent::Usage { usage, model } => {
                self.open = false;
                self.meter.replied(model, usage);
            }
            AgentEvent::AttemptFailed { .. } => self.broke_off(),
            // Whoever has just approved a diff need not read it again.
            AgentEvent::ToolResult { diff, .. } => {
                let approved = self.approved.take();
                *diff = diff.filter(|d| approved.as_deref() != Some(*d));
            }
            AgentEvent::Child { event: ChildEvent::Inner(AgentEvent::Usage { usage, model }), .. } => self.meter.replied(model, usage),
            AgentEvent::Child { .. }
            | AgentEvent::TurnStart { .. }
            | AgentEvent::ToolCall { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::Waiting { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::Compacted { .. }
            | AgentEvent::Warning { .. } => {}
        }
        self.face.emit(event);
    }
}
