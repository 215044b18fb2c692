//! Any history, any threshold: what comes out is valid, within the limit, whole in its pairs, true to what is pinned, and
//! done after one time.

use super::note::Note;
use super::*;
use crate::catalog::Diet;
use crate::model::history::{self, Checker};
use crate::model::{Block, ImageSource, Role, ToolCall, ToolResult};
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::Arc;

const TOOLS: [&str; 8] = ["read_file", "list_files", "grep", "shell", "create_file", "todo", "invoke_agent", "ask_user_question"];

/// One thing that happens in a session.
#[derive(Debug, Clone)]
enum Happens {
    Says(String),
    /// Tool, argument, length of the output, whether it failed.
    Calls(Vec<(usize, usize, usize, bool)>),
    Answers(String, Option<bool>),
    Shows,
}

fn happens() -> impl Strategy<Value = Happens> {
    let words = || proptest::collection::vec("[a-z]{1,9}|猫|é|`x = 1`|\\n|let me see\\.", 1..60).prop_map(|w| format!("w {}", w.join(" ")));
    let call = (
        0..TOOLS.len(),
        0usize..4,
        prop_oneof![3 => 0usize..200, 2 => 200usize..6_000, 1 => 6_000usize..40_000],
        prop::bool::weighted(0.1),
    );
    prop_oneof![
        2 => words().prop_map(Happens::Says),
        6 => proptest::collection::vec(call, 1..4).prop_map(Happens::Calls),
        2 => (words(), proptest::option::of(any::<bool>())).prop_map(|(w, t)| Happens::Answers(w, t)),
        1 => Just(Happens::Shows),
    ]
}

fn output(n: usize, len: usize, seed: usize) -> String {
    let mut out = format!("output {n}\n");
    while out.len() < len {
        let at = out.len();
        let _ = writeln!(out, "line {at} of {n}: value {}", at * (seed + 7) % 9973);
    }
    out
}

