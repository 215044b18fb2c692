//! One attempt at an operation that is no answer: all of its calls over one link, in order.

use super::event::Product;
use super::link::Link;
use super::router::Operation;
use crate::model::{Embeddings, Listed, ProviderError};
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
