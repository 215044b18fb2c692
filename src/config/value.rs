//! A setting's value, read from text or from TOML and written back as a person would.

use super::keys::Kind;
use serde::{Serialize, Serializer};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// A value of a setting. Which variant a key has is decided by its [`Kind`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Count(u64),
    Duration(Duration),
    Flag(bool),
    /// US dollars; none is no limit.
    Amount(Option<f64>),
    Amounts(Vec<(String, f64)>),
}

impl Value {
    /// From an environment variable, a flag or `pup config set`. `None` where it does not fit `kind`.
    pub fn from_text(kind: Kind, text: &str) -> Option<Self> {
        let text = text.trim();
        match kind {
            Kind::Text => (!text.is_empty()).then(|| Self::Text(text.to_owned())),
            Kind::Path => Path::new(text).is_absolute().then(|| Self::Text(text.to_owned())),
            Kind::OneOf(words) => words.contains(&text).then(|| Self::Text(text.to_owned())),
            Kind::Count { least } => text.parse().ok().filter(|n| *n >= least && u32::try_from(*n).is_ok()).map(Self::Count),
            Kind::Duration => duration(text).map(Self::Duration),
            Kind::Flag => flag(text).map(Self::Flag),
            Kind::Amount => if matches!(text, "off" | "none") { Some(None) } else { amount(text).map(Some) }.map(Self::Amount),
            Kind::Amounts => amounts(text).map(Self::Amounts),
        }
    }

    /// From a value of a TOML file.
    pub fn from_toml(kind: Kind, value: &toml_edit::Value) -> Option<Self> {
        use toml_edit::Value as T;
        match (kind, value) {
            (Kind::Text | Kind::Path | Kind::OneOf(_) | Kind::Duration | Kind::Amount | Kind::Amounts, T::String(s)) => {
                Self::from_text(kind, s.value())
            }
            (Kind::Count { .. } | Kind::Duration | Kind::Amount, T::Integer(n)) => Self::from_text(kind, &n.value().to_string()),
            (Kind::Duration, T::Float(f)) => Duration::try_from_secs_f64(*f.value()).ok().filter(|d| !d.is_zero()).map(Self::Duration),
            (Kind::Amount, T::Float(f)) => Self::from_text(kind, &f.value().to_string()),
            (Kind::Flag, T::Boolean(b)) => Some(Self::Flag(*b.value())),
            _ => None,
        }
    }

    /// As a TOML value.
    pub fn to_toml(&self) -> toml_edit::Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Count(n) => i64::try_from(*n).unwrap_or(i64::MAX).into(),
            Self::Flag(b) => (*b).into(),
            Self::Amount(Some(n)) => (*n).into(),
            Self::Duration(_) | Self::Amount(None) | Self::Amounts(_) => self.to_string().into(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Count(n) => write!(f, "{n}"),
            Self::Duration(d) => f.write_str(&human(*d)),
            Self::Flag(b) => write!(f, "{b}"),
            Self::Amount(Some(n)) => write!(f, "{n}"),
            Self::Amount(None) => f.write_str("off"),
            Self::Amounts(all) => {
                let all: Vec<String> = all.iter().map(|(name, n)| format!("{name}={n}")).collect();
                f.write_str(&all.join(", "))
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(n) => serializer.serialize_u64(*n),
            Self::Flag(b) => serializer.serialize_bool(*b),
            Self::Amount(Some(n)) => serializer.serialize_f64(*n),
            Self::Text(_) | Self::Duration(_) | Self::Amount(None) | Self::Amounts(_) => serializer.collect_str(self),
        }
    }
}

/// As people write it in variables and flags; a TOML file has its own true and false.
fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Dollars, perhaps with their sign before them; nothing negative and no nonsense.
pub fn amount(text: &str) -> Option<f64> {
    let number: f64 = text.strip_prefix('$').unwrap_or(text).parse().ok()?;
    crate::model::money::Nanos::at_least(number).map(|_| number)
}

fn amounts(text: &str) -> Option<Vec<(String, f64)>> {
    let one = |pair: &str| {
        let (name, dollars) = pair.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some(())?;
        Some((name.to_owned(), amount(dollars.trim())?))
    };
    text.split(',').map(one).collect()
}

/// `90s`, `10m`, `1h30m`, `250ms`, or a bare number of seconds. Never zero.
pub fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "" if number == text => 1.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?)?;
        rest = tail;
    }
    (!total.is_zero()).then_some(total)
}

/// The shortest form that [`duration`] reads back as the same time, to the millisecond.
fn human(d: Duration) -> String {
    let ms = d.as_millis();
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.iter().find(|(_, size)| ms > 0 && ms.is_multiple_of(*size) && (ms / size < 120 || *size == 3_600_000)) {
        Some((unit, size)) => format!("{}{unit}", ms / size),
        None if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_and_nonsense_is_refused() {
        let read = |kind, text: &str| Value::from_text(kind, text).map(|v| v.to_string());
        for (text, shown) in [("50", "50"), ("$0.05", "0.05"), ("off", "off"), ("0", "0")] {
            assert_eq!(read(Kind::Amount, text).as_deref(), Some(shown), "{text}");
        }
        for bad in ["-1", "NaN", "inf", "five", "1e300", ""] {
            assert_eq!(read(Kind::Amount, bad), None, "{bad}");
        }
        assert_eq!(read(Kind::Amounts, "openai=5, xai = 2.50").as_deref(), Some("openai=5, xai=2.5"));
        for bad in ["openai", "=5", "a=-1", "a=1,,"] {
            assert_eq!(read(Kind::Amounts, bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let ms = |t: &str| duration(t).map(|d| d.as_millis());
        let rows =
            [("90s", 90_000), ("10m", 600_000), ("1h30m", 5_400_000), ("250ms", 250), ("45", 45_000), ("1.5", 1_500), ("2min", 120_000)];
        for (text, wanted) in rows {
            assert_eq!(ms(text), Some(wanted), "{text}");
        }
        for bad in ["", "0", "0s", "s", "5x", "-3s", "1m 30s", "10 m", "1.2.3s", "5m10", "99999999999999999999d", "1e3"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_written_so_that_they_read_back() {
        for (text, shown) in
            [("90s", "90s"), ("120", "2m"), ("60m", "1h"), ("1h30m", "90m"), ("1500ms", "1500ms"), ("3601", "3601s"), ("48h", "48h")]
        {
            let d = duration(text).unwrap();
            assert_eq!(human(d), shown);
            assert_eq!(duration(&human(d)), Some(d));
        }
    }
}
