//! `delete_file`: one file or link; a link's target stays.

use super::change::{self, Change, Changes, Edits};
use super::{Args, Context, ToolError, args, schema};
use crate::base::{bytesize, digest};
use crate::model::ToolSpec;
use crate::workspace::diff::{Diff, Kind};
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

impl DeleteFile {
    pub fn new() -> Self {
        Self { schema: schema::of::<DeleteArgs>() }
    }

    fn place(&self, args: &Args, ctx: &Context) -> Result<PathBuf, ToolError> {
        let args: DeleteArgs = args::read(self.name(), &self.schema, args)?;
        Ok(ctx.workspace.resolve_entry(&args.path)?)
    }
}

impl Edits for DeleteFile {
    fn name(&self) -> &'static str {
        "delete_file"
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec { name: self.name().into(), description: "Delete a file.".into(), parameters: self.schema.clone() }
    }

    fn writes(&self, args: &Args, ctx: &Context) -> Result<Vec<PathBuf>, ToolError> {
        Ok(vec![self.place(args, ctx)?])
    }

    fn describe(&self, args: &Args) -> String {
        format!("{}: {}", self.name(), args::peek(args, "path").unwrap_or("?"))
    }

    fn prepare(&self, args: &Args, ctx: &Context) -> Result<Changes, ToolError> {
        let path = self.place(args, ctx)?;
        let shown = ctx.workspace.show(&path);
        let Ok(meta) = path.symlink_metadata() else { return Err(ToolError::Model(ctx.workspace.missing(&path))) };
        if meta.is_dir() {
            return Err(ToolError::model(format!("{shown} is a folder; nothing was deleted. Use the shell for folders")));
        }
        let mut change = Change { path, before: None, unread: None, after: None, mode: None, diff: Diff::default() };
        let mut what = None;
        if meta.is_symlink() {
            let target = change.path.read_link().unwrap_or_default();
            what = Some(format!("link to {}", target.display()));
            change.unread.clone_from(&what);
        } else {
            match file::read_bytes(&change.path) {
                Ok(bytes) => {
                    let before = digest::sha256(&bytes);
                    if ctx.seen().is_stale(&change.path, &before) {
                        return Err(ToolError::model(format!(
                            "{shown} has changed since you read it; nothing was deleted. Read it again, then decide anew"
                        )));
                    }
                    change.before = Some(before);
                    match Text::decode(&bytes) {
                        Ok(text) => change.diff = change::compare(&change.path, Kind::Delete, &text.body, "", ctx),
                        Err(_) => what = Some(bytesize::human(bytes.len() as u64)),
                    }
                }
                Err(FileError::TooBig(size)) => {
                    what = Some(bytesize::human(size));
                    change.unread = Some(format!("{size} bytes"));
                }
                Err(e) => return Err(change::cannot("delete", &change.path, &e, ctx)),
            }
        }
        let summary = what.map(|what| format!("deleted ({what})"));
        Ok(Changes { files: vec![change], text: format!("deleted {shown}"), summary })
    }
}
