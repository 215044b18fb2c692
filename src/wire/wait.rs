//! How long a provider asks to wait: headers, error bodies and prose, to seconds.
//!
//! Clamped on the way: nothing negative, nothing that is no number, nothing above 35 days. A date is counted from the
//! reply's own `date` header where there is one, so that a wrong clock here does no harm.

use crate::base::clock;
use jiff::Timestamp;
use serde_json::Value;

const MAX_S: f64 = 35.0 * 86400.0;
const DAY_MS: u64 = 86_400_000;

/// A usable wait, in seconds: nothing negative, nothing that is no number or absurdly long.
pub fn sane(seconds: f64) -> Option<f64> {
    (seconds.is_finite() && seconds <= MAX_S).then_some(seconds.max(0.0))
}

/// The value of a header, whatever its case.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The wait that the headers ask for.
///
/// `retry-after-ms` wins over `retry-after` unless it says nothing; the windows of `x-ratelimit-*` count only where
/// nothing remains.
pub fn from_headers(headers: &[(String, String)]) -> Option<f64> {
    let now = now_ms(headers);
    let ms = header(headers, "retry-after-ms").and_then(|v| v.parse::<f64>().ok()).filter(|ms| *ms > 0.0).and_then(|ms| sane(ms / 1000.0));
    ms.or_else(|| header(headers, "retry-after").and_then(|v| seconds_or_date(v, now))).or_else(|| spent_window(headers, now))
}

/// The time by the reply's own clock, in milliseconds since 1970; ours where it has none.
pub fn now_ms(headers: &[(String, String)]) -> u64 {
    header(headers, "date").and_then(http_date_ms).unwrap_or_else(clock::unix_ms)
}

/// `7`, `1.5`, `2m59s` or `Wed, 19 Aug 2026 14:34:22 GMT`.
fn seconds_or_date(value: &str, now_ms: u64) -> Option<f64> {
    match value.parse::<f64>() {
        Ok(seconds) => sane(seconds),
        Err(_) => whole_duration(value).or_else(|| http_date_ms(value).map(|at| until(at, now_ms))).and_then(sane),
    }
}

fn until(at_ms: u64, now_ms: u64) -> f64 {
    at_ms.saturating_sub(now_ms) as f64 / 1000.0
}

fn http_date_ms(value: &str) -> Option<u64> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    u64::try_from(at.as_millisecond()).ok()
}

/// The longest reset among the windows in which nothing remains.
fn spent_window(headers: &[(String, String)], now_ms: u64) -> Option<f64> {
    let windows = headers.iter().filter_map(|(key, value)| {
        let key = key.to_ascii_lowercase();
        let rest = key.strip_prefix("x-ratelimit-reset")?;
        let left = header(headers, &format!("x-ratelimit-remaining{rest}"))?;
        (left.parse::<f64>().ok()? <= 0.0).then(|| reset(value.trim(), now_ms)).flatten()
    });
    windows.reduce(f64::max)
}

/// A reset by its size: epoch milliseconds, epoch seconds, or seconds from now; or a duration or RFC 3339 time.
fn reset(value: &str, now_ms: u64) -> Option<f64> {
    match value.parse::<f64>() {
        Ok(n) if n > 1e11 => sane(until(n as u64, now_ms)),
        Ok(n) if n > 1e9 => sane(until((n * 1000.0) as u64, now_ms)),
        // Azure sends 0 or -1 for "unknown".
        Ok(n) if n > 0.0 => sane(n),
        Ok(_) => None,
        Err(_) => whole_duration(value).or_else(|| value.parse::<Timestamp>().ok().map(|t| until(epoch_ms(t), now_ms))).and_then(sane),
    }
}

fn epoch_ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

/// The wait that an error object asks for, in its fields or in its message.
pub fn from_error(error: &Value, headers: &[(String, String)]) -> Option<f64> {
    let now = now_ms(headers);
    let number = |key: &str| error.get(key).and_then(Value::as_f64);
    let fields = number("resets_in_seconds")
        .or_else(|| number("retry_after"))
        .or_else(|| number("resets_at").map(|at| until((at * 1000.0).max(0.0) as u64, now)))
        .and_then(sane);
    fields
        .or_else(|| google(error, now))
        .or_else(|| {
            let listed = error.pointer("/metadata/headers")?.as_object()?;
            let pairs: Vec<(String, String)> =
                listed.iter().map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_owned))).collect();
            from_headers(&pairs).or_else(|| reset(header(&pairs, "x-ratelimit-reset")?, now))
        })
        .or_else(|| error.get("message").and_then(Value::as_str).and_then(|m| from_text(m, now)))
        .or_else(|| error.pointer("/metadata/raw").and_then(Value::as_str).and_then(|m| from_text(m, now)))
}

/// `google.rpc` details: `RetryInfo` first, then `ErrorInfo`'s reset.
fn google(error: &Value, now_ms: u64) -> Option<f64> {
    let details = error.get("details")?.as_array()?;
    let retry = details.iter().find_map(|d| d.get("retryDelay")?.as_str());
    let reset_delay = || details.iter().find_map(|d| d.pointer("/metadata/quotaResetDelay")?.as_str());
    let stamp = || details.iter().find_map(|d| d.pointer("/metadata/quotaResetTimeStamp")?.as_str());
    retry.or_else(reset_delay).and_then(whole_duration).or_else(|| reset(stamp()?, now_ms)).and_then(sane)
}

