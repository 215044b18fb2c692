//! A workload's chain as it stands for one user: which links are in, who serves them, and why the others are out.
//!
//! A pure function of the catalogue and of what its caller knows (keys, logins, servers, settings): it asks nobody. A
//! link whose own provider cannot be used may be served by one of its `via` models, and keeps its place. Behind the
//! chain stands a tail: every other provider that the user has credentials for, best tier first, and a server on this
//! machine last, so that one key of any provider is enough for every workload.

use super::build::{Catalog, Endpoint, LOCAL, Model, Provider};
use super::format::{Capability, OptIn, WireId};
use super::link::Link;
use super::workload::Workload;
use std::fmt;
use std::sync::Arc;

/// What the caller knows, and the catalogue does not.
pub struct Terms<'a> {
    pub usable: &'a dyn Fn(&Provider) -> Usable,
    /// The wires of this build.
    pub speaks: &'a dyn Fn(WireId) -> bool,
    pub paid: Paid,
}

impl fmt::Debug for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("paid", &self.paid).finish_non_exhaustive()
    }
}

/// Whether a provider would answer this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usable {
    Yes,
    /// None of its key variables is set.
    NoKey,
    /// The provider has refused every key that there is for it.
    KeysDisabled,
    /// It wants a login, and there is none.
    NoLogin,
    /// Its login is of no use any more.
    LoginEnded,
    /// There is a login, and what it takes to keep it alive is not configured any more.
    NoClient,
    /// It is a server on this machine, and does not answer.
    NoServer,
    /// It is a program, and is not installed.
    NoProgram,
}

/// What becomes of models that cost money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paid {
    Used,
    Skipped,
}

/// One link of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainLink {
    /// The model's id, or the provider's where any model of a local server will do.
    pub id: String,
    pub place: Place,
    pub state: State,
}

/// Where a link comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The chain of the file; from 1.
    Chain(usize),
    /// Appended, because the user has credentials for its provider.
    Tail,
}

/// Whether a link can be tried.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    In {
        /// What is asked. Its `upstream` is empty for a local server: whatever model that has.
        served_by: Link,
        /// Ways that were preferred and are closed.
        passed_over: Vec<Closed>,
    },
    /// Every way is closed; never empty, the link's own way first.
    Out(Vec<Closed>),
}

impl State {
    /// Whether `link` is the way in use, or one of those that are closed.
    fn speaks_of(&self, link: &Link) -> bool {
        match self {
            Self::In { served_by, .. } => same(served_by, link),
            Self::Out(closed) => closed.iter().any(|c| same(&c.way, link)),
        }
    }
}

/// A way to a model that cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    pub way: Link,
    pub why: Why,
}

/// Why a way is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The model is not one that calls tools, which every agent needs.
    NoTools,
    WireNotBuilt(WireId),
    NoLogin,
    LoginEnded,
    NoClient,
    OptInMissing,
    PaidSkipped,
    NoKey,
    /// Where it is, only the user knows.
    NoAddress,
    KeysDisabled,
    NoServer,
    NoProgram,
}

impl Why {
    /// The word for scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoTools => "no_tools",
            Self::WireNotBuilt(_) => "wire_not_built",
            Self::NoLogin => "no_login",
            Self::LoginEnded => "login_ended",
            Self::NoClient => "no_client",
            Self::OptInMissing => "opt_in_missing",
            Self::PaidSkipped => "paid_skipped",
            Self::NoKey => "no_key",
            Self::NoAddress => "no_address",
            Self::KeysDisabled => "keys_disabled",
            Self::NoServer => "no_server",
            Self::NoProgram => "no_program",
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = &self.way.provider;
        write!(f, "{}: ", provider.id)?;
        match self.why {
            Why::NoTools => write!(f, "{} does not call tools", self.way.upstream),
            Why::WireNotBuilt(wire) => write!(f, "its protocol {} is not built yet", wire.as_str()),
            Why::NoLogin => write!(f, "not logged in: pup auth login {}", provider.id),
            Why::LoginEnded => write!(f, "its login has ended; again: pup auth login {}", provider.id),
            Why::NoClient => write!(f, "its login needs a client that is not configured: pup auth login {} says how", provider.id),
            Why::OptInMissing => {
                write!(f, "its terms may not allow this; to read them, and to use it all the same: pup auth login {}", provider.id)
            }
            Why::PaidSkipped => f.write_str("it costs money, and paid_models is false"),
            Why::NoKey => match provider.api_key_env.as_slice() {
                [one] => write!(f, "{one} is not set"),
                names => write!(f, "none of {} is set", names.join(", ")),
            },
            Why::NoAddress => match &provider.endpoint {
                Endpoint::Variable(name) => write!(f, "{name} is not set"),
                Endpoint::Url(_) | Endpoint::Loopback | Endpoint::Program => f.write_str("it has no address"),
            },
            Why::KeysDisabled => write!(f, "it refused every key that there is (pup auth status {})", provider.id),
            Why::NoServer => f.write_str("no model server answers on this machine"),
            Why::NoProgram => write!(f, "the program {} is not installed", provider.wire.as_str().trim_end_matches("-cli")),
        }
    }
}

