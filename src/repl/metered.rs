//! The screen with a meter behind it: what a turn shows is also counted.

use super::meter::Meter;
use crate::agent::{AgentEvent, EventSink};
use crate::cli::output::TextFace;

/// Shows events, and counts what each reply used.
pub struct Metered<'a> {
    face: &'a mut TextFace,
    meter: &'a mut Meter,
    /// Something of a reply has come, and its usage has not.
    open: bool,
}

impl<'a> Metered<'a> {
    pub fn new(face: &'a mut TextFace, meter: &'a mut Meter) -> Self {
        Self { face, meter, open: false }
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
    fn emit(&mut self, event: AgentEvent<'_>) {
        match &event {
            AgentEvent::Text { .. } | AgentEvent::Thinking { .. } => self.open = true,
            AgentEvent::Usage { usage, model } => {
                self.open = false;
                self.meter.replied(model, usage);
            }
            AgentEvent::AttemptFailed { .. } => self.broke_off(),
            AgentEvent::TurnStart { .. }
            | AgentEvent::ToolCall { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolResult { .. }
            | AgentEvent::Waiting { .. }
            | AgentEvent::Warning { .. } => {}
        }
        self.face.emit(event);
    }
}
