//! Which calls run, which are asked about, which are refused: by their effect, never by their name.

use crate::tool::Effect;
use serde::{Deserialize, Serialize};

/// How much a run may do without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approve {
    /// Everything but reading is asked about.
    Ask,
    /// Edits inside the workspace run; commands and the network are asked about.
    Edits,
    All,
    /// Only reading; nothing is asked.
    ReadOnly,
}

/// The kinds of effect that can be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Writes,
    Exec,
    Network,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Ask,
    Deny,
}

impl Kind {
    /// None for effects that nobody has to approve.
    pub const fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::ReadOnly => None,
            Effect::Writes(_) => Some(Self::Writes),
            Effect::Exec => Some(Self::Exec),
            Effect::Network => Some(Self::Network),
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writes => "edits",
            Self::Exec => "commands",
            Self::Network => "network access",
        }
    }
}

impl Approve {
    pub const fn decide(self, kind: Option<Kind>) -> Decision {
        match (self, kind) {
            (_, None) | (Self::All, Some(_)) | (Self::Edits, Some(Kind::Writes)) => Decision::Allow,
            (Self::ReadOnly, Some(_)) => Decision::Deny,
            (Self::Ask, Some(_)) | (Self::Edits, Some(Kind::Exec | Kind::Network)) => Decision::Ask,
        }
    }

    /// The mode after a person said "always" to a call of this kind. Allowing commands allows edits as well: a command
    /// can make any of them.
    #[must_use]
    pub const fn widened(self, kind: Kind) -> Self {
        match kind {
            Kind::Writes => Self::Edits,
            Kind::Exec | Kind::Network => Self::All,
        }
    }
}

/// Splits calls into batches that keep their order: neighbours that only read run side by side, everything else alone.
pub fn batches(kinds: &[Option<Kind>]) -> Vec<std::ops::Range<usize>> {
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    let mut reading = false;
    for (ix, kind) in kinds.iter().enumerate() {
        match out.last_mut() {
            Some(last) if reading && kind.is_none() => last.end = ix + 1,
            _ => out.push(ix..ix + 1),
        }
        reading = kind.is_none();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_decides_by_effect() {
        let rows = [
            (Approve::Ask, Decision::Ask, Decision::Ask),
            (Approve::Edits, Decision::Allow, Decision::Ask),
            (Approve::All, Decision::Allow, Decision::Allow),
            (Approve::ReadOnly, Decision::Deny, Decision::Deny),
        ];
        for (mode, writes, exec) in rows {
            assert_eq!(mode.decide(None), Decision::Allow);
            assert_eq!((mode.decide(Some(Kind::Writes)), mode.decide(Some(Kind::Exec))), (writes, exec), "{mode:?}");
        }
    }

    #[test]
    fn reads_run_together_and_effects_alone_and_in_order() {
        let (r, w) = (None, Some(Kind::Writes));
        assert_eq!(batches(&[r, r, w, w, r, r, r]), [0..2, 2..3, 3..4, 4..7]);
        assert_eq!(batches(&[]), Vec::<std::ops::Range<usize>>::new());
    }
}
