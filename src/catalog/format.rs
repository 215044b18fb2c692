//! The form of `models.json`: what its keys are called and what they may hold.
//!
//! Every field is optional here, because an overlay says only what it changes; what a whole entry needs is checked
//! once all layers are merged (`build`). The published schema (`docs/schema/models.schema.json`) is made of these types.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// One `models.json`: the built-in one, the user's, or a trusted project's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Address of this schema, for editors; pup ignores it.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// Starting guesses of limits, by a name that models refer to.
    pub quotas: Entries<Quota>,
    /// Where models are served, by provider id.
    pub providers: Entries<ProviderEntry>,
    /// Models, by the id that people write.
    pub models: Entries<ModelEntry>,
    /// Model ids in order of preference, by workload.
    pub chains: Chains,
}

/// Limits of a quota; what a provider reports replaces them while fresh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute.
    pub tpm: Option<u64>,
    /// Tokens a day.
    pub tpd: Option<u64>,
}

/// A provider as a file says it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderEntry {
    /// The protocol that it speaks.
    pub wire: Option<WireId>,
    /// Everything up to the path that the wire adds (`/chat/completions`); `$NAME_BASE_URL` where it is each user's own.
    pub base_url: Option<String>,
    /// Environment variables that may hold the key, the first that is set wins; `[]` means that no key is needed (or
    /// none exists, where there is a `login`).
    pub api_key_env: Option<Vec<String>>,
    /// The account is proved by a login instead of a key.
    pub login: Option<Login>,
    /// Absent: used as soon as there are credentials.
    pub opt_in: Option<OptIn>,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// Names of the ways in which it differs from its wire.
    pub quirks: Option<Vec<String>>,
    /// Names under which price lists know it, besides its id.
    pub listed_as: Option<Vec<String>>,
    /// The most texts that it takes in one call for embeddings.
    pub embed_inputs: Option<usize>,
    /// The model used when only the provider is known.
    pub default_model: Option<String>,
    /// Cost of a realtime call relative to the listed price.
    pub realtime_multiplier: Option<f64>,
    pub billing: Option<Billing>,
    pub slimmer: Option<Slimmer>,
    /// Whether use costs money.
    pub paid: Option<bool>,
    pub timeouts: Option<TimeoutsEntry>,
    /// Which of several keys is used, where it is not to be as the setting `auth.rotation` says.
    pub rotation: Option<Rotation>,
}

/// Which of several keys of a provider is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// The one that was used last, until it fails.
    Sticky,
    /// The next one with every call that nothing binds to a key.
    RoundRobin,
}

/// How long to wait for a provider, in seconds; unset ones come from the config.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsEntry {
    pub connect_s: Option<f64>,
    /// From the request to the first byte of the answer's body.
    pub first_byte_s: Option<f64>,
    /// Between two pieces of a stream.
    pub idle_s: Option<f64>,
}

/// When and how far a history is made smaller for a provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slimmer {
    /// Share of the window, 0 to 1.
    pub compact_at: Option<f64>,
    /// In tokens.
    pub max_input: Option<u64>,
    pub diet: Option<Diet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Diet {
    Maintenance,
    Balanced,
    BootCamp,
    Relaxed,
}

/// How use is paid. `subscription` and `free` cost tokens of a plan, not money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Billing {
    Metered,
    Subscription,
    Free,
    #[default]
    Unknown,
}

impl Billing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metered => "metered",
            Self::Subscription => "subscription",
            Self::Free => "free",
            Self::Unknown => "unknown",
        }
    }
}

/// The protocols of the format. A build need not speak them all: a link over one that it does not speak is left out of
/// its chain, with that reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WireId {
    OpenaiChat,
    OpenaiResponses,
    Anthropic,
    Gemini,
    Antigravity,
    ClaudeCli,
    CodexCli,
}

impl WireId {
    /// Whether a program on this machine speaks it, not a server.
    pub const fn is_program(self) -> bool {
        match self {
            Self::ClaudeCli | Self::CodexCli => true,
            Self::OpenaiChat | Self::OpenaiResponses | Self::Anthropic | Self::Gemini | Self::Antigravity => false,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiResponses => "openai-responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Antigravity => "antigravity",
            Self::ClaudeCli => "claude-cli",
            Self::CodexCli => "codex-cli",
        }
    }
}

/// How an account is proved where no key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    Oauth,
}

/// Whether the user's word is needed before a provider is used, because its terms may not allow other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptIn {
    /// Not used until the user's own file says `given`.
    Required,
    /// The user has read the terms and wants it.
    Given,
}

/// What a model can do beyond text in, text out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    Tools,
    Images,
    Documents,
    Reasoning,
}

impl Capability {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Images => "images",
            Self::Documents => "documents",
            Self::Reasoning => "reasoning",
        }
    }
}

/// A model as a file says it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ModelEntry {
    /// Id of a provider.
    pub provider: Option<String>,
    /// Family of providers, for people and importers.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The name that the provider is told; `upstream` where absent.
    pub name: Option<String>,
    pub display_name: Option<String>,
    /// Which model it really is: entries with the same one on one account share their limits. `name` where absent.
    pub upstream: Option<String>,
    /// Ids of models that reach the same upstream model another way, in order of preference.
    pub via: Option<Vec<String>>,
    /// Overrides the provider's wire.
    pub wire: Option<WireId>,
    /// Window in tokens.
    pub context: Option<u64>,
    /// Longest answer in tokens.
    pub max_output: Option<u64>,
    /// 1 is best.
    pub tier: Option<u8>,
    /// Absent means unknown: tools are then assumed.
    pub capabilities: Option<Vec<Capability>>,
    /// Names of quotas; each of them counts.
    pub quota: Option<Vec<String>>,
    pub paid: Option<bool>,
    pub billing: Option<Billing>,
    /// Whether the provider takes it in batch jobs.
    pub batch: Option<bool>,
    /// Length of the vectors of an embedding model.
    pub dimensions: Option<u32>,
    pub price: Option<Price>,
    /// Instead of the provider's.
    pub slimmer: Option<Slimmer>,
    /// Request fields that this model always gets.
    pub settings: Map<String, Value>,
}

/// USD per million tokens. A missing price is unknown, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    pub input: Option<f64>,
    pub cache_read: Option<f64>,
    pub cache_write: Option<f64>,
    pub output: Option<f64>,
    pub batch: Option<BatchPrice>,
}

/// USD per million tokens in a batch job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchPrice {
    pub input: Option<f64>,
    pub output: Option<f64>,
}

/// Model ids by workload, best first.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chains {
    pub orchestrator: Option<Vec<String>>,
    pub reasoning: Option<Vec<String>>,
    pub coding: Option<Vec<String>>,
    pub librarian: Option<Vec<String>>,
}

/// Named entries in the order of the file, which is an order of preference.
#[derive(Debug, Clone)]
pub struct Entries<T>(pub Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of named entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut all = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Entries(all))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("Entries_of_{}", T::schema_name()))
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}
