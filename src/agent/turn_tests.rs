//! The turn machine over whole turns, and under any order of events.

use super::*;
use crate::model::history;
use proptest::prelude::*;

const LIMITS: Limits = Limits { max_turns: 50, loop_guard: 6 };

fn start() -> Turn {
    Turn::new([Message::system("s"), Message::user("do it")].into_iter().collect(), LIMITS)
}

fn call(id: &str, args: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: "t".into(), args_raw: args.into(), signature: None })
}

fn reply(blocks: Vec<Block>, stop: Stop) -> Reply {
    Reply {
        message: Message::new(Role::Assistant, blocks),
        stop,
        reason: None,
        usage: Usage { input: Some(1), ..Usage::default() },
        id: None,
        model: None,
        complete: true,
        error: None,
    }
}

fn text(t: &str) -> Vec<Block> {
    vec![Block::Text { text: t.into() }]
}

fn done(id: &str) -> ToolResult {
    ToolResult::text(id, "ok", false)
}

fn ended(turn: &mut Turn) -> Outcome {
    match turn.step() {
        Step::Finish(o) => o,
        other => panic!("not ended: {other:?}"),
    }
}

fn resumed(history: History, settled: Vec<ToolResult>, prompts: Vec<String>, limits: Limits) -> Turn {
    Turn::resume(history, Unfinished { settled, prompts, paused: false }, limits)
}

#[test]
fn a_turn_with_tools_runs_to_its_end() {
    let mut t = start();
    assert_eq!(t.step(), Step::CallModel);
    t.replied(reply(vec![call("a", "{}"), call("b", "{\"x\":1}")], Stop::ToolUse));
    let Step::RunTools(calls) = t.step() else { panic!() };
    assert_eq!(calls.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    t.tool_done(done("b"), Ran::Allowed(None));
    t.tool_done(done("a"), Ran::Allowed(None));
    assert_eq!(t.step(), Step::CallModel);
    t.replied(reply(text("answer"), Stop::End));
    assert_eq!(ended(&mut t).cause, Cause::Done);
    assert_eq!((t.answer().as_str(), t.turns(), t.tool_calls(), t.usage().input), ("answer", 2, 2, Some(2)));
    assert!(history::check(t.history()).is_empty());
}

#[test]
fn broken_arguments_are_answered_and_never_handed_out() {
    let mut t = start();
    t.step();
    t.replied(reply(vec![call("a", "{\"command\": \"rm -rf"), call("b", "[1]"), call("c", "{}")], Stop::ToolUse));
    let Step::RunTools(calls) = t.step() else { panic!() };
    assert_eq!(calls.len(), 1, "only the whole call is run");
    t.tool_done(done("c"), Ran::Allowed(None));
    t.step();
    let results: Vec<_> = t.history().last().unwrap().tool_results().map(|r| (r.call_id.clone(), r.is_error)).collect();
    assert_eq!(results, [("a".into(), true), ("b".into(), true), ("c".into(), false)]);
}

#[test]
fn a_call_cut_off_before_its_arguments_is_not_run_without_them() {
    let mut t = start();
    t.step();
    t.replied(reply(vec![call("a", "")], Stop::MaxTokens));
    assert_eq!(t.step(), Step::CallModel);
    assert!(t.history().last().unwrap().tool_results().all(|r| r.is_error));
}

#[test]
fn empty_arguments_of_a_whole_call_mean_none() {
    let mut t = start();
    t.step();
    t.replied(reply(vec![call("a", "")], Stop::ToolUse));
    assert!(matches!(t.step(), Step::RunTools(c) if c.len() == 1));
}

#[test]
fn repeated_ids_and_missing_names_are_made_unique() {
    let mut t = start();
    for _ in 0..3 {
        t.step();
        t.replied(reply(vec![call("call_0", "{}"), call("", "{}")], Stop::ToolUse));
        let Step::RunTools(calls) = t.step() else { panic!() };
        for c in calls {
            t.tool_done(ToolResult::text(c.id, "x", false), Ran::Allowed(None));
        }
    }
    let ids: Vec<String> = t.history().iter().flat_map(|m| m.calls().map(|c| c.id.clone()).collect::<Vec<_>>()).collect();
    let unique: HashSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), 6, "{ids:?}");
    assert!(history::check(t.history()).is_empty());
}

