//! How many agents work at once: so many of each kind, and their beginnings spread in time. It does no IO and reads no clock.
//!
//! One that has handed all of its work on and waits gives its place up, so that those it waits for can have it: else two
//! coders with a coder each below them would wait for ever. It gets a place again before anybody new does.

use crate::base::clock::Moment;
use crate::catalog::Workload;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The kinds of work that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Planner,
    Reviewer,
    Coder,
    Searcher,
}

impl Class {
    pub const fn of(workload: Workload) -> Self {
        match workload {
            Workload::Orchestrator => Self::Planner,
            Workload::Reasoning => Self::Reviewer,
            Workload::Coding => Self::Coder,
            Workload::Librarian => Self::Searcher,
        }
    }
}

/// How many may work at once, and how far apart they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    pub planners: u32,
    pub reviewers: u32,
    pub coders: u32,
    pub searchers: u32,
    pub gap: Duration,
}

impl Default for Places {
    fn default() -> Self {
        Self { planners: 1, reviewers: 1, coders: 2, searchers: 3, gap: Duration::from_millis(100) }
    }
}

impl Places {
    pub const fn of(&self, class: Class) -> u32 {
        match class {
            Class::Planner => self.planners,
            Class::Reviewer => self.reviewers,
            Class::Coder => self.coders,
            Class::Searcher => self.searchers,
        }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This one begins, or goes on.
    Go(String),
    /// Nobody before this moment.
    Wait(Moment),
    /// Nobody before somebody ends or waits.
    Idle,
}

/// Who works and who waits for a place. Ids are the sessions' own.
#[derive(Debug, Default)]
pub struct Governor {
    places: Places,
    classes: BTreeMap<String, Class>,
    working: BTreeMap<Class, u32>,
    /// Those that are on their way again come first.
    again: VecDeque<String>,
    queue: VecDeque<String>,
    last: Option<Moment>,
}

impl Governor {
    pub fn new(places: Places) -> Self {
        Self { places, ..Self::default() }
    }

    /// This one wants to begin.
    pub fn ask(&mut self, id: &str, class: Class) {
        if self.classes.insert(id.to_owned(), class).is_none() {
            self.queue.push_back(id.to_owned());
        }
    }

    /// It waits for others now. Only one that works can.
    pub fn rests(&mut self, id: &str) {
        self.leave(id);
    }

    /// It has what it waited for.
    pub fn wants_on(&mut self, id: &str) {
        if self.classes.contains_key(id) && !self.again.iter().any(|w| w == id) {
            self.again.push_back(id.to_owned());
        }
    }

    /// It is over. `works`: it had a place, and was not waiting.
    pub fn done(&mut self, id: &str, works: bool) {
        if works {
            self.leave(id);
        }
        self.classes.remove(id);
        self.again.retain(|w| w != id);
        self.queue.retain(|w| w != id);
    }

    pub fn step(&mut self, now: Moment) -> Step {
        if let Some(at) = self.again.iter().position(|id| self.has_room(id)) {
            return self.again.remove(at).map_or(Step::Idle, |id| self.go(id));
        }
        let Some(at) = self.queue.iter().position(|id| self.has_room(id)) else { return Step::Idle };
        let free = self.last.map(|last| last.plus(self.places.gap)).filter(|free| *free > now);
        if let Some(free) = free {
            return Step::Wait(free);
        }
        self.last = Some(now);
        self.queue.remove(at).map_or(Step::Idle, |id| self.go(id))
    }

    fn go(&mut self, id: String) -> Step {
        if let Some(class) = self.classes.get(&id) {
            *self.working.entry(*class).or_default() += 1;
        }
        Step::Go(id)
    }

    fn has_room(&self, id: &str) -> bool {
        self.classes.get(id).is_some_and(|class| self.working.get(class).copied().unwrap_or(0) < self.places.of(*class).max(1))
    }

