//! `apply_patch`: several files in one call, in the format that some models are trained on; all of it or nothing.

use super::change::{self, Change, Changes, Edits, New};
use super::{Args, Context, ToolError, args, schema};
use crate::base::digest;
use crate::model::ToolSpec;
use crate::workspace::diff::Kind;
use crate::workspace::file::{self, Text};
use crate::workspace::patch::{self, Hunk};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::path::{Path, PathBuf};

pub struct ApplyPatch {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct PatchArgs {
    patch: String,
}

/// A file on its way: what it was, and what it will be after the part of the patch that was read so far.
struct Draft {
    /// The digest and the text, if it is text, of the file as it is.
    before: Option<(String, Option<Text>)>,
    /// In the encoding of this.
    style: Option<Text>,
    body: Option<String>,
    mode: Option<Permissions>,
}

#[derive(Default)]
struct Drafts {
    files: BTreeMap<PathBuf, Draft>,
    notes: Vec<String>,
}

impl Drafts {
    fn at(&mut self, path: &Path, ctx: &Context) -> Result<&mut Draft, ToolError> {
        if !self.files.contains_key(path) {
            let text = change::current(path, ctx)?;
            let before = text.clone().map(|t| (t.digest.clone(), Some(t)));
            let draft = Draft { before, body: text.as_ref().map(|t| t.body.clone()), style: text, mode: None };
            self.files.insert(path.to_path_buf(), draft);
        }
        self.files.get_mut(path).ok_or_else(|| ToolError::model("a file of the patch vanished"))
    }

    fn add(&mut self, named: &str, content: String, ctx: &Context) -> Result<(), ToolError> {
        let path = ctx.workspace.resolve(named)?;
        let shown = ctx.workspace.show(&path);
        if path.is_dir() || named.ends_with('/') {
            return Err(refused(&shown, "it is a folder"));
        }
        let draft = self.at(&path, ctx)?;
        if draft.body.is_some() {
            return Err(refused(&shown, "it exists already; use `*** Update File: `, or delete it first"));
        }
        change::refuse_redacted(&content, "")?;
        draft.body = Some(content);
        self.notes.push(format!("A {shown}"));
        Ok(())
    }

    fn delete(&mut self, named: &str, ctx: &Context) -> Result<(), ToolError> {
        let path = ctx.workspace.resolve_entry(named)?;
        let shown = ctx.workspace.show(&path);
        match path.symlink_metadata() {
            Ok(meta) if meta.is_dir() => return Err(refused(&shown, "it is a folder; use the shell for folders")),
            Ok(meta) if meta.is_symlink() => return Err(refused(&shown, "it is a symbolic link; use delete_file")),
            Ok(_) if !self.files.contains_key(&path) => {
                let bytes = file::read_bytes(&path).map_err(|e| change::cannot("delete", &path, &e, ctx))?;
                let digest = digest::sha256(&bytes);
                if ctx.seen().is_stale(&path, &digest) {
                    // Says what changed.
                    change::current(&path, ctx)?;
                }
                let draft = Draft { before: Some((digest, Text::decode(&bytes).ok())), style: None, body: None, mode: None };
                self.files.insert(path, draft);
            }
            _ => {
                let draft = self.at(&path, ctx)?;
                if draft.body.take().is_none() {
                    return Err(ToolError::model(format!("{}; the patch was not applied", ctx.workspace.missing(&path))));
                }
            }
        }
        self.notes.push(format!("D {shown}"));
        Ok(())
    }

    fn update(&mut self, named: &str, moved: Option<&str>, hunks: &[Hunk], ctx: &Context) -> Result<(), ToolError> {
        let path = ctx.workspace.resolve(named)?;
        let shown = ctx.workspace.show(&path);
        let draft = self.at(&path, ctx)?;
        let Some(old) = draft.body.clone() else {
            return Err(ToolError::model(format!("{}; the patch was not applied", ctx.workspace.missing(&path))));
        };
        let new = patch::apply(&old, hunks).map_err(|e| refused(&shown, &e.to_string()))?;
        if new == old && moved.is_none() {
            return Err(refused(&shown, "the hunks change nothing"));
        }
        change::refuse_redacted(&new, &old)?;
        change::refuse_omission(&new, &old)?;
        let Some(target) = moved else {
            draft.body = Some(new);
            self.notes.push(format!("M {shown}"));
            return Ok(());
        };
        draft.body = None;
        let style = draft.style.clone();
        let to = ctx.workspace.resolve(target)?;
        let to_shown = ctx.workspace.show(&to);
        if to.is_dir() {
            return Err(refused(&shown, &format!("{to_shown} is a folder")));
        }
        // A second name of the file is not to become two files.
        if ctx.workspace.resolve_entry(named)? != path {
            return Err(refused(&shown, "it is named by a symbolic link, which cannot be moved"));
        }
        let mode = std::fs::metadata(&path).ok().map(|m| m.permissions());
        let there = self.at(&to, ctx)?;
        if there.body.is_some() && to != path {
            return Err(refused(&shown, &format!("{to_shown} exists already; delete it first")));
        }
        (there.body, there.style, there.mode) = (Some(new), style, mode);
        self.notes.push(format!("R {shown} -> {to_shown}"));
        Ok(())
    }

