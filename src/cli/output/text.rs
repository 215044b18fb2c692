//! `--output text`: for people at a terminal as it happens, for pipes the answer alone.

use super::countdown::{self, Countdown};
use crate::agent::{AgentEvent, ChildEvent, EventSink};
use crate::base::text;
use std::io::{self, IsTerminal, Write};

/// The most lines of a diff that are shown.
const DIFF_LINES: usize = 40;

/// How a line is set off, where colour is allowed.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    Plain,
    Dim,
    Bold,
    Red,
    Green,
    Yellow,
}

impl Style {
    /// That of a line of a diff.
    pub fn of_diff(line: &str) -> Self {
        match line.as_bytes().first() {
            Some(b'+') => Self::Green,
            Some(b'-') => Self::Red,
            Some(b'@') => Self::Dim,
            _ => Self::Plain,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
        }
    }
}

/// Which of the standard streams a person is watching.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub stdout: bool,
    pub stderr: bool,
    pub color: bool,
    /// The cursor of the terminal behind stderr can be moved.
    pub moves: bool,
}

impl Screen {
    pub fn detect(no_color: bool, quiet: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb");
        let stderr = io::stderr().is_terminal() && !quiet;
        let color = stderr && !no_color && !set("NO_COLOR") && !dumb;
        Self { stdout: io::stdout().is_terminal(), stderr, color, moves: stderr && !dumb }
    }

    /// A line on stderr, if somebody watches it.
    pub fn line(self, style: Style, line: &str) {
        if self.stderr {
            self.always(style, line);
        }
    }

    /// A line on stderr in any case.
    pub fn always(self, style: Style, line: &str) {
        let painted = self.painted(style, &text::strip_controls(line));
        let _ = writeln!(io::stderr().lock(), "{painted}");
    }

