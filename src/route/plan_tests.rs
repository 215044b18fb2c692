//! The plan's rules one by one, and that every schedule of faults ends.

use super::*;
use proptest::prelude::*;

pub(super) fn error(class: Class, after: Option<f64>) -> ProviderError {
    let mut e = ProviderError::new(class, Scope::Provider, "x");
    e.retry_after_s = after;
    e
}

/// A plan over links of different providers, with its cooldowns.
pub(super) struct Run {
    pub(super) plan: Plan,
    cooldowns: Health,
}

impl Run {
    pub(super) fn next(&mut self, now: Moment) -> Step {
        self.plan.next(now)
    }

    #[allow(clippy::needless_pass_by_value, reason = "the tests make an error for each call")]
    pub(super) fn failed(&mut self, error: ProviderError, now: Moment, jitter: f64) {
        self.plan.failed(&error, &mut self.cooldowns, now, jitter);
    }

    /// The next call of the same router.
    fn again(&self, links: usize, now: Moment) -> Run {
        Run { plan: Plan::new(Rules::default(), names(links), &self.cooldowns, now), cooldowns: self.cooldowns.clone() }
    }
}

pub(super) fn names(links: usize) -> impl Iterator<Item = (String, Identity)> {
    (0..links).map(|n| (format!("m{n}"), Identity { provider: format!("p{n}"), account: None, upstream: format!("u{n}") }))
}

pub(super) fn plan(links: usize) -> Run {
    let cooldowns = Health::default();
    Run { plan: Plan::new(Rules::default(), names(links), &cooldowns, Moment(0)), cooldowns }
}

#[test]
fn a_rate_limit_moves_on_at_once_while_another_link_stands_behind() {
    let mut p = plan(2);
    assert_eq!(p.next(Moment(0)), Step::Try { link: 0 });
    p.failed(error(Class::RateLimit, Some(1.0)), Moment(1), 0.0);
    assert_eq!(p.next(Moment(1)), Step::Try { link: 1 });
}

#[test]
fn a_transient_error_gets_one_quick_retry_then_the_next_link() {
    let mut p = plan(2);
    p.next(Moment(0));
    p.failed(error(Class::Network, None), Moment(10), 0.0);
    assert_eq!(p.next(Moment(10)), Step::Wait { until: Moment(160), link: 0 });
    assert_eq!(p.next(Moment(160)), Step::Try { link: 0 });
    p.failed(error(Class::Network, None), Moment(320), 0.0);
    assert_eq!(p.next(Moment(320)), Step::Try { link: 1 });
}

#[test]
fn the_last_link_is_retried_at_its_own_time() {
    let mut p = plan(1);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(1.0)), Moment(5), 0.5);
    assert_eq!(p.next(Moment(5)), Step::Wait { until: Moment(1005), link: 0 });
    assert_eq!(p.next(Moment(1005)), Step::Try { link: 0 });
}

#[test]
fn a_time_beyond_the_deadline_gives_up_at_once_and_says_when_it_returns() {
    let mut p = plan(1);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(3600.0)), Moment(0), 0.0);
    let Step::GiveUp(report) = p.next(Moment(0)) else { panic!("waits for an hour") };
    assert_eq!(report.soonest_s, Some(3600.0));
    let failure = report.failure();
    assert_eq!(failure.cause, crate::base::Cause::Exhausted);
    assert!(failure.message.contains("60 min"), "{}", failure.message);
}

#[test]
fn a_permanent_error_of_the_last_link_ends_the_call() {
    for (class, cause) in [
        (Class::Auth, crate::base::Cause::Auth),
        (Class::BadRequest, crate::base::Cause::Rejected),
        (Class::ContentFilter, crate::base::Cause::Rejected),
        (Class::ContextTooLong, crate::base::Cause::Limit),
        (Class::NotFound, crate::base::Cause::Usage),
        (Class::Billing, crate::base::Cause::Exhausted),
    ] {
        let mut p = plan(1);
        p.next(Moment(0));
        p.failed(error(class, None), Moment(0), 0.0);
        let Step::GiveUp(report) = p.next(Moment(0)) else { panic!("{class:?} is retried") };
        assert_eq!(report.failure().cause, cause);
    }
}

#[test]
fn a_plan_survives_being_written_down() {
    let mut p = plan(3);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, None), Moment(3), 0.0);
    let mut again: Plan = serde_json::from_str(&serde_json::to_string(&p.plan).unwrap()).unwrap();
    assert_eq!(again.next(Moment(4)), p.next(Moment(4)));
}

