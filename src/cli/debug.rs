//! `pup debug`: looks inside. Codecs, tools and prompts as they are, without a session.

use super::app::App;
use super::debug_tool::{self, Approval};
use super::engine::{offered, registry};
use super::home::Home;
use super::{debug_classify, debug_wire, print};
use crate::agent::{Stopper, prompt};
use crate::base::places::Places;
use crate::base::{Cause, Failure};
use crate::model::{History, Message, Request, ToolSpec};
use crate::wire::{self, Dialect, Wire, quirk};
use crate::workspace::Workspace;
use crate::workspace::process::supervisor;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Provider bytes in, the assembled message out
    Decode {
        /// The wire that the bytes are in
        #[arg(long)]
        wire: Wire,
        /// A stream or a JSON body; stdin without it
        file: Option<PathBuf>,
    },
    /// A neutral request (JSON) in, the provider's request body out
    Encode {
        /// The wire to encode for
        #[arg(long)]
        wire: Wire,
        /// The request; stdin without it
        file: Option<PathBuf>,
    },
    /// A provider's error in, what pup makes of it out
    Classify(debug_classify::Args),
    /// The tools of an agent with their JSON schemas and token counts
    Tools {
        /// The agent whose tools are listed
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
    },
    /// Run one tool outside a session
    Tool {
        /// The tool's name
        name: String,
        /// The workspace
        #[arg(long, value_name = "DIR")]
        cwd: Option<PathBuf>,
        /// Whether edits and commands are allowed
        #[arg(long, value_name = "MODE", default_value = "read-only", value_parser = ["read-only", "all"])]
        approve: String,
        /// The arguments as a JSON object, or `-` for stdin
        #[arg(default_value = "-")]
        json: String,
    },
    /// The exact first request body, with its token count by part
    Prompt {
        /// The agent that would be asked
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// The model that would be asked
        #[arg(long, value_name = "ID")]
        model: Option<String>,
        /// The task in it
        #[arg(long, default_value = "Fix the failing test.")]
        task: String,
    },
}

/// Runs the command; the exit code.
pub fn run(args: Args, out: &mut dyn Write) -> Result<u8, Failure> {
    match args.what {
        What::Decode { wire, file } => print(out, &debug_wire::decode(wire, &bytes(file.as_deref())?)),
        What::Encode { wire, file } => {
            let body = debug_wire::encode(wire, &bytes(file.as_deref())?)?;
            print::line(out, &String::from_utf8_lossy(&body)).map(|()| 0)
        }
        What::Classify(args) => {
            let body = bytes(args.file.as_deref())?;
            print(out, &debug_classify::run(&args, &body)?)
        }
        What::Tools { agent } => {
            let (_, specs) = agent_tools(agent.as_deref())?;
            print(out, &debug_tool::tools(&specs))
        }
        What::Tool { name, cwd, approve, json } => {
            let args = if json == "-" { String::from_utf8_lossy(&bytes(None)?).into_owned() } else { json };
            let cwd = cwd.unwrap_or_else(|| PathBuf::from("."));
            let approval = if approve == "all" { Approval::All } else { Approval::ReadOnly };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|e| Failure::internal(format!("cannot start the runtime: {e}")))?;
            let stopper = Stopper::default();
            super::stop::watch(&stopper, None)?;
            let token = stopper.token().clone();
            let setup = debug_tool::Setup {
                redactor: super::app::redactor(),
                leases: Places::from_env().ok().map(|places| places.leases()),
                supervisor: supervisor::program(),
            };
            let printed = runtime.block_on(debug_tool::tool(&name, &args, &cwd, approval, setup, token))?;
            runtime.shutdown_background();
            print(out, &printed.json)?;
            Ok(u8::from(!printed.ok))
        }
        What::Prompt { agent, model, task } => {
            let (app, specs) = agent_tools(agent.as_deref())?;
            print(out, &first_request(&app, agent.as_deref(), model.as_deref(), &task, specs)?)
        }
    }
}

fn agent_tools(agent: Option<&str>) -> Result<(Arc<App>, Arc<[ToolSpec]>), Failure> {
    let app = App::load(Path::new("."), &[])?;
    let agent = app.agents.get(agent.unwrap_or(&app.settings.agent))?;
    let app = Arc::new(app);
    let home = Home { app: Arc::clone(&app), model: None, provider: None, fallback: false };
    let specs = registry(&agent, None, super::run::audience(), &app.skills, &home.candidates(&agent, &[]))?.specs();
    Ok((app, specs))
}

