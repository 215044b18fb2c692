//! Ids of calls. The wire gives some, and often none; inside pup each call has one.
//!
//! A missing id is made of the reply, the call's place in it and what it says, so that the same bytes give the same id.
//! It is told by its beginning, because it is ours alone: the server is sent only ids that it gave itself.

use crate::base::digest;

const MINTED: &str = "gcall_";

pub fn mint(reply: &str, place: usize, name: &str, args: &str) -> String {
    format!("{MINTED}{}", digest::short(format!("{reply}\n{place}\n{name}\n{args}").as_bytes(), 24))
}

/// The id as the one that gave it gets it back.
pub fn given(id: &str) -> Option<&str> {
    (!id.is_empty() && !id.starts_with(MINTED)).then_some(id)
}
