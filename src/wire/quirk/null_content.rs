//! `null-content`: the server's parser wants the key `content` in every message, be it null.

use super::Quirk;

/// How an assistant message without text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingContent {
    #[default]
    LeaveOut,
    Null,
}

pub(super) const QUIRK: Quirk = Quirk {
    name: "null-content",
    what: "writes `\"content\":null` beside tool calls instead of leaving it out",
    apply: |dialect| dialect.missing_content = MissingContent::Null,
};
