//! What a call says of its way, and what it asks before another model goes on.

use super::event::LiveEvent;
use super::link::Link;
use super::live::{Live, link};
use super::notice::Notice;

impl Live<'_> {
    /// No to the last [`LiveEvent::MaySwitch`]: only the model that was left can still answer this call.
    pub fn stay(&mut self) {
        if self.asked.take().is_none() {
            return;
        }
        let current = self.router.current();
        let stays = |ix: usize| link(self.router, &self.order, ix).is_some_and(|l| l.id == current);
        self.plan.unpick();
        self.plan.keep(stays);
    }

    /// Why the link that is left cannot be used.
    fn why(&self, from: &str) -> Option<String> {
        let of = |ix: &usize| self.link(*ix).is_some_and(|l| l.id == from);
        let mut links = (0..self.order.len()).filter(of);
        let failed = links.clone().find_map(|ix| self.plan.why(ix)).map(ToString::to_string);
        failed.or_else(|| links.find_map(|ix| self.plan.behind(ix)).map(str::to_owned))
    }

    /// What the asker has to say before another model is tried.
    pub(super) fn question(&mut self, ix: usize) -> Option<LiveEvent> {
        let question = self.router.question(self.link(ix)?, |from| self.why(from))?;
        self.asked = Some(ix);
        Some(question)
    }

    /// Says that the next attempt goes over this link, where that is news.
    pub(super) fn goes(&mut self, link: &Link) {
        let notices = self.router.goes(link, |from| self.why(from));
        self.switched |= notices.iter().any(|n| matches!(n, Notice::Switched { .. }));
        self.tell(notices);
    }

    pub(super) fn tell(&mut self, notices: impl IntoIterator<Item = Notice>) {
        for notice in notices {
            notice.log();
            self.queue.push_back(LiveEvent::Notice(notice));
        }
    }
}
