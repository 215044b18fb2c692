//! Where a call begins among a link's keys, and what a restart remembers.

use super::*;
use crate::model::{Block, Message, Origin, Role};

fn candidates(chain: &[(&str, &str, &[&str])]) -> Vec<Candidate> {
    let one = |id: &str, provider: &str, key: &str| Candidate {
        id: id.into(),
        who: Identity { provider: provider.into(), account: (!key.is_empty()).then(|| key.into()), upstream: format!("up-{id}") },
    };
    chain.iter().flat_map(|(id, provider, keys)| keys.iter().map(|k| one(id, provider, k))).collect()
}

fn three() -> Vec<Candidate> {
    candidates(&[("m", "p", &["a", "b", "c"]), ("n", "q", &[""]), ("o", "p", &["a", "b", "c"])])
}

/// The keys in order, `-` for none.
fn keys(rotation: &Rotation, candidates: &[Candidate], history: &History) -> String {
    let order = rotation.order(candidates, history);
    let mut all = order.clone();
    all.sort_unstable();
    assert_eq!(all, (0..candidates.len()).collect::<Vec<_>>(), "every candidate once");
    let ids: Vec<&str> = order.iter().map(|ix| candidates[*ix].id.as_str()).collect();
    assert!(ids.is_sorted(), "links keep their order: {ids:?}");
    order.iter().map(|ix| candidates[*ix].who.account.as_deref().unwrap_or("-")).collect()
}

fn rotation(mode: Mode) -> Rotation {
    Rotation { mode, ..Rotation::default() }
}

fn used(rotation: &Rotation, key: &str) {
    rotation.last().insert("p".into(), key.into());
}

fn reply(account: &str, model: &str, blocks: Vec<Block>) -> Message {
    let origin = Origin { provider: "p".into(), account: Some(account.into()), model: model.into() };
    Message { origin: Some(origin), ..Message::new(Role::Assistant, blocks) }
}

fn thought(signature: Option<&str>) -> Block {
    Block::Thinking { text: "hm".into(), signature: signature.map(Into::into), redacted: false }
}

#[test]
fn sticky_begins_at_the_last_key_and_goes_round() {
    let (r, none) = (rotation(Mode::Sticky), History::default());
    assert_eq!(keys(&r, &three(), &none), "abc-abc");
    assert_eq!(keys(&r, &three(), &none), "abc-abc", "nothing was used");
    used(&r, "b");
    assert_eq!(keys(&r, &three(), &none), "bca-bca");
    used(&r, "gone");
    assert_eq!(keys(&r, &three(), &none), "abc-abc");
}

#[test]
fn round_robin_moves_on_once_a_call() {
    let (r, none) = (rotation(Mode::RoundRobin), History::default());
    let calls: Vec<String> = (0..4).map(|_| keys(&r, &three(), &none)).collect();
    assert_eq!(calls, ["abc-abc", "bca-bca", "cab-cab", "abc-abc"]);
    // The key that answered in the end counts, not the one that was tried first.
    used(&r, "c");
    assert_eq!(keys(&r, &three(), &none), "abc-abc");
    let own = Rotation { modes: BTreeMap::from([("p".into(), Mode::RoundRobin)]), ..Rotation::default() };
    let (first, second) = (keys(&own, &three(), &none), keys(&own, &three(), &none));
    assert_eq!((first.as_str(), second.as_str()), ("abc-abc", "bca-bca"));
}

#[test]
fn reasoning_binds_a_conversation_to_the_key_that_made_it() {
    for mode in [Mode::Sticky, Mode::RoundRobin] {
        let r = rotation(mode);
        used(&r, "a");
        let mut history = History::default();
        history.push(Message::user("do it"));
        history.push(reply("b", "up-m", vec![thought(Some("sig")), Block::Text { text: "done".into() }]));
        assert!(keys(&r, &three(), &history).starts_with("bca-"), "{mode:?}");
        // The other model of the provider cannot use it, so it is not bound.
        let (wanted, after) = if mode == Mode::Sticky { ("bca-abc", "bca-abc") } else { ("bca-cab", "bca-abc") };
        used(&r, if mode == Mode::Sticky { "a" } else { "b" });
        assert_eq!((keys(&r, &three(), &history).as_str(), keys(&r, &three(), &history).as_str()), (wanted, after), "{mode:?}");
        // Another key stepped in and left nothing: back to where the reasoning is valid.
        history.push(reply("c", "up-m", vec![Block::Text { text: "more".into() }, thought(None)]));
        assert!(keys(&r, &three(), &history).starts_with("bca-"), "{mode:?}");
        // It left some of its own: no jumping back.
        history.push(reply("c", "up-m", vec![Block::Opaque { wire: "w".into(), raw: "{}".into() }]));
        assert!(keys(&r, &three(), &history).starts_with("cab-"), "{mode:?}");
        history.push(reply("gone", "up-m", vec![thought(Some("sig"))]));
        assert!(!keys(&r, &three(), &history).starts_with("cab-"), "a key that is no more binds nothing: {mode:?}");
    }
}

#[test]
fn a_call_s_report_names_the_key_where_there_are_several() {
    let all = three();
    let names: Vec<String> = all.iter().map(|c| c.name(&all)).collect();
    assert_eq!(names, ["m (a)", "m (b)", "m (c)", "n", "o (a)", "o (b)", "o (c)"]);
    let one = candidates(&[("m", "p", &["a"])]);
    assert_eq!(one[0].name(&one), "m");
}
