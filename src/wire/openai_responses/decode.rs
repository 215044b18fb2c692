//! A reply's pieces to events, streamed or whole.
//!
//! The end is an event that names one (`response.completed` and its like), or a whole response; without it, the stream was
//! cut. A piece that cannot be read becomes [`StreamEvent::Unknown`] and ends nothing. What was in it is taken from the whole
//! form that every item ends with, and so is that of an event that never came, which the numbers show; where that is no
//! longer possible, the reply is an error, never a success with a hole in it.

use super::item::Slot;
use super::items::{At, Items, Read, Source};
use super::shape::{Event, Response};
use super::usage::WireUsage;
use super::{error, finish};
use crate::model::{ProviderError, Stop, StreamEvent, ToolSpec, Usage};
use crate::wire::classify::{self, Sender};
use crate::wire::codec::Decode;
use crate::wire::names::ToolNames;
use crate::wire::pieces::{self, Found, Told, unknown};
use crate::wire::sniff::{Nature, Piece};
use serde_json::value::RawValue;

/// The state of one reply.
#[derive(Debug, Clone, Default)]
pub struct ReplyDecoder {
    id: Option<String>,
    model: Option<String>,
    started: bool,
    items: Items,
    usage: Usage,
    /// Who answers, for what an error inside the reply means.
    sender: Sender,
    /// The last event with a number, and its bytes: the same once more is a copy.
    last: Option<(u64, Vec<u8>)>,
    /// How many events could be read.
    events: usize,
    words: Told,
    /// A terminal event or an error was handed on; nothing follows it.
    over: bool,
}

impl Decode for ReplyDecoder {
    fn copy(&self) -> Box<dyn Decode> {
        Box::new(self.clone())
    }

    fn expect_tools(&mut self, tools: &[ToolSpec]) {
        self.items.names = ToolNames::of(tools);
    }

    fn sent_by(&mut self, sender: Sender) {
        self.sender = sender;
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<StreamEvent>) {
        if self.over {
            return;
        }
        pieces::documents(piece, &mut |found| {
            if self.over {
                return;
            }
            match found {
                Found::Json { event, text } => match serde_json::from_str::<Event<'_>>(text) {
                    Ok(read) => self.numbered(event, &read, text.as_bytes(), out),
                    Err(_) => self.unreadable(text.as_bytes(), out),
                },
                Found::Broken(raw) => self.unreadable(raw, out),
            }
        });
    }

    fn finish(&mut self, nature: Nature<'_>, out: &mut Vec<StreamEvent>) {
        if !self.over {
            let said = self.words.instead(self.events);
            self.fail(said.unwrap_or_else(|| pieces::cut(&nature, "a response", self.events)), out);
        }
    }
}

impl ReplyDecoder {
    fn unreadable(&mut self, data: &[u8], out: &mut Vec<StreamEvent>) {
        self.items.hold();
        unknown(data, out);
    }

    /// Passes over an event that comes twice, and notes a gap.
    fn numbered(&mut self, name: &[u8], event: &Event<'_>, data: &[u8], out: &mut Vec<StreamEvent>) {
        // Servers that do not count write 0 everywhere.
        if let Some(number) = event.sequence_number.0.filter(|n| *n > 0) {
            if let Some((last, bytes)) = &self.last {
                if *last == number && bytes == data {
                    return;
                }
                if number > last.saturating_add(1) {
                    self.items.hold();
                }
            }
            let (last, bytes) = self.last.get_or_insert_default();
            *last = number;
            data.clone_into(bytes);
        }
        self.event(name, event, data, out);
    }

