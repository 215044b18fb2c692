//! Reading a journal: every whole line counts, and what cannot be read is named instead of ending it.

use super::VERSION;
use super::blobs;
use super::entry::{End, Entry, Intent, Session, Spawned};
use crate::base::{Failure, text};
use crate::model::{History, Role};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// An entry with its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub seq: u64,
    /// RFC 3339, UTC.
    pub ts: String,
    pub entry: Entry,
}

/// A tool call that began and of which nobody knows how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    pub intent: Intent,
    /// The process, where it got that far.
    pub spawned: Option<Spawned>,
}

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The first line; `None` only where it was lost.
    pub session: Option<Session>,
    pub entries: Vec<Line>,
    /// All messages in order, as written; a crash may have left it without its last results.
    pub history: History,
    pub dangling: Vec<Dangling>,
    /// What could not be read, in words.
    pub dropped: Vec<String>,
    /// How the last run ended; `None` while it goes on and after a crash.
    pub ended: Option<End>,
}

/// Reads the journal at `path` with its blobs. Fails only where the file cannot be read at all or was written by a
/// newer version.
pub fn load(path: &Path) -> Result<Loaded, Failure> {
    let bytes = std::fs::read(path).map_err(|e| Failure::io("read", path, &e))?;
    let blobs = path.parent().unwrap_or(Path::new("")).join("blobs");
    let mut loaded = Loaded::default();
    for (ix, raw) in bytes.split(|b| *b == b'\n').enumerate() {
        let number = ix + 1;
        let (raw, nuls) = without_nuls(raw);
        if nuls > 0 {
            loaded.dropped.push(format!("line {number}: {nuls} NUL bytes, as a power cut leaves them"));
        }
        if raw.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(raw) else {
            loaded.dropped.push(format!("line {number}: {} bytes that are not a whole entry: {}", raw.len(), shown(raw)));
            continue;
        };
        match value.get("v").and_then(Value::as_u64) {
            Some(v) if v > VERSION => {
                return Err(Failure::config(format!(
                    "{}:{number}: this session was written by a newer pup (journal version {v}; this one reads up to {VERSION})",
                    path.display()
                ))
                .hint("update pup, or start a new session"));
            }
            Some(_) => {}
            None => {
                loaded.dropped.push(format!("line {number}: not a journal entry (no version): {}", shown(raw)));
                continue;
            }
        }
        let mut lost = Vec::new();
        blobs::restore(&mut value, &blobs, &mut lost);
        loaded.dropped.extend(lost.iter().map(|name| format!("line {number}: the text kept in blobs/{name} is missing or damaged")));
        match read_line(value) {
            Ok(line) => loaded.take(line),
            Err(what) => loaded.dropped.push(format!("line {number}: {what}: {}", shown(raw))),
        }
    }
    Ok(loaded)
}

/// Whether the file at `path` is empty or ends with a line feed.
pub fn ends_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn read_line(value: Value) -> Result<Line, String> {
    let Some(seq) = value.get("seq").and_then(Value::as_u64) else { return Err("an entry without a number".into()) };
    let ts = value.get("ts").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(kind) = value.get("kind").and_then(Value::as_str) else { return Err("an entry without a kind".into()) };
    let entry = if Entry::KINDS.contains(&kind) {
        let kind = kind.to_owned();
        serde_json::from_value(value).map_err(|e| format!("a `{kind}` entry that this version cannot read ({e})"))?
    } else {
        Entry::Unknown(value)
    };
    Ok(Line { seq, ts, entry })
}

impl Loaded {
    /// What the session is now: its first line, and what later ones changed.
    pub fn latest(&self) -> Option<&Session> {
        self.entries.iter().rev().find_map(|l| if let Entry::Session(s) = &l.entry { Some(s) } else { None })
    }

    fn take(&mut self, line: Line) {
        match &line.entry {
            Entry::Session(session) => {
                self.session.get_or_insert_with(|| session.clone());
            }
            Entry::Message { message } => self.history.push(message.clone()),
            Entry::Intent(intent) => self.dangling.push(Dangling { intent: intent.clone(), spawned: None }),
            Entry::Spawned(spawned) => {
                if let Some(open) = self.dangling.iter_mut().rev().find(|d| d.intent.call_id == spawned.call_id) {
                    open.spawned = Some(spawned.clone());
                }
            }
            // Some providers number their calls anew each turn: the receipt belongs to the latest call of its id.
            Entry::Receipt(receipt) => {
                if let Some(ix) = self.dangling.iter().rposition(|d| d.intent.call_id == receipt.call_id) {
                    self.dangling.remove(ix);
                }
            }
            Entry::Attempt(_)
            | Entry::Child(_)
            | Entry::Usage(_)
            | Entry::Discarded(_)
            | Entry::Quarantine(_)
            | Entry::Compaction(_)
            | Entry::End(_)
            | Entry::Unknown(_) => {}
        }
        self.ended = match &line.entry {
            Entry::End(end) => Some(end.clone()),
            // Nobody has asked for anything yet: another agent or model was chosen, the conversation was made smaller, or
            // somebody looked in.
            Entry::Session(Session { prompt: None, .. }) | Entry::Compaction(_) | Entry::Unknown(_) => self.ended.take(),
            Entry::Message { message } if message.role == Role::System => self.ended.take(),
            _ => None,
        };
        self.entries.push(line);
    }
}

fn without_nuls(raw: &[u8]) -> (&[u8], usize) {
    let start = raw.iter().position(|b| *b != 0).unwrap_or(raw.len());
    let end = raw.iter().rposition(|b| *b != 0).map_or(start, |p| p + 1);
    let kept = raw.get(start..end).unwrap_or(&[]);
    (kept, raw.len() - kept.len())
}

fn shown(raw: &[u8]) -> String {
    let head = raw.get(..raw.len().min(240)).unwrap_or(raw);
    text::one_line(&text::strip_controls(&String::from_utf8_lossy(head)), 60)
}
