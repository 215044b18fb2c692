//! `delete_file`: one file or link; a link's target stays.

use super::change;
use super::{Args, Context, Effect, FileChange, Output, Running, Tool, ToolError, args, schema};
use crate::base::{bytesize, digest};
use crate::model::ToolSpec;
use crate::workspace::commit::{self, Planned};
use crate::workspace::diff::{self, Kind};
use crate::workspace::file::{self, FileError, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

pub struct DeleteFile {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct DeleteArgs {
    path: String,
}

/// A deletion that was worked out but not made.
struct Deletion {
    path: PathBuf,
    /// The digest; of a file too big to read, its size; of a link, its target's name.
    before: String,
    /// Whether `before` is the digest, which is looked at again under the file's lease.
    digested: bool,
    removed: Removed,
}

enum Removed {
    Text(Text),
    Other(String),
}

impl DeleteFile {
    pub fn new() -> Self {
        Self { schema: schema::of::<DeleteArgs>() }
    }

    fn place(&self, args: &Args, ctx: &Context) -> Result<PathBuf, ToolError> {
        let args: DeleteArgs = args::read(self.name(), &self.schema, args)?;
        Ok(ctx.workspace.resolve_entry(&args.path)?)
    }

    fn prepare(&self, args: &Args, ctx: &Context) -> Result<Deletion, ToolError> {
        let path = self.place(args, ctx)?;
        let shown = ctx.workspace.show(&path);
        let Ok(meta) = path.symlink_metadata() else { return Err(ToolError::Model(ctx.workspace.missing(&path))) };
        if meta.is_dir() {
            return Err(ToolError::model(format!("{shown} is a folder; nothing was deleted. Use the shell for folders")));
        }
        if meta.is_symlink() {
            let target = path.read_link().unwrap_or_default().display().to_string();
            return Ok(Deletion {
                path,
                before: format!("link to {target}"),
                digested: false,
                removed: Removed::Other(format!("link to {target}")),
            });
        }
        match file::read_bytes(&path) {
            Ok(bytes) => {
                let before = digest::sha256(&bytes);
                if ctx.seen().is_stale(&path, &before) {
                    return Err(ToolError::model(format!(
                        "{shown} has changed since you read it; nothing was deleted. Read it again, then decide anew"
                    )));
                }
                let size = bytesize::human(bytes.len() as u64);
                let removed = Text::decode(&bytes).map_or_else(|_| Removed::Other(size), Removed::Text);
                Ok(Deletion { path, before, digested: true, removed })
            }
            Err(FileError::TooBig(size)) => {
                Ok(Deletion { path, before: format!("{size} bytes"), digested: false, removed: Removed::Other(bytesize::human(size)) })
            }
            Err(e) => Err(change::cannot("delete", &path, &e, ctx)),
        }
    }
}

impl Deletion {
    fn digests(&self) -> FileChange {
        FileChange { path: self.path.clone(), before: Some(self.before.clone()), after: None }
    }

    fn diff(&self, ctx: &Context) -> Option<diff::Diff> {
        match &self.removed {
            Removed::Text(text) => Some(change::compare(&self.path, Kind::Delete, &text.body, "", ctx)),
            Removed::Other(_) => None,
        }
    }

    fn make(self, ctx: &Context) -> Result<Output, ToolError> {
        if self.digested {
            let planned = Planned { path: self.path.clone(), before: Some(self.before.clone()), after: None, mode: None };
            commit::commit(&[planned], ctx.leases.as_deref()).map_err(|e| change::refused(&e, ctx))?;
        } else {
            file::remove(&self.path).map_err(|e| change::cannot("delete", &self.path, &e, ctx))?;
        }
        ctx.seen().forget(&self.path);
        let diff = self.diff(ctx);
        let summary = match (&self.removed, &diff) {
            (Removed::Other(what), _) => format!("deleted ({what})"),
            (Removed::Text(_), Some(d)) => format!("+0 -{}", d.removed),
            (Removed::Text(_), None) => "deleted".to_owned(),
        };
        let text = format!("deleted {}", ctx.workspace.show(&self.path));
        Ok(Output { text, summary, diff: diff.map(|d| d.text).filter(|t| !t.is_empty()), changes: vec![self.digests()] })
    }
}

impl Tool for DeleteFile {
    fn name(&self) -> &'static str {
        "delete_file"
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec { name: self.name().into(), description: "Delete a file.".into(), parameters: self.schema.clone() }
    }

    fn effect(&self, args: &Args, ctx: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::Writes(vec![self.place(args, ctx)?]))
    }

    fn describe(&self, args: &Args) -> String {
        format!("{}: {}", self.name(), args::peek(args, "path").unwrap_or("?"))
    }

    fn preview(&self, args: &Args, ctx: &Context) -> Option<String> {
        self.prepare(args, ctx).ok()?.diff(ctx).map(|d| ctx.redactor.redact(&d.text).into_owned())
    }

    fn plan(&self, args: &Args, ctx: &Context) -> Result<Vec<FileChange>, ToolError> {
        Ok(vec![self.prepare(args, ctx)?.digests()])
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(async move { self.prepare(args, ctx)?.make(ctx) })
    }
}
