//! What a turn is made of, whether it is new or was cut off, and the moment at which it must be over.

use crate::agent::resume::Unfinished;
use crate::agent::{Limits, Turn};
use crate::model::{History, Message};
use std::time::{Duration, Instant};

/// What a turn begins with.
pub struct Begun {
    pub history: History,
    pub unfinished: Option<Unfinished>,
    pub prompt: Option<String>,
}

impl Begun {
    pub fn turn(self, limits: Limits) -> Turn {
        let Self { mut history, unfinished, prompt } = self;
        if let Some(mut unfinished) = unfinished {
            unfinished.prompts.extend(prompt);
            return Turn::resume(history, unfinished, limits);
        }
        if let Some(prompt) = prompt {
            history.push(Message::user(prompt));
        }
        Turn::new(history, limits)
    }
}

/// The moment at which a time from now is over. A time that no clock can show is no bound.
pub fn bound(time: Option<Duration>) -> Option<(Instant, Duration)> {
    time.and_then(|t| Some((Instant::now().checked_add(t)?, t)))
}
