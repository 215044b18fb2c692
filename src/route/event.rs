//! What a call tells whoever asked, in order.

use super::notice::Notice;
use super::receipt::Exhausted;
use crate::model::aside::Kind;
use crate::model::{Embeddings, Listed, Origin, ProviderError, StreamEvent};
use crate::session::{Attempt, Quarantine};
use crate::wire::limits::Limits;
use std::time::Duration;

/// What happens while a question is answered, in order.
#[derive(Debug)]
pub enum LiveEvent {
    /// An attempt failed.
    Failed {
        attempt: Attempt,
        error: ProviderError,
    },
    /// The whole reply is there; the last event of a call that succeeded.
    Answered {
        attempt: Attempt,
        origin: Origin,
        /// What the reply's headers said of allowances; nothing where it was no answer.
        limits: Box<Limits>,
    },
    /// Pieces of the conversation were refused; it goes on without them. The asker's own copy has to lose them as well.
    Quarantined(Quarantine),
    /// What the conversation holds and this link cannot take: it is passed over, or where no link can, it gets a line in
    /// the place of each such piece. Told once in a session.
    Gated {
        link: String,
        lacks: Vec<Kind>,
        passed_over: bool,
    },
    /// The next attempt is due in this time.
    Waiting {
        pause: Duration,
        link: String,
    },
    Event(StreamEvent),
    /// Something about the way of the call.
    Notice(Notice),
    /// Another model would go on, and the user wants to be asked: [`Live::stay`] says no, the next [`Live::next`] yes.
    MaySwitch {
        from: String,
        to: String,
        why: String,
    },
    /// What an operation that is no answer brought.
    Result(Product),
    /// What this attempt had shown is void; nothing of it will be repeated or continued.
    Discarded {
        chars: usize,
    },
    /// The last event of a call that failed on every link.
    GaveUp(Exhausted),
}

/// What an operation brings that is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Product {
    Embeddings(Embeddings),
    Tokens(u64),
    Models(Vec<Listed>),
}
