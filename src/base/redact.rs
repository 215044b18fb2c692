//! Secrets replaced before anything is written, logged or shown to a model.
//!
//! Three sources: values that are known to be secret (keys in use, environment variables with a secret's name),
//! text in the shape of a vendor's token, and assignments to a secret's name. A value counts from 12 characters on;
//! below that the replacement would damage ordinary text.

use regex::{Captures, Regex};
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard};

/// What every replacement starts with; tools refuse to write text that contains it back into a file.
pub const MARK: &str = "[redacted:";

/// The shortest value that is treated as a secret, in characters.
pub const MIN_SECRET: usize = 12;

/// Shapes that vendors give their tokens; the name before the expression becomes the label.
///
/// Word boundaries are those of ASCII, here and below: a token is ASCII, so it ends a word of any other script, where
/// there may be no space between them; and text in such scripts stays on the fast path of the regex engine.
static SHAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<openai>(?-u:\b)sk-[A-Za-z0-9_\-]{12,})",
        r"|(?P<github>(?-u:\b)(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}))",
        r"|(?P<gitlab>(?-u:\b)glpat-[A-Za-z0-9_\-]{12,})",
        r"|(?P<slack>(?-u:\b)xox[abeoprs]-[A-Za-z0-9\-]{10,})",
        r"|(?P<aws>(?-u:\b)(?:AKIA|ASIA)[0-9A-Z]{16}(?-u:\b))",
        r"|(?P<google>(?-u:\b)(?:AIza[0-9A-Za-z_\-]{30,}|ya29\.[0-9A-Za-z_\-]{20,}|GOCSPX-[0-9A-Za-z_\-]{12,}))",
        r"|(?P<provider>(?-u:\b)(?:gsk_|csk-|hf_|r8_|pplx-|tgp_v1_|xai-|syn_|nvapi-|dop_v1_|npm_|pypi-)[A-Za-z0-9_\-]{16,})",
        r"|(?P<stripe>(?-u:\b)(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{12,})",
        r"|(?P<jwt>(?-u:\b)eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,})",
        r"|(?P<bearer>(?i:(?-u:\b)bearer\s+)[A-Za-z0-9_\-.=+/]{16,})",
        r"|(?P<private_key>-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z))",
    ))
    .ok()
});

/// An assignment to a name that says "secret": `DB_PASSWORD=...`, `"api_key": "..."`, `token: "..."`.
static ASSIGNMENTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r#"(?P<head>(?P<name>(?-u:\b)[A-Za-z0-9_\-]*(?i:api[_\-]?key|apikey|access[_\-]?key|private[_\-]?key|secret|token|passw(?:or)?d|passphrase|credential)[A-Za-z0-9_\-]*)"#,
        r#"\\?["']?\s*[:=]\s*)(?:\\?"(?P<double>[^"\\\s]{12,})|'(?P<single>[^'\\\s]{12,})|(?P<bare>[A-Za-z0-9_\-+/=.~!@%^*]{12,}))"#,
    ))
    .ok()
});

/// Replaces secrets in text. Cheap to make; the shapes are compiled once a process, at first use. Copies share what they
/// know, because some secrets become known when the work is under way: a token that was renewed, a key out of the keyring.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Value and label, longest value first so that a secret inside another does not leave a rest.
    known: Arc<RwLock<Vec<(String, String)>>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("known", &self.known().len()).finish()
    }
}

impl Redactor {
    /// Learns every environment variable whose name says that it holds a secret.
    pub fn from_env(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let all = Self::default();
        for (name, value) in vars {
            if is_secret_name(&name) {
                for part in value.split(',') {
                    all.learn(&name, part.trim());
                }
                all.learn(&name, &value);
            }
        }
        all
    }

    /// Adds a value in use, e.g. a provider's key. Values under [`MIN_SECRET`] characters are ignored.
    pub fn learn(&self, label: &str, value: &str) {
        if value.chars().count() >= MIN_SECRET && !self.known().iter().any(|(v, _)| v == value) {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.push((value.to_owned(), label.to_owned()));
            known.sort_by_key(|(v, _)| std::cmp::Reverse(v.len()));
        }
    }

