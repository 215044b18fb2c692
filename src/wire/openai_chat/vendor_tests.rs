//! What vendors make of Chat Completions, from frames written here after what is known of theirs.

use super::*;
use crate::model::{Accumulator, Block, Reply};
use crate::wire::{Decoder, Wire};

fn read(quirks: &[&str], body: &str) -> Reply {
    let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::from_quirks(quirks).unwrap());
    let (mut out, mut all) = (Vec::new(), Accumulator::default());
    decoder.feed(body.as_bytes(), &mut out);
    decoder.finish(&mut out);
    for event in &out {
        all.push(event);
    }
    all.finish()
}

fn chunks(choices: &[&str]) -> String {
    choices.iter().fold(String::new(), |all, choice| all + "data: {\"id\":\"r\",\"choices\":[" + choice + "]}\n\n")
}

fn stream(deltas: &[&str], finish: &str) -> Reply {
    let middle: Vec<String> = deltas.iter().map(|d| format!(r#"{{"delta":{d}}}"#)).collect();
    let last = format!(r#"{{"delta":{{}},"finish_reason":"{finish}"}}"#);
    let all: Vec<&str> = middle.iter().map(String::as_str).chain([last.as_str()]).collect();
    read(&[], &(chunks(&all) + "data: [DONE]\n\n"))
}

fn calls(reply: &Reply) -> Vec<(String, String)> {
    let ids: std::collections::HashSet<&str> = reply.message.calls().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), reply.message.calls().count(), "ids are distinct");
    reply.message.calls().map(|c| (c.name.clone(), c.args_raw.clone())).collect()
}

fn pairs(want: &[(&str, &str)]) -> Vec<(String, String)> {
    want.iter().map(|(name, args)| ((*name).to_owned(), (*args).to_owned())).collect()
}

fn thinking(reply: &Reply) -> String {
    reply.message.blocks.iter().filter_map(|b| if let Block::Thinking { text, .. } = b { Some(text.as_str()) } else { None }).collect()
}

#[test]
fn calls_that_share_one_number_and_have_no_ids_are_told_apart_when_the_one_before_is_whole() {
    let whole = |name: &str, args: &str| format!(r#"{{"tool_calls":[{{"index":0,"function":{{"name":"{name}","arguments":{args:?}}}}}]}}"#);
    let r = stream(&[&whole("f", r#"{"a":1}"#), &whole("g", r#"{"b":2}"#), &whole("g", r#"{"b":3}"#)], "tool_calls");
    assert_eq!(calls(&r), pairs(&[("f", r#"{"a":1}"#), ("g", r#"{"b":2}"#), ("g", r#"{"b":3}"#)]));
    // A name that is only repeated with each piece makes no second call.
    let r = stream(&[&whole("f", r#"{"a""#), &whole("f", ":1"), &whole("f", "}"), &whole("f", "")], "tool_calls");
    assert_eq!(calls(&r), pairs(&[("f", r#"{"a":1}"#)]));
}

#[test]
fn an_id_that_is_made_up_for_each_piece_makes_no_new_calls() {
    let r = stream(
        &[
            r#"{"tool_calls":[{"id":"x1","function":{"name":"f","arguments":"{\"a\""}}]}"#,
            r#"{"tool_calls":[{"id":"x2","function":{"arguments":":1}"}}]}"#,
        ],
        "tool_calls",
    );
    assert_eq!(calls(&r), pairs(&[("f", r#"{"a":1}"#)]));
}

#[test]
fn a_field_of_the_wrong_form_costs_only_itself() {
    for odd in
        [r#""tool_calls":"""#, r#""tool_calls":[null,7]"#, r#""function_call":"""#, r#""reasoning_content":{"x":1}"#, r#""refusal":[]"#]
    {
        let r = stream(&[&format!(r#"{{"content":"a",{odd}}}"#)], "stop");
        assert_eq!((r.message.joined_text().as_str(), r.complete, r.stop), ("a", true, Stop::End), "{odd}");
        assert!(calls(&r).is_empty(), "{odd}");
    }
    let alone = stream(&[r#"{"tool_calls":{"id":"1","function":{"name":"f","arguments":null}}}"#], "tool_calls");
    assert_eq!(calls(&alone), pairs(&[("f", "")]), "one call without a list");
    let half = stream(&[r#"{"tool_calls":[{"id":"1","function":{"name":"f","arguments":{"a":1}}},{"function":"?"}]}"#], "tool_calls");
    assert_eq!(calls(&half), pairs(&[("f", r#"{"a":1}"#)]));
}

#[test]
fn content_comes_as_text_a_part_or_parts() {
    for (content, text, thought) in [
        (r#""a""#, "a", ""),
        (r#"{"type":"text","text":"a"}"#, "a", ""),
        (r#"["a",{"type":"text","text":"b"},7]"#, "ab", ""),
        (r#"[{"type":"thinking","thinking":[{"type":"text","text":"t"}],"closed":true},{"type":"text","text":"a"}]"#, "a", "t"),
        (r#"[{"type":"thinking","thinking":"t"},{"type":"text","text":"a"}]"#, "a", "t"),
        ("12", "12", ""),
    ] {
        let r = stream(&[&format!(r#"{{"content":{content}}}"#)], "stop");
        assert_eq!((r.message.joined_text().as_str(), thinking(&r).as_str(), r.complete), (text, thought, true), "{content}");
    }
    for name in ["reasoning", "reasoning_content", "reasoning_text"] {
        assert_eq!(thinking(&stream(&[&format!(r#"{{"{name}":"t"}}"#), r#"{"content":"a"}"#], "stop")), "t", "{name}");
    }
}

#[test]
fn a_whole_message_behind_its_pieces_is_not_read_twice() {
    let body = chunks(&[
        r#"{"delta":{"content":"a"},"message":{"content":"a"}}"#,
        r#"{"delta":{"content":"b"},"message":{"content":"ab"}}"#,
        r#"{"message":{"content":"ab"},"finish_reason":"stop"}"#,
    ]);
    assert_eq!(read(&[], &body).message.joined_text(), "ab");
    // Two choices of one number are two halves of one message (GitHub's proxy sends Claude's so).
    let halves = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"tool_calls"},{"message":{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let r = read(&[], halves);
    assert_eq!((r.message.joined_text().as_str(), calls(&r)), ("a", pairs(&[("f", "{}")])));
    assert_eq!(read(&[], r#"{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":1,"message":{"content":"b"},"finish_reason":"stop"}]}"#).message.joined_text(), "a", "one of several answers");
}

#[test]
fn the_message_so_far_beside_each_piece_is_no_end() {
    let both = |piece: &str, so_far: &str, finish: &str| {
        format!(r#"{{"finish_reason":{finish},"message":{{"role":"assistant","content":"{so_far}"}},"delta":{{"content":"{piece}"}}}}"#)
    };
    let (first, second, last) = (both("He", "He", "null"), both("llo", "Hello", "null"), both("", "Hello", r#""stop""#));
    let cut = read(&[], &chunks(&[&first, &second]));
    assert_eq!((cut.complete, cut.message.joined_text().as_str()), (false, "Hello"));
    let whole = read(&[], &chunks(&[&first, &second, &last]));
    assert_eq!((whole.complete, whole.message.joined_text().as_str()), (true, "Hello"));
}

#[test]
fn a_call_with_free_text_is_a_call() {
    let pieces = [
        r#"{"tool_calls":[{"index":0,"id":"c","type":"custom","custom":{"name":"code","input":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"custom":{"input":"print"}}]}"#,
        r#"{"tool_calls":[{"index":0,"custom":{"input":"(1)"}}]}"#,
    ];
    assert_eq!(calls(&stream(&pieces, "tool_calls")), pairs(&[("code", "print(1)")]));
}

#[test]
fn an_error_in_a_list_ends_a_stream() {
    let words = chunks(&[r#"{"delta":{"content":"a"}}"#]);
    let body = format!("{words}data: [{{\"error\":{{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}}}]\n\n");
    assert_eq!(failed(&body), (Class::Overloaded, "m".to_owned()));
}

#[test]
fn usage_wherever_it_stands() {
    let end = r#""finish_reason":"stop""#;
    let in_choice =
        chunks(&[&format!(r#"{{"delta":{{"content":"a"}},{end},"usage":{{"prompt_tokens":9,"completion_tokens":2,"cached_tokens":4}}}}"#)]);
    let u = read(&[], &in_choice).usage;
    assert_eq!((u.input, u.cache_read, u.output), (Some(5), Some(4), Some(2)));
    let timed =
        format!(r#"data: {{"choices":[{{"delta":{{"content":"a"}},{end}}}],"timings":{{"prompt_n":3,"cache_n":90,"predicted_n":7}}}}"#)
            + "\n\n";
    let u = read(&[], &timed).usage;
    assert_eq!((u.input, u.cache_read, u.output), (Some(3), Some(90), Some(7)));
    // With both, what came from the cache is counted once, whichever comes first; timings that do not say it count less.
    let usage = r#""usage":{"prompt_tokens":93,"completion_tokens":7}"#;
    let beside = timed.replace("\"timings\"", &format!(r#"{usage},"timings""#));
    let behind = format!("{timed}data: {{\"choices\":[],{usage}}}\n\n");
    for both in [beside, behind] {
        let u = read(&[], &both).usage;
        assert_eq!((u.input, u.cache_read, u.output), (Some(3), Some(90), Some(7)), "{both}");
        let u = read(&[], &both.replace("\"cache_n\":90,", "")).usage;
        assert_eq!((u.input, u.cache_read, u.output), (Some(93), None, Some(7)), "{both}");
    }
    let google = chunks(&[r#"{"delta":{"content":"a"},"finish_reason":"stop"}"#])
        + r#"data: {"choices":[],"usage":{"prompt_tokens":35,"completion_tokens":12,"total_tokens":109}}"#
        + "\n\n";
    let u = read(&["thoughts-in-total"], &google).usage;
    assert_eq!((u.output, u.reasoning), (Some(74), Some(62)));
    assert_eq!(read(&[], &google).usage.output, Some(12));
}

#[test]
fn a_later_count_that_says_less_takes_nothing_away() {
    let counts = |usage: &str| format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
    let words = chunks(&[r#"{"delta":{"content":"a"},"finish_reason":"stop"}"#]);
    let split = counts(r#"{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":60}}"#);
    for later in [r#"{"prompt_tokens":100,"completion_tokens":7}"#, r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#] {
        let u = read(&[], &format!("{words}{split}{}data: [DONE]\n\n", counts(later))).usage;
        assert_eq!((u.input, u.cache_read, u.output), (Some(40), Some(60), Some(7)), "{later}");
    }
}

#[test]
fn an_end_that_is_a_failure_is_one() {
    for (choice, class) in [
        (r#"{"delta":{},"finish_reason":"malformed_function_call"}"#, Class::Server),
        (r#"{"delta":{"content":"a"},"finish_reason":"error","error":{"code":429,"message":"slow down"}}"#, Class::RateLimit),
        (r#"{"delta":{"content":"a"},"finish_reason":"engine_overloaded"}"#, Class::Overloaded),
    ] {
        let r = read(&[], &(chunks(&[choice]) + "data: [DONE]\n\n"));
        assert_eq!(r.error.map(|e| e.class), Some(class), "{choice}");
    }
    let fine = read(&[], &chunks(&[r#"{"delta":{"content":"a"},"finish_reason":"stop","error":null}"#]));
    assert!(fine.complete, "{:?}", fine.error);
}

#[test]
fn an_error_behind_its_own_field_is_one() {
    let said = r#"error: {"code":400,"message":"the request exceeds the available context size","type":"invalid_request_error"}"#;
    for body in [format!("{said}\n\ndata: [DONE]\n\n"), chunks(&[r#"{"delta":{"content":"a"}}"#]) + said + "\n\n"] {
        let r = read(&[], &body);
        assert_eq!(r.error.map(|e| e.class), Some(Class::ContextTooLong), "{body}");
    }
}

#[test]
fn a_refused_call_that_is_whole_is_a_call_where_the_dialect_says_so() {
    let refusal = r#"{"error":{"message":"m","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"{\"name\": \"f\", \"arguments\": {\"odd\": 1}}","status_code":400}}"#;
    let in_stream = chunks(&[r#"{"delta":{"reasoning":"t"}}"#]) + "event: error\ndata: " + refusal + "\n\n";
    for body in [refusal.to_owned(), in_stream, format!("data: {refusal}\n\n")] {
        let r = read(&["failed-calls"], &body);
        assert_eq!((r.complete, r.stop, calls(&r)), (true, Stop::ToolUse, pairs(&[("f", r#"{"odd": 1}"#)])), "{body}");
        let r = read(&[], &body);
        assert_eq!((r.complete, r.error.unwrap().code.as_deref()), (false, Some("tool_use_failed")));
    }
    let torn = refusal.replace("1}}", "1}");
    assert_eq!(read(&["failed-calls"], &torn).error.unwrap().code.as_deref(), Some("tool_use_failed"), "half a call is none");
}

fn failed(body: &str) -> (Class, String) {
    let reply = read(&[], body);
    assert!(!reply.complete, "{body}");
    reply.error.map(|e| (e.class, e.message)).unwrap()
}

#[test]
fn groqs_own_place_for_an_error_inside_a_stream() {
    let error = r#"data: {"id":"r","choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req_1","error":"over capacity"}}"#;
    let body = format!("{}{error}\n\ndata: [DONE]\n\n", chunks(&[r#"{"delta":{"content":"half"}}"#]));
    assert_eq!(failed(&body), (Class::Overloaded, "over capacity".to_owned()));
    let object = r#"data: {"id":"r","x_groq":{"error":{"message":"slow","code":"rate_limit_exceeded"}}}"#;
    assert_eq!(failed(&format!("{object}\n\n")).0, Class::RateLimit);
    let fine = r#"data: {"id":"r","choices":[],"x_groq":{"id":"req_1","error":null,"usage":{"prompt_tokens":"9","completion_tokens":2}}}"#;
    let body = format!("{}{fine}\n\ndata: [DONE]\n\n", chunks(&[r#"{"delta":{"content":"a"}}"#, r#"{"delta":{},"finish_reason":"stop"}"#]));
    let reply = read(&[], &body);
    assert_eq!((reply.complete, reply.usage.input, reply.usage.output), (true, Some(9), Some(2)));
}

#[test]
fn words_in_place_of_a_reply_are_the_error() {
    for (body, class) in [
        (r#"{"detail":"it broke"}"#, Class::Server),
        (r#"{"message":"it broke"}"#, Class::Server),
        (r#"{"message":"Wrong API Key","type":"invalid_request_error","param":"api_key","code":"wrong_api_key"}"#, Class::Auth),
        ("data: {\"detail\":\"it broke\"}\n\n", Class::Server),
        ("data: {\"message\":\"Too many requests\"}\n\ndata: [DONE]\n\n", Class::RateLimit),
        (r#"{"status":"starting"}"#, Class::Network),
    ] {
        assert_eq!(failed(body).0, class, "{body}");
    }
    // A greeting before the answer is none, nor is it why a stream broke off behind its first words.
    let greeting = "data: {\"message\":\"you are number 3 in the queue\"}\n\n";
    let words = chunks(&[r#"{"delta":{"content":"a"}}"#]);
    assert!(read(&[], &format!("{greeting}{words}data: [DONE]\n\n")).complete);
    assert_eq!(failed(&format!("{greeting}{words}")).0, Class::Network);
}

#[test]
fn an_open_connection_is_waited_for_unless_the_reason_can_be_trusted() {
    let whole = |choices: &[&str], more: &str| {
        let mut decoder = Decoder::new(Wire::OpenaiChat, &Dialect::default());
        decoder.feed((chunks(choices) + more).as_bytes(), &mut Vec::new());
        decoder.is_whole()
    };
    let (words, end) = (r#"{"delta":{"content":"a"}}"#, r#"{"delta":{},"finish_reason":"stop"}"#);
    let both = r#"{"delta":{"content":"a"},"finish_reason":"stop"}"#;
    let counts = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
    assert!(whole(&[words, end], ""), "without counts");
    assert!(whole(&[words, end], counts));
    assert!(whole(&[both], counts));
    assert!(!whole(&[both], ""), "perhaps the first of many");
    assert!(!whole(&[both, both], ""));
    assert!(!whole(&[words], counts));
    assert!(!whole(&[words, end, words], ""));
}
