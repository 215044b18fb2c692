//! One way to a model, and how it is spoken to.

use super::budget::{Rates, Size, Tariff};
use super::cooldown::Identity;
use super::cost::cost_usd;
use super::gate::Described;
use super::health::Quota;
use super::rotation::Candidate;
use crate::auth::KeyId;
use crate::base::clock::Moment;
use crate::catalog::{Billing, Price, Slimmer};
use crate::model::aside::Kind;
use crate::model::history::Mark;
use crate::model::{Class, EmbedRequest, Origin, ProviderError, Request, ToolSpec, Usage};
use crate::provider::Provider;
use crate::wire::ops::{self, Call};
use crate::wire::quirk::{self, Calls, Dialect, ReplyFilter};
use crate::wire::{Encoded, Encoder};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One way to a model: a provider and the name under which it knows the model.
#[derive(Debug)]
pub struct Link {
    /// Our id of the model: the catalogue's, or `provider/name`.
    pub id: String,
    pub provider: Provider,
    /// Who answers, as replies are marked.
    pub(super) origin: Origin,
    pub(super) terms: Terms,
    /// What this model cannot take.
    pub(super) lacks: Vec<Kind>,
    /// When a conversation is made smaller for it.
    pub slimmer: Option<Slimmer>,
    speech: Mutex<Speech>,
}

/// How a link is spoken to.
#[derive(Debug)]
struct Speech {
    dialect: Dialect,
    encoder: Encoder,
    described: Described,
    /// How many messages the last request had that it answered.
    accepted: usize,
    counted: Option<Counted>,
}

/// A request of which the provider said how many tokens it had.
#[derive(Debug)]
struct Counted {
    of: Mark,
    tools: Arc<[ToolSpec]>,
    size: Size,
    tokens: u64,
    /// How many of them came from the provider's prompt cache, and when.
    cached: u64,
    at: Moment,
}

/// From so many tokens on a prompt cache is worth staying for.
const WORTH: u64 = 1024;
/// How long a provider keeps it at the least.
const CACHE: Duration = Duration::from_mins(5);

/// How a link's use counts and is paid.
#[derive(Debug, Clone)]
pub struct Terms {
    pub billing: Billing,
    pub price: Option<Price>,
    /// What a call costs relative to the listed price.
    pub multiplier: f64,
    /// The longest answer, in tokens.
    pub max_output: Option<u64>,
    /// Each of them counts.
    pub quotas: Vec<Quota>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { billing: Billing::default(), price: None, multiplier: 1.0, max_output: None, quotas: Vec::new() }
    }
}

impl Terms {
    /// What this usage costs by the price, in US dollars; none where that is unknown.
    pub(super) fn cost_usd(&self, usage: &Usage) -> Option<f64> {
        cost_usd(self.price.as_ref(), usage).map(|cost| cost * self.multiplier)
    }

    /// `ceiling`: the price to reckon with where none is known.
    pub(super) fn tariff(&self, ceiling: Option<Rates>) -> Tariff {
        Tariff::of(self.billing, self.price.as_ref(), self.multiplier, ceiling)
    }
}

impl Link {
    /// `upstream` is the provider's name of the model, `account` a label of the key in use.
    pub fn new(id: String, upstream: String, provider: Provider, account: Option<String>) -> Self {
        let origin = Origin { provider: provider.id().to_owned(), account, model: upstream };
        let dialect = provider.dialect().to_target(origin.clone());
        let encoder = Encoder::new(provider.wire(), dialect.clone());
        let speech = Mutex::new(Speech { dialect, encoder, described: Described::default(), accepted: 0, counted: None });
        Self { id, provider, origin, terms: Terms::default(), lacks: Vec::new(), slimmer: None, speech }
    }

