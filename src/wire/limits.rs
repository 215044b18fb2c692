//! What the headers of any reply, also of a good one, say about allowances: one picture for every vendor's dialect.
//!
//! Nothing here does IO or reads a clock. What makes no sense is left out; an absent number is unknown, not zero.

use super::wait::{self, Headers, Now};
use serde::Serialize;

/// More windows than any provider has.
const MAX_WINDOWS: usize = 64;

/// All that was said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Limits {
    pub windows: Vec<Window>,
    /// The verdict over a subscription's windows together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall: Option<Status>,
    /// When the subscription's verdict changes, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overall_reset_s: Option<f64>,
    /// The window that decides, in the provider's words: `five_hour`, `seven_day_opus`, a metered limit's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The reply was paid for as extra use beyond the plan. It costs money although it succeeded.
    pub overage_in_use: bool,
    /// Whether the account has paid credits left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credits: Option<bool>,
}

/// One allowance that is counted by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Window {
    /// As the headers name it: `requests`, `tokens-minute`, `5h`, `codex primary`; empty where they do not.
    pub name: String,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
    /// The used share, 1 being all of it; a plan's may be above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<f64>,
    /// Seconds until it is full again, or fuller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_s: Option<f64>,
    /// How long it lasts, where that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// It counts some models only, not all that the account may use.
    pub some_models: bool,
}

/// What a window counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
    /// A share of a subscription.
    Plan,
    #[default]
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Allowed,
    /// Allowed, and nearly used up.
    Warning,
    Rejected,
}

impl Window {
    /// Whether nothing is left of it. A plan's own status counts more than its share, which may be above 1 on replies
    /// that are allowed.
    pub fn spent(&self) -> bool {
        match self.status {
            Some(status) => status == Status::Rejected,
            None => self.remaining == Some(0) || (self.remaining.is_none() && self.used.is_some_and(|used| used >= 1.0)),
        }
    }
}

impl Limits {
    /// Those of a refusal: what it says of its own end is nearer than when a window is full again.
    #[must_use]
    pub fn until_back(&self, retry_after_s: Option<f64>) -> Self {
        let mut limits = self.clone();
        if let Some(back) = retry_after_s {
            let spent = limits.windows.iter_mut().filter(|w| w.spent());
            spent.for_each(|w| w.reset_s = Some(w.reset_s.map_or(back, |reset| reset.min(back))));
        }
        limits
    }

    /// Reads them. `local_ms` is the caller's clock, for where the reply has no usable `date`.
    pub fn read(headers: &Headers, local_ms: Option<u64>) -> Self {
        Self::by(headers, Now::new(headers, local_ms))
    }

    pub(super) fn by(headers: &Headers, now: Now) -> Self {
        let mut limits = Self::default();
        for (key, value) in headers {
            let (key, value) = (key.to_ascii_lowercase(), value.trim());
            if let Some(rest) = key.strip_prefix("anthropic-ratelimit-unified-") {
                limits.unified(rest, value, now);
            } else if let Some(rest) = anthropic(&key) {
                if let Some((name, field)) = rest.rsplit_once('-') {
                    limits.set(name, kind(name), field, value, now);
                }
            } else if let Some((family, rest)) = counted(&key) {
                let (field, name) = rest.split_once('-').unwrap_or((rest, ""));
                let name = if name.is_empty() { family } else { name };
                if matches!(field, "limit" | "remaining" | "reset") {
                    limits.set(name, kind(name), field, value, now);
                }
            } else if let Some(rest) = key.strip_prefix("x-") {
                limits.metered(rest, value, now);
            }
        }
        limits
    }

