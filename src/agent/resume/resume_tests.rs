//! Killed at any moment, any number of times: valid histories, a stable prefix, and each effect at most once.

use super::*;
use crate::agent::turn::Step;
use crate::agent::turn::{Limits, Ran, Turn};
use crate::base::digest;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::model::{Block, History, Reply, Stop, ToolResult, Usage};
use crate::session::{self, FileChange, Journal, Session};
use crate::workspace::process::Ending;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LIMITS: Limits = Limits { max_turns: 500, loop_guard: 500 };

/// A folder with sessions and a workspace, and what has really happened in it.
struct World {
    home: tempfile::TempDir,
    /// How often each call had its effect.
    effects: BTreeMap<String, u32>,
    /// What the last request to the model began with.
    sent: Vec<Message>,
}

/// The process is gone.
#[derive(Debug)]
struct Killed;

/// When the kill comes.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// While the session is being taken up: so many hundredths of what that writes are on the disk.
    Early(u64),
    /// After so many further writes and effects; so many hundredths of the last line are on the disk.
    After(u32, u64),
    Never,
}

struct Run<'w> {
    world: &'w mut World,
    journal: Journal,
    written: usize,
    left: u32,
    torn: u64,
    replies: Vec<Vec<Block>>,
}

impl World {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), effects: BTreeMap::new(), sent: Vec::new() }
    }

    fn places(&self) -> Places {
        Places::under(self.home.path())
    }

    fn session(prompt: Option<&str>) -> Session {
        Session { id: "s".into(), agent: "a".into(), cwd: "/w".into(), prompt: prompt.map(Into::into), ..Session::default() }
    }

    fn file(&self, n: usize) -> PathBuf {
        self.home.path().join(format!("f{n}"))
    }

    fn digest(&self, n: usize) -> Option<String> {
        std::fs::read(self.file(n)).ok().map(|b| digest::sha256(&b))
    }

    /// One life of the process: from the start, or from what the one before left.
    fn live(&mut self, kill: Kill, prompt: Option<&str>, replies: Vec<Vec<Block>>) -> Result<History, Killed> {
        let path = session::journal_path(&self.places(), "s");
        let exists = path.is_file();
        let (left, torn) = match kill {
            Kill::After(left, torn) => (left, torn),
            Kill::Early(_) => (0, 0),
            Kill::Never => (u32::MAX, 0),
        };
        let before = if exists { std::fs::metadata(&path).unwrap().len() } else { 0 };
        let system = Message::system("you are a");
        if !exists {
            let journal = Journal::create(&self.places(), Self::session(Some("do it")), Redactor::default()).unwrap();
            let mut run = Run { world: self, journal, written: 0, left, torn, replies };
            run.burn()?;
            return run.turn(Turn::new([system, Message::user("do it")].into_iter().collect(), LIMITS));
        }
        let (mut journal, loaded) = Journal::open(&self.places(), "s", Redactor::default()).unwrap();
        let plan = Plan::of(&loaded);
        let rest = plan.rest();
        let now = Self::session(prompt);
        let Continued { history, unfinished, .. } = take_up(&mut journal, plan, loaded.latest(), now, system, &Ending::default()).unwrap();
        if let Kill::Early(part) = kill {
            tear(&path, before, part);
            return Err(Killed);
        }
        let Unfinished { settled, mut prompts, paused } = unfinished.unwrap_or_else(|| panic!("{rest:?} of {loaded:?}"));
        prompts.extend(prompt.map(ToOwned::to_owned));
        let begun: Vec<&str> = loaded
            .entries
            .iter()
            .filter_map(|l| match &l.entry {
                Entry::Intent(i) => Some(i.call_id.as_str()),
                _ => None,
            })
            .collect();
        let written = history.len();
        let mut turn = Turn::resume(history, Unfinished { settled, prompts, paused }, LIMITS);
        if let Step::RunTools(calls) = turn.step() {
            assert!(calls.iter().all(|c| !begun.contains(&c.id.as_str())), "handed out again: {calls:?}");
        }
        Run { world: self, journal, written, left, torn, replies }.turn(turn)
    }
}