    fn finish(self, ctx: &Context) -> Result<Changes, ToolError> {
        let mut files = Vec::new();
        for (path, draft) in self.files {
            let (digest, text) = draft.before.unzip();
            let old = text.flatten().map(|t| t.body).unwrap_or_default();
            let after: Option<New> = draft.body.map(|body| change::encoded(draft.style.as_ref(), body, &path, ctx)).transpose()?;
            let kind = match (&digest, &after) {
                (_, None) => Kind::Delete,
                (None, Some(_)) => Kind::Create,
                (Some(_), Some(_)) => Kind::Change,
            };
            if digest.is_none() && after.is_none() {
                continue;
            }
            let diff = change::compare(&path, kind, &old, after.as_ref().map_or("", |n| n.body.as_str()), ctx);
            files.push(Change { path, before: digest, unread: None, after, mode: draft.mode, diff });
        }
        // What is deleted goes last: it is the hardest to take back.
        files.sort_by_key(|c| c.after.is_none());
        Ok(Changes { files, text: format!("applied:\n{}", self.notes.join("\n")), summary: None })
    }
}

fn refused(shown: &str, why: &str) -> ToolError {
    ToolError::model(format!("{shown}: {}; the patch was not applied", why.trim_end_matches('.')))
}

impl ApplyPatch {
    pub fn new() -> Self {
        Self { schema: schema::of::<PatchArgs>() }
    }

    fn parsed(&self, args: &Args) -> Result<Vec<patch::Change>, ToolError> {
        let args: PatchArgs = args::read(self.name(), &self.schema, args)?;
        patch::parse(&args.patch).map_err(|e| ToolError::model(format!("{e}; nothing was changed")))
    }
}

/// The paths that a patch names.
fn named(part: &patch::Change) -> Vec<&str> {
    match part {
        patch::Change::Add { path, .. } | patch::Change::Delete { path } => vec![path],
        patch::Change::Update { path, moved, .. } => std::iter::once(path.as_str()).chain(moved.as_deref()).collect(),
    }
}

impl Edits for ApplyPatch {
    fn name(&self) -> &'static str {
        "apply_patch"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Apply a patch in the `*** Begin Patch` format; all of it, or none.";
        ToolSpec { name: self.name().into(), description: description.into(), parameters: self.schema.clone() }
    }

    fn writes(&self, args: &Args, ctx: &Context) -> Result<Vec<PathBuf>, ToolError> {
        let parts = self.parsed(args)?;
        parts.iter().flat_map(named).map(|p| Ok(ctx.workspace.resolve(p)?)).collect()
    }

    fn describe(&self, args: &Args) -> String {
        let parts = args::peek(args, "patch").and_then(|p| patch::parse(p).ok()).unwrap_or_default();
        let paths: Vec<&str> = parts.iter().flat_map(named).take(4).collect();
        format!("{}: {}", self.name(), if paths.is_empty() { "?".to_owned() } else { paths.join(", ") })
    }

    fn named(&self, args: &Args) -> Vec<String> {
        self.parsed(args).unwrap_or_default().iter().flat_map(named).map(str::to_owned).collect()
    }

    fn prepare(&self, args: &Args, ctx: &Context) -> Result<Changes, ToolError> {
        let mut drafts = Drafts::default();
        for part in self.parsed(args)? {
            match part {
                patch::Change::Add { path, content } => drafts.add(&path, content, ctx)?,
                patch::Change::Delete { path } => drafts.delete(&path, ctx)?,
                patch::Change::Update { path, moved, hunks } => drafts.update(&path, moved.as_deref(), &hunks, ctx)?,
            }
        }
        drafts.finish(ctx)
    }
}
