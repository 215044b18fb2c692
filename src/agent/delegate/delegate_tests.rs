//! Who may hand work to whom, and what an answer looks like to the one who asked.

use super::*;
use crate::agent::turn::Outcome;
use crate::base::Cause;
use crate::model::Usage;
use crate::tool::Kind;

fn chief(agent: &str, above: &[&str], may: &[&str]) -> (Chief, mpsc::UnboundedReceiver<Order>) {
    let (orders, taken) = mpsc::unbounded_channel();
    let candidate = |n: &&str| Candidate { name: (*n).to_owned(), description: format!("does {n}"), workload: Workload::Coding };
    let chief = Chief {
        session: "s".into(),
        agent: agent.into(),
        above: above.iter().map(|a| (*a).to_owned()).collect(),
        may: may.iter().map(candidate).collect(),
        office: Office { orders, board: Arc::default() },
        scribe: Scribe::default(),
    };
    (chief, taken)
}

fn order(chief: &Chief, agent: &str) -> Result<Order, String> {
    let errand = Errand { agent: agent.into(), prompt: "do it".into(), background: false };
    chief.order(errand, "c1").map_err(|e| e.to_string())
}

fn ended(cause: Cause, answer: &str) -> Ended {
    let outcome = Outcome { cause, message: (cause != Cause::Done).then(|| "the reason".to_owned()), hint: None };
    Ended { answer: answer.into(), turns: 2, ..Ended::without_work("s.1", "husky", outcome) }
}

#[test]
fn what_would_go_in_a_circle_is_refused_with_the_circle() {
    let (lead, _orders) = chief("husky", &["pack-leader", "planning"], &["husky", "planning", "python-programmer"]);
    assert!(order(&lead, "husky").unwrap_err().starts_with("husky is what you are"));
    let circle = order(&lead, "planning").unwrap_err();
    assert!(circle.contains("planning > husky > planning"), "{circle}");
    let unknown = order(&lead, "python-programer").unwrap_err();
    assert!(unknown.contains("did you mean `python-programmer`?"), "{unknown}");
    assert_eq!(order(&lead, "python-programmer").unwrap().above, ["pack-leader", "planning", "husky"]);
}

#[test]
fn depth_and_number_are_bounded() {
    let (deep, _orders) = chief("e", &["a", "b", "c", "d"], &["f"]);
    assert!(order(&deep, "f").unwrap_err().contains("4 agents stand above you"));
    let (wide, _orders) = chief("a", &[], &["f"]);
    for _ in 0..MOST {
        wide.office.board.asked(&order(&wide, "f").unwrap());
    }
    assert!(order(&wide, "f").unwrap_err().contains("100 agents have been invoked"));
}

#[test]
fn a_call_always_begins_the_same_session() {
    let (lead, _orders) = chief("a", &[], &["f"]);
    assert_eq!(order(&lead, "f").unwrap().id, child_of("s", "c1"));
    assert_ne!(child_of("s", "c1"), child_of("s", "c2"));
    let deepest = (0..DEPTH).fold("20261122-235001-3f9a1c".to_owned(), |id, n| child_of(&id, &n.to_string()));
    assert!(deepest.len() <= 64, "{deepest}");
}

#[test]
fn only_an_answer_is_a_success() {
    assert_eq!(ended(Cause::Done, " fine ").output(100).unwrap().text, "fine");
    let nothing = ended(Cause::Done, " \n").output(100).unwrap_err().to_string();
    assert_eq!(nothing, "agent husky did not do it: it returned nothing (session s.1)");
    let cut = ended(Cause::Exhausted, "half").output(100).unwrap_err().to_string();
    assert!(cut.starts_with("agent husky did not do it: exhausted: the reason") && cut.ends_with("What it had said last:\nhalf"), "{cut}");
    let denied = Ended { denied: vec![Kind::Exec], ..ended(Cause::Denied, "") };
    assert!(matches!(denied.output(100), Err(ToolError::Denied(_, kinds)) if kinds == [Kind::Exec]));
    assert_eq!(ended(Cause::Done, "x").usage, Usage::default());
}

#[test]
fn a_long_answer_is_bounded_and_all_of_it_can_be_read() {
    let (lead, _orders) = chief("a", &[], &["f"]);
    let whole = (0..40_000).map(|n| format!("line {n} é\n")).collect::<Vec<_>>().concat();
    let order = order(&lead, "f").unwrap();
    lead.office.board.asked(&order);
    let ended = Ended { id: order.id.clone(), ..ended(Cause::Done, &whole) };
    lead.office.board.ended(&ended);
    let room = 30_000;
    let shown = ended.output(room).unwrap().text;
    assert!(shown.len() <= room && shown.contains("bytes in all") && shown.ends_with("line 39999 é"));
    let (mut all, mut offset) = (String::new(), 0);
    while offset < whole.trim().len() {
        let part = lead.look(&order.id, offset, room).unwrap().text;
        let body = part.split_once('\n').unwrap().1;
        all.push_str(body);
        offset += body.len();
        assert!(!body.is_empty());
    }
    assert_eq!(all, whole.trim());
    assert!(lead.look("s.nope", 0, room).unwrap_err().to_string().contains(&order.id));
}

#[test]
fn what_nobody_waited_for_comes_once() {
    let (lead, _orders) = chief("a", &[], &["f"]);
    let errand = Errand { agent: "f".into(), prompt: "do it".into(), background: true };
    let order = lead.order(errand, "c1").unwrap();
    lead.office.board.asked(&order);
    assert!(lead.waits() && lead.mail().is_empty());
    lead.office.board.works(&order.id, Some(3), Some("shell: ls"));
    assert!(lead.list().ends_with("f: works, turn 3: shell: ls"), "{}", lead.list());
    lead.office.board.ended(&Ended { id: order.id.clone(), agent: "f".into(), ..ended(Cause::Done, "42") });
    assert!(!lead.waits());
    let mail = lead.mail();
    assert!(mail.len() == 1 && is_letter(&mail[0], "f", &order.id) && mail[0].ends_with("42"), "{mail:?}");
    assert!(lead.mail().is_empty());
}
