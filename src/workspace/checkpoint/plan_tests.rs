//! The plan over random histories: it leads back, it names whoever came between, and it never goes over what is not kept.

use super::change::Change;
use super::node::{Content, Hex, Node, Why};
use super::plan::{self, Direction, Plan, Wanted};
use super::rel::Rel;
use super::step::{About, State, Step};
use proptest::prelude::*;
use std::collections::BTreeMap;

type World = BTreeMap<Rel, Option<Node>>;

const PATHS: [&str; 4] = ["a", "b", "d", "d/e"];

fn rel(name: &str) -> Rel {
    Rel::from_bytes(name.as_bytes()).unwrap()
}

fn node() -> impl Strategy<Value = Option<Node>> {
    prop_oneof![
        Just(None),
        (0_u8..4).prop_map(|n| Some(Node::File { mode: 0o644, size: 1, content: Content::Stored(Hex([n; 32])) })),
        Just(Some(Node::Link { to: (*b"x").into() })),
        prop::sample::select(vec![0o755, 0o700]).prop_map(|mode| Some(Node::Folder { mode })),
    ]
}

/// What each step sets, by path.
fn history() -> impl Strategy<Value = Vec<Vec<(usize, Option<Node>)>>> {
    prop::collection::vec(prop::collection::vec((0..PATHS.len(), node()), 1..4), 1..6)
}

/// Plays the history; the steps with what they changed, and the world after each.
fn play(history: Vec<Vec<(usize, Option<Node>)>>) -> (Vec<Step>, Vec<World>) {
    let mut world: World = PATHS.iter().map(|p| (rel(p), None)).collect();
    let (mut steps, mut worlds) = (Vec::new(), vec![world.clone()]);
    for (n, sets) in history.into_iter().enumerate() {
        let before = world.clone();
        world.extend(sets.into_iter().map(|(p, node)| (rel(PATHS[p]), node)));
        let changes = before.iter().filter(|(p, was)| world[*p] != **was);
        let changes = changes.map(|(p, was)| Change { path: p.clone(), before: was.clone(), after: world[p].clone() }).collect();
        let state = State::Done { changes, cut: false };
        steps.push(Step { id: n as u64 + 1, time: String::new(), about: About::default(), state });
        worlds.push(world.clone());
    }
    (steps, worlds)
}

fn carried_out(plan: &Plan, world: &World) -> World {
    let mut world = world.clone();
    for op in &plan.ops {
        assert_eq!(world[&op.path], op.from);
        world.insert(op.path.clone(), op.to.clone());
    }
    world
}

/// The same histories with the steps of the plan turned, as their records say afterwards.
fn turned(all: &[Step], planned: &[Step], direction: Direction, plan: &Plan) -> Vec<Step> {
    let order = |id: u64| planned.iter().position(|p| p.id == id).map(|at| at as u64 + 100);
    let turn = |s: &Step| {
        let mut step = s.clone();
        let Some(order) = order(s.id) else { return step };
        plan::amend(&mut step, direction, &plan.amends);
        step.turned((direction == Direction::Undo).then_some(order))
    };
    all.iter().map(turn).collect()
}

