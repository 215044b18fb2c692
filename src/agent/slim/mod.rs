//! The token slimmer: makes a conversation smaller before it is too long for its model, the least needed first. It does
//! no IO: the driver counts with it, asks a model for the summary that it may want, and writes down what came of it.
//!
//! In this order, and no further than is needed: outputs that a later call shows anew; the middle of old outputs; old
//! answers in fewer words; and then the middle of the conversation, for which a summary stands. The user's own words, the
//! todo list, answers to questions and other agents' results stay word for word. Calls and their results stay together.

pub mod count;
pub mod limits;
mod middle;
pub mod note;
mod prose;
mod squeeze;
mod trim;
mod view;
pub mod vocabulary;

pub use count::{Count, Parts};
pub use limits::Limits;
pub use squeeze::Squeezed;

use crate::base::text;
use crate::model::{Block, History, Message, Part, Request, ToolSpec, Usage};
use crate::session::Compaction;
use count::Gauge;
use std::collections::BTreeMap;
use view::View;
use vocabulary::Vocabulary;

/// Why a conversation is made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It has come to its limit.
    Limit,
    /// The user wants it: everything that can go goes, but for the last rounds.
    Asked,
}

/// Whether the model can search what was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    Offered,
    Missing,
}

/// How many of the last rounds are left where the user asks for it.
const ASKED_RECENT: usize = 3;

/// What a session's slimmer knows.
#[derive(Debug, Clone, Default)]
pub struct Slimmer {
    gauge: Gauge,
    vocabulary: Vocabulary,
    /// By link: the tokens of a request that it refused as too long.
    refused: BTreeMap<String, u64>,
    /// Where the last compaction could not get below the trigger: only a good deal above this is another one tried.
    settled: u64,
    /// Something was taken out that the model may want back.
    gaps: bool,
}

/// What is to be done.
#[derive(Debug)]
pub enum Step {
    /// Nothing.
    Keep,
    /// Ask a model what [`Job::request`] asks, then [`Job::finish`].
    Summarise(Box<Job>),
    Done(Box<Slimmed>),
}

/// A compaction that wants a summary.
#[derive(Debug)]
pub struct Job {
    view: View,
    start: usize,
    /// Tokens that the middle has more than a bare note.
    saves: u64,
    limits: Limits,
    recall: bool,
    did: Did,
    before: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Did {
    pub stale: usize,
    pub shortened: usize,
    pub reworded: usize,
    /// Replies that gave way to a summary, or to a bare note.
    pub summarised: usize,
    pub dropped: usize,
    pub squeezed: Squeezed,
}

/// A conversation that was made smaller.
#[derive(Debug, Clone)]
pub struct Slimmed {
    pub history: History,
    /// For the journal.
    pub compaction: Compaction,
    pub did: Did,
    /// Whether a request with it is within the model's maximum.
    pub fits: bool,
}

impl Slimmer {
    /// For a conversation that is taken up, with what is known of its links.
    pub fn begin_anew(&mut self, history: &History) {
        let Self { vocabulary, refused, .. } = std::mem::take(self);
        *self = Self { vocabulary, refused, gaps: has_gaps(history), ..Self::default() };
    }

    /// Whether something was taken out of the conversation that the model may want back.
    pub fn has_gaps(&self) -> bool {
        self.gaps
    }

    /// The tokens of a request with this history and these tools.
    pub fn count(&self, history: &History, tools: &[ToolSpec]) -> Count {
        self.gauge.count(history, tools, &self.vocabulary)
    }

    /// What fills the request.
    pub fn parts(&self, history: &History, tools: &[ToolSpec]) -> Parts {
        self.gauge.parts(history, tools)
    }

    /// A provider says what a request with this history and these tools had.
    pub fn reported(&mut self, history: &History, tools: &[ToolSpec], usage: &Usage) {
        self.gauge.reported(history, tools, usage);
    }

    /// `link` refused a request of `tokens` as too long.
    pub fn refused(&mut self, link: &str, tokens: u64) {
        let least = self.refused.entry(link.to_owned()).or_insert(tokens);
        *least = tokens.min(*least);
        self.settled = 0;
    }

    /// The limits of `link`, with what its refusals have taught.
    pub fn limits(&self, link: &str, known: Limits) -> Limits {
        self.refused.get(link).map_or(known, |tokens| known.refused_at(*tokens))
    }

    /// Whether the conversation has to be made smaller before it is sent. Near the limit, where much of the count is a
    /// guess, a vocabulary is loaded for the next time.
    pub fn due(&self, count: Count, limits: &Limits) -> bool {
        if count.tokens >= limits.share(80) && count.estimated >= limits.share(5) {
            self.vocabulary.want();
        }
        let patience = self.settled.saturating_add(self.settled / 4).min(limits.most);
        count.tokens > limits.trigger.max(patience)
    }

