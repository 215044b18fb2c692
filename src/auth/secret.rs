//! A secret's value: shown to nobody by accident, wiped from memory when it is dropped.

use std::fmt;
use zeroize::Zeroizing;

/// The value of a key or a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value, for the one place that it is meant for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Enough to tell two secrets apart: `sk-...abcd`. Short ones show nothing.
    pub fn masked(&self) -> String {
        let chars = self.0.chars().count();
        if chars < 16 {
            return "...".to_owned();
        }
        let head: String = self.0.chars().take(3).collect();
        let tail: String = self.0.chars().skip(chars - 4).collect();
        format!("{head}...{tail}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_its_ends_when_asked_and_nothing_otherwise() {
        let secret = Secret::new("sk-proj-canary-0123456789abcd");
        assert_eq!((format!("{secret:?}").as_str(), secret.masked().as_str()), ("Secret(...)", "sk-...abcd"));
        assert_eq!(Secret::new("fifteen-chars-x").masked(), "...");
        assert_eq!(Secret::new("ключ-из-шестнадцати").masked(), "клю...цати");
    }
}