    fn leave(&mut self, id: &str) {
        if let Some(count) = self.classes.get(id).and_then(|class| self.working.get_mut(class)) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLASSES: [Class; 4] = [Class::Planner, Class::Reviewer, Class::Coder, Class::Searcher];

    #[test]
    fn coders_that_wait_for_coders_do_not_hold_them_up() {
        let mut governor = Governor::new(Places { gap: Duration::ZERO, ..Places::default() });
        let now = Moment(0);
        for id in ["a", "b"] {
            governor.ask(id, Class::Coder);
        }
        assert_eq!((governor.step(now), governor.step(now)), (Step::Go("a".into()), Step::Go("b".into())));
        for id in ["a1", "b1", "c"] {
            governor.ask(id, Class::Coder);
        }
        assert_eq!(governor.step(now), Step::Idle, "both places are taken");
        governor.rests("a");
        assert_eq!((governor.step(now), governor.step(now)), (Step::Go("a1".into()), Step::Idle));
        governor.done("a1", true);
        governor.wants_on("a");
        assert_eq!(governor.step(now), Step::Go("a".into()), "before anybody new");
        governor.ask("s", Class::Searcher);
        assert_eq!(governor.step(now), Step::Go("s".into()), "another kind is not in the way");
    }

    #[test]
    fn beginnings_are_spread() {
        let mut governor = Governor::new(Places::default());
        for id in ["a", "b"] {
            governor.ask(id, Class::Searcher);
        }
        assert_eq!(governor.step(Moment(1000)), Step::Go("a".into()));
        assert_eq!(governor.step(Moment(1030)), Step::Wait(Moment(1100)));
        assert_eq!(governor.step(Moment(1100)), Step::Go("b".into()));
    }

    /// One that works, by what it will still hand on: each child of it works in turn, and then it goes on.
    #[derive(Debug, Clone)]
    struct Job {
        class: usize,
        children: Vec<Job>,
    }

    fn job() -> impl Strategy<Value = Job> {
        let leaf = (0usize..4).prop_map(|class| Job { class, children: Vec::new() });
        leaf.prop_recursive(3, 24, 4, |inner| {
            (0usize..4, prop::collection::vec(inner, 0..4)).prop_map(|(class, children)| Job { class, children })
        })
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum State {
        Queued,
        Works,
        Rests,
        Over,
    }

    struct One {
        class: Class,
        parent: Option<usize>,
        children: Vec<usize>,
        state: State,
    }

    fn plant(job: &Job, parent: Option<usize>, all: &mut Vec<One>) -> usize {
        let at = all.len();
        all.push(One { class: CLASSES[job.class], parent, children: Vec::new(), state: State::Queued });
        all[at].children = job.children.iter().map(|c| plant(c, Some(at), all)).collect();
        at
    }

    proptest! {
        /// Any tree of work comes to its end, in any order of endings, and never are more at work than there are places.
        #[test]
        fn everything_ends_and_the_bounds_hold(jobs in prop::collection::vec(job(), 1..6), picks in prop::collection::vec(0usize..50, 400)) {
            let places = Places::default();
            let (mut governor, mut all) = (Governor::new(places), Vec::new());
            let roots: Vec<usize> = jobs.iter().map(|j| plant(j, None, &mut all)).collect();
            for at in &roots {
                governor.ask(&at.to_string(), all[*at].class);
            }
            let (mut now, mut picks, mut last) = (Moment(0), picks.into_iter().cycle(), None);
            while all.iter().any(|one| one.state != State::Over) {
                match governor.step(now) {
                    Step::Go(id) => {
                        let at: usize = id.parse().unwrap();
                        let begins = all[at].state == State::Queued;
                        if begins {
                            prop_assert!(last.is_none_or(|l: Moment| now.since(l) >= places.gap), "too close together");
                            last = Some(now);
                        }
                        all[at].state = State::Works;
                        for class in CLASSES {
                            let at_work = all.iter().filter(|o| o.class == class && o.state == State::Works).count();
                            prop_assert!(at_work <= places.of(class) as usize, "{at_work} of {class:?}");
                        }
                        let open: Vec<usize> = all[at].children.iter().copied().filter(|c| all[*c].state != State::Over).collect();
                        if begins && !open.is_empty() {
                            for c in &open {
                                governor.ask(&c.to_string(), all[*c].class);
                            }
                            governor.rests(&id);
                            all[at].state = State::Rests;
                        }
                    }
                    Step::Wait(until) => {
                        prop_assert!(until > now);
                        now = until;
                    }
                    Step::Idle => {
                        let busy: Vec<usize> = (0..all.len()).filter(|at| all[*at].state == State::Works).collect();
                        prop_assert!(!busy.is_empty(), "nobody works, and somebody is not done");
                        let at = busy[picks.next().unwrap() % busy.len()];
                        all[at].state = State::Over;
                        governor.done(&at.to_string(), true);
                        if let Some(parent) = all[at].parent && all[parent].children.iter().all(|c| all[*c].state == State::Over) {
                            governor.wants_on(&parent.to_string());
                        }
                    }
                }
            }
            prop_assert_eq!(governor.step(now), Step::Idle);
            prop_assert!(governor.working.values().all(|n| *n == 0) && governor.classes.is_empty());
        }
    }
}
