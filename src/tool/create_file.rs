//! `create_file`: a new file, or with `overwrite` a new content.

use super::change::{self, Change};
use super::{Args, Context, Effect, FileChange, Running, Tool, ToolError, args, schema};
use crate::model::ToolSpec;
use crate::workspace::diff::Kind;
use crate::workspace::file::Text;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

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

    fn prepare(&self, args: &Args, ctx: &Context) -> Result<Change, ToolError> {
        let args: CreateArgs = args::read(self.name(), &self.schema, args)?;
        let path = ctx.workspace.resolve(&args.path)?;
        let shown = ctx.workspace.show(&path);
        if path.is_dir() || args.path.ends_with('/') {
            return Err(ToolError::model(format!("{shown} is a folder; give the path of a file in it")));
        }
        let before = change::current(&path, ctx)?;
        let old = before.as_ref().map_or("", |t| t.body.as_str());
        change::refuse_redacted(&args.content, old)?;
        let (bytes, kept) = in_the_old_style(&args.content, before.as_ref());
        let same = before.as_ref().is_some_and(|t| Text::encode(t.bom, &t.body) == bytes);
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
        let body = std::str::from_utf8(&bytes).unwrap_or_default().trim_start_matches('\u{feff}');
        let diff = change::compare(&path, kind, old, body, ctx);
        Ok(Change { path, before, after: Some(bytes), diff, text: format!("{verb} {shown}{kept}") })
    }
}

/// The bytes of `content` with the byte order mark and, where the model used none, the carriage returns of the file
/// that it replaces; and a note about that.
fn in_the_old_style(content: &str, before: Option<&Text>) -> (Vec<u8>, &'static str) {
    let Some(old) = before else { return (content.as_bytes().to_vec(), "") };
    let breaks = old.body.matches('\n').count();
    let crlf = breaks > 0 && old.body.matches("\r\n").count() == breaks && !content.contains('\r');
    let body = if crlf { content.replace('\n', "\r\n") } else { content.to_owned() };
    (Text::encode(old.bom && !content.starts_with('\u{feff}'), &body), if crlf { " (kept its CRLF line endings)" } else { "" })
}

impl Tool for CreateFile {
    fn name(&self) -> &'static str {
        "create_file"
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec { name: self.name().into(), description: "Write a new file.".into(), parameters: self.schema.clone() }
    }

    fn effect(&self, args: &Args, ctx: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::Writes(vec![ctx.workspace.resolve(&args::read::<CreateArgs>(self.name(), &self.schema, args)?.path)?]))
    }

    fn describe(&self, args: &Args) -> String {
        let lines = args::peek(args, "content").map_or(0, |c| c.lines().count());
        format!("{}: {} ({lines} lines)", self.name(), args::peek(args, "path").unwrap_or("?"))
    }

    fn preview(&self, args: &Args, ctx: &Context) -> Option<String> {
        self.prepare(args, ctx).ok().map(|c| ctx.redactor.redact(&c.diff.text).into_owned())
    }

    fn plan(&self, args: &Args, ctx: &Context) -> Result<Vec<FileChange>, ToolError> {
        Ok(vec![self.prepare(args, ctx)?.digests()])
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(async move { self.prepare(args, ctx)?.make(ctx) })
    }
}
