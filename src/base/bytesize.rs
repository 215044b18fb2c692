//! Sizes as people write them.

/// `1536` becomes `1.5 KB`; powers of 1024, one decimal where it says something.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut value = bytes;
    let mut tenths = 0;
    let mut unit = 0;
    while value >= 1024 && unit + 1 < UNITS.len() {
        tenths = (value % 1024) * 10 / 1024;
        value /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 || value >= 100 || tenths == 0 { format!("{value} {name}") } else { format!("{value}.{tenths} {name}") }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn reads_like_a_person_would_write_it() {
        let rows = [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (2 << 30, "2 GB"), (150 * 1024 * 1024 + 600_000, "150 MB")];
        for (bytes, text) in rows {
            assert_eq!(human(bytes), text);
        }
    }
}
