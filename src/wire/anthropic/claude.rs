//! What a Claude's name says of what its server takes: versions differ in thinking, sampling and length of output.
//!
//! Sources: the protocol notes (adaptive thinking from 4.6 on), the vendor's migration notes (4.1: one of temperature and
//! top_p; 4.7: neither, and no thinking budgets), and its model list for the lengths.

/// A Claude's version: `claude-opus-4-5-20251101` is 4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claude {
    major: u32,
    minor: u32,
}

/// How a model is asked to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinks {
    Never,
    /// With a budget of tokens.
    Budget,
    /// As much as it finds right, by an effort.
    Adaptive,
}

/// What a model takes of temperature and `top_p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    Both,
    OneOfThem,
    None,
}

impl Claude {
    /// Reads a model's name, in whatever spelling a reseller gives it. Nothing for other models, and for names without
    /// a version.
    pub fn of(model: &str) -> Option<Self> {
        let (_, rest) = model.split_once("claude")?;
        let mut words = rest.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
        // A date has eight digits, a version at most two.
        let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
        let major = words.by_ref().find_map(number)?;
        Some(Self { major, minor: words.next().and_then(number).unwrap_or(0) })
    }

    fn since(self, major: u32, minor: u32) -> bool {
        self >= Self { major, minor }
    }

    pub fn thinks(self) -> Thinks {
        if self.since(4, 6) {
            Thinks::Adaptive
        } else if self.since(3, 7) {
            Thinks::Budget
        } else {
            Thinks::Never
        }
    }

    /// Whether it can think between tool calls.
    pub fn interleaves(self) -> bool {
        self.since(4, 0)
    }

    pub fn sampling(self) -> Sampling {
        if self.since(4, 7) {
            Sampling::None
        } else if self.since(4, 1) {
            Sampling::OneOfThem
        } else {
            Sampling::Both
        }
    }

    /// A bound of the output that every model of this version takes, in tokens.
    pub fn output(self) -> u64 {
        if self.since(4, 0) {
            MAX_DEFAULT_OUTPUT
        } else if self.since(3, 5) {
            8_192
        } else {
            4_096
        }
    }
}

/// The most that is asked for unasked: more would eat into the window of models that count it against the input.
pub const MAX_DEFAULT_OUTPUT: u64 = 32_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_all_spellings() {
        for (name, version) in [
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-opus-4-5-20251101", Some((4, 5))),
            ("claude-3-5-haiku-20241022", Some((3, 5))),
            ("claude-3-opus-20240229", Some((3, 0))),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some((4, 5))),
            ("anthropic/claude-opus-4.6", Some((4, 6))),
            ("claude-sonnet-5", Some((5, 0))),
            ("claude-2.1", Some((2, 1))),
            ("claude-latest", None),
            ("glm-4.7", None),
        ] {
            assert_eq!(Claude::of(name).map(|c| (c.major, c.minor)), version, "{name}");
        }
    }

    #[test]
    fn what_versions_take() {
        let of = |name: &str| Claude::of(name).map(|c| (c.thinks(), c.sampling(), c.output())).unwrap();
        assert_eq!(of("claude-3-haiku-20240307"), (Thinks::Never, Sampling::Both, 4096));
        assert_eq!(of("claude-3-7-sonnet-20250219"), (Thinks::Budget, Sampling::Both, 8192));
        assert_eq!(of("claude-haiku-4-5"), (Thinks::Budget, Sampling::OneOfThem, 32000));
        assert_eq!(of("claude-opus-4-6"), (Thinks::Adaptive, Sampling::OneOfThem, 32000));
        assert_eq!(of("claude-opus-4-7"), (Thinks::Adaptive, Sampling::None, 32000));
    }
}
