//! Row 3: the journal of a session, append-only and readable by people.
//!
//! A session is a folder `<state>/sessions/<id>/` with `journal.jsonl` (one entry a line, schema in
//! `docs/schema/journal.schema.json`), `blobs/<sha256>` for long strings, `commands/<n>.log` for long outputs, and `lock`. Nothing already written is ever
//! changed. A tool call leaves `intent`, for a command `spawned`, then `receipt`; an intent without a receipt is what a
//! crash leaves behind, and [`Loaded::dangling`] names it so that no effect is silently repeated. Every text is redacted
//! before it is written.

mod blobs;
pub mod caching;
mod compaction;
mod entry;
mod journal;
mod load;
mod lock;
mod shelf;

pub use compaction::{Compaction, Shown};
pub use entry::{
    Attempt, Child, Discarded, Effect, End, Entry, FileChange, Intent, Outcome, Quarantine, Receipt, Session, Spawned, UsageEntry,
};
pub use journal::Journal;
pub use load::{Dangling, Line, Loaded};
pub use shelf::{Status, Summary, check_new, find, journal_path, list, recent};

/// The version that is written. Files of every version up to it load for ever.
pub const VERSION: u64 = 1;

#[cfg(test)]
mod session_tests;
