//! `replace_in_file`: one or more replacements in a file, all or none.

use super::change::{self, Change, Changes, Edits};
use super::{Args, Context, ToolError, args, schema};
use crate::model::ToolSpec;
use crate::workspace::diff::Kind;
use crate::workspace::edit::{self, Replacement, Scope};
use crate::workspace::locate::Precision;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::PathBuf;

pub struct ReplaceInFile {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct ReplaceArgs {
    path: String,
    replacements: Vec<ReplacementArgs>,
}

#[derive(Deserialize, JsonSchema)]
struct ReplacementArgs {
    old_str: String,
    new_str: String,
    #[serde(default)]
    replace_all: bool,
}

impl From<ReplacementArgs> for Replacement {
    fn from(r: ReplacementArgs) -> Self {
        let scope = if r.replace_all { Scope::Every } else { Scope::Once };
        Self { old: r.old_str, new: r.new_str, scope }
    }
}

impl ReplaceInFile {
    pub fn new() -> Self {
        Self { schema: schema::of::<ReplaceArgs>() }
    }

    fn read(&self, args: &Args) -> Result<ReplaceArgs, ToolError> {
        args::read(self.name(), &self.schema, &gathered(args))
    }
}

/// A single replacement that a model put beside `path` instead of into the list.
fn gathered(args: &Args) -> Cow<'_, Args> {
    if args.contains_key("replacements") || args.contains_key("edits") {
        return Cow::Borrowed(args);
    }
    let (mut one, mut rest) = (Args::new(), Args::new());
    for (key, value) in args {
        let inner = ["old_str", "new_str", "replace_all"].iter().any(|name| args::is_name_of(key, name));
        if inner { &mut one } else { &mut rest }.insert(key.clone(), value.clone());
    }
    if one.is_empty() {
        return Cow::Borrowed(args);
    }
    rest.insert("replacements".to_owned(), json!([one]));
    Cow::Owned(rest)
}

impl Edits for ReplaceInFile {
    fn name(&self) -> &'static str {
        "replace_in_file"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Edit a file. Each old_str must match exactly one place; all replacements are made, or none.";
        ToolSpec { name: self.name().into(), description: description.into(), parameters: self.schema.clone() }
    }

    fn writes(&self, args: &Args, ctx: &Context) -> Result<Vec<PathBuf>, ToolError> {
        Ok(vec![ctx.workspace.resolve(&self.read(args)?.path)?])
    }

    fn describe(&self, args: &Args) -> String {
        let count = args.get("replacements").and_then(Value::as_array).map_or(1, Vec::len);
        let more = if count > 1 { format!(" ({count} replacements)") } else { String::new() };
        format!("{}: {}{more}", self.name(), args::peek(args, "path").unwrap_or("?"))
    }

    fn prepare(&self, args: &Args, ctx: &Context) -> Result<Changes, ToolError> {
        let args = self.read(args)?;
        let path = ctx.workspace.resolve(&args.path)?;
        let shown = ctx.workspace.show(&path);
        let Some(before) = change::current(&path, ctx)? else {
            return Err(ToolError::model(format!("{}; to make a new file use create_file", ctx.workspace.missing(&path))));
        };
        let mut replacements: Vec<Replacement> = args.replacements.into_iter().map(Replacement::from).collect();
        for replacement in &mut replacements {
            change::refuse_redacted(&replacement.new, &before.body)?;
            change::refuse_omission(&replacement.new, &before.body)?;
            for text in [&mut replacement.old, &mut replacement.new] {
                // The file's own mark is kept as it is, and is not part of its text.
                *text = text.strip_prefix('\u{feff}').filter(|_| before.bom).unwrap_or(text).to_owned();
            }
        }
        let edited = edit::apply(&before.body, &replacements).map_err(|e| ToolError::model(format!("{shown} was not changed: {e}")))?;
        let diff = change::compare(&path, Kind::Change, &before.body, &edited.text, ctx);
        let note = match edited.precision {
            Precision::Exact => "",
            Precision::Endings => " (matched apart from line endings, which were kept)",
            Precision::TrailingBlanks => " (matched apart from blanks at line ends)",
            Precision::Typography => " (matched apart from typographic quotes and dashes, which were kept)",
            Precision::Indentation => " (matched apart from the indentation; the new lines got the file's)",
            Precision::Elided => " (the lines left out with `...` were kept)",
            Precision::FinalNewline => " (the file has no newline at its end)",
        };
        let places = if edited.places == 1 { String::new() } else { format!(" in {} places", edited.places) };
        let text = format!("edited {shown}{places}: +{} -{} lines{note}", diff.added, diff.removed);
        let after = change::encoded(Some(&before), edited.text, &path, ctx)?;
        Ok(Changes {
            files: vec![Change { path, before: Some(before.digest), unread: None, after: Some(after), mode: None, diff }],
            text,
            summary: None,
        })
    }
}
