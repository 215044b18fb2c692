//! The SSE decoder: every way to cut, frame and break a stream.

use super::*;
use proptest::prelude::*;

fn decode(pieces: &[&[u8]]) -> Vec<(String, String)> {
    decode_with(SseDecoder::default(), pieces)
}

fn decode_with(mut decoder: SseDecoder, pieces: &[&[u8]]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut on = |frame: Frame<'_>| {
        out.push(match frame {
            Frame::Event { name, data } => (String::from_utf8(name.to_vec()).unwrap(), String::from_utf8(data.to_vec()).unwrap()),
            Frame::TooLong => ("too long".to_owned(), String::new()),
        });
    };
    for piece in pieces {
        decoder.feed(piece, &mut on);
    }
    decoder.finish(&mut on);
    out
}

fn data(pieces: &[&[u8]]) -> Vec<String> {
    decode(pieces).into_iter().map(|(_, d)| d).collect()
}

#[test]
fn line_ends_in_every_form_and_split_between_reads() {
    for stream in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r", "data: a\n\r\ndata: b\r\n\n"] {
        assert_eq!(data(&[stream.as_bytes()]), ["a", "b"], "{stream:?}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(data(&bytes), ["a", "b"], "{stream:?} byte by byte");
    }
    assert_eq!(data(&[b"data: a\r", b"\n\r", b"\ndata: b\r\n\r\n"]), ["a", "b"]);
    assert_eq!(data(&[b"data: a\r", b"", b"\r", b"data: b\r\r"]), ["a", "b"]);
}

#[test]
fn fields_comments_and_names() {
    assert_eq!(decode(&[b"\xef\xbb\xbfevent: error\ndata:x\n\n"]), [("error".into(), "x".into())]);
    assert_eq!(data(&[b": OPENROUTER PROCESSING\n\ndata:a\n: in between\ndata:  b\ndata\nid: 7\nretry: 5\nfoo: bar\n\n"]), ["a\n b\n"]);
    assert_eq!(decode(&[b"event: ping\n\ndata: x\n\n"]), [(String::new(), "x".into())], "a name without data is dropped");
}

#[test]
fn sloppy_ends_and_bare_objects_still_count() {
    assert_eq!(data(&[b"data: a\n\ndata: [DONE]"]), ["a", "[DONE]"]);
    assert_eq!(data(&[b"data: a\n{\"error\":1}\ndata: b"]), ["a", "{\"error\":1}", "b"]);
    assert_eq!(data(&[b""]), Vec::<String>::new());
}

#[test]
fn too_long_a_frame_is_reported_once_and_the_next_is_read() {
    let long = format!("data: {}\n\ndata: ok\n\n", "x".repeat(100));
    let many = format!("{}\ndata: ok\n\n", "data: yyyyyyyyyyyy\n".repeat(9));
    for stream in [long, many] {
        for step in [1, 7, 1000] {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(step).collect();
            let got = decode_with(SseDecoder::with_cap(64), &pieces);
            assert_eq!(got, [("too long".into(), String::new()), (String::new(), "ok".into())], "step {step}");
        }
    }
    // A line is measured with its field's name, and however it arrives.
    let name = format!("data: {}\n\ndata: ok\n\n", "x".repeat(60));
    let comment = format!(": {}\ndata: x\n\ndata: ok\n\n", "x".repeat(70));
    for stream in [name, comment] {
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        for pieces in [&[stream.as_bytes()][..], &bytes] {
            let got = decode_with(SseDecoder::with_cap(64), pieces);
            assert_eq!(got, [("too long".into(), String::new()), (String::new(), "ok".into())], "{stream}");
        }
    }
    let endless = vec![b'x'; 1000];
    assert_eq!(decode_with(SseDecoder::with_cap(64), &[&endless]).len(), 1);
}

fn any_line() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "data: [a-zé€😀 :]{0,12}",
        1 => "data:[a-z]{0,4}",
        1 => Just("data".to_owned()),
        1 => ": [a-z]{0,5}",
        1 => "event: [a-z]{0,5}",
        1 => "[a-z]{1,5}: ?[a-z]{0,3}",
        4 => Just(String::new()),
    ];
    (line, prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]).prop_map(|(line, end)| line + end)
}

proptest! {
    #[test]
    fn splitting_changes_nothing(lines in prop::collection::vec(any_line(), 0..20), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let stream = lines.concat().into_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
        prop_assert_eq!(decode(&pieces), decode(&[&stream]));
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..6)) {
        let mut decoder = SseDecoder::with_cap(20);
        for piece in &pieces {
            decoder.feed(piece, &mut |_| {});
        }
        decoder.finish(&mut |_| {});
    }
}
