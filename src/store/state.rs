//! What processes tell each other: small values under a kind and a key, each with the time until which it means something,
//! and the tokens that were used against limits. A process looks at one number to see whether anything is new.

use super::Store;
use rusqlite::{Transaction, params};

/// How old a row of tokens may be before nobody counts it, in milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// A value that others may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is: `cooldown`, `breaker`, ...
    pub kind: String,
    pub key: String,
    /// JSON; its form is its kind's.
    pub value: String,
    /// Milliseconds since 1970; 0 takes it back, `u64::MAX` is for good.
    pub until: u64,
}

/// Which of two values of one key stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wins {
    /// The one that means something longer.
    Longer,
    /// The one that is written last.
    Later,
}

/// Tokens booked, used or given back (then negative) against a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The account and quota that they count against.
    pub key: String,
    /// When the call went, in milliseconds since 1970.
    pub at: u64,
    pub requests: i64,
    pub tokens: i64,
}

/// How far a process has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Of the store that it stands in.
    store: u64,
    version: Option<i64>,
    state: i64,
    used: i64,
}

/// What was new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    pub entries: Vec<Entry>,
    /// Of other processes.
    pub used: Vec<Used>,
}

impl Store {
    /// What others wrote since the last look. Where nothing did it costs a few microseconds.
    pub fn news(&self, cursor: &mut Cursor, now: u64) -> rusqlite::Result<News> {
        if cursor.store != self.number {
            *cursor = Cursor { store: self.number, ..Cursor::default() };
        }
        self.read(|connection| {
            // Changes with each commit of another connection, and with none of this one's.
            let version: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |r| r.get(0))?;
            if cursor.version == Some(version) {
                return Ok(News::default());
            }
            let mut news = News::default();
            let mut changed = connection.prepare_cached("SELECT kind, key, value, until, seq FROM state WHERE seq > ?1 ORDER BY seq")?;
            let mut rows = changed.query([cursor.state])?;
            while let Some(row) = rows.next()? {
                news.entries.push(Entry { kind: row.get(0)?, key: row.get(1)?, value: row.get(2)?, until: unsigned(row.get(3)?) });
                cursor.state = row.get(4)?;
            }
            let mut used = connection
                .prepare_cached("SELECT key, at, requests, tokens, id FROM used WHERE id > ?1 AND at > ?2 AND pid <> ?3 ORDER BY id")?;
            let mut rows = used.query(params![cursor.used, signed(now.saturating_sub(DAY)), std::process::id()])?;
            while let Some(row) = rows.next()? {
                news.used.push(Used { key: row.get(0)?, at: unsigned(row.get(1)?), requests: row.get(2)?, tokens: row.get(3)? });
                cursor.used = row.get(4)?;
            }
            cursor.version = Some(version);
            Ok(news)
        })
    }

    /// Writes values and tokens in one go.
    pub fn tell(&self, entries: &[(Entry, Wins)], used: &[Used], now: u64) -> rusqlite::Result<()> {
        self.change(|change| {
            for (entry, wins) in entries {
                put(change, entry, *wins)?;
            }
            if !used.is_empty() {
                let mut add = change.prepare_cached("INSERT INTO used (key, at, requests, tokens, pid) VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for one in used {
                    add.execute(params![one.key, signed(one.at), one.requests, one.tokens, std::process::id()])?;
                }
                change.prepare_cached("DELETE FROM used WHERE at <= ?1")?.execute([signed(now.saturating_sub(DAY))])?;
            }
            Ok(())
        })
    }
}

fn put(change: &Transaction<'_>, entry: &Entry, wins: Wins) -> rusqlite::Result<()> {
    change.prepare_cached("UPDATE counter SET seq = seq + 1")?.execute([])?;
    let condition = match wins {
        Wins::Longer => "WHERE excluded.until >= state.until",
        Wins::Later => "",
    };
    change
        .prepare_cached(&format!(
            "INSERT INTO state (kind, key, value, until, seq) VALUES (?1, ?2, ?3, ?4, (SELECT seq FROM counter)) \
             ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, until = excluded.until, seq = excluded.seq {condition}"
        ))?
        .execute(params![entry.kind, entry.key, entry.value, signed(entry.until)])?;
    Ok(())
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// `i64::MAX` stands for good, as `u64::MAX` does outside.
fn unsigned(n: i64) -> u64 {
    if n == i64::MAX { u64::MAX } else { u64::try_from(n).unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::places::Places;

    fn entry(key: &str, value: &str, until: u64) -> Entry {
        Entry { kind: "cooldown".into(), key: key.into(), value: value.into(), until }
    }

    #[test]
    fn two_processes_see_each_other_s_news_once_and_the_longer_cooldown_stays() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let (a, b) = (Store::open(&places).unwrap(), Store::open(&places).unwrap());
        let (mut at_a, mut at_b) = (Cursor::default(), Cursor::default());
        assert_eq!(b.news(&mut at_b, 0).unwrap(), News::default());
        a.tell(&[(entry("k", "1", 500), Wins::Longer), (entry("for good", "", u64::MAX), Wins::Longer)], &[], 0).unwrap();
        assert_eq!(b.news(&mut at_b, 0).unwrap().entries, [entry("k", "1", 500), entry("for good", "", u64::MAX)]);
        assert_eq!(b.news(&mut at_b, 0).unwrap(), News::default());
        b.tell(&[(entry("k", "2", 400), Wins::Longer)], &[], 0).unwrap();
        assert_eq!(a.news(&mut at_a, 0).unwrap().entries, [entry("k", "1", 500), entry("for good", "", u64::MAX)]);
        b.tell(&[(entry("k", "", 0), Wins::Later)], &[], 0).unwrap();
        assert_eq!(a.news(&mut at_a, 0).unwrap().entries, [entry("k", "", 0)], "taken back");
    }

    #[test]
    fn what_is_older_than_a_day_is_not_counted_and_goes() {
        let store = Store::in_memory(None).unwrap();
        let used = |at| Used { key: "k".into(), at, requests: 1, tokens: 10 };
        store.tell(&[], &[used(1), used(DAY)], DAY).unwrap();
        store.tell(&[], &[used(DAY + 5)], DAY + 1).unwrap();
        let left: i64 = store.connection().query_row("SELECT COUNT(*) FROM used", [], |r| r.get(0)).unwrap();
        assert_eq!(left, 2);
        // One's own rows are known already.
        assert_eq!(store.news(&mut Cursor::default(), DAY + 5).unwrap().used, []);
    }
}
