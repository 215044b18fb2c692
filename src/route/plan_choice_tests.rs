//! Which link comes next, and by how little: the borders at which the plan decides otherwise.

use super::tests::{error, names, plan, scoped, sisters};
use super::*;
use crate::wire::limits::{Kind, Limits, Window};

fn who(n: usize) -> Identity {
    Identity { provider: format!("p{n}"), account: None, upstream: format!("u{n}") }
}

/// So many of a hundred requests are left to the first link.
fn left(health: &mut Health, remaining: u64) {
    let window = Window {
        name: "w".into(),
        kind: Kind::Requests,
        limit: Some(100),
        remaining: Some(remaining),
        reset_s: Some(60.0),
        ..Window::default()
    };
    health.reported(&who(0), &Limits { windows: vec![window], ..Limits::default() }, Moment(0));
}

/// Two links, of which the first has so much left and perhaps holds the conversation.
fn with_left(remaining: u64, warm: bool) -> Plan {
    let mut health = Health::default();
    let mut p = Plan::new(Rules::default(), names(2), &health, Moment(0));
    if warm {
        p.warm(0);
    }
    left(&mut health, remaining);
    p.look(&health, Moment(0));
    p
}

#[test]
fn new_work_goes_elsewhere_where_little_is_left_and_a_conversation_stays_until_it_is_nearly_used_up() {
    for (remaining, warm, link) in [(90, false, 0), (15, false, 1), (3, false, 1), (90, true, 0), (15, true, 0), (3, true, 1)] {
        assert_eq!(with_left(remaining, warm).next(Moment(0)), Step::Try { link }, "{remaining} left, warm: {warm}");
    }
}

#[test]
fn the_link_whose_cache_holds_the_conversation_comes_first() {
    let mut p = plan(3).plan;
    p.warm(2);
    assert_eq!(p.next(Moment(0)), Step::Try { link: 2 });
    // Said after it was found to be nearly used up, it changes nothing.
    let mut p = with_left(3, false);
    p.warm(0);
    assert_eq!(p.next(Moment(0)), Step::Try { link: 1 });
}

#[test]
fn what_stands_behind_says_why() {
    assert_eq!(plan(2).plan.behind(0), None);
    assert!(with_left(15, false).behind(0).unwrap().starts_with("little is left"));
    assert!(with_left(3, false).behind(0).unwrap().contains("nearly used up"));
    assert_eq!(with_left(15, true).behind(0), None);
}

#[test]
fn what_failed_says_why() {
    let mut p = plan(2);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(30.0)), Moment(0), 0.0);
    assert_eq!(p.plan.why(0).map(|e| e.class), Some(Class::RateLimit));
    assert!(p.plan.why(1).is_none() && p.plan.why(2).is_none());
}

#[test]
fn an_open_breaker_is_heeded_while_another_provider_can_be_asked_now() {
    let mut health = Health::default();
    for _ in 0..5 {
        health.failed(&who(0), Class::Server, Moment(0));
    }
    assert_eq!(Plan::new(Rules::default(), names(2), &health, Moment(0)).next(Moment(0)), Step::Try { link: 1 });
    health.cooldowns.note(&who(1), &error(Class::RateLimit, Some(100.0)), Moment(0));
    assert_eq!(Plan::new(Rules::default(), names(2), &health, Moment(0)).next(Moment(0)), Step::Try { link: 0 }, "the other one rests");
}

#[test]
fn a_provider_that_fails_all_the_time_is_asked_in_its_usual_order_where_the_others_rest() {
    let mut health = Health::default();
    for _ in 0..5 {
        health.failed(&who(0), Class::Server, Moment(0));
    }
    left(&mut health, 15);
    health.cooldowns.note(&who(1), &error(Class::RateLimit, Some(100.0)), Moment(0));
    let sister = Identity { upstream: "other".into(), ..who(0) };
    let mut p = Plan::new(Rules::default(), [who(0), sister, who(1)].map(|who| (who.upstream.clone(), who)), &health, Moment(0));
    assert_eq!(p.next(Moment(0)), Step::Try { link: 1 }, "little is left of the first");
}

#[test]
fn a_link_without_room_is_waited_for_if_that_is_short() {
    let full = error(Class::RateLimit, Some(1.0));
    for (ms, step) in [(1, None), (2_000, None), (2_001, Some(Step::Try { link: 1 })), (30_000, Some(Step::Try { link: 1 }))] {
        let mut p = plan(2);
        assert_eq!(p.next(Moment(0)), Step::Try { link: 0 });
        p.plan.hold(Moment(ms), full.clone(), Moment(0));
        assert_eq!(p.plan.attempts(), 0, "nothing was sent");
        assert_eq!(p.next(Moment(0)), step.unwrap_or(Step::Wait { until: Moment(ms), link: 0 }), "{ms} ms");
    }
    let mut p = plan(2);
    p.next(Moment(0));
    p.plan.hold(Moment(1_000), full.clone(), Moment(0));
    p.plan.rule_out(0, full, Moment(0));
    assert_eq!(p.next(Moment(0)), Step::Try { link: 1 }, "it is of no use any more");
}