impl Catalog {
    /// The chain of a workload, each link with its state, in the order of attempts.
    pub fn chain_links(&self, workload: Workload, terms: &Terms<'_>) -> Vec<ChainLink> {
        let members = self.chain(workload).iter().enumerate();
        let mut links: Vec<ChainLink> = members
            .filter_map(|(ix, id)| {
                let state = self.reach(self.model(id)?, terms)?;
                Some(ChainLink { id: id.clone(), place: Place::Chain(ix + 1), state })
            })
            .collect();
        let tail = self.tail(&links, terms);
        links.extend(tail);
        links
    }

    /// How a listed model is reached: its own way, else the first of its `via` that is open. `None` only for a model of
    /// another catalogue.
    pub fn reach(&self, model: &Arc<Model>, terms: &Terms<'_>) -> Option<State> {
        let mut closed = Vec::new();
        for way in self.ways(model) {
            match way.why_closed(terms) {
                None => return Some(State::In { served_by: way, passed_over: closed }),
                Some(why) => closed.push(Closed { way, why }),
            }
        }
        (!closed.is_empty()).then_some(State::Out(closed))
    }

    /// The ways to a model in order of preference: its own provider, then those of its `via` and, through them, of
    /// theirs. A way is named once.
    pub fn ways(&self, model: &Arc<Model>) -> Vec<Link> {
        let mut ways: Vec<Link> = Vec::new();
        let mut open = vec![model];
        while let Some(next) = open.pop() {
            let Some(link) = self.link(next) else { continue };
            if !ways.iter().any(|w| same(w, &link)) {
                ways.push(link);
                open.extend(next.via.iter().rev().filter_map(|id| self.model(id)));
            }
        }
        ways
    }

    /// One link for each provider that is usable, unless the chain has this very link, in or out.
    fn tail(&self, chain: &[ChainLink], terms: &Terms<'_>) -> Vec<ChainLink> {
        let mut tail = Vec::new();
        let mut local = None;
        for provider in self.providers() {
            let usable = (terms.usable)(provider);
            if provider.is_local() {
                local = Some(match usable {
                    Usable::Yes => State::In { served_by: self.on(provider, ""), passed_over: Vec::new() },
                    _ => State::Out(vec![Closed { way: self.on(provider, ""), why: Why::NoServer }]),
                });
            } else if usable == Usable::Yes
                // Installed says nothing of logged in: a program serves where a chain has it.
                && provider.endpoint != Endpoint::Program
                && let Some(link) = self.for_the_tail(provider, terms)
                && !chain.iter().any(|l| l.state.speaks_of(&link.0))
            {
                tail.push(link);
            }
        }
        // Stable: providers of one tier keep the order of the catalogue.
        tail.sort_by_key(|(link, _)| link.model.as_ref().and_then(|m| m.tier).unwrap_or(u8::MAX));
        let tail = tail.into_iter().map(|(link, why)| {
            let id = link.id();
            let state = match why {
                None => State::In { served_by: link, passed_over: Vec::new() },
                Some(why) => State::Out(vec![Closed { way: link, why }]),
            };
            ChainLink { id, place: Place::Tail, state }
        });
        let local = local.map(|state| ChainLink { id: LOCAL.to_owned(), place: Place::Tail, state });
        tail.chain(local).collect()
    }

    /// A provider's default model; its best other one where the default is closed and that is open.
    fn for_the_tail(&self, provider: &Arc<Provider>, terms: &Terms<'_>) -> Option<(Link, Option<Why>)> {
        let default = provider.default_model.as_deref().and_then(|id| self.model(id));
        let mut others: Vec<&Arc<Model>> = self.models().iter().filter(|m| m.provider == provider.id).collect();
        others.sort_by_key(|m| m.tier.unwrap_or(u8::MAX));
        let mut first = None;
        for model in default.into_iter().chain(others) {
            let Some(link) = self.link(model) else { continue };
            match link.why_closed(terms) {
                None => return Some((link, None)),
                Some(why) => first = first.or(Some((link, Some(why)))),
            }
        }
        first
    }
}

fn same(a: &Link, b: &Link) -> bool {
    a.provider.id == b.provider.id && a.upstream == b.upstream
}

impl Link {
    /// The first reason against asking this link, if there is one. Reasons that the user can do nothing about come first.
    pub fn why_closed(&self, terms: &Terms<'_>) -> Option<Why> {
        let model = self.model.as_ref();
        let no_tools = model.and_then(|m| m.capabilities.as_ref()).is_some_and(|c| !c.contains(&Capability::Tools));
        let paid = model.map_or(self.provider.paid, |m| m.paid);
        if no_tools {
            return Some(Why::NoTools);
        }
        if !(terms.speaks)(self.wire()) {
            return Some(Why::WireNotBuilt(self.wire()));
        }
        match (terms.usable)(&self.provider) {
            Usable::NoLogin => Some(Why::NoLogin),
            Usable::LoginEnded => Some(Why::LoginEnded),
            Usable::NoClient => Some(Why::NoClient),
            Usable::NoKey => Some(Why::NoKey),
            Usable::KeysDisabled => Some(Why::KeysDisabled),
            Usable::NoServer => Some(Why::NoServer),
            Usable::NoProgram => Some(Why::NoProgram),
            Usable::Yes if matches!(self.provider.endpoint, Endpoint::Variable(_)) => Some(Why::NoAddress),
            Usable::Yes if self.provider.opt_in == Some(OptIn::Required) => Some(Why::OptInMissing),
            Usable::Yes if paid && terms.paid == Paid::Skipped => Some(Why::PaidSkipped),
            Usable::Yes => None,
        }
    }
}
