//! The system message: the agent's prompt and the few facts of the place that a model cannot guess.
//!
//! The same bytes for the whole session: nothing in it changes with time, or the provider's prompt cache is lost.

use std::path::Path;

/// The system message of an agent that works in `root`.
pub fn system(agent_prompt: &str, root: &Path) -> String {
    format!("{}\n\nWorkspace: {} ({})", agent_prompt.trim(), root.display(), std::env::consts::OS)
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
    fn the_prompt_comes_first_and_the_pipe_is_attached() {
        assert_eq!(user(Some("sum up"), Some("a\nb\n")).as_deref(), Some("sum up\n\n<stdin>\na\nb\n</stdin>"));
        assert_eq!(user(Some("x"), Some(" \n")).as_deref(), Some("x"));
        assert_eq!(user(None, Some("do it\n")).as_deref(), Some("do it"));
        assert_eq!(user(Some(" "), None), None);
    }
}