    /// How its use counts and is paid.
    #[must_use]
    pub fn under(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// A model that cannot take pieces of these kinds.
    #[must_use]
    pub fn lacking(self, lacks: Vec<Kind>) -> Self {
        Self { lacks, ..self }
    }

    #[must_use]
    pub fn slimmed_by(self, slimmer: Option<Slimmer>) -> Self {
        Self { slimmer, ..self }
    }

    /// The conversation was made smaller, and all but its last `fresh` messages are of what was known before.
    pub(super) fn shortened(&self, messages: usize, fresh: usize) {
        let mut speech = self.speech();
        if speech.accepted > 0 {
            speech.accepted = messages.saturating_sub(fresh);
        }
    }

    fn speech(&self) -> MutexGuard<'_, Speech> {
        // What it keeps can all be made again, so one left by a panic is as good as new.
        self.speech.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many messages of this conversation were part of a request that it answered.
    pub(super) fn accepted(&self) -> usize {
        self.speech().accepted
    }

    /// It answered a request of this many messages.
    pub(super) fn took(&self, messages: usize) {
        self.speech().accepted = messages;
    }

    /// An earlier request of this conversation, and the input that was counted for it.
    pub(super) fn before(&self, request: &Request) -> Option<(Size, u64)> {
        let speech = self.speech();
        let same = |c: &&Counted| request.messages.grew_from(&c.of) && Arc::ptr_eq(&request.tools, &c.tools);
        speech.counted.as_ref().filter(same).map(|c| (c.size, c.tokens))
    }

    /// So many tokens of input were counted for this request.
    pub(super) fn counted(&self, request: &Request, size: Size, tokens: u64, cached: u64, at: Moment) {
        let (of, tools) = (request.messages.mark(), Arc::clone(&request.tools));
        self.speech().counted = Some(Counted { of, tools, size, tokens, cached, at });
    }

    /// Whether its provider's prompt cache holds this conversation.
    pub(super) fn is_warm(&self, request: &Request, now: Moment) -> bool {
        let warm = |c: &Counted| c.cached >= WORTH && now.since(c.at) < CACHE && request.messages.grew_from(&c.of);
        self.speech().counted.as_ref().is_some_and(warm)
    }

    /// The request in this link's own words, and how its reply is to be read back.
    pub(super) fn encode(&self, request: &Request) -> (Encoded, ReplyFilter) {
        let speech = &mut *self.speech();
        let asked = self.described(speech, request);
        let encoded = speech.encoder.encode(&quirk::prepare(self.provider.wire(), &speech.dialect, &asked));
        (encoded, ReplyFilter::of(&speech.dialect, &asked))
    }

    /// What asks how many tokens the request has here; none where the wire cannot tell.
    pub(super) fn count(&self, request: &Request) -> Option<Call> {
        let speech = &mut *self.speech();
        let asked = self.described(speech, request);
        let wire = self.provider.wire();
        ops::count(wire, &speech.dialect, &quirk::prepare(wire, &speech.dialect, &asked))
    }

    /// How many texts, and which, go into each call for embeddings.
    pub(super) fn batches(&self, input: &[String]) -> Vec<Range<usize>> {
        ops::batches(self.provider.wire(), input, self.speech().dialect.embed_inputs)
    }

    /// What asks for vectors; none where the wire has none.
    pub(super) fn embed(&self, request: &EmbedRequest) -> Option<Call> {
        ops::embed(self.provider.wire(), &self.speech().dialect, request)
    }

    /// The request with a line in the place of what this model cannot take.
    fn described<'q>(&self, speech: &mut Speech, request: &'q Request) -> Cow<'q, Request> {
        let mut asked = Cow::Borrowed(request);
        if !self.lacks.is_empty() {
            asked.to_mut().messages = speech.described.of(&request.messages, &self.lacks);
        }
        asked
    }

    /// A server that cannot hold a reply to a schema is asked without one from now on. Whether that is news.
    pub(super) fn relax(&self, error: &ProviderError) -> bool {
        let mut speech = self.speech();
        if error.class != Class::BadRequest || speech.dialect.calls != Calls::Constrained {
            return false;
        }
        tracing::debug!(link = self.id, %error, "no schema for replies; reading calls out of text");
        speech.dialect.calls = Calls::Text;
        speech.encoder = Encoder::new(self.provider.wire(), speech.dialect.clone());
        true
    }

    pub(super) fn identity(&self) -> Identity {
        let Origin { provider, account, model } = self.origin.clone();
        Identity { provider, account, upstream: model }
    }

    /// Providers like to repeat the key that they refuse.
    pub(super) fn hush(&self, mut error: ProviderError) -> ProviderError {
        if let Some(secret) = self.provider.access().at_hand().filter(|s| !s.expose().is_empty()) {
            let masked = secret.masked();
            error.message = error.message.replace(secret.expose(), &masked);
            error.code = error.code.map(|code| code.replace(secret.expose(), &masked));
        }
        error
    }

    /// Label of the key in use, if there is one.
    pub fn account(&self) -> Option<&str> {
        self.origin.account.as_deref()
    }

    /// The key in use, as the rotation knows it.
    pub(super) fn key(&self) -> Option<KeyId> {
        self.provider.access().id(&self.origin.provider)
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate { id: self.id.clone(), who: self.identity() }
    }

    /// What this usage costs here, in US dollars; none where a price is unknown.
    pub fn cost_usd(&self, usage: &Usage) -> Option<f64> {
        match self.terms.billing {
            Billing::Free => Some(0.0),
            Billing::Subscription | Billing::Metered | Billing::Unknown => self.terms.cost_usd(usage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::net::Pool;
    use crate::model::{BlockKind, Delta, Message, Stop, StreamEvent, ToolSpec};
    use crate::provider::{Endpoint, HttpProvider, Timeouts};
    use crate::wire::Wire;

    fn link(quirks: &[&str]) -> Link {
        let wait = Duration::from_secs(1);
        let endpoint = Endpoint {
            provider: "p".into(),
            wire: Wire::OpenaiChat,
            base_url: "http://127.0.0.1:9".into(),
            headers: Vec::new(),
            access: crate::auth::Access::Open,
            dialect: Dialect::from_quirks(quirks).unwrap(),
            timeouts: Timeouts { connect: wait, first_byte: wait, idle: wait },
        };
        Link::new("p/m".into(), "m".into(), Provider::Http(HttpProvider::new(endpoint, Pool::default())), None)
    }

    #[test]
    fn a_reply_is_read_back_in_the_words_of_the_request_that_was_asked() {
        let tool = ToolSpec { name: "look".into(), description: String::new(), parameters: serde_json::json!({"type": "object"}) };
        let request = Request { messages: [Message::user("hi")].into_iter().collect(), tools: vec![tool].into(), ..Request::default() };
        for lacks in [vec![], vec![Kind::Image]] {
            let (encoded, mut filter) = link(&["constrained-calls"]).lacking(lacks).encode(&request);
            assert!(String::from_utf8(encoded.to_vec()).unwrap().contains("json_schema"));
            let mut out = Vec::new();
            for event in [
                StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text },
                StreamEvent::Delta { ix: 0, delta: Delta::Text { text: r#"{"tool": "look", "arguments": {}}"#.into() } },
                StreamEvent::End { stop: Stop::End, reason: None },
            ] {
                filter.push(event, &mut out);
            }
            assert!(out.iter().any(|e| matches!(e, StreamEvent::BlockStart { kind: BlockKind::ToolCall { .. }, .. })), "{out:?}");
        }
    }
}
