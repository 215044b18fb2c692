//! What Tab offers: commands, agents behind `/agent`, models behind `/model`.

use super::command::COMMANDS;

/// The names that can be completed.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub agents: Vec<String>,
    pub models: Vec<String>,
    /// Custom commands, without the slash.
    pub customs: Vec<String>,
}

/// Where the word at the cursor begins, in bytes, and what it could become.
pub fn candidates(line: &str, cursor: usize, names: &Names) -> (usize, Vec<String>) {
    let Some(typed) = line.get(..cursor) else { return (0, Vec::new()) };
    if !typed.starts_with('/') || typed.contains('\n') {
        return (cursor, Vec::new());
    }
    match typed.split_once(' ') {
        None => {
            let fits = COMMANDS.iter().map(|s| (format!("/{}", s.name), s.argument)).filter(|(name, _)| name.starts_with(typed));
            let own = names.customs.iter().map(|name| format!("/{name} ")).filter(|name| name.starts_with(typed));
            (0, fits.map(|(name, argument)| if argument.is_empty() { name } else { name + " " }).chain(own).collect())
        }
        Some((command, rest)) => {
            let word = rest.trim_start();
            let known = match command {
                "/agent" => &names.agents,
                "/model" => &names.models,
                _ => return (cursor, Vec::new()),
            };
            (cursor - word.len(), known.iter().filter(|n| n.starts_with(word)).cloned().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_end(line: &str) -> (usize, Vec<String>) {
        let names = Names {
            agents: vec!["code-puppy".into(), "code-reviewer".into(), "planning".into()],
            models: vec!["local/x".into()],
            customs: vec!["review".into()],
        };
        candidates(line, line.len(), &names)
    }

    #[test]
    fn commands_and_their_names_complete() {
        assert_eq!(at_end("/c"), (0, ["/chain", "/compact", "/context", "/clear", "/cost"].map(Into::into).to_vec()));
        assert_eq!(at_end("/re"), (0, vec!["/resume ".into(), "/review ".into()]));
        assert_eq!(at_end("/ag"), (0, vec!["/agent ".into()]));
        assert_eq!(at_end("/agent code"), (7, vec!["code-puppy".into(), "code-reviewer".into()]));
        assert_eq!(at_end("/agent  p"), (8, vec!["planning".into()]));
        assert_eq!(at_end("/model "), (7, vec!["local/x".into()]));
    }

    #[test]
    fn prompts_do_not_complete() {
        for line in ["", "fix", "fix /ag", " /ag", "/cost x", "/é"] {
            assert_eq!(at_end(line).1, Vec::<String>::new(), "{line}");
        }
        assert_eq!(candidates("/é", 2, &Names::default()), (0, vec![]), "a cursor inside a character");
    }
}
