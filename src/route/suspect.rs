//! Which pieces of a history a refusal is about, so that they are left out and the rest is sent again: one bad image must
//! not end a session.
//!
//! A provider names the item, or only lets it be guessed. What it took before is innocent at first: the suspects are
//! among the messages that are new to it. If that does not help, all of the kind are.

use super::link::Link;
use super::router::Operation;
use crate::base::text;
use crate::model::aside::{self, Kind, Piece};
use crate::model::blame::{ImageFault, Item};
use crate::model::{Class, History, Message, Origin, ProviderError, Scope};
use crate::session::Quarantine;

/// How often in a row something is left out of one call before the refusal stands.
const ROUNDS: u32 = 4;

/// What a link has taken, and how often its refusals were answered in this call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record {
    /// How many messages were part of a request that it answered.
    pub accepted: usize,
    pub rounds: u32,
}

/// What was left out in the course of one call.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    rounds: u32,
}

impl Suspects {
    /// Leaves out of a request what this refusal is about, if that can be told. The link is as good as before.
    pub fn take_out(&mut self, operation: &mut Operation, link: &Link, error: &ProviderError) -> Option<Quarantine> {
        let Operation::Generate(request) = operation else { return None };
        let record = Record { accepted: link.accepted(), rounds: self.rounds };
        let quarantine = suspects(&request.messages, error, &link.origin, record)?;
        request.messages = aside::set_aside(&request.messages, &|p| quarantine.pieces.contains(p), &quarantine.why);
        self.rounds += 1;
        Some(quarantine)
    }
}

/// What to leave out after this refusal by `origin`; none where nothing can be blamed.
pub fn suspects(history: &History, error: &ProviderError, origin: &Origin, record: Record) -> Option<Quarantine> {
    if error.class != Class::BadRequest || error.scope != Scope::Request || record.rounds >= ROUNDS {
        return None;
    }
    let kinds: &[Kind] = match error.blames.as_ref().map(|b| b.item) {
        Some(Item::Signature { .. }) => &[Kind::Signature, Kind::Opaque],
        Some(Item::Image { .. }) => &[Kind::Image],
        Some(Item::Document) => &[Kind::Document],
        Some(Item::ToolPair | Item::Order | Item::Message) => &[Kind::Signature, Kind::Opaque, Kind::Image, Kind::Document],
        // Nothing is named. Only what this provider has never taken can be the cause.
        None => &[Kind::Image, Kind::Document, Kind::Signature, Kind::Opaque],
    };
    let largest_only = matches!(error.blames.as_ref().map(|b| b.item), Some(Item::Image { why: ImageFault::TooLarge }));
    let fresh = sent(history.iter().skip(record.accepted), kinds, origin);
    let found = match (fresh.is_empty(), error.blames.is_some()) {
        (false, _) if largest_only && record.rounds + 1 < ROUNDS => largest(fresh),
        (false, _) => fresh,
        (true, true) => sent(history.iter(), kinds, origin),
        (true, false) => Vec::new(),
    };
    let mut pieces: Vec<Piece> = found.into_iter().map(|(piece, _)| piece).collect();
    pieces.sort_unstable();
    pieces.dedup();
    if pieces.is_empty() {
        return None;
    }
    let why = format!("{} refused it ({})", origin.provider, text::one_line(&error.message, 120));
    Some(Quarantine { pieces, why, provider: origin.provider.clone() })
}

/// The pieces of these kinds that were part of the request, with their sizes. Signatures and opaque blocks go only home.
fn sent<'m>(messages: impl Iterator<Item = &'m std::sync::Arc<Message>>, kinds: &[Kind], origin: &Origin) -> Vec<(Piece, usize)> {
    let mine = |m: &Message| m.origin.is_none() || m.origin.as_ref() == Some(origin);
    messages
        .filter(|m| aside::holds(m, kinds))
        .flat_map(|m| {
            let home = mine(m);
            aside::sized(m).filter(move |(p, _)| home || matches!(p.piece, Kind::Image | Kind::Document)).collect::<Vec<_>>()
        })
        .filter(|(p, _)| kinds.contains(&p.piece))
        .collect()
}

fn largest(pieces: Vec<(Piece, usize)>) -> Vec<(Piece, usize)> {
    pieces.into_iter().max_by_key(|(_, size)| *size).into_iter().collect()
}

