//! `grep`: lines that match a regular expression, by ripgrep's own crates.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema, walk};
use crate::base::text;
use crate::model::ToolSpec;
use grep_matcher::Matcher;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;
use std::io;
use std::path::Path;

/// Longest line shown, in bytes.
const WIDTH: usize = 300;
/// Most lines of context on either side of a match.
const CONTEXT: u64 = 20;
/// A line longer than this ends the search of its file.
const HEAP: usize = 32 * 1024 * 1024;

pub struct Grep {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct GrepArgs {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
    #[serde(default)]
    ignore_case: bool,
    context: Option<u64>,
}

impl Grep {
    pub fn new() -> Self {
        Self { schema: schema::of::<GrepArgs>() }
    }

    async fn search(&self, args: &Args, ctx: &Context) -> Result<Output, ToolError> {
        let args: GrepArgs = args::read(self.name(), &self.schema, args)?;
        let matcher = compile(&args)?;
        let glob = args.glob.as_deref().filter(|g| !g.is_empty()).map(walk::FileGlob::new).transpose()?;
        let named = args.path.as_deref().filter(|p| !p.is_empty()).unwrap_or(".");
        let path = ctx.log(named)?.map_or_else(|| ctx.workspace.resolve(named), Ok)?;
        if !path.exists() {
            return Err(ToolError::Model(ctx.workspace.missing(&path)));
        }
        let around = usize::try_from(args.context.unwrap_or(0).min(CONTEXT)).unwrap_or(0);
        let ctx = ctx.clone();
        walk::aside(move || all_files(&path, &matcher, glob.as_ref(), around, &ctx)).await
    }
}

fn compile(args: &GrepArgs) -> Result<RegexMatcher, ToolError> {
    if args.pattern.is_empty() {
        return Err(ToolError::model("the pattern is empty"));
    }
    let built = RegexMatcherBuilder::new().case_insensitive(args.ignore_case).line_terminator(Some(b'\n')).build(&args.pattern);
    built.map_err(|e| {
        let why = e.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let literal = regex::escape(&args.pattern).replace('\n', "\\n");
        let advice = if args.pattern.contains('\n') || args.pattern.contains("\\n") {
            "only single lines are searched; take one line of it".to_owned()
        } else {
            format!("to find it literally use `{literal}`")
        };
        ToolError::model(format!("`{}` is not a usable regular expression: {why}; {advice}", args.pattern))
    })
}

fn all_files(
    root: &Path,
    matcher: &RegexMatcher,
    glob: Option<&walk::FileGlob>,
    around: usize,
    ctx: &Context,
) -> Result<Output, ToolError> {
    let mut searcher = SearcherBuilder::new()
        .line_number(true)
        .before_context(around)
        .after_context(around)
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(HEAP))
        .build();
    let mut found = Found { matcher, ctx, text: String::new(), matches: 0, full: false, name: String::new(), separate: false };
    let (mut files, mut unreadable) = (0, 0);
    for entry in walk::from(root) {
        if ctx.cancel.is_cancelled() {
            return Err(ToolError::model("cancelled"));
        }
        if found.full {
            break;
        }
        let Ok(entry) = entry else {
            unreadable += 1;
            continue;
        };
        if !entry.file_type().is_some_and(|t| t.is_file()) {
            continue;
        }
        let relative = entry.path().strip_prefix(ctx.workspace.root()).unwrap_or(entry.path());
        if glob.is_some_and(|g| !g.takes(relative)) {
            continue;
        }
        found.name = ctx.workspace.show(entry.path());
        found.separate = false;
        let before = found.matches;
        unreadable += usize::from(searcher.search_path(matcher, entry.path(), &mut found).is_err());
        files += usize::from(found.matches > before);
    }
    Ok(found.output(files, unreadable))
}

/// Collects lines as `path:line:text`, context as `path-line-text`.
struct Found<'a> {
    matcher: &'a RegexMatcher,
    ctx: &'a Context,
    text: String,
    matches: usize,
    /// A bound was reached.
    full: bool,
    name: String,
    /// Whether the file already has a group of lines.
    separate: bool,
}

impl Found<'_> {
    fn line(&mut self, number: Option<u64>, bytes: &[u8], mark: char) {
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim_end_matches(['\n', '\r']);
        let at = self.matcher.find(line.as_bytes()).ok().flatten().map_or(0, |m| m.start());
        let _ = writeln!(self.text, "{}{mark}{}{mark}{}", self.name, number.unwrap_or_default(), window(line, at));
    }

    fn output(self, files: usize, unreadable: usize) -> Output {
        let Self { mut text, matches, full, .. } = self;
        if matches == 0 {
            text.push_str("no line of these files matches\n");
        }
        if full {
            let _ = writeln!(text, "[stopped after {matches} matches; narrow the search with path, glob or pattern]");
        }
        if unreadable > 0 {
            let _ = writeln!(text, "[{unreadable} files or folders could not be read]");
        }
        let more = if full { "at least " } else { "" };
        let (s, es) = (if files == 1 { "" } else { "s" }, if matches == 1 { "" } else { "es" });
        Output { text, summary: format!("{more}{matches} match{es} in {files} file{s}"), ..Output::default() }
    }
}

/// The part of a long line around its match.
fn window(line: &str, at: usize) -> String {
    if line.len() <= WIDTH {
        return line.to_owned();
    }
    let from = if at + 80 > WIDTH { at.saturating_sub(80) } else { 0 };
    let skipped = text::prefix(line, from).len();
    let rest = line.get(skipped..).unwrap_or("");
    let shown = text::prefix(rest, WIDTH);
    let (before, after) = (if skipped > 0 { "..." } else { "" }, if shown.len() < rest.len() { "..." } else { "" });
    format!("{before}{shown}{after}")
}

impl Sink for Found<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, mat: &SinkMatch<'_>) -> Result<bool, io::Error> {
        if self.matches >= self.ctx.limits.matches || self.text.len() >= self.ctx.limits.output_bytes {
            self.full = true;
            return Ok(false);
        }
        self.matches += 1;
        self.line(mat.line_number(), mat.bytes(), ':');
        Ok(!self.ctx.cancel.is_cancelled())
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        self.line(context.line_number(), context.bytes(), '-');
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        if std::mem::replace(&mut self.separate, true) {
            self.text.push_str("--\n");
        }
        Ok(true)
    }
}

impl Tool for Grep {
    fn name(&self) -> &'static str {
        "grep"
    }

    fn spec(&self) -> ToolSpec {
        ToolSpec { name: self.name().into(), description: "Search the lines of files by regex.".into(), parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        let place = args::peek(args, "path").map_or_else(String::new, |p| format!(" in {p}"));
        format!("{}: {}{place}", self.name(), text::one_line(args::peek(args, "pattern").unwrap_or("?"), 80))
    }

    fn run<'a>(&'a self, args: &'a Args, ctx: &'a Context) -> Running<'a> {
        Box::pin(self.search(args, ctx))
    }
}
