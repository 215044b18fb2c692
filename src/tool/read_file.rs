//! `read_file`: the text of a file, whole or a part, as it is.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::text;
use crate::model::ToolSpec;
use crate::workspace::{file, lines};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;

/// Content only, without a gutter of line numbers: what a model copies from it must match the file.
pub struct ReadFile {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct ReadArgs {
    path: String,
    start_line: Option<u64>,
    num_lines: Option<u64>,
}

impl ReadFile {
    pub fn new() -> Self {
        Self { schema: schema::of::<ReadArgs>() }
    }

    fn read(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let args: ReadArgs = args::read(self.name(), &self.schema, args)?;
        let path = ctx.workspace.resolve(&args.path)?;
        let file = match file::read_text(&path) {
            Ok(file) => file,
            Err(file::FileError::Missing) => return Err(ToolError::Model(ctx.workspace.missing(&path))),
            Err(file::FileError::Folder) => {
                return Err(ToolError::model(format!("{} is a folder; use list_files", ctx.workspace.show(&path))));
            }
            Err(e) => return Err(ToolError::model(format!("cannot read {}: {e}", ctx.workspace.show(&path)))),
        };
        ctx.seen().note(&path, file.digest, &file.body);
        part(&file.body, args.start_line.unwrap_or(1), args.num_lines, ctx)
    }
}

/// The lines from `start` on, bounded in lines and bytes, under a heading unless they are the whole file.
fn part(body: &str, start: u64, count: Option<u64>, ctx: &Context) -> Result<Output, ToolError> {
    let lines = lines::shown(body);
    let total = lines.len();
    if total == 0 {
        return Ok(Output { text: "(empty file)".to_owned(), summary: "empty".to_owned(), ..Output::default() });
    }
    let first = usize::try_from(start.max(1)).unwrap_or(usize::MAX) - 1;
    if first >= total {
        return Err(ToolError::model(format!("start_line is {}, but the file has {total} lines", first + 1)));
    }
    let wanted = count.map_or(ctx.limits.read_lines, |n| usize::try_from(n).unwrap_or(usize::MAX).clamp(1, ctx.limits.read_lines));
    let mut shown = String::new();
    let mut last = first;
    let mut notes = String::new();
    for line in lines.iter().skip(first).take(wanted) {
        if shown.len() + line.len() > ctx.limits.read_bytes {
            if shown.is_empty() {
                shown.push_str(text::prefix(line, ctx.limits.read_bytes));
                let _ = write!(notes, "; line {} is cut, it has {} bytes", first + 1, line.len());
                last += 1;
            }
            break;
        }
        shown.push_str(line);
        last += 1;
    }
    let before = lines.get(..first).unwrap_or_default();
    let shown = ctx.redactor.redact(&with_key_heading(before, shown)).into_owned();
    let whole = first == 0 && last == total && notes.is_empty();
    let heading = if whole { String::new() } else { format!("[lines {}-{last} of {total}{notes}]\n", first + 1) };
    let summary = if whole { format!("{total} lines") } else { format!("lines {}-{last} of {total}", first + 1) };
    Ok(Output { text: format!("{heading}{shown}"), summary, ..Output::default() })
}

/// A part that begins inside a private key gets the key's first line back, by which the redactor knows it.
fn with_key_heading(before: &[&str], shown: String) -> String {
    let open = before.iter().rev().find(|l| l.contains("-----BEGIN ") || l.contains("-----END "));
    match open {
        Some(line) if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----") => format!("{line}{shown}"),
        _ => shown,
    }
}

impl Tool for ReadFile {
    fn name(&self) -> &'static str {
        "read_file"
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec { name: self.name().into(), description: "Read a text file.".into(), parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        let part = args.get("start_line").filter(|v| !v.is_null()).map_or_else(String::new, |from| format!(" from line {from}"));
        format!("{}: {}{part}", self.name(), args::peek(args, "path").unwrap_or("?"))
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(async move { self.read(args, ctx) })
    }
}