/// Keeps so many hundredths of what was written behind `before`.
fn tear(path: &Path, before: u64, part: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let written = file.metadata().unwrap().len() - before;
    file.set_len(before + written * part / 100).unwrap();
}

impl Run<'_> {
    /// A moment at which the process may be killed.
    fn burn(&mut self) -> Result<(), Killed> {
        self.left = self.left.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }

    /// A kill in the middle of a write leaves a part of the line.
    fn append(&mut self, entry: &Entry) -> Result<(), Killed> {
        let path = session::journal_path(&self.world.places(), "s");
        let before = std::fs::metadata(&path).unwrap().len();
        self.journal.append(entry).unwrap();
        self.burn().inspect_err(|Killed| tear(&path, before, self.torn))
    }

    fn messages(&mut self, turn: &Turn) -> Result<(), Killed> {
        for message in turn.history().iter().skip(self.written).map(|m| (**m).clone()).collect::<Vec<_>>() {
            self.append(&Entry::Message { message })?;
            self.written += 1;
        }
        Ok(())
    }

    /// What the driver does, without a network.
    fn turn(mut self, mut turn: Turn) -> Result<History, Killed> {
        loop {
            self.messages(&turn)?;
            match turn.step() {
                Step::CallModel => {
                    self.messages(&turn)?;
                    assert_eq!(history::check(turn.history()), vec![]);
                    let now: Vec<Message> = turn.history().iter().map(|m| (**m).clone()).collect();
                    assert_eq!(now.get(..self.world.sent.len()), Some(self.world.sent.as_slice()), "the prefix has changed");
                    self.world.sent = now;
                    self.burn()?;
                    turn.replied(self.reply());
                }
                Step::RunTools(calls) => {
                    for call in calls {
                        let (output, ran) = self.call(&call)?;
                        turn.tool_done(ToolResult::text(&call.id, output, false), ran);
                    }
                }
                Step::Finish(outcome) => {
                    assert_eq!(outcome.cause, Cause::Done);
                    self.messages(&turn)?;
                    self.append(&Entry::End(session::End { cause: outcome.cause, text: None }))?;
                    return Ok(turn.history().clone());
                }
            }
        }
    }

    fn reply(&mut self) -> Reply {
        let blocks = if self.replies.is_empty() { vec![Block::Text { text: "finished".into() }] } else { self.replies.remove(0) };
        let message = Message::new(Role::Assistant, blocks);
        Reply { message, stop: Stop::End, reason: None, usage: Usage::default(), id: None, model: None, complete: true, error: None }
    }

    fn call(&mut self, call: &ToolCall) -> Result<(String, Ran), Killed> {
        let (effect, files) = match call.name.as_str() {
            "read" => return Ok(("read".into(), Ran::Allowed(None))),
            "write" => {
                let n = call.args_raw.len() % 2;
                let after = Some(digest::sha256(call.id.as_bytes()));
                let path = self.world.file(n).display().to_string();
                (Effect::Writes, vec![FileChange { path, before: self.world.digest(n), after }])
            }
            _ => (Effect::Exec, vec![]),
        };
        let (call_id, tool, args) = (call.id.clone(), call.name.clone(), call.args_raw.clone());
        self.append(&Entry::Intent(Intent { call_id: call_id.clone(), tool, args, effect, files: files.clone(), checkpoint: None }))?;
        if let Some(file) = files.first() {
            std::fs::write(&file.path, &call.id).unwrap();
        }
        *self.world.effects.entry(call_id.clone()).or_default() += 1;
        self.burn()?;
        let output = format!("output of {call_id}");
        self.append(&Entry::Receipt(Receipt { call_id, ok: true, digest: String::new(), output: Some(output.clone()), files }))?;
        Ok((output, Ran::Allowed(None)))
    }
}