    fn known(&self) -> RwLockReadGuard<'_, Vec<(String, String)>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `text` with every secret replaced by `[redacted:LABEL]`.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        for (value, label) in self.known().iter() {
            if out.contains(value.as_str()) {
                out = Cow::Owned(out.replace(value.as_str(), &mark(label)));
            }
        }
        for rule in [Rule::Shape, Rule::Assignment] {
            if let Cow::Owned(new) = rule.apply(&out) {
                out = Cow::Owned(new);
            }
        }
        out
    }

    /// Redacts every string inside a JSON value, keys excepted.
    pub fn redact_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(s) => {
                if let Cow::Owned(new) = self.redact(s) {
                    *s = new;
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|v| self.redact_json(v)),
            serde_json::Value::Object(map) => {
                for (key, v) in map.iter_mut() {
                    match v {
                        serde_json::Value::String(s) if is_secret_name(key) && s.chars().count() >= MIN_SECRET && !s.contains(MARK) => {
                            *s = mark(key);
                        }
                        v => self.redact_json(v),
                    }
                }
            }
            _ => {}
        }
    }
}

#[derive(Clone, Copy)]
enum Rule {
    Shape,
    Assignment,
}

impl Rule {
    fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Shape => {
                SHAPES.as_ref().map_or(Cow::Borrowed(text), |re| re.replace_all(text, |c: &Captures<'_>| mark(shape_name(re, c))))
            }
            Self::Assignment => ASSIGNMENTS.as_ref().map_or(Cow::Borrowed(text), |re| replace_assignments(re, text)),
        }
    }
}

fn shape_name<'r>(re: &'r Regex, c: &Captures<'_>) -> &'r str {
    re.capture_names().flatten().find(|n| c.name(n).is_some()).unwrap_or("token")
}

/// Replaces only where the value can be one: a bare word must look random (letters and digits) unless the name is in
/// the style of an environment variable, so that `token = parse_next_token` in source code stays as it is.
fn replace_assignments<'t>(re: &Regex, text: &'t str) -> Cow<'t, str> {
    re.replace_all(text, |c: &Captures<'_>| {
        let whole = c.get(0).map_or("", |m| m.as_str());
        let (Some(head), Some(name)) = (c.name("head"), c.name("name")) else { return whole.to_owned() };
        let (value, quote) = match (c.name("double"), c.name("single"), c.name("bare")) {
            (Some(v), _, _) => (v.as_str(), if whole.contains("\\\"") && !head.as_str().ends_with('"') { "\\\"" } else { "\"" }),
            (_, Some(v), _) => (v.as_str(), "'"),
            (_, _, Some(v)) => (v.as_str(), ""),
            _ => return whole.to_owned(),
        };
        let random = value.bytes().any(|b| b.is_ascii_digit()) && value.bytes().any(|b| b.is_ascii_alphabetic());
        let shouting = name.as_str().len() >= 5 && !name.as_str().bytes().any(|b| b.is_ascii_lowercase());
        if value.contains(MARK) || (quote.is_empty() && !shouting && !random) {
            return whole.to_owned();
        }
        format!("{}{quote}{}", head.as_str(), mark(name.as_str()))
    })
}

fn mark(label: &str) -> String {
    format!("{MARK}{label}]")
}