fn first_request(app: &App, agent: Option<&str>, model: Option<&str>, task: &str, tools: Arc<[ToolSpec]>) -> Result<Value, Failure> {
    let agent = app.agents.get(agent.unwrap_or(&app.settings.agent))?;
    let workspace = Workspace::open(&app.root)?;
    let (wire, dialect, upstream) = match model.or(app.settings.model.as_deref()).or(agent.model.as_deref()) {
        Some(id) => {
            let link = app.catalog.resolve(id)?;
            (super::select::wire(&link)?, super::select::dialect(&link, &[])?, link.upstream)
        }
        None => (Wire::OpenaiChat, Dialect::default(), "MODEL".to_owned()),
    };
    let instructions = app.instructions.at_start(workspace.root()).texts;
    let system = prompt::system(&agent.prompt, workspace.root(), &instructions, &offered(&agent, &app.skills));
    let messages: History = [Message::system(&system), Message::user(task)].into_iter().collect();
    let request = Request { model: upstream, messages, tools, temperature: agent.temperature, stream: true, ..Request::default() };
    let (bytes, losses) = wire::encode(wire, &dialect, &quirk::prepare(wire, &dialect, &request));
    let body: Value = serde_json::from_slice(&bytes).map_err(|e| Failure::internal(format!("the body is not JSON: {e}")))?;
    // Each wire has its own name for the conversation.
    let part = |names: &[&str]| names.iter().find_map(|n| body.get(*n)).map_or(0, |v| count(&v.to_string()));
    let tokens = json!({
        "system": count(&system),
        "tools": part(&["tools"]),
        "messages": part(&["messages", "contents"]),
        "total": count(&String::from_utf8_lossy(&bytes)),
    });
    Ok(json!({"body": body, "bytes": bytes.len(), "tokens": tokens, "losses": losses}))
}

/// o200k tokens. Loading the vocabulary takes a quarter of a second, which only these commands spend.
fn count(text: &str) -> usize {
    tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len()
}

fn bytes(file: Option<&Path>) -> Result<Vec<u8>, Failure> {
    if let Some(path) = file {
        return std::fs::read(path).map_err(|e| Failure::io("read", path, &e).with_cause(Cause::Usage));
    }
    let mut all = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut all);
    read.map(|_| all).map_err(|e| Failure::usage(format!("cannot read stdin: {e}")))
}

fn print(out: &mut dyn Write, value: &Value) -> Result<u8, Failure> {
    print::line(out, &value.to_string()).map(|()| 0)
}

#[cfg(test)]
mod tests {
    use super::super::engine::Audience;
    use super::*;
    use crate::catalog::{Agents, DEFAULT_AGENT, Skills};
    use crate::tool::Offers;

    /// Every tool that there is, skills besides, and `recall`, on the wire that most servers speak.
    #[test]
    fn the_first_request_with_all_tools_on_is_small() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        for name in ["pdf-forms", "releases", "charts"] {
            let folder = places.config.join("skills").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            let about = "Does one thing with care, in a few steps. Use it when the user speaks of that thing.";
            std::fs::write(folder.join("SKILL.md"), format!("---\nname: {name}\ndescription: {about}\n---\nDo it.\n")).unwrap();
        }
        let skills = Skills::load(&places, None);
        let agent = Agents::load(&places, None, crate::tool::NAMES).unwrap().get(DEFAULT_AGENT).unwrap();
        let offers = Offers::new(&registry(&agent, Some("gpt-5.2-codex"), Audience::Person, &skills, &[]).unwrap(), true);
        let all = offers.at(true, true);
        for tool in ["shell", "job", "todo", "ask_user_question", "apply_patch", "activate_skill", "recall"] {
            assert!(all.get(tool).is_some(), "{tool}");
        }
        let system = prompt::system(&agent.prompt, home.path(), &[], &offered(&agent, &skills));
        let messages: History = [Message::system(&system), Message::user("Fix the failing test.")].into_iter().collect();
        let request = Request { model: "m".into(), messages, tools: all.specs(), stream: true, ..Request::default() };
        let (wire, dialect) = (Wire::OpenaiChat, Dialect::default());
        let (bytes, _) = wire::encode(wire, &dialect, &quirk::prepare(wire, &dialect, &request));
        let tokens = count(&String::from_utf8_lossy(&bytes));
        println!("{tokens} tokens with {} tools", all.names().len());
        assert!((500..2600).contains(&tokens), "{tokens}");

        let alone = registry(&agent, None, Audience::Nobody, &Skills::default(), &[]).unwrap();
        assert!(["ask_user_question", "activate_skill", "recall"].iter().all(|t| alone.get(t).is_none()));
    }
}
