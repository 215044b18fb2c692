//! The scripted server against a client of plain sockets: each fault arrives as it was asked for.

use super::super::http::Framing;
use super::*;

fn body(messages: &Value) -> Value {
    json!({"model": "m", "stream": true, "messages": messages})
}

fn hello() -> Value {
    body(&json!([{"role": "user", "content": "hi"}]))
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn post(stream: &mut TcpStream, body: &Value) {
    post_with(stream, "x-a: b", body);
}

fn post_with(stream: &mut TcpStream, header: &str, body: &Value) {
    let (body, json) = (body.to_string(), "content-type: application/json");
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\n{json}\r\n{header}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
}

/// All that comes until the connection ends, and the error that ended it, if one did.
fn drain(stream: &mut TcpStream) -> (String, Option<io::ErrorKind>) {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return (String::from_utf8(all).unwrap(), None),
            Ok(n) => all.extend_from_slice(&buffer[..n]),
            Err(e) => return (String::from_utf8(all).unwrap(), Some(e.kind())),
        }
    }
}

fn exchange(server: &Server, body: &Value) -> (String, Option<io::ErrorKind>) {
    let mut stream = connect(server);
    post_with(&mut stream, "connection: close", body);
    drain(&mut stream)
}

/// The body behind the headers, with chunk framing undone.
fn unframed(response: &str) -> String {
    let (head, mut rest) = response.split_once("\r\n\r\n").unwrap();
    if !head.contains("chunked") {
        return rest.to_owned();
    }
    let mut out = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out += &after[..size];
        rest = after.get(size + 2..).unwrap_or_default();
    }
    out
}

#[test]
fn a_script_is_told_in_order_on_one_connection() {
    let server = Server::script([Reply::text("one"), Reply::text("two").close_after()]);
    let mut stream = connect(&server);
    post(&mut stream, &hello());
    post(&mut stream, &hello());
    let (all, error) = drain(&mut stream);
    assert_eq!(error, None);
    let (one, two) = (all.find("\"one\"").unwrap(), all.find("\"two\"").unwrap());
    assert!(one < two && all.matches("data: [DONE]").count() == 2 && all.contains("text/event-stream"), "{all}");
    let requests = server.finish();
    assert_eq!(requests.iter().map(|r| (r.number, r.connection)).collect::<Vec<_>>(), [(0, 0), (1, 0)]);
    assert_eq!((requests[0].last_text().as_str(), requests[0].header("content-type")), ("hi", Some("application/json")));
}

#[test]
fn a_cut_comes_at_exactly_the_byte() {
    let reply = Reply::text("a fairly long answer that is cut somewhere");
    let whole = {
        let server = Server::script([reply.clone()]);
        unframed(&exchange(&server, &hello()).0)
    };
    for framing in [Framing::Chunked, Framing::Length, Framing::UntilClose] {
        for (how, ends) in [(Cut::Close, None), (Cut::Reset, Some(io::ErrorKind::ConnectionReset))] {
            for at in [0, 1, 137, whole.len() - 1, whole.len()] {
                let server = Server::script([reply.clone().framing(framing).cut_at(at, how)]);
                let (all, error) = exchange(&server, &hello());
                let (_, rest) = all.split_once("\r\n\r\n").unwrap();
                assert!(!rest.contains("\r\n0\r\n"), "the end of the framing must not come: {rest}");
                assert_eq!((unframed(&all).as_str(), error), (&whole[..at], ends), "{framing:?} {how:?} at {at}");
            }
        }
    }
}

#[test]
fn a_stalled_answer_waits_for_the_client_to_leave() {
    let server = Server::script([Reply::text("never whole").stall_after(1)]);
    let mut stream = connect(&server);
    post(&mut stream, &hello());
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let (all, error) = drain(&mut stream);
    assert!(all.contains("\"role\"") && !all.contains("never"), "{all}");
    assert!(matches!(error, Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)), "{error:?}");
    assert_eq!(server.hangups(), Vec::<usize>::new());
    drop(stream);
    server.wait_for_hangup(0);
}

