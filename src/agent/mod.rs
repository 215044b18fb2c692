//! Row 6: the turn machine, its driver, and prompts.

pub mod border;
pub mod cancel;
pub mod compact;
pub mod driver;
pub mod event;
pub mod guard;
mod model_call;
pub mod plan_mode;
pub mod policy;
pub mod prompt;
pub mod resume;
pub mod scribe;
pub mod slim;
pub mod steps;
mod tool_calls;
pub mod turn;

#[cfg(test)]
mod plug_tests;
#[cfg(test)]
mod sim_tests;

pub use crate::config::Approve;
pub use border::{Border, Inbox};
pub use cancel::Stopper;
pub use driver::{Compacting, Driver};
pub use event::{AgentEvent, Answer, Approver, EventSink, Question};
pub use policy::{Decision, Kind};
pub use turn::{Limits, Outcome, Turn};
