//! What sessions of other agents are made from: the surroundings of the command, and the model that the user insists on.

use super::app::App;
use super::engine::{Audience, Parts};
use super::run;
use super::select::{self, Behind, Chosen, Wanted};
use crate::agent::Approve;
use crate::agent::compact::Summaries;
use crate::agent::delegate::governor::Places as Seats;
use crate::agent::delegate::{Candidate, DEPTH};
use crate::base::Failure;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::catalog::{Agent, Workload};
use crate::route::{Caller, Purse, Router, Rules};
use std::cell::OnceCell;
use std::sync::Arc;

/// The model that summaries are asked of where it can be had and none is set.
const SUMMARIES: &str = "antigravity-gemini-3-flash";

/// Where a session asks for summaries, found out when the first one is wanted.
pub struct LazySummaries {
    home: Option<Home>,
    purse: Option<Purse>,
    rules: Rules,
    made: OnceCell<Option<Router>>,
}

impl LazySummaries {
    pub fn new(home: Option<Home>, purse: Option<Purse>, rules: Rules) -> Self {
        Self { home, purse, rules, made: OnceCell::new() }
    }

    /// Whose calls they are from now on.
    pub fn says_who(&self, caller: &Caller) {
        let made = self.made.get().and_then(Option::as_ref).and_then(Router::purse);
        self.purse.iter().chain(made).for_each(|purse| purse.set_caller(caller.clone()));
    }
}

impl Summaries for LazySummaries {
    fn router(&self) -> Option<&Router> {
        let make = || self.home.as_ref()?.summaries(self.purse.as_ref().map(Purse::share), self.rules);
        self.made.get_or_init(make).as_ref()
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Home {
    pub app: Arc<App>,
    /// The model or provider that was named for this run. Without `fallback` no other is used, whoever works.
    pub model: Option<String>,
    pub provider: Option<String>,
    pub fallback: bool,
}

impl Home {
    /// The agents that this one may invoke, where the ones `above` it have handed work down to it. Broken ones are left out.
    pub fn candidates(&self, agent: &Agent, above: &[String]) -> Vec<Candidate> {
        if above.len() >= DEPTH {
            return Vec::new();
        }
        let anyone = agent.delegates.is_empty() && agent.tools.iter().any(|t| t == "invoke_agent");
        let names: Vec<&str> =
            if anyone { self.app.agents.names().collect() } else { agent.delegates.iter().map(String::as_str).collect() };
        let others = names.into_iter().filter(|n| *n != agent.name && !above.iter().any(|a| a == n));
        let found = others.filter_map(|name| self.app.agents.get(name).ok());
        found.map(|a| Candidate { name: a.name, description: a.description, workload: a.workload }).collect()
    }

    /// How many may work at once.
    pub fn seats(&self) -> Seats {
        let set = self.app.settings.governor;
        Seats { coders: set.coders, reviewers: set.reviewers, searchers: set.searchers, ..Seats::default() }
    }

    /// What the session of another agent is made of: its own models and tools, in the same place.
    pub fn parts(&self, agent: Agent, approve: Approve, places: Option<Places>, purse: Purse, rules: Rules) -> Result<Parts, Failure> {
        let wanted = Wanted {
            model: self.model.clone(),
            provider: self.provider.clone(),
            pin: agent.model.clone(),
            workload: agent.workload,
            behind: Behind::Nothing,
        };
        let (Chosen { links, .. }, redactor) = self.links(&self.unless_free(wanted))?;
        let parts = run::parts(self.clone(), agent, links, redactor, approve, places, purse);
        // Questions to the user are for the agent that speaks with the user.
        Ok(Parts { rules, audience: Audience::Nobody, ..parts })
    }

    /// The model that was named first is no rule for others where its chain stands behind it.
    fn unless_free(&self, wanted: Wanted) -> Wanted {
        if self.fallback { Wanted { model: None, provider: None, ..wanted } } else { wanted }
    }

    /// The way to summaries: the model that is set for them, else the LIBRARIAN chain. None where one model is insisted on,
    /// or nothing can be had: then the session's own model writes them.
    fn summaries(&self, purse: Option<Purse>, rules: Rules) -> Option<Router> {
        let set = self.app.settings.summary_model.clone();
        let insists = !self.fallback && (self.model.is_some() || self.provider.is_some());
        if set.is_none() && (insists || self.app.settings.model.is_some()) {
            return None;
        }
        let pin = set.is_none().then(|| SUMMARIES.to_owned());
        let wanted = Wanted { model: set, provider: None, pin, workload: Workload::Librarian, behind: Behind::Chain };
        let found = self.links(&wanted).inspect_err(|f| tracing::warn!(why = f.message, "no model for summaries alone"));
        let (Chosen { links, .. }, redactor) = found.ok()?;
        Some(Router::new(links, rules, self.app.rotation(&redactor)).paying(purse))
    }

    /// Looking for a local server needs a runtime of its own, which cannot be inside of the session's: so it has another thread.
    fn links(&self, wanted: &Wanted) -> Result<(Chosen, Redactor), Failure> {
        let redactor = self.app.redactor.clone();
        let found = std::thread::scope(|s| s.spawn(|| select::links(&self.app, wanted, &redactor)).join());
        let chosen = found.map_err(|_| Failure::internal("looking for a model failed"))??;
        Ok((chosen, redactor))
    }
}
