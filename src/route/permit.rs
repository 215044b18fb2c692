//! Money that is held for work which does not go through a call of the door: a job that a provider does by itself, also
//! after pup has ended, or one that another program sends.

use super::link::Link;
use super::purse::{Refused, Sent, Settled};
use super::router::Router;
use crate::model::{ProviderError, Usage};
use crate::store::Owner;

/// What is to be held.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold<'a> {
    /// Our id of the model: one of the router's links.
    pub model: &'a str,
    /// The most tokens that it has and that it can answer.
    pub input: u64,
    pub output: u64,
    /// None: this process, and what is held is free once it has ended. Else the name of a job that outlives pup, and until
    /// when (milliseconds since 1970) it can still be charged.
    pub job: Option<(&'a str, u64)>,
}

/// Money that is held. Dropped, it is free again, unless it is held for a job.
#[derive(Debug)]
pub struct Permit {
    sent: Sent,
    output: u64,
}

impl Router {
    /// Holds the most that this work can cost under every cap, with as long an answer as fits.
    pub async fn reserve(&self, hold: &Hold<'_>) -> Result<Permit, ProviderError> {
        let (link, Some(purse)) = (self.named(hold.model)?, self.purse()) else { return Err(unkept(hold.model)) };
        let owner = hold.job.map_or_else(|| purse.own(), |(job, expires)| Owner::Durable { job: job.to_owned(), expires });
        let claimed = self.claim_for(purse, owner, link, hold.input, hold.output).await;
        let (granted, _) = claimed.map_err(|refused: Refused| refused.error(&link.id))?;
        Ok(Permit { output: granted.output, sent: granted.sent })
    }

    /// Takes up what an earlier process held for a job under this number.
    pub fn take_up(&self, id: i64, hold: &Hold<'_>) -> Result<Permit, ProviderError> {
        let (link, Some(purse)) = (self.named(hold.model)?, self.purse()) else { return Err(unkept(hold.model)) };
        Ok(Permit { output: hold.output, sent: purse.taken_up(id, link, hold.input, hold.output) })
    }

    fn named(&self, model: &str) -> Result<&Link, ProviderError> {
        let link = self.links().iter().find(|l| l.id == model);
        link.ok_or_else(|| ProviderError::setup(format!("{model} is not among the models of this session")))
    }
}

fn unkept(model: &str) -> ProviderError {
    ProviderError::over_budget(format!("nothing can be reserved for {model}: no ledger is kept"))
}

impl Permit {
    /// The number under which a later process takes it up; none where it costs no money.
    pub fn id(&self) -> Option<i64> {
        self.sent.held()
    }

    /// Tokens of output that fit.
    pub fn output(&self) -> u64 {
        self.output
    }

    /// The work is done, and used this.
    pub async fn settle(mut self, usage: &Usage) -> Settled {
        self.sent.used(usage);
        self.sent.answered().await
    }

    /// It will not be done.
    pub async fn release(self) {
        self.sent.release().await;
    }
}

#[cfg(test)]
#[path = "permit_tests.rs"]
mod tests;
