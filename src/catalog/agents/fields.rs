//! Takes an agent file's keys one by one and gathers what is wrong with them, so that one look shows every fault.

use super::finding::Finding;
use super::tree::{Datum, Entry, Node, Spot};
use crate::base::nearest;
use std::ops::RangeInclusive;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct At<T> {
    pub value: T,
    pub at: Spot,
}

/// The keys that were not taken yet, and the findings so far.
#[derive(Debug)]
pub struct Fields {
    entries: Vec<Entry>,
    /// Every key that such a file may have.
    known: &'static [&'static str],
    pub findings: Vec<Finding>,
}

impl Fields {
    /// `form` says what such a file is, for the error where the tree is no group of keys.
    pub fn new(tree: Node, form: &str, known: &'static [&'static str]) -> Result<Self, Finding> {
        let entries = match tree.datum {
            Datum::Map(entries) => entries,
            Datum::Null => Vec::new(),
            other => return Err(Finding::error(format!("{form} holds `key: value` pairs, not {}", other.kind())).at(tree.at)),
        };
        Ok(Self { entries, known, findings: Vec::new() })
    }

    pub fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The key's value, whatever it is; a null is as good as absent.
    pub fn take(&mut self, key: &str) -> Option<Node> {
        let ix = self.entries.iter().position(|e| e.key == key)?;
        let value = self.entries.remove(ix).value;
        (!matches!(value.datum, Datum::Null)).then_some(value)
    }

    pub fn text(&mut self, key: &str) -> Option<At<String>> {
        let node = self.take(key)?;
        match node.datum {
            Datum::Text(value) => Some(At { value, at: node.at }),
            other => {
                self.wrong(key, node.at, "text", &other);
                None
            }
        }
    }

    /// A text that must be there and not be blank. Its lack is reported by [`Self::finish`], which knows what stands
    /// there instead.
    pub fn required(&mut self, key: &str) -> Option<At<String>> {
        let there = self.entries.iter().any(|e| e.key == key);
        let text = self.text(key);
        if text.as_ref().is_some_and(|t| !t.value.trim().is_empty()) {
            return text;
        }
        if there && self.findings.iter().all(|f| f.key.as_deref() != Some(key)) {
            let finding = Finding::error(format!("`{key}` is empty")).key(key);
            self.report(text.map_or(finding.clone(), |t| finding.at(t.at)));
        } else if !there {
            let lack = format!("there is no `{key}`");
            let finding = match self.meant(key) {
                Some(wrong) => Finding::error(format!("{lack}, and `{}` is not a known key", wrong.value))
                    .at(wrong.at)
                    .hint(format!("did you mean `{key}`?")),
                None => Finding::error(lack).at(Spot::line(1)),
            };
            self.report(finding.key(key));
        }
        None
    }

    /// A list of words, or one text with commas between them.
    pub fn names(&mut self, key: &str) -> Option<Vec<At<String>>> {
        let node = self.take(key)?;
        match node.datum {
            Datum::Text(text) => Some(words(&text).into_iter().map(|value| At { value, at: node.at }).collect()),
            Datum::List(items) => {
                let mut all = Vec::new();
                for item in items {
                    match item.datum {
                        Datum::Text(value) => all.push(At { value, at: item.at }),
                        other => self.wrong(key, item.at, "a list of names", &other),
                    }
                }
                Some(all)
            }
            other => {
                self.wrong(key, node.at, "a list of names", &other);
                None
            }
        }
    }

    pub fn number(&mut self, key: &str, allowed: RangeInclusive<f64>) -> Option<f64> {
        let node = self.take(key)?;
        let (low, high) = (allowed.start(), allowed.end());
        match node.datum {
            Datum::Number(n) if allowed.contains(&n) => return Some(n),
            Datum::Number(n) => {
                self.report(Finding::error(format!("`{key}` must be between {low} and {high}, not {n}")).at(node.at).key(key));
            }
            other => self.wrong(key, node.at, "a number", &other),
        }
        None
    }

    /// A whole number from 1.
    pub fn count(&mut self, key: &str) -> Option<u32> {
        let node = self.take(key)?;
        match node.datum {
            Datum::Number(n) if n.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&n) => return Some(n as u32),
            Datum::Number(n) => {
                self.report(Finding::error(format!("`{key}` must be a whole number of at least 1, not {n}")).at(node.at).key(key));
            }
            other => self.wrong(key, node.at, "a number", &other),
        }
        None
    }

    /// What was not taken is unknown: an error each, with the nearest of the keys that there are.
    pub fn refuse_rest(&mut self) {
        for entry in std::mem::take(&mut self.entries) {
            let hint = nearest::did_you_mean(&entry.key, self.known.iter().copied())
                .unwrap_or_else(|| format!("the keys are {}", self.known.join(", ")));
            self.report(Finding::error(format!("`{}` is not a known key", entry.key)).at(entry.at).key(&entry.key).hint(hint));
        }
    }

    /// What was not taken, with its places.
    pub fn rest(&mut self) -> Vec<At<String>> {
        std::mem::take(&mut self.entries).into_iter().map(|e| At { value: e.key, at: e.at }).collect()
    }

    pub fn wrong(&mut self, key: &str, at: Spot, wanted: &str, found: &Datum) {
        let finding = Finding::error(format!("`{key}` must be {wanted}, not {}", found.kind())).at(at).key(key);
        let quotable = wanted == "text" && matches!(found, Datum::Bool | Datum::Number(_));
        self.report(if quotable { finding.hint("put it in quotes") } else { finding });
    }

    /// Takes a key that looks like `key` misspelt, so that it is not reported twice.
    fn meant(&mut self, key: &str) -> Option<At<String>> {
        let strange = self.entries.iter().map(|e| e.key.as_str()).filter(|k| !self.known.contains(k));
        let wrong = nearest::nearest(key, strange).first().copied()?;
        let ix = self.entries.iter().position(|e| e.key == wrong)?;
        let entry = self.entries.remove(ix);
        Some(At { value: entry.key, at: entry.at })
    }
}

/// The words between commas and line ends, without the dashes of a list; commas inside of brackets do not count.
fn words(text: &str) -> Vec<String> {
    let (mut depth, mut word, mut all) = (0_u32, String::new(), Vec::new());
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' | '\n' if depth == 0 => {
                all.push(std::mem::take(&mut word));
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    all.push(word);
    let clean = |w: &String| {
        let w = w.trim();
        w.strip_prefix("- ").unwrap_or(w).trim().to_owned()
    };
    all.iter().map(clean).filter(|w| !w.is_empty()).collect()
}
