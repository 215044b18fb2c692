//! The programs that can be driven: what they are called, what they are told, and since which version they understand it.

use crate::base::text;
use crate::wire::Wire;
use std::path::Path;

/// A vendor's own program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Software {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
}

impl Software {
    pub const ALL: [Self; 2] = [Self::Claude, Self::Codex];

    /// The program behind a wire, if one is.
    pub const fn of(wire: Wire) -> Option<Self> {
        match wire {
            Wire::ClaudeCli => Some(Self::Claude),
            Wire::CodexCli => Some(Self::Codex),
            Wire::OpenaiChat | Wire::OpenaiResponses | Wire::Anthropic | Wire::Gemini | Wire::Antigravity => None,
        }
    }

    pub const fn wire(self) -> Wire {
        match self {
            Self::Claude => Wire::ClaudeCli,
            Self::Codex => Wire::CodexCli,
        }
    }

    /// What it is called on the search path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }

    /// The setting that says where it is.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Claude => "cli.claude",
            Self::Codex => "cli.codex",
        }
    }

    /// How it is installed and kept up to date.
    pub const fn install(self) -> &'static str {
        match self {
            Self::Claude => "npm install -g @anthropic-ai/claude-code",
            Self::Codex => "npm install -g @openai/codex",
        }
    }

    /// A version that was seen to understand [`Software::args`]. Earlier ones of `claude` ask models of their own choice to
    /// get warm with each start.
    const fn least(self) -> [u64; 3] {
        match self {
            Self::Claude => [2, 1, 20],
            Self::Codex => [0, 100, 0],
        }
    }

    /// What it is told besides the prompt, which it reads. `system` is a file with the instructions.
    pub(super) fn args(self, model: &str, system: Option<&Path>) -> Vec<String> {
        let fixed: &[&str] = match self {
            Self::Claude => &[
                "-p",
                "--output-format",
                "stream-json",
                "--verbose",
                "--include-partial-messages",
                "--tools",
                "",
                "--strict-mcp-config",
                "--disable-slash-commands",
                "--no-session-persistence",
            ],
            Self::Codex => &["exec", "--json", "--skip-git-repo-check", "--sandbox", "read-only", "--ephemeral", "--color", "never"],
        };
        let mut args: Vec<String> = fixed.iter().map(|a| (*a).to_owned()).collect();
        if !model.is_empty() {
            args.extend(["--model".to_owned(), model.to_owned()]);
        }
        match (self, system) {
            (Self::Claude, Some(system)) => args.extend(["--system-prompt-file".to_owned(), system.display().to_string()]),
            (Self::Claude, None) => {}
            (Self::Codex, system) => {
                for name in CODEX_OFF {
                    args.extend(["-c".to_owned(), format!("features.{name}=false")]);
                }
                for setting in
                    ["web_search=\"disabled\"", "project_doc_max_bytes=0", "check_for_update_on_startup=false", "analytics.enabled=false"]
                {
                    args.extend(["-c".to_owned(), setting.to_owned()]);
                }
                if let Some(system) = system {
                    // A TOML string, which a JSON string is too.
                    let path = serde_json::Value::from(system.display().to_string());
                    args.extend(["-c".to_owned(), format!("model_instructions_file={path}")]);
                }
                // "-" is the prompt that is read.
                args.push("-".to_owned());
            }
        }
        args
    }

    /// Nobody watches it; and it does not look for updates of itself. One retry is for a login that has to be renewed: what
    /// else fails is for pup to try again.
    pub(super) const fn set(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Claude => &[
                ("NO_COLOR", "1"),
                ("TERM", "dumb"),
                ("DISABLE_AUTOUPDATER", "1"),
                ("CLAUDE_CODE_MAX_RETRIES", "1"),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
            ],
            Self::Codex => &[("NO_COLOR", "1"), ("TERM", "dumb")],
        }
    }

    /// What says that it runs inside itself, when pup does.
    pub(super) const fn unset(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"],
            Self::Codex => &["CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED"],
        }
    }

    /// Whether a secret of this name is its own.
    pub(super) fn keeps(self, variable: &str) -> bool {
        let own: &[&str] = match self {
            Self::Claude => &["ANTHROPIC_", "CLAUDE_"],
            Self::Codex => &["OPENAI_", "CODEX_"],
        };
        own.iter().any(|prefix| variable.starts_with(prefix))
    }

    /// Reads what `--version` says. An error is for a person.
    pub(super) fn judge(self, path: &Path, said: &str, last_words: Option<&str>) -> Result<(), String> {
        let (path, install) = (path.display(), self.install());
        let Some(version) = version(said) else {
            let shown = if said.trim().is_empty() { last_words.unwrap_or("nothing") } else { said };
            return Err(format!(
                "{path} --version tells no version: {} (is it {self}? install it: {install}; or name another: pup config set {} PATH)",
                text::one_line(&text::strip_controls(shown), 200),
                self.setting()
            ));
        };
        if version >= self.least() {
            return Ok(());
        }
        let dotted = |v: [u64; 3]| v.map(|n| n.to_string()).join(".");
        Err(format!("{path} is {self} {}, and pup needs {} or later: {install}", dotted(version), dotted(self.least())))
    }
}

/// Its own tools, and what else would add to a prompt. A version that does not know one of them says so and goes on.
const CODEX_OFF: [&str; 8] = ["shell_tool", "unified_exec", "view_image", "goals", "multi_agent", "apps", "plugins", "hooks"];

/// The first three numbers with dots between them.
fn version(text: &str) -> Option<[u64; 3]> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut numbers = word.split('.').map(|n| n.parse().ok());
        Some([numbers.next()??, numbers.next()??, numbers.next()??])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_judged() {
        let judge = |software: Software, said: &str| software.judge(Path::new("/bin/it"), said, None);
        for (software, said) in
            [(Software::Claude, "2.1.20 (Claude Code)\n"), (Software::Claude, "10.0.0"), (Software::Codex, "codex-cli 0.169.0-alpha.1")]
        {
            assert_eq!(judge(software, said), Ok(()), "{said}");
        }
        let old = judge(Software::Claude, "1.0.128 (Claude Code)").unwrap_err();
        assert!(old.contains("claude 1.0.128") && old.contains("2.1.20 or later: npm install -g"), "{old}");
        for said in ["", "usage: codex FILE", "v12", "1.2"] {
            let error = judge(Software::Codex, said).unwrap_err();
            assert!(error.contains("tells no version") && error.contains("cli.codex"), "{error}");
        }
    }

    #[test]
    fn nothing_that_is_secret_or_said_is_an_argument() {
        for software in Software::ALL {
            let args = software.args("m", Some(Path::new("/tmp/a \"b\".md")));
            assert!(args.windows(2).any(|w| w == ["--model", "m"]) && args.iter().any(|a| a.contains("/tmp/a ")), "{args:?}");
            assert!(!software.args("", None).iter().any(|a| a == "--model"));
            assert_eq!(Software::of(software.wire()), Some(software));
        }
        assert!(Software::Claude.keeps("ANTHROPIC_API_KEY") && !Software::Claude.keeps("OPENAI_API_KEY_2"));
        assert!(Software::Codex.keeps("OPENAI_API_KEY_2") && !Software::Codex.keeps("ANTHROPIC_API_KEY"));
    }
}
