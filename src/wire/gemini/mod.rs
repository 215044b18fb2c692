//! Google's generateContent, as a client ([`Encoder`], [`ReplyDecoder`]) and as a server ([`decode_request`],
//! [`encode_events`], [`encode_reply`]), with what else a client asks of it: counts, vectors, the list of models.
//!
//! Where this wire differs most: the model stands in the path, a call has its arguments as an object and often no id,
//! results go back in one content and in the order of their calls, a proof of reasoning can sit on any part and has to
//! come back on that part, and schemas are a small dialect of their own.

mod call_id;
mod decode;
mod encode;
mod error;
mod family;
mod finish;
mod message;
mod ops;
mod partial;
mod parts;
mod path;
mod reply;
mod request;
mod schema;
mod settings;
mod shape;
mod thinking;
mod tools;
mod usage;

pub use decode::ReplyDecoder;
pub use encode::Encoder;
pub use family::{Family, Maker};
pub use message::NO_SIGNATURE;
pub use ops::{decode_count, decode_embed, decode_models, encode_count, encode_embed, models_path};
pub use reply::{Envelope, Head, ReplyWriter, encode_events, encode_reply};
pub use request::decode_request;

pub(super) use encode::Door;
pub(super) use request::read as read_request;
pub(super) use settings::Purpose;

/// The wire's name.
pub const NAME: &str = "gemini";
