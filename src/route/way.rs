//! Which model a session is with, and when it may go over to another one.

use super::event::LiveEvent;
use super::notice::Notice;
use crate::base::clock::Moment;
use std::time::Duration;

/// No prompt cache keeps a session from its preferred link for longer than this.
const STAY: Duration = Duration::from_mins(15);

/// How an attempt's model stands to the one before.
#[derive(Debug, PartialEq)]
pub enum Going {
    /// It is the same.
    On,
    /// It is the first one, and the one that was chosen.
    First,
    /// It is another one than before, or than the first where none was before.
    Over(Notice),
}

/// The model of the latest attempt, and since when it is that one.
#[derive(Debug, Default)]
pub struct Way {
    current: Option<(String, Moment)>,
}

impl Way {
    /// An attempt goes to this model.
    pub fn goes(&mut self, first: &str, to: &str, why: impl FnOnce(&str) -> Option<String>, now: Moment) -> Going {
        let from = match &self.current {
            Some((current, _)) if current == to => return Going::On,
            Some((current, _)) => current.as_str(),
            None => first,
        };
        let going = if from == to {
            Going::First
        } else {
            let why = why(from).unwrap_or_else(|| again(to));
            Going::Over(Notice::Switched { from: from.to_owned(), to: to.to_owned(), why })
        };
        self.current = Some((to.to_owned(), now));
        going
    }

    /// What has to be asked before an attempt goes to this model, where the user wants to be asked.
    pub fn question(&self, first: &str, to: &str, why: impl FnOnce(&str) -> Option<String>) -> Option<LiveEvent> {
        let from = self.current(first);
        let why = |from: &str| why(from).unwrap_or_else(|| again(to));
        (from != to).then(|| LiveEvent::MaySwitch { from: from.to_owned(), to: to.to_owned(), why: why(from) })
    }

    /// The model that a switch would leave.
    pub fn current<'w>(&'w self, first: &'w str) -> &'w str {
        self.current.as_ref().map_or(first, |(current, _)| current)
    }

    /// Whether a warm prompt cache may hold the session at this model.
    pub fn stays(&self, id: &str, now: Moment) -> bool {
        self.current.as_ref().is_some_and(|(current, since)| current == id && now.since(*since) < STAY)
    }
}

/// The reason where nothing speaks against the model that is left.
fn again(to: &str) -> String {
    format!("{to} can be used again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_told_once_with_its_reason_and_so_is_the_way_back() {
        let mut way = Way::default();
        let mut goes = |to: &str, why: Option<&str>, at| way.goes("a", to, |_| why.map(str::to_owned), Moment(at));
        let line = |going| if let Going::Over(notice) = going { notice.to_string() } else { String::new() };
        assert_eq!((goes("a", None, 0), goes("a", None, 1)), (Going::First, Going::On), "the first one is no switch");
        assert_eq!(line(goes("b", Some("rate limit"), 2)), "a -> b: rate limit");
        assert_eq!(line(goes("a", None, 3)), "b -> a: a can be used again");
        assert!(way.stays("a", Moment(4)) && !way.stays("b", Moment(4)));
        assert!(!way.stays("a", Moment(3).plus(STAY)), "nothing pins for ever");
    }
}
