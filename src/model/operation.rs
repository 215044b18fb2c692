//! What else can be asked of a provider besides an answer.

use super::usage::Usage;
use serde::{Deserialize, Serialize};

/// Texts to be turned into vectors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedRequest {
    /// The upstream name, as the provider knows it.
    pub model: String,
    pub input: Vec<String>,
    /// The length of the vectors, where a model has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// What the vectors are for, as the dialect spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
}

/// One vector an input, in the inputs' order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embeddings {
    pub vectors: Vec<Vec<f32>>,
    /// Of the whole call.
    pub usage: Usage,
    /// The model that the provider says answered.
    pub model: Option<String>,
}

/// A model as its provider's own list describes it. What the list does not say is absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Listed {
    pub id: String,
    /// Window in tokens.
    pub context: Option<u64>,
    /// Longest answer in tokens.
    pub max_output: Option<u64>,
    pub price: ListedPrice,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct ListedPrice {
    pub input: Option<f64>,
    pub cache_read: Option<f64>,
    pub cache_write: Option<f64>,
    pub output: Option<f64>,
    /// The longest prompt, in tokens, for which it holds, where longer ones cost more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<u64>,
}
