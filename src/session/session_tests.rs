//! What is written comes back; what a crash leaves is named and costs nothing else.

use super::*;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::model::{Block, Class, Message, Role, Scope, ToolCall, ToolResult, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::PathBuf;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn places(&self) -> Places {
        let d = self.0.path();
        Places { config: d.join("config"), state: d.join("state"), cache: d.join("cache") }
    }

    fn create(&self, id: &str) -> Journal {
        Journal::create(&self.places(), session(id), Redactor::default()).unwrap()
    }

    fn path(&self, id: &str) -> PathBuf {
        journal_path(&self.places(), id)
    }

    fn load(&self, id: &str) -> Loaded {
        Journal::load(&self.path(id)).unwrap()
    }

    fn shown(&self, failure: &Failure) -> String {
        format!("{}: {}\nhint: {}", failure.cause.as_str(), failure.message, failure.hint.as_deref().unwrap_or("-"))
            .replace(&self.0.path().display().to_string(), "~")
            .replace(&std::process::id().to_string(), "PID")
    }

    /// A journal that holds exactly these bytes.
    fn plant(&self, id: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path(id).parent().unwrap()).unwrap();
        std::fs::write(self.path(id), bytes).unwrap();
    }
}

fn session(id: &str) -> Session {
    Session { id: id.into(), agent: "code-puppy".into(), cwd: "/repo".into(), prompt: Some("fix it\nplease".into()), ..Session::default() }
}

fn intent(call_id: &str, effect: Effect) -> Entry {
    Entry::Intent(Intent {
        call_id: call_id.into(),
        tool: "shell".into(),
        args: "{\"command\":\"ls\"}".into(),
        effect,
        files: vec![],
        checkpoint: None,
    })
}

fn receipt(call_id: &str) -> Entry {
    Entry::Receipt(Receipt { call_id: call_id.into(), ok: true, digest: "00".into(), output: Some("ok".into()), files: vec![] })
}

fn entries(loaded: &Loaded) -> Vec<Entry> {
    loaded.entries.iter().map(|l| l.entry.clone()).collect()
}

#[test]
fn a_call_without_receipt_dangles_with_its_process() {
    let home = Home::new();
    let mut journal = home.create("s");
    let spawned = Spawned { call_id: "1".into(), pid: 7, pgid: Some(7), start_time: Some(99) };
    for e in
        [intent("1", Effect::Exec), receipt("1"), intent("1", Effect::Exec), Entry::Spawned(spawned.clone()), intent("2", Effect::ReadOnly)]
    {
        journal.append_durable(&e).unwrap();
    }
    drop(journal);
    let found: Vec<_> = home.load("s").dangling.into_iter().map(|d| (d.intent.call_id, d.spawned)).collect();
    assert_eq!(found, [("1".to_owned(), Some(spawned)), ("2".to_owned(), None)]);
}

#[test]
fn an_end_counts_until_the_session_goes_on() {
    let home = Home::new();
    home.create("s").append_durable(&Entry::End(End { cause: Cause::Done, text: Some("ok".into()) })).unwrap();
    assert_eq!(home.load("s").ended.unwrap().cause, Cause::Done);
    let (mut journal, loaded) = Journal::open(&home.places(), "s", Redactor::default()).unwrap();
    assert_eq!(loaded.session, Some(session("s")));
    // Another agent was chosen, but nothing was asked of it.
    journal.append(&Entry::Session(Session { prompt: None, agent: "planner".into(), ..session("s") })).unwrap();
    journal.append(&Entry::Message { message: Message::system("you plan") }).unwrap();
    let loaded = home.load("s");
    assert_eq!((loaded.ended.as_ref().map(|e| e.cause), loaded.latest().map(|s| s.agent.as_str())), (Some(Cause::Done), Some("planner")));
    let seq = journal.append(&Entry::Message { message: Message::user("more") }).unwrap();
    let loaded = home.load("s");
    assert_eq!((seq, loaded.ended, loaded.history.len()), (5, None, 2));
}