    /// One event. Its own type counts; the stream's name for it is the fallback.
    fn event(&mut self, name: &[u8], event: &Event<'_>, raw: &[u8], out: &mut Vec<StreamEvent>) {
        let named = std::str::from_utf8(name).unwrap_or_default();
        let kind = event.kind.get().unwrap_or(named);
        let read = match kind {
            "response.created" => return self.created(event, raw, out),
            "response.in_progress" | "response.queued" => self.lifecycle(event, out),
            "response.output_item.added" => match event.item {
                Some(item) => self.items.start(at(event), item, self.id.as_deref().unwrap_or_default(), out),
                None => Read::No,
            },
            "response.output_item.done" => match event.item {
                Some(item) => self.items.finish(at(event), Source::Event, item, self.id.as_deref().unwrap_or_default(), out),
                None => Read::No,
            },
            "response.completed" | "response.done" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.events += 1;
                return self.terminal(kind, event.response, out);
            }
            "error" => return self.fail(classify::in_band_of(self.sender, raw), out),
            _ if named == "error" => return self.fail(classify::in_band_of(self.sender, raw), out),
            "" => return self.unnamed(event, raw, out),
            kind => self.growth(kind, event, out),
        };
        match read {
            Read::Yes => self.events += 1,
            Read::No => self.words.unknown(self.sender, raw, self.events, out),
        }
    }

    /// Pieces of items, and what says nothing that their end does not.
    fn growth(&mut self, kind: &str, event: &Event<'_>, out: &mut Vec<StreamEvent>) -> Read {
        let (at, reply) = (at(event), self.id.as_deref().unwrap_or_default());
        let (content, summary) = (event.content_index.0.unwrap_or(0), event.summary_index.0.unwrap_or(0));
        let (family, what) = kind.rsplit_once('.').unwrap_or_default();
        let slot = match family {
            "response.output_text" => Slot::Text(content),
            "response.refusal" => Slot::Refusal(content),
            "response.reasoning_summary_text" | "response.reasoning_summary" => Slot::Summary(summary),
            "response.reasoning_text" | "response.reasoning" => Slot::Thought(content),
            "response.function_call_arguments" => Slot::Arguments,
            "response.custom_tool_call_input" => Slot::Input,
            "response.content_part"
            | "response.reasoning_summary_part"
            | "response.reasoning_part"
            | "response.output_text.annotation"
            | "response.output_text_annotation" => return Read::Yes,
            _ if matches!(kind, "keepalive" | "response.keepalive" | "ping") || self.items.is_opaque(at) => return Read::Yes,
            _ => return Read::No,
        };
        match what {
            "delta" => self.items.grow(at, slot, event.delta.get().unwrap_or_default(), reply, out),
            "done" => {
                let whole = match slot {
                    Slot::Text(_) | Slot::Summary(_) | Slot::Thought(_) => &event.text,
                    Slot::Refusal(_) => &event.refusal,
                    Slot::Arguments => &event.arguments,
                    Slot::Input => &event.input,
                };
                // An empty one is either that, or a server that leaves it to the item's end.
                if let Some(whole) = whole.get() {
                    self.items.complete_part(at, slot, whole, reply, out);
                }
            }
            _ => return Read::No,
        }
        Read::Yes
    }

    /// What has no type: a whole response, or an error as the whole answer.
    fn unnamed(&mut self, event: &Event<'_>, raw: &[u8], out: &mut Vec<StreamEvent>) {
        if event.object.get() == Some("response") || event.output.is_some() {
            match std::str::from_utf8(raw).map(serde_json::from_str::<&RawValue>) {
                Ok(Ok(response)) => {
                    self.events += 1;
                    self.terminal("", Some(response), out);
                }
                Ok(Err(_)) | Err(_) => self.unreadable(raw, out),
            }
        } else if event.error.is_some() || event.detail.get().is_some() {
            self.fail(classify::in_band_of(self.sender, raw), out);
        } else {
            self.words.unknown(self.sender, raw, self.events, out);
        }
    }

    fn created(&mut self, event: &Event<'_>, raw: &[u8], out: &mut Vec<StreamEvent>) {
        let id = event.response.and_then(|r| serde_json::from_str::<Response<'_>>(r.get()).ok()).and_then(|r| r.id.into_owned());
        // The same start twice is a known fault of proxies; another response behind content would be two answers in one.
        if self.items.has_content() && id.is_some() && self.id.is_some() && id != self.id {
            return self.fail(ProviderError::network("the stream began a second answer in the middle of the first"), out);
        }
        match self.lifecycle(event, out) {
            Read::Yes => self.events += 1,
            Read::No => unknown(raw, out),
        }
    }

    fn lifecycle(&mut self, event: &Event<'_>, out: &mut Vec<StreamEvent>) -> Read {
        let Some(Ok(response)) = event.response.map(|r| serde_json::from_str::<Response<'_>>(r.get())) else { return Read::No };
        self.start(response.id.into_owned(), response.model.into_owned(), out);
        Read::Yes
    }

    fn start(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<StreamEvent>) {
        let news = !self.started || (id.is_some() && self.id.is_none()) || (model.is_some() && self.model.is_none());
        if news {
            self.id = self.id.take().or(id);
            self.model = self.model.take().or(model);
            self.started = true;
            out.push(StreamEvent::Start { id: self.id.clone(), model: self.model.clone() });
        }
    }

    /// The end: the response as it is now, with all of its items, in an event of this kind or as the whole body.
    fn terminal(&mut self, kind: &str, raw: Option<&RawValue>, out: &mut Vec<StreamEvent>) {
        let response: Response<'_> = raw.and_then(|r| serde_json::from_str(r.get()).ok()).unwrap_or_default();
        self.start(response.id.into_owned(), response.model.into_owned(), out);
        let reply = self.id.clone().unwrap_or_default();
        let output: Vec<&RawValue> = response.output.and_then(|o| serde_json::from_str(o.get()).ok()).unwrap_or_default();
        let list = Source::Output(self.items.len());
        for (index, item) in (0..).zip(output) {
            if self.items.finish(At { index: Some(index), id: None }, list, item, &reply, out) == Read::No {
                unknown(item.get().as_bytes(), out);
            }
        }
        self.usage(response.usage, out);
        let error = response.error.map(RawValue::get);
        let reason = response.incomplete_details.as_ref().and_then(|d| d.reason.get());
        // The status says it; where there is none, or it is that of the beginning, the event's own name.
        let named = kind.strip_prefix("response.").unwrap_or(kind);
        let status = response.status.get().unwrap_or_default();
        let status = match (named, status) {
            ("failed" | "cancelled" | finish::INCOMPLETE, _) => named,
            (_, "failed" | "cancelled" | finish::INCOMPLETE | finish::COMPLETED) => status,
            ("", "in_progress" | "queued") => {
                let unfinished = format!("the provider is not done with its answer (it is {status}), and sends no more of it");
                return self.fail(ProviderError::network(unfinished), out);
            }
            _ if error.is_some() => "failed",
            _ => finish::COMPLETED,
        };
        match status {
            "failed" => self.fail(error::failed(self.sender, error), out),
            "cancelled" => self.fail(error::cancelled(), out),
            finish::INCOMPLETE => {
                let word = reason.map_or_else(|| status.to_owned(), |reason| format!("{status}:{reason}"));
                self.end(word, out);
            }
            word => self.end(word.to_owned(), out),
        }
    }

    fn usage(&mut self, raw: Option<&RawValue>, out: &mut Vec<StreamEvent>) {
        let Some(Ok(wire)) = raw.map(|r| serde_json::from_str::<WireUsage>(r.get())) else { return };
        let mut usage = self.usage;
        usage.replace_with(&wire.neutral());
        if usage != self.usage {
            self.usage = usage;
            out.push(StreamEvent::Usage { usage });
        }
    }

    fn end(&mut self, word: String, out: &mut Vec<StreamEvent>) {
        self.items.close(out);
        let said = finish::read(&word);
        // A call that a limit cut off is whole nowhere; everything else is.
        if self.items.is_broken() || (self.items.call_broken && said == Stop::End) {
            return self.fail(ProviderError::network("pieces of the reply were lost on the way"), out);
        }
        let stop = match said {
            // Calls are never named as the reason. A bad one is answered, never run.
            Stop::End if self.items.has_calls() => Stop::ToolUse,
            Stop::End if self.items.refused => Stop::Refusal,
            stop => stop,
        };
        self.over = true;
        out.push(StreamEvent::End { stop, reason: Some(word) });
    }

    fn fail(&mut self, error: ProviderError, out: &mut Vec<StreamEvent>) {
        self.over = true;
        out.push(StreamEvent::Error { error });
    }
}

fn at<'a>(event: &'a Event<'_>) -> At<'a> {
    At { index: event.output_index.0, id: event.item_id.get() }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