fn told(all: &[Happens]) -> History {
    let mut history: History =
        [Message::system("You are an agent."), Message::user("The task: keep the port at 8417.")].into_iter().collect();
    for (n, one) in all.iter().enumerate() {
        match one {
            Happens::Says(text) => history.push(Message::user(format!("decision {n}: {text}"))),
            Happens::Shows => {
                let source = ImageSource::Inline { media_type: "image/png".into(), data: "A".repeat(300) };
                history.push(Message::new(Role::User, vec![Block::Text { text: format!("picture {n}") }, Block::Image { source }]));
            }
            Happens::Answers(text, thought) => {
                let mut blocks = vec![Block::Text { text: format!("answer {n}: {text}") }];
                if let Some(signed) = thought {
                    let thinking = Block::Thinking { text: "hm".repeat(40), signature: signed.then(|| "sig".into()), redacted: false };
                    blocks.insert(0, thinking);
                }
                history.push(Message::new(Role::Assistant, blocks));
            }
            Happens::Calls(calls) => {
                let call = |(i, (tool, arg, ..)): (usize, &(usize, usize, usize, bool))| {
                    let args_raw = format!(r#"{{"path":"src/f{arg}.rs"}}"#);
                    Block::ToolCall(ToolCall { id: format!("c{n}_{i}"), name: TOOLS[*tool].into(), args_raw, signature: None })
                };
                let result = |(i, (_, arg, len, failed)): (usize, &(usize, usize, usize, bool))| {
                    ToolResult::text(format!("c{n}_{i}"), output(n, *len, *arg), *failed)
                };
                let mut blocks: Vec<Block> = calls.iter().enumerate().map(call).collect();
                blocks.insert(0, Block::Text { text: "Let me look at the file. It is needed.".into() });
                history.push(Message::new(Role::Assistant, blocks));
                history.push(Message::results(calls.iter().enumerate().map(result).collect()));
            }
        }
    }
    history
}

/// The user's words, and what the note or the conversation has word for word of pinned results.
fn pinned(history: &History) -> (Vec<String>, Vec<String>) {
    let users = history.iter().filter(|m| m.role == Role::User && !note::is_note(m)).map(|m| m.joined_text()).collect();
    let mut names = std::collections::HashMap::new();
    let mut results = Vec::new();
    for message in history {
        if let Some(note) = Note::read(message) {
            results.extend(note.kept.into_iter().filter(|(w, _)| !w.starts_with("todo ")).map(|(_, text)| text));
        }
        names.extend(message.calls().map(|c| (c.id.clone(), c.name.clone())));
        for result in message.tool_results() {
            if ["invoke_agent", "ask_user_question"].contains(&names[&result.call_id].as_str()) {
                results.push(result.joined());
            }
        }
    }
    (users, results)
}

/// The latest list of what is to do, wherever it stands.
fn todo(history: &History) -> Option<String> {
    let mut names = std::collections::HashMap::new();
    let mut last = None;
    for message in history {
        last = Note::read(message).and_then(|n| n.kept.into_iter().find(|(w, _)| w.starts_with("todo ")).map(|(_, t)| t)).or(last);
        names.extend(message.calls().map(|c| (c.id.clone(), c.name.clone())));
        let todos = message.tool_results().filter(|r| names[&r.call_id] == "todo" && !r.is_error).map(ToolResult::joined);
        last = todos.last().or(last);
    }
    last
}

fn diet() -> impl Strategy<Value = Diet> {
    prop_oneof![Just(Diet::Maintenance), Just(Diet::Balanced), Just(Diet::BootCamp), Just(Diet::Relaxed)]
}

fn run(slimmer: &Slimmer, history: &History, limits: Limits, why: Why, summary: Option<&str>) -> Option<Slimmed> {
    match slimmer.begin(history, &[], limits, Recall::Offered, why) {
        Step::Keep => None,
        Step::Done(done) => Some(*done),
        Step::Summarise(job) => {
            assert_eq!(history::check(&job.request().messages), []);
            Some(job.finish(summary))
        }
    }
}

proptest! {
    #[test]
    fn any_history_at_any_threshold(
        all in proptest::collection::vec(happens(), 1..40),
        trigger in 300u64..60_000,
        above in 0u64..20_000,
        diet in diet(),
        asked in any::<bool>(),
        summary in proptest::option::of(prop_oneof![Just(String::new()), Just("Goal: x".to_owned()), Just("long ".repeat(40_000))]),
    ) {
        let history = told(&all);
        let limits = Limits { trigger, most: trigger + above, diet };
        let why = if asked { Why::Asked } else { Why::Limit };
        let mut slimmer = slimmer();
        let Some(done) = run(&slimmer, &history, limits, why, summary.as_deref()) else { return Ok(()) };
        // Valid, with the same system message and its pairs whole.
        prop_assert_eq!(history::check(&done.history), []);
        prop_assert_eq!(done.history.get(0), history.get(0));
        // Smaller, and within the limit unless the pinned parts have to give way even for that.
        prop_assert!(done.compaction.after < done.compaction.before, "{:?}", done.did);
        prop_assert_eq!(done.fits, done.compaction.after <= limits.most);
        prop_assert!(done.fits || limits.most < 500, "{} of {}", done.compaction.after, limits.most);
        // What is pinned is there word for word, in its order.
        if done.did.squeezed.pinned == 0 {
            prop_assert_eq!(pinned(&done.history), pinned(&history));
            prop_assert_eq!(todo(&done.history), todo(&history));
        }
        // The journal's view of it gives the same bytes.
        let before: Vec<Arc<Message>> = history.iter().filter(|m| m.role != Role::System).cloned().collect();
        let replayed = done.compaction.apply(&before).unwrap();
        prop_assert!(replayed.iter().eq(done.history.iter().skip(1)));
        // Once is enough.
        slimmer.took(&done, &[], &limits);
        if asked {
            let again = run(&slimmer, &done.history, limits, why, Some("again"));
            prop_assert!(again.is_none(), "{:?}", again.map(|a| a.did));
        } else {
            let count = slimmer.count(&done.history, &[]);
            prop_assert!(!done.fits || !slimmer.due(count, &limits), "{count:?} of {limits:?}");
        }
    }

    /// Turn after turn: no request is ever above the maximum, and between two compactions the prefix does not change.
    #[test]
    fn a_session_stays_below_its_maximum(all in proptest::collection::vec(happens(), 8..40), diet in diet()) {
        let limits = Limits { trigger: 9_000, most: 14_000, diet };
        let (mut slimmer, mut history, mut compactions) = (slimmer(), History::default(), 0);
        let mut checker = Checker::default();
        for message in &told(&all) {
            history.push(Message::clone(message));
            checker.push(message);
            if message.role == Role::Assistant {
                continue;
            }
            let count = slimmer.count(&history, &[]);
            if slimmer.due(count, &limits) && checker.pending().is_empty() {
                match run(&slimmer, &history, limits, Why::Limit, Some("Goal: keep the port")) {
                    None => slimmer.kept(count.tokens),
                    Some(done) => {
                        slimmer.took(&done, &[], &limits);
                        prop_assert_eq!(history::check(&done.history), []);
                        history = done.history;
                        compactions += 1;
                    }
                }
            }
            prop_assert!(slimmer.count(&history, &[]).tokens <= limits.most, "after {compactions} compactions");
        }
    }
}

fn call(id: &str, name: &str, args: &str) -> Message {
    Message::new(
        Role::Assistant,
        vec![Block::ToolCall(ToolCall { id: id.into(), name: name.into(), args_raw: args.into(), signature: None })],
    )
}

fn result(id: &str, text: &str) -> Message {
    Message::results(vec![ToolResult::text(id, text, false)])
}

fn slimmer() -> Slimmer {
    Slimmer { vocabulary: Vocabulary::none(), ..Slimmer::default() }
}

const WIDE: Limits = Limits { trigger: 1_000_000, most: 1_000_000, diet: Diet::Balanced };

#[test]
fn what_a_later_call_shows_anew_is_left_out_first() {
    let text = |n: usize| output(n, 900, n);
    let rounds = [
        ("1", "read_file", r#"{"path":"a.rs"}"#),
        ("2", "read_file", r#"{"path":"a.rs","start_line":5,"num_lines":3}"#),
        ("3", "list_files", r#"{"path":"src"}"#),
        ("4", "shell", r#"{"command":"cargo test"}"#),
        ("5", "read_file", r#"{"path":"./a.rs","start_line":null}"#),
        ("6", "list_files", r#"{"path":"src","recursive":true}"#),
        ("7", "shell", r#"{"command":"cargo test"}"#),
        ("8", "read_file", r#"{"path":"b.rs"}"#),
    ];
    let mut history: History = [Message::system("s"), Message::user("go")].into_iter().collect();
    for (n, (id, name, args)) in rounds.iter().enumerate() {
        history.push(call(id, name, args));
        history.push(result(id, &text(n)));
    }
    let limits = Limits { trigger: 3_500, most: 4_000, diet: Diet::Relaxed };
    let Step::Done(done) = slimmer().begin(&history, &[], limits, Recall::Offered, Why::Limit) else { panic!("no summary is wanted") };
    let gone: Vec<String> = done
        .history
        .iter()
        .flat_map(|m| m.tool_results())
        .filter(|r| r.joined().starts_with(note::SUPERSEDED))
        .map(|r| r.call_id.clone())
        .collect();
    assert_eq!(gone, ["1", "2", "3", "4"]);
    insta::assert_snapshot!(done.words(), @"compacted: 2,451 -> 1,438 tokens (4 outputs left out that later ones replace)");
}

#[test]
fn a_shortened_output_says_how_to_get_it_back() {
    let mut history: History = [Message::user("go")].into_iter().collect();
    for (id, name) in [("c1", "shell"), ("c2", "grep")] {
        history.push(call(id, name, "{}"));
        history.push(result(id, &output(1, 3_000, 1)));
    }
    for n in 0..9 {
        history.push(Message::assistant(format!("answer {n}")));
    }
    let limits = Limits { trigger: 1_500, ..WIDE };
    let of = |recall| match slimmer().begin(&history, &[], limits, recall, Why::Limit) {
        Step::Done(done) => {
            done.history.iter().flat_map(|m| m.tool_results()).map(|r| r.joined().lines().next().unwrap().to_owned()).collect()
        }
        other => panic!("{other:?}"),
    };
    let (with, without): (Vec<String>, Vec<String>) = (of(Recall::Offered), of(Recall::Missing));
    assert!(with[0].contains("`recall` with the query c1 gives the whole"), "{with:?}");
    assert!(with[1].contains("`grep` with the same arguments"), "{with:?}");
    assert!(!without[0].contains("recall") && without[0].starts_with(note::SHORTENED), "{without:?}");
}

#[test]
fn a_summary_that_is_empty_or_too_long_leaves_a_window() {
    let mut history: History = [Message::user("go")].into_iter().collect();
    for n in 0..30 {
        history.push(call(&n.to_string(), "create_file", &format!(r#"{{"path":"f{n}.rs","content":"{}"}}"#, "x y ".repeat(200))));
        history.push(result(&n.to_string(), "created"));
    }
    let limits = Limits { trigger: 3_000, most: 4_000, diet: Diet::Balanced };
    let long = "word ".repeat(20_000);
    for (summary, there) in [(None, false), (Some(" \n"), false), (Some(long.as_str()), false), (Some("Goal: go"), true)] {
        let done = run(&slimmer(), &history, limits, Why::Limit, summary).unwrap();
        let note = done.history.iter().find_map(|m| Note::read(m)).unwrap();
        assert_eq!((note.summary.is_some(), done.did.summarised > 0, done.did.dropped > 0), (there, there, !there), "{summary:?}");
        assert!(note.changed.contains(&"f3.rs".to_owned()) && done.fits && has_gaps(&done.history));
    }
}

#[test]
fn even_a_prompt_that_alone_is_too_long_is_brought_to_fit_and_that_is_said() {
    let history: History =
        [Message::system("s"), Message::user(format!("sum this up\n{}", "data 123 ".repeat(100_000)))].into_iter().collect();
    let limits = Limits { trigger: 5_000, most: 8_000, diet: Diet::Balanced };
    let done = run(&slimmer(), &history, limits, Why::Limit, None).unwrap();
    assert!(done.fits && done.words().contains("they alone were too long"), "{}", done.words());
    assert!(done.history.last().unwrap().joined_text().starts_with("sum this up\n"));
}

#[test]
fn a_refusal_lowers_the_limit_of_its_link_alone() {
    let mut slimmer = slimmer();
    slimmer.refused("a", 10_000);
    slimmer.refused("a", 12_000);
    assert_eq!((slimmer.limits("a", WIDE).most, slimmer.limits("b", WIDE)), (8_000, WIDE));
    let count = Count { tokens: 7_000, estimated: 0 };
    assert!(slimmer.due(count, &slimmer.limits("a", WIDE)));
    slimmer.kept(7_000);
    assert!(!slimmer.due(count, &slimmer.limits("a", WIDE)), "what could not be made smaller is not tried at once again");
}