/// Whether a variable or field of this name holds a secret. Names of counts and limits do not.
pub fn is_secret_name(name: &str) -> bool {
    let n = name.to_ascii_uppercase().replace('-', "_");
    let tail = |t: &str| n == t || n.ends_with(&format!("_{t}"));
    let numbered = n.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    let ends = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "PAT", "AUTHORIZATION"];
    ends.iter().any(|t| tail(t) || numbered.ends_with(&format!("_{t}")))
        || n.contains("APIKEY")
        || n.contains("API_KEY")
        || n.contains("SECRET")
        || n.contains("PASSWORD")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Redactor {
        Redactor::from_env(pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())))
    }

    #[test]
    fn known_values_go_wherever_they_stand() {
        let r = env(&[("MY_API_KEY", "canary-value-0001"), ("PATH", "/usr/bin:/bin:/sbin"), ("SHORT_TOKEN", "abc")]);
        assert_eq!(r.redact("x canary-value-0001 y"), "x [redacted:MY_API_KEY] y");
        assert_eq!(r.redact("PATH is /usr/bin:/bin:/sbin abc"), "PATH is /usr/bin:/bin:/sbin abc");
    }

    #[test]
    fn what_one_copy_learns_the_others_know_and_none_shows_it() {
        let first = Redactor::default();
        let second = first.clone();
        first.learn("LATE", "canary-value-0002");
        assert_eq!(second.redact("canary-value-0002"), "[redacted:LATE]");
        assert!(!format!("{second:?}").contains("canary"), "{second:?}");
    }

    #[test]
    fn several_keys_in_one_variable_are_each_known() {
        let r = env(&[("GEMINI_API_KEY", "first-key-123456,second-key-123456")]);
        assert_eq!(r.redact("second-key-123456"), "[redacted:GEMINI_API_KEY]");
    }

    #[test]
    fn token_shapes_are_found_without_being_known() {
        let r = Redactor::default();
        for t in [
            "sk-proj-abcdefghijklmnop",
            "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
            "AKIAIOSFODNN7EXAMPLE",
            "xoxb-1234567890-abcdef",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLWhlcmU",
            "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
        ] {
            let out = r.redact(t);
            assert!(out.starts_with(MARK) && !out.contains("abcdefgh"), "{t} -> {out}");
        }
    }

    #[test]
    fn a_script_without_spaces_does_not_hide_a_token() {
        let r = Redactor::default();
        assert_eq!(r.redact("密钥是sk-abcdefghijklmnop。"), "密钥是[redacted:openai]。");
        assert_eq!(r.redact("設定でapi_key=abcdefgh12345678を"), "設定でapi_key=[redacted:api_key]を");
    }

    #[test]
    fn assignments_to_secret_names_lose_their_value() {
        let r = Redactor::default();
        assert_eq!(
            r.redact("DB_PASSWORD=hunterhunterhunter\nPORT=123456789012345"),
            "DB_PASSWORD=[redacted:DB_PASSWORD]\nPORT=123456789012345"
        );
        assert_eq!(r.redact(r#"{"api_key": "abcdefghijkl"}"#), r#"{"api_key": "[redacted:api_key]"}"#);
        assert_eq!(r.redact("password: hunter2hunter2"), "password: [redacted:password]");
    }

    #[test]
    fn ordinary_code_and_hashes_stay() {
        let r = Redactor::default();
        for s in [
            "let token = parse_next_token(input);",
            "max_tokens: 4096, prompt_tokens: 123456",
            "commit 3f786850e387550fdab836ed7e6dc881de23001b",
            "integrity sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
            "fn tokenizer_settings() -> TokenizerSettings",
        ] {
            assert_eq!(r.redact(s), s);
        }
    }

    #[test]
    fn json_fields_with_a_secret_name_lose_their_value() {
        let mut v = serde_json::json!({"password": "correct horse battery", "n": 1, "list": ["sk-abcdefghijklmnop"]});
        Redactor::default().redact_json(&mut v);
        assert_eq!(v, serde_json::json!({"password": "[redacted:password]", "n": 1, "list": ["[redacted:openai]"]}));
    }

    #[test]
    fn secret_names() {
        for yes in ["OPENAI_API_KEY", "GOOGLE_AI_KEY_2", "GH_TOKEN", "client_secret", "db-password", "API_KEY_1"] {
            assert!(is_secret_name(yes), "{yes}");
        }
        for no in ["PATH", "MAX_TOKENS", "KEYBOARD", "PATCH", "MONKEY", "TOKENIZER"] {
            assert!(!is_secret_name(no), "{no}");
        }
    }
}