#[test]
fn a_loop_is_told_and_then_stopped() {
    let mut t = start();
    let mut told = 0;
    let outcome = loop {
        match t.step() {
            Step::CallModel => t.replied(reply(vec![call("a", "{\"p\":1}")], Stop::ToolUse)),
            Step::RunTools(calls) => {
                for c in calls {
                    t.tool_done(ToolResult::text(c.id, "same", false), Ran::Allowed(None));
                }
                told += usize::from(t.history().last().unwrap().tool_results().any(|r| r.joined().contains("times in a row")));
            }
            Step::Finish(o) => break o,
        }
    };
    assert_eq!((outcome.cause, told, t.turns()), (Cause::Limit, 3, 6));
    assert!(history::check(t.history()).is_empty());
}

#[test]
fn a_denied_kind_makes_the_end_denied_unless_it_was_allowed_later() {
    for (second, cause) in [(Ran::Denied(Kind::Exec), Cause::Denied), (Ran::Allowed(Some(Kind::Exec)), Cause::Done)] {
        let mut t = start();
        for ran in [Ran::Denied(Kind::Exec), second] {
            t.step();
            t.replied(reply(vec![call("a", "{}")], Stop::ToolUse));
            let Step::RunTools(calls) = t.step() else { panic!() };
            t.tool_done(done(&calls[0].id), ran);
        }
        t.step();
        t.replied(reply(text("bye"), Stop::End));
        assert_eq!(ended(&mut t).cause, cause);
    }
}

#[test]
fn an_interrupt_in_the_middle_of_tools_leaves_a_valid_history() {
    let mut t = start();
    t.step();
    t.replied(reply(vec![call("a", "{}"), call("b", "{}")], Stop::ToolUse));
    t.step();
    t.tool_done(done("a"), Ran::Allowed(None));
    t.stop(Cause::Interrupted, None, None);
    assert_eq!(ended(&mut t).cause, Cause::Interrupted);
    assert!(history::check(t.history()).is_empty());
    assert!(t.history().last().unwrap().tool_results().any(|r| r.call_id == "b" && r.is_error && r.joined().contains("unknown")));
}

#[test]
fn steering_reaches_the_model_before_the_turn_may_end() {
    let mut t = start();
    t.step();
    t.steer("also this".into());
    t.replied(reply(text("done?"), Stop::End));
    assert_eq!(t.step(), Step::CallModel);
    assert_eq!(t.history().last().unwrap().joined_text(), "also this");
}

#[test]
fn empty_replies_are_nudged_and_then_given_up() {
    let mut t = start();
    for n in 0..3 {
        assert_eq!(t.step(), Step::CallModel, "{n}");
        t.replied(reply(vec![], Stop::End));
    }
    assert_eq!(ended(&mut t).cause, Cause::Rejected);
}

#[test]
fn the_limit_of_model_calls_runs_no_further_tools() {
    let mut t = Turn::new([Message::user("u")].into_iter().collect(), Limits { max_turns: 1, loop_guard: 6 });
    t.step();
    t.replied(reply(vec![call("a", "{}")], Stop::ToolUse));
    let o = ended(&mut t);
    assert_eq!(o.cause, Cause::Limit);
    assert!(o.hint.unwrap().contains("--max-turns"));
    assert!(history::check(t.history()).is_empty());
}

#[test]
fn the_model_is_told_of_the_last_call_that_is_left() {
    let mut t = Turn::new([Message::user("u")].into_iter().collect(), Limits { max_turns: 3, loop_guard: 6 });
    for (id, said) in [("a", false), ("b", true)] {
        t.step();
        t.replied(reply(vec![call(id, "{}")], Stop::ToolUse));
        t.step();
        t.tool_done(done(id), Ran::Allowed(None));
        let last = format!("{:?}", t.history().iter().last());
        assert_eq!(last.contains("One answer is left"), said, "{last}");
    }
    t.step();
    t.replied(reply(text("half of it"), Stop::End));
    assert_eq!(ended(&mut t).cause, Cause::Done);
}

