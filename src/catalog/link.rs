//! One way to a model: a provider and the name that it knows the model by.

use super::build::{Catalog, Model, Provider};
use super::format::{Slimmer, WireId};
use crate::base::{Failure, nearest};
use std::sync::Arc;

/// A provider, a name there and, where the catalogue lists it, the model's entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub provider: Arc<Provider>,
    /// The name that the provider is told.
    pub upstream: String,
    pub model: Option<Arc<Model>>,
}

impl Link {
    /// The catalogue id, or `provider/upstream` for a model that is not listed. [`Catalog::resolve`] takes it back.
    pub fn id(&self) -> String {
        self.model.as_ref().map_or_else(|| format!("{}/{}", self.provider.id, self.upstream), |m| m.id.clone())
    }

    /// The wire of a listed model is in its entry. Of OpenAI's own unlisted names those of `gpt-5` and later and of the
    /// `o` series are taken to be on Responses.
    pub fn wire(&self) -> WireId {
        match &self.model {
            Some(model) => model.wire,
            None if self.provider.id == "openai" && is_on_responses(&self.upstream) => WireId::OpenaiResponses,
            None => self.provider.wire,
        }
    }

    /// The model's slimmer, else its provider's.
    pub fn slimmer(&self) -> Option<&Slimmer> {
        self.model.as_ref().map_or(self.provider.slimmer.as_ref(), |m| m.slimmer.as_ref())
    }

    /// Window in tokens, if known.
    pub fn context(&self) -> Option<u64> {
        self.model.as_ref().and_then(|m| m.context)
    }

    /// Request fields that the catalogue gives the model.
    pub fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        self.model.as_ref().map(|m| m.settings.clone()).unwrap_or_default()
    }

    /// Longest answer in tokens, if known.
    pub fn max_output(&self) -> Option<u64> {
        self.model.as_ref().and_then(|m| m.max_output)
    }
}

/// `gpt-5` and every later number, or `o` and a digit.
fn is_on_responses(name: &str) -> bool {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
    match name.strip_prefix("gpt-") {
        Some(rest) => number(rest).is_some_and(|n| n >= 5),
        None => name.strip_prefix('o').is_some_and(|rest| number(rest).is_some()),
    }
}

impl Catalog {
    /// The link that `--model` or `config.model` names: a catalogue id, or `provider/upstream` for any name that the
    /// provider serves (the first slash splits; the name may have more). Failures are `usage`.
    pub fn resolve(&self, wanted: &str) -> Result<Link, Failure> {
        let wanted = wanted.trim();
        if let Some(model) = self.model(wanted) {
            return self.link(model).ok_or_else(|| Failure::internal(format!("model `{wanted}` has no provider")));
        }
        match wanted.split_once('/') {
            Some((provider, upstream)) if !upstream.is_empty() => match self.provider(provider) {
                Some(provider) => Ok(self.on(provider, upstream)),
                None => Err(self.unknown(wanted, &format!("there is no provider `{provider}`"))),
            },
            _ => Err(self.unknown(wanted, &format!("there is no model `{wanted}`"))),
        }
    }

    /// The provider of this id, or a `usage` failure with the nearest ones.
    pub fn known_provider(&self, id: &str) -> Result<&Arc<Provider>, Failure> {
        self.provider(id).ok_or_else(|| {
            let known: Vec<&str> = self.providers().iter().map(|p| p.id.as_str()).collect();
            let hint =
                nearest::did_you_mean(id, known.iter().copied()).unwrap_or_else(|| format!("the providers are {}", known.join(", ")));
            Failure::usage(format!("there is no provider `{id}`")).hint(hint)
        })
    }

    /// The link to a listed model.
    pub fn link(&self, model: &Arc<Model>) -> Option<Link> {
        let provider = self.provider(&model.provider)?;
        Some(Link { provider: Arc::clone(provider), upstream: model.name.clone(), model: Some(Arc::clone(model)) })
    }

    /// The link to a name at a provider, with the catalogue's entry where it lists that name.
    pub fn on(&self, provider: &Arc<Provider>, upstream: &str) -> Link {
        let listed = self.models().iter().find(|m| m.provider == provider.id && (m.name == upstream || m.id == upstream));
        Link { provider: Arc::clone(provider), upstream: listed.map_or(upstream, |m| m.name.as_str()).to_owned(), model: listed.cloned() }
    }

    fn unknown(&self, wanted: &str, what: &str) -> Failure {
        let ids = self.models().iter().map(|m| m.id.clone());
        let named = self.models().iter().map(|m| format!("{}/{}", m.provider, m.name));
        let all: Vec<String> = ids.chain(named).collect();
        let tail = wanted.rsplit('/').next().unwrap_or(wanted);
        let near = nearest::did_you_mean(wanted, all.iter().map(String::as_str))
            .or_else(|| nearest::did_you_mean(tail, all.iter().map(String::as_str)))
            .map_or(String::new(), |h| format!("{h} "));
        let providers: Vec<&str> = self.providers().iter().map(|p| p.id.as_str()).collect();
        Failure::usage(what).hint(format!("{near}any model can be named as PROVIDER/NAME; providers: {}", providers.join(", ")))
    }
}
