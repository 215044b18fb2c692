//! How tool calls travel where the wire's own field is not used: what changes in the request, and how the reply is read back.

use super::Calls;
use crate::model::{Request, StreamEvent, ToolSpec};

/// The request in the form that this way of calling needs; none where it stays as it is.
pub fn rewrite(_calls: Calls, _request: &Request) -> Option<Request> {
    None
}

/// Turns a reply's events into what they would have been with the wire's own calls.
#[derive(Debug)]
pub struct ReplyFilter;

impl ReplyFilter {
    pub fn new(_calls: Calls, _tools: &[ToolSpec]) -> Self {
        Self
    }

    pub fn push(&mut self, event: StreamEvent) -> Vec<StreamEvent> {
        vec![event]
    }
}