    /// Makes the history smaller, up to where a summary is wanted.
    pub fn begin(&self, history: &History, tools: &[ToolSpec], limits: Limits, recall: Recall, why: Why) -> Step {
        let before = self.count(history, tools).tokens;
        let mut view = View::new(history, count::raw_tools(tools), before);
        let (regime, recall) = (limits.regime(), recall == Recall::Offered);
        let enough = match why {
            Why::Limit => limits.share(regime.enough),
            Why::Asked => 0,
        };
        let rounds = match why {
            Why::Limit => regime.recent,
            Why::Asked => regime.recent.min(ASKED_RECENT),
        };
        let mut did = Did { stale: trim::stale(&mut view), ..Did::default() };
        let recent = view.last_rounds(rounds);
        if view.tokens() > enough {
            did.shortened = trim::shorten(&mut view, recent, regime.output, recall);
        }
        if view.tokens() > enough {
            did.reworded = trim::prose(&mut view, recent);
        }
        if view.tokens() > enough {
            let start = middle::tail(&view, rounds, limits.share(regime.tail));
            if middle::any(&view, start) {
                // Rounds that are pinned as a whole save nothing: the note would be as long.
                let mut bare = view.clone();
                middle::fold(&mut bare, start, None, recall);
                let saves = view.tokens().saturating_sub(bare.tokens());
                if saves > 0 {
                    return Step::Summarise(Box::new(Job { view, start, saves, limits, recall, did, before }));
                }
            }
        }
        match (Job { view, start: 0, saves: 0, limits, recall, did, before }).close() {
            slimmed if slimmed.did == Did::default() || slimmed.compaction.after >= before => Step::Keep,
            slimmed => Step::Done(Box::new(slimmed)),
        }
    }

    /// The conversation is now this.
    pub fn took(&mut self, slimmed: &Slimmed, tools: &[ToolSpec], limits: &Limits) {
        let after = slimmed.compaction.after;
        self.gauge.reported(&slimmed.history, tools, &Usage { input: Some(after), ..Usage::default() });
        self.settled = if after > limits.trigger { after } else { 0 };
        self.gaps |= has_gaps(&slimmed.history);
    }

    /// Nothing could be taken out: that is not tried again with every call.
    pub fn kept(&mut self, tokens: u64) {
        self.settled = tokens;
    }
}

impl Job {
    /// What asks a model for the summary.
    pub fn request(&self) -> Request {
        middle::request(&self.view, self.start, self.limits.trigger)
    }

    /// Puts a note in the place of the middle. Without a summary that is shorter than what it sums up, the note has none.
    pub fn finish(mut self, summary: Option<&str>) -> Slimmed {
        // Its heading costs a few tokens, too.
        let cost = |s: &str| self.view.scaled(count::raw_text(s) + 16);
        let usable = summary.map(str::trim).filter(|s| !s.is_empty() && cost(s) < self.saves);
        let went = middle::fold(&mut self.view, self.start, usable, self.recall);
        match usable {
            Some(_) => self.did.summarised = went,
            None => self.did.dropped = went,
        }
        self.close()
    }

    fn close(mut self) -> Slimmed {
        self.did.squeezed = squeeze::squeeze(&mut self.view, self.limits.most, self.recall);
        let after = self.view.tokens();
        let (of, view) = self.view.shown();
        let compaction = Compaction { of, view, before: self.before, after, what: self.did.words() };
        Slimmed { history: self.view.history(), compaction, did: self.did, fits: after <= self.limits.most }
    }
}

impl Did {
    /// For a person: `12 outputs shortened, 30 replies summed up`.
    pub fn words(&self) -> String {
        let outputs = |n: usize| text::counted(n as u64, "output");
        let replies = |n: usize| if n == 1 { "1 reply".to_owned() } else { format!("{} replies", text::thousands(n as u64)) };
        let rows = [
            (self.stale, format!("{} left out that later ones replace", outputs(self.stale))),
            (self.shortened, format!("{} shortened", outputs(self.shortened))),
            (self.reworded, format!("{} in fewer words", replies(self.reworded))),
            (self.summarised, format!("{} summed up", replies(self.summarised))),
            (self.dropped + self.squeezed.replies, format!("{} left out", replies(self.dropped + self.squeezed.replies))),
            (self.squeezed.texts, format!("{} cut", text::counted(self.squeezed.texts as u64, "long text"))),
            (
                self.squeezed.pinned,
                format!("{} of yours or of other agents cut: they alone were too long", text::counted(self.squeezed.pinned as u64, "text")),
            ),
        ];
        rows.into_iter().filter(|(n, _)| *n > 0).map(|(_, words)| words).collect::<Vec<_>>().join(", ")
    }
}

impl Slimmed {
    /// For a person: `compacted: 120,000 -> 48,000 tokens (...)`.
    pub fn words(&self) -> String {
        let Compaction { before, after, what, .. } = &self.compaction;
        format!("compacted: {} -> {} tokens ({what})", text::thousands(*before), text::thousands(*after))
    }
}

/// Whether something was taken out of this conversation that the model may want back.
pub fn has_gaps(history: &History) -> bool {
    let shortened = |m: &Message| {
        m.tool_results().flat_map(|r| &r.parts).any(|p| {
            matches!(p, Part::Text { text } if text.starts_with(note::SHORTENED) || text.starts_with(note::SUPERSEDED) || text.contains(note::CUT))
        })
    };
    let cut = |m: &Message| m.blocks.iter().any(|b| matches!(b, Block::Text { text } if text.contains(note::CUT)));
    history.iter().any(|m| note::is_note(m) || shortened(m) || cut(m))
}

#[cfg(test)]
mod tests;
