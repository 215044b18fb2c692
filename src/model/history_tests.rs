//! History invariants: what breaks them is found, and repair makes anything valid.

use super::super::message::ToolCall;
use super::*;
use proptest::prelude::*;

fn call(id: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.into(), name: "t".into(), args_raw: "{}".into(), signature: None })
}

fn result(id: &str) -> Block {
    Block::ToolResult(ToolResult::text(id, "r", false))
}

fn say(role: Role, blocks: Vec<Block>) -> Message {
    Message::new(role, blocks)
}

fn broken(messages: &[Message]) -> Vec<Broken> {
    check(&messages.iter().cloned().collect()).into_iter().map(|v| v.what).collect()
}

#[test]
fn a_plain_tool_turn_is_valid() {
    let ok = [
        Message::system("s"),
        Message::user("u"),
        say(Role::Assistant, vec![call("a"), call("b")]),
        say(Role::Tool, vec![result("b"), result("a")]),
        Message::assistant("done"),
    ];
    assert_eq!(broken(&ok), []);
}

#[test]
fn results_may_come_in_several_messages() {
    let ok = [
        Message::user("u"),
        say(Role::Assistant, vec![call("a"), call("b")]),
        say(Role::Tool, vec![result("a")]),
        say(Role::Tool, vec![result("b")]),
    ];
    assert_eq!(broken(&ok), []);
}

#[test]
fn each_broken_invariant_is_named() {
    let u = Message::user("u");
    let rows: Vec<(Vec<Message>, Broken)> = vec![
        (vec![u.clone(), say(Role::Assistant, vec![call("a")])], Broken::Unanswered("a".into())),
        (vec![u.clone(), say(Role::Assistant, vec![call("a")]), Message::user("x")], Broken::Unanswered("a".into())),
        (vec![u.clone(), say(Role::Tool, vec![result("a")])], Broken::OrphanResult("a".into())),
        (
            vec![u.clone(), say(Role::Assistant, vec![call("a")]), say(Role::Tool, vec![result("a"), result("a")])],
            Broken::AnsweredTwice("a".into()),
        ),
        (vec![u.clone(), say(Role::Assistant, vec![call("")]), say(Role::Tool, vec![result("")])], Broken::EmptyId),
        (vec![u.clone(), Message::user("  \n")], Broken::Empty),
        (vec![u.clone(), Message::system("late")], Broken::LateSystem),
        (vec![say(Role::User, vec![call("a")])], Broken::WrongRole("tool call")),
    ];
    for (messages, what) in rows {
        assert!(broken(&messages).contains(&what), "{what:?} not found in {:?}", broken(&messages));
    }
}

#[test]
fn a_result_with_a_varied_id_still_answers_the_only_call() {
    let (fixed, notes) = repair([Message::user("u"), say(Role::Assistant, vec![call("call_1")]), say(Role::Tool, vec![result("fc_1")])]);
    assert_eq!(fixed[2].tool_results().next().unwrap().call_id, "call_1");
    assert_eq!((fixed.len(), notes.len()), (3, 1));
}

#[test]
fn an_orphan_result_is_kept_as_text() {
    let (fixed, _) = repair([Message::user("u"), say(Role::Tool, vec![result("zz")])]);
    assert!(fixed[1].joined_text().contains('r'));
    assert_eq!(fixed[1].role, Role::User);
}

fn any_block() -> impl Strategy<Value = Block> {
    let id = prop_oneof![Just("a"), Just("b"), Just("c"), Just("")];
    prop_oneof![
        prop_oneof![Just(""), Just(" "), Just("text")].prop_map(|t| Block::Text { text: t.into() }),
        id.clone().prop_map(call),
        id.prop_map(result),
        Just(Block::Thinking { text: "t".into(), signature: None, redacted: false }),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant), Just(Role::Tool)];
    (role, prop::collection::vec(any_block(), 0..4)).prop_map(|(role, blocks)| say(role, blocks))
}

proptest! {
    #[test]
    fn repair_makes_anything_valid_and_is_idempotent(messages in prop::collection::vec(any_message(), 0..12)) {
        let (fixed, _) = repair(messages);
        prop_assert_eq!(broken(&fixed), []);
        let (again, notes) = repair(fixed.clone());
        prop_assert_eq!(&again, &fixed);
        prop_assert!(notes.is_empty(), "{:?}", notes);
    }

    #[test]
    fn repair_leaves_valid_histories_alone(messages in prop::collection::vec(any_message(), 0..6)) {
        if broken(&messages).is_empty() {
            // Blank blocks beside real content are not violations, but they are dropped: compare without them.
            let clean: Vec<Message> = messages.iter().cloned().map(|mut m| { m.blocks.retain(has_content); m }).collect();
            prop_assert_eq!(repair(messages).0, clean);
        }
    }
}

#[test]
fn another_system_message_takes_the_first_one_s_place_and_shares_the_rest() {
    let mut history: History = [Message::system("one"), Message::user("hi"), Message::assistant("hello")].into_iter().collect();
    let before = history.clone();
    history.set_system(Message::system("two"));
    assert_eq!((history.len(), history.get(0).unwrap().joined_text().as_str()), (3, "two"));
    assert!((1..3).all(|i| Arc::ptr_eq(history.get(i).unwrap(), before.get(i).unwrap())), "the conversation is not copied");
    assert!(check(&history).is_empty());
    let mut bare: History = std::iter::once(Message::user("hi")).collect();
    bare.set_system(Message::system("one"));
    assert_eq!(bare.iter().map(|m| m.role).collect::<Vec<_>>(), [Role::System, Role::User]);
}
