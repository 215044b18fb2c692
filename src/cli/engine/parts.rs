//! What a session is made of, chosen and checked before it is at work.

use crate::agent::delegate::{Candidate, Office};
use crate::agent::{Approve, Compacting, Limits, prompt};
use crate::base::Failure;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::catalog::{Agent, Skill, Skills};
use crate::cli::home::Home;
use crate::config::Failover;
use crate::config::instructions::{Instruction, Sources};
use crate::model::Message;
use crate::route::{Link, Purse, Rotation, Rules};
use crate::session::Session;
use crate::tool::{self, Registry};
use crate::workspace::Workspace;
use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

/// What a session is made of, chosen and checked.
pub struct Parts {
    pub root: PathBuf,
    pub agent: Agent,
    /// What other agents' sessions are made from; none where no work is handed on.
    pub home: Option<Home>,
    /// The id of the session that begins with the first prompt, if it is not to get a fresh one.
    pub session: Option<String>,
    /// Where this session stands, if it works for another one.
    pub below: Option<Below>,
    pub links: Vec<Link>,
    pub rules: Rules,
    pub rotation: Rotation,
    pub failover: Failover,
    /// None keeps no ledger and shares nothing.
    pub purse: Option<Purse>,
    pub approve: Approve,
    pub limits: Limits,
    pub tool_limits: tool::Limits,
    pub compacting: Compacting,
    /// Where instructions come from.
    pub instructions: Sources,
    pub audience: Audience,
    pub skills: Skills,
    /// None records nothing.
    pub places: Option<Places>,
    /// The folder of the locks by which all of the user's pups write a file one after the other.
    pub leases: Option<PathBuf>,
    /// Pup's state folder, if what steps change is to be kept there so that they can be undone.
    pub checkpoints: Option<PathBuf>,
    pub redactor: Redactor,
    /// Environment variables that commands do not get.
    pub hidden: Vec<String>,
}

/// Whether there is somebody who can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Person,
    Nobody,
}

/// The place of a session that works for another one.
pub struct Below {
    pub id: String,
    pub parent: String,
    /// The session whose costs are its costs, and that one's run.
    pub payer: Option<String>,
    pub run: String,
    /// The agents above, the first one first.
    pub above: Vec<String>,
    /// The same for all.
    pub approve: Rc<Cell<Approve>>,
    pub office: Office,
}

impl Parts {
    /// Whom this agent may hand work to.
    fn candidates(&self) -> Vec<Candidate> {
        let above = self.below.as_ref().map_or(&[][..], |b| &b.above);
        self.home.as_ref().map(|h| h.candidates(&self.agent, above)).unwrap_or_default()
    }

    /// The tools of its agent.
    pub(super) fn registry(&self) -> Result<Registry, Failure> {
        registry(&self.agent, self.links.first().map(|l| l.id.as_str()), self.audience, &self.skills, &self.candidates())
    }

    /// The instructions that hold from the beginning, and what should be said of them.
    pub(super) fn instructions(&self, workspace: &Workspace) -> (Vec<Instruction>, Vec<String>) {
        let found = self.instructions.at_start(workspace.root());
        let clean = |one: Instruction| Instruction { text: self.redactor.redact(&one.text).into_owned(), ..one };
        (found.texts.into_iter().map(clean).collect(), found.notes)
    }
}

/// The agent's tools, as they suit the model and whoever is there.
pub fn registry(agent: &Agent, model: Option<&str>, audience: Audience, skills: &Skills, may: &[Candidate]) -> Result<Registry, Failure> {
    let selected = Registry::builtin().select(&agent.tools)?;
    let usable = if audience == Audience::Nobody { selected.unattended() } else { selected };
    let names: Vec<String> = may.iter().map(|c| c.name.clone()).collect();
    Ok(usable.suited_to(model).with_skills(offered(agent, skills)).delegating_to(&names))
}

/// The skills that the agent is told of.
pub fn offered(agent: &Agent, skills: &Skills) -> Vec<Skill> {
    skills.offered(&agent.skills).cloned().collect()
}

/// What the journal says of the session: at its beginning, and again when it goes on or over to somebody else.
pub(super) fn header(id: String, agent: &Agent, link: Option<&Link>, workspace: &Workspace, prompt: Option<&str>) -> Session {
    let (model, provider) = link.map(|l| (l.id.clone(), l.provider.id().to_owned())).unzip();
    Session {
        id,
        agent: agent.name.clone(),
        model,
        provider,
        cwd: workspace.root().display().to_string(),
        prompt: prompt.map(ToOwned::to_owned),
        parent: None,
        pup: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

pub(super) fn system(agent: &Agent, workspace: &Workspace, instructions: &[Instruction], skills: &Skills) -> Message {
    Message::system(prompt::system(&agent.prompt, workspace.root(), instructions, &offered(agent, skills)))
}
