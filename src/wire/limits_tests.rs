//! Every vendor's rate-limit headers, and nonsense.

use super::*;
use proptest::prelude::*;

/// 2026-08-19T14:00:00Z.
const AT: u64 = 1_787_148_000_000;

fn read(pairs: &[(&str, &str)]) -> Limits {
    let headers: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Limits::read(&headers, Some(AT))
}

fn window<'a>(limits: &'a Limits, name: &str) -> &'a Window {
    limits.windows.iter().find(|w| w.name == name).unwrap_or_else(|| panic!("no window {name} in {limits:?}"))
}

/// limit, remaining, reset, period, kind.
type Counted = (Option<u64>, Option<u64>, Option<f64>, Option<u64>, Kind);

fn counted(w: &Window) -> Counted {
    (w.limit, w.remaining, w.reset_s, w.period_s, w.kind)
}

#[test]
fn counted_windows_of_every_vendor() {
    let openai = read(&[
        ("x-ratelimit-limit-requests", "5000"),
        ("x-ratelimit-remaining-requests", "4999"),
        ("x-ratelimit-reset-requests", "12ms"),
        ("X-RateLimit-Limit-Tokens", "160000"),
        ("X-RateLimit-Remaining-Tokens", "0"),
        ("X-RateLimit-Reset-Tokens", "6m0s"),
        ("x-ratelimit-remaining-tokens_usage_based", "0"),
        ("x-ratelimit-reset-tokens_usage_based", "7.66s"),
        ("x-ratelimit-remaining-input-images", "49999"),
    ]);
    assert_eq!(counted(window(&openai, "requests")), (Some(5000), Some(4999), Some(0.012), None, Kind::Requests));
    assert_eq!(counted(window(&openai, "tokens")), (Some(160_000), Some(0), Some(360.0), None, Kind::Tokens));
    assert_eq!(window(&openai, "input-images").kind, Kind::Other);
    assert_eq!((openai.spent().count(), openai.spent_reset_s()), (2, Some(360.0)));

    let cerebras = read(&[
        ("x-ratelimit-limit-requests-day", "14400"),
        ("x-ratelimit-remaining-requests-day", "14399"),
        ("x-ratelimit-reset-requests-day", "33011.382867"),
        ("x-ratelimit-remaining-tokens-minute", "0"),
        ("x-ratelimit-reset-tokens-minute", "11.38"),
    ]);
    assert_eq!(counted(window(&cerebras, "requests-day")), (Some(14400), Some(14399), Some(33_011.382_867), Some(86400), Kind::Requests));
    assert_eq!((window(&cerebras, "tokens-minute").period_s, cerebras.spent_reset_s()), (Some(60), Some(11.38)));

    let azure =
        read(&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "-1"), ("x-ratelimit-limit-requests", "-1")]);
    assert_eq!(counted(window(&azure, "requests")), (None, Some(0), None, None, Kind::Requests));

    let openrouter = read(&[("X-RateLimit-Limit", "50"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1787184000000")]);
    assert_eq!(counted(window(&openrouter, "")), (Some(50), Some(0), Some(36000.0), None, Kind::Other));

    let together =
        read(&[("x-ratelimit-limit", "2"), ("x-ratelimit-remaining", "1"), ("x-tokenlimit-remaining", "0"), ("x-tokenlimit-reset", "3")]);
    assert_eq!((window(&together, "").limit, together.spent_reset_s()), (Some(2), Some(3.0)));
    assert_eq!(window(&together, "tokens").kind, Kind::Tokens);

    let mistral =
        read(&[("x-ratelimitbysize-limit-minute", "500000"), ("ratelimitbysize-remaining", "342032"), ("ratelimitbysize-reset", "60")]);
    assert_eq!(window(&mistral, "minute").period_s, Some(60));
    assert_eq!((window(&mistral, "bysize").remaining, window(&mistral, "bysize").reset_s), (Some(342_032), Some(60.0)));

    let anthropic = read(&[
        ("anthropic-ratelimit-input-tokens-limit", "2000000"),
        ("anthropic-ratelimit-input-tokens-remaining", "1999000"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-08-19T14:00:30Z"),
        ("anthropic-priority-output-tokens-remaining", "7"),
        ("anthropic-fast-input-tokens-limit", "9"),
    ]);
    assert_eq!(counted(window(&anthropic, "input-tokens")), (Some(2_000_000), Some(1_999_000), Some(30.0), None, Kind::InputTokens));
    assert_eq!(window(&anthropic, "priority-output-tokens").remaining, Some(7));
    assert_eq!(window(&anthropic, "fast-input-tokens").limit, Some(9));
}

#[test]
fn a_subscriptions_windows() {
    let limits = read(&[
        ("anthropic-ratelimit-unified-status", "rejected"),
        ("anthropic-ratelimit-unified-reset", "1787149800"),
        ("anthropic-ratelimit-unified-representative-claim", "five_hour"),
        ("anthropic-ratelimit-unified-5h-status", "rejected"),
        ("anthropic-ratelimit-unified-5h-reset", "1787149800"),
        ("anthropic-ratelimit-unified-5h-utilization", "1.02"),
        ("anthropic-ratelimit-unified-7d-status", "allowed_warning"),
        ("anthropic-ratelimit-unified-7d-utilization", "1.08"),
        ("anthropic-ratelimit-unified-7d_oi-reset", "2026-08-19T15:00:00Z"),
        ("anthropic-ratelimit-unified-overage-status", "rejected"),
        ("anthropic-ratelimit-unified-overage-disabled-reason", "org_level_disabled"),
        ("anthropic-ratelimit-unified-overage-in-use", "true"),
        ("anthropic-ratelimit-unified-fallback-percentage", "0.5"),
    ]);
    assert_eq!(
        (limits.overall, limits.overall_reset_s, limits.claim.as_deref()),
        (Some(Status::Rejected), Some(1800.0), Some("five_hour"))
    );
    assert!(limits.overage_in_use);
    assert_eq!(limits.windows.len(), 3, "paid extra use is not a window: {limits:?}");
    let five = window(&limits, "5h");
    assert_eq!((five.used, five.reset_s, five.period_s, five.some_models), (Some(1.02), Some(1800.0), Some(18000), false));
    assert!(!window(&limits, "7d").spent(), "more than all of it is used, and yet it is allowed");
    assert!(window(&limits, "7d_oi").some_models);
    assert_eq!(limits.spent().map(|w| w.name.as_str()).collect::<Vec<_>>(), ["5h"]);
}

#[test]
fn metered_limits_of_chatgpt() {
    let limits = read(&[
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-at", "1787148060"),
        ("x-codex-primary-reset-after-seconds", "59"),
        ("x-codex-secondary-used-percent", "12.5"),
        ("x-codex-secondary-reset-at", "1787752800"),
        ("x-codex-primary-over-secondary-limit-percent", "0"),
        ("x-gpt-5-spark-primary-used-percent", "3"),
        ("x-codex-active-limit", "codex"),
        ("x-codex-credits-has-credits", "False"),
        ("x-codex-plan-type", "plus"),
    ]);
    let primary = window(&limits, "codex primary");
    assert_eq!((primary.used, primary.period_s, primary.reset_s, primary.spent()), (Some(1.0), Some(18000), Some(59.0), true));
    assert_eq!((window(&limits, "codex secondary").used, window(&limits, "codex secondary").reset_s), (Some(0.125), Some(604_800.0)));
    assert!(window(&limits, "gpt_5_spark primary").some_models);
    assert_eq!((limits.claim.as_deref(), limits.credits, limits.windows.len()), (Some("codex"), Some(false), 3));
    assert_eq!(limits.spent_reset_s(), Some(59.0));
}

#[test]
fn what_makes_no_sense_is_unknown() {
    let limits = read(&[
        ("x-ratelimit-remaining-requests", "many"),
        ("x-ratelimit-limit-requests", "NaN"),
        ("x-ratelimit-reset-requests", "yesterday"),
        ("anthropic-ratelimit-unified-status", "perhaps"),
        ("x-codex-primary-used-percent", "inf"),
        ("anthropic-ratelimit-", "1"),
        ("x-", ""),
    ]);
    assert!(limits.windows.iter().all(|w| !w.spent() && w.reset_s.is_none() && w.limit.is_none()), "{limits:?}");
    assert_eq!(limits.overall, None);
    assert_eq!(read(&[("content-type", "application/json")]), Limits::default());
}

fn any_key() -> impl Strategy<Value = String> {
    let family = prop::sample::select(vec![
        "x-ratelimit-",
        "ratelimit-",
        "x-tokenlimit-",
        "anthropic-ratelimit-",
        "anthropic-ratelimit-unified-",
        "anthropic-priority-",
        "x-codex-",
        "x-",
        "",
    ]);
    let rest = prop::sample::select(vec![
        "limit",
        "remaining-requests",
        "reset-tokens",
        "5h-status",
        "7d-reset",
        "primary-used-percent",
        "secondary-reset-at",
        "status",
        "-",
        "é",
    ]);
    (family, rest, "\\PC{0,6}").prop_map(|(family, rest, noise)| format!("{family}{rest}{noise}"))
}

proptest! {
    #[test]
    fn no_headers_make_it_panic_and_the_case_of_names_says_nothing(
        pairs in prop::collection::vec((any_key(), "\\PC{0,20}|-?[0-9.e]{0,20}|rejected|true|2026-08-19T14:00:00Z"), 0..90),
        now in any::<Option<u64>>(),
    ) {
        let limits = Limits::read(&pairs, now);
        prop_assert!(limits.windows.len() <= MAX_WINDOWS);
        for w in &limits.windows {
            prop_assert!(w.reset_s.is_none_or(|s| wait::sane(s).is_some()), "{w:?}");
            prop_assert!(w.used.is_none_or(|u| u.is_finite() && u >= 0.0), "{w:?}");
        }
        let shouted: Vec<(String, String)> = pairs.iter().map(|(k, v)| (k.to_ascii_uppercase(), v.clone())).collect();
        prop_assert_eq!(Limits::read(&shouted, now), limits);
    }
}
