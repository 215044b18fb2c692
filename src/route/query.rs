//! One attempt at an operation that is no answer: all of its calls over one link, in order.

use super::admit::{self, Flight};
use super::event::{LiveEvent, Product};
use super::link::Link;
use super::live::Live;
use super::router::Operation;
use crate::base::clock::Moment;
use crate::model::{Embeddings, Listed, ProviderError};
use crate::wire::limits::Limits;
use crate::wire::ops::{self, Call, Op};

/// More pages than any provider's list has.
const MAX_PAGES: u32 = 200;

/// What the calls so far have brought. A retry over the same link goes on behind them; another link begins anew, since
/// the vectors of two models do not belong together, and neither do the lists of two providers.
#[derive(Debug, Default)]
pub(super) struct Progress {
    link: usize,
    batches: usize,
    embeddings: Embeddings,
    pages: u32,
    models: Vec<Listed>,
    next: Option<String>,
}

impl Progress {
    /// The next attempt is over this link.
    pub(super) fn start(&mut self, link: usize) {
        if self.link != link {
            *self = Self { link, ..Self::default() };
        }
    }
}

/// Goes on where `progress` stands and brings the whole.
pub(super) async fn attempt(link: &Link, operation: &Operation, progress: &mut Progress) -> Result<Product, ProviderError> {
    match operation {
        Operation::Embed(request) => {
            let batches = link.batches(&request.input);
            for range in batches.into_iter().skip(progress.batches) {
                let inputs = range.len();
                let input = request.input.get(range).unwrap_or_default().to_vec();
                let part = crate::model::EmbedRequest { model: link.origin.model.clone(), input, ..request.clone() };
                let body = call(link, link.embed(&part), Op::Embed).await?;
                let Embeddings { vectors, usage, model } = ops::embeddings(link.provider.wire(), &body, inputs)?;
                progress.batches += 1;
                progress.embeddings.vectors.extend(vectors);
                progress.embeddings.usage.add(&usage);
                progress.embeddings.model = model.or(progress.embeddings.model.take());
            }
            Ok(Product::Embeddings(std::mem::take(&mut progress.embeddings)))
        }
        Operation::CountTokens(request) => {
            let mut request = request.clone();
            request.model.clone_from(&link.origin.model);
            let body = call(link, link.count(&request), Op::CountTokens).await?;
            ops::counted(link.provider.wire(), &body).map(Product::Tokens)
        }
        Operation::ListModels => loop {
            let body = call(link, ops::models(link.provider.wire(), progress.next.as_deref()), Op::ListModels).await?;
            let page = ops::page(link.provider.wire(), &body)?;
            progress.pages += 1;
            progress.models.extend(page.models);
            if page.next.is_none() {
                return Ok(Product::Models(std::mem::take(&mut progress.models)));
            }
            if page.next == progress.next || progress.pages >= MAX_PAGES {
                return Err(ProviderError::network("the list of models has no end"));
            }
            progress.next = page.next;
        },
        // An answer is a stream and has a path of its own.
        Operation::Generate(_) => Err(ProviderError::lacking(&link.id, "single result for an answer")),
    }
}

async fn call(link: &Link, call: Option<Call>, op: Op) -> Result<bytes::Bytes, ProviderError> {
    let call = call.ok_or_else(|| ops::lacking(link.provider.wire(), op))?;
    for loss in &call.losses {
        tracing::debug!(link = link.id, at = loss.at, what = loss.what, "not carried by this wire");
    }
    link.provider.call(&call).await
}

impl<'r> Live<'r> {
    /// One attempt at an operation that is no answer.
    pub(super) async fn query(&mut self, ix: usize, link: &'r Link, began: Moment) {
        let bytes =
            if let Operation::Embed(request) = &self.operation { request.input.iter().map(|t| t.len() as u64 + 16).sum() } else { 0 };
        let admitted = admit::input(self.router, link, bytes).await;
        if !self.stands(ix) {
            return;
        }
        let (sent, notice) = match admitted {
            Ok(admitted) => admitted,
            Err(why) => return self.plan.forbid(why, began),
        };
        let mut flight = Flight::uncounted(self.router, link, sent, began);
        self.goes(link);
        self.tell(notice);
        flight.goes();
        let mut progress = std::mem::take(&mut self.progress);
        progress.start(ix);
        let done = self.in_time(attempt(link, &self.operation, &mut progress)).await.and_then(|done| done);
        self.progress = progress;
        match done {
            Ok(product) => {
                if let Product::Embeddings(found) = &product {
                    flight.used(&found.usage);
                }
                self.queue.push_back(LiveEvent::Result(product));
                let settled = flight.answered(None, &Limits::default(), self.router.clock.now()).await;
                self.answered(link, began, Limits::default(), settled);
            }
            Err(error) => {
                let settled = flight.failed(&error, false, &Limits::default(), self.router.clock.now()).await;
                self.failed(ix, link, began, error, settled);
            }
        }
    }
}
