//! What a line of the journal says.

use super::compaction::Compaction;
use crate::base::Cause;
use crate::model::aside::Piece;
use crate::model::{Class, Message, Scope, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// One entry. A kind that this version does not know is kept as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The first line: what this session is. A later one says what changed: on resume, or when it went over to another
    /// agent or model. The system message of another agent follows it.
    Session(Session),
    /// A message of the conversation, in order.
    Message { message: Message },
    /// A tool call hands work to another agent, which has a session of its own. Made again, the call finds that session.
    Child(Child),
    /// A tool call is about to have its effect.
    Intent(Intent),
    /// The command of an intent is running.
    Spawned(Spawned),
    /// A tool call is over.
    Receipt(Receipt),
    /// A call to a model came to its end, good or bad.
    Attempt(Attempt),
    /// What a call to a model used.
    Usage(UsageEntry),
    /// A partial reply that was shown and taken back.
    Discarded(Discarded),
    /// Pieces of the messages before this line were refused by a provider and are no longer sent. The messages stay as they
    /// were written.
    Quarantine(Quarantine),
    /// The conversation before this line was made smaller: what is sent of it from here on.
    Compaction(Compaction),
    /// The run ended; a session that goes on afterwards has further lines.
    End(End),
    #[serde(skip)]
    Unknown(Value),
}

impl Entry {
    /// The kinds that this version reads.
    pub const KINDS: [&'static str; 12] =
        ["session", "message", "child", "intent", "spawned", "receipt", "attempt", "usage", "discarded", "quarantine", "compaction", "end"];
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: String,
    pub agent: String,
    /// Catalogue id or `provider/upstream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The workspace.
    pub cwd: String,
    /// The first task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The session whose agent has handed this work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Version of the pup that wrote this.
    #[serde(default)]
    pub pup: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Child {
    pub call_id: String,
    pub session: String,
    pub agent: String,
    /// Its answer comes as a message of its own, not as the call's result.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
}

/// The kind of a tool call's effect, which decides what a crash between intent and receipt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// May simply run again.
    ReadOnly,
    /// Done if the files have their `after` digests.
    Writes,
    /// The outcome is unknown.
    Exec,
    /// The outcome is unknown.
    Network,
}

/// SHA-256 digests of a file around an edit; absent means that the file does not exist at that time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChange {
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Intent {
    pub call_id: String,
    pub tool: String,
    /// The arguments as the model wrote them, redacted.
    pub args: String,
    pub effect: Effect,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileChange>,
    /// The checkpoint that was taken before it; `pup undo --to` takes its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spawned {
    pub call_id: String,
    pub pid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgid: Option<u32>,
    /// In the unit of the system (on Linux field 22 of `/proc/PID/stat`); tells a process from a later one of its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    pub call_id: String,
    pub ok: bool,
    /// SHA-256 of the output that the model got.
    pub digest: String,
    /// That output: with it a call that has ended need not be made again when a crash came before its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileChange>,
}

/// How an attempt came out: `ok`, or the class of its error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Failed(Class),
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(class) => class.as_str(),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Value::deserialize(deserializer)?;
        if word == "ok" {
            return Ok(Self::Ok);
        }
        serde_json::from_value(word).map(Self::Failed).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Outcome {
    fn schema_name() -> Cow<'static, str> {
        "Outcome".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let class = generator.subschema_for::<Class>();
        schemars::json_schema!({ "anyOf": [{ "const": "ok" }, class] })
    }
}

/// The same fields as an element of `attempts` in `pup run --output json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    pub model: String,
    pub provider: String,
    /// Label of the key that was used, never the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    pub outcome: Outcome,
    pub status: Option<u16>,
    pub scope: Option<Scope>,
    pub latency_ms: u64,
    pub retry_after_s: Option<f64>,
    /// US dollars; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The cost is the most that it can have been: nobody said what was used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

impl Attempt {
    /// What they cost together in US dollars; none where that of one is not known.
    pub fn cost_of<'a>(all: impl IntoIterator<Item = &'a Self>) -> Option<f64> {
        // The standard library's sum of nothing is a negative zero.
        all.into_iter().try_fold(0.0, |sum, one| Some(sum + one.cost_usd?))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageEntry {
    pub model: String,
    pub provider: String,
    pub usage: Usage,
    /// `None` where a price is unknown.
    pub cost_usd: Option<f64>,
    /// The provider paused its reply, the message behind this line: it goes on once it gets that back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discarded {
    pub model: String,
    pub provider: String,
    /// Characters that had been shown.
    pub chars: u64,
    pub reason: String,
}

/// What is left out from here on, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantine {
    pub pieces: Vec<Piece>,
    /// In words; stands in the place of what was left out.
    pub why: String,
    /// Who refused them.
    pub provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    pub cause: Cause,
    /// The final answer, or what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}
