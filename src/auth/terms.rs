//! What a user has agreed to, and when: `<state>/terms.json`. Terms whose text has changed since have to be read again.

use crate::base::clock;
use crate::base::lock::FileLock;
use crate::base::places::Places;
use crate::base::{Failure, atomic, digest};
use crate::catalog::manifest::TermsOfUse;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything agreed to, by provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Agreements(BTreeMap<String, Agreement>);

/// One agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// RFC 3339.
    pub at: String,
    /// SHA-256 of what was shown.
    pub text: String,
}

impl Agreements {
    /// What is recorded. A damaged file records nothing: asking once more does no harm.
    pub fn load(places: &Places) -> Self {
        std::fs::read(path(places)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// The agreement to these very terms.
    pub fn to(&self, provider: &str, terms: &TermsOfUse) -> Option<&Agreement> {
        self.0.get(provider).filter(|a| a.text == digest_of(terms))
    }

    /// Records that the user has said yes, now.
    pub fn record(places: &Places, provider: &str, terms: &TermsOfUse) -> Result<(), Failure> {
        let path = path(places);
        let lock = path.with_extension("lock");
        let _held = FileLock::take(&lock, Duration::from_secs(10)).map_err(|e| Failure::io("lock", &lock, &e))?;
        let mut all = Self::load(places);
        let at = clock::rfc3339(clock::unix_ms());
        all.0.insert(provider.to_owned(), Agreement { at, text: digest_of(terms) });
        let text = serde_json::to_string_pretty(&all).map_err(|e| Failure::internal(e.to_string()))? + "\n";
        atomic::write(&path, text.as_bytes(), false).map_err(|e| Failure::io("write", &path, &e))
    }
}

fn path(places: &Places) -> PathBuf {
    places.state.join("terms.json")
}

fn digest_of(terms: &TermsOfUse) -> String {
    digest::sha256([terms.paragraphs.join("\n"), terms.links.join("\n")].join("\n\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agreement_is_to_one_text_of_one_provider() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::under(home.path());
        let terms = |text: &str| TermsOfUse { paragraphs: vec![text.to_owned()], links: Vec::new() };
        Agreements::record(&places, "a", &terms("one")).unwrap();
        Agreements::record(&places, "b", &terms("two")).unwrap();
        let all = Agreements::load(&places);
        assert!(all.to("a", &terms("one")).is_some_and(|a| a.at.starts_with("20") && a.at.ends_with('Z')));
        assert!(all.to("b", &terms("two")).is_some());
        assert_eq!((all.to("a", &terms("one, changed")), all.to("c", &terms("one"))), (None, None));
        std::fs::write(path(&places), "{").unwrap();
        assert_eq!(Agreements::load(&places), Agreements::default());
    }
}
