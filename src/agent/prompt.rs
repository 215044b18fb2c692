//! The system message: the agent's prompt and the few facts of the place that a model cannot guess.
//!
//! The same bytes for the whole session: nothing in it changes with time, or the provider's prompt cache is lost.

use crate::base::text;
use crate::catalog::Skill;
use crate::config::instructions::Instruction;
use std::path::Path;

/// How many bytes the names of what the workspace holds may take: they are paid in every request.
const NAMES: usize = 300;

/// How many bytes the descriptions of skills may take; further skills have only their names.
const SKILLS: usize = 8 * 1024;

/// How many names are looked at in a folder that holds very many.
const LOOKED_AT: usize = 5_000;

/// What instructions stand in.
const OPEN: &str = "<instructions from=\"";
const CLOSE: &str = "\n</instructions>";

/// The system message of an agent that works in `root`, with the user's and the project's own instructions.
///
/// It shows what lies in `root` at this moment. Small models that are not shown any names make some up.
pub fn system(agent_prompt: &str, root: &Path, instructions: &[Instruction], skills: &[Skill]) -> String {
    let mut text = format!("{}\n\nWorkspace: {} ({})", agent_prompt.trim(), root.display(), std::env::consts::OS);
    if let Some(names) = names(root) {
        text.push_str("\nIt holds: ");
        text.push_str(&names);
    }
    if !skills.is_empty() {
        text.push_str("\n\nSkills (activate_skill has their instructions; use one where its description fits):");
        let mut room = SKILLS;
        for Skill { name, description, .. } in skills {
            room = room.saturating_sub(description.len());
            let about = if room > 0 { format!(": {description}") } else { String::new() };
            text.extend(["\n- ", name, &about]);
        }
    }
    for one in instructions {
        text.push_str("\n\n");
        text.push_str(&instruction(one));
    }
    text
}

/// An instruction file as the model gets it.
pub fn instruction(one: &Instruction) -> String {
    format!("{OPEN}{}\">\n{}{CLOSE}", one.label, one.text)
}

/// The instruction files that a text holds.
pub fn labels(text: &str) -> Vec<String> {
    let labels = text.lines().filter_map(|line| line.strip_prefix(OPEN)?.strip_suffix("\">"));
    labels.map(str::to_owned).collect()
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
    fn instructions_are_found_again_by_their_files() {
        let one = |label: &str| Instruction { label: label.to_owned(), text: "Use tabs.\n<b>".to_owned() };
        let whole = system("Be good.", Path::new("/nowhere"), &[one("AGENTS.md"), one("a \"b\"/CLAUDE.md")], &[]);
        assert!(whole.ends_with("\n\n<instructions from=\"a \"b\"/CLAUDE.md\">\nUse tabs.\n<b>\n</instructions>"), "{whole}");
        assert_eq!(labels(&whole), ["AGENTS.md", "a \"b\"/CLAUDE.md"]);
    }

    #[test]
    fn skills_are_named_and_described_as_far_as_there_is_room() {
        let skill = |name: &str, long: usize| Skill { name: name.into(), description: "d".repeat(long), folder: "x".into() };
        let whole = system("Be good.", Path::new("/nowhere"), &[], &[skill("a", 3), skill("b", SKILLS), skill("c", 3)]);
        assert!(whole.ends_with("description fits):\n- a: ddd\n- b\n- c"), "{whole}");
    }

    #[test]
    fn the_model_is_shown_what_lies_in_the_workspace() {
        let dir = tempfile::tempdir().unwrap();
        let end = |dir: &Path| system("Be good.\n", dir, &[], &[]).split_once(&format!("({})", std::env::consts::OS)).unwrap().1.to_owned();
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