/// The wait that a sentence names: "try again in 1.2s", "retry after 60 seconds", "will reset at 2026-09-09 05:38:28".
pub fn from_text(text: &str, now_ms: u64) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    ["try again in ", "retry in ", "retry after ", "reset after ", "resets in ", "reset in ", "available in ", "wait ", "after "]
        .iter()
        .flat_map(|lead| lower.match_indices(lead).map(|(at, lead)| at + lead.len()))
        .find_map(|at| leading_duration(lower.get(at..)?).map(|(s, _)| s))
        .or_else(|| date_in(&lower, now_ms))
        .and_then(sane)
}

/// A date and time written into a sentence. Without a zone it is Z.AI's, which is UTC+8.
fn date_in(text: &str, now_ms: u64) -> Option<f64> {
    let bytes = text.as_bytes();
    let starts = bytes.windows(5).enumerate().filter(|(_, w)| w.iter().take(4).all(u8::is_ascii_digit) && w.last() == Some(&b'-'));
    starts.filter_map(|(at, _)| text.get(at..)).find_map(|rest| {
        let stamp: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | ' ' | 't' | '.' | 'z' | '+')).collect();
        let stamp = stamp.trim_end_matches([' ', '.']).to_ascii_uppercase().replacen(' ', "T", 1);
        let at = stamp.parse::<Timestamp>().ok().or_else(|| format!("{}+08:00", stamp.get(..19)?).parse().ok())?;
        (epoch_ms(at) > now_ms).then(|| until(epoch_ms(at), now_ms))
    })
}

/// The milliseconds from `now_ms` to the next midnight in UTC.
pub fn next_utc_midnight_s(now_ms: u64) -> f64 {
    (DAY_MS - now_ms % DAY_MS) as f64 / 1000.0
}

/// A string that is nothing but a duration: `12ms`, `7.66s`, `6m0s`, `156h14m36.75s`, `1d2h`.
fn whole_duration(text: &str) -> Option<f64> {
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
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn durations_in_all_their_forms() {
        for (text, seconds) in [
            ("12ms", 0.012),
            ("1s", 1.0),
            ("7.66s", 7.66),
            ("6m0s", 360.0),
            ("2m 13s", 133.0),
            ("1h30m", 5400.0),
            ("1d2h", 93600.0),
            ("156h14m36.752463453s", 562_476.752_463_453),
            ("290.979975ms", 0.290_979_975),
            ("5 minutes, 3 seconds", 303.0),
        ] {
            let got = whole_duration(text).unwrap();
            assert!((got - seconds).abs() < 1e-9, "{text}: {got}");
        }
        for text in ["", "s", "12", "1x", "1s later", "-3s", "."] {
            assert_eq!(whole_duration(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_as_number_float_date_and_milliseconds() {
        let date = ("Date", "Wed, 19 Aug 2026 14:34:22 GMT");
        for (name, value, seconds) in [
            ("retry-after", "7", Some(7.0)),
            ("Retry-After", "1.5", Some(1.5)),
            ("retry-after", "Wed, 19 Aug 2026 14:35:22 GMT", Some(60.0)),
            ("retry-after", "Wed, 19 Aug 2026 14:30:00 GMT", Some(0.0)),
            ("retry-after", "-4", Some(0.0)),
            ("retry-after", "NaN", None),
            ("retry-after", "99999999999", None),
            ("retry-after", "soon", None),
            ("retry-after-ms", "340", Some(0.34)),
        ] {
            assert_eq!(from_headers(&headers(&[date, (name, value)])), seconds, "{name}: {value}");
        }
        assert_eq!(from_headers(&headers(&[("retry-after", "3"), ("retry-after-ms", "250")])), Some(0.25));
        assert_eq!(from_headers(&headers(&[("retry-after", "1"), ("retry-after-ms", "0")])), Some(1.0));
    }

    #[test]
    fn a_reset_counts_only_where_nothing_remains() {
        let both = |left: &str| {
            headers(&[
                ("date", "Wed, 19 Aug 2026 00:00:00 GMT"),
                ("x-ratelimit-remaining-requests", "5"),
                ("x-ratelimit-reset-requests", "9m"),
                ("x-ratelimit-remaining-tokens", left),
                ("x-ratelimit-reset-tokens", "7.66s"),
            ])
        };
        assert_eq!(from_headers(&both("0")), Some(7.66));
        assert_eq!(from_headers(&both("1")), None);
        let epoch =
            headers(&[("date", "Wed, 19 Aug 2026 00:00:00 GMT"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1787184000000")]);
        assert_eq!(from_headers(&epoch), Some(86400.0));
    }

    #[test]
    fn sentences_and_fields() {
        let now = 1_788_825_600_000; // 2026-09-08T00:00:00Z
        for (text, seconds) in [
            ("Rate limit reached ... Please try again in 1.2s. Visit", Some(1.2)),
            ("Please try again in 340ms", Some(0.34)),
            ("Please try again in 9m38.016s.", Some(578.016)),
            ("Please retry in 20.04s.", Some(20.04)),
            ("Your quota will reset after 156h14m36s", Some(562_476.0)),
            ("Please retry after 60 seconds.", Some(60.0)),
            ("limit reached for 5 hour. Your limit will reset at 2026-09-08 08:30:00", Some(1800.0)),
            ("reset at 2026-09-08T01:00:00Z", Some(3600.0)),
            ("reset at 2020-09-08 08:30:00", None),
            ("after you have paid", None),
            ("Limit 6000, Used 97050, Requested 3619", None),
        ] {
            let got = from_text(text, now);
            assert!(got == seconds || got.zip(seconds).is_some_and(|(a, b)| (a - b).abs() < 1e-9), "{text}: {got:?}");
        }
        let retry = serde_json::json!({"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.957525076s"}]});
        assert_eq!(from_error(&retry, &[]), Some(3.957_525_076));
        assert_eq!(from_error(&serde_json::json!({"resets_in_seconds": 12}), &[]), Some(12.0));
    }
}
