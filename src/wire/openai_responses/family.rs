//! What is known of OpenAI's models by their names, as far as a request depends on it. Proxies put a vendor before them
//! (`openai/gpt-5`). Of other names nothing is known, and nothing is taken away.

/// A model of the `gpt` or `o` series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family<'a> {
    /// `(5, 2)` of `gpt-5.2-codex`; the `o` series has none.
    pub version: Option<(u32, u32)>,
    /// What follows the number.
    variant: &'a str,
}

impl<'a> Family<'a> {
    pub fn of(model: &'a str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let digits = |text: &'a str| text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
        if let Some(rest) = name.strip_prefix("gpt-").or_else(|| name.strip_prefix("chatgpt-")) {
            let (major, rest) = digits(rest);
            let (minor, rest) = rest.strip_prefix('.').map_or(("0", rest), digits);
            return Some(Self { version: Some((major.parse().ok()?, minor.parse().ok()?)), variant: rest });
        }
        let (number, variant) = digits(name.strip_prefix('o')?);
        (!number.is_empty()).then_some(Self { version: None, variant })
    }

    /// Whether it thinks before it answers. Such a model takes no sampling, and gives its reasoning in encrypted form; the
    /// others refuse to be asked for that, or for an effort.
    pub fn reasons(self) -> bool {
        self.version.is_none_or(|(major, _)| major >= 5) && !self.variant.starts_with("-chat")
    }

    /// Whether its variant has this word in it.
    pub fn is(self, word: &str) -> bool {
        self.variant.split('-').any(|part| part == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_variants_are_told_from_the_name() {
        for (name, version, reasons) in [
            ("gpt-5-mock", Some((5, 0)), true),
            ("gpt-5.2-codex", Some((5, 2)), true),
            ("openai/gpt-5-nano", Some((5, 0)), true),
            ("gpt-5-chat-latest", Some((5, 0)), false),
            ("gpt-4.1-mini", Some((4, 1)), false),
            ("gpt-4o", Some((4, 0)), false),
            ("gpt-3.5-turbo", Some((3, 5)), false),
            ("chatgpt-4o-latest", Some((4, 0)), false),
            ("o3", None, true),
            ("o4-mini-2025-04-16", None, true),
            ("gpt-10.11", Some((10, 11)), true),
        ] {
            let family = Family::of(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((family.version, family.reasons()), (version, reasons), "{name}");
        }
        for other in ["grok-4", "gpt-oss-120b", "openai/gpt-oss-20b", "olmo", "codex-mini-latest", ""] {
            assert_eq!(Family::of(other), None, "{other}");
        }
        let mini = Family::of("gpt-5.1-codex-mini").unwrap();
        assert!(mini.is("codex") && mini.is("mini") && !mini.is("max"));
    }
}
