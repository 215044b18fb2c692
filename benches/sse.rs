//! Throughput of the event-stream decoder and of the whole Chat Completions reply path, and the cost of a request's
//! encoding late in a long conversation.

use code_pup::model::{Message, Request};
use code_pup::wire::sse::{Frame, SseDecoder};
use code_pup::wire::{Decoder, Dialect, Encoder, Wire};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// How a network read cuts the stream, in bytes.
const READ: usize = 16 << 10;

fn stream(chunks: usize) -> Vec<u8> {
    let chunk = |n: usize| {
        let delta = format!(r#"[{{"index":0,"delta":{{"content":"word {n} "}},"logprobs":null,"finish_reason":null}}]"#);
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":{delta}}}\n\n"
        )
    };
    let mut out: String = (0..chunks).map(chunk).collect();
    out += "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    out.into_bytes()
}

#[divan::bench]
fn sse_frames(bencher: Bencher<'_, '_>) {
    let bytes = stream(20_000);
    bencher.counter(BytesCount::new(bytes.len())).bench(|| {
        let mut decoder = SseDecoder::default();
        let mut total = 0;
        let mut on = |frame: Frame<'_>| {
            if let Frame::Event { data, .. } = frame {
                total += data.len();
            }
        };
        for read in bytes.chunks(READ) {
            decoder.feed(black_box(read), &mut on);
        }
        decoder.finish(&mut on);
        total
    });
}

#[divan::bench]
fn chat_events(bencher: Bencher<'_, '_>) {
    let bytes = stream(20_000);
    bencher.counter(BytesCount::new(bytes.len())).bench(|| {
        let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::default());
        let mut events = Vec::new();
        let mut total = 0;
        for read in bytes.chunks(READ) {
            decoder.feed(black_box(read), &mut events);
            total += events.len();
            events.clear();
        }
        decoder.finish(&mut events);
        total + events.len()
    });
}

/// One more turn behind this many messages.
#[divan::bench(args = [10, 100, 1000, 10_000])]
fn next_turn(bencher: Bencher<'_, '_>, messages: usize) {
    bencher
        .with_inputs(|| {
            let mut request = Request {
                model: "m".into(),
                messages: (0..messages).map(|n| Message::user(format!("message {n} {}", "x".repeat(500)))).collect(),
                ..Request::default()
            };
            let mut encoder = Encoder::new(Wire::OpenaiChat, Dialect::default());
            encoder.encode(&request);
            request.messages.push(Message::user("one more"));
            (encoder, request)
        })
        .bench_refs(|(encoder, request)| encoder.encode(request));
}