#[test]
fn the_next_call_skips_a_link_that_is_cooling_and_returns_to_it_afterwards() {
    let mut p = plan(2);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(30.0)), Moment(0), 0.0);
    assert_eq!(p.next(Moment(1)), Step::Try { link: 1 });
    assert_eq!(p.again(2, Moment(5_000)).next(Moment(5_000)), Step::Try { link: 1 });
    assert_eq!(p.again(2, Moment(30_001)).next(Moment(30_001)), Step::Try { link: 0 });
}

#[test]
fn when_all_are_cooling_the_soonest_is_waited_for_inside_the_deadline() {
    let mut p = plan(2);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(100.0)), Moment(0), 0.0);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(20.0)), Moment(0), 0.0);
    assert_eq!(p.next(Moment(0)), Step::Wait { until: Moment(20_000), link: 1 });
    assert_eq!(p.again(2, Moment(1_000)).next(Moment(1_000)), Step::Wait { until: Moment(20_000), link: 1 });
}

#[test]
fn an_account_that_is_out_takes_all_its_links_with_it() {
    let shared = |n: usize| (format!("m{n}"), Identity { provider: "p".into(), account: Some("k".into()), upstream: format!("u{n}") });
    let other = ("x".to_owned(), Identity { provider: "q".into(), account: None, upstream: "u".into() });
    let mut cooldowns = Health::default();
    let mut p = Plan::new(Rules::default(), [shared(0), shared(1), other], &cooldowns, Moment(0));
    p.next(Moment(0));
    let mut quota = error(Class::Quota, Some(3600.0));
    quota.scope = Scope::Key;
    p.failed(&quota, &mut cooldowns, Moment(0), 0.0);
    assert_eq!(p.next(Moment(0)), Step::Try { link: 2 });
}

#[test]
fn nine_dead_links_and_a_tenth_alive_cost_no_waiting_but_quick_retries() {
    let mut p = plan(10);
    let classes = [
        Class::RateLimit,
        Class::Server,
        Class::Auth,
        Class::Overloaded,
        Class::Billing,
        Class::Permission,
        Class::Overloaded,
        Class::NotFound,
        Class::Quota,
    ];
    let mut now = Moment(0);
    let mut tried = Vec::new();
    loop {
        match p.next(now) {
            Step::Try { link: 9 } => break,
            Step::Try { link } => {
                tried.push(link);
                p.failed(error(classes[link], None), now, 0.0);
            }
            Step::Wait { until, .. } => now = until,
            Step::GiveUp(report) => panic!("{report:?}"),
        }
    }
    assert_eq!(tried, [0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8]);
    assert!(now.0 <= 3 * 300);
}

fn any_class() -> impl Strategy<Value = Class> {
    prop::sample::select(vec![
        Class::RateLimit,
        Class::Quota,
        Class::Billing,
        Class::Overloaded,
        Class::Server,
        Class::Auth,
        Class::Permission,
        Class::ContextTooLong,
        Class::BadRequest,
        Class::ContentFilter,
        Class::NotFound,
        Class::Network,
        Class::Timeout,
    ])
}

proptest! {
    /// Whatever fails, the plan ends: bounded attempts, never after the deadline, never before a provider's own time
    /// on the last link.
    #[test]
    fn every_schedule_ends(
        links in 1usize..5,
        faults in prop::collection::vec((any_class(), prop::option::of(0.0f64..2000.0), 0u64..5000), 1..400),
    ) {
        let mut p = plan(links);
        let mut now = Moment(0);
        let mut faults = faults.into_iter().cycle();
        let mut tries = 0u32;
        loop {
            match p.next(now) {
                Step::Try { link } => {
                    tries += 1;
                    prop_assert!(link < links);
                    prop_assert!(tries == 1 || now < p.plan.deadline().unwrap());
                    let (class, after, took) = faults.next().unwrap();
                    now = Moment(now.0 + took);
                    p.failed(error(class, after), now, 0.3);
                    if links == 1 && let Step::Wait { until, .. } = p.plan.clone().next(now) && let Some(s) = after {
                        prop_assert!(until.0 >= now.0 + (s * 1000.0) as u64 - 1);
                    }
                }
                Step::Wait { until, .. } => {
                    prop_assert!(until > now);
                    now = until;
                }
                Step::GiveUp(report) => {
                    prop_assert_eq!(report.attempts, tries);
                    break;
                }
            }
            prop_assert!(tries <= Rules::default().max_attempts);
        }
    }
}

