//! A request body of several pieces, sent without joining them: the part of a history that was sent before is never
//! copied again, and the length is known, so that no server has to understand chunked requests.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The pieces still to be sent.
#[derive(Debug)]
pub(super) struct Segments {
    left: VecDeque<Bytes>,
    bytes: u64,
    /// Told when the last piece is taken.
    taken: Option<oneshot::Sender<()>>,
}

impl Segments {
    /// The body, and what tells that all of it is on its way.
    pub(super) fn new(segments: impl IntoIterator<Item = Bytes>) -> (Self, oneshot::Receiver<()>) {
        let left: VecDeque<Bytes> = segments.into_iter().filter(|s| !s.is_empty()).collect();
        let bytes = left.iter().map(|s| s.len() as u64).sum();
        let (taken, sent) = oneshot::channel();
        (Self { left, bytes, taken: Some(taken) }, sent)
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.left.pop_front();
        if let Some(segment) = &next {
            self.bytes -= segment.len() as u64;
        }
        if self.left.is_empty()
            && let Some(taken) = self.taken.take()
        {
            // Nobody listens any more when the answer came first.
            let _ = taken.send(());
        }
        Poll::Ready(next.map(|s| Ok(Frame::data(s))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}
