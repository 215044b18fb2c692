//! `pup models test`: one call for one token, to see whether a model answers, how fast, and what is left of its limits.

use super::update::ago;
use crate::base::text::thousands;
use crate::base::{Cause, Failure, text};
use crate::catalog::Workload;
use crate::cli::app::App;
use crate::cli::{print, select};
use crate::model::{Accumulator, Class, Message, ProviderError, Request, Usage};
use crate::route::{Ask, LiveEvent, Operation, Router, Rules};
use crate::wire::limits::{Limits, Window};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// The bounds of the answer, in tokens. Some models refuse a bound of one; the second is tried then.
const BOUNDS: [u64; 2] = [1, 64];

/// What a test found.
#[derive(Debug, Default)]
struct Finding {
    first_byte: Option<Duration>,
    whole: Duration,
    usage: Usage,
    limits: Limits,
    failed: Option<(ProviderError, Failure)>,
}

pub fn run(id: &str, json: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let app = App::load(Path::new("."), &[])?;
    let redactor = &app.redactor;
    let wanted = select::Wanted {
        model: Some(id.to_owned()),
        provider: None,
        pin: None,
        workload: Workload::Coding,
        behind: select::Behind::Nothing,
    };
    let select::Chosen { links, notes } = select::links(&app, &wanted, redactor)?;
    let deadline = app.settings.http.deadline.min(app.settings.timeout.unwrap_or(Duration::MAX));
    // One attempt for each key.
    let max_attempts = u32::try_from(links.len()).unwrap_or(u32::MAX);
    let rules = Rules { max_attempts, deadline: Some(deadline), ..Rules::default() };
    let router = Router::new(links, rules, app.rotation(redactor)).paying(Some(app.purse(None)));
    let Some(link) = router.links().first() else { return Err(Failure::internal("a model without a link")) };
    let mut found = Finding::default();
    for bound in BOUNDS {
        found = select::on_this_machine(call(&router, bound))?;
        let about_the_bound = found.failed.as_ref().is_some_and(|(e, _)| e.class == Class::BadRequest && names_the_bound(&e.message));
        if !about_the_bound {
            break;
        }
    }
    let cost = found.failed.is_none().then(|| link.cost_usd(&found.usage)).flatten();
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let cause = found.failed.as_ref().map_or(Cause::Done, |(_, failure)| failure.cause);
    if json {
        let error = found.failed.as_ref().map(|(error, failure)| {
            json!({ "class": error.class, "scope": error.scope, "status": error.status, "retry_after_s": error.retry_after_s,
                "message": redactor.redact(&failure.message), "hint": failure.hint })
        });
        let report = json!({
            "id": link.id, "ok": found.failed.is_none(), "cause": cause.as_str(), "exit_code": cause.exit_code(), "provider": link.provider.id(),
            "wire": link.provider.wire().as_str(), "first_byte_ms": found.first_byte.map(ms), "total_ms": ms(found.whole),
            "usage": if found.failed.is_none() { json!(found.usage) } else { Value::Null }, "cost_usd": cost, "limits": found.limits, "error": error, "notes": notes,
        });
        print::json(out, &report)?;
        return Ok(cause.exit_code());
    }
    for note in &notes {
        print::line(out, note)?;
    }
    if let Some((_, failure)) = found.failed {
        return Err(Failure { message: redactor.redact(&failure.message).into_owned(), ..failure });
    }
    let seconds = |d: Duration| format!("{:.2} s", d.as_secs_f64());
    let first = found.first_byte.map(|d| format!(", its first byte after {}", seconds(d))).unwrap_or_default();
    print::line(out, &format!("ok: {} answered over {} in {}{first}", link.id, link.provider.id(), seconds(found.whole)))?;
    let tokens = |n: Option<u64>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    let cost = cost.map_or_else(|| "unknown".to_owned(), |usd| format!("${usd:.6}"));
    print::line(out, &format!("  tokens: {} in, {} out; cost: {cost}", tokens(found.usage.input), tokens(found.usage.output)))?;
    for window in &found.limits.windows {
        print::line(out, &format!("  limit: {}", text::visible(&left(window))))?;
    }
    Ok(0)
}

/// What is left of an allowance.
fn left(window: &Window) -> String {
    let name = if window.name.is_empty() { "unnamed" } else { &window.name };
    let of = window.limit.map(|n| format!(" of {}", thousands(n))).unwrap_or_default();
    let left = match (window.remaining, window.used) {
        (Some(n), _) => format!("{}{of} left", thousands(n)),
        (None, Some(share)) => format!("{:.0} % used{of}", share * 100.0),
        (None, None) => format!("nothing said of what is left{of}"),
    };
    let reset = window.reset_s.map(|s| format!(", full again in {}", ago(Duration::from_secs_f64(s.clamp(0.0, 1e9))))).unwrap_or_default();
    format!("{name}: {left}{reset}")
}

/// Whether a refusal is about the length of the answer.
fn names_the_bound(message: &str) -> bool {
    ["max_tokens", "max_output_tokens", "max_completion_tokens", "maxOutputTokens", "output limit"]
        .iter()
        .any(|word| message.contains(word))
}

async fn call(router: &Router, bound: u64) -> Finding {
    let request = Request {
        messages: [Message::user("Answer with the word OK.")].into_iter().collect(),
        max_output: Some(bound),
        stream: true,
        ..Request::default()
    };
    let began = Instant::now();
    let mut live = router.start(Ask { operation: Operation::Generate(request), deadline: None });
    let (mut found, mut reply, mut error) = (Finding::default(), Accumulator::default(), None);
    while let Some(event) = live.next().await {
        match event {
            LiveEvent::Event(event) => {
                found.first_byte.get_or_insert_with(|| began.elapsed());
                reply.push(&event);
            }
            LiveEvent::Failed { error: last, .. } => error = Some(last),
            LiveEvent::GaveUp(report) => {
                let last = error.take().or_else(|| report.errors.last().map(|(_, e)| e.clone()));
                found.failed = last.map(|error| (error, report.failure()));
            }
            LiveEvent::Answered { limits, .. } => found.limits = *limits,
            LiveEvent::Quarantined(_)
            | LiveEvent::Gated { .. }
            | LiveEvent::Notice(_)
            | LiveEvent::MaySwitch { .. }
            | LiveEvent::Waiting { .. }
            | LiveEvent::Result(_)
            | LiveEvent::Discarded { .. } => {}
        }
    }
    found.whole = began.elapsed();
    found.usage = reply.finish().usage;
    found
}
