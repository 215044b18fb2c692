//! Messages and their blocks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who speaks. Tool results have a role of their own; wires that put them under `user` do so when they encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

/// Where an assistant message came from. Signed and opaque blocks are valid only there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Origin {
    /// Provider id of the catalogue.
    pub provider: String,
    /// A label of the account or key, never the key itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The upstream model's name, by which its family is told.
    pub model: String,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    pub role: Role,
    pub blocks: Vec<Block>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    Text {
        text: String,
    },
    /// A model's reasoning. `signature` is its provider's proof of it; `redacted` means that `text` is empty and the
    /// signature field carries the provider's encrypted form.
    Thinking {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redacted: bool,
    },
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Image {
        #[serde(flatten)]
        source: ImageSource,
    },
    Document {
        media_type: String,
        /// Base64.
        data: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Something only its own wire understands, kept byte for byte as JSON text.
    Opaque {
        wire: String,
        raw: String,
    },
}

impl Block {
    /// What it is, in words.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Thinking { .. } => "thinking",
            Self::ToolCall(_) => "a tool call",
            Self::ToolResult(_) => "a tool result",
            Self::Image { .. } => "an image",
            Self::Document { .. } => "a document",
            Self::Opaque { .. } => "an opaque block",
        }
    }
}

/// A model's request to run a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ToolCall {
    /// Never empty inside pup: a missing id is minted when it is decoded.
    pub id: String,
    pub name: String,
    /// The arguments exactly as the model wrote them; may be cut off or not JSON at all.
    pub args_raw: String,
    /// A provider's signature that must come back with the call (Google's thought signature).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Why arguments cannot be used. Such a call is answered with this and never run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    #[error("the arguments are not valid JSON ({0}); nothing was run. Send the whole call again")]
    NotJson(String),
    #[error("the arguments are JSON but not an object; nothing was run. Send an object")]
    NotObject,
}

impl ToolCall {
    /// The arguments as an object. Empty text and `null` mean "no arguments", as several providers send them.
    pub fn args(&self) -> Result<Map<String, Value>, ArgsError> {
        let raw = self.args_raw.trim();
        if raw.is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_str::<Value>(raw) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(Value::Null) => Ok(Map::new()),
            Ok(_) => Err(ArgsError::NotObject),
            Err(e) => Err(ArgsError::NotJson(e.to_string())),
        }
    }
}

/// The answer to one tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ToolResult {
    pub call_id: String,
    pub parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

impl ToolResult {
    pub fn text(call_id: impl Into<String>, text: impl Into<String>, is_error: bool) -> Self {
        Self { call_id: call_id.into(), parts: vec![Part::Text { text: text.into() }], is_error }
    }

    /// All text parts, one after the other.
    pub fn joined(&self) -> String {
        self.parts.iter().filter_map(|p| if let Part::Text { text } = p { Some(text.as_str()) } else { None }).collect()
    }
}

/// What a tool result can hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text {
        text: String,
    },
    Image {
        #[serde(flatten)]
        source: ImageSource,
    },
}

/// An image, inline or by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum ImageSource {
    /// `data` is base64.
    Inline {
        media_type: String,
        data: String,
    },
    Url {
        url: String,
    },
}

impl Message {
    pub fn new(role: Role, blocks: Vec<Block>) -> Self {
        Self { role, blocks, origin: None }
    }

    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Block::Text { text: text.into() }])
    }

    pub fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, text)
    }

    pub fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, text)
    }

    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(Role::Assistant, text)
    }

    pub fn results(results: Vec<ToolResult>) -> Self {
        Self::new(Role::Tool, results.into_iter().map(Block::ToolResult).collect())
    }

    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.blocks.iter().filter_map(|b| if let Block::ToolCall(c) = b { Some(c) } else { None })
    }

    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.blocks.iter().filter_map(|b| if let Block::ToolResult(r) = b { Some(r) } else { None })
    }

    /// All text blocks, one after the other.
    pub fn joined_text(&self) -> String {
        self.blocks.iter().filter_map(|b| if let Block::Text { text } = b { Some(text.as_str()) } else { None }).collect()
    }
}
