//! What a codec is to the rest of `wire`: requests to bodies, pieces of a reply to events.

use super::classify::Sender;
use super::sniff::{Nature, Piece};
use crate::model::{Loss, Request, StreamEvent, ToolSpec};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt::Debug;

/// A request's body in pieces, where it goes, and what its dialect could not carry.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// What is added to the provider's base URL, with the query if there is one: `/chat/completions`.
    pub path: Cow<'static, str>,
    /// Headers that this request needs besides those of its wire and provider.
    pub headers: Vec<(&'static str, String)>,
    /// The concatenation of the segments is the body. Cheap to clone: segments are shared with the encoder.
    pub body: Vec<Bytes>,
    /// What was left out or changed. An encoder names the losses of a message once, with the call that first encoded it.
    pub losses: Vec<Loss>,
}

impl Encoded {
    /// The body's length in bytes.
    pub fn len(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn to_vec(&self) -> Vec<u8> {
        self.body.concat()
    }
}

/// Encodes one conversation's requests. What did not change since the last call is the same bytes.
pub trait Encode: Debug + Send {
    fn encode(&mut self, request: &Request) -> Encoded;
}

/// Decodes one reply. After a terminal event, or an error, it says nothing more.
pub trait Decode: Debug + Send {
    /// Another decoder that has read the same, for [`super::Decoder`]'s `Clone`.
    fn copy(&self) -> Box<dyn Decode>;

    /// The tools of the request.
    fn expect_tools(&mut self, tools: &[ToolSpec]);

    /// Whose reply it is: what an error in it means may depend on that.
    fn sent_by(&mut self, _sender: Sender) {}

    /// The next piece of the body.
    fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<StreamEvent>);

    /// Whether the reply is whole by its protocol, though its end is only told when the body ends: something may follow,
    /// and nothing has to.
    fn is_whole(&self) -> bool {
        false
    }

    /// The body has ended, however it did.
    fn finish(&mut self, nature: Nature<'_>, out: &mut Vec<StreamEvent>);
}
