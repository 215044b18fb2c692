//! `read_file`: the text of a file, whole or a part, as it is.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::text;
use crate::model::ToolSpec;
use crate::workspace::{file, lines};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

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
        let start = args.start_line.unwrap_or(1);
        if let Some(log) = ctx.log(&args.path)? {
            return of_log(&log, start, args.num_lines, ctx).map_err(|e| ToolError::model(format!("cannot read {}: {e}", args.path)))?;
        }
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
        part(&file.body, start, args.num_lines, ctx)
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
    let wanted = at_most(count, ctx);
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

fn at_most(count: Option<u64>, ctx: &Context) -> usize {
    count.map_or(ctx.limits.read_lines, |n| usize::try_from(n).unwrap_or(usize::MAX).clamp(1, ctx.limits.read_lines))
}

/// The same of a command's log, which may be larger than what is read at once, and is clean already.
fn of_log(path: &Path, start: u64, count: Option<u64>, ctx: &Context) -> io::Result<Result<Output, ToolError>> {
    let first = usize::try_from(start.max(1)).unwrap_or(usize::MAX) - 1;
    let (wanted, mut shown, mut last, mut total) = (at_most(count, ctx), String::new(), first, 0);
    let mut file = BufReader::new(File::open(path)?);
    let (mut line, mut full) = (Vec::new(), false);
    while file.read_until(b'\n', &mut line)? > 0 {
        if total >= first && total - first < wanted && !full {
            let text = String::from_utf8_lossy(&line);
            let room = ctx.limits.read_bytes.saturating_sub(shown.len());
            full = text.len() > room;
            if !full || shown.is_empty() {
                shown.push_str(text::prefix(&text, room));
                last = total + 1;
            }
        }
        total += 1;
        line.clear();
    }
    if first >= total {
        return Ok(Err(ToolError::model(format!("start_line is {}, but the log has {total} lines so far", first + 1))));
    }
    let summary = format!("lines {}-{last} of {total}", first + 1);
    Ok(Ok(Output { text: format!("[{summary}]\n{shown}"), summary, ..Output::default() }))
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
