//! `create_file`: a new file, or with `overwrite` a new content.

use super::change::{self, Change, Changes, Edits};
use super::{Args, Context, ToolError, args, schema};
use crate::base::digest;
use crate::model::ToolSpec;
use crate::workspace::diff::Kind;
use crate::workspace::file::Text;
use crate::workspace::lines;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

pub struct CreateFile {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct CreateArgs {
    path: String,
    content: String,
    #[serde(default)]
    overwrite: bool,
}

impl CreateFile {
    pub fn new() -> Self {
        Self { schema: schema::of::<CreateArgs>() }
    }
}

/// `content` with, where the model used none, the carriage returns of the file that it replaces, whose byte order mark is
/// kept as well; and a note about that.
fn in_the_old_style(content: &str, before: Option<&Text>) -> (String, &'static str) {
    let Some(old) = before else { return (content.to_owned(), "") };
    let content = if old.bom { content.strip_prefix('\u{feff}').unwrap_or(content) } else { content };
    let others = lines::every(&old.body).map(lines::ending).any(|ending| ending != "\r\n" && !ending.is_empty());
    let crlf = !others && old.body.contains("\r\n") && !content.contains('\r');
    if crlf { (content.replace('\n', "\r\n"), " (kept its CRLF line endings)") } else { (content.to_owned(), "") }
}

impl Edits for CreateFile {
    fn name(&self) -> &'static str {
        "create_file"
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec { name: self.name().into(), description: "Write a new file.".into(), parameters: self.schema.clone() }
    }

    fn writes(&self, args: &Args, ctx: &Context) -> Result<Vec<PathBuf>, ToolError> {
        Ok(vec![ctx.workspace.resolve(&args::read::<CreateArgs>(self.name(), &self.schema, args)?.path)?])
    }

    fn describe(&self, args: &Args) -> String {
        let lines = args::peek(args, "content").map_or(0, |c| c.lines().count());
        format!("{}: {} ({lines} lines)", self.name(), args::peek(args, "path").unwrap_or("?"))
    }

    fn prepare(&self, args: &Args, ctx: &Context) -> Result<Changes, ToolError> {
        let args: CreateArgs = args::read(self.name(), &self.schema, args)?;
        let path = ctx.workspace.resolve(&args.path)?;
        let shown = ctx.workspace.show(&path);
        if path.is_dir() || args.path.ends_with('/') {
            return Err(ToolError::model(format!("{shown} is a folder; give the path of a file in it")));
        }
        let before = change::current(&path, ctx)?;
        let old = before.as_ref().map_or("", |t| t.body.as_str());
        change::refuse_redacted(&args.content, old)?;
        if before.is_some() {
            change::refuse_omission(&args.content, old)?;
        }
        let (body, kept) = in_the_old_style(&args.content, before.as_ref());
        let new = change::encoded(before.as_ref(), body, &path, ctx)?;
        let same = before.as_ref().is_some_and(|t| t.digest == digest::sha256(&new.bytes));
        if before.is_some() && !args.overwrite && !same {
            let lines = old.lines().count();
            return Err(ToolError::model(format!(
                "{shown} exists ({lines} lines); nothing was changed. Edit it with replace_in_file, or set overwrite to replace all of it"
            )));
        }
        let (kind, verb) = match (&before, same) {
            (_, true) => (Kind::Change, "already has this content:"),
            (Some(_), false) => (Kind::Change, "overwrote"),
            (None, false) => (Kind::Create, "created"),
        };
        let diff = change::compare(&path, kind, old, &new.body, ctx);
        let change = Change { path, before: before.map(|t| t.digest), unread: None, after: Some(new), mode: None, diff };
        Ok(Changes { files: vec![change], text: format!("{verb} {shown}{kept}"), summary: None })
    }
}
