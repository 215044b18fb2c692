//! What a call can cost at the most, and under which caps it has to fit.
//!
//! The bound is made before the call from what is certain: the input that the provider itself last counted, a token for
//! each byte that came since (no tokenizer makes more tokens than bytes), and the longest answer that is allowed. So it is
//! never below what is charged, whatever the provider's tokenizer does.

use crate::base::clock;
use crate::base::{Cause, Failure};
use crate::catalog::{Billing, Price};
use crate::model::ProviderError;
use crate::model::fault::{NO_LEDGER, NO_PRICE};
use crate::model::money::Nanos;
use crate::store::{Cap, Over};

/// What the frame of a request may add in tokens that are not in its bytes.
const FRAME: u64 = 512;
/// The most that any provider counts for one image (a small OpenAI model at high detail).
const IMAGE: u64 = 40_000;
/// An answer of fewer tokens than this is not worth asking for.
pub const LEAST_OUTPUT: u64 = 1_024;
/// The longest answer where nobody says.
const UNKNOWN_OUTPUT: u64 = 128_000;

/// Prices of a token, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// The dearest way in which a token of input can be charged.
    pub input: Nanos,
    pub output: Nanos,
}

/// How a link's use is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tariff {
    Metered(Rates),
    /// A plan or nothing: tokens count, money does not.
    Paid,
    /// It may cost anything.
    Unknown,
}

impl Tariff {
    /// `ceiling` stands for prices that are not known, where the user has set one.
    pub fn of(billing: Billing, price: Option<&Price>, multiplier: f64, ceiling: Option<Rates>) -> Self {
        match billing {
            Billing::Subscription | Billing::Free => Self::Paid,
            Billing::Metered | Billing::Unknown => {
                price.and_then(|p| Rates::of(p, multiplier)).or(ceiling).map_or(Self::Unknown, Self::Metered)
            }
        }
    }
}

impl Rates {
    /// None where the price of input or output is unknown.
    pub fn of(price: &Price, multiplier: f64) -> Option<Self> {
        let dearest = [price.input, price.cache_read, price.cache_write].into_iter().flatten().fold(price.input?, f64::max);
        Self::per_million(dearest * multiplier, price.output? * multiplier)
    }

    /// From US dollars per million tokens.
    pub fn per_million(input: f64, output: f64) -> Option<Self> {
        // A dollar per million is a thousand nano-dollars each.
        let each = |dollars: f64| Nanos::at_least(dollars / 1e6);
        Some(Self { input: each(input)?, output: each(output)? })
    }
}

/// What is known of the size of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Of the whole body, without the data of images.
    pub bytes: u64,
    pub images: u64,
}

impl Size {
    /// About how many tokens it has, for limits that are counted by the minute. `before` as for [`Self::most_tokens`].
    pub fn likely_tokens(self, before: Option<(Self, u64)>) -> u64 {
        let tokens = |bytes: u64, images: u64| (bytes / 4).saturating_add(images.saturating_mul(1_000));
        let grown = before.filter(|(was, _)| was.bytes <= self.bytes && was.images <= self.images);
        grown.map_or(tokens(self.bytes, self.images), |(was, counted)| {
            counted.saturating_add(tokens(self.bytes - was.bytes, self.images - was.images))
        })
    }

    /// The most tokens that a provider can count. `before`: an earlier request of the same conversation to the same model,
    /// whose body is the beginning of this one, and the input that was counted for it.
    pub fn most_tokens(self, before: Option<(Self, u64)>) -> u64 {
        let tokens = |bytes: u64, images: u64| bytes.saturating_add(images.saturating_mul(IMAGE)).saturating_add(FRAME);
        let whole = tokens(self.bytes, self.images);
        let grown = before.filter(|(was, _)| was.bytes <= self.bytes && was.images <= self.images);
        grown.map_or(whole, |(was, counted)| whole.min(counted.saturating_add(tokens(self.bytes - was.bytes, self.images - was.images))))
    }
}

/// The bound of the output for a call that sets none.
pub fn most_output(asked: Option<u64>, model: Option<u64>) -> u64 {
    match (asked, model) {
        (Some(asked), Some(model)) => asked.min(model),
        (one, other) => one.or(other).unwrap_or(UNKNOWN_OUTPUT),
    }
}

