//! What a run leaves in its journal: an intent before each effect, a receipt behind it, and no secret anywhere.

use crate::support::{Reply, Server, TestEnv};
use crate::task;
use serde_json::{Value, json};
use std::path::Path;

/// The entries of a run's journal, from the session that its result object names.
pub fn of(env: &TestEnv, result: &Value) -> Vec<Value> {
    let session = result["session"].as_str().unwrap_or_else(|| panic!("no session: {result}"));
    let path = env.pup_home().join("state/sessions").join(session).join("journal.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(text.ends_with('\n'), "the last line is torn");
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

/// The places of the entries of a kind.
fn places(entries: &[Value], kind: &str) -> Vec<usize> {
    entries.iter().enumerate().filter(|(_, e)| e["kind"] == kind).map(|(i, _)| i).collect()
}

/// Each of `effects` calls was meant once and, later, done once, and the model saw its result only after that.
pub fn assert_effects_once(entries: &[Value], effects: usize) {
    let (intents, receipts) = (places(entries, "intent"), places(entries, "receipt"));
    assert_eq!((intents.len(), receipts.len()), (effects, effects), "{entries:#?}");
    for (intent, receipt) in intents.iter().zip(&receipts) {
        let id = &entries[*intent]["call_id"];
        assert!(intent < receipt && entries[*receipt]["call_id"] == *id, "{id}: {intent} {receipt}");
        let told = entries.iter().position(|e| e["kind"] == "message" && e["message"]["role"] == "tool" && mentions(e, id));
        assert!(told.is_some_and(|at| at > *receipt), "{id}: its result is told at {told:?}, its receipt is at {receipt}");
    }
    let sequence: Vec<u64> = entries.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(sequence.iter().copied().eq(1..=entries.len() as u64), "{sequence:?}");
}

fn mentions(entry: &Value, id: &Value) -> bool {
    entry["message"].to_string().contains(&id.to_string())
}

#[test]
fn a_run_leaves_a_line_for_everything_in_order() {
    let env = TestEnv::new();
    let server = Server::turns(task::replies());
    let out = task::launch(&env, &server).run();
    let result = task::assert_finished(&env, &out, &server.finish());
    let entries = of(&env, &result);
    assert_effects_once(&entries, 3);
    let first = &entries[0];
    assert_eq!((&first["kind"], &first["v"], &first["prompt"]), (&json!("session"), &json!(1), &json!("keep the notes")));
    assert_eq!(first["cwd"], json!(env.project()));
    let last = entries.last().unwrap();
    assert_eq!((&last["kind"], &last["cause"], &last["text"]), (&json!("end"), &json!("done"), &json!(task::FINAL)));
    let roles: Vec<&str> = places(&entries, "message").iter().map(|i| entries[*i]["message"]["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant", "tool", "assistant", "tool", "assistant"]);
    assert_eq!((places(&entries, "attempt").len(), places(&entries, "usage").len()), (task::TURNS, task::TURNS));
    // The command's process stands between its intent and its receipt; the edits say what the file was and became.
    let spawned = places(&entries, "spawned");
    let (intents, receipts) = (places(&entries, "intent"), places(&entries, "receipt"));
    assert!(spawned.len() == 1 && intents[1] < spawned[0] && spawned[0] < receipts[1], "{entries:#?}");
    let (made, changed) = (&entries[intents[0]]["files"][0], &entries[intents[2]]["files"][0]);
    assert!(made["before"].is_null() && made["after"].is_string() && changed["before"] == made["after"], "{made} {changed}");
    assert_eq!(entries[receipts[2]]["files"][0], *changed);
}

#[test]
fn a_denied_call_has_no_intent_and_a_failed_attempt_is_recorded() {
    let env = TestEnv::new();
    let server = Server::script([
        Reply::text("").error_event_at(1, "overloaded_error", "busy"),
        Reply::tool_call("shell", json!({"command": "echo x > made"})),
        Reply::text("not allowed, it seems"),
    ]);
    let out = env.pup().args(["run", "--approve", "edits", "--output", "json", "x"]).model_server(&server).run().expect_code(8);
    let entries = of(&env, &out.json());
    assert!(places(&entries, "intent").is_empty() && places(&entries, "spawned").is_empty(), "{entries:#?}");
    let outcomes: Vec<&Value> = places(&entries, "attempt").iter().map(|i| &entries[*i]["outcome"]).collect();
    assert_eq!(outcomes, ["overloaded", "ok", "ok"]);
    assert_eq!(entries.last().unwrap()["cause"], "denied");
}

/// Every file below `folder` as bytes.
fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

#[test]
fn no_secret_reaches_a_model_a_journal_or_the_output() {
    // Built here, so that no scanner takes this file for a leak: a key in use, a variable named like a secret, and a
    // token that only its shape gives away.
    let in_use = ["canary", "key", "0123456789", "abc"].join("-");
    let named = ["Tr0ub4dor", "and", "3xtra", "words"].join("_");
    let shaped = format!("gh{}_{}", 'p', "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8");
    for format in ["text", "json", "stream-json"] {
        let env = TestEnv::new();
        env.write("settings.txt", format!("user = me\nvalue = {named}\nother = {shaped}\n"));
        let server = Server::script([
            Reply::tool_calls([
                ("shell", json!({"command": "env; echo \"$DB_PASSWORD\"; cat settings.txt; cat settings.txt >&2"})),
                ("read_file", json!({"path": "settings.txt"})),
                ("grep", json!({"pattern": "value|other"})),
                ("shell", json!({"command": format!("echo {named} | rev; echo {in_use}")})),
                ("create_file", json!({"path": format!("{named}.txt"), "content": "x"})),
            ]),
            Reply::text(format!("The password is {named} and the key {in_use}.")),
        ]);
        let launch = env.pup().args(["run", "--yolo", "-vv", "--output", format]).arg(format!("log in with {named}")).model_server(&server);
        let out = launch.env("OPENAI_API_KEY", &in_use).env("DB_PASSWORD", &named).run().expect_code(0);
        let requests = server.finish();
        let header = format!("Bearer {in_use}");
        assert!(requests.iter().all(|r| r.header("authorization") == Some(&header)), "the key itself must still be sent");
        let results = requests[1].results();
        assert!(results[0].contains("user = me") && results[1].contains("user = me"), "{results:?}");
        let mut places: Vec<(String, Vec<u8>)> = files(&env.pup_home()).into_iter().map(|(p, b)| (p.display().to_string(), b)).collect();
        // Copies of the project's files, to bring them back byte for byte; only their owner can read them.
        places.retain(|(p, _)| !p.contains("/state/checkpoints/"));
        assert!(places.iter().any(|(p, _)| p.ends_with("journal.jsonl")));
        places.extend(results.into_iter().map(|r| ("a result that the model got".to_owned(), r.into_bytes())));
        places.push(("stderr".to_owned(), out.stderr.clone().into_bytes()));
        for (place, bytes) in places {
            let text = String::from_utf8_lossy(&bytes);
            for secret in [&in_use, &named, &shaped] {
                assert!(!text.contains(secret.as_str()), "{format}: {place} holds {secret}:\n{text}");
            }
        }
        // What the environment hides from commands is not there at all, not only replaced.
        assert!(!requests[1].results()[0].contains("OPENAI_API_KEY="), "{}", requests[1].results()[0]);
    }
}