#[test]
fn long_texts_live_beside_the_journal() {
    let home = Home::new();
    let long = "x\u{1f436}".repeat(30_000);
    let message = Message::results(vec![ToolResult::text("c", long.clone(), false)]);
    home.create("s").append(&Entry::Message { message: message.clone() }).unwrap();
    assert!(std::fs::metadata(home.path("s")).unwrap().len() < 2_000);
    assert_eq!(home.load("s").history.last(), Some(&message));
    let blob = std::fs::read_dir(home.path("s").with_file_name("blobs")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&blob, "damaged").unwrap();
    let loaded = home.load("s");
    assert_eq!(loaded.history.len(), 1);
    assert!(loaded.dropped[0].contains("missing or damaged"), "{:?}", loaded.dropped);
}

#[test]
fn secrets_are_gone_before_anything_is_written() {
    let home = Home::new();
    let redactor = Redactor::default();
    redactor.learn("OPENAI_API_KEY", "canary-canary-1");
    let mut s = session("s");
    s.prompt = Some("use canary-canary-1".into());
    let mut journal = Journal::create(&home.places(), s, redactor).unwrap();
    let call = ToolCall {
        id: "c".into(),
        name: "shell".into(),
        args_raw: r#"{"command":"echo canary-canary-1 $(cat k)"}"#.into(),
        signature: None,
    };
    let reply = Message::new(Role::Assistant, vec![Block::ToolCall(call)]);
    let long = format!("{} canary-canary-1", "y".repeat(70_000));
    journal.append(&Entry::Message { message: reply }).unwrap();
    journal.append(&Entry::Message { message: Message::results(vec![ToolResult::text("c", long, false)]) }).unwrap();
    journal.append(&Entry::Unknown(json!({"kind": "later", "note": "canary-canary-1"}))).unwrap();
    let mut all = std::fs::read_to_string(home.path("s")).unwrap();
    for blob in std::fs::read_dir(home.path("s").with_file_name("blobs")).unwrap() {
        all.push_str(&std::fs::read_to_string(blob.unwrap().path()).unwrap());
    }
    assert_eq!((all.matches("canary-canary-1").count(), all.matches("[redacted:OPENAI_API_KEY]").count()), (0, 4));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_a_session() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let _journal = home.create("s");
    let mode = |p: PathBuf| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(home.path("s")), mode(home.path("s").parent().unwrap().into())), (0o600, 0o700));
}

