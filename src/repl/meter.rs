//! What the chat has used: tokens by class and their price, over all its conversations.

use crate::base::text::thousands;
use crate::model::Usage;
use crate::route::Link;

/// The classes that are billed, as they are shown.
const CLASSES: [&str; 4] = ["uncached input", "cache read", "cache write", "output"];

/// The account.
#[derive(Debug, Default)]
pub struct Meter {
    classes: [Class; 4],
    reasoning: u64,
    replies: u32,
    /// Replies that broke off before their usage was told.
    unreported: u32,
    /// Replies that are not priced yet: our id of the model, and what it used.
    fresh: Vec<(String, Usage)>,
    unpriced: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Class {
    /// None where no reply said anything of this class.
    tokens: Option<u64>,
    dollars: f64,
}

impl Meter {
    /// A whole reply.
    pub fn replied(&mut self, model: &str, usage: &Usage) {
        self.replies += 1;
        self.fresh.push((model.to_owned(), *usage));
    }

    /// A reply that was begun and broke off: what it used, nobody said.
    pub fn broke_off(&mut self) {
        self.unreported += 1;
    }

    /// Prices what is new by the links that gave it.
    pub fn price(&mut self, links: &[Link]) {
        for (model, usage) in std::mem::take(&mut self.fresh) {
            let link = links.iter().find(|l| l.id == model);
            self.add(&model, &usage, |class| link.and_then(|l| l.cost_usd(class)));
        }
    }

    fn add(&mut self, model: &str, usage: &Usage, price: impl Fn(&Usage) -> Option<f64>) {
        self.reasoning += usage.reasoning.unwrap_or(0);
        let write = match (usage.cache_write, usage.cache_write_1h) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
        let parts = [
            (usage.input, Usage { input: usage.input, ..Usage::default() }),
            (usage.cache_read, Usage { cache_read: usage.cache_read, ..Usage::default() }),
            (write, Usage { cache_write: usage.cache_write, cache_write_1h: usage.cache_write_1h, ..Usage::default() }),
            (usage.output, Usage { output: usage.output, ..Usage::default() }),
        ];
        for (class, (tokens, alone)) in self.classes.iter_mut().zip(parts) {
            let Some(tokens) = tokens else { continue };
            *class.tokens.get_or_insert(0) += tokens;
            match price(&alone) {
                Some(dollars) => class.dollars += dollars,
                None if tokens > 0 && !self.unpriced.iter().any(|m| m == model) => self.unpriced.push(model.to_owned()),
                None => {}
            }
        }
    }

    /// The account in lines of at most 40 characters, but for names of models.
    pub fn lines(&self) -> Vec<String> {
        if self.replies == 0 {
            let mut lines = vec!["nothing has been used yet".to_owned()];
            lines.extend(self.remarks());
            return lines;
        }
        let row = |name: &str, tokens: Option<u64>, dollars: Option<f64>| {
            let tokens = tokens.map_or("-".to_owned(), thousands);
            let dollars = dollars.map_or("-".to_owned(), |d| format!("{d:.4}"));
            format!("{name:<16}{tokens:>12}{dollars:>11}")
        };
        let mut lines = vec![format!("{:<16}{:>12}{:>11}", "", "tokens", "US dollars")];
        let priced = self.unpriced.is_empty();
        for (name, class) in CLASSES.into_iter().zip(&self.classes) {
            lines.push(row(name, class.tokens, class.tokens.filter(|_| priced).map(|_| class.dollars)));
        }
        let total: u64 = self.classes.iter().filter_map(|c| c.tokens).sum();
        let dollars: f64 = self.classes.iter().map(|c| c.dollars).sum();
        lines.push(row("total", Some(total), priced.then_some(dollars)));
        if self.reasoning > 0 {
            lines.push(format!("{} of the output was reasoning", thousands(self.reasoning)));
        }
        lines.extend(self.remarks());
        lines
    }

    fn remarks(&self) -> Vec<String> {
        let mut out = Vec::new();
        if !self.unpriced.is_empty() {
            out.push(format!("no price is known for {}", self.unpriced.join(", ")));
        }
        match self.unreported {
            0 => {}
            1 => out.push("1 reply broke off: its use is not known".to_owned()),
            n => out.push(format!("{n} replies broke off: not counted")),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, read: Option<u64>, output: u64) -> Usage {
        Usage { input: Some(input), cache_read: read, output: Some(output), ..Usage::default() }
    }

    /// A dollar for a million tokens of input, two for output, a tenth for what was cached.
    #[allow(clippy::unnecessary_wraps, reason = "the shape of a price that may be unknown")]
    fn price(u: &Usage) -> Option<f64> {
        let n = |t: Option<u64>| t.unwrap_or(0) as f64 / 1e6;
        Some(n(u.input) + n(u.output) * 2.0 + n(u.cache_read) * 0.1)
    }

    #[test]
    fn classes_add_up_and_absent_is_not_zero() {
        let mut meter = Meter { replies: 2, ..Meter::default() };
        meter.add("m", &usage(1_000_000, Some(500_000), 250), price);
        meter.add("m", &Usage { reasoning: Some(40), ..usage(234_567, None, 50) }, price);
        assert_eq!(
            meter.lines(),
            [
                "                      tokens US dollars",
                "uncached input     1,234,567     1.2346",
                "cache read           500,000     0.0500",
                "cache write                -          -",
                "output                   300     0.0006",
                "total              1,734,867     1.2852",
                "40 of the output was reasoning",
            ]
        );
        assert!(meter.lines().iter().all(|l| l.len() <= 40));
    }

    #[test]
    fn an_unknown_price_gives_no_figure_and_is_named_once() {
        let mut meter = Meter { replies: 1, ..Meter::default() };
        meter.add("local/x", &usage(10, None, 0), |_| None);
        meter.add("local/x", &usage(10, None, 5), |_| None);
        meter.broke_off();
        let lines = meter.lines().join("\n");
        assert!(lines.contains("total                     25          -"), "{lines}");
        assert!(lines.ends_with("no price is known for local/x\n1 reply broke off: its use is not known"), "{lines}");
    }

    #[test]
    fn before_the_first_reply_there_is_nothing_to_show() {
        let mut meter = Meter::default();
        assert_eq!(meter.lines(), ["nothing has been used yet"]);
        meter.broke_off();
        meter.broke_off();
        assert_eq!(meter.lines().len(), 2);
    }
}
