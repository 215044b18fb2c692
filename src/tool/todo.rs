//! `todo`: the list of what there is to do, as the model keeps it and people see it. The latest one stays in the conversation
//! whatever else is taken out of it.

use super::{Args, Context, Effect, Output, Running, Tool, ToolError, args, schema};
use crate::base::text;
use crate::model::ToolSpec;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// How many entries a list may have.
const MOST: usize = 100;
/// How many characters an entry may have.
const LONG: usize = 500;

pub struct Todo {
    schema: Value,
}

#[derive(Deserialize, JsonSchema)]
struct TodoArgs {
    /// The whole list, in order.
    todos: Vec<Entry>,
}

#[derive(Deserialize, JsonSchema)]
struct Entry {
    content: String,
    /// pending, in_progress or completed
    status: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Pending,
    InProgress,
    Completed,
}

impl Status {
    fn read(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().replace([' ', '-'], "_").as_str() {
            "pending" | "todo" | "open" => Some(Self::Pending),
            "in_progress" | "doing" | "active" => Some(Self::InProgress),
            "completed" | "complete" | "done" => Some(Self::Completed),
            _ => None,
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Self::Pending => "[ ]",
            Self::InProgress => "[>]",
            Self::Completed => "[x]",
        }
    }
}

impl Todo {
    pub fn new() -> Self {
        Self { schema: schema::of::<TodoArgs>() }
    }

    fn keep(&self, args: &Args) -> Result<Output, ToolError> {
        let TodoArgs { todos } = args::read(self.name(), &self.schema, args)?;
        if todos.len() > MOST {
            return Err(ToolError::model(format!(
                "the list has {} entries, and {MOST} are the most; put small ones together",
                todos.len()
            )));
        }
        let mut lines = Vec::with_capacity(todos.len());
        let (mut done, mut doing) = (0, 0);
        for (ix, entry) in todos.iter().enumerate() {
            let content = entry.content.split_whitespace().collect::<Vec<_>>().join(" ");
            if content.is_empty() {
                return Err(ToolError::model(format!("entry {} has no content", ix + 1)));
            }
            let word = entry.status.as_deref().unwrap_or("pending");
            let status = Status::read(word).ok_or_else(|| {
                ToolError::model(format!("entry {}: `{word}` is no status; pending, in_progress and completed are", ix + 1))
            })?;
            done += usize::from(status == Status::Completed);
            doing += usize::from(status == Status::InProgress);
            lines.push(format!("{} {}", status.mark(), text::one_line(&content, LONG)));
        }
        if lines.is_empty() {
            return Ok(Output { text: "The list is empty.".to_owned(), summary: "nothing to do".to_owned(), ..Output::default() });
        }
        let under_way = if doing == 0 { String::new() } else { format!(", {doing} under way") };
        Ok(Output { text: lines.join("\n"), summary: format!("{done} of {} done{under_way}", lines.len()), ..Output::default() })
    }
}

impl Tool for Todo {
    fn name(&self) -> &'static str {
        "todo"
    }

    fn spec(&self) -> ToolSpec {
        let description = "Keep a todo list for work of several steps; replaces the last one.";
        ToolSpec { name: self.name().into(), description: description.into(), parameters: self.schema.clone() }
    }

    fn effect(&self, _: &Args, _: &Context) -> Result<Effect, ToolError> {
        Ok(Effect::ReadOnly)
    }

    fn describe(&self, args: &Args) -> String {
        let entries = args.get("todos").and_then(Value::as_array).map_or(0, Vec::len);
        format!("{}: {entries} entr{}", self.name(), if entries == 1 { "y" } else { "ies" })
    }

    fn run<'a>(&'a self, args: &'a Args, _: &'a Context) -> Running<'a> {
        Box::pin(async move { self.keep(args) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keep(args: &Value) -> Result<Output, String> {
        Todo::new().keep(args.as_object().unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_list_is_shown_with_how_far_it_is() {
        let list = json!({"todos": [{"content": "read\nit", "status": "completed"}, {"content": "fix it", "status": "in-progress"}, {"content": "test it"}]});
        let out = keep(&list).unwrap();
        assert_eq!((out.text.as_str(), out.summary.as_str()), ("[x] read it\n[>] fix it\n[ ] test it", "1 of 3 done, 1 under way"));
        assert_eq!(keep(&json!({"todos": "[]"})).unwrap().text, "The list is empty.");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_entry() {
        let rows = [
            (json!({}), "`todos` is missing"),
            (json!({"todos": [{"content": "a"}, {"content": "b", "status": "maybe"}]}), "entry 2: `maybe` is no status"),
            (json!({"todos": [{"content": " "}]}), "entry 1 has no content"),
            (json!({"todos": vec![json!({"content": "a"}); 101]}), "101 entries"),
        ];
        for (args, says) in rows {
            assert!(keep(&args).unwrap_err().contains(says), "{args}");
        }
    }
}