    /// Windows of which nothing is left.
    pub fn spent(&self) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(|w| w.spent())
    }

    /// Seconds until the last of the spent windows opens again.
    pub fn spent_reset_s(&self) -> Option<f64> {
        self.spent().filter_map(|w| w.reset_s).filter(|s| *s > 0.0).reduce(f64::max)
    }

    /// The window of that name, which there may be too many of.
    fn window(&mut self, name: &str, kind: Kind) -> Option<&mut Window> {
        let known = self.windows.iter().position(|w| w.name == name && w.kind == kind);
        if known.is_none() && self.windows.len() < MAX_WINDOWS && name.len() <= 80 {
            self.windows.push(Window { name: name.to_owned(), kind, period_s: period(name), ..Window::default() });
            return self.windows.last_mut();
        }
        self.windows.get_mut(known?)
    }

    fn set(&mut self, name: &str, kind: Kind, field: &str, value: &str, now: Now) {
        if let Some(window) = self.window(name, kind) {
            window.set(field, value, now);
        }
    }

    /// `anthropic-ratelimit-unified-*`: a subscription's windows.
    fn unified(&mut self, rest: &str, value: &str, now: Now) {
        match rest {
            "status" => self.overall = status(value),
            "reset" => self.overall_reset_s = wait::reset(value, now),
            "representative-claim" => self.claim = Some(value.chars().take(80).collect()),
            "overage-in-use" => self.overage_in_use = value.eq_ignore_ascii_case("true"),
            // That paid extra use is refused is said on healthy replies, too.
            _ if rest.starts_with("overage") => {}
            _ => {
                let Some((name, field @ ("status" | "reset" | "utilization"))) = rest.rsplit_once('-') else { return };
                let Some(window) = self.window(name, Kind::Plan) else { return };
                window.some_models = !matches!(name, "5h" | "7d");
                window.set(field, value, now);
            }
        }
    }

    /// `x-<limit>-{primary,secondary}-*` and what stands beside them.
    fn metered(&mut self, rest: &str, value: &str, now: Now) {
        match rest {
            "codex-active-limit" => self.claim = Some(value.chars().take(80).collect()),
            "codex-credits-has-credits" | "codex-credits-unlimited" => {
                let yes = value.eq_ignore_ascii_case("true") || value == "1";
                self.credits = Some(yes || self.credits == Some(true));
            }
            _ => {
                let found = ["-primary-", "-secondary-"].iter().find_map(|which| {
                    let (limit, field) = rest.split_once(which)?;
                    Some((limit.replace('-', "_"), which.trim_matches('-'), field))
                });
                let Some((limit, which, field @ ("used-percent" | "window-minutes" | "reset-at" | "reset-after-seconds"))) = found else {
                    return;
                };
                let Some(window) = self.window(&format!("{limit} {which}"), Kind::Plan) else { return };
                window.some_models = limit != "codex";
                window.set(field, value, now);
            }
        }
    }
}

impl Window {
    fn set(&mut self, field: &str, value: &str, now: Now) {
        let number = || leading_number(value);
        match field {
            "limit" => self.limit = number().map(|n| n as u64),
            "remaining" => self.remaining = number().map(|n| n as u64),
            "utilization" => self.used = number(),
            "used-percent" => self.used = number().map(|n| n / 100.0),
            "window-minutes" => self.period_s = number().map(|n| (n * 60.0) as u64),
            "status" => self.status = status(value),
            "reset" => self.reset_s = wait::reset(value, now),
            // The one that needs no clock wins.
            "reset-after-seconds" => self.reset_s = number().and_then(wait::sane).or(self.reset_s),
            "reset-at" if self.reset_s.is_none() => self.reset_s = wait::reset(value, now),
            _ => {}
        }
    }
}

/// The families that name the field last.
fn anthropic(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("anthropic-ratelimit-");
    rest.or_else(|| {
        ["anthropic-priority-", "anthropic-fast-"].iter().any(|p| key.starts_with(p)).then(|| key.trim_start_matches("anthropic-"))
    })
}

/// The families that name the field first, and what they count where they do not say.
fn counted(key: &str) -> Option<(&'static str, &str)> {
    let key = key.strip_prefix("x-").unwrap_or(key);
    [("ratelimit-", ""), ("tokenlimit-", "tokens"), ("ratelimitbysize-", "bysize")]
        .into_iter()
        .find_map(|(prefix, family)| Some((family, key.strip_prefix(prefix)?)))
}

fn kind(name: &str) -> Kind {
    let has = |part: &str| name.split(['-', '_']).any(|p| p == part);
    match name {
        _ if has("tokens") && has("input") => Kind::InputTokens,
        _ if has("tokens") && has("output") => Kind::OutputTokens,
        _ if has("tokens") => Kind::Tokens,
        _ if has("requests") || has("req") => Kind::Requests,
        _ => Kind::Other,
    }
}

/// How long a window lasts whose name tells.
fn period(name: &str) -> Option<u64> {
    let last = name.rsplit(['-', ' ']).next()?;
    let plan = last.split('_').next()?;
    match (last, plan) {
        ("second", _) => Some(1),
        ("minute", _) => Some(60),
        ("hour", _) => Some(3600),
        ("day", _) => Some(86400),
        ("week", _) => Some(7 * 86400),
        ("month", _) => Some(30 * 86400),
        (_, "5h") => Some(5 * 3600),
        (_, "7d") => Some(7 * 86400),
        _ => None,
    }
}

fn status(value: &str) -> Option<Status> {
    match value.to_ascii_lowercase().as_str() {
        "allowed" => Some(Status::Allowed),
        "allowed_warning" => Some(Status::Warning),
        "rejected" => Some(Status::Rejected),
        _ => None,
    }
}

/// The number that a value begins with: proxies join repeated headers with commas. Negative ones say "unknown".
fn leading_number(value: &str) -> Option<f64> {
    let first = value.split([',', ';']).next()?.trim();
    first.parse::<f64>().ok().filter(|n| n.is_finite() && (0.0..1e15).contains(n))
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
