//! What is remembered of keys: by several processes at once, over a restart, with a wrong clock and a damaged file.

use super::*;
use proptest::prelude::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Standings {
        let redactor = Redactor::default();
        redactor.learn("KEY", "canary-canary-1");
        Standings::load(&Places::under(self.0.path()), &redactor)
    }

    fn file(&self) -> PathBuf {
        Places::under(self.0.path()).state.join("keys.json")
    }
}

fn key(label: &str) -> KeyId {
    KeyId { provider: "p".into(), label: label.into(), print: "print".into() }
}

fn refused(class: Class, status: u16) -> ProviderError {
    ProviderError::new(class, Scope::Key, "it said: canary-canary-1").with_status(status)
}

fn marked(label: &str, class: Class, lasts: Option<u64>) -> Change {
    let mark = mark(&refused(class, 429), lasts.map(Duration::from_secs), 1).unwrap();
    Change::Marked { key: key(label), model: None, mark }
}

fn until(standing: &Standing) -> Option<u64> {
    match standing {
        Standing::Cooling(mark) => mark.lasts.map(|l| l / 1000),
        Standing::Ready | Standing::Disabled(_) => None,
    }
}

#[test]
fn what_one_process_finds_out_the_next_one_knows() {
    let home = Home::new();
    let one = home.open();
    one.learn(marked("a", Class::RateLimit, Some(60)));
    one.learn(Change::Marked {
        key: key("a"),
        model: Some("m".into()),
        mark: mark(&refused(Class::Quota, 429), Some(Duration::from_secs(9)), 3).unwrap(),
    });
    one.learn(marked("b", Class::Auth, None));
    one.learn(Change::Used(key("c")));
    drop(one);
    let two = home.open();
    assert_eq!((until(&two.of(&key("a"))), two.last("p")), (Some(60), Some("c".into())));
    let b = two.of(&key("b"));
    assert!(matches!(&b, Standing::Disabled(m) if m.error.message == "it said: [redacted:KEY]"), "{b:?}");
    assert_eq!(two.marks(&key("a")).models["m"].in_a_row, 3);
    assert_eq!(two.of(&KeyId { print: "another value".into(), ..key("b") }), Standing::Ready, "a key that was changed is another key");
    two.learn(Change::Answered { key: key("a"), model: "m".into() });
    two.set(Change::Forgotten { provider: "p".into(), label: "b".into() }).unwrap();
    let three = home.open();
    assert_eq!([three.of(&key("a")), three.of(&key("b"))], [Standing::Ready, Standing::Ready]);
    assert_eq!(three.marks(&key("a")).models.len(), 0);
    let text = std::fs::read_to_string(home.file()).unwrap();
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn the_longer_of_two_marks_wins_whoever_made_it() {
    let home = Home::new();
    let (one, two) = (home.open(), home.open());
    one.learn(marked("a", Class::RateLimit, Some(600)));
    two.learn(marked("a", Class::RateLimit, Some(60)));
    assert_eq!(until(&two.of(&key("a"))), Some(600), "it learns of the other's when it writes its own");
    two.learn(marked("b", Class::Auth, None));
    one.learn(marked("b", Class::RateLimit, Some(60)));
    assert!(matches!(home.open().of(&key("b")), Standing::Disabled(_)));
}

#[test]
fn writers_at_the_same_time_lose_nothing_of_each_other() {
    let home = Home::new();
    std::thread::scope(|s| {
        for n in 0..8 {
            let standings = home.open();
            s.spawn(move || {
                for m in 0..4 {
                    standings.learn(marked(&format!("{n}-{m}"), Class::RateLimit, Some(60)));
                }
            });
        }
    });
    let all = home.open();
    let known = (0..8).flat_map(|n| (0..4).map(move |m| format!("{n}-{m}"))).filter(|l| until(&all.of(&key(l))) == Some(60)).count();
    assert_eq!(known, 32);
}

#[test]
fn a_file_that_is_no_use_is_in_nobody_s_way() {
    for (text, kept) in [("", false), ("{", false), ("\0\0\0", false), (r#"{"v":1,"providers":[]}"#, false), (r#"{"v":2,"x":1}"#, true)] {
        let home = Home::new();
        std::fs::create_dir_all(home.file().parent().unwrap()).unwrap();
        std::fs::write(home.file(), text).unwrap();
        let standings = home.open();
        standings.learn(marked("a", Class::RateLimit, Some(60)));
        assert_eq!(until(&standings.of(&key("a"))), Some(60), "{text}");
        drop(standings);
        assert_eq!(std::fs::read_to_string(home.file()).unwrap() == text, kept, "{text}");
    }
    let home = Home::new();
    std::fs::write(home.0.path().join("state"), "a file where the folder should be").unwrap();
    let standings = home.open();
    standings.learn(marked("a", Class::RateLimit, Some(60)));
    assert_eq!(until(&standings.of(&key("a"))), Some(60));
    assert!(standings.set(Change::Forgotten { provider: "p".into(), label: "a".into() }).is_err(), "a command says that it failed");
}

#[test]
fn only_what_a_provider_says_of_the_key_is_held_against_it() {
    let lasts = |e: &ProviderError| mark(e, Some(Duration::from_secs(7)), 1).map(|m| m.lasts);
    assert_eq!(lasts(&refused(Class::Auth, 401)), Some(None));
    assert_eq!(lasts(&refused(Class::Permission, 403)), Some(None));
    assert_eq!(lasts(&refused(Class::RateLimit, 429)), Some(Some(7000)));
    assert_eq!(mark(&refused(Class::Billing, 402), None, 1).map(|m| m.lasts), Some(Some(3_600_000)), "somebody may pay");
    for class in [Class::BadRequest, Class::ContextTooLong, Class::ContentFilter, Class::Server, Class::Overloaded, Class::NotFound] {
        assert_eq!(lasts(&refused(class, 400)), None, "{class:?}");
    }
    let unsaid = ProviderError::new(Class::Auth, Scope::Key, "the keyring did not open");
    assert_eq!(lasts(&unsaid), None);
    assert_eq!(lasts(&ProviderError { scope: Scope::Provider, ..refused(Class::Auth, 401) }), None);
}

proptest! {
    /// Whatever the clock says, nothing lasts longer than it was meant to, and everything ends.
    #[test]
    fn a_wrong_clock_makes_nothing_longer(at in 0u64..10_000_000, lasts in 0u64..5_000_000, now in 0u64..30_000_000) {
        let mark = Mark { at, lasts: Some(lasts), in_a_row: 1, error: refused(Class::RateLimit, 429) };
        let left = mark.left(now).unwrap();
        prop_assert!(left <= Duration::from_millis(lasts));
        prop_assert_eq!(mark.is_over(now), now >= at + lasts || lasts == 0);
    }
}
