//! What a typed line means: a prompt for the model, or a command to pup. Pure text in, a value out.

use crate::base::nearest;

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Nothing,
    Prompt(String),
    Command(Command),
    /// Meant for pup, but nothing that it knows.
    Wrong {
        message: String,
        hint: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Help,
    /// Show the agents, or go on with this one.
    Agent(Option<String>),
    /// Show the model, or go on with this one.
    Model(Option<String>),
    Chain,
    Clear,
    /// Make the conversation smaller.
    Compact,
    /// Show what fills the window.
    Context,
    /// Show the latest sessions, or go on with this one.
    Resume(Option<String>),
    Cost,
    /// Plan mode, on or off.
    Plan,
    Exit,
}

/// A command as people see it.
#[derive(Debug)]
pub struct Spec {
    /// Without the slash.
    pub name: &'static str,
    /// What may follow it; empty for nothing.
    pub argument: &'static str,
    pub about: &'static str,
    make: Make,
}

#[derive(Debug)]
enum Make {
    Plain(Command),
    With(fn(Option<String>) -> Command),
}

/// Every command, in the order of `/help`.
pub const COMMANDS: [Spec; 12] = [
    Spec { name: "help", argument: "", about: "Show this list", make: Make::Plain(Command::Help) },
    Spec { name: "agent", argument: "[NAME]", about: "Show the agents, or go on with another", make: Make::With(Command::Agent) },
    Spec { name: "model", argument: "[ID]", about: "Show the model, or go on with another", make: Make::With(Command::Model) },
    Spec { name: "chain", argument: "", about: "Show the ways to a model, in order", make: Make::Plain(Command::Chain) },
    Spec { name: "plan", argument: "", about: "Plan mode on, or off", make: Make::Plain(Command::Plan) },
    Spec { name: "compact", argument: "", about: "Make this conversation smaller now", make: Make::Plain(Command::Compact) },
    Spec { name: "context", argument: "", about: "Show what fills the model's window", make: Make::Plain(Command::Context) },
    Spec { name: "clear", argument: "", about: "Forget this conversation and begin another", make: Make::Plain(Command::Clear) },
    Spec { name: "resume", argument: "[ID]", about: "Show recent sessions, or go on with one", make: Make::With(Command::Resume) },
    Spec { name: "cost", argument: "", about: "Show tokens and dollars so far", make: Make::Plain(Command::Cost) },
    Spec { name: "exit", argument: "", about: "Leave; Ctrl-D does the same", make: Make::Plain(Command::Exit) },
    Spec { name: "quit", argument: "", about: "The same as /exit", make: Make::Plain(Command::Exit) },
];

/// What `typed` means. A command is one line that begins with a slash and a word; a path such as `/etc/hosts` is not one,
/// and a blank in front makes a prompt of anything.
pub fn read(typed: &str) -> Line {
    if typed.trim().is_empty() {
        return Line::Nothing;
    }
    let line = typed.trim_end();
    let Some((word, rest)) = command_words(line) else { return Line::Prompt(typed.trim().to_owned()) };
    let known = COMMANDS.iter().find(|s| s.name.eq_ignore_ascii_case(word));
    let Some(spec) = known else { return unknown(word) };
    let argument = (!rest.is_empty()).then(|| rest.to_owned());
    match (&spec.make, argument) {
        (Make::Plain(command), None) => Line::Command(command.clone()),
        (Make::With(make), argument) => Line::Command(make(argument)),
        (Make::Plain(_), Some(argument)) => Line::Wrong {
            message: format!("/{} takes nothing after it, and there is `{argument}`", spec.name),
            hint: PROMPT_HINT.to_owned(),
        },
    }
}

const PROMPT_HINT: &str = "a line that is meant for the model can begin with a blank";

/// The word behind the slash and the rest, if the line has the form of a command.
fn command_words(line: &str) -> Option<(&str, &str)> {
    let body = line.strip_prefix('/')?;
    let (word, rest) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
    let is_word = word.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '_' | '?'));
    (is_word && !line.contains('\n')).then(|| (word, rest.trim()))
}