/// The quarantine in words, for a person.
pub fn told(quarantine: &Quarantine) -> String {
    let count = |kind: Kind| quarantine.pieces.iter().filter(|p| p.piece == kind).count();
    let each = [Kind::Image, Kind::Document, Kind::Signature, Kind::Opaque].into_iter().filter_map(|kind| match count(kind) {
        0 => None,
        1 => Some(kind.as_str().to_owned()),
        n => Some(format!("{} ({n} times)", kind.as_str())),
    });
    let what = each.collect::<Vec<_>>().join(" and ");
    format!("{what} of this conversation will not be sent any more: {}", quarantine.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::blame::SignatureFault;
    use crate::model::{Blame, Block, ImageSource, Role};

    fn origin(provider: &str) -> Origin {
        Origin { provider: provider.into(), account: None, model: "m".into() }
    }

    fn image(data: &str) -> Message {
        let source = ImageSource::Inline { media_type: "image/png".into(), data: data.into() };
        Message::new(Role::User, vec![Block::Image { source }])
    }

    fn thought(provider: &str, signature: &str) -> Message {
        let blocks = vec![
            Block::Thinking { text: "t".into(), signature: Some(signature.into()), redacted: false },
            Block::Text { text: "x".into() },
        ];
        Message { origin: Some(origin(provider)), ..Message::new(Role::Assistant, blocks) }
    }

    fn refusal(item: Option<Item>) -> ProviderError {
        let mut error = ProviderError::new(Class::BadRequest, Scope::Request, "no");
        error.blames = item.map(|i| Box::new(Blame::of(i)));
        error
    }

    fn history() -> History {
        [image("small"), thought("a", "s1"), image("by far the largest"), thought("b", "s2"), image("middle one")].into_iter().collect()
    }

    /// Kinds and number of pieces left out one round after the other, until nothing is.
    fn rounds(error: &ProviderError, accepted: usize) -> Vec<Vec<Kind>> {
        let (mut history, mut record, mut all) = (history(), Record { accepted, rounds: 0 }, Vec::new());
        while let Some(q) = suspects(&history, error, &origin("a"), record) {
            all.push(q.pieces.iter().map(|p| p.piece).collect());
            let before = history.clone();
            history = aside::set_aside(&history, &|p| q.pieces.contains(p), &q.why);
            assert_ne!(before, history, "each round leaves something out");
            record.rounds += 1;
        }
        all
    }

    #[test]
    fn what_is_named_goes_first_among_what_is_new_then_everywhere() {
        use Kind::{Image, Signature};
        let too_large = refusal(Some(Item::Image { why: ImageFault::TooLarge }));
        assert_eq!(rounds(&too_large, 0), [vec![Image], vec![Image], vec![Image]]);
        assert_eq!(rounds(&too_large, 4), [vec![Image], vec![Image, Image]]);
        let unreadable = refusal(Some(Item::Image { why: ImageFault::Unreadable }));
        assert_eq!(rounds(&unreadable, 2), [vec![Image, Image], vec![Image]]);
        let signature = refusal(Some(Item::Signature { why: SignatureFault::Invalid }));
        assert_eq!(rounds(&signature, 5), [vec![Signature]], "another provider's was never sent");
        assert_eq!(rounds(&refusal(None), 5), Vec::<Vec<Kind>>::new());
        assert_eq!(rounds(&refusal(None), 4), [vec![Image]]);
    }

    #[test]
    fn only_a_refusal_of_the_request_blames_it() {
        for (class, scope) in [(Class::BadRequest, Scope::Model), (Class::Auth, Scope::Key), (Class::ContextTooLong, Scope::Request)] {
            let error = ProviderError { class, scope, ..refusal(Some(Item::Document)) };
            assert_eq!(suspects(&history(), &error, &origin("a"), Record::default()), None);
        }
    }

    #[test]
    fn it_is_told_in_one_line() {
        let q = suspects(&history(), &refusal(Some(Item::Image { why: ImageFault::Format })), &origin("a"), Record::default()).unwrap();
        assert_eq!(told(&q), "an image (3 times) of this conversation will not be sent any more: a refused it (no)");
    }
}
