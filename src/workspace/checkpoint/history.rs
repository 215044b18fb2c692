//! Undoing and redoing: the plan's operations, first written down whole, then carried out, then the steps' records turned.
//! After a crash the same three are done again from what was written down.

use super::blobs::Durable;
use super::plan::{self, Amend, Conflict, Direction, NotCovered, Op, Plan, Wanted};
use super::restore::{Restorer, Trouble};
use super::step::{State, Step};
use super::store::{Store, StoreError};
use crate::base::atomic;
use crate::base::lock::FileLock;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::PathBuf;

/// What an undo or redo is going to do, written down before it begins.
#[derive(Debug, Serialize, Deserialize)]
struct Intent {
    direction: Direction,
    /// In the order in which they are turned.
    steps: Vec<u64>,
    ops: Vec<Op>,
    amends: Vec<Amend>,
}

/// The store in the hands of whoever undoes.
pub struct Turning {
    store: Store,
    direction: Direction,
    pub steps: Vec<Step>,
    pub plan: Plan,
    /// What was put in order before.
    pub notes: Vec<String>,
    _lock: FileLock,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    pub steps: Vec<Step>,
    pub ops: Vec<Op>,
    pub conflicts: Vec<Conflict>,
    pub not_covered: Vec<NotCovered>,
    pub troubles: Vec<Trouble>,
}

impl Turning {
    /// Works out what to do; changes nothing of the project.
    pub fn prepare(store: &Store, direction: Direction, wanted: Wanted) -> Result<Self, StoreError> {
        let (lock, notes) = store.take(None)?;
        let all = store.steps.all();
        // What no process has under way is closed by now.
        if let Some(open) = all.iter().find(|s| matches!(s.state, State::Open { .. })) {
            return Err(StoreError::Running(open.about.line.clone()));
        }
        let steps = plan::next(all, direction, wanted);
        let now = store.look(plan::paths(&steps), Durable::Yes);
        let plan = plan::plan(&steps, direction, &now);
        Ok(Self { store: store.clone(), direction, steps, plan, notes, _lock: lock })
    }

    /// Does it, over the conflicts as well: whoever calls this has asked.
    pub fn carry_out(self) -> Result<Turned, StoreError> {
        let Self { store, direction, steps, plan, .. } = self;
        let Plan { ops, conflicts, not_covered, amends } = plan;
        let intent = Intent { direction, steps: steps.iter().map(|s| s.id).collect(), ops, amends };
        let done = write_down(&store, &intent).and_then(|()| perform(&store, &intent));
        let troubles = done.map_err(|e| store.failed(e))?;
        Ok(Turned { steps, ops: intent.ops, conflicts, not_covered, troubles })
    }
}

fn path(store: &Store) -> PathBuf {
    store.folder.join("turning.json")
}

fn write_down(store: &Store, intent: &Intent) -> io::Result<()> {
    atomic::write(&path(store), &serde_json::to_vec(intent)?, true)
}

fn perform(store: &Store, intent: &Intent) -> io::Result<Vec<Trouble>> {
    let restorer = Restorer { root: &store.root, blobs: &store.blobs, limits: store.limits };
    let troubles = restorer.carry_out(&intent.ops);
    let mut order = store.steps.all().iter().filter_map(Step::undone).max().unwrap_or(0);
    for id in &intent.steps {
        let Some(mut step) = store.steps.get(*id) else { continue };
        plan::amend(&mut step, intent.direction, &intent.amends);
        let turned = match intent.direction {
            // Turned before the crash already: it keeps its place.
            Direction::Undo if step.undone().is_some() => step.undone(),
            Direction::Undo => {
                order += 1;
                Some(order)
            }
            Direction::Redo => None,
        };
        store.steps.put(&step.turned(turned))?;
    }
    fs::remove_file(path(store))?;
    Ok(troubles)
}

/// Finishes what a killed process had written down.
pub fn finish(store: &Store) -> io::Result<Vec<String>> {
    let Ok(bytes) = fs::read(path(store)) else { return Ok(Vec::new()) };
    let intent: Intent = match serde_json::from_slice(&bytes) {
        Ok(intent) => intent,
        Err(e) => {
            // It is written whole or not at all: this is damage, and nothing that could be carried out.
            let aside = path(store).with_extension("damaged");
            fs::rename(path(store), &aside)?;
            return Ok(vec![format!("what was to be undone cannot be read ({e}); it lies in {}", aside.display())]);
        }
    };
    let what = match intent.direction {
        Direction::Undo => "undo",
        Direction::Redo => "redo",
    };
    let troubles = perform(store, &intent)?;
    let mut notes = vec![format!("finished an {what} that was cut off").replace("an redo", "a redo")];
    notes.extend(troubles.into_iter().map(|t| format!("{}: {}", t.path, t.what)));
    Ok(notes)
}
