//! The command line's shape. What each command does lives in a file of its own.

use super::{agents, auth, config, costs, debug, demo, doctor, models, run, sessions, status, trust, undo};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// A multi-agent coding assistant for the terminal that keeps working when a provider does not.
#[derive(Debug, Parser)]
#[command(name = "pup", version, propagate_version = false, args_conflicts_with_subcommands = true, max_term_width = 100, after_help = AFTER)]
pub struct Cli {
    #[command(flatten)]
    pub chat: ChatArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `pup` alone takes: the chat.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ChatArgs {
    /// The agent to talk to
    #[arg(short, long, value_name = "NAME")]
    pub agent: Option<String>,
    /// A catalogue id, or provider/name for any name that the provider serves
    #[arg(short, long, value_name = "ID")]
    pub model: Option<String>,
    /// Work in DIR instead of the current folder
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// What may be done: ask, edits, all, read-only, plan [default: ask]
    #[arg(long, value_name = "MODE")]
    pub approve: Option<String>,
    /// Begin in plan mode: nothing is changed; the same as --approve plan
    #[arg(long, conflicts_with_all = ["approve", "yolo"])]
    pub plan: bool,
    /// The same as --approve all
    #[arg(long, conflicts_with = "approve")]
    pub yolo: bool,
    /// Never make the conversation smaller by itself
    #[arg(long)]
    pub no_compact: bool,
    /// Record nothing, neither the session nor what is typed
    #[arg(long)]
    pub no_session: bool,
    /// Never use colour
    #[arg(long)]
    pub no_color: bool,
    /// Log what happens to a file; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

const AFTER: &str = "Without a command, pup opens a chat in the current folder.\n\nStart with `pup demo`: it needs no account and no network.\nThen: export OPENAI_API_KEY=...  (or start a local server), and `pup run \"fix the failing test\"`, or `pup` to talk.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Do one task, then exit
    Run(Box<run::Args>),
    /// Show the whole loop on a throw-away project, without an account or a network
    Demo(demo::Args),
    /// List the models, show one, show how a chain stands for you, test one, or update what is known of them
    Models {
        #[command(subcommand)]
        command: models::ModelsCommand,
    },
    /// List recorded sessions, show one, or go on with one
    Sessions {
        #[command(subcommand)]
        command: Sessions,
    },
    /// Show how links stand: what rests and until when, breakers, allowances, budgets
    Status(status::Args),
    /// Show what providers say is left of each account's allowances, and when it is full again
    Quota(status::Args),
    /// Show what was used and spent, by model, provider, agent, session, day or workload
    Costs(costs::Args),
    /// Take back what the last steps changed in this folder, commands included
    Undo(undo::TurnArgs),
    /// Make again what was undone
    Redo(undo::TurnArgs),
    /// List the steps that can be undone here, and what is not covered
    Checkpoints(undo::ListArgs),
    /// List the agents, show one, or check an agent file
    Agents {
        #[command(subcommand)]
        command: agents::AgentsCommand,
    },
    /// Keep keys, and see which there are and how they stand
    Auth {
        #[command(subcommand)]
        command: auth::AuthCommand,
    },
    /// Read and change settings, and see where each value comes from
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Say which repositories' own pup files may take effect
    Trust {
        #[command(subcommand)]
        command: trust::TrustCommand,
    },
    /// Check everything that a run needs, and say what to do next
    Doctor(doctor::Args),
    /// Look inside: codecs, tools, prompts
    Debug(debug::Args),
}

#[derive(Debug, Subcommand)]
pub enum Sessions {
    #[command(flatten)]
    Look(sessions::SessionsCommand),
    /// Go on with a session, the same as `pup run --resume ID`
    Resume(Box<Resume>),
}

#[derive(Debug, clap::Args)]
pub struct Resume {
    /// An id, its beginning, or `last`
    #[arg(conflicts_with_all = ["resume", "no_session"])]
    id: String,
    #[command(flatten)]
    run: run::Args,
}

impl Resume {
    pub fn into_run(self) -> run::Args {
        run::Args { resume: Some(self.id), ..self.run }
    }
}
