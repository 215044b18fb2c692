//! What a call cost, from the catalogue's price and the reported usage. An unknown price gives no figure, never zero.

use crate::catalog::Price;
use crate::model::Usage;

/// US dollars, or none where a class that was used has no known price.
pub fn cost_usd(price: Option<&Price>, usage: &Usage) -> Option<f64> {
    let price = price?;
    let classes = [
        (usage.input, price.input),
        (usage.cache_read, price.cache_read),
        (usage.cache_write, price.cache_write),
        (usage.cache_write_1h, None),
        (usage.output, price.output),
    ];
    classes.into_iter().try_fold(0.0, |sum, (tokens, per_million)| match (tokens.unwrap_or(0), per_million) {
        (0, _) => Some(sum),
        (n, Some(p)) => Some(sum + n as f64 * p / 1_000_000.0),
        (_, None) => None,
    })
}
