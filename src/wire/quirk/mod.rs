//! How one provider's flavour of a wire differs. One oddity a file; a catalogue names them, and they compose.
//!
//! `docs/quirks.md` lists them all with who has them. Most change what is sent: the codec asks the [`Dialect`] where it
//! writes. Some change what a request is before it is encoded ([`prepare`]), or what a reply is after it is decoded
//! ([`ReplyFilter`]).

mod api_key_header;
pub mod assistant_after_tools;
mod bearer_key;
pub mod bound_output;
pub mod cache_marks;
mod cache_prompt;
pub mod chatgpt_backend;
pub mod constrained_calls;
mod effort;
mod emit;
pub mod failed_calls;
mod ids_nine;
mod json_formats;
mod max_tokens;
mod model_settings;
mod name_in_results;
mod no_stream_options;
mod null_content;
mod one_stop;
mod plain_schemas;
mod prefix_flag;
mod random_seed;
mod reasoner_sampling;
mod schema;
mod send_reasoning;
mod signature;
pub mod silent_overflow;
pub mod stand_in_signatures;
mod system_first;
pub mod text_calls;
pub mod think_tags;
mod thoughts_in_total;
mod tool_choice;
mod tool_stream;
mod unsent;

pub use assistant_after_tools::AfterResults;
pub use bound_output::Unbounded;
pub use cache_marks::Marks;
pub use chatgpt_backend::Backend;
pub use effort::Effort;
pub use failed_calls::FailedCalls;
pub use json_formats::Formats;
pub use max_tokens::MaxOutput;
pub use name_in_results::ResultName;
pub use no_stream_options::StreamUsage;
pub use null_content::MissingContent;
pub use one_stop::Stops;
pub use plain_schemas::Schemas;
pub use prefix_flag::LastAssistant;
pub use random_seed::SeedField;
pub use reasoner_sampling::Sampling;
pub use send_reasoning::ReasoningBack;
pub use silent_overflow::Overflow;
pub use stand_in_signatures::CallSignatures;
pub use system_first::LateSystem;
pub use think_tags::ThinkTags;
pub use thoughts_in_total::Total;
pub use tool_choice::Choices;

use super::{Ids, KeyStyle, Wire, placement};
use crate::base::nearest;
use crate::model::{Origin, Request, StreamEvent, ToolChoice};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A flavour of a wire. The default is the vendor's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dialect {
    pub max_output: MaxOutput,
    pub stream_usage: StreamUsage,
    pub missing_content: MissingContent,
    pub reasoning_back: ReasoningBack,
    pub calls: Calls,
    pub backend: Backend,
    pub ids: Ids,
    pub effort: Effort,
    pub sampling: Sampling,
    pub choices: Choices,
    pub formats: Formats,
    pub seed: SeedField,
    pub stops: Stops,
    /// Fields that the server refuses.
    pub unsent: Vec<&'static str>,
    /// Fields that no neutral request has.
    pub extra: Vec<Extra>,
    pub unbounded: Unbounded,
    pub schemas: Schemas,
    pub result_name: ResultName,
    pub after_results: AfterResults,
    pub late_system: LateSystem,
    pub last_assistant: LastAssistant,
    pub call_signatures: CallSignatures,
    pub marks: Marks,
    pub think_tags: ThinkTags,
    pub failed_calls: FailedCalls,
    pub total: Total,
    pub overflow: Overflow,
    /// How a key is shown, where that is not the wire's own way.
    pub key: Option<KeyStyle>,
    /// The bound of the output, in tokens, for a wire that requires one where the request sets none.
    pub default_output: Option<u64>,
    /// The most texts that one call for embeddings may hold, where that is not the wire's own number.
    pub embed_inputs: Option<usize>,
    /// The model's window in tokens, if it is known.
    pub window: Option<u64>,
    /// Fields that the catalogue wants in each request of this model.
    pub settings: Map<String, Value>,
    /// The account's project, for a service that wants it named in each request.
    pub project: Option<String>,
    /// Who the request goes to. Signatures, opaque blocks and reasoning are sent only to the origin that made them;
    /// without this, to nobody.
    pub target: Option<Origin>,
}

