//! A file of JSON that people write: read, checked against its form, and able to say where a fault stands.

use super::check::{self, Fault};
use super::json::{Node, line_column};
use crate::base::Failure;
use schemars::JsonSchema;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::path::Path;

/// The text of a file, and what the file is called in messages.
#[derive(Debug)]
pub struct Source {
    pub label: String,
    pub text: Cow<'static, str>,
}

impl Source {
    /// A file that is part of the program.
    pub fn built_in(label: &str, text: &'static str) -> Self {
        Self { label: label.to_owned(), text: Cow::Borrowed(text) }
    }

    /// The file at `path`; `None` where there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Failure::io("read", path, &e)),
        };
        let text = String::from_utf8(bytes).map_err(|e| {
            let line = String::from_utf8_lossy(e.as_bytes().get(..e.utf8_error().valid_up_to()).unwrap_or(&[])).split('\n').count();
            Failure::config(format!("{}:{line}: the file is not UTF-8 text", path.display())).hint("save it as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Some(Self { label: path.display().to_string(), text: Cow::Owned(text) }))
    }

    /// The text with the places of its members; `None` where it is not JSON.
    pub fn tree(&self) -> Option<Node> {
        Node::parse(&self.text)
    }

    /// The value, whatever its form.
    pub fn syntax(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.text).map_err(|e| {
            let text = e.to_string();
            let what = text.split(" at line ").next().unwrap_or(&text);
            Failure::config(format!("{}:{}:{}: this is not JSON: {what}", self.label, e.line(), e.column()))
                .hint("JSON has no comments and no comma before a closing bracket")
        })
    }

    /// The value of a file that has the form of a `T`; a fault names its place.
    pub fn value<T: JsonSchema>(&self) -> Result<Value, Failure> {
        let value = self.syntax()?;
        match self.tree().as_ref().and_then(check::first_fault::<T>) {
            Some(Fault { at, path, what, hint }) => Err(self.failure(at, &path, &what, hint)),
            None => Ok(value),
        }
    }

    /// A failure about what stands at the byte offset `at`, which is the key `path`.
    pub fn failure<S: AsRef<str>>(&self, at: usize, path: &[S], what: &str, hint: Option<String>) -> Failure {
        let (line, column) = line_column(&self.text, at);
        let key = if path.is_empty() { "the file".to_owned() } else { check::key_path(path) };
        with_hint(Failure::config(format!("{}:{line}:{column}: {key} {what}", self.label)), hint)
    }
}

/// What sees each pair of objects, the lower one first, before they are merged.
pub type Before<'b> = &'b dyn Fn(&mut Map<String, Value>, &mut Map<String, Value>);

/// Objects merge member by member, everything else replaces.
pub fn lay_over_with(below: &mut Value, above: Value, before: Before<'_>) {
    match (below, above) {
        (Value::Object(old), Value::Object(mut new)) => {
            before(old, &mut new);
            for (key, value) in new {
                match old.get_mut(&key) {
                    Some(slot) => lay_over_with(slot, value, before),
                    None => {
                        old.insert(key, value);
                    }
                }
            }
        }
        (slot, value) => *slot = value,
    }
}

pub fn with_hint(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