/// A plan over one model with several keys, and another provider's behind it.
fn keyed(keys: &[&str]) -> Run {
    let who = |provider: &str, account: Option<&str>| Identity {
        provider: provider.into(),
        account: account.map(Into::into),
        upstream: "u".into(),
    };
    let links = keys.iter().map(|k| (format!("m ({k})"), who("p", Some(k)))).chain([("n".to_owned(), who("q", None))]);
    let cooldowns = Health::default();
    Run { plan: Plan::new(Rules::default(), links, &cooldowns, Moment(0)), cooldowns }
}

pub(super) fn scoped(class: Class, scope: Scope) -> ProviderError {
    ProviderError::new(class, scope, "x")
}

/// The links that are tried when each attempt at once fails like this.
fn tried(mut run: Run, error: &ProviderError) -> Vec<usize> {
    let mut all = Vec::new();
    while let Step::Try { link } = run.next(Moment(0)) {
        all.push(link);
        run.failed(error.clone(), Moment(0), 0.0);
    }
    all
}

#[test]
fn all_keys_of_a_link_come_before_the_next_link_where_the_key_is_at_fault() {
    for class in [Class::RateLimit, Class::Quota, Class::Auth, Class::Permission, Class::Billing] {
        assert_eq!(tried(keyed(&["a", "b", "c"]), &scoped(class, Scope::Key)), [0, 1, 2, 3], "{class:?}");
    }
    assert_eq!(tried(keyed(&["a", "b"]), &scoped(Class::RateLimit, Scope::Model)), [0, 1, 2], "a limit of each key for a model");
}

#[test]
fn no_other_key_is_tried_where_the_request_or_the_model_is_at_fault() {
    for (class, scope) in [
        (Class::BadRequest, Scope::Request),
        (Class::ContentFilter, Scope::Request),
        (Class::ContextTooLong, Scope::Request),
        (Class::NotFound, Scope::Model),
        (Class::RateLimit, Scope::Provider),
    ] {
        assert_eq!(tried(keyed(&["a", "b", "c"]), &scoped(class, scope)), [0, 3], "{class:?}");
    }
}

#[test]
fn a_server_that_is_down_is_waited_for_once_however_many_keys_there_are() {
    let mut run = keyed(&["a", "b", "c"]);
    let down = scoped(Class::Server, Scope::Provider);
    let mut now = Moment(0);
    let mut steps = Vec::new();
    for _ in 0..8 {
        match run.next(now) {
            Step::Try { link } => {
                steps.push(link);
                run.failed(down.clone(), now, 0.0);
            }
            Step::Wait { until, .. } => now = until,
            Step::GiveUp(report) => panic!("gave up: {report:?}"),
        }
    }
    assert_eq!(steps[..3], [0, 0, 3], "a quick retry, then the other provider: {steps:?}");
    let Step::GiveUp(report) = run.next(now.plus(Duration::from_mins(11))) else { panic!("no end") };
    assert_eq!(report.errors.len(), 2, "what holds for three keys is said once: {report:?}");
    // Alone, its keys share the backoff.
    let mut alone = keyed(&["a", "b", "c"]);
    alone.plan.links.pop();
    assert_eq!(alone.next(Moment(0)), Step::Try { link: 0 });
    alone.failed(down, Moment(0), 0.0);
    assert_eq!(alone.next(Moment(0)), Step::Wait { until: Moment(500), link: 1 }, "each has its turn");
}

#[test]
fn a_verdict_for_every_class_and_scope() {
    use Class::{
        Auth, BadRequest, Billing, ContentFilter, ContextTooLong, Network, NotFound, Overloaded, Permission, Quota, RateLimit, Server,
        Timeout,
    };
    let of = |class| [Scope::Request, Scope::Model, Scope::Key, Scope::Provider].map(|scope| verdict(class, scope).as_str());
    for class in [Overloaded, Server, Network, Timeout] {
        assert_eq!(of(class), ["retry"; 4], "{class:?}");
    }
    assert_eq!(of(RateLimit), ["retry", "next_link", "next_key", "next_link"]);
    for class in [Quota, Billing, Permission] {
        assert_eq!(of(class), ["next_link", "next_link", "next_key", "next_link"], "{class:?}");
    }
    assert_eq!(of(Auth), ["relogin"; 4]);
    assert_eq!(of(ContextTooLong), ["compact"; 4]);
    for class in [NotFound, ContentFilter] {
        assert_eq!(of(class), ["next_link"; 4], "{class:?}");
    }
    assert_eq!(of(BadRequest), ["stop", "next_link", "stop", "next_link"]);
}

