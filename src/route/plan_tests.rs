//! The plan's rules one by one, and that every schedule of faults ends.

use super::*;
use proptest::prelude::*;

fn error(class: Class, after: Option<f64>) -> ProviderError {
    let mut e = ProviderError::new(class, Scope::Provider, "x");
    e.retry_after_s = after;
    e
}

fn plan(links: usize) -> Plan {
    Plan::new(Rules::default(), (0..links).map(|n| format!("m{n}")), Moment(0))
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
    assert_eq!(p.next(Moment(10)), Step::Wait { until: Moment(310), link: 0 });
    assert_eq!(p.next(Moment(310)), Step::Try { link: 0 });
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
    let mut again: Plan = serde_json::from_str(&serde_json::to_string(&p).unwrap()).unwrap();
    assert_eq!(again.next(Moment(4)), p.next(Moment(4)));
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
                    prop_assert!(tries == 1 || now < p.deadline().unwrap());
                    let (class, after, took) = faults.next().unwrap();
                    now = Moment(now.0 + took);
                    p.failed(error(class, after), now, 0.3);
                    if let Step::Wait { until, link } = p.clone().next(now) && link + 1 == links && let Some(s) = after {
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