/// How the model is asked for tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Calls {
    /// The wire's own fields.
    #[default]
    Native,
    /// As text that the server binds to a schema.
    Constrained,
    /// As free text that is searched for calls.
    Text,
}

/// A field of the server's own, the same in every request that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    pub name: &'static str,
    pub value: Value,
    pub when: When,
}

/// Which requests have an extra field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    ToolsAreStreamed,
}

impl When {
    pub fn is(self, request: &Request) -> bool {
        match self {
            Self::Always => true,
            Self::ToolsAreStreamed => request.stream && !request.tools.is_empty(),
        }
    }
}

/// An oddity: its name in catalogues, what it does, and its change of the dialect.
#[derive(Debug, Clone, Copy)]
pub struct Quirk {
    pub name: &'static str,
    /// For people, in one line.
    pub what: &'static str,
    apply: fn(&mut Dialect),
}

/// All of them, in the order of the documentation.
pub const ALL: &[Quirk] = &[
    api_key_header::QUIRK,
    bearer_key::QUIRK,
    max_tokens::QUIRK,
    bound_output::QUIRK,
    no_stream_options::QUIRK,
    unsent::METADATA,
    unsent::SEED,
    unsent::STOP,
    unsent::PARALLEL,
    random_seed::QUIRK,
    one_stop::QUIRK,
    reasoner_sampling::QUIRK,
    tool_choice::AUTO,
    tool_choice::WORDS,
    json_formats::OBJECT,
    json_formats::SCHEMA,
    effort::THREE,
    effort::TWO,
    effort::OBJECT,
    effort::SWITCH,
    effort::ZAI,
    effort::TEMPLATE,
    effort::GROK,
    effort::NEVER,
    tool_stream::QUIRK,
    cache_prompt::QUIRK,
    cache_marks::CLAUDE,
    cache_marks::NEVER,
    plain_schemas::QUIRK,
    ids_nine::QUIRK,
    null_content::QUIRK,
    name_in_results::QUIRK,
    assistant_after_tools::QUIRK,
    system_first::QUIRK,
    prefix_flag::QUIRK,
    stand_in_signatures::QUIRK,
    send_reasoning::CONTENT,
    send_reasoning::ALWAYS,
    send_reasoning::PLAIN,
    send_reasoning::PARTS,
    think_tags::QUIRK,
    failed_calls::QUIRK,
    thoughts_in_total::QUIRK,
    silent_overflow::QUIRK,
    chatgpt_backend::QUIRK,
    CONSTRAINED_CALLS,
    TEXT_CALLS,
];

const CONSTRAINED_CALLS: Quirk = Quirk {
    name: "constrained-calls",
    what: "asks for tool calls as text that the server binds to a JSON schema",
    apply: |dialect| dialect.calls = Calls::Constrained,
};

const TEXT_CALLS: Quirk = Quirk {
    name: "text-calls",
    what: "reads tool calls out of plain text, beside the wire's own field",
    apply: |dialect| dialect.calls = Calls::Text,
};

/// The names of all quirks, as a catalogue spells them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|quirk| quirk.name)
}

/// A quirk's name that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown quirk `{name}`{}; known: {}", .suggestion.as_ref().map(|s| format!(" ({s})")).unwrap_or_default(), names().collect::<Vec<_>>().join(", "))]
pub struct UnknownQuirk {
    pub name: String,
    suggestion: Option<String>,
}

impl Dialect {
    /// The plain wire with these quirks on it; a later one wins over an earlier one.
    pub fn from_quirks<S: AsRef<str>>(quirks: &[S]) -> Result<Self, UnknownQuirk> {
        let mut dialect = Self::default();
        for quirk in quirks {
            let name = quirk.as_ref();
            let Some(known) = ALL.iter().find(|known| known.name == name) else {
                return Err(UnknownQuirk { name: name.to_owned(), suggestion: nearest::did_you_mean(name, names()) });
            };
            (known.apply)(&mut dialect);
        }
        Ok(dialect)
    }

