//! Planted facts: a session of 500 turns, 40 facts of each kind, at least ten compactions with a summary that forgets all.
//! What is pinned is there letter for letter; the rest is found by `recall`.

use code_pup::agent::resume::Plan;
use code_pup::agent::slim::{Limits, Recall, Slimmer, Step, Why};
use code_pup::base::places::Places;
use code_pup::base::redact::Redactor;
use code_pup::catalog::Diet;
use code_pup::model::{Block, History, Message, ToolCall, ToolResult, history};
use code_pup::session::{Entry, Journal, Session, journal_path};
use code_pup::tool::{self, Context, Offers, Registry};
use code_pup::workspace::Workspace;
use serde_json::json;
use std::fmt::Write;
use std::sync::Arc;

const TURNS: usize = 500;
const FACTS: usize = 40;

fn code(kind: &str, n: usize) -> String {
    format!("{kind}-{n:03}-{:06x}", (n + 11) * 7_919 % 0xff_ffff)
}

/// Says of a subject what nothing else says of it.
fn fact(kind: &str, n: usize) -> String {
    format!("the {kind} of subject{n:03}  is `{}` ]\n\t(exactly)", code(kind, n))
}

struct Told {
    history: History,
    journal: Journal,
}

impl Told {
    fn says(&mut self, message: Message) {
        self.journal.append(&Entry::Message { message: message.clone() }).unwrap();
        self.history.push(message);
    }

    fn calls(&mut self, id: usize, name: &str, args: &serde_json::Value, output: String, words: &str) {
        let call = ToolCall { id: format!("c{id}"), name: name.into(), args_raw: args.to_string(), signature: None };
        self.says(Message::new(code_pup::model::Role::Assistant, vec![Block::Text { text: words.into() }, Block::ToolCall(call)]));
        self.says(Message::results(vec![ToolResult::text(format!("c{id}"), output, false)]));
    }
}

fn noise(turn: usize) -> String {
    (0..60).fold(String::new(), |mut out, n| {
        let _ = writeln!(out, "module_{turn}_{n} ok {}", (turn * 131 + n * 17) % 9_973);
        out
    })
}

/// Every thirteenth turn or so has a fact of each kind.
fn session(told: &mut Told, turn: usize) {
    let n = turn / (TURNS / FACTS);
    let planted = n < FACTS;
    let note = |kind: &str| if planted { fact(kind, n) } else { String::new() };
    match turn % (TURNS / FACTS) {
        0 => told.says(Message::user(format!("Decision: {}", note("decision")))),
        1 => told.calls(turn, "invoke_agent", &json!({"agent": "lab-rat", "prompt": n}), note("finding"), "I ask another agent."),
        2 => told.calls(turn, "ask_user_question", &json!({"question": n}), note("choice"), "I ask."),
        3 => {
            let list = (0..=n.min(FACTS - 1)).map(|i| fact("step", i)).collect::<Vec<_>>().join("\n");
            told.calls(turn, "todo", &json!({"n": n}), list, "The list is now this.");
        }
        4 => {
            let output = format!("{}{}\n{}", noise(turn), note("setting"), noise(turn + 1));
            told.calls(turn, "shell", &json!({"command": format!("show {n}")}), output, "Let me look.");
        }
        5 => told.calls(turn, "shell", &json!({"command": format!("make {turn}")}), noise(turn), &format!("I see: {}", note("insight"))),
        _ => told.calls(turn, "shell", &json!({"command": format!("test {turn}")}), noise(turn), "Let me run the tests."),
    }
}

fn search(registry: &Registry, context: &Context, query: &str) -> String {
    let args = json!({ "query": query });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(tool::call(registry.get("recall").unwrap().as_ref(), args.as_object().unwrap(), context));
    found.map_or_else(|e| e.to_string(), |out| out.text)
}