#[test]
fn a_link_that_cannot_take_it_all_is_the_last_resort() {
    let mut p = plan(2);
    p.plan.prefer(&[false, true]);
    assert_eq!(p.next(Moment(0)), Step::Try { link: 1 });
    p.failed(ProviderError::new(Class::Auth, Scope::Key, "x"), Moment(1), 0.0);
    assert_eq!(p.next(Moment(1)), Step::Try { link: 0 });
}

/// Two keys of one model, and nothing else.
pub(super) fn sisters(health: &Health, now: Moment) -> Plan {
    let key = |n: usize| (format!("k{n}"), Identity { provider: "p".into(), account: Some(format!("k{n}")), upstream: "u".into() });
    Plan::new(Rules::default(), (0..2).map(key), health, now)
}

#[test]
fn where_a_link_is_silent_the_next_one_is_asked_at_once() {
    let mut p = plan(2);
    p.next(Moment(0));
    p.failed(error(Class::Timeout, None), Moment(20_000), 0.0);
    assert_eq!(p.next(Moment(20_000)), Step::Try { link: 1 });
}

#[test]
fn of_several_keys_that_are_left_none_is_forgotten() {
    let mut health = Health::default();
    let (mut p, mut now, mut asked) = (sisters(&health, Moment(0)), Moment(0), Vec::new());
    while asked.len() < 6 {
        match p.next(now) {
            Step::Try { link } => {
                asked.push(link);
                p.failed(&error(Class::Server, None), &mut health, now, 0.0);
            }
            Step::Wait { until, .. } => now = until,
            Step::GiveUp(report) => panic!("{report:?}"),
        }
    }
    assert_eq!(asked, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn a_link_that_rests_by_a_guess_and_has_no_room_is_waited_for() {
    let mut p = plan(2);
    let mut now = Moment(0);
    for _ in 0..2 {
        while let Step::Wait { until, .. } = p.next(now) {
            now = until;
        }
        p.failed(error(Class::Server, None), now, 0.0);
    }
    let mut again = p.again(1, Moment(2_000));
    assert_eq!(again.next(Moment(2_000)), Step::Try { link: 0 }, "it may be well again");
    let mut full = error(Class::RateLimit, Some(30.0));
    full.scope = Scope::Key;
    again.plan.hold(Moment(32_000), full, Moment(2_000));
    assert_eq!(again.next(Moment(2_000)), Step::Wait { until: Moment(32_000), link: 0 });
}

#[test]
fn before_a_call_is_given_up_what_rests_by_a_guess_is_asked_once_more() {
    let mut health = Health::default();
    let rules = Rules { deadline: Some(Duration::from_mins(1)), ..Rules::default() };
    let mut p = Plan::new(rules, names(2), &health, Moment(0));
    let mut now = Moment(0);
    // The first one fails twice and rests for five minutes; the second one is wrong for good.
    for class in [Class::Server, Class::Server, Class::Auth] {
        while let Step::Wait { until, .. } = p.next(now) {
            now = until;
        }
        p.failed(&error(class, None), &mut health, now, 0.0);
    }
    let Step::Wait { until, link: 0 } = p.next(now) else { panic!("gave up") };
    assert!(until < Moment(10_000), "{until:?}");
    assert_eq!(p.next(until), Step::Try { link: 0 });
}

#[test]
fn what_somebody_named_is_waited_for_even_where_a_guess_rests_longer() {
    let mut health = Health::default();
    let who = Identity { provider: "p0".into(), account: None, upstream: "u0".into() };
    let mut named = error(Class::RateLimit, Some(40.0));
    named.scope = Scope::Key;
    health.cooldowns.note(&who, &named, Moment(0));
    health.cooldowns.note(&who, &error(Class::Server, None), Moment(0));
    let mut p = Plan::new(Rules::default(), names(1), &health, Moment(1));
    assert_eq!(p.next(Moment(1)), Step::Wait { until: Moment(40_000), link: 0 });
}

#[test]
fn after_the_machine_has_slept_a_call_is_over_and_the_next_one_knows_nothing_old() {
    let mut p = plan(2);
    p.next(Moment(0));
    p.failed(error(Class::RateLimit, Some(3_000.0)), Moment(0), 0.0);
    p.next(Moment(0));
    let morning = Moment(8 * 3_600_000);
    p.failed(error(Class::Network, None), morning, 0.0);
    assert!(matches!(p.next(morning), Step::GiveUp(_)), "its deadline passed in the night");
    assert_eq!(p.again(2, morning).next(morning), Step::Try { link: 0 }, "nothing rests any more");
}

#[test]
fn a_look_that_changes_the_choice_costs_no_attempt() {
    let mut health = Health::default();
    let mut p = Plan::new(Rules::default(), names(2), &health, Moment(0));
    assert!(p.tries(Moment(0)));
    assert_eq!(p.next(Moment(0)), Step::Try { link: 0 });
    assert!(p.stands(0, Moment(0)));
    let who = Identity { provider: "p0".into(), account: None, upstream: "u0".into() };
    health.cooldowns.note(&who, &error(Class::RateLimit, Some(30.0)), Moment(0));
    p.look(&health, Moment(0));
    assert!(!p.stands(0, Moment(0)));
    assert_eq!((p.attempts(), p.next(Moment(0))), (0, Step::Try { link: 1 }));
}

/// Something that is found out of a link, or time that passes.
#[derive(Debug, Clone)]
enum Found {
    Failed(Class, Scope, Option<f64>),
    Tried,
    Answered,
    Left(u64),
    Later(u64),
}

fn found() -> impl Strategy<Value = Found> {
    use Scope::{Key, Model, Provider};
    let class = prop::sample::select(vec![Class::RateLimit, Class::Quota, Class::Server, Class::Auth, Class::Billing]);
    let after = prop::option::of(prop::sample::select(vec![0.5, 20.0, 3_000.0]));
    prop_oneof![
        3 => (class, prop::sample::select(vec![Model, Key, Provider]), after).prop_map(|(c, s, a)| Found::Failed(c, s, a)),
        2 => Just(Found::Tried),
        1 => Just(Found::Answered),
        2 => prop::sample::select(vec![0, 3, 15, 90]).prop_map(Found::Left),
        3 => prop::sample::select(vec![0, 1, 499, 500, 20_000, 61_000, 400_000]).prop_map(Found::Later),
    ]
}

proptest! {
    #[test]
    fn what_is_not_looked_at_again_has_not_changed(finds in prop::collection::vec((0..6usize, found()), 1..40)) {
        use crate::wire::limits::{Kind, Limits, Window};
        let mut health = Health::default();
        let who = |n: usize| Identity { provider: format!("p{}", n % 2), account: Some(format!("k{}", n % 3)), upstream: format!("u{}", n / 3) };
        let mut now = Moment(0);
        let mut plan = Plan::new(Rules::default(), (0..6).map(|n| (format!("m{n}"), who(n))), &health, now);
        for (n, find) in finds {
            match find {
                Found::Failed(class, scope, after) => {
                    let mut e = ProviderError::new(class, scope, "x");
                    e.retry_after_s = after;
                    health.cooldowns.note(&who(n), &e, now);
                    health.failed(&who(n), class, now);
                }
                Found::Tried => drop(health.trying(&who(n), &[], 0, now)),
                Found::Answered => health.answered(&who(n), health.cooldowns.known(), now),
                Found::Left(remaining) => {
                    let window = Window { name: "w".into(), kind: Kind::Requests, limit: Some(100), remaining: Some(remaining), reset_s: Some(20.0), ..Window::default() };
                    health.reported(&who(n), &Limits { windows: vec![window], ..Limits::default() }, now);
                }
                Found::Later(ms) => now = now.plus(Duration::from_millis(ms)),
            }
            let mut anew = plan.clone();
            anew.links.iter_mut().for_each(|l| l.seen = None);
            plan.look(&health, now);
            anew.look(&health, now);
            let stand = |p: &Plan| p.links.iter().map(|l| (l.out, l.ready, l.rank, l.guess, l.shut, l.due().max(now), l.last.clone())).collect::<Vec<_>>();
            prop_assert_eq!(stand(&plan), stand(&anew));
            let next = |p: &Plan| p.pick(now).map(|(ix, at)| (ix, at.max(now)));
            prop_assert_eq!(next(&plan), next(&anew));
        }
    }
}
