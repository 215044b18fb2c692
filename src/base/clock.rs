//! Time as a value. Machines never read a clock: they are handed a [`Moment`], and tests hand them any.

#[cfg(not(target_os = "linux"))]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    start: Duration,
    running: fn() -> Duration,
}

impl Clock {
    pub fn system() -> Self {
        Self { start: running(), running }
    }

    /// That of the runtime, which a test can stop and which then jumps to whatever is waited for.
    #[cfg(test)]
    pub fn of_runtime() -> Self {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let running = || tokio::time::Instant::now().into_std().saturating_duration_since(*START.get_or_init(std::time::Instant::now));
        Self { start: running(), running }
    }

    pub fn now(&self) -> Moment {
        Moment(millis((self.running)().saturating_sub(self.start)))
    }
}

/// Time that only grows, the machine's sleep included: a cooldown goes on while the lid is closed.
#[cfg(target_os = "linux")]
fn running() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Time that only grows. Whether it counts the machine's sleep is the system's choice.
#[cfg(not(target_os = "linux"))]
fn running() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Wall time in milliseconds since 1970; 0 on a clock set before it.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// Milliseconds since 1970 of an RFC 3339 time; none for anything else, or before 1970.
pub fn from_rfc3339(text: &str) -> Option<u64> {
    u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()
}

/// Wall time as RFC 3339 in UTC with milliseconds, e.g. `2026-11-22T23:50:01.123Z`.
pub fn rfc3339(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| unix_ms.to_string(), |t| format!("{t:.3}"))
}
