//! Times as providers write them - in headers, bodies and sentences - to seconds from now.
//!
//! Nothing here reads a clock. Nothing negative, nothing that is no number and nothing above 35 days comes out.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

const MAX_S: f64 = 35.0 * 86400.0;
const DAY_MS: u64 = 86_400_000;
/// Clocks before 2020 and after 2100 are wrong.
const SANE_MS: std::ops::Range<u64> = 1_577_836_800_000..4_102_444_800_000;

pub type Headers = [(String, String)];

/// What time it is, for times that are written as dates: by the reply's own `date` header, else by the caller's clock,
/// and unknown if neither can be right. The server's clock goes first, since its dates are written by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now(Option<u64>);

impl Now {
    pub fn new(headers: &Headers, local_ms: Option<u64>) -> Self {
        let servers = header(headers, "date").and_then(http_date_ms);
        Self([servers, local_ms].into_iter().flatten().find(|ms| SANE_MS.contains(ms)))
    }

    /// In milliseconds since 1970.
    pub fn ms(self) -> Option<u64> {
        self.0
    }

    /// Seconds until a moment; 0 if it has passed.
    pub fn until(self, at_ms: u64) -> Option<f64> {
        sane(at_ms.saturating_sub(self.0?) as f64 / 1000.0)
    }

    /// Seconds until a moment that has to lie ahead: a limit that has already been lifted, and yet refuses, says nothing.
    pub fn ahead(self, at_ms: u64) -> Option<f64> {
        self.until(at_ms).filter(|s| *s > 0.0)
    }

    /// Seconds to the next midnight in UTC.
    pub fn next_utc_midnight(self) -> Option<f64> {
        self.0.map(|now| (DAY_MS - now % DAY_MS) as f64 / 1000.0)
    }
}

/// A usable wait: a number, not negative, and not absurdly long.
pub fn sane(seconds: f64) -> Option<f64> {
    (seconds.is_finite() && (0.0..=MAX_S).contains(&seconds)).then_some(seconds)
}

/// The value of a header, whatever its case.
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// What `retry-after-ms`, `retry-after` and their like ask for. The first wins, unless it says nothing.
pub fn retry_after(headers: &Headers, now: Now) -> Option<f64> {
    const NAMES: [&str; 4] = ["retry-after", "x-retry-after", "x-ratelimit-reset-after", "x-ratelimit-timeremaining"];
    let ms = header(headers, "retry-after-ms").and_then(|v| v.parse::<f64>().ok()).filter(|ms| *ms > 0.0).and_then(|ms| sane(ms / 1000.0));
    ms.or_else(|| NAMES.iter().find_map(|name| seconds_or_date(header(headers, name)?, now)))
}

/// `7`, `1.5`, `2m59s`, `Wed, 19 Aug 2026 14:34:22 GMT`. A date that has passed means now. Proxies put numbers in quotes,
/// and join the same header twice with a comma.
fn seconds_or_date(value: &str, now: Now) -> Option<f64> {
    let first = value.split(',').next().unwrap_or_default().trim().trim_matches('"');
    match first.parse::<f64>() {
        Ok(n) if n > 1e9 => epoch(n).and_then(|at| now.ahead(at)),
        Ok(seconds) => sane(seconds),
        Err(_) => whole_duration(value).and_then(sane).or_else(|| now.until(http_date_ms(value).or_else(|| rfc3339_ms(value))?)),
    }
}

/// A window's reset, by its size and form: epoch milliseconds or seconds, seconds from now, a duration, a date.
///
/// Azure sends 0 and -1 for "unknown".
pub fn reset(value: &str, now: Now) -> Option<f64> {
    let value = value.trim();
    match value.parse::<f64>() {
        Ok(n) if n > 1e9 => now.until(epoch(n)?),
        Ok(n) if n > 0.0 => sane(n),
        Ok(_) => None,
        Err(_) => whole_duration(value).and_then(sane).or_else(|| now.until(rfc3339_ms(value).or_else(|| http_date_ms(value))?)),
    }
}

/// Milliseconds since 1970 of a number that is either those or seconds.
pub fn epoch(n: f64) -> Option<u64> {
    let ms = if n > 1e11 { n } else { n * 1000.0 };
    (0.0..1e15).contains(&ms).then_some(ms as u64)
}

pub fn rfc3339_ms(value: &str) -> Option<u64> {
    u64::try_from(value.parse::<Timestamp>().ok()?.as_millisecond()).ok()
}

/// HTTP's three forms: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
pub fn http_date_ms(value: &str) -> Option<u64> {
    let mut words = value.split([' ', ',', '-', ':']).filter(|w| !w.is_empty()).skip(1);
    let words: [&str; 6] = [words.next()?, words.next()?, words.next()?, words.next()?, words.next()?, words.next()?];
    let [day, month, year, hour, minute, second] = match words {
        [month, day, hour, minute, second, year] if month.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            [day, month, year, hour, minute, second]
        }
        usual => usual,
    };
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = months.iter().position(|m| month.eq_ignore_ascii_case(m))?;
    let year = match year.parse::<i16>().ok()? {
        short @ 0..70 => 2000 + short,
        short @ 70..100 => 1900 + short,
        full => full,
    };
    let part = |text: &str| text.parse::<i8>().ok();
    let at = DateTime::new(year, i8::try_from(month).ok()? + 1, part(day)?, part(hour)?, part(minute)?, part(second)?.min(59), 0).ok()?;
    u64::try_from(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()).ok()
}

