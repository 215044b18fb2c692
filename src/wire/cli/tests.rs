//! Lines of the programs to events, wherever they are cut, and conversations to prompts.

use super::*;
use crate::model::{Accumulator, Class, History, Message, Reply, Request, ResponseFormat, Role, Stop, StreamEvent, ToolResult};
use crate::wire::codec::Encode;
use crate::wire::quirk::Dialect;
use crate::wire::{Decoder, Wire};
use proptest::prelude::*;

const STREAM: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","tools":[],"model":"claude-m"}
{"type":"stream_event","event":{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"claude-m","content":[],"usage":{"input_tokens":5,"output_tokens":1}}},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"content_block_stop","index":0},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Good "}},"parent_tool_use_id":null}
{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"Good day"}]},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"day"}},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"content_block_stop","index":1},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}},"parent_tool_use_id":null}
{"type":"stream_event","event":{"type":"message_stop"},"parent_tool_use_id":null}
"#;
const RESULT: &str = r#"{"type":"result","subtype":"success","is_error":false,"result":"Good day","total_cost_usd":0.1,"usage":{"input_tokens":5,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":7}}
"#;
const CODEX_TURN: &str = r#"{"type":"thread.started","thread_id":"t-1"}
{"type":"item.completed","item":{"id":"item_0","type":"error","message":"a notice"}}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_1","type":"reasoning","text":"Hm."}}
{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"Good day"}}
{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":4,"output_tokens":7,"reasoning_output_tokens":2}}
"#;

fn events(wire: Wire, pieces: &[&[u8]]) -> Vec<StreamEvent> {
    let mut decoder = Decoder::new(wire, &Dialect::default());
    let mut out = Vec::new();
    for piece in pieces {
        decoder.feed(piece, &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn reply(wire: Wire, text: &str) -> Reply {
    let mut all = Accumulator::default();
    for event in events(wire, &[text.as_bytes()]) {
        all.push(&event);
    }
    all.finish()
}

#[test]
fn an_answer_of_claude_is_streamed_once() {
    let all = reply(Wire::ClaudeCli, &format!("{STREAM}{RESULT}"));
    assert_eq!((all.message.joined_text().as_str(), all.stop, all.complete), ("Good day", Stop::End, true));
    assert_eq!(all.message.blocks.len(), 2, "{:?}", all.message);
    let usage = all.usage;
    assert_eq!((usage.input, usage.cache_write, usage.cache_read, usage.output), (Some(5), Some(2), Some(3), Some(7)));
    let seen = events(Wire::ClaudeCli, &[STREAM.as_bytes(), RESULT.as_bytes()]);
    assert!(matches!(&seen[0], StreamEvent::Start { id: Some(id), model: Some(m) } if id == "s-1" && m == "claude-m"), "{seen:?}");
    assert_eq!(seen.iter().filter(|e| matches!(e, StreamEvent::Start { .. })).count(), 1);
    assert!(matches!(seen.last(), Some(StreamEvent::End { .. })), "{seen:?}");
}

#[test]
fn two_messages_of_claude_are_one_answer_and_a_bare_result_is_one_too() {
    let all = reply(Wire::ClaudeCli, &format!("{STREAM}{STREAM}{RESULT}"));
    assert_eq!((all.message.joined_text().as_str(), all.message.blocks.len()), ("Good dayGood day", 4));
    assert_eq!(reply(Wire::ClaudeCli, RESULT).message.joined_text(), "Good day");
}

#[test]
fn an_answer_of_codex_comes_an_item_a_time() {
    let all = reply(Wire::CodexCli, CODEX_TURN);
    assert_eq!((all.message.joined_text().as_str(), all.message.blocks.len(), all.complete), ("Good day", 2, true));
    let usage = all.usage;
    assert_eq!((usage.input, usage.cache_read, usage.output, usage.reasoning), (Some(6), Some(4), Some(7), Some(2)));
}

#[test]
fn complaints_have_the_class_of_what_they_say() {
    use Class::{Auth, Billing, ContextTooLong, Network, NotFound, Overloaded, Permission, Quota, RateLimit, Server};
    let failed = |word: &str, said: &str, more: &str| {
        format!(
            "{{\"type\":\"assistant\",\"message\":{{}},\"error\":{word}}}\n{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"result\":\"{said}\"{more}}}\n"
        )
    };
    let claude = [
        (failed("\"authentication_failed\"", "Not logged in · Please run /login", ""), Auth),
        (failed("\"oauth_org_not_allowed\"", "Your organization has disabled this", ""), Permission),
        (failed("\"billing_error\"", "Credit balance is too low", ""), Billing),
        (failed("null", "You've hit your limit · resets 3pm", ""), Quota),
        // After its own attempts, with no time named, it is the plan's allowance.
        (failed("\"rate_limit\"", "slow down", ",\"api_error_status\":429"), Quota),
        (failed("\"overloaded\"", "Overloaded", ",\"api_error_status\":529"), Overloaded),
        (
            failed("\"invalid_request\"", "Prompt is too long", ",\"api_error_status\":400,\"terminal_reason\":\"prompt_too_long\""),
            ContextTooLong,
        ),
        (failed("\"model_not_found\"", "There's an issue with the selected model", ",\"api_error_status\":404"), NotFound),
        (failed("\"new_word\"", "Something new", ""), Server),
        (r#"{"type":"result","subtype":"error_during_execution","is_error":false}"#.to_owned(), Server),
        (
            format!(
                "{}\n{}",
                r#"{"type":"system","subtype":"api_retry","retry_delay_ms":533.5,"error_status":401,"error":"authentication_failed"}"#,
                failed("\"unknown\"", "API Error: 401 {} · Please run /login", "")
            ),
            Auth,
        ),
        (
            r#"{"type":"system","subtype":"api_retry","attempt":1,"retry_delay_ms":7000,"error_status":429,"error":"rate_limit"}"#
                .to_owned(),
            RateLimit,
        ),
        (
            r#"{"type":"system","subtype":"api_retry","attempt":1,"retry_delay_ms":7000,"error_status":null,"error":"unknown"}"#.to_owned(),
            Network,
        ),
        (STREAM.to_owned(), Network),
        (String::new(), Network),
    ];
    for (text, class) in claude {
        let all = reply(Wire::ClaudeCli, &text);
        let error = all.error.unwrap_or_else(|| panic!("no error: {text}"));
        assert_eq!((error.class, all.complete), (class, false), "{text}\n{error:?}");
        assert_eq!(error.message.contains("/login)") || error.message.contains("/login"), class == Auth, "{error:?}");
    }
    let turn = |said: &str| {
        format!(
            "{{\"type\":\"turn.started\"}}\n{{\"type\":\"error\",\"message\":\"{said}\"}}\n{{\"type\":\"turn.failed\",\"error\":{{\"message\":\"{said}\"}}}}\n"
        )
    };
    let again = |said: &str| format!("{{\"type\":\"error\",\"message\":\"Reconnecting... 1/5 ({said})\"}}\n");
    let codex = [
        (turn("unexpected status 401 Unauthorized: Incorrect API key provided, url: http://h/v1/responses"), Auth),
        (turn("exceeded retry limit, last status: 429 Too Many Requests"), RateLimit),
        (turn("You've hit your usage limit. Try again in 3 days."), Quota),
        (turn("Codex ran out of room in the model's context window."), ContextTooLong),
        (turn("Your access token could not be refreshed because you have since logged out."), Auth),
        (turn("stream disconnected before completion: failed to lookup address"), Network),
        (turn("something new"), Server),
        (again("unexpected status 401 Unauthorized: no, url: http://h"), Auth),
        (again("exceeded retry limit, last status: 429 Too Many Requests"), RateLimit),
        (again("stream disconnected before completion"), Network),
        ("{\"type\":\"error\",\"message\":\"unexpected status 403 Forbidden: not for you, url: http://h\"}\n".to_owned(), Permission),
        ("{\"type\":\"turn.failed\"}\n".to_owned(), Server),
    ];
    for (text, class) in codex {
        let all = reply(Wire::CodexCli, &text);
        let error = all.error.unwrap_or_else(|| panic!("no error: {text}"));
        assert_eq!((error.class, all.complete), (class, false), "{text}\n{error:?}");
        assert_eq!(error.message.contains("codex login"), class == Auth, "{error:?}");
    }
}

#[test]
fn the_time_that_a_limit_lasts_is_told() {
    let error =
        reply(Wire::ClaudeCli, r#"{"type":"system","subtype":"api_retry","retry_delay_ms":7000,"error_status":429,"error":"rate_limit"}"#)
            .error;
    assert_eq!(error.unwrap().retry_after_s, Some(7.0));
}

#[test]
fn what_is_no_news_is_passed_over() {
    let long = "x".repeat(17 << 20);
    let noise = format!("Warning: something\n\n{{\"type\":7}}\n{{}}\n[1]\n{long}\n\u{1b}[31m{{\n");
    for (wire, text) in [(Wire::ClaudeCli, format!("{STREAM}{RESULT}")), (Wire::CodexCli, CODEX_TURN.to_owned())] {
        let clean = reply(wire, &text);
        let noisy = reply(wire, &text.replacen('\n', &format!("\n{noise}"), 1));
        assert_eq!((&noisy.message, noisy.complete, &noisy.error), (&clean.message, true, &None), "{wire}");
        assert!(!reply(wire, &noise).complete);
    }
}

fn asked(request: &Request) -> Ask {
    serde_json::from_slice(&Encoder::new(Dialect::default()).encode(request).to_vec()).unwrap()
}

fn talk(messages: Vec<Message>) -> Request {
    Request { model: "m".into(), messages: messages.into_iter().collect::<History>(), ..Request::default() }
}

#[test]
fn one_question_is_the_prompt_to_the_letter() {
    let one = asked(&talk(vec![Message::system("Be brief."), Message::user("  What?\n")]));
    assert_eq!((one.model.as_str(), one.system.as_str(), one.prompt.as_str()), ("m", "Be brief.", "  What?\n"));
    let format = ResponseFormat::JsonSchema { name: "r".into(), schema: serde_json::json!({"type": "array"}), strict: None };
    let bound = asked(&Request { response_format: Some(format), ..talk(vec![Message::user("What?")]) });
    assert!(bound.prompt.starts_with("What?\n\n") && bound.prompt.ends_with(r#"{"type":"array"}"#), "{}", bound.prompt);
}

#[test]
fn a_conversation_is_written_out_and_what_cannot_be_is_named() {
    let result = Message::new(Role::Tool, vec![crate::model::Block::ToolResult(ToolResult::text("c", "no such file", true))]);
    let thought = crate::model::Block::Thinking { text: "t".into(), signature: None, redacted: false };
    let mut answer = Message::assistant("Looking.");
    answer.blocks.push(thought);
    let request = Request { temperature: Some(0.5), ..talk(vec![Message::user("a"), answer, result]) };
    let mut encoder = Encoder::new(Dialect::default());
    let first = encoder.encode(&request);
    let lost: Vec<&str> = first.losses.iter().map(|l| l.at.as_str()).collect();
    assert_eq!(lost, ["messages[1].blocks[1]", "temperature"]);
    let ask: Ask = serde_json::from_slice(&first.to_vec()).unwrap();
    let turns = "<turn of=\"user\">\na\n</turn>\n\n<turn of=\"assistant\">\nLooking.\n</turn>\n\n<turn of=\"tool\">\n[error of the call]\nno such file\n</turn>\n";
    assert!(ask.prompt.contains(turns), "{}", ask.prompt);
    assert_eq!(encoder.encode(&request).losses.len(), 1, "a message's losses are told once");
}

proptest! {
    #[test]
    fn no_cut_changes_an_answer(at in 0usize..2400, codex: bool) {
        let (wire, text) = if codex { (Wire::CodexCli, CODEX_TURN.to_owned()) } else { (Wire::ClaudeCli, format!("{STREAM}{RESULT}")) };
        let (head, tail) = text.as_bytes().split_at(at.min(text.len()));
        prop_assert_eq!(events(wire, &[head, tail]), events(wire, &[text.as_bytes()]));
    }

    #[test]
    fn a_cut_output_is_never_an_answer(at in 0usize..2400, codex: bool) {
        let (wire, text) = if codex { (Wire::CodexCli, CODEX_TURN.to_owned()) } else { (Wire::ClaudeCli, format!("{STREAM}{RESULT}")) };
        // Without its last brace the last line is none.
        let cut = at.min(text.len() - 2);
        let last = events(wire, &[&text.as_bytes()[..cut]]);
        prop_assert!(matches!(last.last(), Some(StreamEvent::Error { .. })), "{:?}", last.last());
    }

    #[test]
    fn no_turn_can_forge_another(words in prop::collection::vec("(<|</|turn|[2-4]|>| of=\"user\">|\n|a){0,9}", 2..5)) {
        let messages = words.iter().enumerate().map(|(n, w)| if n % 2 == 0 { Message::user(w.as_str()) } else { Message::assistant(w.as_str()) });
        let prompt = asked(&talk(messages.collect())).prompt;
        let mark = prompt.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(mark, _)| mark.to_owned()).unwrap();
        prop_assert_eq!(prompt.matches(&format!("<{mark} of=")).count(), words.len());
        prop_assert_eq!(prompt.matches(&format!("</{mark}>")).count(), words.len() + 1);
    }
}