    /// Whether a message was made by the one that it goes to: same provider, same account, same model. Only then does it
    /// take its signatures and opaque blocks along.
    pub fn is_home(&self, origin: Option<&Origin>) -> bool {
        self.target.is_some() && self.target.as_ref() == origin
    }

    /// The same flavour, spoken to this target.
    #[must_use]
    pub fn to_target(mut self, target: Origin) -> Self {
        self.target = Some(target);
        self
    }
}

/// The request as this dialect wants to be asked, before it is encoded, with marks for the prompt cache where the wire has
/// them and the request brings none.
pub fn prepare<'a>(wire: Wire, dialect: &Dialect, request: &'a Request) -> Cow<'a, Request> {
    let request = match dialect.calls {
        Calls::Native | Calls::Text => Cow::Borrowed(request),
        Calls::Constrained => Cow::Owned(constrained_calls::rewrite(request)),
    };
    let request = model_settings::prepare(wire, dialect, request);
    placement::prepare(wire, dialect, tool_choice::prepare(dialect, request))
}

/// What stands between a decoder's events and everybody else, where a dialect writes thinking or calls as text, or its
/// server leaves out a part of the conversation.
#[derive(Debug)]
pub struct ReplyFilter {
    tags: Option<think_tags::TagFilter>,
    calls: CallForm,
    window: Option<silent_overflow::WindowCheck>,
}

#[derive(Debug)]
enum CallForm {
    Native,
    Constrained(constrained_calls::CallFilter),
    Text(text_calls::TextCalls),
}

impl ReplyFilter {
    /// The filter for the reply to `request`, as it was before [`prepare`].
    pub fn of(dialect: &Dialect, request: &Request) -> Self {
        let calls = match dialect.calls {
            _ if request.tools.is_empty() => CallForm::Native,
            Calls::Native => CallForm::Native,
            Calls::Constrained if request.tool_choice == ToolChoice::None => CallForm::Native,
            Calls::Constrained => CallForm::Constrained(constrained_calls::CallFilter::new(request)),
            Calls::Text => CallForm::Text(text_calls::TextCalls::new(request)),
        };
        Self {
            tags: (dialect.think_tags == ThinkTags::Thinking).then(think_tags::TagFilter::default),
            calls,
            window: (dialect.overflow == Overflow::Silent).then(|| silent_overflow::WindowCheck::new(request, dialect.window)),
        }
    }

    /// Takes an event and appends what it becomes.
    pub fn push(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        let from = out.len();
        match &mut self.tags {
            None => self.calls.push(event, out),
            Some(tags) => {
                let mut untagged = Vec::new();
                tags.push(event, &mut untagged);
                for event in untagged {
                    self.calls.push(event, out);
                }
            }
        }
        if let Some(window) = &mut self.window {
            let events = out.split_off(from);
            out.extend(events.into_iter().map(|event| window.push(event)));
        }
    }
}

impl CallForm {
    fn push(&mut self, event: StreamEvent, out: &mut Vec<StreamEvent>) {
        match self {
            Self::Native => out.push(event),
            Self::Constrained(filter) => filter.push(event, out),
            Self::Text(filter) => filter.push(event, out),
        }
    }
}

#[cfg(test)]
#[path = "quirk_tests.rs"]
mod tests;

#[cfg(test)]
mod name_tests {
    use super::*;

    #[test]
    fn each_name_is_one_changes_the_dialect_and_a_wrong_one_is_answered_with_the_nearest() {
        let distinct: std::collections::HashSet<_> = names().collect();
        assert_eq!(distinct.len(), ALL.len());
        for name in names() {
            assert_ne!(Dialect::from_quirks(&[name]).unwrap(), Dialect::default(), "{name}");
        }
        let error = Dialect::from_quirks(&["max_tokens".to_owned()]).unwrap_err();
        assert!(error.to_string().starts_with("unknown quirk `max_tokens` (did you mean `max-tokens`?); known: "), "{error}");
    }
}