fn unknown(word: &str) -> Line {
    let near =
        nearest::did_you_mean(word, COMMANDS.iter().map(|s| s.name)).map(|hint| hint.replace('`', "").replacen("mean ", "mean /", 1));
    let hint = match near {
        Some(near) => format!("{} ({PROMPT_HINT})", near.replace(", ", ", /")),
        None => format!("/help lists the commands; {PROMPT_HINT}"),
    };
    Line::Wrong { message: format!("there is no command /{word}"), hint }
}

/// Whether the text ends inside a code block that three backticks opened: there is more to come.
pub fn in_code(text: &str) -> bool {
    text.lines().filter(|l| l.trim_start().starts_with("```")).count() % 2 == 1
}

/// Whether the text ends with a backslash that asks for another line: an odd number of them, outside a code block.
pub fn goes_on(text: &str) -> bool {
    !in_code(text) && text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// The text as it was meant: a backslash that asked for another line goes, unless it is part of a code block.
pub fn unfolded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        out.push_str(line);
        let body = out.strip_suffix('\n').unwrap_or(&out);
        if line.ends_with('\n') && goes_on(body) {
            let kept = body.len() - 1;
            out.truncate(kept);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(typed: &str) -> (String, String) {
        match read(typed) {
            Line::Wrong { message, hint } => (message, hint),
            other => panic!("{typed}: {other:?}"),
        }
    }

    #[test]
    fn commands_are_read_with_and_without_an_argument() {
        assert_eq!(read("/help"), Line::Command(Command::Help));
        assert_eq!(read("/HELP  "), Line::Command(Command::Help));
        assert_eq!(read("/agent"), Line::Command(Command::Agent(None)));
        assert_eq!(read("/agent   planning "), Line::Command(Command::Agent(Some("planning".into()))));
        assert_eq!(read("/model local/a b"), Line::Command(Command::Model(Some("local/a b".into()))));
        assert_eq!((read("/exit"), read("/quit")), (Line::Command(Command::Exit), Line::Command(Command::Exit)));
    }

    #[test]
    fn every_command_of_the_list_is_read_and_said_in_a_narrow_line() {
        for spec in &COMMANDS {
            let plain = read(&format!("/{}", spec.name));
            assert!(matches!(plain, Line::Command(_)), "{}", spec.name);
            assert_eq!(spec.argument.is_empty(), matches!(read(&format!("/{} x", spec.name)), Line::Wrong { .. }), "{}", spec.name);
            assert!(spec.about.len() <= 42 && spec.name.len() + spec.argument.len() < 14, "{spec:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_command_is_a_prompt() {
        for typed in ["fix it", "/etc/hosts is wrong", "/tmp/x", " /help", "//", "/** doc", "/model\nis a command of what?", "/v1 fails"] {
            assert_eq!(read(typed), Line::Prompt(typed.trim().to_owned()), "{typed}");
        }
        for typed in ["", "  ", "\n\t"] {
            assert_eq!(read(typed), Line::Nothing);
        }
    }

    #[test]
    fn a_wrong_command_names_what_was_meant() {
        assert_eq!(wrong("/agnet planning").0, "there is no command /agnet");
        assert!(wrong("/agnet planning").1.starts_with("did you mean /agent?"), "{:?}", wrong("/agnet x"));
        assert!(wrong("/exti").1.contains("/exit"));
        assert!(wrong("/frobnicate").1.starts_with("/help lists"));
        assert!(wrong("/").1.starts_with("/help lists"));
        let (message, hint) = wrong("/cost now");
        assert!(message.contains("`now`") && hint.contains("blank"), "{message} {hint}");
    }

    #[test]
    fn code_blocks_and_backslashes_ask_for_more() {
        assert!(in_code("look:\n```rust\nfn f() {") && !in_code("```\nx\n```") && !in_code("a ``` b"));
        assert!(goes_on("one \\") && !goes_on("one \\\\") && !goes_on("one") && !goes_on(""));
        assert!(!goes_on("```\na \\"), "in a block a backslash is code");
        assert_eq!(unfolded("one \\\ntwo \\\\\nthree\\"), "one \ntwo \\\\\nthree\\");
        assert_eq!(unfolded("```\na \\\nb\n```\nc \\\nd"), "```\na \\\nb\n```\nc \nd");
    }
}
