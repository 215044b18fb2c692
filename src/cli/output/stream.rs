//! `--output stream-json`: one object a line, as it happens.

use super::{ChildObject, Notes, json_line};
use crate::agent::{AgentEvent, ChildEvent, EventSink};
use crate::route::Notice;
use serde_json::{Value, json};

/// Writes each event as a line of JSON on stdout.
#[derive(Debug, Default)]
pub struct StreamFace {
    pub notes: Notes,
}

impl StreamFace {
    /// The first line.
    pub fn session(id: Option<&str>, agent: &str, model: &str, provider: &str) {
        json_line(&json!({"type": "session", "session": id, "agent": agent, "model": model, "provider": provider}));
    }
}

impl EventSink for StreamFace {
    fn emit(&mut self, event: AgentEvent<'_>) {
        self.notes.note(&event);
        json_line(&line(&event));
    }
}

fn line(event: &AgentEvent<'_>) -> Value {
    match event {
        AgentEvent::Notice { notice } => noticed(notice),
        AgentEvent::TurnStart { turn } => json!({"type": "turn_start", "turn": turn}),
        AgentEvent::Text { text } => json!({"type": "text", "text": text}),
        AgentEvent::Thinking { text } => json!({"type": "thinking", "text": text}),
        AgentEvent::ToolCall { id, name, args, .. } => json!({"type": "tool_call", "id": id, "name": name, "arguments": args}),
        AgentEvent::ToolOutput { id, text } => json!({"type": "tool_output", "id": id, "text": text}),
        AgentEvent::ToolResult { id, name, ok, summary, output, diff } => {
            json!({"type": "tool_result", "id": id, "name": name, "ok": ok, "summary": summary, "output": output, "diff": diff})
        }
        AgentEvent::AttemptFailed { attempt, error, discarded_chars } => json!({
            "type": "attempt_failed", "model": attempt.model, "provider": attempt.provider, "outcome": attempt.outcome.as_str(),
            "status": attempt.status, "scope": attempt.scope, "latency_ms": attempt.latency_ms,
            "retry_after_s": attempt.retry_after_s, "message": error.message, "discarded_chars": discarded_chars,
        }),
        AgentEvent::Waiting { pause, link } => json!({"type": "waiting", "model": link, "seconds": pause.as_secs_f64()}),
        AgentEvent::Usage { usage, model } => json!({"type": "usage", "model": model, "usage": usage}),
        AgentEvent::Compacted { slimmed } => json!({
            "type": "compacted", "before": slimmed.compaction.before, "after": slimmed.compaction.after, "what": slimmed.compaction.what,
        }),
        AgentEvent::Warning { text } => json!({"type": "warning", "message": text}),
        AgentEvent::Child { id, agent, event } => child(id, agent, event),
    }
}

/// Of an agent that works for another one: everything of its session as it would be told of its own, under the session's id.
fn child(id: &str, agent: &str, event: &ChildEvent<'_>) -> Value {
    match event {
        ChildEvent::Begins { parent, call, prompt } => {
            json!({"type": "agent_start", "child": id, "agent": agent, "parent": parent, "call": call, "prompt": prompt})
        }
        ChildEvent::Inner(event) => json!({"type": "agent_event", "child": id, "agent": agent, "event": line(event)}),
        ChildEvent::Ended(ended) => {
            let mut line = json!({"type": "agent_end", "child": id});
            if let (Some(line), Ok(Value::Object(fields))) = (line.as_object_mut(), serde_json::to_value(ChildObject::from(*ended))) {
                line.extend(fields);
            }
            line
        }
    }
}

/// A switch has a line of its own kind; the rest are warnings, or nothing but events, with their names and figures.
fn noticed(notice: &Notice) -> Value {
    let kind = match notice {
        Notice::Switched { .. } => "switched",
        other if other.is_for_people() => "warning",
        _ => "event",
    };
    let mut line = json!({"type": kind, "event": notice.event(), "message": notice.to_string()});
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), notice.fields()) {
        line.extend(fields);
    }
    line
}
