//! Names for things that live longer than a process.

use super::{clock, digest};
use std::sync::atomic::{AtomicU64, Ordering};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A fresh session id, sortable by time: `20261122-235001-3f9a1c`.
pub fn session() -> String {
    let now = clock::unix_ms();
    let stamp: String = clock::rfc3339(now).chars().take(19).filter(char::is_ascii_digit).collect();
    let (day, time) = stamp.split_at_checked(8).unwrap_or((&stamp, ""));
    format!("{day}-{time}-{}", fresh(6))
}

/// `digits` hex digits that no other call of this or another process on this machine is likely to get.
/// Not a secret: it is made of the time, the process id, an address and a counter.
pub fn fresh(digits: usize) -> String {
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let here = std::ptr::from_ref(&n) as usize;
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    digest::short(format!("{nanos}:{}:{here}:{n}", std::process::id()).as_bytes(), digits)
}

/// A number from 0 to 1 that no other process is likely to have now. No secret, and no even distribution is promised.
pub fn share() -> f64 {
    u32::from_str_radix(&fresh(4), 16).map_or(0.5, |n| f64::from(n) / 65535.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn session_ids_sort_by_time_and_differ() {
        let (a, b) = (super::session(), super::session());
        assert_ne!(a, b);
        assert!(a.len() == 22 && a.as_bytes()[8] == b'-' && a.as_bytes()[15] == b'-', "{a}");
    }
}
