//! What the router has to tell beside a reply: to people, to scripts and to the log.

use super::headroom::Left;
use crate::model::money::Nanos;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// Something about the way of a call. Its `Display` is a line for people.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// Who asks, for which kind of work, and the model that is asked.
    Routing { agent: String, workload: String, model: String },
    /// Another model goes on.
    Switched { from: String, to: String, why: String },
    /// It gave the answer.
    Recovered { model: String, took: Duration },
    /// A link's allowance is low, so that others come first.
    Capacity { model: String, left: Left },
    /// So much of a cap is used up.
    Budget { cap: String, percent: u32, spent: Nanos, limit: Nanos },
    /// A call, or the last hour, cost far more than is usual.
    Unusual { what: String, cost: Nanos, usual: Nanos },
    /// What it costs is not known.
    Unpriced { model: String },
    /// Nothing is shared with other processes, or something was lost, and why.
    State(String),
}

impl Notice {
    /// The event's name for scripts and the log.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Routing { .. } => "workload_routing",
            Self::Switched { .. } => "failover.triggered",
            Self::Recovered { .. } => "failover.success",
            Self::Capacity { .. } => "capacity_warning",
            Self::Budget { .. } => "budget.alert",
            Self::Unusual { .. } => "budget.unusual",
            Self::Unpriced { .. } => "budget.unpriced",
            Self::State(_) => "state.note",
        }
    }

    /// Whether a person wants to see it as it happens.
    pub const fn is_for_people(&self) -> bool {
        !matches!(self, Self::Routing { .. } | Self::Recovered { .. })
    }

    /// Its figures.
    pub fn fields(&self) -> Value {
        match self {
            Self::Routing { agent, workload, model } => json!({ "agent": agent, "workload": workload, "model": model }),
            Self::Switched { from, to, why } => json!({ "from": from, "to": to, "why": why }),
            Self::Recovered { model, took } => json!({ "model": model, "took_ms": crate::base::clock::millis(*took) }),
            Self::Capacity { model, left } => json!({
                "model": model, "window": left.name, "counts": left.counts, "share": left.share,
                "remaining": left.remaining, "limit": left.limit,
            }),
            Self::Budget { cap, percent, spent, limit } => {
                json!({ "cap": cap, "percent": percent, "spent_usd": spent.dollars(), "limit_usd": limit.dollars() })
            }
            Self::Unusual { what, cost, usual } => json!({ "what": what, "cost_usd": cost.dollars(), "usual_usd": usual.dollars() }),
            Self::Unpriced { model } => json!({ "model": model }),
            Self::State(note) => json!({ "note": note }),
        }
    }

    /// To the log.
    pub(super) fn log(&self) {
        let (event, fields) = (self.event(), self.fields());
        if matches!(self, Self::Routing { .. }) {
            tracing::debug!(event, %fields);
        } else {
            tracing::info!(event, %fields);
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Routing { agent, workload, model } => write!(f, "{agent} ({workload}) asks {model}"),
            Self::Switched { from, to, why } => write!(f, "{from} -> {to}: {why}"),
            Self::Recovered { model, .. } => write!(f, "{model} answered"),
            Self::Capacity { model, left } => {
                write!(f, "{model}: {:.0} % of its {} left ({}); others come first", left.share * 100.0, left.counts, left.name)
            }
            Self::Budget { cap, percent, spent, limit } => write!(f, "{percent} % of the budget for {cap} is used: {spent} of {limit}"),
            Self::Unusual { what, cost, usual } => write!(f, "{what} cost {cost}; {usual} is usual"),
            Self::Unpriced { model } => {
                write!(f, "what {model} costs is not known, so no budget counts it; `budget.ceiling` sets a price to reckon with")
            }
            Self::State(note) => f.write_str(note),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Moment;

    #[test]
    fn each_has_a_name_a_line_and_figures() {
        let left = Left {
            name: "minute".into(),
            counts: "tokens".into(),
            limit: Some(1000),
            remaining: Some(150),
            share: 0.15,
            named: true,
            until: Moment(9),
            seen: Moment(1),
        };
        let all = [
            (Notice::Routing { agent: "a".into(), workload: "coding".into(), model: "m".into() }, "a (coding) asks m", false),
            (Notice::Switched { from: "m".into(), to: "n".into(), why: "rate limit".into() }, "m -> n: rate limit", true),
            (Notice::Recovered { model: "n".into(), took: Duration::from_secs(1) }, "n answered", false),
            (Notice::Capacity { model: "m".into(), left }, "m: 15 % of its tokens left (minute); others come first", true),
            (
                Notice::Budget { cap: "a day".into(), percent: 80, spent: Nanos(40_000_000_000), limit: Nanos(50_000_000_000) },
                "80 % of the budget for a day is used: $40.00 of $50.00",
                true,
            ),
            (
                Notice::Unusual { what: "a call to m".into(), cost: Nanos(2_000_000_000), usual: Nanos(100_000_000) },
                "a call to m cost $2.00; $0.10 is usual",
                true,
            ),
        ];
        for (notice, line, shown) in all {
            assert_eq!((notice.to_string().as_str(), notice.is_for_people()), (line, shown));
            assert!(notice.fields().as_object().is_some_and(|o| !o.is_empty()) && notice.event().contains(['.', '_']));
        }
    }
}
