//! `list_files`: what a folder holds.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema, walk};
use crate::base::bytesize;
use crate::model::ToolSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;
use std::fs::{self, Metadata};
use std::path::Path;

/// Entries that are counted at most, beyond those that are shown.
const COUNTED: usize = 50_000;

pub struct ListFiles {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct ListArgs {
    path: String,
    #[serde(default)]
    recursive: bool,
}

impl ListFiles {
    pub fn new() -> Self {
        Self { schema: schema::of::<ListArgs>() }
    }

    async fn list(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let args: ListArgs = args::read(self.name(), &self.schema, args)?;
        let path = ctx.workspace.resolve(if args.path.is_empty() { "." } else { &args.path })?;
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(ToolError::model(format!("{} is a file; use read_file", ctx.workspace.show(&path)))),
            Err(_) => return Err(ToolError::Model(ctx.workspace.missing(&path))),
        }
        let ctx = ctx.clone();
        walk::aside(move || {
            let mut list = Listing::default();
            if args.recursive {
                recursive(&path, &ctx, &mut list)?;
            } else {
                flat(&path, &ctx, &mut list)?;
            }
            Ok(list.output())
        })
        .await
    }
}

#[derive(Default)]
struct Listing {
    text: String,
    shown: usize,
    total: usize,
    unreadable: usize,
    /// Counting was given up.
    more: bool,
}

impl Listing {
    /// Takes an entry; `false` when there is no use in going on.
    fn add(&mut self, path: &Path, meta: Option<&Metadata>, ctx: &Context) -> bool {
        if self.total >= COUNTED {
            self.more = true;
            return false;
        }
        self.total += 1;
        if self.shown == self.total - 1 && self.shown < ctx.limits.entries && self.text.len() < ctx.limits.output_bytes {
            self.shown += 1;
            self.text.push_str(&line(path, meta, ctx));
        }
        true
    }

    fn output(self) -> Output {
        let Self { mut text, shown, total, unreadable, more } = self;
        let at_least = if more { "more than " } else { "" };
        if total == 0 {
            text.push_str("(empty folder)\n");
        }
        if shown < total {
            let _ = writeln!(text, "[{shown} of {at_least}{total} entries shown; list a folder in it to see more]");
        }
        if unreadable > 0 {
            let _ = writeln!(text, "[{unreadable} entries could not be read]");
        }
        Output { text, summary: format!("{at_least}{total} entries"), ..Output::default() }
    }
}

fn line(path: &Path, meta: Option<&Metadata>, ctx: &Context) -> String {
    let name = ctx.workspace.show(path);
    match meta {
        Some(m) if m.is_dir() => format!("{name}/\n"),
        Some(m) if m.is_file() => format!("{name} {}\n", bytesize::human(m.len())),
        Some(m) if m.is_symlink() => format!("{name} -> {}\n", path.read_link().unwrap_or_default().display()),
        _ => format!("{name} (special)\n"),
    }
}

fn flat(folder: &Path, ctx: &Context, list: &mut Listing) -> Result<(), ToolError> {
    let shown = ctx.workspace.show(folder);
    let entries = fs::read_dir(folder).map_err(|e| ToolError::model(format!("cannot list {shown}: {e}")))?;
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(entry) = entry {
            names.push(entry.file_name());
        } else {
            list.unreadable += 1;
        }
    }
    names.sort();
    for name in names {
        let path = folder.join(name);
        if !list.add(&path, path.symlink_metadata().ok().as_ref(), ctx) {
            break;
        }
    }
    Ok(())
}

fn recursive(folder: &Path, ctx: &Context, list: &mut Listing) -> Result<(), ToolError> {
    for entry in walk::from(folder) {
        if ctx.cancel.is_cancelled() {
            return Err(ToolError::model("cancelled"));
        }
        match entry {
            Ok(e) if e.depth() == 0 => {}
            Ok(e) => {
                if !list.add(e.path(), e.metadata().ok().as_ref(), ctx) {
                    break;
                }
            }
            Err(_) => list.unreadable += 1,
        }
    }
    Ok(())
}

impl Tool for ListFiles {
    fn name(&self) -> &'static str {
        "list_files"
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec { name: self.name().into(), description: "List a folder.".into(), parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        format!("{}: {}", self.name(), args::peek(args, "path").unwrap_or("?"))
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(self.list(args, ctx))
    }
}
