//! `tool-choice-auto` and `tool-choice-words`: servers that let the model choose, whatever is asked of them.
//!
//! Z.AI documents `auto` alone; Ollama takes the others and does not hold to them; llama.cpp quietly turns a tool that is
//! named by an object into `auto`. What was asked for is named as a loss, and `none` is kept by offering no tools.

use super::{Dialect, Quirk};
use crate::model::{Request, ToolChoice};
use std::borrow::Cow;

/// Which choices a server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choices {
    #[default]
    All,
    /// Words, but no tool by its name.
    Words,
    Auto,
}

pub(super) const AUTO: Quirk = Quirk {
    name: "tool-choice-auto",
    what: "never sends `tool_choice`; for `none` the tools are left out",
    apply: |dialect| dialect.choices = Choices::Auto,
};

pub(super) const WORDS: Quirk = Quirk {
    name: "tool-choice-words",
    what: "asks for some tool (`required`) where one is asked for by name",
    apply: |dialect| dialect.choices = Choices::Words,
};

/// A request that forbids calls, to a server that cannot be told so: it has no tools.
pub fn prepare<'a>(dialect: &Dialect, request: Cow<'a, Request>) -> Cow<'a, Request> {
    if dialect.choices != Choices::Auto || request.tool_choice != ToolChoice::None || request.tools.is_empty() {
        return request;
    }
    Cow::Owned(Request { tools: [].into(), tool_choice: ToolChoice::Auto, parallel_tool_calls: None, ..request.into_owned() })
}
