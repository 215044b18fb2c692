//! The calls that were under way when pup was killed: which of them get a result without running, and which result.

use super::{Known, Missing, Open};
use crate::base::{digest, redact, text};
use crate::model::{ToolCall, ToolResult};
use crate::session::{Effect, FileChange, Intent};
use crate::workspace::file;
use crate::workspace::process::{self, Ending};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A call that is not made (again), with the result that it gets instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    pub call: ToolCall,
    pub result: ToolResult,
    /// What the user is told; `None` where nothing is out of the ordinary.
    pub note: Option<String>,
    /// Whether its receipt is still to be written.
    pub receipt: Due,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Yes,
    No,
}

/// Gives every open call that must not run its result. What `survivors` says must have been done before: a command that
/// still ran could have its effect after it was reported. `here` gives the present place of a path of the journal. Looks
/// at files, changes nothing.
pub fn settle(open: &[Open], survivors: &Ending, here: &dyn Fn(&Path) -> PathBuf) -> Vec<Settled> {
    open.iter().filter_map(|o| settle_one(o, survivors, here)).collect()
}

fn settle_one(open: &Open, survivors: &Ending, here: &dyn Fn(&Path) -> PathBuf) -> Option<Settled> {
    let call = &open.call;
    let result = |text: String, is_error: bool| ToolResult::text(&call.id, text, is_error);
    let (result, note, receipt) = match &open.known {
        Known::Untouched => return None,
        Known::Incomplete(missing) => {
            let why = match missing {
                Missing::Secret => "its arguments held a secret, which the record of this session does not keep",
                Missing::All => "nobody can tell any more whether its arguments were cut off",
            };
            (
                result(format!("Error: not run: pup was killed before this call, and {why}. Nothing was done. Make the call again."), true),
                None,
                Due::No,
            )
        }
        Known::Finished(receipt) => {
            let text = receipt.output.clone().unwrap_or_else(|| {
                let how = if receipt.ok { "well" } else { "with an error" };
                format!("The call ended {how} before pup was killed; its output was not kept. Look at the state before you go on.")
            });
            (result(text, !receipt.ok), None, Due::No)
        }
        Known::Began(intent) => {
            let (text, found) = began(intent, survivors, here);
            let line = format!("`{}` {}", intent.tool, text::one_line(&intent.args, 120));
            let note = match found {
                Found::Done => format!("{line} was done before pup was killed"),
                Found::NotDone => format!("{line} was not done when pup was killed; nothing was changed"),
                Found::Unknown => format!("outcome unknown: pup was killed during {line}"),
            };
            (result(text, found != Found::Done), Some(note), Due::Yes)
        }
    };
    Some(Settled { call: call.clone(), result, note, receipt })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Done,
    NotDone,
    Unknown,
}

fn began(intent: &Intent, survivors: &Ending, here: &dyn Fn(&Path) -> PathBuf) -> (String, Found) {
    match intent.effect {
        Effect::Exec => {
            let processes = match (survivors.stopped.as_slice(), survivors.left.as_slice()) {
                ([], []) => "none of its processes was left.".to_owned(),
                (stopped, []) => format!("its processes were stopped ({}).", process::names(stopped)),
                (_, left) => format!("these of its processes could not be stopped: {}.", process::names(left)),
            };
            let text = format!(
                "Error: outcome unknown: pup was killed while this command ran; {processes} Check the state before running it again."
            );
            (text, Found::Unknown)
        }
        Effect::Network => {
            let text = "Error: outcome unknown: pup was killed while this call ran. Check what it did before making it again.";
            (text.to_owned(), Found::Unknown)
        }
        // A reading call that left an intent is simply made again, and is not settled here.
        Effect::Writes | Effect::ReadOnly => written(&intent.files, here),
    }
}

/// Compares the files with what the intent said of them.
fn written(files: &[FileChange], here: &dyn Fn(&Path) -> PathBuf) -> (String, Found) {
    let paths: BTreeSet<&str> = files.iter().map(|f| f.path.as_str()).collect();
    let paths = paths.into_iter().collect::<Vec<_>>().join(", ");
    // A path that was redacted leads nowhere, which is not the same as a file that does not exist.
    let known = !files.is_empty() && files.iter().all(|f| !f.path.contains(redact::MARK));
    let all =
        |state: fn(&FileChange) -> &Option<String>| known && files.iter().all(|f| is_now(&here(Path::new(&f.path)), state(f).as_deref()));
    if all(|f| &f.after) {
        return (format!("Done: pup was killed right after this change, and it is made: {paths}"), Found::Done);
    }
    if all(|f| &f.before) {
        let text = format!("Error: was not done: pup was killed before this change, nothing changed in {paths}. Make the call again.");
        return (text, Found::NotDone);
    }
    let what = if paths.is_empty() { "what it writes".to_owned() } else { paths };
    let text = format!("Error: outcome unknown: pup was killed during this change. Read {what} before you change it again.");
    (text, Found::Unknown)
}

/// Whether the file has this digest, or for `None` does not exist.
fn is_now(path: &Path, wanted: Option<&str>) -> bool {
    match (std::fs::symlink_metadata(path), wanted) {
        (Err(e), None) => matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory),
        (Ok(meta), Some(wanted)) if meta.is_file() && meta.len() <= 4 * file::MAX_TEXT => {
            std::fs::read(path).is_ok_and(|bytes| digest::sha256(&bytes) == wanted)
        }
        _ => false,
    }
}

#[cfg(test)]
#[path = "settle_tests.rs"]
mod tests;