fn planted(diet: Diet) {
    let home = tempfile::tempdir().unwrap();
    let d = home.path().to_path_buf();
    let places = Places { config: d.clone(), state: d.clone(), cache: d.clone() };
    let opening = Session { id: "facts".into(), agent: "a".into(), cwd: "/".into(), ..Session::default() };
    let journal = Journal::create(&places, opening, Redactor::default()).unwrap();
    let mut told = Told { history: History::default(), journal };
    let rules = format!("You are an agent. {}", (0..FACTS).map(|n| fact("rule", n)).collect::<Vec<_>>().join("\n"));
    told.says(Message::system(rules));
    told.says(Message::user(format!("The task: {}", (0..FACTS).map(|n| fact("task", n)).collect::<Vec<_>>().join("\n"))));

    let limits = Limits { trigger: 24_000, most: 30_000, diet };
    let (mut slimmer, mut compactions, mut saved) = (Slimmer::default(), 0, 0);
    for turn in 0..TURNS {
        session(&mut told, turn);
        let count = slimmer.count(&told.history, &[]);
        if slimmer.due(count, &limits) {
            let slimmed = match slimmer.begin(&told.history, &[], limits, Recall::Offered, Why::Limit) {
                Step::Keep => {
                    slimmer.kept(count.tokens);
                    continue;
                }
                Step::Done(done) => *done,
                Step::Summarise(job) => job.finish(Some("Goal: go on. Nothing else is remembered.")),
            };
            assert!(slimmed.fits && slimmed.did.squeezed.pinned == 0, "{:?}: {}", slimmed.did, slimmed.words());
            told.journal.append(&Entry::Compaction(slimmed.compaction.clone())).unwrap();
            slimmer.took(&slimmed, &[], &limits);
            saved += slimmed.compaction.before - slimmed.compaction.after;
            compactions += 1;
            told.history = slimmed.history;
            assert_eq!(history::check(&told.history), []);
        }
        assert!(slimmer.count(&told.history, &[]).tokens <= limits.most, "turn {turn}");
    }
    assert!(compactions >= 10, "{diet:?}: {compactions}");

    let texts: Vec<String> = told
        .history
        .iter()
        .flat_map(|m| {
            m.blocks
                .iter()
                .map(|b| match b {
                    Block::Text { text } => text.clone(),
                    Block::ToolResult(r) => r.joined(),
                    _ => String::new(),
                })
                .collect::<Vec<_>>()
        })
        .collect();
    let whole = texts.join("\u{0}");
    for n in 0..FACTS {
        for kind in ["rule", "task", "decision", "finding", "choice", "step"] {
            assert!(whole.contains(&fact(kind, n)), "{diet:?}: {kind} {n} is gone");
        }
    }

    let path = journal_path(&places, "facts");
    let plan = Plan::of(&Journal::load(&path).unwrap());
    let resumed: History = plan.system.into_iter().chain(plan.messages).collect();
    assert_eq!((plan.notes, resumed == told.history), (vec![], true), "a resumed session has the same conversation");

    let context = Context { journal: Some(Arc::from(path)), ..Context::new(Workspace::open(&d).unwrap()) };
    let offers = Offers::new(&Registry::builtin(), true);
    let registry = offers.at(true, false);
    let mut by_recall = 0;
    for n in 0..FACTS {
        for kind in ["setting", "insight"] {
            let found = search(registry, &context, &format!("{kind} of subject{n:03}"));
            assert!(found.contains(&code(kind, n)), "{diet:?}: {kind} {n} is not found: {found}");
            by_recall += usize::from(!whole.contains(&code(kind, n)));
        }
    }
    assert!(by_recall > FACTS, "only {by_recall} facts had been taken out at all");
    eprintln!("{diet:?}: {compactions} compactions, {saved} tokens saved, {by_recall} of {} facts only by recall", 2 * FACTS);
}

#[test]
fn boot_camp_forgets_nothing_that_is_pinned() {
    planted(Diet::BootCamp);
}

#[test]
fn balanced_forgets_nothing_that_is_pinned() {
    planted(Diet::Balanced);
}

#[test]
fn maintenance_and_relaxed_forget_nothing_that_is_pinned() {
    planted(Diet::Maintenance);
    planted(Diet::Relaxed);
}
