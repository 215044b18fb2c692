//! What is known of a model by its name, where the wire asks differently of each.

/// Whose model it is, and of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    pub maker: Maker,
    pub thinks: Thinks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// Of version 2.5 and before. Names without a version are not among them.
    GeminiTwo,
    /// Of version 3 and later.
    GeminiThree,
    Claude,
    /// Gemma, and whatever else is served.
    Other,
}

/// How a model is asked to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinks {
    Never,
    /// By a number of tokens; whether it may be none, and what it lies between otherwise.
    Budget {
        off: Off,
        least: u64,
        most: u64,
    },
    /// By a word; these it takes.
    Level(&'static [Level]),
}

/// Whether thinking can be turned off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    Can,
    Cannot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Minimal,
    Low,
    Medium,
    High,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "MINIMAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

impl Family {
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        let has = |part: &str| name.contains(part);
        if name.starts_with("claude") {
            return Self { maker: Maker::Claude, thinks: Thinks::Budget { off: Off::Can, least: 1_024, most: 64_000 } };
        }
        let Some(rest) = name.strip_prefix("gemini-") else { return Self { maker: Maker::Other, thinks: Thinks::Never } };
        // `gemini-flash-latest` is always a model of the newest version.
        let (major, minor) = version(rest).unwrap_or((3, 0));
        let speaks = !["image", "tts", "embedding", "audio"].iter().any(|other| has(other));
        let thinks = match (major, minor) {
            _ if !speaks => Thinks::Never,
            (3.., minor) if has("pro") && (major, minor) < (3, 1) => Thinks::Level(&[Level::Low, Level::High]),
            (3.., _) if has("pro") => Thinks::Level(&[Level::Low, Level::Medium, Level::High]),
            (3.., _) => Thinks::Level(&[Level::Minimal, Level::Low, Level::Medium, Level::High]),
            (2, 5) if has("pro") => Thinks::Budget { off: Off::Cannot, least: 128, most: 32_768 },
            (2, 5) if has("lite") => Thinks::Budget { off: Off::Can, least: 512, most: 24_576 },
            (2, 5) => Thinks::Budget { off: Off::Can, least: 1, most: 24_576 },
            _ => Thinks::Never,
        };
        Self { maker: if major >= 3 { Maker::GeminiThree } else { Maker::GeminiTwo }, thinks }
    }
}

/// `2.5` of `2.5-flash-lite`.
fn version(rest: &str) -> Option<(u32, u32)> {
    let number = rest.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_version() {
        for (name, maker, thinks) in [
            ("gemini-2.5-flash", Maker::GeminiTwo, "Budget { off: Can, least: 1, most: 24576 }"),
            ("models/gemini-2.5-pro", Maker::GeminiTwo, "Budget { off: Cannot, least: 128, most: 32768 }"),
            ("gemini-2.5-flash-lite-preview-09", Maker::GeminiTwo, "Budget { off: Can, least: 512, most: 24576 }"),
            ("gemini-2.0-flash-001", Maker::GeminiTwo, "Never"),
            ("gemini-1.5-pro", Maker::GeminiTwo, "Never"),
            ("gemini-3-pro-preview", Maker::GeminiThree, "Level([Low, High])"),
            ("gemini-3.1-pro-preview-customtools", Maker::GeminiThree, "Level([Low, Medium, High])"),
            ("gemini-3-flash", Maker::GeminiThree, "Level([Minimal, Low, Medium, High])"),
            ("gemini-flash-latest", Maker::GeminiThree, "Level([Minimal, Low, Medium, High])"),
            ("gemini-10-ultra", Maker::GeminiThree, "Level([Minimal, Low, Medium, High])"),
            ("gemini-3-pro-image-preview", Maker::GeminiThree, "Never"),
            ("claude-sonnet-4-5-thinking", Maker::Claude, "Budget { off: Can, least: 1024, most: 64000 }"),
            ("gemma-4-31b-it", Maker::Other, "Never"),
        ] {
            let got = Family::of(name);
            assert_eq!((got.maker, format!("{:?}", got.thinks).as_str()), (maker, thinks), "{name}");
        }
    }
}
