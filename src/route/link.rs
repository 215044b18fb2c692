//! One way to a model, and how it is spoken to.

use super::cooldown::Identity;
use super::cost::cost_usd;
use super::gate::Described;
use super::rotation::Candidate;
use crate::auth::{Key, KeyId};
use crate::catalog::Price;
use crate::model::aside::Kind;
use crate::model::{Class, EmbedRequest, Origin, ProviderError, Request, Usage};
use crate::provider::Provider;
use crate::wire::ops::{self, Call};
use crate::wire::quirk::{self, Calls, Dialect, ReplyFilter};
use crate::wire::{Encoded, Encoder};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One way to a model: a provider and the name under which it knows the model.
#[derive(Debug)]
pub struct Link {
    /// Our id of the model: the catalogue's, or `provider/name`.
    pub id: String,
    pub provider: Provider,
    /// Who answers, as replies are marked.
    pub(super) origin: Origin,
    price: Option<Price>,
    /// What this model cannot take.
    pub(super) lacks: Vec<Kind>,
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
}

impl Link {
    /// `upstream` is the provider's name of the model, `account` a label of the key in use.
    pub fn new(id: String, upstream: String, provider: Provider, account: Option<String>, price: Option<Price>) -> Self {
        let origin = Origin { provider: provider.id().to_owned(), account, model: upstream };
        let dialect = provider.dialect().to_target(origin.clone());
        let encoder = Encoder::new(provider.wire(), dialect.clone());
        let speech = Mutex::new(Speech { dialect, encoder, described: Described::default(), accepted: 0 });
        Self { id, provider, origin, price, lacks: Vec::new(), speech }
    }

    /// A model that cannot take pieces of these kinds.
    #[must_use]
    pub fn lacking(self, lacks: Vec<Kind>) -> Self {
        Self { lacks, ..self }
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

    /// The request in this link's own words, and how its reply is to be read back.
    pub(super) fn encode(&self, request: &Request) -> (Encoded, ReplyFilter) {
        let speech = &mut *self.speech();
        let filter = ReplyFilter::of(&speech.dialect, request);
        let request = self.prepare(speech, request);
        (speech.encoder.encode(&request), filter)
    }

    /// What asks how many tokens the request has here; none where the wire cannot tell.
    pub(super) fn count(&self, request: &Request) -> Option<Call> {
        let speech = &mut *self.speech();
        let request = self.prepare(speech, request);
        ops::count(self.provider.wire(), &speech.dialect, &request)
    }

    /// How many texts, and which, go into each call for embeddings.
    pub(super) fn batches(&self, input: &[String]) -> Vec<Range<usize>> {
        ops::batches(self.provider.wire(), input, self.speech().dialect.embed_inputs)
    }

    /// What asks for vectors; none where the wire has none.
    pub(super) fn embed(&self, request: &EmbedRequest) -> Option<Call> {
        ops::embed(self.provider.wire(), &self.speech().dialect, request)
    }

    fn prepare<'q>(&self, speech: &mut Speech, request: &'q Request) -> Cow<'q, Request> {
        let mut request = quirk::prepare(&speech.dialect, request);
        if !self.lacks.is_empty() {
            let shown = speech.described.of(&request.messages, &self.lacks);
            request.to_mut().messages = shown;
        }
        request
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
        if let Some(secret) = self.provider.key().and_then(Key::at_hand).filter(|s| !s.expose().is_empty()) {
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
        Some(self.provider.key()?.id(&self.origin.provider))
    }

    pub(super) fn candidate(&self) -> Candidate {
        Candidate { id: self.id.clone(), who: self.identity() }
    }

    /// What this usage costs here, in US dollars; none where a price is unknown.
    pub fn cost_usd(&self, usage: &Usage) -> Option<f64> {
        cost_usd(self.price.as_ref(), usage)
    }
}
