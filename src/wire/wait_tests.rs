//! Every form in which a provider names a time, and clocks that are wrong.

use super::*;
use proptest::prelude::*;

/// 2026-08-19T14:34:22Z.
const AT: u64 = 1_787_150_062_000;
const DATE: (&str, &str) = ("Date", "Wed, 19 Aug 2026 14:34:22 GMT");

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn at(ms: u64) -> Now {
    Now::new(&[], Some(ms))
}

fn near(got: Option<f64>, want: Option<f64>) -> bool {
    got == want || got.zip(want).is_some_and(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn durations_in_all_their_forms() {
    for (text, seconds) in [
        ("12ms", Some(0.012)),
        ("1s", Some(1.0)),
        ("7.66s", Some(7.66)),
        ("6m0s", Some(360.0)),
        ("2m 13s", Some(133.0)),
        ("1h30m", Some(5400.0)),
        ("1d2h", Some(93600.0)),
        ("156h14m36.752463453s", Some(562_476.752_463_453)),
        ("290.979975ms", Some(0.290_979_975)),
        ("51820.638305887s", Some(51_820.638_305_887)),
        ("5 minutes, 3 seconds", Some(303.0)),
        ("", None),
        ("s", None),
        ("12", None),
        ("1x", None),
        ("1s later", None),
        ("-3s", None),
        (".", None),
    ] {
        assert!(near(whole_duration(text), seconds), "{text}: {:?}", whole_duration(text));
    }
}

#[test]
fn http_dates_have_three_forms() {
    for text in ["Sun, 06 Nov 2033 08:49:37 GMT", "Sunday, 06-Nov-33 08:49:37 GMT", "Sun Nov  6 08:49:37 2033"] {
        assert_eq!(http_date_ms(text), Some(2_014_879_777_000), "{text}");
    }
    assert_eq!(http_date_ms("Sunday, 06-Nov-94 08:49:37 GMT"), Some(784_111_777_000));
    for wrong in [
        "",
        "Sun",
        "Sun, 06 Nov",
        "Sun, 31 Feb 2026 08:49:37 GMT",
        "Sun, 06 Foo 2026 08:49:37 GMT",
        "1 2 3 4 5 6 7",
        "2026-11-06T08:49:37Z",
    ] {
        assert_eq!(http_date_ms(wrong), None, "{wrong}");
    }
}

#[test]
fn retry_after_is_a_number_a_duration_or_a_date() {
    for (name, value, seconds) in [
        ("retry-after", "7", Some(7.0)),
        ("Retry-After", "1.5", Some(1.5)),
        ("retry-after", "0", Some(0.0)),
        ("retry-after", "2m 13s", Some(133.0)),
        ("retry-after", "Wed, 19 Aug 2026 14:35:22 GMT", Some(60.0)),
        ("retry-after", "Wednesday, 19-Aug-26 14:35:22 GMT", Some(60.0)),
        ("retry-after", "Wed Aug 19 14:35:22 2026", Some(60.0)),
        ("retry-after", "Wed, 19 Aug 2026 14:30:00 GMT", Some(0.0)),
        ("retry-after", "2026-08-19T14:34:32Z", Some(10.0)),
        ("retry-after", "1787150122", Some(60.0)),
        ("retry-after", "-4", None),
        ("retry-after", "NaN", None),
        ("retry-after", "inf", None),
        ("retry-after", "3024001", None),
        ("retry-after", "99999999999", None),
        ("retry-after", "Wed, 19 Aug 2099 14:35:22 GMT", None),
        ("retry-after", "soon", None),
        ("retry-after", "\"12\"", Some(12.0)),
        ("retry-after", "5, 5", Some(5.0)),
        ("x-retry-after", "4", Some(4.0)),
        ("X-RateLimit-Reset-After", "17.5", Some(17.5)),
        ("x-ratelimit-timeremaining", "45", Some(45.0)),
        ("retry-after-ms", "340", Some(0.34)),
        ("retry-after-ms", "-5", None),
    ] {
        let all = headers(&[DATE, (name, value)]);
        assert_eq!(retry_after(&all, Now::new(&all, None)), seconds, "{name}: {value}");
    }
    let both = headers(&[("retry-after", "3"), ("retry-after-ms", "250")]);
    assert_eq!(retry_after(&both, at(AT)), Some(0.25));
    let nothing = headers(&[("retry-after", "1"), ("retry-after-ms", "0")]);
    assert_eq!(retry_after(&nothing, at(AT)), Some(1.0));
}

#[test]
fn resets_are_told_apart_by_their_size() {
    for (value, seconds) in [
        ("6m0s", Some(360.0)),
        ("27.5", Some(27.5)),
        ("1787150092", Some(30.0)),
        ("1787184000000", Some(33_938.0)),
        ("2026-08-19T14:34:23Z", Some(1.0)),
        ("2026-08-19T16:34:23+02:00", Some(1.0)),
        ("1787150000", Some(0.0)),
        ("0", None),
        ("-1", None),
        ("1e300", None),
        ("tomorrow", None),
    ] {
        assert_eq!(reset(value, at(AT)), seconds, "{value}");
    }
}

#[test]
fn a_wrong_clock_here_does_no_harm() {
    let late = headers(&[DATE, ("retry-after", "Wed, 19 Aug 2026 14:35:22 GMT")]);
    for local in [None, Some(0), Some(AT), Some(AT - 90_000_000_000), Some(AT + 90_000_000_000), Some(u64::MAX)] {
        assert_eq!(retry_after(&late, Now::new(&late, local)), Some(60.0), "{local:?}");
    }
    // Without the server's word a clock that stands in 1970 is no clock, and times from now need none.
    let bare = headers(&[("retry-after", "Wed, 19 Aug 2026 14:35:22 GMT")]);
    assert_eq!(retry_after(&bare, Now::new(&bare, Some(5))), None);
    assert_eq!(retry_after(&headers(&[("retry-after", "9")]), Now::new(&[], Some(5))), Some(9.0));
    let wrong = headers(&[("date", "Thu, 01 Jan 1970 00:00:09 GMT"), ("retry-after", "Wed, 19 Aug 2026 14:35:22 GMT")]);
    assert_eq!(retry_after(&wrong, Now::new(&wrong, Some(AT))), Some(60.0));
}

#[test]
fn sentences() {
    let now = at(1_788_825_600_000); // 2026-09-08T00:00:00Z
    for (text, zone, seconds) in [
        ("Rate limit reached ... Please try again in 1.2s. Visit", 0, Some(1.2)),
        ("Please try again in 340ms", 0, Some(0.34)),
        ("Please try again in 9m38.016s.", 0, Some(578.016)),
        ("Please retry in 20.04s.", 0, Some(20.04)),
        ("Please retry after 26 seconds.", 0, Some(26.0)),
        ("try again in about 2 hours", 0, Some(7200.0)),
        ("Your quota will reset after 156h14m36s", 0, Some(562_476.0)),
        ("Please wait 3 minutes and", 0, Some(180.0)),
        ("limit reached for 5 hour. Your limit will reset at 2026-09-08 08:30:00", 8, Some(1800.0)),
        ("您的限额将在 2026-09-08 08:30:00 重置。", 8, Some(1800.0)),
        ("reset at 2026-09-08T01:00:00Z", 8, Some(3600.0)),
        ("reset at 2026-09-08T09:00:00.123+08:00", 0, Some(3600.0)),
        ("You will regain access on 2026-09-10 at 00:00 UTC.", 0, Some(172_800.0)),
        ("claude-2026-08-01 is over its limit until 2026-09-08 00:00:07", 0, Some(7.0)),
        ("reset at 2020-09-08 08:30:00", 8, None),
        ("reset at 2099-09-08 08:30:00", 8, None),
        ("reset at 2026-99-08 08:30:00", 8, None),
        ("Please try again in 1 hour and 5 minutes.", 0, Some(3900.0)),
        ("Please retry your request in about 30 seconds", 0, Some(30.0)),
        ("429 Too Many Requests (Retry-After: 15)", 0, Some(15.0)),
        ("slow down, retry_after=2.5s", 0, Some(2.5)),
        ("usage limit reached|1788825660", 0, Some(60.0)),
        ("the limit resets at 1788825607000", 0, Some(7.0)),
        ("retry-after: soon", 0, None),
        ("request 1788739200 is over the limit", 0, None),
        ("after you have paid", 0, None),
        ("Limit 6000, Used 97050, Requested 3619", 0, None),
        ("try again in 999999999999h", 0, None),
    ] {
        let got = from_text(text, now, zone);
        assert!(near(got, seconds), "{text}: {got:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_written_a_wait_is_sane(text in "\\PC{0,60}|(in |after |at )?[0-9.:TZ+ mshd-]{0,40}", now in any::<Option<u64>>(), zone in -12i8..=12) {
        let all = headers(&[("retry-after", &text), ("date", &text)]);
        let clock = Now::new(&all, now);
        for got in [retry_after(&all, clock), reset(&text, clock), from_text(&text, clock, zone)].into_iter().flatten() {
            prop_assert!((0.0..=MAX_S).contains(&got), "{text}: {got}");
        }
    }
}
