//! The fault grid: each way in which a provider can fail, at the first request, at a tool turn and in the final text.
//! Whatever happens on the wire, each effect of the task happens once and its last word is said once.

use crate::support::server::Refusing;
use crate::support::{Api, Cut, Framing, Reply, Server, TestEnv};
use crate::task::{self, FINAL, TURNS};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// Short enough to wait for, long enough for a busy machine to send the next piece of a healthy stream.
const SHORT_TIMEOUTS: &str = r#"{"providers": {"openai": {"timeouts": {"first_byte_s": 1.2, "idle_s": 1.2}}}}"#;

type Spoil = fn(Reply) -> Reply;

/// A way to spoil the right reply, and the outcome that the attempt is to be recorded with.
struct Fault {
    name: &'static str,
    outcome: &'static str,
    status: Option<u16>,
    spoil: Spoil,
}

const fn fault(name: &'static str, outcome: &'static str, status: Option<u16>, spoil: Spoil) -> Fault {
    Fault { name, outcome, status, spoil }
}

const TRANSIENT: &[Fault] = &[
    // The longest first, so that the rest runs beside them.
    fault("stall before the headers", "timeout", None, |r| r.first_byte_after(Duration::from_secs(20))),
    fault("stall before the first event", "timeout", None, |r| r.stall_after(0)),
    fault("stall in the middle", "timeout", None, |r| r.stall_after(3)),
    fault("429", "rate_limit", Some(429), |_| Reply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "1")),
    fault("429 in fractions", "rate_limit", Some(429), |_| {
        Reply::error(429, "rate_limit_exceeded", "again in 0.2s").header("retry-after", "0.2")
    }),
    fault("500", "server", Some(500), |_| Reply::error(500, "server_error", "we are sorry")),
    fault("502 page", "server", Some(502), |_| Reply::html(502)),
    fault("503", "overloaded", Some(503), |_| Reply::plain(503, "text/plain", "no upstream")),
    fault("529", "overloaded", Some(529), |_| Reply::error(529, "overloaded_error", "overloaded")),
    fault("200 page", "network", None, |_| Reply::html(200)),
    fault("200 and nothing", "network", None, |_| Reply::plain(200, "text/event-stream", "")),
    fault("200 and other JSON", "network", None, |_| Reply::plain(200, "application/json", r#"{"status": "starting", "models": []}"#)),
    fault("200 and half of the JSON", "network", None, |r| {
        let half = r.stream_len(0) / 3;
        r.not_streamed().framing(Framing::UntilClose).cut_at(half.min(150), Cut::Close)
    }),
    fault("cut before the first event", "network", None, |r| r.cut_at(0, Cut::Reset)),
    fault("cut by an end", "network", None, |r| r.cut_half(Cut::Close)),
    fault("cut by a reset", "network", None, |r| r.cut_half(Cut::Reset)),
    fault("cut that looks like an end", "network", None, |r| r.framing(Framing::UntilClose).cut_half(Cut::Close)),
    fault("no terminal event", "network", None, Reply::without_terminal),
    fault("error event", "server", None, |r| r.error_event_at(3, "server_error", "it broke on the way")),
    fault("overloaded event", "overloaded", None, |r| r.error_event_at(2, "overloaded_error", "too busy")),
    fault("error as the whole answer", "server", None, |_| Reply::error(200, "server_error", "not really ok")),
];

/// Answers each turn with its fault once, and rightly from then on.
fn once_spoilt(spoil: Spoil) -> Server {
    let replies = task::replies();
    let mut spoilt = HashSet::new();
    Server::respond(move |request| {
        let right = replies[request.turn()].clone();
        if spoilt.insert(request.turn()) { spoil(right) } else { right }
    })
}

#[test]
fn after_every_transient_fault_at_every_turn_the_task_is_finished_once() {
    task::each(
        8,
        &task::on_all(TRANSIENT),
        |(api, f)| format!("{api:?}: {}", f.name),
        |(api, fault)| {
            let env = TestEnv::new();
            env.write_config("models.json", SHORT_TIMEOUTS);
            let server = once_spoilt(fault.spoil);
            let out = task::launch_on(*api, &env, &server).run();
            let requests = server.finish();
            let result = task::assert_finished(&env, &out, &requests);
            assert_eq!(out.stderr, "", "{}", out.report());
            assert_eq!(task::attempts(&result), [fault.outcome, "ok"].repeat(TURNS), "{}", out.report());
            let failed = &result["attempts"][0];
            assert_eq!(failed["status"], json!(fault.status), "{}", out.report());
            if fault.name == "429" {
                assert_eq!(failed["retry_after_s"], json!(1.0), "{}", out.report());
            }
            // Each turn was asked for twice, with the same bytes.
            assert_eq!(requests.len(), 2 * TURNS);
            for pair in requests.chunks(2) {
                assert!(pair[0].raw == pair[1].raw, "a retried request changed");
            }
        },
    );
}

#[test]
fn what_only_looks_like_a_fault_costs_no_attempt() {
    let rows: [(&str, Spoil); 9] = [
        ("trickle", |r| r.delay_each(Duration::from_millis(4))),
        ("an event that is no JSON", |r| r.frame_at(2, "data: busy, please wait\n\n")),
        ("many of them", |r| (1..4).fold(r, |r, at| r.frame_at(at, "data: busy, please wait\n\n"))),
        ("comments and unknown events", |r| {
            r.frame_at(1, ": still here\n\n").frame_at(2, "event: ping\ndata: {\"x\":1}\n\n").frame_at(2, "data:\n\n")
        }),
        ("no [DONE]", Reply::without_done),
        ("a second [DONE]", |r| r.frame_at(usize::MAX, "data: [DONE]\n\n")),
        ("an answer that is no stream", Reply::not_streamed),
        ("closed after each answer", Reply::close_after),
        ("an end that only the connection tells", |r| r.framing(Framing::UntilClose)),
    ];
    task::each(
        4,
        &task::on_all(&rows),
        |(api, r)| format!("{api:?}: {}", r.0),
        |(api, (_, odd))| {
            let env = TestEnv::new();
            let server = Server::turns(task::replies().map(odd));
            let out = task::launch_on(*api, &env, &server).run();
            let result = task::assert_finished(&env, &out, &server.finish());
            assert_eq!((task::attempts(&result), out.stderr.as_str()), (vec!["ok".to_owned(); TURNS], ""), "{}", out.report());
        },
    );
}

#[test]
fn an_event_sent_twice_is_not_a_second_call() {
    // The opening of the call, its only piece of arguments and the finish, each of them twice.
    let chunk = |delta: Value, finish: Value| {
        format!(
            "data: {}\n\n",
            json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        )
    };
    let args = json!({"command": "echo ran >> log.txt"}).to_string();
    let open = chunk(
        json!({"tool_calls": [{"index": 0, "id": "call_0_0", "type": "function", "function": {"name": "shell", "arguments": ""}}]}),
        Value::Null,
    );
    let arguments = chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": args}}]}), Value::Null);
    let finish = chunk(json!({}), json!("tool_calls"));
    let done = "data: [DONE]\n\n";
    let stream = [&open, &open, &arguments, &finish, &finish, done, done].map(String::from).concat();
    let env = TestEnv::new();
    let server = Server::turns([Reply::plain(200, "text/event-stream", stream), Reply::text(FINAL)]);
    let out = task::launch(&env, &server).run().expect_code(0);
    assert_eq!(env.read("log.txt"), "ran\n", "{}", out.report());
    assert_eq!((&out.json()["tool_calls"], server.finish().len()), (&json!(1), 2), "{}", out.report());
}

#[test]
fn a_server_that_comes_up_late_is_waited_for() {
    let env = TestEnv::new();
    let refusing = Refusing::new();
    let launch = env.pup().args(["run", "--yolo", "--output", "stream-json", "keep the notes"]);
    let mut running = launch.env("OPENAI_BASE_URL", refusing.base_url()).env("OPENAI_API_KEY", "test-key-not-a-secret").spawn();
    running.wait_until("a refused connection", |out, _| out.contains("attempt_failed"));
    let server = Server::turns_on(refusing.listen(), task::replies());
    let out = running.wait().expect_code(0);
    let lines = out.json_lines();
    let result = lines.last().unwrap();
    assert_eq!((&result["text"], &result["cause"]), (&json!(FINAL), &json!("done")), "{}", out.report());
    assert_eq!((env.read("notes.txt").as_str(), env.read("log.txt").as_str()), ("two lines\nsecond line\n", "ran\n"));
    let said = task::attempts(result);
    let (failed, good) = said.split_at(said.len() - TURNS);
    assert!(!failed.is_empty() && failed.iter().all(|a| a == "network") && good.iter().all(|a| a == "ok"), "{said:?}");
    assert_eq!(server.finish().len(), TURNS);
}

#[test]
fn a_final_refusal_at_any_turn_ends_the_run_with_its_own_code_and_no_retry() {
    /// Status, code and message, and what becomes of them: exit code, cause and class.
    type Refusal<'a> = (u16, &'a str, &'a str, i32, &'a str, &'a str);
    let refusals: [Refusal<'_>; 9] = [
        (400, "invalid_request_error", "messages[3] is not to my taste", 9, "rejected", "bad_request"),
        (400, "context_length_exceeded", "maximum context length is 8192 tokens", 7, "limit", "context_too_long"),
        (400, "content_policy_violation", "not that", 9, "rejected", "content_filter"),
        (401, "invalid_api_key", "Incorrect API key provided", 4, "auth", "auth"),
        (402, "insufficient_balance", "please top up", 5, "exhausted", "billing"),
        (403, "permission_denied", "not for this project", 4, "auth", "permission"),
        (404, "model_not_found", "no such model", 2, "usage", "not_found"),
        (413, "request_too_large", "request entity too large", 7, "limit", "context_too_long"),
        (429, "insufficient_quota", "You exceeded your current quota, check your plan and billing details", 5, "exhausted", "billing"),
    ];
    let turns: Vec<_> = refusals.iter().flat_map(|r| [0, 2, 3].map(|turn| (turn, r))).collect();
    let name = |(api, (turn, r)): &(Api, &(usize, &Refusal<'_>))| format!("{api:?}: {} {} at turn {turn}", r.0, r.1);
    task::each(4, &task::on_all(&turns), name, |(api, (turn, (status, kind, message, code, cause, class)))| {
        let env = TestEnv::new();
        let mut replies = task::replies();
        replies[*turn] = Reply::error(*status, kind, message);
        let server = Server::turns(replies);
        let out = task::launch_on(*api, &env, &server).run().expect_code(*code);
        let result = out.json();
        assert_eq!((&result["cause"], &result["ok"]), (&json!(cause), &json!(false)), "{}", out.report());
        let error = result["error"]["message"].as_str().unwrap();
        assert!(error.contains(message) && error.contains(api.model()), "{}", out.report());
        let mut attempts = vec!["ok"; *turn];
        attempts.push(class);
        assert_eq!(task::attempts(&result), attempts, "{}", out.report());
        assert_eq!(result["attempts"][*turn]["status"], json!(status), "{}", out.report());
        // What was done stays done, and nothing more is.
        assert_eq!((env.exists("notes.txt"), env.exists("log.txt")), (*turn > 0, *turn > 1));
        assert_eq!(server.finish().len(), turn + 1);
        assert!(result["session"].is_string());
    });
}

#[test]
fn a_fault_that_stays_ends_at_the_deadline_and_names_every_attempt() {
    type Bad = fn() -> Reply;
    let rows: [(&str, Bad, &str); 4] = [
        ("500", || Reply::error(500, "server_error", "we are sorry"), "server"),
        ("a page", || Reply::html(200), "network"),
        ("a cut", || Reply::text(FINAL).cut_at(900, Cut::Reset), "network"),
        ("a rate limit", || Reply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "1"), "rate_limit"),
    ];
    task::each(
        4,
        &rows,
        |r| r.0.to_owned(),
        |(_, bad, class)| {
            let env = TestEnv::new();
            let bad = *bad;
            let server = Server::respond(move |request| if request.turn() < 2 { task::replies()[request.turn()].clone() } else { bad() });
            let out = task::launch(&env, &server).args(["--timeout", "3s"]).run().expect_code(5);
            let result = out.json();
            assert_eq!((&result["cause"], &result["ok"]), (&json!("exhausted"), &json!(false)), "{}", out.report());
            let attempts = task::attempts(&result);
            assert!(attempts.len() > 3 && attempts[..2] == ["ok", "ok"] && attempts[2..].iter().all(|a| a == class), "{}", out.report());
            assert_eq!(attempts.len(), server.finish().len(), "{}", out.report());
            assert_eq!(env.read("log.txt"), "ran\n");
            assert!(!result["text"].as_str().unwrap().contains("Done: notes"), "text of a broken attempt is no answer\n{}", out.report());
        },
    );
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let env = TestEnv::new();
    let server = Server::script([Reply::error(429, "rate_limit_exceeded", "slow down").header("retry-after", "7200")]);
    let out = env.pup().args(["run", "--quiet", "x"]).model_server(&server).run().expect_code(5);
    assert!(out.stdout.is_empty() && out.stderr.contains("slow down") && out.stderr.contains("2 h"), "{}", out.report());
}

#[test]
fn what_a_broken_attempt_showed_is_taken_back_visibly_and_said_once() {
    let env = TestEnv::new();
    let cut = Reply::text(FINAL).stream_len(0) / 2;
    let server = Server::script([Reply::text(FINAL).cut_at(cut, Cut::Reset), Reply::text(FINAL)]);
    let out = env.pup().args(["run", "--output", "stream-json", "x"]).model_server(&server).run().expect_code(0);
    let lines = out.json_lines();
    let at = lines.iter().position(|l| l["type"] == "attempt_failed").unwrap();
    let text = |lines: &[Value]| lines.iter().filter(|l| l["type"] == "text").map(|l| l["text"].as_str().unwrap()).collect::<String>();
    let (void, good) = (text(&lines[..at]), text(&lines[at..]));
    assert!(!void.is_empty() && FINAL.starts_with(&void) && void != FINAL, "{void:?}");
    assert_eq!(lines[at]["discarded_chars"], json!(void.chars().count()));
    assert_eq!(good, FINAL);
    // In a pipe only the answer itself, once.
    let server = Server::script([Reply::text(FINAL).cut_at(cut, Cut::Close), Reply::text(FINAL)]);
    let out = env.pup().args(["run", "--approve", "edits", "x"]).model_server(&server).run().expect_code(0);
    assert_eq!((out.stdout, out.stderr), (format!("{FINAL}\n"), String::new()));
}
