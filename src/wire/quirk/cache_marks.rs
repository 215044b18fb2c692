//! `claude-cache-marks` and `no-cache-marks`: who is told where a prompt may be cached.
//!
//! Anthropic's own wire is told always, unless its provider takes no marks. OpenRouter hands marks on to Claude, inside
//! the content's parts, and beside the content of tool messages; its other models cache by themselves.

use super::Quirk;

/// Whether marks are placed where a request has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Marks {
    /// On Anthropic's wire they are, on others they are not.
    #[default]
    ByWire,
    /// On this wire too, for models of Anthropic.
    Claude,
    Never,
}

impl Marks {
    /// Whether the messages to this model are written so that marks fit in, on a wire that does not need it.
    pub fn are_for(self, model: &str) -> bool {
        self == Self::Claude && (model.contains("claude") || model.starts_with("anthropic/"))
    }
}

pub(super) const CLAUDE: Quirk = Quirk {
    name: "claude-cache-marks",
    what: "models of Anthropic get marks for their prompt cache, as parts of the content",
    apply: |dialect| dialect.marks = Marks::Claude,
};

pub(super) const NEVER: Quirk = Quirk {
    name: "no-cache-marks",
    what: "places no marks for the prompt cache, also on Anthropic's wire",
    apply: |dialect| dialect.marks = Marks::Never,
};