/// The caps of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Caps {
    pub day: Option<Limit>,
    pub month: Option<Limit>,
    pub session: Option<Nanos>,
    pub run: Option<Nanos>,
    /// A day's, by provider id.
    pub providers: Vec<(String, Nanos)>,
}

/// A cap, and whether somebody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub amount: Nanos,
    pub explicit: bool,
}

/// Who spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spender<'a> {
    pub session: Option<&'a str>,
    /// Unique to this process's run, sub-agents included.
    pub run: &'a str,
    pub provider: &'a str,
}

impl Caps {
    /// Whether money may only be spent where the price is known.
    pub fn any_explicit(&self) -> bool {
        let explicit = |limit: Option<Limit>| limit.is_some_and(|l| l.explicit);
        explicit(self.day) || explicit(self.month) || self.session.is_some() || self.run.is_some() || !self.providers.is_empty()
    }

    /// The caps that bind whoever spends now, whatever the run and session; of providers each one.
    pub fn binding_all(&self, unix_ms: u64) -> Vec<Cap> {
        let lasting = Self { run: None, session: None, ..self.clone() };
        let of = |provider: &str| lasting.binding(&Spender { session: None, run: "", provider }, unix_ms);
        let mut all = of("");
        for (provider, _) in &self.providers {
            let own = of(provider).into_iter().filter(|cap| cap.scope.starts_with("provider:"));
            all.extend(own);
        }
        all
    }

    /// Whether one of them is to hold over several runs.
    pub fn any_lasting(&self) -> bool {
        Self { run: None, session: None, ..self.clone() }.any_explicit()
    }

    /// The scopes that a call counts to, whether or not they have a cap: a later run may set one. Days and months are UTC's.
    pub fn scopes(spender: &Spender<'_>, unix_ms: u64) -> Vec<String> {
        let date = clock::rfc3339(unix_ms);
        let (day, month) = (date.get(..10).unwrap_or(&date), date.get(..7).unwrap_or(&date));
        let mut scopes = vec![
            format!("day:{day}"),
            format!("month:{month}"),
            format!("provider:{}:day:{day}", spender.provider),
            format!("run:{}", spender.run),
        ];
        scopes.extend(spender.session.map(|id| format!("session:{id}")));
        scopes
    }

    /// The caps that bind a call, the scopes named as [`Caps::scopes`] names them.
    pub fn binding(&self, spender: &Spender<'_>, unix_ms: u64) -> Vec<Cap> {
        let scopes = Self::scopes(spender, unix_ms);
        let scope = |kind: &str| scopes.iter().find(|s| s.starts_with(kind)).cloned();
        let provider = self.providers.iter().find(|(id, _)| id == spender.provider).map(|(_, amount)| *amount);
        let all = [
            (scope("run:"), self.run, "this run (--max-cost)".to_owned()),
            (scope("session:"), self.session, "this session (budget.session)".to_owned()),
            (scope("provider:"), provider, format!("a day on {} (budget.providers)", spender.provider)),
            (scope("day:"), self.day.map(|l| l.amount), "a day (budget.daily)".to_owned()),
            (scope("month:"), self.month.map(|l| l.amount), "a month (budget.monthly)".to_owned()),
        ];
        all.into_iter().filter_map(|(scope, limit, name)| Some(Cap { scope: scope?, name, limit: limit? })).collect()
    }
}

/// The end of a run whose next call could go over a cap, in figures.
pub fn over(over: &Over, model: &str) -> Failure {
    let Over { cap, spent, reserved, wanted } = over;
    let held = if *reserved > Nanos::ZERO { format!(" and {reserved} reserved by calls under way") } else { String::new() };
    let message =
        format!("the next call to {model} could cost {wanted}, and of the {} for {} {spent} are spent{held}", cap.limit, cap.name);
    Failure::new(Cause::Budget, message).hint(HINT)
}

/// What to do about a cap that stands in the way of this call.
pub fn hint(refused: &ProviderError) -> &'static str {
    match refused.code.as_deref() {
        Some(NO_PRICE) => "set `budget.ceiling`, choose a model whose price is known, or run without a cap",
        Some(NO_LEDGER) => "`pup doctor` says what keeps the ledger from being kept; without a cap pup works without one",
        _ => HINT,
    }
}