fn block() -> impl Strategy<Value = Block> {
    let call = |name: &'static str| {
        ("[ab]?", prop::sample::select(vec!["{}", "{ }", "{\"cut", ""]))
            .prop_map(move |(id, args)| Block::ToolCall(ToolCall { id, name: name.into(), args_raw: args.into(), signature: None }))
    };
    prop_oneof![1 => Just(Block::Text { text: "t".into() }), 2 => call("exec"), 3 => call("write"), 2 => call("read")]
}

fn kill() -> impl Strategy<Value = Kill> {
    prop_oneof![1 => (0u64..=100).prop_map(Kill::Early), 5 => (0u32..14, 0u64..=100).prop_map(|(left, torn)| Kill::After(left, torn))]
}

proptest! {
    /// Lives of random length, one after the other, over one journal; the last one may run to its end.
    #[test]
    fn each_effect_happens_at_most_once(
        replies in prop::collection::vec(prop::collection::vec(block(), 1..4), 1..6),
        kills in prop::collection::vec((kill(), prop::option::weighted(0.2, "[a-z]{3}")), 1..6),
    ) {
        let mut world = World::new();
        let mut prompts = vec!["do it".to_owned()];
        let mut done = false;
        for (kill, prompt) in kills {
            let first = !session::journal_path(&world.places(), "s").is_file();
            done = world.live(kill, prompt.as_deref(), replies.clone()).is_ok();
            if !first && !matches!(kill, Kill::Early(_)) {
                prompts.extend(prompt);
            }
            let left = Plan::of(&Journal::load(&session::journal_path(&world.places(), "s")).unwrap());
            if done || left.rest() == Rest::Nothing {
                break;
            }
        }
        let loaded = Journal::load(&session::journal_path(&world.places(), "s")).unwrap();
        let rest = Plan::of(&loaded).rest();
        if !done && rest != Rest::Nothing {
            let end = world.live(Kill::Never, None, replies).unwrap();
            prop_assert_eq!(history::check(&end), vec![]);
            let said: Vec<String> = end.iter().filter(|m| m.role == Role::User).map(|m| m.joined_text()).collect();
            for prompt in &prompts {
                prop_assert!(said.contains(prompt), "{:?} is not in {:?}", prompt, said);
            }
            // Each result tells the truth about its call.
            for result in end.iter().flat_map(|m| m.tool_results().cloned().collect::<Vec<_>>()) {
                let (text, times) = (result.joined(), world.effects.get(&result.call_id).copied().unwrap_or(0));
                let claims_done = text.starts_with("output of") || text.starts_with("Done:");
                let claims_not = text.contains("was not done") || text.contains("not run") || text.contains("nothing was run");
                prop_assert!(!claims_done || times == 1, "{}: {}", times, text);
                prop_assert!(!claims_not || times == 0, "{}: {}", times, text);
                prop_assert!(claims_done || claims_not || text.starts_with("read") || text.contains("outcome unknown"), "{}", text);
            }
        }
        prop_assert!(world.effects.values().all(|n| *n == 1), "{:?}", world.effects);
    }
}

fn lines(entries: Vec<Entry>) -> Loaded {
    let home = tempfile::tempdir().unwrap();
    let places = Places::under(home.path());
    let mut journal = Journal::create(&places, World::session(Some("do it")), Redactor::default()).unwrap();
    for entry in entries {
        journal.append(&entry).unwrap();
    }
    Journal::load(&session::journal_path(&places, "s")).unwrap()
}

fn said(message: Message) -> Entry {
    Entry::Message { message }
}

fn calls(ids: &[(&str, &str)]) -> Entry {
    let call = |(id, args): &(&str, &str)| {
        Block::ToolCall(ToolCall { id: (*id).into(), name: "t".into(), args_raw: (*args).into(), signature: None })
    };
    said(Message::new(Role::Assistant, ids.iter().map(call).collect()))
}

