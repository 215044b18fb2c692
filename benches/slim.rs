//! The slimmer's own time over a history of about 200,000 tokens, the summary call not counted; and a turn's count late in
//! a session, which must stay flat.

#![allow(clippy::expect_used, reason = "a bench that cannot go on says so by failing")]

use code_pup::agent::slim::{Limits, Recall, Slimmer, Step, Why};
use code_pup::catalog::Diet;
use code_pup::model::{Block, History, Message, Role, ToolCall, ToolResult, Usage};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

fn history(rounds: usize) -> History {
    let mut history: History = [Message::system("You are an agent."), Message::user("Do the task.")].into_iter().collect();
    for n in 0..rounds {
        let (name, args) = if n % 2 == 0 {
            ("read_file", format!(r#"{{"path":"src/f{}.rs"}}"#, n % 40))
        } else {
            ("shell", format!(r#"{{"command":"test {n}"}}"#))
        };
        let call = ToolCall { id: format!("c{n}"), name: name.into(), args_raw: args, signature: None };
        let text = "Let me look at this part. The value is 42, as `f` says.".to_owned();
        history.push(Message::new(Role::Assistant, vec![Block::Text { text }, Block::ToolCall(call)]));
        let line = format!("fn part_{n}(x: u32) -> u32 {{ x + {n} }} // as it was before\n");
        history.push(Message::results(vec![ToolResult::text(format!("c{n}"), line.repeat(40), false)]));
    }
    history
}

#[divan::bench(args = [200_000])]
fn slims(bencher: Bencher<'_, '_>, tokens: u64) {
    let history = history(200);
    let mut slimmer = Slimmer::default();
    slimmer.reported(&history, &[], &Usage { input: Some(tokens), ..Usage::default() });
    let limits = Limits { trigger: 60_000, most: 100_000, diet: Diet::BootCamp };
    bencher.bench_local(|| match slimmer.begin(&history, &[], limits, Recall::Offered, Why::Limit) {
        Step::Summarise(job) => {
            black_box(job.request());
            black_box(job.finish(None));
        }
        other => drop(black_box(other)),
    });
}

#[divan::bench(args = [100, 1_000, 10_000])]
fn counts_a_turn(bencher: Bencher<'_, '_>, rounds: usize) {
    let mut history = history(rounds);
    let mut slimmer = Slimmer::default();
    slimmer.reported(&history, &[], &Usage { input: Some(rounds as u64 * 900), ..Usage::default() });
    history.push(Message::user("And now this."));
    bencher.bench_local(|| black_box(slimmer.count(black_box(&history), &[])));
}
