//! Which item of the history a refusal is about, so that this item can be left out and the rest sent again.

use serde::{Deserialize, Serialize};

/// What a provider says, or lets one infer, of the item that it will not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blame {
    pub item: Item,
    /// Where it stands in the body that was refused, in the provider's spelling: `messages.3.content.1.image`, `input[2]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Ids of calls, or of the provider's own items, that the refusal names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}

/// The kinds of item that are known to be refused for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Item {
    /// What only its origin understands: a thinking block's signature, a thought signature, an encrypted reasoning item.
    Signature {
        why: SignatureFault,
    },
    Image {
        why: ImageFault,
    },
    /// A PDF or another file.
    Document,
    /// A call without its result, a result without its call, or either with an id that the dialect rejects.
    ToolPair,
    /// Messages whose roles follow each other as this dialect does not allow.
    Order,
    /// One message, for its form; the path says which.
    Message,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureFault {
    /// Not the bytes that the provider once gave, or not given to this account or model.
    Invalid,
    /// Left out where it is required.
    Missing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFault {
    /// Too many bytes.
    TooLarge,
    /// Too many pixels, perhaps only because the request has many images.
    Dimensions,
    /// A format that is not taken, or not the one that was declared.
    Format,
    /// The bytes are no image.
    Unreadable,
    /// The address could not be fetched.
    Unreachable,
    /// The model takes no images at all.
    Unsupported,
}

impl Blame {
    /// Nothing but the kind of item is known.
    pub const fn of(item: Item) -> Self {
        Self { item, path: None, ids: Vec::new() }
    }

    /// The number of the message in the refused body, where the path has one.
    ///
    /// It counts that body's messages, which are not the history's: a wire may move the system prompt, merge and split.
    pub fn message(&self) -> Option<usize> {
        self.indexes().next()
    }

    /// The number of the block inside that message.
    pub fn block(&self) -> Option<usize> {
        self.indexes().nth(1)
    }

    fn indexes(&self) -> impl Iterator<Item = usize> {
        let path = self.path.as_deref().unwrap_or_default();
        path.split(['.', '[', ']']).filter_map(|step| step.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_which_message_and_which_block() {
        for (path, message, block) in [
            ("messages.3.content.1.image.source.base64", Some(3), Some(1)),
            ("messages.[2].role", Some(2), None),
            ("input[12].content[0]", Some(12), Some(0)),
            ("contents[4].parts[7].inline_data", Some(4), Some(7)),
            ("messages", None, None),
        ] {
            let blame = Blame { path: Some(path.to_owned()), ..Blame::of(Item::Message) };
            assert_eq!((blame.message(), blame.block()), (message, block), "{path}");
        }
    }

    #[test]
    fn its_json_has_only_what_is_known() {
        let bare = Blame::of(Item::Image { why: ImageFault::TooLarge });
        assert_eq!(serde_json::to_string(&bare).unwrap(), r#"{"item":{"kind":"image","why":"too_large"}}"#);
        let full = Blame { item: Item::ToolPair, path: Some("input".to_owned()), ids: vec!["call_1".to_owned()] };
        assert_eq!(serde_json::from_str::<Blame>(&serde_json::to_string(&full).unwrap()).unwrap(), full);
    }
}
