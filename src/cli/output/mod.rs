//! What people and scripts see of a run.

mod countdown;
mod result;
mod stream;
mod text;

pub use result::{ChildObject, Counts, ErrorObject, ResultObject};
pub use stream::StreamFace;
pub use text::{Screen, Style, TextFace};

use crate::agent::{AgentEvent, ChildEvent, EventSink};
use clap::ValueEnum;
use std::io::{self, Write};

/// The forms of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// The answer on stdout, progress on stderr when it is a terminal
    #[default]
    Text,
    /// One object at the end
    Json,
    /// One object a line, as it happens
    StreamJson,
}

/// For `--output json`: nothing until the end; what a person should know is kept for it.
#[derive(Debug, Default)]
pub struct Notes(pub Vec<String>);

impl Notes {
    /// Keeps what a person should know.
    fn note(&mut self, event: &AgentEvent<'_>) {
        match event {
            AgentEvent::Warning { text } => self.0.push((*text).to_owned()),
            AgentEvent::Notice { notice } if notice.is_for_people() => self.0.push(notice.to_string()),
            AgentEvent::Compacted { slimmed } => self.0.push(slimmed.words()),
            AgentEvent::Child { agent, event: ChildEvent::Inner(event), .. } => {
                let before = self.0.len();
                self.note(event);
                self.0.iter_mut().skip(before).for_each(|note| note.insert_str(0, &format!("{agent}: ")));
            }
            _ => {}
        }
    }
}

impl EventSink for Notes {
    fn emit(&mut self, event: AgentEvent<'_>) {
        self.note(&event);
    }
}

/// Writes a line of JSON to stdout. A reader that has gone away is not an error of the run.
pub fn json_line(value: &impl serde::Serialize) {
    let Ok(mut line) = serde_json::to_vec(value) else { return };
    line.push(b'\n');
    let mut out = io::stdout().lock();
    let _ = out.write_all(&line).and_then(|()| out.flush());
}
