//! Histories as crashes, imports and careless servers leave them.

use super::plan::Damage;
use code_pup::model::{Block, Message, Role, ToolResult};
use proptest::sample::Index;

/// Breaks something, if there is something of the kind to break.
pub fn apply(kind: Damage, at: Index, messages: &mut Vec<Message>) -> bool {
    let those =
        |want: fn(&Message) -> bool| -> Vec<usize> { messages.iter().enumerate().filter(|(_, m)| want(m)).map(|(i, _)| i).collect() };
    let calling = those(|m| m.calls().next().is_some());
    let answering = those(|m| m.role == Role::Tool);
    let pick = |from: &[usize]| (!from.is_empty()).then(|| from[at.index(from.len())]);
    match kind {
        Damage::EmptyMessage => messages.insert(at.index(messages.len() + 1), Message::new(Role::Assistant, vec![])),
        Damage::StrayResult => {
            messages.insert(at.index(messages.len() + 1), Message::results(vec![ToolResult::text("call_of_nobody", "R900001q", false)]));
        }
        Damage::NoResults => {
            let Some(at) = pick(&answering) else { return false };
            messages.remove(at);
        }
        Damage::OneResultGone => {
            let Some(at) = pick(&answering) else { return false };
            messages[at].blocks.pop();
        }
        Damage::OtherId => {
            let Some(at) = pick(&answering) else { return false };
            if let Some(Block::ToolResult(result)) = messages[at].blocks.first_mut() {
                result.call_id.push_str("-variant");
            }
        }
        Damage::Doubled => {
            let Some(at) = pick(&answering) else { return false };
            let Some(first) = messages[at].blocks.first().cloned() else { return false };
            messages[at].blocks.push(first);
        }
        Damage::TextAmongResults => {
            let Some(at) = pick(&answering) else { return false };
            messages[at].blocks.insert(0, Block::Text { text: "T900002q".to_owned() });
        }
        Damage::EmptyIds | Damage::SharedIds => {
            let Some(at) = pick(&calling) else { return false };
            let id = if kind == Damage::EmptyIds { "" } else { "call_same" };
            let n = messages[at + 1..].iter().take_while(|m| m.role == Role::Tool).count();
            for message in &mut messages[at..=at + n] {
                for block in &mut message.blocks {
                    match block {
                        Block::ToolCall(call) => id.clone_into(&mut call.id),
                        Block::ToolResult(result) => id.clone_into(&mut result.call_id),
                        _ => {}
                    }
                }
            }
        }
        Damage::NoName => {
            let Some(at) = pick(&calling) else { return false };
            if let Some(Block::ToolCall(call)) = messages[at].blocks.iter_mut().find(|b| matches!(b, Block::ToolCall(_))) {
                call.name.clear();
            }
        }
    }
    true
}