/// The wait that a sentence names: "try again in 1.2s", "retry after 60 seconds", "will reset at 2026-09-09 05:38:28".
/// A date without a zone is `zone` hours east of Greenwich.
pub fn from_text(text: &str, now: Now, zone: i8) -> Option<f64> {
    const LEADS: [&str; 10] = [
        "try again in ",
        "retry in ",
        "retry after ",
        "reset after ",
        "resets in ",
        "reset in ",
        "available in ",
        "wait ",
        "after ",
        "in about ",
    ];
    // A header in the middle of a sentence: its number is seconds.
    const HEADERS: [&str; 4] = ["retry-after: ", "retry-after=", "retry_after: ", "retry_after="];
    let lower = text.to_ascii_lowercase();
    let behind = |leads: &'static [&'static str]| {
        leads.iter().flat_map(|lead| lower.match_indices(lead)).filter_map(|(at, lead)| lower.get(at + lead.len()..))
    };
    let named = || behind(&HEADERS).find_map(|rest| leading_duration(rest).map(|(s, _)| s).or_else(|| leading_seconds(rest)));
    behind(&LEADS)
        .find_map(|rest| leading_duration(rest.strip_prefix("about ").unwrap_or(rest)).map(|(s, _)| s))
        .or_else(named)
        .and_then(sane)
        .or_else(|| date_in(text, now, zone))
        .or_else(|| moment_in(text, now))
}

/// The number at the beginning of a text.
fn leading_seconds(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.get(..end)?.trim_end_matches('.').parse().ok()
}

/// The first number in a text that is a moment ahead of us, in seconds or milliseconds since 1970.
fn moment_in(text: &str, now: Now) -> Option<f64> {
    let numbers = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| matches!(w.len(), 10 | 13));
    numbers.filter_map(|w| w.parse::<u64>().ok()).find_map(|n| now.ahead(epoch(n as f64)?))
}

/// The first date with a time of day in a text that lies ahead.
fn date_in(text: &str, now: Now, zone: i8) -> Option<f64> {
    let digits = |from: &str, at: std::ops::Range<usize>| from.get(at).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned);
    text.match_indices('-').filter_map(|(dash, _)| text.get(dash.checked_sub(4)?..)).find_map(|rest| {
        let (year, month, day) = (digits(rest, 0..4)?, digits(rest.get(5..)?, 0..2)?, digits(rest.get(8..)?, 0..2)?);
        let rest = rest.get(10..)?;
        let rest = ["T", "t", " at ", " "].iter().find_map(|gap| rest.strip_prefix(gap))?;
        let (hour, minute) = (digits(rest, 0..2)?, digits(rest.get(3..)?, 0..2)?);
        let rest = rest.get(5..)?;
        let seconds = rest.strip_prefix(':').and_then(|s| digits(s, 0..2));
        let rest = if seconds.is_some() { rest.get(3..)? } else { rest };
        let rest = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit()).trim_start();
        let offset = if rest.starts_with(['Z', 'z']) || rest.starts_with("UTC") || rest.starts_with("GMT") {
            Offset::UTC
        } else {
            numeric_offset(rest).unwrap_or(Offset::constant(zone))
        };
        let part = |text: &str| text.parse::<i8>().ok();
        let second = seconds.as_deref().map_or(Some(0), part)?.min(59);
        let local = DateTime::new(year.parse().ok()?, part(&month)?, part(&day)?, part(&hour)?, part(&minute)?, second, 0).ok()?;
        now.ahead(u64::try_from(offset.to_timestamp(local).ok()?.as_millisecond()).ok()?)
    })
}

/// `+08:00`, `-0330`.
fn numeric_offset(text: &str) -> Option<Offset> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let hours: i32 = text.get(1..3)?.parse().ok()?;
    let minutes = text.get(3..).map(|m| m.strip_prefix(':').unwrap_or(m)).and_then(|m| m.get(..2)?.parse::<i32>().ok()).unwrap_or(0);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

/// A string that is nothing but a duration: `12ms`, `7.66s`, `6m0s`, `156h14m36.75s`, `1d2h`, `2m 13s`.
pub fn whole_duration(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    leading_duration(&text).filter(|(_, rest)| rest.is_empty()).map(|(s, _)| s)
}

/// The duration at the beginning of lower-case text, in seconds, and what follows it. A number needs a unit.
fn leading_duration(text: &str) -> Option<(f64, &str)> {
    let mut rest = text;
    let mut total = 0.0;
    let mut found = false;
    loop {
        let from = rest.trim_start_matches(if found { &[' ', ','][..] } else { &[' '][..] });
        let from = from.strip_prefix("and ").filter(|_| found).unwrap_or(from);
        let digits = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
        let (number, after) = from.split_at(digits);
        let Ok(number) = number.trim_end_matches('.').parse::<f64>() else { break };
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale = match unit {
            "ms" | "millisecond" | "milliseconds" => 0.001,
            "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86400.0,
            _ => break,
        };
        total += number * scale;
        found = true;
        rest = after;
    }
    found.then_some((total, rest))
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
