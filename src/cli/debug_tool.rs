//! `pup debug tool` and `pup debug tools`: one tool outside of a session, and the tools as a model is sent them.

use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::model::ToolSpec;
use crate::tool::{self, Context, Effect, Registry, ToolError};
use crate::workspace::Workspace;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a call outside of a session may do without being asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    ReadOnly,
    All,
}

/// What a call outside of a session has from its surroundings.
#[derive(Default)]
pub struct Setup {
    pub redactor: Redactor,
    pub leases: Option<PathBuf>,
    pub supervisor: Option<PathBuf>,
}

/// What `pup debug tool` prints, and whether it exits with 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Printed {
    pub json: Value,
    pub ok: bool,
}

/// Runs the tool `name` in `cwd` with the arguments `json_args`, a JSON object or nothing. What is wrong with the call
/// is in the result; an unknown tool, text that is not an object and a missing folder are failures of the command line.
pub async fn tool(
    name: &str,
    json_args: &str,
    cwd: &Path,
    approval: Approval,
    setup: Setup,
    cancel: CancellationToken,
) -> Result<Printed, Failure> {
    let registry = Registry::builtin();
    let Some(tool) = registry.get(name) else { return Err(Failure::usage(registry.unknown(name, true))) };
    let args = arguments(json_args)?;
    let context = Context {
        redactor: Arc::new(setup.redactor),
        leases: setup.leases.map(Arc::from),
        supervisor: setup.supervisor.map(Arc::from),
        cancel,
        ..Context::new(Workspace::open(cwd)?)
    };
    let allowed = match tool.effect(&args, &context) {
        Ok(Effect::ReadOnly) => Ok(()),
        Ok(Effect::Writes(_) | Effect::Exec | Effect::Network) => match approval {
            Approval::All => Ok(()),
            Approval::ReadOnly => Err(ToolError::model(format!("{name} was denied: it changes things; allow it with --approve all"))),
        },
        Err(e) => Err(e),
    };
    let result = match allowed {
        Ok(()) => tool::call(tool.as_ref(), &args, &context).await,
        Err(e) => Err(e),
    };
    match result {
        Ok(output) => Ok(Printed { json: json!({"ok": true, "output": output.text, "error": null}), ok: true }),
        Err(ToolError::Model(error) | ToolError::Denied(error, _)) => {
            Ok(Printed { json: json!({"ok": false, "output": "", "error": error}), ok: false })
        }
        Err(ToolError::Fatal(failure)) => Err(failure),
    }
}

fn arguments(text: &str) -> Result<Map<String, Value>, Failure> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let wrong = |why: String| Failure::new(Cause::Usage, format!("the arguments are not a JSON object: {why}"));
    match serde_json::from_str(text) {
        Ok(Value::Object(args)) => Ok(args),
        Ok(_) => Err(wrong("it is JSON of another kind".to_owned()).hint(r#"for example: pup debug tool list_files '{"path":"."}'"#)),
        Err(e) => Err(wrong(e.to_string()).hint(r#"for example: pup debug tool list_files '{"path":"."}'"#)),
    }
}

/// The tools with their schemas; tokens are those of the o200k vocabulary over a tool's JSON.
pub fn tools(specs: &[ToolSpec]) -> Value {
    let mut total = 0;
    let listed: Vec<Value> = specs
        .iter()
        .map(|spec| {
            let tokens = tokens(spec);
            total += tokens;
            json!({"name": spec.name, "description": spec.description, "parameters": spec.parameters, "tokens": tokens})
        })
        .collect();
    json!({"tools": listed, "tokens": total})
}

fn tokens(spec: &ToolSpec) -> usize {
    // As most wires send it.
    let sent = json!({"type": "function", "function": spec});
    tiktoken_rs::o200k_base_singleton().encode_ordinary(&sent.to_string()).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, args: &str, cwd: &Path, approval: Approval) -> Result<Printed, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(tool(name, args, cwd, approval, Setup::default(), CancellationToken::new()))
    }

    #[test]
    fn prints_the_contract() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.txt"), "hello\n").unwrap();
        let p = run("read_file", r#"{"path":"a.txt"}"#, dir.path(), Approval::ReadOnly).unwrap();
        assert_eq!((p.json.to_string().as_str(), p.ok), (r#"{"ok":true,"output":"hello\n","error":null}"#, true));
        let p = run("read_file", r#"{"path":"b.txt"}"#, dir.path(), Approval::ReadOnly).unwrap();
        assert_eq!(
            (p.json.to_string().as_str(), p.ok),
            (r#"{"ok":false,"output":"","error":"b.txt does not exist; did you mean `a.txt`?"}"#, false)
        );
    }

    #[test]
    fn what_changes_things_needs_approval() {
        let dir = tempfile::tempdir().unwrap();
        for (name, args) in [("create_file", r#"{"path":"x","content":"y"}"#), ("shell", r#"{"command":"touch x"}"#)] {
            let p = run(name, args, dir.path(), Approval::ReadOnly).unwrap();
            assert!(!p.ok && p.json["error"].as_str().unwrap().contains("--approve all"), "{}", p.json);
            assert!(!dir.path().join("x").exists());
        }
        assert!(run("shell", r#"{"command":"touch x"}"#, dir.path(), Approval::All).unwrap().ok);
        assert!(dir.path().join("x").exists());
    }

    #[test]
    fn a_wrong_command_line_is_a_usage_failure() {
        let dir = tempfile::tempdir().unwrap();
        for (name, args, message) in [
            ("read_fil", "{}", "there is no tool `read_fil`; did you mean `read_file`?"),
            ("read_file", "[1]", "the arguments are not a JSON object"),
            ("read_file", "{", "the arguments are not a JSON object: EOF"),
        ] {
            let e = run(name, args, dir.path(), Approval::All).unwrap_err();
            assert!(e.cause == Cause::Usage && e.message.starts_with(message), "{e}");
        }
        assert!(run("read_file", "{}", &dir.path().join("gone"), Approval::All).is_err());
    }

    #[test]
    fn all_tools_together_stay_lean() {
        let printed = tools(&Registry::builtin().specs());
        assert_eq!(printed["tools"].as_array().unwrap().len(), 10);
        let tokens = printed["tokens"].as_u64().unwrap();
        assert!((100..=700).contains(&tokens), "{tokens}");
        let names: Vec<String> = (0..8).map(|n| format!("programmer-{n}")).collect();
        let all = tools(&Registry::builtin().delegating_to(&names).specs());
        let more = all["tokens"].as_u64().unwrap() - tokens;
        assert!(more <= 260, "{more} for handing work on");
    }
}
