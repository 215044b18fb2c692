//! The message that stands in the place of what was taken out: a summary, and word for word what must not be lost.

use crate::base::text;
use crate::model::{Block, Message, Role, ToolCall};

/// How a note begins.
pub const HEAD: &str = "[Earlier parts of this conversation were taken out to save room";
/// How the text begins that stands in the place of a shortened output.
pub const SHORTENED: &str = "[Shortened: ";
/// How the text begins that stands in the place of an output that a later one replaces.
pub const SUPERSEDED: &str = "[Left out: ";
/// How a text is marked whose middle was cut.
pub const CUT: &str = "[... cut to save room: ";

const SUMMARY: &str = "What happened in them:\n";
const CHANGED: &str = "Files changed in them: ";
const KEPT: &str = "[Word for word: ";

/// How many names of files a note has.
const FILES: usize = 60;

/// What a result is kept for, whatever else goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// Each one: what the user decided, what another agent found.
    Each,
    /// The latest one: the list of what is to do.
    Latest,
    /// The latest one for the same arguments.
    LatestAlike,
}

/// Whether results of this tool are pinned.
pub fn pin(tool: &str) -> Option<Pin> {
    match tool {
        "ask_user_question" | "invoke_agent" => Some(Pin::Each),
        "todo" => Some(Pin::Latest),
        "activate_skill" => Some(Pin::LatestAlike),
        _ => None,
    }
}

/// A note, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// How many replies of the model were taken out.
    pub rounds: usize,
    pub summary: Option<String>,
    /// Paths, the latest last.
    pub changed: Vec<String>,
    /// What each is, and its text.
    pub kept: Vec<(String, String)>,
}

pub fn is_note(message: &Message) -> bool {
    message.role == Role::User && matches!(message.blocks.first(), Some(Block::Text { text }) if text.starts_with(HEAD))
}

impl Note {
    /// The note that this message is.
    pub fn read(message: &Message) -> Option<Self> {
        if !is_note(message) {
            return None;
        }
        let mut note = Self::default();
        for (n, block) in message.blocks.iter().enumerate() {
            let Block::Text { text } = block else { continue };
            if n == 0 {
                let digits: String = text.trim_start_matches(HEAD).chars().filter(char::is_ascii_digit).collect();
                note.rounds = digits.parse().unwrap_or(0);
            } else if let Some(summary) = text.strip_prefix(SUMMARY) {
                note.summary = Some(summary.to_owned());
            } else if let Some(files) = text.strip_prefix(CHANGED) {
                note.changed = files.split(", ").map(str::to_owned).collect();
            } else if let Some((what, kept)) = text.strip_prefix(KEPT).and_then(|t| t.split_once("]\n")) {
                note.kept.push((what.to_owned(), kept.to_owned()));
            }
        }
        Some(note)
    }

    /// `recall` says whether the model can search what was taken out.
    pub fn message(&self, recall: bool) -> Message {
        let rounds = text::counted(self.rounds as u64, "reply").replace("replys", "replies");
        let hint = if recall { " Nothing of it is lost: the tool `recall` finds it." } else { "" };
        let mut blocks = vec![format!("{HEAD}: {rounds} with their calls.{hint}]")];
        blocks.extend(self.summary.as_ref().map(|s| format!("{SUMMARY}{s}")));
        if !self.changed.is_empty() {
            blocks.push(format!("{CHANGED}{}", self.changed.join(", ")));
        }
        blocks.extend(self.kept.iter().map(|(what, kept)| format!("{KEPT}{what}]\n{kept}")));
        Message::new(Role::User, blocks.into_iter().map(|text| Block::Text { text }).collect())
    }

    /// Takes over what an earlier note has.
    pub fn absorb(&mut self, earlier: Self) {
        self.rounds += earlier.rounds;
        self.summary = earlier.summary.or(self.summary.take());
        for path in &earlier.changed {
            self.touch(path);
        }
        for (what, kept) in earlier.kept {
            self.keep_as(what, kept);
        }
    }

    /// A file was changed.
    pub fn touch(&mut self, path: &str) {
        // A name with a comma could not be read back.
        let path = path.replace(", ", ",");
        self.changed.retain(|p| *p != path);
        self.changed.push(path);
        if self.changed.len() > FILES {
            self.changed.remove(0);
        }
    }

    /// A pinned result.
    pub fn keep(&mut self, call: &ToolCall, result: String) {
        let args = text::one_line(&call.args_raw, 160).replace(']', ")");
        self.keep_as(format!("{} {args}", call.name), result);
    }

    fn keep_as(&mut self, what: String, kept: String) {
        let name = what.split(' ').next().unwrap_or_default();
        match pin(name) {
            Some(Pin::Latest) => self.kept.retain(|(w, _)| w.split(' ').next() != Some(name)),
            Some(Pin::LatestAlike) => self.kept.retain(|(w, _)| *w != what),
            Some(Pin::Each) | None => {}
        }
        self.kept.push((what, kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, args: &str) -> ToolCall {
        ToolCall { id: "c".into(), name: name.into(), args_raw: args.into(), signature: None }
    }

    #[test]
    fn a_note_is_read_back_as_it_was_written() {
        let mut note = Note { rounds: 12, summary: Some("Goal: x\n[y]".into()), ..Note::default() };
        note.touch("src/a, b.rs");
        note.touch("c");
        note.touch("src/a, b.rs");
        note.keep(&call("invoke_agent", r#"{"agent":"x","list":[1]}"#), "found ]\n it\n".into());
        note.keep(&call("todo", "1"), "old".into());
        note.keep(&call("todo", "2"), "new".into());
        note.keep(&call("activate_skill", "a"), "A".into());
        note.keep(&call("activate_skill", "b"), "B".into());
        note.keep(&call("activate_skill", "a"), "A2".into());
        for recall in [true, false] {
            assert_eq!(Note::read(&note.message(recall)), Some(note.clone()));
        }
        let kept: Vec<&str> = note.kept.iter().map(|(_, t)| t.as_str()).collect();
        assert_eq!(kept, ["found ]\n it\n", "new", "B", "A2"]);
        assert_eq!(note.changed, ["c", "src/a,b.rs"]);
        assert_eq!(Note::read(&Message::user("hello")), None);
    }

    #[test]
    fn an_earlier_note_comes_before_what_is_newer() {
        let mut note = Note { rounds: 2, ..Note::default() };
        note.absorb(Note { rounds: 3, summary: Some("s".into()), changed: vec!["a".into()], kept: vec![("todo {}".into(), "t".into())] });
        note.keep(&call("todo", "{}"), "later".into());
        assert_eq!((note.rounds, note.kept.len(), note.kept[0].1.as_str()), (5, 1, "later"));
    }
}
