//! `pup agents`: which agents there are, what one of them is, and what is wrong with an agent file.

use super::app;
use super::print;
use crate::base::places::Places;
use crate::base::{Cause, Failure, text};
use crate::catalog::{self, Agent, Agents, Catalog, Finding, Listed, Origin, Severity, Workload};
use crate::config::Trust;
use crate::tool;
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AgentsCommand {
    /// Show all agents, by the work they do
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show an agent and its prompt
    Show {
        /// The agent
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say all that is wrong with an agent file, or with those of a folder
    Validate {
        /// A file (.md or .json) or a folder of them
        path: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; the exit code. `root` is the repository of the current folder.
pub fn run(command: &AgentsCommand, places: &Places, root: &Path, out: &mut dyn Write) -> Result<u8, Failure> {
    let state = Trust::load(places)?.state(root)?;
    let trusted = (state == crate::config::State::Trusted).then_some(root);
    let agents = Agents::load(places, trusted, tool::NAMES)?;
    match command {
        AgentsCommand::List { json } => {
            if let Some(note) = state.note(root) {
                let _ = writeln!(io::stderr(), "pup: {note}");
            }
            let all = agents.list();
            if *json { print::json(out, &all.iter().map(listed_json).collect::<Vec<_>>()) } else { list(&all, print::columns(), out) }
                .map(|()| 0)
        }
        AgentsCommand::Show { name, json } => {
            let agent = agents.get(name)?;
            if *json { print::json(out, &agent_json(&agent)) } else { show(&agent, out) }.map(|()| 0)
        }
        AgentsCommand::Validate { path, json } => {
            let catalog = Catalog::load(places, trusted, &app::env)?;
            let reports = validate(&agents, &catalog, path)?;
            if *json { reports_json(&reports, out) } else { reports.iter().try_for_each(|r| report(r, out)) }?;
            Ok(if reports.iter().all(Report::ok) { 0 } else { Cause::Config.exit_code() })
        }
    }
}

/// What to tell before a run with an agent that is not all that its file asks for.
pub fn left_out(agent: &Agent) -> Option<String> {
    let what = match agent.notes.as_slice() {
        [] => return None,
        [one] => one.message.clone(),
        many => format!("{} things of its file have no effect", many.len()),
    };
    Some(format!("agent {}: {what}; see: pup agents show {}", agent.name, agent.name))
}

fn listed_json(listed: &Listed) -> Value {
    let (agent, error) = (listed.agent.as_ref().ok(), listed.agent.as_ref().err());
    let mut entry = json!({
        "name": listed.name,
        "display_name": agent.map(|a| &a.display_name),
        "description": agent.map(|a| &a.description),
        "workload": agent.map(|a| a.workload),
        "origin": listed.origin,
        "path": listed.origin.path(),
        "tools": agent.map_or(&[][..], |a| &a.tools),
        "delegates": agent.map_or(&[][..], |a| &a.delegates),
        "model": agent.and_then(|a| a.model.as_ref()),
        "notes": agent.map_or(&[][..], |a| &a.notes),
    });
    if let (Some(error), Value::Object(entry)) = (error, &mut entry) {
        entry.insert("error".into(), json!({ "message": error.message, "hint": error.hint }));
    }
    entry
}

fn agent_json(agent: &Agent) -> Value {
    let mut value = json!(agent);
    if let Value::Object(entry) = &mut value {
        entry.insert("path".into(), json!(agent.origin.path()));
    }
    value
}

/// The narrowest terminal in which names and descriptions stand side by side.
const SIDE_BY_SIDE: usize = 64;

fn list(all: &[Listed], width: Option<usize>, out: &mut dyn Write) -> Result<(), Failure> {
    for workload in Workload::ALL {
        let of: Vec<&Agent> = all.iter().filter_map(|l| l.agent.as_ref().ok()).filter(|a| a.workload == workload).collect();
        if of.is_empty() {
            continue;
        }
        print::line(out, &format!("{workload} ({})", of.len()))?;
        for agent in of {
            let from = if agent.origin == Origin::BuiltIn { String::new() } else { format!("[{}] ", agent.origin.as_str()) };
            let notes = if agent.notes.is_empty() { "" } else { " (not all of its file has an effect)" };
            entry(&clean(&agent.name), &format!("{from}{}{notes}", clean(&agent.description)), width, out)?;
        }
    }
    let broken: Vec<(&Listed, &Failure)> = all.iter().filter_map(|l| Some((l, l.agent.as_ref().err()?))).collect();
    if broken.is_empty() {
        return Ok(());
    }
    print::line(out, &format!("NOT USABLE ({})", broken.len()))?;
    for (listed, failure) in broken {
        let hint = failure.hint.as_deref().map(|h| format!(" ({})", h.replace("\n  ", "; "))).unwrap_or_default();
        entry(&clean(&listed.name), &format!("{}{hint}", failure.message), width, out)?;
    }
    Ok(())
}

/// A name and what it is: side by side, one above the other where the terminal is narrow, one line where there is none.
fn entry(name: &str, what: &str, width: Option<usize>, out: &mut dyn Write) -> Result<(), Failure> {
    const NAMES: usize = 26;
    let Some(width) = width else { return print::line(out, &format!("  {name:NAMES$}{what}")) };
    let indent = if width < SIDE_BY_SIDE { 4 } else { NAMES + 2 };
    let mut lines = text::wrap(what, width.saturating_sub(indent + 1).max(16)).into_iter();
    if indent == 4 || name.chars().count() >= NAMES {
        print::line(out, &format!("  {name}"))?;
    } else {
        print::line(out, &format!("  {name:NAMES$}{}", lines.next().unwrap_or_default()))?;
    }
    lines.try_for_each(|line| print::line(out, &format!("{:indent$}{line}", "")))
}

fn show(agent: &Agent, out: &mut dyn Write) -> Result<(), Failure> {
    print::line(out, &format!("{} ({})", clean(&agent.display_name), clean(&agent.name)))?;
    print::line(out, &text::strip_controls(&agent.description))?;
    let place = agent.origin.path().map_or_else(|| "built in".to_owned(), |p| format!("{} ({})", p.display(), agent.origin.as_str()));
    let rows = [
        ("workload", Some(agent.workload.to_string())),
        ("tools", Some(joined(&agent.tools).unwrap_or_else(|| "none".to_owned()))),
        ("delegates", joined(&agent.delegates)),
        ("model", agent.model.clone()),
        ("temperature", agent.temperature.map(|t| t.to_string())),
        ("max_turns", agent.max_turns.map(|n| n.to_string())),
        ("skills", joined(&agent.skills)),
        ("mcp_servers", joined(&agent.mcp_servers)),
        ("from", Some(place)),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().filter_map(|(k, v)| Some(vec![k.to_owned(), clean(&v?)])).collect();
    print::table(out, &rows)?;
    for note in &agent.notes {
        print::line(out, &format!("note: {}", one(note, "")))?;
    }
    print::line(out, &format!("\n{}", text::strip_controls(&agent.prompt)))
}

fn joined(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(", "))
}

/// What was found in one file.
struct Report {
    path: PathBuf,
    agent: Option<Agent>,
    findings: Vec<Finding>,
}

impl Report {
    fn ok(&self) -> bool {
        self.agent.is_some()
    }
}

fn validate(agents: &Agents, catalog: &Catalog, path: &Path) -> Result<Vec<Report>, Failure> {
    let meta = std::fs::metadata(path).map_err(|e| Failure::io("read", path, &e).with_cause(Cause::Usage))?;
    let files = if meta.is_dir() { catalog::agent_files(path)? } else { vec![path.to_owned()] };
    if files.is_empty() {
        return Err(Failure::usage(format!("{} holds no agent files", path.display())).hint("an agent is a .md or .json file"));
    }
    let known_model = |id: &str| catalog.resolve(id).map(|_| ());
    let one = |path: PathBuf| {
        let (agent, findings) = agents.validate(&path, &known_model);
        Report { path, agent, findings }
    };
    Ok(files.into_iter().map(one).collect())
}

fn reports_json(reports: &[Report], out: &mut dyn Write) -> Result<(), Failure> {
    let file = |r: &Report| json!({ "path": r.path, "ok": r.ok(), "agent": r.agent.as_ref().map(|a| &a.name), "findings": r.findings });
    let files: Vec<Value> = reports.iter().map(file).collect();
    print::json(out, &json!({ "ok": reports.iter().all(Report::ok), "files": files }))
}

fn report(report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let label = report.path.display().to_string();
    for finding in &report.findings {
        print::line(out, &one(finding, &label))?;
    }
    match &report.agent {
        Some(agent) => print::line(out, &format!("{label}: usable as `{}`", clean(&agent.name))),
        None => Ok(()),
    }
}

/// A finding as lines for people; without a `label` its line alone names the place.
fn one(finding: &Finding, label: &str) -> String {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match (label, finding.line) {
        ("", Some(line)) => format!("line {line}: "),
        ("", None) => String::new(),
        (label, _) => format!("{}: {severity}: ", finding.place(label)),
    };
    let hint = finding.hint.as_ref().map(|h| format!("\n  {h}")).unwrap_or_default();
    format!("{place}{}{hint}", text::strip_controls(&finding.message))
}

fn clean(s: &str) -> String {
    text::one_line(&text::strip_controls(s), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_fits_forty_columns() {
        let long = "Evidence-led planning and building, with hypotheses, falsifiers and gates kept in a state file.";
        for width in [40, 64, 80] {
            let mut out = Vec::new();
            entry("commit-message-generator", long, Some(width), &mut out).unwrap();
            let shown = String::from_utf8(out).unwrap();
            assert!(shown.lines().all(|l| l.chars().count() <= width), "{width}:\n{shown}");
            assert_eq!(shown.split_whitespace().skip(1).collect::<Vec<_>>().join(" "), long);
        }
    }

    #[test]
    fn the_names_that_agents_may_list_are_the_tools() {
        let all = tool::Registry::builtin().delegating_to(&["x".to_owned()]);
        assert_eq!(all.names(), tool::NAMES);
    }
}
