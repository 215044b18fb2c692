//! Time as a value. Machines never read a clock: they are handed a [`Moment`], and tests hand them any.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since an arbitrary start; only differences mean something. Survives wall-clock jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Moment(pub u64);

impl Moment {
    #[must_use]
    pub const fn plus(self, d: Duration) -> Self {
        Self(self.0.saturating_add(millis(d)))
    }

    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole milliseconds, saturating.
pub const fn millis(d: Duration) -> u64 {
    let ms = d.as_millis();
    if ms > u64::MAX as u128 { u64::MAX } else { ms as u64 }
}

/// The clock that drivers read and hand on.
#[derive(Debug, Clone)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    pub fn system() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> Moment {
        Moment(millis(self.start.elapsed()))
    }
}

/// Wall time in milliseconds since 1970; 0 on a clock set before it.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// Wall time as RFC 3339 in UTC with milliseconds, e.g. `2026-11-22T23:50:01.123Z`.
pub fn rfc3339(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| unix_ms.to_string(), |t| format!("{t:.3}"))
}
