//! The last resort, where even the latest rounds have no room: long texts lose their middle, then rounds go, and only
//! where the pinned parts alone are too much do those give way, too.

use super::middle;
use super::note::{self, CUT, Note};
use super::trim;
use super::view::View;
use crate::base::text;
use crate::model::{Block, Message, Part, Role};

/// The longest texts that are left, step by step, in bytes.
const CAPS: [usize; 5] = [48 * 1024, 12 * 1024, 3 * 1024, 1024, 300];

/// What had to give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Squeezed {
    pub texts: usize,
    pub replies: usize,
    /// Pinned texts that were cut or left out.
    pub pinned: usize,
}

/// Makes the view fit into `most` tokens, if it is possible at all.
pub fn squeeze(view: &mut View, most: u64, recall: bool) -> Squeezed {
    let mut done = Squeezed::default();
    for cap in CAPS {
        if view.tokens() <= most {
            return done;
        }
        done.texts += cut_results(view, cap, recall);
    }
    for rounds in (0..=3).rev() {
        if view.tokens() <= most {
            return done;
        }
        let start = view.last_rounds(rounds);
        if middle::any(view, start) {
            done.replies += middle::fold(view, start, None, recall);
        }
    }
    for cap in CAPS {
        if view.tokens() <= most {
            return done;
        }
        done.pinned += cut_pinned(view, cap, recall);
    }
    // The oldest words but the first go; the latest say what is wanted now.
    while view.tokens() > most {
        let own = |m: &Message| m.role == Role::User && !note::is_note(m);
        let users: Vec<usize> = view.items.iter().enumerate().filter(|(_, i)| own(&i.message)).map(|(ix, _)| ix).collect();
        let Some(ix) = users.get(1).or(users.first()).copied().filter(|_| users.len() > 1) else { break };
        if ix + 1 == view.items.len() {
            view.items.remove(users.first().copied().unwrap_or(ix));
        } else {
            view.items.remove(ix);
        }
        done.pinned += 1;
    }
    if view.tokens() > most {
        done.pinned += bare_note(view, recall);
    }
    done
}

/// The text with its middle left out.
fn cut(text: &str, cap: usize, recall: bool) -> Option<String> {
    if text.len() <= cap {
        return None;
    }
    let hint = if recall { "; `recall` finds them" } else { "" };
    let mark = format!("\n{CUT}{} bytes{hint}]\n", text.len());
    let room = cap.saturating_sub(mark.len());
    Some(format!("{}{mark}{}", text::prefix(text, room * 2 / 3), text::suffix(text, room / 3)))
}

fn cut_results(view: &mut View, cap: usize, recall: bool) -> usize {
    let pinned: Vec<String> = trim::pinned(view, &|_| true).0.into_iter().map(|(call, _)| call.id).collect();
    let mut done = 0;
    for ix in 0..view.items.len() {
        let Some(old) = view.items.get(ix).map(|i| &i.message).filter(|m| matches!(m.role, Role::Tool | Role::Assistant)) else { continue };
        let mut new = Message::clone(old);
        let mut changed = 0;
        for block in &mut new.blocks {
            match block {
                Block::Text { text } => changed += replace(text, cap, recall),
                Block::ToolResult(result) if !pinned.contains(&result.call_id) => {
                    for part in &mut result.parts {
                        match part {
                            Part::Text { text } => changed += replace(text, cap, recall),
                            Part::Image { .. } => {
                                *part = Part::Text { text: "[An image stood here. It was left out to save room]".to_owned() };
                                changed += 1;
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        if changed > 0 {
            view.replace(ix, new);
            done += changed;
        }
    }
    done
}

fn replace(text: &mut String, cap: usize, recall: bool) -> usize {
    let Some(short) = cut(text, cap, recall) else { return 0 };
    *text = short;
    1
}

fn cut_pinned(view: &mut View, cap: usize, recall: bool) -> usize {
    let mut done = 0;
    for ix in 0..view.items.len() {
        let Some(old) = view.items.get(ix).map(|i| &i.message).filter(|m| m.role == Role::User) else { continue };
        if let Some(mut note) = Note::read(old) {
            let mut changed = note.summary.as_mut().map_or(0, |s| replace(s, cap, recall));
            changed += note.kept.iter_mut().map(|(_, kept)| replace(kept, cap, recall)).sum::<usize>();
            if changed > 0 {
                view.replace(ix, note.message(recall));
                done += changed;
            }
            continue;
        }
        let mut new = Message::clone(old);
        let mut changed = 0;
        for block in &mut new.blocks {
            match block {
                Block::Text { text } => changed += replace(text, cap, recall),
                Block::Image { .. } | Block::Document { .. } => {
                    let text = format!("[{} stood here. It was left out to save room]", block.kind());
                    *block = Block::Text { text };
                    changed += 1;
                }
                _ => {}
            }
        }
        if changed > 0 {
            view.replace(ix, new);
            done += changed;
        }
    }
    done
}

/// A note without anything but its first line.
fn bare_note(view: &mut View, recall: bool) -> usize {
    let found = view.items.iter().enumerate().find_map(|(ix, i)| Note::read(&i.message).map(|n| (ix, n)));
    let Some((ix, note)) = found.filter(|(_, n)| n.summary.is_some() || !n.kept.is_empty() || !n.changed.is_empty()) else { return 0 };
    view.replace(ix, Note { rounds: note.rounds, ..Note::default() }.message(recall));
    note.kept.len()
}
