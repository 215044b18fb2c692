//! OpenAI Responses, as a client ([`Encoder`], [`ReplyDecoder`]) and as a server ([`decode_request`], [`encode_events`],
//! [`encode_reply`]).
//!
//! A conversation is a list of items here: messages, calls and their results, reasoning, and what only the vendor's own
//! tools make. pup keeps the conversation itself, so requests ask that nothing be stored. What the server would know of a
//! stored one goes back with it, to its own origin alone: reasoning in encrypted form, byte for byte, and the ids and the
//! phase of the items that followed it ([`about`]).

mod about;
mod decode;
mod encode;
mod error;
mod family;
mod finish;
mod item;
mod items;
mod message;
mod reply;
mod request;
mod settings;
mod shape;
mod tools;
mod usage;
mod written;

pub use decode::ReplyDecoder;
pub use encode::Encoder;
pub use reply::{Head, ReplyWriter, encode_events, encode_reply};
pub use request::decode_request;

/// The wire's name.
pub const NAME: &str = "openai-responses";