proptest! {
    #[test]
    fn undoing_and_redoing_any_number_of_steps_leads_there(history in history(), back in 1_usize..7, forth in 1_usize..7) {
        let (all, worlds) = play(history);
        let now = worlds.last().unwrap();
        let back = back.min(all.len());
        let steps = plan::next(all.clone(), Direction::Undo, Wanted::Last(back));
        let undo = plan::plan(&steps, Direction::Undo, now);
        prop_assert!(undo.conflicts.is_empty() && undo.not_covered.is_empty() && undo.amends.is_empty());
        let there = carried_out(&undo, now);
        prop_assert_eq!(&there, &worlds[all.len() - back]);
        let all = turned(&all, &steps, Direction::Undo, &undo);
        let forth = forth.min(back);
        let steps = plan::next(all, Direction::Redo, Wanted::Last(forth));
        let redo = plan::plan(&steps, Direction::Redo, &there);
        prop_assert!(redo.conflicts.is_empty());
        let end = carried_out(&redo, &there);
        prop_assert_eq!(&end, &worlds[worlds.len() - 1 - back + forth]);
    }

    /// Somebody sets a path in between: it is named, unless they did what the undo would do; over it, the way back is theirs.
    #[test]
    fn a_foreign_change_is_a_conflict_and_comes_back(history in history(), path in 0..PATHS.len(), theirs in node()) {
        let (all, worlds) = play(history);
        let mut now = worlds.last().unwrap().clone();
        let path = rel(PATHS[path]);
        let ours = now.insert(path.clone(), theirs.clone()).unwrap();
        let steps = plan::next(all.clone(), Direction::Undo, Wanted::All);
        let undo = plan::plan(&steps, Direction::Undo, &now);
        let touched = steps.iter().any(|s| s.changes().iter().any(|c| c.path == path));
        let named: Vec<_> = undo.conflicts.iter().map(|c| c.path.clone()).collect();
        let expected = touched && theirs != ours && theirs != worlds[0][&path];
        prop_assert_eq!(named, if expected { vec![path.clone()] } else { vec![] });
        let there = carried_out(&undo, &now);
        if expected {
            let all = turned(&all, &steps, Direction::Undo, &undo);
            let redo = plan::plan(&plan::next(all, Direction::Redo, Wanted::All), Direction::Redo, &there);
            prop_assert_eq!(&carried_out(&redo, &there)[&path], &theirs);
        } else if !touched {
            prop_assert_eq!(&there[&path], &theirs);
        }
    }

    /// What is not kept on any part of the way, or stands there now, is neither deleted nor replaced.
    #[test]
    fn what_is_not_kept_is_never_touched(history in history(), which in any::<prop::sample::Index>(), now_unkept in any::<bool>()) {
        let (mut all, worlds) = play(history);
        let mut now = worlds.last().unwrap().clone();
        let unkept = Node::File { mode: 0o644, size: 1 << 40, content: Content::Unkept(Why::TooBig) };
        let mut changes: Vec<&mut Change> = all.iter_mut().filter_map(Step::changes_mut).flatten().collect();
        prop_assume!(!changes.is_empty());
        let at = which.index(changes.len());
        let path = changes[at].path.clone();
        if now_unkept {
            now.insert(path.clone(), Some(unkept));
        } else {
            changes[at].after = Some(unkept);
        }
        let undo = plan::plan(&plan::next(all, Direction::Undo, Wanted::All), Direction::Undo, &now);
        prop_assert!(undo.ops.iter().all(|op| op.path != path));
        let settled = now[&path] == worlds[0][&path];
        prop_assert_eq!(undo.not_covered.iter().any(|n| n.path == path && n.why == Why::TooBig), !settled);
    }
}

#[test]
fn the_steps_that_come_next_are_chosen_by_number_or_by_name() {
    let (all, _) = play(vec![vec![(0, Some(Node::Folder { mode: 0o755 }))]; 4]);
    let ids = |steps: &[Step]| steps.iter().map(|s| s.id).collect::<Vec<_>>();
    let undo = |wanted| plan::next(all.clone(), Direction::Undo, wanted);
    assert_eq!(ids(&undo(Wanted::Last(2))), [4, 3]);
    assert_eq!(ids(&undo(Wanted::To(2))), [4, 3, 2]);
    assert_eq!((undo(Wanted::To(9)), undo(Wanted::All).len()), (vec![], 4));
    // 4 was undone first, then 3 and 2 together: the last one is made again first.
    let order = |id| match id {
        4 => Some(1),
        3 => Some(2),
        2 => Some(3),
        _ => None,
    };
    let all: Vec<Step> = all
        .into_iter()
        .map(|s| {
            let undone = order(s.id);
            s.turned(undone)
        })
        .collect();
    let redo = |wanted| ids(&plan::next(all.clone(), Direction::Redo, wanted));
    assert_eq!((redo(Wanted::Last(1)), redo(Wanted::To(3)), redo(Wanted::All)), (vec![2], vec![2, 3], vec![2, 3, 4]));
    assert_eq!(ids(&plan::next(all, Direction::Undo, Wanted::All)), [1]);
}
