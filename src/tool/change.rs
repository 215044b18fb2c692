//! What the tools that write share: work out changes completely, show them, then make all of them or refuse.

use super::{Args, Context, Effect, FileChange, Output, Running, Tool, ToolError, args};
use crate::base::{digest, redact, text};
use crate::model::ToolSpec;
use crate::workspace::commit::{self, CommitError, Planned};
use crate::workspace::diff::{self, Diff, Kind};
use crate::workspace::file::{self, FileError, Text};
use crate::workspace::omission;
use std::fs::Permissions;
use std::path::{Path, PathBuf};

/// Bytes of a diff in a refusal.
const CONFLICT: usize = 2 * 1024;

/// A tool that edits files: all that its calls change can be worked out before anything is changed. What is shown for an approval,
/// what is journalled and what is made are the same changes.
pub trait Edits: Send + Sync {
    fn name(&self) -> &'static str;
    fn spec(&self) -> ToolSpec;
    /// The files that the call is about.
    fn writes(&self, args: &Args, ctx: &Context) -> Result<Vec<PathBuf>, ToolError>;
    fn describe(&self, args: &Args) -> String;
    /// The same files as the model wrote them.
    fn named(&self, args: &Args) -> Vec<String> {
        args::peek(args, "path").map(str::to_owned).into_iter().collect()
    }
    /// Works the changes out. Looks, but changes nothing.
    fn prepare(&self, args: &Args, ctx: &Context) -> Result<Changes, ToolError>;
}

impl<T: Edits> Tool for T {
    fn name(&self) -> &'static str {
        Edits::name(self)
    }

    fn spec(&self) -> ToolSpec {
        Edits::spec(self)
    }

    fn effect(&self, args: &Args, ctx: &Context) -> Result<Effect, ToolError> {
        self.writes(args, ctx).map(Effect::Writes)
    }

    fn describe(&self, args: &Args) -> String {
        Edits::describe(self, args)
    }

    fn paths(&self, args: &Args) -> Vec<String> {
        self.named(args)
    }

    fn preview(&self, args: &Args, ctx: &Context) -> Option<String> {
        let diff = self.prepare(args, ctx).ok()?.diff();
        (!diff.is_empty()).then(|| ctx.redactor.redact(&diff).into_owned())
    }

    fn plan(&self, args: &Args, ctx: &Context) -> Result<Vec<FileChange>, ToolError> {
        Ok(self.prepare(args, ctx)?.digests())
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(async move { self.prepare(args, ctx)?.make(ctx) })
    }
}

/// A file's new content.
pub struct New {
    pub bytes: Vec<u8>,
    pub body: String,
}

/// A change of one file that was worked out but not made.
pub struct Change {
    pub path: PathBuf,
    /// The digest of what it was worked out from.
    pub before: Option<String>,
    /// What stands there, where it is deleted without having been read: a link, or a file too big for that.
    pub unread: Option<String>,
    /// `None` deletes the file.
    pub after: Option<New>,
    /// Of a new file that is to have another's mode.
    pub mode: Option<Permissions>,
    pub diff: Diff,
}

impl Change {
    /// The digests for the journal.
    pub fn digests(&self) -> FileChange {
        let after = self.after.as_ref().map(|new| digest::sha256(&new.bytes));
        let before = self.unread.clone().or_else(|| self.before.clone());
        FileChange { path: self.path.clone(), before, after }
    }

    /// Whether the file is already as it would become.
    fn is_done(&self) -> bool {
        let d = self.digests();
        d.before == d.after
    }
}

/// The changes of one call.
pub struct Changes {
    pub files: Vec<Change>,
    /// Told to the model after they are made.
    pub text: String,
    /// For people, where lines say nothing of it.
    pub summary: Option<String>,
}

impl Changes {
    pub fn digests(&self) -> Vec<FileChange> {
        self.files.iter().map(Change::digests).collect()
    }

    /// All diffs, one below the other.
    pub fn diff(&self) -> String {
        self.files.iter().map(|c| c.diff.text.as_str()).collect()
    }

