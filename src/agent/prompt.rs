//! The system message: the agent's prompt and the few facts of the place that a model cannot guess.
//!
//! The same bytes for the whole session: nothing in it changes with time, or the provider's prompt cache is lost.

use crate::base::text;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The most that is taken of a project's instructions, in bytes.
const INSTRUCTIONS: usize = 32 * 1024;

/// How many bytes the names of what the workspace holds may take: they are paid in every request.
const NAMES: usize = 300;

/// How many names are looked at in a folder that holds very many.
const LOOKED_AT: usize = 5_000;

/// The system message of an agent that works in `root`, with the project's own instructions, if it has any.
///
/// It shows what lies in `root` at this moment. Small models that are not shown any names make some up.
pub fn system(agent_prompt: &str, root: &Path, instructions: Option<&str>) -> String {
    let mut text = format!("{}\n\nWorkspace: {} ({})", agent_prompt.trim(), root.display(), std::env::consts::OS);
    if let Some(names) = names(root) {
        text.push_str("\nIt holds: ");
        text.push_str(&names);
    }
    if let Some(instructions) = instructions {
        text.push_str("\n\nThe project's instructions (AGENTS.md):\n");
        text.push_str(instructions);
    }
    text
}

/// The names in a folder, sorted, as many as there is room for; none where it is empty or cannot be read.
fn names(root: &Path) -> Option<String> {
    let entries = root.read_dir().ok()?.flatten().take(LOOKED_AT).filter(|e| e.file_name() != ".git");
    let mut names: Vec<String> = entries
        .map(|e| {
            let folder = if e.file_type().is_ok_and(|t| t.is_dir()) { "/" } else { "" };
            format!("{}{folder}", text::one_line(&e.file_name().to_string_lossy(), 60))
        })
        .collect();
    names.sort_unstable();
    let room = names.iter().scan(0, |used, n| {
        *used += n.len() + 2;
        (*used <= NAMES).then_some(())
    });
    let shown = room.count();
    let more = if shown < names.len() { ", ..." } else { "" };
    let shown = names.get(..shown).unwrap_or_default().join(", ");
    (!shown.is_empty()).then(|| format!("{shown}{more}"))
}

/// The project's AGENTS.md, and a note where not all of it is used. A file that cannot be read as text is told, not fatal.
pub fn instructions(root: &Path) -> (Option<String>, Option<String>) {
    let path = root.join("AGENTS.md");
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|f| f.take(INSTRUCTIONS as u64 + 1).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return (None, None),
        Err(e) => return (None, Some(format!("cannot read {}: {e}; going on without it", path.display()))),
    }
    let whole = String::from_utf8_lossy(&bytes);
    let used = text::prefix(whole.trim(), INSTRUCTIONS);
    let note =
        (bytes.len() > INSTRUCTIONS).then(|| format!("{} is longer than {} KB; the rest is not used", path.display(), INSTRUCTIONS / 1024));
    ((!used.is_empty()).then(|| used.to_owned()), note)
}

/// The user's message: the prompt, then what was piped in as an attachment.
pub fn user(prompt: Option<&str>, piped: Option<&str>) -> Option<String> {
    let prompt = prompt.map(str::trim).filter(|p| !p.is_empty());
    let piped = piped.filter(|p| !p.trim().is_empty());
    match (prompt, piped) {
        (Some(prompt), Some(piped)) => Some(format!("{prompt}\n\n<stdin>\n{}\n</stdin>", piped.trim_end())),
        (Some(prompt), None) => Some(prompt.to_owned()),
        (None, Some(piped)) => Some(piped.trim().to_owned()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_s_instructions_are_read_up_to_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(instructions(dir.path()), (None, None));
        std::fs::write(dir.path().join("AGENTS.md"), "Use tabs.\n").unwrap();
        assert_eq!(instructions(dir.path()), (Some("Use tabs.".to_owned()), None));
        std::fs::write(dir.path().join("AGENTS.md"), "é".repeat(INSTRUCTIONS)).unwrap();
        let (used, note) = instructions(dir.path());
        assert!(used.unwrap().len() <= INSTRUCTIONS && note.unwrap().contains("32 KB"));
    }

    #[test]
    fn the_model_is_shown_what_lies_in_the_workspace() {
        let dir = tempfile::tempdir().unwrap();
        let end = |dir: &Path| system("Be good.\n", dir, None).split_once(&format!("({})", std::env::consts::OS)).unwrap().1.to_owned();
        assert_eq!(end(dir.path()), "");
        for name in [".git", "src"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("b\nc.py"), "").unwrap();
        assert_eq!(end(dir.path()), "\nIt holds: b..., src/");
        for n in 0..100 {
            std::fs::write(dir.path().join(format!("a{n:02}.txt")), "").unwrap();
        }
        let many = end(dir.path());
        assert!(many.starts_with("\nIt holds: a00.txt, a01.txt, ") && many.ends_with(", ...") && many.len() < NAMES + 40, "{many}");
        assert_eq!(end(&dir.path().join("gone")), "");
    }

    #[test]
    fn the_prompt_comes_first_and_the_pipe_is_attached() {
        assert_eq!(user(Some("sum up"), Some("a\nb\n")).as_deref(), Some("sum up\n\n<stdin>\na\nb\n</stdin>"));
        assert_eq!(user(Some("x"), Some(" \n")).as_deref(), Some("x"));
        assert_eq!(user(None, Some("do it\n")).as_deref(), Some("do it"));
        assert_eq!(user(Some(" "), None), None);
    }
}