#[test]
fn sessions_are_found_by_last_and_by_their_beginning() {
    let home = Home::new();
    for (id, second) in [("20260101-a", 10), ("20260102-b", 30), ("20260102-c", 20)] {
        drop(home.create(id));
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
        std::fs::File::options().write(true).open(home.path(id)).unwrap().set_modified(at).unwrap();
    }
    let p = home.places();
    assert_eq!(find(&p, "last").unwrap(), "20260102-b");
    assert_eq!(find(&p, "20260101").unwrap(), "20260101-a");
    assert_eq!(find(&p, "20260102-c").unwrap(), "20260102-c");
    let ids: Vec<String> = list(&p).unwrap().into_iter().map(|s| s.id).collect();
    assert_eq!(ids, ["20260102-b", "20260102-c", "20260101-a"]);
    insta::assert_snapshot!(home.shown(&find(&p, "20260102").unwrap_err()), @r#"
    usage: `20260102` is the beginning of 2 sessions
    hint: write more of it: 20260102-b, 20260102-c
    "#);
    insta::assert_snapshot!(home.shown(&find(&p, "20260102-d").unwrap_err()), @r#"
    usage: there is no session `20260102-d`
    hint: did you mean `20260102-b`, `20260102-c`, `20260101-a`?
    "#);
    insta::assert_snapshot!(home.shown(&find(&Home::new().places(), "last").unwrap_err()), @r#"
    usage: there are no sessions yet
    hint: `pup run "..."` starts one
    "#);
}

#[test]
fn what_people_see() {
    let home = Home::new();
    let open = |id: &str| home.shown(&Journal::open(&home.places(), id, Redactor::default()).unwrap_err());
    let create = |id: &str| home.shown(&Journal::create(&home.places(), session(id), Redactor::default()).unwrap_err());
    let held = home.create("mine");
    insta::assert_snapshot!(open("mine"), @r#"
    usage: session mine is in use by process PID
    hint: wait until it ends, or start a session of your own
    "#);
    drop(held);
    insta::assert_snapshot!(create("mine"), @r#"
    usage: there is a session mine already
    hint: go on with it by `--resume mine`, or use another id
    "#);
    insta::assert_snapshot!(open("other"), @r#"
    usage: there is no session other
    hint: `pup sessions list` shows them
    "#);
    insta::assert_snapshot!(create("../up"), @r#"
    usage: `../up` cannot be a session's id
    hint: use up to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit, and not `last`
    "#);
    home.plant("new", b"{\"v\":1,\"seq\":1,\"ts\":\"\",\"kind\":\"x\"}\n{\"v\":2,\"seq\":2}\n");
    insta::assert_snapshot!(open("new"), @r#"
    config: ~/state/sessions/new/journal.jsonl:2: this session was written by a newer pup (journal version 2; this one reads up to 1)
    hint: update pup, or start a new session
    "#);
    std::fs::write(home.0.path().join("file"), "").unwrap();
    let nowhere = Places { state: home.0.path().join("file"), ..home.places() };
    insta::assert_snapshot!(home.shown(&Journal::create(&nowhere, session("s"), Redactor::default()).unwrap_err()), @r#"
    config: cannot create ~/file/sessions/s: Not a directory (os error 20)
    hint: make room or give write access there; PUP_HOME=DIR moves it; --no-session runs without a journal
    "#);
}

#[test]
fn what_cannot_be_read_is_named() {
    let home = Home::new();
    home.plant(
        "s",
        b"garbage \x1b[31m\xff\n{\"seq\":1}\n{\"v\":1,\"kind\":\"end\"}\n{\"v\":1,\"seq\":4,\"kind\":\"end\",\"cause\":\"bored\"}\n{\"v\":1,\"seq\":5}\n\0\0\0{\"v\":1,\"seq\":6,\"kind\":\"later\"}\n{\"v\":1,\"se",
    );
    let loaded = home.load("s");
    assert_eq!(entries(&loaded), [Entry::Unknown(json!({"v": 1, "seq": 6, "kind": "later"}))]);
    insta::assert_snapshot!(loaded.dropped.join("\n"), @r#"
    line 1: 14 bytes that are not a whole entry: garbage �
    line 2: not a journal entry (no version): {"seq":1}
    line 3: an entry without a number: {"v":1,"kind":"end"}
    line 4: a `end` entry that this version cannot read (unknown variant `bored`, expected one of `done`, `internal`, `usage`, `config`, `auth`, `exhausted`, `budget`, `limit`, `denied`, `rejected`, `interrupted`, `terminated`): {"v":1,"seq":4,"kind":"end","cause":"bored"}
    line 5: an entry without a kind: {"v":1,"seq":5}
    line 6: 3 NUL bytes, as a power cut leaves them
    line 7: 10 bytes that are not a whole entry: {"v":1,"se
    "#);
}

#[test]
fn a_journal_of_the_first_version_still_loads() {
    let home = Home::new();
    home.plant("s", include_bytes!("../../tests/it/fixtures/journal-v1.jsonl"));
    let loaded = home.load("s");
    assert_eq!((loaded.entries.len(), loaded.history.len()), (12, 3));
    assert!(loaded.dropped.is_empty() && loaded.dangling.is_empty(), "{:?}", loaded.dropped);
    assert!(!loaded.entries.iter().any(|l| matches!(l.entry, Entry::Unknown(_))));
    assert_eq!(loaded.ended.unwrap().text.as_deref(), Some("It prints hi."));
}

#[test]
fn the_published_schema_is_current() {
    #[derive(schemars::JsonSchema)]
    #[schemars(
        title = "A line of journal.jsonl",
        description = "Kinds and fields that are not named here are kept. A long string is {\"blob\": \"<sha256>\"}."
    )]
    #[allow(dead_code, reason = "only its schema is used")]
    struct JournalLine {
        /// Version of the form.
        v: u64,
        /// Counts up; gaps do not occur within a run.
        seq: u64,
        /// RFC 3339, UTC.
        ts: String,
        #[schemars(flatten)]
        entry: Entry,
    }
    let text = serde_json::to_string_pretty(&schemars::schema_for!(JournalLine)).unwrap() + "\n";
    crate::base::published(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schema/journal.schema.json"), &text);
}

#[test]
fn every_kind_is_listed() {
    let samples = [
        Entry::Session(session("s")),
        Entry::Message { message: Message::user("x") },
        Entry::Child(Child { call_id: "c".into(), session: "t".into(), agent: "a".into(), background: false }),
        intent("c", Effect::Writes),
        Entry::Spawned(Spawned { call_id: "c".into(), pid: 1, pgid: None, start_time: None }),
        receipt("c"),
        attempt(Outcome::Failed(Class::RateLimit)),
        Entry::Usage(UsageEntry { model: "m".into(), provider: "p".into(), usage: Usage::default(), cost_usd: None, paused: false }),
        Entry::Discarded(Discarded { model: "m".into(), provider: "p".into(), chars: 3, reason: "cut".into() }),
        Entry::Quarantine(Quarantine { pieces: Vec::new(), why: "w".into(), provider: "p".into() }),
        Entry::Compaction(Compaction { of: 0, view: Vec::new(), before: 2, after: 1, what: "w".into() }),
        Entry::End(End { cause: Cause::Limit, text: None }),
    ];
    let kinds: Vec<Value> = samples.iter().map(|e| serde_json::to_value(e).unwrap()["kind"].clone()).collect();
    assert_eq!(kinds, Entry::KINDS.map(Value::from));
}

fn attempt(outcome: Outcome) -> Entry {
    Entry::Attempt(Attempt {
        model: "m".into(),
        provider: "p".into(),
        account: Some("P_KEY_2".into()),
        outcome,
        status: Some(429),
        scope: Some(Scope::Key),
        latency_ms: 12,
        retry_after_s: Some(1.5),
        cost_usd: None,
        estimated: false,
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z \\n\"\\\\{}é\u{1f436}\u{0}]{0,24}", 1 => Just("long ".repeat(14_000))]
}

fn message() -> impl Strategy<Value = Message> {
    (text(), text(), "[a-z0-9]{1,6}").prop_flat_map(|(a, b, id)| {
        prop_oneof![
            Just(Message::user(a.clone())),
            Just(Message::new(
                Role::Assistant,
                vec![
                    Block::Thinking { text: b.clone(), signature: Some("c2ln".into()), redacted: false },
                    Block::ToolCall(ToolCall { id: id.clone(), name: "t".into(), args_raw: a.clone(), signature: None }),
                ]
            )),
            Just(Message::results(vec![ToolResult::text(id, b, true)])),
        ]
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let id = "[a-c]";
    prop_oneof![
        message().prop_map(|message| Entry::Message { message }),
        (id, text()).prop_map(|(call_id, args)| Entry::Intent(Intent {
            call_id,
            tool: "t".into(),
            args,
            effect: Effect::Exec,
            files: vec![FileChange { path: "a".into(), before: None, after: Some("d".into()) }],
            checkpoint: Some(7),
        })),
        (id, any::<u32>()).prop_map(|(call_id, pid)| Entry::Spawned(Spawned { call_id, pid, pgid: Some(pid), start_time: None })),
        id.prop_map(|c| receipt(&c)),
        prop_oneof![Just(Outcome::Ok), Just(Outcome::Failed(Class::Network))].prop_map(attempt),
        text().prop_map(|t| Entry::End(End { cause: Cause::Interrupted, text: Some(t) })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_comes_back(written in prop::collection::vec(entry(), 0..12), reopen in 0..12usize) {
        let home = Home::new();
        let mut journal = home.create("s");
        for (ix, e) in written.iter().enumerate() {
            if ix == reopen {
                drop(journal);
                journal = Journal::open(&home.places(), "s", Redactor::default()).unwrap().0;
            }
            journal.append(e).unwrap();
        }
        let loaded = home.load("s");
        let mut wanted = vec![Entry::Session(session("s"))];
        wanted.extend(written);
        prop_assert_eq!(entries(&loaded), wanted);
        let seqs: Vec<u64> = loaded.entries.iter().map(|l| l.seq).collect();
        prop_assert_eq!(seqs, (1..=loaded.entries.len() as u64).collect::<Vec<_>>());
        prop_assert!(loaded.dropped.is_empty());
    }

    #[test]
    fn unknown_kinds_survive_between_the_others(written in prop::collection::vec((entry(), any::<bool>()), 1..10)) {
        let home = Home::new();
        let mut journal = home.create("s");
        let (mut wanted, mut messages) = (vec![], 0);
        for (ix, (e, unknown)) in written.into_iter().enumerate() {
            let e = if unknown { Entry::Unknown(json!({"kind": format!("k{ix}"), "deep": {"er": [ix, null]}})) } else { e };
            messages += usize::from(matches!(e, Entry::Message { .. }));
            journal.append(&e).unwrap();
            wanted.push(e);
        }
        let loaded = home.load("s");
        prop_assert_eq!(loaded.history.len(), messages);
        for (line, wanted) in loaded.entries.iter().skip(1).zip(&wanted) {
            match (&line.entry, wanted) {
                (Entry::Unknown(found), Entry::Unknown(wanted)) => {
                    prop_assert!(found["kind"] == wanted["kind"] && found["deep"] == wanted["deep"]);
                }
                (found, wanted) => prop_assert_eq!(found, wanted),
            }
        }
    }
}

/// For a crash at every byte: all whole lines load, the rest is named, and the session can go on.
#[test]
fn cut_at_every_byte_only_the_torn_line_is_lost() {
    let home = Home::new();
    let mut journal = home.create("s");
    for e in [intent("a", Effect::Exec), receipt("a"), Entry::Message { message: Message::user("h\u{e9}llo") }, attempt(Outcome::Ok)] {
        journal.append(&e).unwrap();
    }
    drop(journal);
    let whole = std::fs::read(home.path("s")).unwrap();
    let all = entries(&home.load("s"));
    for cut in 0..=whole.len() {
        for tail in [0, 5] {
            let mut bytes = whole[..cut].to_vec();
            let lines = bytes.split(|b| *b == b'\n').count() - 1;
            let at_end_of_entry = whole.get(cut) == Some(&b'\n');
            let kept = lines + usize::from(at_end_of_entry);
            let torn = !at_end_of_entry && cut > 0 && bytes[cut - 1] != b'\n';
            bytes.extend(vec![0; tail]);
            home.plant("cut", &bytes);
            let (mut journal, loaded) = Journal::open(&home.places(), "cut", Redactor::default()).unwrap();
            assert_eq!(entries(&loaded), all[..kept], "cut at {cut}");
            assert_eq!(loaded.dropped.len(), usize::from(torn) + usize::from(tail > 0), "cut at {cut}: {:?}", loaded.dropped);
            journal.append(&receipt("z")).unwrap();
            drop(journal);
            let after = entries(&home.load("cut"));
            assert_eq!(after[..kept], all[..kept], "cut at {cut}");
            assert_eq!(after[kept..], [receipt("z")], "cut at {cut}");
        }
    }
}
