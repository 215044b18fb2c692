//! What undoing or redoing steps comes to: which paths become what, what somebody else changed since, and what cannot be
//! brought back. No IO: steps and what stands there now go in, a plan comes out.

use super::node::{Node, Why};
use super::rel::Rel;
use super::step::Step;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Undo,
    Redo,
}

/// One path's way from what is there to what is to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    pub path: Rel,
    pub from: Option<Node>,
    pub to: Option<Node>,
}

/// A path that is not as the step left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub path: Rel,
    /// The step that left it otherwise.
    pub step: u64,
}

/// A path that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCovered {
    pub path: Rel,
    pub why: Why,
}

/// What a step's record has to say from now on, so that its reverse leads to what really was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amend {
    pub step: u64,
    pub path: Rel,
    pub found: Option<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// By path; a folder comes before what is in it.
    pub ops: Vec<Op>,
    pub conflicts: Vec<Conflict>,
    pub not_covered: Vec<NotCovered>,
    /// In force only when the conflicts are overridden.
    pub amends: Vec<Amend>,
}

/// Every path that the steps changed.
pub fn paths(steps: &[Step]) -> BTreeSet<Rel> {
    steps.iter().flat_map(Step::changes).map(|c| c.path.clone()).collect()
}

/// `steps` in the order in which they are turned: latest first to undo, earliest first to redo. `now` is what stands at
/// each of [`paths`].
pub fn plan(steps: &[Step], direction: Direction, now: &BTreeMap<Rel, Option<Node>>) -> Plan {
    let mut plan = Plan::default();
    let mut ways: BTreeMap<&Rel, Way> = BTreeMap::new();
    for step in steps {
        for change in step.changes() {
            let (expected, target) = match direction {
                Direction::Undo => (&change.after, &change.before),
                Direction::Redo => (&change.before, &change.after),
            };
            let first = now.get(&change.path).cloned().flatten();
            let way = ways.entry(&change.path).or_insert_with(|| Way { at: first, first: step.id, conflict: None, unkept: None });
            if way.at != *expected {
                way.conflict.get_or_insert(step.id);
            }
            way.unkept = way.unkept.or_else(|| change.unkept());
            way.at.clone_from(target);
        }
    }
    for (path, way) in ways {
        let from = now.get(path).cloned().flatten();
        if from == way.at {
            continue;
        }
        // Never over something that could not be brought back in its turn.
        let unkept = way.unkept.or_else(|| from.as_ref().and_then(Node::unkept));
        if let Some(why) = unkept {
            plan.not_covered.push(NotCovered { path: path.clone(), why });
            continue;
        }
        if let Some(step) = way.conflict {
            plan.conflicts.push(Conflict { path: path.clone(), step });
            plan.amends.push(Amend { step: way.first, path: path.clone(), found: from.clone() });
        }
        plan.ops.push(Op { path: path.clone(), from, to: way.at });
    }
    plan
}

/// Where a path has come to while step after step is turned.
struct Way {
    at: Option<Node>,
    /// The first step that was turned.
    first: u64,
    conflict: Option<u64>,
    unkept: Option<Why>,
}

/// Makes the reverse of a step lead to what was found.
pub fn amend(step: &mut Step, direction: Direction, amends: &[Amend]) {
    let id = step.id;
    let Some(changes) = step.changes_mut() else { return };
    for amend in amends.iter().filter(|a| a.step == id) {
        if let Some(change) = changes.iter_mut().find(|c| c.path == amend.path) {
            match direction {
                Direction::Undo => change.after.clone_from(&amend.found),
                Direction::Redo => change.before.clone_from(&amend.found),
            }
        }
    }
}

/// The steps of `all` (ascending) that come next, in the order in which they are turned.
pub fn next(all: Vec<Step>, direction: Direction, wanted: Wanted) -> Vec<Step> {
    let mut turned: Vec<Step> = match direction {
        Direction::Undo => all.into_iter().rev().filter(Step::is_done).collect(),
        Direction::Redo => {
            let mut undone: Vec<Step> = all.into_iter().filter(|s| s.undone().is_some()).collect();
            undone.sort_by_key(|s| std::cmp::Reverse(s.undone()));
            undone
        }
    };
    match wanted {
        Wanted::Last(n) => turned.truncate(n),
        Wanted::To(id) => {
            let upto = turned.iter().rposition(|s| match direction {
                Direction::Undo => s.id >= id,
                Direction::Redo => s.id <= id,
            });
            turned.truncate(upto.map_or(0, |at| at + 1));
        }
        Wanted::All => {}
    }
    turned
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// So many steps.
    Last(usize),
    /// Up to this step and including it.
    To(u64),
    All,
}
