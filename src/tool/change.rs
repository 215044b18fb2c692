//! What the tools that write share: work out a change completely, show it, then make it or refuse it whole.

use super::{Context, FileChange, Output, ToolError};
use crate::base::{digest, redact};
use crate::workspace::diff::{self, Diff, Kind};
use crate::workspace::file::{self, FileError, Text};
use std::path::{Path, PathBuf};

/// A change that was worked out but not made.
pub struct Change {
    pub path: PathBuf,
    pub before: Option<Text>,
    /// `None` deletes the file.
    pub after: Option<Vec<u8>>,
    pub diff: Diff,
    /// Told to the model after the change is made.
    pub text: String,
}

impl Change {
    /// The digests for the journal.
    pub fn digests(&self) -> FileChange {
        FileChange {
            path: self.path.clone(),
            before: self.before.as_ref().map(|t| t.digest.clone()),
            after: self.after.as_deref().map(digest::sha256),
        }
    }

    /// Whether the file is already as it would become.
    pub fn is_done(&self) -> bool {
        let d = self.digests();
        d.before == d.after
    }

    /// Makes the change.
    pub fn make(self, ctx: &Context) -> Result<Output, ToolError> {
        let digests = self.digests();
        let result = match &self.after {
            Some(_) if self.is_done() => Ok(()),
            Some(bytes) => file::write(&self.path, bytes),
            None => file::remove(&self.path),
        };
        result.map_err(|e| cannot("write", &self.path, &e, ctx))?;
        match &digests.after {
            Some(after) => ctx.seen().note(&self.path, after.clone()),
            None => ctx.seen().forget(&self.path),
        }
        let summary = format!("+{} -{}", self.diff.added, self.diff.removed);
        let diff = (!self.diff.text.is_empty()).then_some(self.diff.text);
        Ok(Output { text: self.text, summary, diff, changes: vec![digests] })
    }
}

/// Reads the file that is to be changed, `None` when there is none, and refuses when it is not what the model read.
pub fn current(path: &Path, ctx: &Context) -> Result<Option<Text>, ToolError> {
    match file::read_text(path) {
        Ok(text) if ctx.seen().is_stale(path, &text.digest) => Err(ToolError::model(format!(
            "{} has changed since you read it; nothing was changed. Read it again, then decide anew",
            ctx.workspace.show(path)
        ))),
        Ok(text) => Ok(Some(text)),
        Err(FileError::Missing) => Ok(None),
        Err(e) => Err(cannot("change", path, &e, ctx)),
    }
}

/// Compares two bodies for people.
pub fn compare(path: &Path, kind: Kind, old: &str, new: &str, ctx: &Context) -> Diff {
    diff::unified(&ctx.workspace.show(path), kind, old, new)
}

/// Refuses text in which a secret was replaced, where the file does not have that very replacement: it would go over
/// the real value.
pub fn refuse_redacted(new: &str, old: &str) -> Result<(), ToolError> {
    let written = new.match_indices(redact::MARK).filter_map(|(at, _)| new.get(at..)?.split_inclusive(']').next());
    match written.into_iter().find(|mark| !old.contains(mark)) {
        Some(mark) => Err(ToolError::model(format!(
            "the text contains `{}`, which stands for a secret that was hidden from you; writing it would destroy the secret. Leave those lines as they are",
            crate::base::text::one_line(mark, 60)
        ))),
        None => Ok(()),
    }
}

pub fn cannot(what: &str, path: &Path, error: &FileError, ctx: &Context) -> ToolError {
    ToolError::model(format!("cannot {what} {}: {error}; nothing was changed", ctx.workspace.show(path)))
}
