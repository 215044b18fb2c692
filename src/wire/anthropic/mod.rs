//! Anthropic Messages, as a client ([`Encoder`], [`ReplyDecoder`]) and as a server ([`decode_request`], [`encode_events`],
//! [`encode_reply`]).
//!
//! Where the two wires differ most: the system prompt is a field of its own, tool results belong to the user, roles
//! alternate (neighbours of one role become one message), a bound of the output is required, and thinking is signed and
//! goes back unchanged, to its own origin alone. Tool names are shortened as on the first wire, so that a tool has one
//! name wherever it goes.

mod betas;
mod block;
mod claude;
mod count;
mod decode;
mod encode;
mod error;
mod finish;
mod message;
mod models;
mod reply;
mod request;
mod settings;
mod shape;
mod thinking;
mod tools;
mod usage;

pub use count::{COUNT_PATH, decode_count, encode_count, encode_count_reply};
pub use decode::ReplyDecoder;
pub use encode::Encoder;
pub use models::{decode_models, models_path};
pub use reply::{Head, ReplyWriter, encode_events, encode_reply};
pub use request::decode_request;

/// The wire's name.
pub const NAME: &str = "anthropic";
