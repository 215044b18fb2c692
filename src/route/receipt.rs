//! The honest account of a call that failed on every link.

use super::budget;
use crate::base::{Cause, Failure, text};
use crate::model::{Class, ProviderError};

/// Why no link gave an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exhausted {
    /// The last error of each link that was tried: model id and error.
    pub errors: Vec<(String, ProviderError)>,
    /// Seconds from now at which the first of them may be back, if any said so.
    pub soonest_s: Option<f64>,
    /// How many attempts were made.
    pub attempts: u32,
    /// The user's `failover` kept other links out.
    pub held: bool,
}

impl Exhausted {
    /// The failure for the user. Each error is named.
    pub fn failure(&self) -> Failure {
        // Money is what the user can do something about at once.
        if let Some((_, over)) = self.errors.iter().find(|(_, e)| e.is_budget()) {
            let others: Vec<String> = self.errors.iter().filter(|(_, e)| !e.is_budget()).map(|(m, e)| format!("\n  {m}: {e}")).collect();
            return Failure::new(Cause::Budget, format!("{}{}", over.message, others.concat())).hint(budget::hint(over));
        }
        // What may come back by itself decides before what somebody has to mend.
        let hopeful = self.errors.iter().find(|(_, e)| cause_of(e.class) == Cause::Exhausted);
        let Some((model, last)) = hopeful.or(self.errors.last()) else {
            return Failure::new(Cause::Auth, "no link could be tried");
        };
        let cause = cause_of(last.class);
        let mut message = match self.errors.as_slice() {
            [_] => format!("{model}: {last}"),
            many => {
                let lines: Vec<String> = many.iter().map(|(m, e)| format!("{m}: {e}")).collect();
                format!("no link answered\n  {}", lines.join("\n  "))
            }
        };
        if cause == Cause::Exhausted && self.attempts > 1 {
            message = format!("{message} (after {} attempts)", self.attempts);
        }
        if let Some(s) = self.soonest_s.filter(|s| *s >= 1.0) {
            message = format!("{message}; back in about {}", text::span(s.ceil() as u64));
        }
        let mut hint = hint_for(last);
        if self.held && cause == Cause::Exhausted {
            let others = "`failover` keeps other models out; `pup config set failover auto` lets them go on";
            hint = Some(hint.map_or_else(|| others.to_owned(), |hint| format!("{hint}\n{others}")));
        }
        Failure { cause, message, hint }
    }
}

/// The exit's cause for a class of failure. Exhaustive, so that a new class forces a decision.
pub const fn cause_of(class: Class) -> Cause {
    match class {
        Class::RateLimit | Class::Quota | Class::Billing | Class::Overloaded | Class::Server | Class::Network | Class::Timeout => {
            Cause::Exhausted
        }
        Class::Auth | Class::Permission => Cause::Auth,
        Class::ContextTooLong => Cause::Limit,
        Class::BadRequest | Class::ContentFilter => Cause::Rejected,
        Class::NotFound => Cause::Usage,
    }
}

fn hint_for(error: &ProviderError) -> Option<String> {
    if error.is_own() {
        return None;
    }
    let text = match error.class {
        Class::RateLimit | Class::Overloaded | Class::Server => {
            "try again later, give it longer with `--timeout 30m`, or choose another model with `--model`"
        }
        Class::Network | Class::Timeout => "check that the server is running and reachable; `--timeout` sets how long pup keeps trying",
        Class::Quota => "wait for the quota to return, or choose another model with `--model`",
        Class::Billing => "add credit at the provider, or choose another model with `--model`",
        Class::Auth => "set another key; `pup auth status` shows which one was refused, and why",
        Class::Permission => "the credential is valid but refused for this use; choose another model with `--model`",
        Class::ContextTooLong => "start a new session, or choose a model with a larger window",
        Class::BadRequest | Class::ContentFilter => return None,
        Class::NotFound => "check the model's name; `provider/name` takes any name that the provider serves",
    };
    Some(text.to_owned())
}