/// What to do about a cap that is reached.
const HINT: &str = "raise the cap (`--max-cost USD`, or `pup config set budget.daily USD`) and go on with `pup run --resume last`, or choose a cheaper model";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(input: f64, output: f64) -> Price {
        Price { input: Some(input), cache_write: Some(input * 1.25), output: Some(output), ..Price::default() }
    }

    #[test]
    fn a_tariff_is_known_a_plan_or_unknown() {
        let known = Tariff::Metered(Rates { input: Nanos(1_250), output: Nanos(5_000) });
        assert_eq!(Tariff::of(Billing::Metered, Some(&price(1.0, 5.0)), 1.0, None), known);
        assert_eq!(Tariff::of(Billing::Unknown, Some(&price(0.5, 2.5)), 2.0, None), known);
        assert_eq!(Tariff::of(Billing::Subscription, Some(&price(1.0, 5.0)), 1.0, None), Tariff::Paid);
        assert_eq!(Tariff::of(Billing::Metered, None, 1.0, None), Tariff::Unknown);
        let half = Price { output: None, ..price(1.0, 1.0) };
        assert_eq!(Tariff::of(Billing::Metered, Some(&half), 1.0, None), Tariff::Unknown);
        let ceiling = Rates::per_million(10.0, 50.0);
        assert_eq!(Tariff::of(Billing::Unknown, None, 1.0, ceiling), Tariff::Metered(ceiling.unwrap()));
        assert_eq!(Rates::per_million(-1.0, 1.0), None);
    }

    #[test]
    fn what_was_counted_replaces_the_bytes_that_it_was_counted_for() {
        let now = Size { bytes: 50_000, images: 1 };
        assert_eq!(now.most_tokens(None), 50_000 + IMAGE + FRAME);
        assert_eq!(now.most_tokens(Some((Size { bytes: 48_000, images: 1 }, 12_000))), 12_000 + 2_000 + FRAME);
        assert_eq!(now.most_tokens(Some((Size { bytes: 60_000, images: 0 }, 9))), 50_000 + IMAGE + FRAME, "another conversation");
    }

    proptest! {
        /// However a tokenizer splits the bytes, it never counts more than the bound.
        #[test]
        fn the_bound_is_never_below_what_is_counted(old in 0..100_000u64, new in 0..100_000u64, a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
            let counted = (old as f64 * a) as u64;
            let later = counted + (new as f64 * b) as u64;
            let (size, before) = (Size { bytes: old + new, images: 0 }, Size { bytes: old, images: 0 });
            prop_assert!(size.most_tokens(Some((before, counted))) >= later);
            prop_assert!(size.most_tokens(None) >= later);
        }
    }

    #[test]
    fn each_cap_binds_its_own_scope() {
        let amount = Nanos(7);
        let caps = Caps {
            day: Some(Limit { amount, explicit: false }),
            session: Some(amount),
            run: Some(amount),
            providers: vec![("openai".into(), amount), ("other".into(), amount)],
            ..Caps::default()
        };
        let spender = Spender { session: None, run: "r1", provider: "openai" };
        let bound: Vec<String> = caps.binding(&spender, 0).into_iter().map(|c| c.scope).collect();
        assert_eq!(bound, ["run:r1", "provider:openai:day:1970-01-01", "day:1970-01-01"]);
        assert!(caps.any_explicit());
        let built_in = Caps { day: caps.day, ..Caps::default() };
        assert!(!built_in.any_explicit());
        let scopes = Caps::scopes(&Spender { session: Some("s"), ..spender }, 86_400_000 * 31);
        assert_eq!(scopes[..2], ["day:1970-02-01", "month:1970-02"]);
        assert!(scopes.contains(&"session:s".to_owned()));
    }

    #[test]
    fn the_refusal_says_it_in_figures() {
        let cap = Cap { scope: "run:r".into(), name: "this run (--max-cost)".into(), limit: Nanos(50_000_000) };
        let failure = over(&Over { cap, spent: Nanos(31_000_000), reserved: Nanos(0), wanted: Nanos(22_500_000) }, "m");
        assert_eq!(failure.message, "the next call to m could cost $0.0225, and of the $0.05 for this run (--max-cost) $0.031 are spent");
        assert_eq!(failure.cause.exit_code(), 6);
    }
}
