//! Plan mode: nothing may be changed, and the model knows that a plan is wanted. What refuses is the policy; the words here
//! only tell, with the prompt where the mode changes, so that the prompt at the beginning stays the same.

use crate::config::Approve;
use crate::model::{History, Role};

const ON: &str =
    "[Plan mode is on: look and think, change nothing; edits and commands are refused. End with the plan, for the user to agree to.]";
const OFF: &str = "[Plan mode is over: go ahead as the user says.]";

/// The prompt, with what the model has to know of the mode and does not know yet.
pub fn told(history: &History, mode: Approve, prompt: String) -> String {
    let mut users = history.iter().rev().filter(|m| m.role == Role::User).map(|m| m.joined_text());
    let knows = users.find_map(|text| [(ON, true), (OFF, false)].into_iter().find(|(words, _)| text.ends_with(words)));
    let planning = knows.is_some_and(|(_, on)| on);
    match (mode == Approve::Plan, planning) {
        (true, false) => format!("{prompt}\n\n{ON}"),
        (false, true) => format!("{prompt}\n\n{OFF}"),
        (true, true) | (false, false) => prompt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Message;

    #[test]
    fn the_model_is_told_when_the_mode_changes_and_only_then() {
        let mut history = History::default();
        let mut say = |mode| {
            let prompt = told(&history, mode, "p".to_owned());
            history.push(Message::user(prompt.clone()));
            history.push(Message::assistant("a"));
            [prompt.contains(ON), prompt.contains(OFF)]
        };
        assert_eq!(say(Approve::Ask), [false, false]);
        assert_eq!(say(Approve::Plan), [true, false]);
        assert_eq!(say(Approve::Plan), [false, false]);
        assert_eq!(say(Approve::All), [false, true]);
        assert_eq!(say(Approve::All), [false, false]);
        assert_eq!(say(Approve::Plan), [true, false]);
    }
}
