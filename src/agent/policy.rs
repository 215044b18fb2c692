//! Which calls run, which are asked about, which are refused: by their effect, never by their name.

use crate::config::Approve;
use crate::tool::Effect;
use serde::{Deserialize, Serialize};

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

/// What the mode says to a call of this kind.
pub const fn decide(mode: Approve, kind: Option<Kind>) -> Decision {
    match (mode, kind) {
        (_, None) | (Approve::All, Some(_)) | (Approve::Edits, Some(Kind::Writes)) => Decision::Allow,
        (Approve::ReadOnly | Approve::Plan, Some(_)) => Decision::Deny,
        (Approve::Ask, Some(_)) | (Approve::Edits, Some(Kind::Exec | Kind::Network)) => Decision::Ask,
    }
}

/// The mode after a person said "always" to a call of this kind. Allowing commands allows edits as well: a command can
/// make any of them.
pub const fn widened(kind: Kind) -> Approve {
    match kind {
        Kind::Writes => Approve::Edits,
        Kind::Exec | Kind::Network => Approve::All,
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
            (Approve::Plan, Decision::Deny, Decision::Deny),
        ];
        for (mode, writes, exec) in rows {
            assert_eq!(decide(mode, None), Decision::Allow);
            assert_eq!((decide(mode, Some(Kind::Writes)), decide(mode, Some(Kind::Exec))), (writes, exec), "{mode:?}");
        }
    }

    #[test]
    fn reads_run_together_and_effects_alone_and_in_order() {
        let (r, w) = (None, Some(Kind::Writes));
        assert_eq!(batches(&[r, r, w, w, r, r, r]), [0..2, 2..3, 3..4, 4..7]);
        assert_eq!(batches(&[]), Vec::<std::ops::Range<usize>>::new());
    }
}
