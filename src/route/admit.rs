//! Whether a request may go over a link now: what it weighs, whether it fits into the link's quotas, and who pays for it.

use super::budget::{self, Size};
use super::health::Health;
use super::limiter::Booking;
use super::link::Link;
use super::notice::Notice;
use super::purse::{Granted, Sent, Settled};
use super::router::Router;
use crate::base::clock::Moment;
use crate::model::aside::Kind;
use crate::model::{ProviderError, Request, StreamEvent, Usage};
use crate::wire::Encoded;
use crate::wire::limits::Limits;
use crate::wire::quirk::ReplyFilter;
use std::sync::Arc;

/// A request that is paid for and not counted yet. Dropped, what was reserved for it is free again.
pub(super) struct Admitted<'r> {
    pub encoded: Encoded,
    pub filter: ReplyFilter,
    pub notice: Option<Notice>,
    router: &'r Router,
    link: &'r Link,
    sent: Sent,
    size: Size,
    /// About how many tokens it counts against limits.
    likely: u64,
}

/// A request on its way over a link, counted and paid for until its end is known. Dropped before, it was given up.
#[derive(Debug)]
pub(super) struct Flight<'r> {
    router: &'r Router,
    link: &'r Link,
    /// None once its end is known.
    sent: Option<Sent>,
    booked: Arc<[(String, Booking)]>,
    size: Size,
    /// How many failures were known when it went.
    known: u64,
}

/// The request of a conversation as this link is sent it, or why it may not go in this call.
pub(super) async fn conversation<'r>(router: &'r Router, link: &'r Link, request: &mut Request) -> Result<Admitted<'r>, ProviderError> {
    request.model.clone_from(&link.origin.model);
    let asked = request.max_output;
    let (mut encoded, mut filter) = link.encode(request);
    for loss in &encoded.losses {
        tracing::debug!(link = link.id, at = loss.at, what = loss.what, "not carried by this wire");
    }
    let (images, image_bytes) = router.images(request);
    // Only where images went as they are is their data no text.
    let whole = encoded.losses.is_empty() && !link.lacks.contains(&Kind::Image);
    let size = if whole {
        Size { bytes: (encoded.len() as u64).saturating_sub(image_bytes), images }
    } else {
        Size { bytes: encoded.len() as u64, images }
    };
    let before = link.before(request);
    let likely = size.likely_tokens(before).saturating_add(asked.unwrap_or(0));
    let output = budget::most_output(asked, link.terms.max_output);
    let claimed = router.claim(link, size.most_tokens(before), output).await;
    let (Granted { output: fits, binds, sent }, notice) = claimed.map_err(|refused| refused.error(&link.id))?;
    // Only what the provider itself is told binds it: its own limit may be another than the one we know of.
    if fits < output || (binds && asked.is_none_or(|asked| asked > fits)) {
        request.max_output = Some(fits);
        (encoded, filter) = link.encode(request);
        request.max_output = asked;
    }
    Ok(Admitted { encoded, filter, notice, router, link, sent, size, likely })
}

/// A request that may go.
pub(super) struct Admission<'r> {
    pub encoded: Encoded,
    pub filter: ReplyFilter,
    pub notice: Option<Notice>,
    pub flight: Flight<'r>,
}

impl<'r> Admitted<'r> {
    /// Counts it against the link's quotas, or says when there is room by our own count.
    pub fn book(self, now: Moment) -> Result<Admission<'r>, (Moment, ProviderError)> {
        let Self { encoded, filter, notice, router, link, sent, size, likely } = self;
        let (who, health) = (link.identity(), &mut *router.health());
        if let Some(full) = health.fit(&who, &link.terms.quotas, likely, now) {
            return Err(full);
        }
        let booked = health.trying(&who, &link.terms.quotas, likely, now);
        let known = health.cooldowns.known();
        Ok(Admission { encoded, filter, notice, flight: Flight { router, link, sent: Some(sent), booked, size, known } })
    }
}

/// The same for what is no conversation: `bytes` of input that is charged, and no output. Nothing counts it.
pub(super) async fn input<'r>(router: &'r Router, link: &'r Link, bytes: u64) -> Result<(Sent, Option<Notice>), ProviderError> {
    let claimed = router.claim(link, bytes, 0).await;
    claimed.map(|(granted, notice)| (granted.sent, notice)).map_err(|refused| refused.error(&link.id))
}

impl<'r> Flight<'r> {
    /// One that no quota counts.
    pub fn uncounted(router: &'r Router, link: &'r Link, sent: Sent, now: Moment) -> Self {
        let health = &mut *router.health();
        let (booked, known) = (health.trying(&link.identity(), &[], 0, now), health.cooldowns.known());
        Self { router, link, sent: Some(sent), booked, size: Size::default(), known }
    }
}

impl Flight<'_> {
    /// From here on the provider may charge for it.
    pub fn goes(&mut self) {
        if let Some(sent) = &mut self.sent {
            sent.goes();
        }
    }

    /// Something of the reply.
    pub fn heard(&mut self, event: &StreamEvent) {
        if let Some(sent) = &mut self.sent {
            sent.heard(event);
        }
    }

    /// What the provider said that it used.
    pub fn used(&mut self, usage: &Usage) {
        if let Some(sent) = &mut self.sent {
            sent.used(usage);
        }
    }

    /// The whole answer came, and with it what is left of allowances.
    pub async fn answered(mut self, request: Option<&Request>, limits: &Limits, now: Moment) -> Settled {
        let Some(sent) = self.sent.take() else { return Settled::default() };
        if let Some((request, tokens)) = request.zip(sent.usage().all_input()) {
            self.link.counted(request, self.size, tokens, sent.usage().cache_read.unwrap_or(0), now);
        }
        let (who, known) = (self.link.identity(), self.known);
        let scarce = self.close(&sent, |health| {
            health.answered(&who, known, now);
            health.reported(&who, limits, now)
        });
        let mut settled = sent.answered().await;
        settled.notices.extend(scarce.map(|left| Notice::Capacity { model: self.link.id.clone(), left }));
        settled
    }

    /// It failed; `began`: within its reply. A refusal's headers tell of allowances as well.
    pub async fn failed(mut self, error: &ProviderError, began: bool, limits: &Limits, now: Moment) -> Settled {
        let Some(sent) = self.sent.take() else { return Settled::default() };
        let (who, limits) = (self.link.identity(), limits.until_back(error.retry_after_s));
        let scarce = self.close(&sent, |health| health.reported(&who, &limits, now));
        let mut settled = sent.failed(error, began).await;
        settled.notices.extend(scarce.map(|left| Notice::Capacity { model: self.link.id.clone(), left }));
        settled
    }

    fn close<T>(&self, sent: &Sent, with: impl FnOnce(&mut Health) -> T) -> T {
        let health = &mut *self.router.health();
        health.used(&self.booked, sent.tokens());
        with(health)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take() {
            let who = self.link.identity();
            self.close(&sent, |health| health.dropped(&who, self.router.clock.now()));
        }
    }
}