fn intent(id: &str, effect: Effect) -> Entry {
    Entry::Intent(Intent {
        call_id: id.into(),
        tool: "shell".into(),
        args: "{\"command\":\"make\"}".into(),
        effect,
        files: vec![],
        checkpoint: None,
    })
}

fn end(cause: Cause) -> Entry {
    Entry::End(session::End { cause, text: None })
}

fn opening() -> Vec<Entry> {
    vec![said(Message::system("s")), said(Message::user("do it"))]
}

fn after(more: Vec<Entry>) -> Plan {
    Plan::of(&lines([opening(), more].concat()))
}

#[test]
fn what_is_left_to_do_depends_on_who_spoke_last() {
    let answer = || said(Message::assistant("done"));
    let results = || said(Message::results(vec![ToolResult::text("1", "r", false)]));
    let used = |paused: bool| {
        let (model, provider) = ("m".to_owned(), "p".to_owned());
        Entry::Usage(crate::session::UsageEntry { model, provider, usage: Usage::default(), cost_usd: None, paused })
    };
    let rows = [
        (after(vec![]), Rest::Work),
        (after(vec![end(Cause::Interrupted)]), Rest::Work),
        (after(vec![answer()]), Rest::Answered),
        (after(vec![answer(), end(Cause::Done)]), Rest::Nothing),
        (after(vec![answer(), end(Cause::Limit)]), Rest::Nothing),
        (after(vec![calls(&[("1", "{}")])]), Rest::Work),
        (after(vec![calls(&[("1", "{}")]), results(), end(Cause::Limit)]), Rest::Work),
        (after(vec![answer(), end(Cause::Done), Entry::Session(World::session(Some("more")))]), Rest::Work),
        (after(vec![used(true), answer()]), Rest::Work),
        (after(vec![used(true), answer(), end(Cause::Interrupted)]), Rest::Work),
        (after(vec![used(true), answer(), used(false), answer()]), Rest::Answered),
        (after(vec![used(true), answer(), used(true)]), Rest::Work),
        (after(vec![used(false), answer(), used(true)]), Rest::Answered),
        (after(vec![answer(), used(true), answer()]), Rest::Work),
        (Plan::of(&lines(vec![])), Rest::Work),
        (Plan::default(), Rest::Nothing),
    ];
    for (plan, rest) in rows {
        assert_eq!(plan.rest(), rest, "{plan:?}");
    }
}

#[test]
fn each_open_call_is_known_for_what_it_is() {
    let ids = [("ran", "{}"), ("cut", "{}"), ("read", "{}"), ("secret", "{\"k\":\"[redacted:K]\"}"), ("new", ""), ("none", "")];
    let receipt = Receipt { call_id: "ran".into(), ok: true, digest: "d".into(), output: Some("out".into()), files: vec![] };
    let plan = after(vec![
        calls(&[("cut", "{}")]),
        intent("cut", Effect::Exec),
        said(Message::results(vec![ToolResult::text("cut", "an earlier call of this id", false)])),
        calls(&ids),
        intent("ran", Effect::Exec),
        Entry::Receipt(receipt.clone()),
        intent("cut", Effect::Network),
        intent("read", Effect::ReadOnly),
    ]);
    let known: Vec<(&str, &Known)> = plan.open.iter().map(|o| (o.call.id.as_str(), &o.known)).collect();
    let Known::Began(began) = known[1].1 else { panic!("{known:?}") };
    assert_eq!(began.effect, Effect::Network, "not that of an earlier call");
    let wanted = [
        ("ran", &Known::Finished(receipt)),
        ("cut", known[1].1),
        ("read", &Known::Untouched),
        ("secret", &Known::Incomplete(Missing::Secret)),
        ("new", &Known::Untouched),
        ("none", &Known::Incomplete(Missing::All)),
    ];
    assert_eq!(known, wanted);
    assert!(plan.prompts.is_empty() && plan.notes.is_empty(), "{plan:?}");
}

