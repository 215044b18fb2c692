//! Keeps the journal of a run: every message once, every attempt, an intent before each effect and its receipt after.
//! A run without a session has a scribe that writes nothing.

use super::policy::Kind;
use crate::base::{Cause, Failure};
use crate::model::{History, ToolCall, Usage};
use crate::route::Attempt;
use crate::session::{Entry, Journal};
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
