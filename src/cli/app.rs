//! What every command stands on: places, settings, catalogue, agents, redaction. Built once, handed down in parts.

use crate::auth::terms::Agreements;
use crate::auth::{self, Keys, Standings};
use crate::base::Failure;
use crate::base::net::Pool;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::catalog::{self, Agents, Catalog, Customs, Manifests, Skills};
use crate::config::instructions::Sources;
use crate::config::{self, Config, Settings, State, Trust, project_root};
use crate::model::money::Nanos;
use crate::route::budget::{Caps, Limit, Rates};
use crate::route::{self, Mode, Purse, Rotation};
use crate::store::{Desk, Store};
use crate::tool;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The surroundings of a command.
pub struct App {
    pub places: Places,
    pub settings: Settings,
    pub catalog: Catalog,
    pub manifests: Manifests,
    pub agents: Agents,
    pub redactor: Redactor,
    /// The connections of this process.
    pub pool: Pool,
    pub root: PathBuf,
    pub instructions: Sources,
    pub skills: Skills,
    pub customs: Customs,
    /// What a person should know of the repository's own pup files.
    pub note: Option<String>,
}

impl App {
    /// Loads everything for work in `root`. `flags` are settings given on the command line.
    pub fn load(root: &Path, flags: &[(String, String)]) -> Result<Self, Failure> {
        let places = Places::from_env()?;
        let root = std::path::absolute(root).map_err(|e| Failure::io("find", root, &e))?;
        let project = project_root(&root, home().as_deref());
        let trust = Trust::load(&places)?;
        let state = trust.state(&project)?;
        let trusted = (state == State::Trusted).then_some(project.as_path());
        let settings = Config::load(&places, trusted, flags, &env)?.settings();
        let mut catalog = Catalog::load(&places, trusted, &env)?;
        let manifests = Manifests::load(&places)?;
        agree(&mut catalog, &manifests, &places);
        let agents = Agents::load(&places, trusted, tool::NAMES)?;
        let instructions = Sources::new(&places, &project, trust.instructions(&project));
        let (skills, customs) = (Skills::load(&places, trusted), Customs::load(&places, trusted));
        let note = state.note(&project);
        let redactor = redactor();
        let pool = Pool::new(settings.http.ca_file.clone());
        Ok(Self { places, settings, catalog, manifests, agents, redactor, pool, root, instructions, skills, customs, note })
    }

    /// What a person should know of files of their own and of the repository that steer pup.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.note.iter().chain(&self.skills.notes).chain(&self.customs.notes).cloned()
    }

    /// The user's keys for every provider. `redactor` learns those that are at hand.
    pub fn keys(&self, redactor: &Redactor) -> Result<Keys<'static>, Failure> {
        let keys = Keys::load(&self.places, &env, self.settings.auth.store, redactor)?;
        keys.teach(self.catalog.providers().iter().map(AsRef::as_ref));
        Ok(keys)
    }

    /// What may be spent, and the ledger. `run`: the most for this run alone.
    pub fn purse(&self, run: Option<Nanos>) -> Purse {
        let ceiling = self.settings.budget.ceiling.and_then(|(input, output)| Rates::per_million(input, output));
        let places = self.places.clone();
        let desk = Desk::open(move || store(&places));
        Purse::new(Arc::new(desk), self.caps(run), ceiling)
    }

    /// What processes share, for a look.
    pub fn store(&self) -> Result<Store, Failure> {
        store(&self.places)
    }

    /// The caps on what is spent. `run`: the most for this run alone.
    pub fn caps(&self, run: Option<Nanos>) -> Caps {
        let budget = &self.settings.budget;
        let amount = |dollars: f64| Nanos::at_least(dollars);
        let limit = |dollars: Option<f64>, explicit| Some(Limit { amount: amount(dollars?)?, explicit });
        Caps {
            day: limit(budget.daily, budget.daily_is_set),
            month: limit(budget.monthly, budget.monthly_is_set),
            session: budget.session.and_then(amount),
            run,
            providers: budget.providers.iter().filter_map(|(id, most)| Some((id.clone(), amount(*most)?))).collect(),
        }
    }

    /// The environment variables that hold secrets of providers, or could: programs that pup starts do not get them.
    pub fn secret_variables(&self) -> Vec<String> {
        let keys = self.catalog.providers().iter().flat_map(|p| auth::variables(p, &env));
        keys.chain(self.manifests.variables().map(str::to_owned)).collect()
    }

    /// Which of several keys a call uses, with the memory of how they fared.
    pub fn rotation(&self, redactor: &Redactor) -> Rotation {
        let of = |r: catalog::Rotation| match r {
            catalog::Rotation::Sticky => Mode::Sticky,
            catalog::Rotation::RoundRobin => Mode::RoundRobin,
        };
        let mode = match self.settings.auth.rotation {
            config::Rotation::Sticky => Mode::Sticky,
            config::Rotation::RoundRobin => Mode::RoundRobin,
        };
        let own = self.catalog.providers().iter().filter_map(|p| Some((p.id.clone(), of(p.rotation?)))).collect();
        Rotation::new(mode, own, Some(Standings::load(&self.places, redactor)))
    }
}

/// What processes share. One that lost its ledger gets it from the journals.
fn store(places: &Places) -> Result<Store, Failure> {
    let store = Store::open(places)?;
    if store.lost {
        route::from_journals(&store, places);
    }
    Ok(store)
}

/// Opens what the user has agreed to.
fn agree(catalog: &mut Catalog, manifests: &Manifests, places: &Places) {
    let agreements = Agreements::load(places);
    let ids: Vec<String> = catalog.providers().iter().filter(|p| p.opt_in.is_some()).map(|p| p.id.clone()).collect();
    for id in ids {
        if manifests.terms(&id).is_some_and(|terms| agreements.to(&id, terms).is_some()) {
            catalog.agreed(&id);
        }
    }
}

/// A variable of the environment, where it is set and not empty.
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Knows the secrets of the environment; those of the config folder's `.env` are learned where keys are read.
pub fn redactor() -> Redactor {
    Redactor::from_env(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))))
}

/// The user's home folder, where one is known.
pub fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from)
}

/// The repository of the current folder, or the folder itself.
pub fn project() -> PathBuf {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    project_root(&here, home().as_deref())
}