    /// The text with the codes that set it off, where colour is allowed.
    pub fn painted(self, style: Style, text: &str) -> String {
        let code = style.code();
        if self.color && !code.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Shows a run. On a terminal the text streams; into a pipe only the final answer goes, once, at the end.
#[derive(Debug)]
pub struct TextFace {
    screen: Screen,
    /// Text has been written since the last line break.
    mid_line: bool,
    streamed: bool,
    /// Calls that have no result yet: id and line.
    open: Vec<(String, String)>,
    /// Several calls run side by side, so a result has to say whose it is.
    crowd: bool,
    warned_retry: bool,
    quiet: bool,
    countdown: Option<Countdown>,
}

impl TextFace {
    pub fn new(screen: Screen, quiet: bool) -> Self {
        Self { screen, mid_line: false, streamed: false, open: Vec::new(), crowd: false, warned_retry: false, quiet, countdown: None }
    }

    /// The end of the run: the answer, where it has not been streamed.
    pub fn finish(&mut self, answer: &str) {
        self.countdown = None;
        self.break_line();
        let streamed = self.screen.stdout && self.streamed;
        if !streamed && !answer.trim().is_empty() {
            let mut out = io::stdout().lock();
            // No control codes of a model's, into a pipe either: what goes through it ends on somebody's terminal.
            let text = text::strip_controls(answer);
            let _ = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
        }
    }

    fn stream(&mut self, piece: &str) {
        if !self.screen.stdout {
            return;
        }
        let clean: String = piece.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        let mut out = io::stdout().lock();
        let _ = out.write_all(clean.as_bytes()).and_then(|()| out.flush());
        self.streamed = true;
        if let Some(last) = clean.chars().last() {
            self.mid_line = last != '\n';
        }
    }

    fn break_line(&mut self) {
        if std::mem::take(&mut self.mid_line) {
            let mut out = io::stdout().lock();
            let _ = out.write_all(b"\n").and_then(|()| out.flush());
        }
    }

    /// A line for each thing that an agent does which works for another one.
    fn child(&self, agent: &str, id: &str, event: &ChildEvent<'_>) {
        let line = |style, text: &str| self.screen.line(style, &format!("  [{agent}] {}", text::one_line(text, 160)));
        match event {
            ChildEvent::Begins { prompt, .. } => line(Style::Bold, &format!("begins ({id}): {prompt}")),
            ChildEvent::Ended(ended) if ended.ok() => {
                line(
                    Style::Dim,
                    &format!(
                        "done: {}, {}",
                        text::counted(ended.turns.into(), "turn"),
                        text::counted(ended.tool_calls.into(), "tool call")
                    ),
                );
            }
            ChildEvent::Ended(ended) => line(Style::Yellow, &ended.trouble()),
            ChildEvent::Inner(AgentEvent::ToolCall { line: call, .. }) => line(Style::Plain, &format!("> {call}")),
            ChildEvent::Inner(AgentEvent::ToolResult { ok: false, summary, .. }) => line(Style::Yellow, summary),
            ChildEvent::Inner(AgentEvent::AttemptFailed { attempt, error, .. }) => {
                line(Style::Yellow, &format!("! {}: {error}", attempt.model));
            }
            ChildEvent::Inner(AgentEvent::Waiting { pause, link }) => {
                line(Style::Yellow, &countdown::briefly(link, *pause));
            }
            ChildEvent::Inner(AgentEvent::Warning { text }) => line(Style::Yellow, text),
            ChildEvent::Inner(AgentEvent::Compacted { slimmed }) => line(Style::Dim, &slimmed.words()),
            ChildEvent::Inner(AgentEvent::Notice { notice }) if notice.is_for_people() => line(Style::Yellow, &notice.to_string()),
            ChildEvent::Inner(_) => {}
        }
    }

    fn result(&mut self, id: &str, ok: bool, summary: &str, diff: Option<&str>) {
        let whose = self.open.iter().position(|(open, _)| open == id).map(|ix| self.open.remove(ix).1);
        let text = match whose {
            Some(line) if self.crowd => format!("  {}: {summary}", text::one_line(&line, 80)),
            _ => format!("  {summary}"),
        };
        self.crowd &= !self.open.is_empty();
        self.screen.line(if ok { Style::Dim } else { Style::Yellow }, &text);
        let Some(diff) = diff else { return };
        let body = diff.lines().skip_while(|l| l.starts_with("---") || l.starts_with("+++"));
        for line in body.clone().take(DIFF_LINES) {
            self.screen.line(Style::of_diff(line), &format!("  {line}"));
        }
        let more = body.count().saturating_sub(DIFF_LINES);
        if more > 0 {
            self.screen.line(Style::Dim, &format!("  ({more} more lines)"));
        }
    }
}

impl EventSink for TextFace {
    fn emit(&mut self, event: AgentEvent<'_>) {
        self.countdown = None;
        match event {
            AgentEvent::Text { text } => self.stream(text),
            AgentEvent::TurnStart { .. } => {
                self.break_line();
                self.streamed = false;
            }
            AgentEvent::ToolCall { id, line, .. } => {
                self.break_line();
                self.crowd |= !self.open.is_empty();
                self.open.push((id.to_owned(), line.to_owned()));
                self.screen.line(Style::Bold, &format!("> {}", text::one_line(line, 160)));
            }
            AgentEvent::ToolOutput { text, .. } => {
                for line in text.lines() {
                    self.screen.line(Style::Dim, &format!("  | {}", text::one_line(line, 200)));
                }
            }
            AgentEvent::ToolResult { id, name, ok, summary, output, diff } => {
                self.result(id, ok, summary, diff);
                if ok && name == "todo" {
                    output.lines().for_each(|line| self.screen.line(Style::Plain, &format!("  {line}")));
                }
            }
            AgentEvent::AttemptFailed { attempt, error, discarded_chars } => {
                self.break_line();
                self.streamed = false;
                let void = if discarded_chars > 0 { format!(" The {discarded_chars} characters above are void.") } else { String::new() };
                self.screen.line(Style::Yellow, &format!("! {}: {error}.{void}", attempt.model));
            }
            AgentEvent::Waiting { pause, link } => {
                // A script's log should say once why nothing happens; a person sees each wait.
                if self.screen.stderr {
                    self.countdown = Countdown::begin(self.screen, link, pause);
                } else if !self.quiet && pause.as_secs() >= 2 && !std::mem::replace(&mut self.warned_retry, true) {
                    self.screen.always(
                        Style::Plain,
                        &format!("pup: waiting {} before {link} is tried again (see --timeout)", text::span(pause.as_secs())),
                    );
                }
            }
            AgentEvent::Compacted { slimmed } => {
                self.break_line();
                if !self.quiet {
                    self.screen.always(Style::Dim, &format!("pup: {}", slimmed.words()));
                }
            }
            AgentEvent::Warning { text } => {
                self.break_line();
                if !self.quiet {
                    self.screen.always(Style::Yellow, &format!("pup: {text}"));
                }
            }
            AgentEvent::Notice { notice } if notice.is_for_people() => {
                self.break_line();
                let line = text::one_line(&text::strip_controls(&notice.to_string()), 400);
                // Which model goes on, and what it costs, concerns whoever reads a log later as well.
                if !self.quiet {
                    self.screen.always(Style::Yellow, &format!("pup: {line}"));
                }
            }
            AgentEvent::Child { agent, id, event } => {
                self.break_line();
                self.child(agent, id, &event);
            }
            AgentEvent::Thinking { .. } | AgentEvent::Usage { .. } | AgentEvent::Notice { .. } => {}
        }
    }
}