#[test]
fn calls_that_the_record_has_lost_are_told_to_the_model_once() {
    let lost = || vec![intent("a", Effect::Exec), intent("b", Effect::Writes), receipt("b")];
    let plan = after(lost());
    insta::assert_snapshot!(plan.prompts.join("\n"), @r#"
    [pup was killed, and the record of this conversation is damaged. These calls of yours were begun and are missing above:
    - shell {"command":"make"}: its outcome is unknown
    - shell {"command":"make"}: it ended well
    Look at the state of the project before you go on.]
    "#);
    let told = after([lost(), vec![said(Message::user(plan.prompts[0].as_str()))]].concat());
    assert!(told.prompts.is_empty(), "{told:?}");
}

fn receipt(id: &str) -> Entry {
    Entry::Receipt(Receipt { call_id: id.into(), ok: true, digest: String::new(), output: None, files: vec![] })
}

#[test]
fn the_last_system_message_is_in_force_and_stays_the_same() {
    let plan = after(vec![said(Message::assistant("hm")), said(Message::system("another agent")), said(Message::user("and now"))]);
    assert_eq!(plan.system, Some(Message::system("another agent")));
    assert_eq!(plan.messages.iter().map(Message::joined_text).collect::<Vec<_>>(), ["do it", "hm", "and now"]);
    assert!(plan.notes.is_empty(), "{plan:?}");

    for (agent, system) in [("a", "s"), ("b", "of b")] {
        let mut world = World::new();
        let _ = world.live(Kill::After(0, 0), None, vec![]);
        let (mut journal, _) = Journal::open(&world.places(), "s", Redactor::default()).unwrap();
        for e in &opening() {
            journal.append(e).unwrap();
        }
        drop(journal);
        for _ in 0..2 {
            let (mut journal, loaded) = Journal::open(&world.places(), "s", Redactor::default()).unwrap();
            let now = Session { agent: agent.into(), ..World::session(None) };
            let plan = Plan::of(&loaded);
            let new = Message::system(format!("of {agent}"));
            let continued = take_up(&mut journal, plan, loaded.latest(), now, new, &Ending::default()).unwrap();
            assert_eq!(continued.history.get(0).unwrap().joined_text(), system);
            world.sent.clear();
        }
    }
}

#[test]
fn a_workspace_that_has_moved_is_said_and_its_files_are_found() {
    let home = tempfile::tempdir().unwrap();
    let new = home.path().display().to_string();
    std::fs::write(home.path().join("x"), "after").unwrap();
    let file = FileChange { path: "/w/x".into(), before: None, after: Some(digest::sha256(b"after")) };
    let began = Intent {
        call_id: "1".into(),
        tool: "create_file".into(),
        args: "{}".into(),
        effect: Effect::Writes,
        files: vec![file],
        checkpoint: None,
    };
    let entries = [opening(), vec![calls(&[("1", "{}")]), Entry::Intent(began)]].concat();
    let mut world = World::new();
    let _ = world.live(Kill::After(0, 0), None, vec![]);
    let (mut journal, _) = Journal::open(&world.places(), "s", Redactor::default()).unwrap();
    for e in &entries {
        journal.append(e).unwrap();
    }
    drop(journal);
    let (mut journal, loaded) = Journal::open(&world.places(), "s", Redactor::default()).unwrap();
    let now = Session { cwd: new.clone(), ..World::session(None) };
    let continued = take_up(&mut journal, Plan::of(&loaded), loaded.latest(), now, Message::system("x"), &Ending::default()).unwrap();
    let Unfinished { settled, prompts, .. } = continued.unfinished.unwrap();
    assert!(settled[0].joined().starts_with("Done:") && !settled[0].is_error, "{settled:?}");
    assert_eq!(prompts, [format!("[The workspace has moved. It is now {new}; paths are relative to it.]")]);
}
