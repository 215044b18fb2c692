//! One reply on its way in: bytes, timers and the decoder, until the stream ends or fails.

use super::cli::Child;
use super::http::Timeouts;
use crate::base::net;
use crate::model::{Class, ProviderError, StreamEvent};
use crate::wire::Decoder;
use crate::wire::limits::Limits;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a finished reply may keep its connection open before we stop waiting for the usage frame or the end, whether
/// its end was told or only follows from what it said.
const AFTER_END: Duration = Duration::from_secs(2);

/// A reply being read. Dropping it cancels the request upstream.
#[derive(Debug)]
pub struct Exchange {
    source: Source,
    decoder: Decoder,
    ready: VecDeque<StreamEvent>,
    timeouts: Timeouts,
    /// Any byte of the body arrived.
    began: bool,
    /// The terminal event arrived; what follows can only add usage.
    ended: bool,
    closed: bool,
    limits: Limits,
}

/// Where the bytes come from.
#[derive(Debug)]
pub(super) enum Source {
    Http(reqwest::Response),
    /// A body that was read already.
    Whole(Option<Bytes>),
    Program(Box<Child>),
    Script(VecDeque<super::scripted::Piece>),
}

impl Exchange {
    pub(super) fn new(source: Source, decoder: Decoder, timeouts: Timeouts) -> Self {
        Self { source, decoder, ready: VecDeque::new(), timeouts, began: false, ended: false, closed: false, limits: Limits::default() }
    }

    /// With what the reply's headers say of allowances.
    #[must_use]
    pub(super) fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What its headers say of allowances.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The next event, or nothing once the reply is over. Failures are events too, and the last ones.
    pub async fn next(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.ended |= matches!(event, StreamEvent::End { .. } | StreamEvent::Error { .. });
                return Some(event);
            }
            if self.closed {
                return None;
            }
            let mut out = Vec::new();
            match self.read().await {
                Ok(Some(bytes)) => self.decoder.feed(&bytes, &mut out),
                Ok(None) => {
                    self.closed = true;
                    self.decoder.finish(&mut out);
                    self.source.explain(&mut out);
                }
                Err(error) => {
                    self.closed = true;
                    self.broke(error, &mut out);
                }
            }
            self.ready.extend(out);
        }
    }

    /// The connection is of no more use. Where the reply had come to its end, a reset or a silent server takes nothing
    /// away; where it had not, the failure is the connection's, whatever the decoder makes of the missing rest.
    fn broke(&mut self, error: ProviderError, out: &mut Vec<StreamEvent>) {
        if self.ended {
            return;
        }
        self.decoder.finish(out);
        if !out.iter().any(|e| matches!(e, StreamEvent::End { .. })) {
            out.retain(|e| !matches!(e, StreamEvent::Error { .. }));
            out.push(StreamEvent::Error { error });
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, ProviderError> {
        let (limit, what) = match (self.ended || self.decoder.is_whole(), self.began) {
            (true, _) => (AFTER_END, "the connection stayed open after the reply"),
            (false, true) => (self.timeouts.idle, "the stream stalled: no bytes"),
            (false, false) => (self.timeouts.first_byte, "no first byte"),
        };
        let chunk = tokio::time::timeout(limit, self.source.chunk())
            .await
            .map_err(|_| ProviderError::timeout(format!("{what} for {} s", limit.as_secs_f64())))??;
        self.began |= chunk.is_some();
        Ok(chunk)
    }
}

impl Source {
    /// A program that ended without an answer has told why on another channel.
    fn explain(&self, out: &mut [StreamEvent]) {
        let Self::Program(child) = self else { return };
        let Some(words) = child.last_words() else { return };
        for event in out {
            if let StreamEvent::Error { error } = event
                && error.class == Class::Network
            {
                let message = format!("{words} ({})", error.message);
                *error = error.clone().told(message);
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ProviderError> {
        match self {
            Self::Http(response) => Ok(net::chunk(response).await?),
            Self::Whole(body) => Ok(body.take()),
            Self::Program(child) => child.chunk().await.map_err(|e| ProviderError::network(format!("its output cannot be read: {e}"))),
            Self::Script(pieces) => super::scripted::next(pieces).await,
        }
    }
}