#[test]
fn it_is_foreseen_whether_a_link_would_be_tried() {
    let mut p = plan(1);
    assert!(p.plan.tries(Moment(0)));
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(30.0)), Moment(0), 0.0);
    assert!(!p.plan.tries(Moment(0)), "it has to be waited for");
    assert!(p.plan.tries(Moment(30_000)));
    let mut p = plan(2);
    for _ in 0..Rules::default().max_attempts {
        assert!(p.plan.tries(Moment(0)));
        p.plan.again();
    }
    assert!(!p.plan.tries(Moment(0)), "all attempts are used");
    assert!(matches!(p.next(Moment(0)), Step::GiveUp(report) if report.attempts == 200));
}

#[test]
fn what_the_user_does_not_want_is_not_tried_and_said() {
    let report = |mut p: super::tests::Run| {
        let mut tried = Vec::new();
        loop {
            match p.next(Moment(0)) {
                Step::Try { link } => tried.push(link),
                Step::GiveUp(report) => return (tried, report.held),
                Step::Wait { .. } => panic!("waits"),
            }
            p.failed(scoped(Class::Auth, Scope::Key), Moment(0), 0.0);
        }
    };
    let kept = |stays: fn(usize) -> bool| {
        let mut p = plan(2);
        p.plan.keep(stays);
        p
    };
    assert_eq!(report(kept(|_| true)), (vec![0, 1], false));
    assert_eq!(report(kept(|ix| ix == 1)), (vec![1], true));
    let mut p = plan(2);
    p.plan.rule_out(1, error(Class::Auth, None), Moment(0));
    p.plan.keep(|ix| ix == 0);
    assert_eq!(report(p), (vec![0], false), "the other one was of no use anyway");
}

#[test]
fn a_link_is_alone_while_no_other_one_can_be_asked() {
    assert!(plan(1).plan.alone(0, Moment(0)));
    let mut p = plan(2);
    assert!(!p.plan.alone(0, Moment(0)));
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(30.0)), Moment(0), 0.0);
    assert!(p.plan.alone(1, Moment(0)));
    assert!(!p.plan.alone(1, Moment(30_000)));
    assert!(!p.plan.alone(0, Moment(0)));
}

#[test]
fn a_call_that_starts_late_is_tried_once() {
    let late = Moment(11 * 60_000);
    let mut p = plan(1);
    assert_eq!(p.next(late), Step::Try { link: 0 });
    p.failed(error(Class::Network, None), late, 0.0);
    assert!(matches!(p.next(late), Step::GiveUp(_)));
}

#[test]
fn a_link_that_was_only_chosen_has_no_right_to_stay() {
    let mut health = Health::default();
    let mut p = Plan::new(Rules::default(), names(2), &health, Moment(0));
    assert_eq!(p.next(Moment(0)), Step::Try { link: 0 });
    left(&mut health, 15);
    p.look(&health, Moment(0));
    assert!(!p.stands(0, Moment(0)), "another one has more left");
    assert_eq!(p.next(Moment(0)), Step::Try { link: 1 });
}

#[test]
fn what_returns_at_the_deadline_returns_too_late() {
    for (seconds, waits) in [(599.0, true), (600.0, false), (601.0, false)] {
        let mut p = plan(1);
        p.next(Moment(0));
        p.failed(error(Class::RateLimit, Some(seconds)), Moment(0), 0.0);
        assert_eq!(matches!(p.next(Moment(0)), Step::Wait { .. }), waits, "{seconds} s");
    }
}

#[test]
fn what_does_not_pass_by_itself_is_not_waited_for() {
    for (class, after, waits) in
        [(Class::Quota, None, false), (Class::Quota, Some(1.0), true), (Class::Auth, Some(1.0), false), (Class::RateLimit, None, true)]
    {
        let mut p = plan(1);
        p.next(Moment(0));
        p.failed(error(class, after), Moment(0), 0.0);
        assert_eq!(matches!(p.next(Moment(0)), Step::Wait { .. }), waits, "{class:?} {after:?}");
    }
}

#[test]
fn of_keys_that_rest_together_the_one_not_asked_yet_has_its_turn_first() {
    let mut health = Health::default();
    let key = |n: usize| Identity { provider: "p".into(), account: Some(format!("k{n}")), upstream: "u".into() };
    for n in 0..2 {
        health.cooldowns.note(&key(n), &scoped(Class::Server, Scope::Model), Moment(0));
    }
    let mut p = sisters(&health, Moment(0));
    assert_eq!(p.next(Moment(0)), Step::Try { link: 0 }, "it may be well again");
    p.failed(&error(Class::Server, None), &mut health, Moment(0), 0.0);
    assert_eq!(p.next(Moment(0)), Step::Wait { until: Moment(500), link: 1 });
    assert_eq!(p.next(Moment(500)), Step::Try { link: 1 });
    p.failed(&error(Class::Server, None), &mut health, Moment(500), 0.0);
    assert!(matches!(p.next(Moment(500)), Step::Wait { link: 0, .. }));
}