#[test]
fn a_server_that_ends_leaves_no_client_waiting() {
    let server = Server::script([Reply::text("x").stall_after(1)]);
    let mut stream = connect(&server);
    post(&mut stream, &hello());
    server.wait_for(1);
    server.finish();
    let (_, error) = drain(&mut stream);
    assert_eq!(error, None);
}

#[test]
fn statuses_pages_and_plain_objects() {
    let limited = Reply::error(429, "rate_limit", "slow down").header("retry-after", "7");
    let server = Server::script([limited, Reply::html(200), Reply::text("x").not_streamed()]);
    let (all, _) = exchange(&server, &hello());
    assert!(all.starts_with("HTTP/1.1 429 ") && all.contains("retry-after: 7\r\n") && all.contains("slow down"), "{all}");
    let (all, _) = exchange(&server, &hello());
    assert!(all.starts_with("HTTP/1.1 200 ") && all.contains("text/html") && all.contains("<h1>"), "{all}");
    let (all, _) = exchange(&server, &hello());
    assert!(all.contains("application/json") && unframed(&all).starts_with('{'), "{all}");
}

#[test]
fn turns_give_a_retry_the_same_answer() {
    let server = Server::turns([Reply::tool_call("f", json!({})), Reply::text("end")]);
    let (first, again) = (exchange(&server, &hello()).0, exchange(&server, &hello()).0);
    assert!(first.contains("call_0_0"), "{first}");
    assert_eq!(first, again);
    let call = json!({"id": "call_0_0", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let next = body(&json!([
        {"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0_0", "content": "ok"}
    ]));
    assert!(exchange(&server, &next).0.contains("\"end\""));
    let requests = server.finish();
    assert_eq!(requests[2].results(), ["ok"]);
    assert_stable_prefix(&requests);
    let backwards = [requests[2].clone(), requests[0].clone()];
    assert!(std::panic::catch_unwind(|| assert_stable_prefix(&backwards)).is_err());
}

#[test]
fn other_paths_are_recorded_and_answered() {
    let server = Server::script([]);
    let mut stream = connect(&server);
    stream.write_all(b"GET /v1/models HTTP/1.1\r\n\r\nGET /nowhere HTTP/1.1\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let (all, _) = drain(&mut stream);
    assert!(all.contains(MODEL) && all.contains("404 Not Found"), "{all}");
    assert_eq!(server.others().iter().map(|r| r.path.as_str()).collect::<Vec<_>>(), ["/v1/models", "/nowhere"]);
}

#[test]
fn what_breaks_an_invariant_is_held_against_the_client() {
    let mut server = Server::script([Reply::text("x"), Reply::text("y")]);
    exchange(&server, &body(&json!([{"role": "user", "content": "u"}, {"role": "tool", "tool_call_id": "z", "content": "1"}])));
    exchange(&server, &body(&json!([{"role": "user", "content": ""}])));
    exchange(&server, &hello());
    let found = server.take_violations();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].contains("request 0: messages[1]: an orphan result"), "{found:?}");
    assert!(found[1].contains("request 1") && found[2].contains("request 2: the script has no reply"), "{found:?}");
    server.finish();
}

/// The message with which `finish` fails.
fn objection(server: Server) -> String {
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.finish()));
    failed.unwrap_err().downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn finish_fails_on_violations_left_over_replies_and_failed_closures() {
    let server = Server::script([Reply::text("x"), Reply::text("y")]);
    exchange(&server, &body(&json!([])));
    let said = objection(server);
    assert!(said.contains("an empty one") && said.contains("1 more replies"), "{said}");
    let server = Server::respond(|request| {
        assert_eq!(request.turn(), 5, "wrong turn");
        Reply::text("x")
    });
    let mut stream = connect(&server);
    post(&mut stream, &hello());
    server.wait_until("a violation", |state| !state.violations.is_empty());
    assert!(objection(server).contains("wrong turn"));
}

#[test]
fn delays_pass_and_the_answer_stays_whole() {
    let server = Server::script([Reply::text("slow but whole")
        .first_byte_after(Duration::from_millis(20))
        .delay_each(Duration::from_millis(2))
        .close_after()]);
    let (all, error) = exchange(&server, &hello());
    assert!(error.is_none() && all.contains("[DONE]"), "{all}");
}
