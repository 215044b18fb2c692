//! What a step changed: the difference of two indexes, path by path.

use super::index::{Entry, Index};
use super::node::{Content, Hex, Node, Why};
use super::rel::Rel;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// One path before and after a step. `None` is "nothing there".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub path: Rel,
    pub before: Option<Node>,
    pub after: Option<Node>,
}

impl Change {
    /// Why it cannot be undone and redone, if it cannot.
    pub fn unkept(&self) -> Option<Why> {
        [&self.before, &self.after].into_iter().flatten().find_map(Node::unkept)
    }
}

/// The paths at which the indexes differ, in order.
pub fn between(before: &Index, after: &Index) -> Vec<Change> {
    let (mut old, mut new) = (before.entries.iter().peekable(), after.entries.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changes,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        let was = if order.is_le() { old.next() } else { None };
        let is = if order.is_ge() { new.next() } else { None };
        let Some((path, _)) = was.or(is) else { return changes };
        if !same(was.map(|(_, e)| e), is.map(|(_, e)| e)) {
            let node = |e: Option<&(Rel, Entry)>| e.map(|(_, e)| e.node.clone());
            changes.push(Change { path: path.clone(), before: node(was), after: node(is) });
        }
    }
}

fn same(before: Option<&Entry>, after: Option<&Entry>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return before.is_none() && after.is_none() };
    match (&before.node, &after.node) {
        // Without a content to compare, the marks have to do.
        (Node::File { content: Content::Unkept(_), .. }, _) | (_, Node::File { content: Content::Unkept(_), .. }) => {
            before.stat == after.stat && matches!((&before.node, &after.node), (Node::File { .. }, Node::File { .. }))
        }
        (a, b) => a == b,
    }
}

/// Objects of git that the changes name.
pub fn objects(changes: &[Change]) -> HashSet<Hex<20>> {
    let nodes = changes.iter().flat_map(|c| [&c.before, &c.after]).flatten();
    nodes.filter_map(|n| if let Node::File { content: Content::Git(oid), .. } = n { Some(*oid) } else { None }).collect()
}

/// Puts the store's copies in the place of git's objects, which git may clear away. What turns out to be no change goes.
pub fn pin(changes: &mut Vec<Change>, copies: &HashMap<Hex<20>, Hex<32>>) {
    for change in changes.iter_mut() {
        for node in [&mut change.before, &mut change.after].into_iter().flatten() {
            if let Node::File { content, .. } = node
                && let Content::Git(oid) = content
            {
                *content = copies.get(oid).map_or(Content::Unkept(Why::Gone), |name| Content::Stored(*name));
            }
        }
    }
    changes.retain(|c| c.before != c.after || c.unkept().is_some());
}
