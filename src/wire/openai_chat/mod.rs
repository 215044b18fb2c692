//! OpenAI Chat Completions, as a client ([`Encoder`], [`ReplyDecoder`]) and as a server ([`decode_request`], [`encode_events`],
//! [`encode_reply`]).
//!
//! Compatible servers differ in what they leave out, rename and repeat. Reading takes them all as they come; writing is
//! plain OpenAI, changed only by what a [`Dialect`](crate::wire::Dialect) says.

mod chunk;
mod decode;
mod details;
mod encode;
mod finish;
mod message;
mod open_calls;
mod reply;
mod request;
mod settings;
mod usage;

pub use decode::ReplyDecoder;
pub use encode::Encoder;
pub(super) use reply::error_field;
pub use reply::{Head, ReplyWriter, encode_events, encode_reply};
pub use request::{RequestError, decode_request};

/// The wire's name.
pub const NAME: &str = "openai-chat";
