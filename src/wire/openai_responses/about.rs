//! What belongs to an item beside the neutral block that it became, kept so that the item can come back as it was.
//!
//! The server checks that reasoning is followed by the item that it led to, and tells that item by its id; newer models
//! also want the phase of their messages back. Reasoning itself is kept whole, as the proof of its thinking block. Of a
//! call, this is the block's signature; of a message, an opaque block before its text: an item without content.

use super::shape::{self, Item};
use crate::wire::json_out::Object;

pub const MESSAGE: &str = "message";
pub const REASONING: &str = "reasoning";
pub const CALL: &str = "function_call";
/// A call whose argument is free text, and whose result is an item of its own kind.
pub const CUSTOM_CALL: &str = "custom_tool_call";

/// The notes on a message; nothing where there is nothing to say.
pub fn message(id: Option<&str>, phase: Option<&str>) -> Option<String> {
    (id.is_some() || phase.is_some()).then(|| write(MESSAGE, id, phase))
}

/// The notes on a call.
pub fn call(kind: &str, id: Option<&str>) -> String {
    write(kind, id, None)
}

fn write(kind: &str, id: Option<&str>, phase: Option<&str>) -> String {
    let mut out = Vec::new();
    let mut o = Object::begin(&mut out);
    o.field("type", kind).maybe("id", id.as_ref()).maybe("phase", phase.as_ref());
    o.end();
    String::from_utf8(out).unwrap_or_default()
}

/// Notes on a message, if that is what an opaque block holds.
pub fn of_message(raw: &str) -> Option<Item<'_>> {
    read(raw).filter(|item| item.kind.get() == Some(MESSAGE) && item.content.is_none())
}

/// Notes on a call, if that is what a signature is.
pub fn of_call(signature: &str) -> Option<Item<'_>> {
    read(signature).filter(|item| matches!(item.kind.get(), Some(CALL | CUSTOM_CALL)))
}

/// Whether a call is one whose argument is free text.
pub fn is_custom(signature: Option<&str>) -> bool {
    signature.and_then(of_call).is_some_and(|item| item.kind.get() == Some(CUSTOM_CALL))
}

/// A reasoning item that can be sent back, if that is what a proof of thinking is.
pub fn of_reasoning(proof: &str) -> Option<Item<'_>> {
    read(proof).filter(|item| item.kind.get() == Some(REASONING) && item.encrypted_content.get().is_some())
}

/// The texts of a reasoning item, in order; each is a thinking block.
pub fn thoughts<'a>(item: &Item<'a>) -> impl Iterator<Item = String> + use<'a> {
    let all = shape::parts(item.summary).into_iter().chain(shape::parts(item.content));
    all.filter_map(|part| part.text.into_owned())
}

fn read(raw: &str) -> Option<Item<'_>> {
    raw.starts_with('{').then(|| serde_json::from_str(raw).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_told_from_items_and_from_others_signatures() {
        let note = message(Some("msg_1"), Some("commentary")).unwrap();
        assert_eq!(note, r#"{"type":"message","id":"msg_1","phase":"commentary"}"#);
        assert_eq!(of_message(&note).unwrap().id.get(), Some("msg_1"));
        assert!(message(None, None).is_none());
        assert!(of_message(r#"{"type":"message","content":[]}"#).is_none());
        assert!(is_custom(Some(&call(CUSTOM_CALL, None))) && !is_custom(Some(&call(CALL, Some("fc_1")))));
        for foreign in ["", "Ep4BCkYICBgC", r#"{"type":"reasoning"}"#, "[1]", "{"] {
            assert!(of_call(foreign).is_none() && of_reasoning(foreign).is_none() && of_message(foreign).is_none(), "{foreign}");
        }
        let whole = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"a"}],"content":[{"type":"reasoning_text","text":"b"}],"encrypted_content":"x"}"#;
        assert_eq!(thoughts(&of_reasoning(whole).unwrap()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