    /// Makes the changes, all or none.
    pub fn make(self, ctx: &Context) -> Result<Output, ToolError> {
        let planned: Vec<Planned> = self
            .files
            .iter()
            .filter(|c| !c.is_done() && c.unread.is_none())
            .map(|c| Planned {
                path: c.path.clone(),
                before: c.before.clone(),
                after: c.after.as_ref().map(|new| new.bytes.clone()),
                mode: c.mode.clone(),
            })
            .collect();
        commit::commit(&planned, ctx.leases.as_deref()).map_err(|e| refused(&e, ctx))?;
        for change in self.files.iter().filter(|c| c.unread.is_some()) {
            file::remove(&change.path).map_err(|e| cannot("delete", &change.path, &e, ctx))?;
        }
        let changes = self.digests();
        for (change, digests) in self.files.iter().zip(&changes) {
            match (&change.after, &digests.after) {
                (Some(new), Some(after)) => ctx.seen().note(&change.path, after.clone(), &new.body),
                _ => ctx.seen().forget(&change.path),
            }
        }
        let (added, removed) = self.files.iter().fold((0, 0), |(a, r), c| (a + c.diff.added, r + c.diff.removed));
        let diff = Some(self.diff()).filter(|d| !d.is_empty());
        let summary = self.summary.unwrap_or_else(|| format!("+{added} -{removed}"));
        Ok(Output { text: self.text, summary, diff, changes })
    }
}

fn refused(error: &CommitError, ctx: &Context) -> ToolError {
    let show = |path: &Path| ctx.workspace.show(path);
    match error {
        CommitError::Changed(path) => ToolError::model(format!(
            "{} was changed by somebody else meanwhile; nothing was changed. Read it again, then decide anew",
            show(path)
        )),
        CommitError::Busy => ToolError::model("somebody else is writing the same files; nothing was changed. Try it again"),
        CommitError::File { path, error } => cannot("write", path, error, ctx),
        CommitError::HalfDone { path, error, lost, back } => ToolError::model(format!(
            "cannot write {}: {error}; and {}, which was written before, could not be put back: {back}. Look at it before you go on",
            show(path),
            show(lost)
        )),
    }
}

/// Reads the file that is to be changed, `None` when there is none, and refuses when it is not what the model read.
pub fn current(path: &Path, ctx: &Context) -> Result<Option<Text>, ToolError> {
    match file::read_text(path) {
        Ok(text) if ctx.seen().is_stale(path, &text.digest) => Err(conflict(path, &text, ctx)),
        Ok(text) => Ok(Some(text)),
        Err(FileError::Missing) => Ok(None),
        Err(e) => Err(cannot("change", path, &e, ctx)),
    }
}

/// Says what somebody else did to the file, as far as it is short. The model does not know the new state by that: the
/// calls that it made in the same breath did not know it either.
fn conflict(path: &Path, now: &Text, ctx: &Context) -> ToolError {
    let shown = ctx.workspace.show(path);
    let diff = ctx.seen().body(path).map(|body| diff::unified(&shown, Kind::Change, body, &now.body).text);
    let what = match diff {
        Some(diff) if diff.len() <= CONFLICT => format!("What changed:\n{diff}"),
        Some(diff) => format!("What changed begins with:\n{}\n", text::prefix(&diff, CONFLICT)),
        None => String::new(),
    };
    ToolError::model(format!("{shown} has changed since you read it; nothing was changed. {what}Read it again, then decide anew"))
}

/// Compares two bodies for people.
pub fn compare(path: &Path, kind: Kind, old: &str, new: &str, ctx: &Context) -> Diff {
    diff::unified(&ctx.workspace.show(path), kind, old, new)
}

/// The bytes of `body` in the encoding of `before`, or of a new file.
pub fn encoded(before: Option<&Text>, body: String, path: &Path, ctx: &Context) -> Result<New, ToolError> {
    if body.contains('\0') {
        return Err(cannot("write", path, &FileError::Nul, ctx));
    }
    let bytes = match before {
        Some(text) => text.with(&body).map_err(|e| cannot("write", path, &e, ctx))?,
        None => body.as_bytes().to_vec(),
    };
    Ok(New { bytes, body })
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

/// Refuses text that goes into a file with a remark instead of lines: what it stands for would be lost.
pub fn refuse_omission(new: &str, old: &str) -> Result<(), ToolError> {
    match omission::find(new, old) {
        Some(line) => Err(ToolError::model(format!(
            "the new text has the line `{}`, which stands for lines that are left out; nothing was changed. Write them in full, or replace less: what is not quoted stays as it is",
            text::one_line(line, 80)
        ))),
        None => Ok(()),
    }
}

pub fn cannot(what: &str, path: &Path, error: &FileError, ctx: &Context) -> ToolError {
    ToolError::model(format!("cannot {what} {}: {error}; nothing was changed", ctx.workspace.show(path)))
}
