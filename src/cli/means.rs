//! What this user can reach models with: keys and logins, the wires of this build, a server on this machine, and whether to pay.

use super::doors::Doors;
use crate::catalog::{Catalog, ChainLink, Link, Model, Paid, Provider, State, Terms, Usable, Why, WireId, Workload};
use crate::wire::Wire;
use std::sync::Arc;

/// The means of a user. Answers the catalogue's questions about links.
pub struct Means<'k> {
    doors: &'k Doors,
    paid: Paid,
    local: bool,
}

impl<'k> Means<'k> {
    /// `local` says whether a model server answers on this machine.
    pub fn new(doors: &'k Doors, paid_models: bool, local: bool) -> Self {
        Self { doors, paid: if paid_models { Paid::Used } else { Paid::Skipped }, local }
    }

    /// The chain of a workload as it stands for this user.
    pub fn chain(&self, catalog: &Catalog, workload: Workload) -> Vec<ChainLink> {
        self.ask(|terms| catalog.chain_links(workload, terms))
    }

    /// How a listed model is reached.
    pub fn reach(&self, catalog: &Catalog, model: &Arc<Model>) -> Option<State> {
        self.ask(|terms| catalog.reach(model, terms))
    }

    /// What stands against asking this link, if anything does.
    pub fn why_closed(&self, link: &Link) -> Option<Why> {
        self.ask(|terms| link.why_closed(terms))
    }

    fn ask<T>(&self, question: impl FnOnce(&Terms<'_>) -> T) -> T {
        question(&Terms { usable: &|p| self.usable(p), speaks: &speaks, paid: self.paid })
    }

    fn usable(&self, provider: &Provider) -> Usable {
        match self.doors.usable(provider) {
            Usable::Yes if provider.is_local() && !self.local => Usable::NoServer,
            other => other,
        }
    }
}

/// Whether this build has a codec for the wire. The two lists share their names.
fn speaks(wire: WireId) -> bool {
    wire.as_str().parse::<Wire>().is_ok()
}
