//! Whether a request may go over a link now: what it weighs, whether it fits into the link's quotas, and who pays for it.

use super::budget::{self, Size};
use super::health::Health;
use super::limiter::Booking;
use super::link::Link;
use super::notice::Notice;
use super::purse::{self, Granted, Refused, Sent, Settled};
use super::router::Router;
use crate::base::clock::Moment;
use crate::model::aside::Kind;
use crate::model::{ProviderError, Request, StreamEvent, Usage};
use crate::wire::Encoded;
use crate::wire::limits::Limits;
use crate::wire::quirk::ReplyFilter;
use std::sync::Arc;

/// The answer to the question.
pub(super) enum Admit<'r> {
    Go(Box<Admitted<'r>>),
    /// There is room at this time, by our own count.
    Later(Moment, ProviderError),
    /// Not in this call.
    No(ProviderError),
}

/// A request that may go.
pub(super) struct Admitted<'r> {
    pub encoded: Encoded,
    pub filter: ReplyFilter,
    pub flight: Flight<'r>,
    pub notice: Option<Notice>,
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
}

/// The answer for a conversation.
pub(super) async fn conversation<'r>(router: &'r Router, link: &'r Link, request: &mut Request, now: Moment) -> Admit<'r> {
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
    let who = link.identity();
    if let Some((until, why)) = router.health().fit(&who, &link.terms.quotas, likely, now) {
        return Admit::Later(until, why);
    }
    let output = budget::most_output(asked, link.terms.max_output);
    let (granted, notice) = match router.claim(link, size.most_tokens(before), output).await {
        Ok(granted) => granted,
        Err(Refused::Over(over)) => return Admit::No(purse::refusal(&over, &link.id)),
        Err(Refused::Other(error)) => return Admit::No(error),
    };
    let Granted { output: fits, sent } = granted;
    // Where a cap binds the answer, or nobody else does, the provider has to know.
    if fits < output || (router.is_capped() && asked.is_none() && link.terms.max_output.is_none()) {
        request.max_output = Some(fits);
        (encoded, filter) = link.encode(request);
        request.max_output = asked;
    }
    let booked = router.health().trying(&who, &link.terms.quotas, likely, now);
    let flight = Flight { router, link, sent: Some(sent), booked, size };
    Admit::Go(Box::new(Admitted { encoded, filter, flight, notice }))
}

/// The answer for what is no conversation: `bytes` of input that is charged, and no output.
pub(super) async fn input<'r>(
    router: &'r Router,
    link: &'r Link,
    bytes: u64,
    now: Moment,
) -> Result<(Flight<'r>, Option<Notice>), ProviderError> {
    let size = Size { bytes, images: 0 };
    let (Granted { sent, .. }, notice) = router.claim(link, bytes, 0).await.map_err(|refused| match refused {
        Refused::Over(over) => purse::refusal(&over, &link.id),
        Refused::Other(error) => error,
    })?;
    let booked = router.health().trying(&link.identity(), &[], 0, now);
    Ok((Flight { router, link, sent: Some(sent), booked, size }, notice))
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
        let who = self.link.identity();
        let scarce = self.close(&sent, |health| {
            health.ended(&who, None, now);
            health.reported(&who, limits, now)
        });
        let mut settled = sent.answered().await;
        settled.notices.extend(scarce.map(|left| Notice::Capacity { model: self.link.id.clone(), left }));
        settled
    }

    /// It failed; `began`: within its reply.
    pub async fn failed(mut self, error: &ProviderError, began: bool) -> Settled {
        let Some(sent) = self.sent.take() else { return Settled::default() };
        self.close(&sent, |_| ());
        sent.failed(error, began).await
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