#[test]
fn stops_map_to_causes() {
    for (stop, cause) in [
        (Stop::End, Cause::Done),
        (Stop::StopSequence, Cause::Done),
        (Stop::Unknown, Cause::Done),
        (Stop::MaxTokens, Cause::Limit),
        (Stop::Refusal, Cause::Rejected),
        (Stop::ContentFilter, Cause::Rejected),
    ] {
        let mut t = start();
        t.step();
        t.replied(reply(text("x"), stop));
        assert_eq!(ended(&mut t).cause, cause, "{stop:?}");
    }
}

#[test]
fn a_paused_reply_goes_back_as_it_is_and_the_turn_goes_on_for_a_while() {
    let searched = || Block::Opaque { wire: "anthropic".into(), raw: r#"{"type":"server_tool_use"}"#.into() };
    let mut t = start();
    for n in 0..3 {
        assert_eq!(t.step(), Step::CallModel);
        assert_eq!(t.history().len(), 2 + n, "each paused reply, and nothing of the user's between them");
        t.replied(reply([text("so far"), vec![searched()]].concat(), Stop::Pause));
    }
    t.step();
    t.replied(reply(text("done"), Stop::End));
    assert_eq!((ended(&mut t).cause, t.answer().as_str()), (Cause::Done, "done"));

    let mut t = start();
    let mut calls = 0;
    while t.step() == Step::CallModel {
        calls += 1;
        t.replied(reply(vec![searched()], Stop::Pause));
    }
    let outcome = ended(&mut t);
    assert_eq!((calls, outcome.cause), (PAUSES + 1, Cause::Limit));
    assert!(outcome.message.unwrap().contains("paused its answer 9 times"));
}

#[derive(Debug, Clone)]
enum Move {
    Reply(Vec<(u8, u8)>, Stop),
    Tool { pick: usize, deny: bool },
    Steer,
    Stop,
    Reload,
}

fn any_move() -> impl Strategy<Value = Move> {
    let stop = prop::sample::select(vec![Stop::End, Stop::ToolUse, Stop::MaxTokens, Stop::Pause, Stop::Unknown, Stop::Refusal]);
    prop_oneof![
        6 => (prop::collection::vec((0u8..4, 0u8..5), 0..4), stop).prop_map(|(b, s)| Move::Reply(b, s)),
        8 => (0usize..4, any::<bool>()).prop_map(|(pick, deny)| Move::Tool { pick, deny }),
        1 => Just(Move::Steer),
        1 => Just(Move::Stop),
        2 => Just(Move::Reload),
    ]
}

fn block((kind, args): (u8, u8)) -> Block {
    let args = ["", "{}", "{\"a\":1}", "{\"cut", "null"][args as usize];
    match kind {
        0 => Block::Text { text: "t".into() },
        1 => call("", args),
        _ => call("same", args),
    }
}

proptest! {
    /// In any order of replies, results, steering, stops and reloads: the history that is handed to a model is valid,
    /// a call is handed out only while it has no result, and calls with broken arguments never.
    #[test]
    fn the_machine_stays_valid(moves in prop::collection::vec(any_move(), 1..60)) {
        let mut t = start();
        for m in moves {
            let step = t.step();
            prop_assert_eq!(&t.step(), &step, "asking twice changes nothing");
            if step == Step::CallModel {
                prop_assert_eq!(history::check(t.history()), vec![]);
            }
            match (m, step) {
                (_, Step::Finish(_)) => break,
                (Move::Reload, _) => t = serde_json::from_str(&serde_json::to_string(&t).unwrap()).unwrap(),
                (Move::Steer, _) => t.steer("s".into()),
                (Move::Stop, _) => t.stop(Cause::Interrupted, None, None),
                (Move::Reply(blocks, stop), Step::CallModel) => t.replied(reply(blocks.into_iter().map(block).collect(), stop)),
                (Move::Tool { pick, deny }, Step::RunTools(calls)) => {
                    for c in &calls {
                        prop_assert!(c.args().is_ok());
                    }
                    let c = &calls[pick % calls.len()];
                    t.tool_done(done(&c.id), if deny { Ran::Denied(Kind::Exec) } else { Ran::Allowed(None) });
                }
                _ => {}
            }
        }
        t.stop(Cause::Interrupted, None, None);
        prop_assert_eq!(history::check(t.history()), vec![]);
    }
}

fn open(ids: &[&str], args: &str) -> History {
    let calls = ids.iter().map(|id| call(id, args)).collect();
    [Message::system("s"), Message::user("do it"), Message::new(Role::Assistant, calls)].into_iter().collect()
}

#[test]
fn a_resumed_turn_hands_out_only_what_is_not_settled() {
    let mut t = resumed(open(&["a", "b", "c"], "{}"), vec![done("b")], vec!["and this".into()], LIMITS);
    let Step::RunTools(calls) = t.step() else { panic!() };
    assert_eq!(calls.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    t.tool_done(done("a"), Ran::Allowed(None));
    t.tool_done(done("c"), Ran::Allowed(None));
    assert_eq!(t.step(), Step::CallModel);
    assert_eq!(t.history().last().unwrap().joined_text(), "and this");
    assert!(history::check(t.history()).is_empty());
}

#[test]
fn what_is_settled_is_believed_before_its_arguments_are_judged() {
    // Redaction can break the arguments of a call that did run.
    let mut t = resumed(open(&["a"], "{\"cut"), vec![ToolResult::text("a", "outcome unknown", true)], vec![], LIMITS);
    assert_eq!(t.step(), Step::CallModel);
    assert_eq!(t.history().last().unwrap().tool_results().next().unwrap().joined(), "outcome unknown");
    let mut t = resumed(open(&["a"], "{\"cut"), vec![], vec![], LIMITS);
    assert_eq!(t.step(), Step::CallModel, "never begun, and not to be");
}

#[test]
fn results_that_are_there_already_count() {
    let mut history = open(&["a", "b"], "{}");
    history.push(Message::results(vec![done("a")]));
    let mut t = resumed(history, vec![done("a")], vec![], LIMITS);
    assert!(matches!(t.step(), Step::RunTools(c) if c.len() == 1 && c[0].id == "b"));
    t.tool_done(done("b"), Ran::Allowed(None));
    assert_eq!(t.step(), Step::CallModel);
    assert!(history::check(t.history()).is_empty());
}

#[test]
fn a_resumed_turn_that_was_answered_has_ended_unless_it_is_told_more() {
    let answered = |text: &str| [Message::user("u"), Message::assistant(text)].into_iter().collect::<History>();
    let mut t = resumed(answered("it is 4"), vec![], vec![], LIMITS);
    assert_eq!((ended(&mut t).cause, t.answer().as_str(), t.turns()), (Cause::Done, "it is 4", 0));
    let mut t = resumed(answered("it is 4"), vec![], vec!["why?".into()], LIMITS);
    assert_eq!(t.step(), Step::CallModel);
    let thought = Message::new(Role::Assistant, vec![Block::Thinking { text: "hm".into(), signature: None, redacted: false }]);
    let mut t = resumed([Message::user("u"), thought].into_iter().collect(), vec![], vec![], LIMITS);
    assert_eq!(t.step(), Step::CallModel);
    assert!(t.history().last().unwrap().joined_text().contains("empty"));
}

#[test]
fn a_paused_reply_goes_back_to_its_provider_when_it_is_taken_up() {
    for said in ["it is", ""] {
        let history: History = [Message::user("u"), Message::assistant(said)].into_iter().collect();
        let mut t = Turn::resume(history.clone(), Unfinished { paused: true, ..Unfinished::default() }, LIMITS);
        assert_eq!((t.step(), t.history().len()), (Step::CallModel, 2), "nothing is put between");
        t.replied(reply(vec![Block::Text { text: "four".into() }], Stop::End));
        assert!(matches!(t.step(), Step::Finish(Outcome { cause: Cause::Done, .. })));
    }
}
