//! Which keys a provider has, in which order, and what is said of those that cannot be used.

#![allow(clippy::redundant_closure_for_method_calls, reason = "the methods are of one lifetime, and `look` hands out any")]

use super::*;
use crate::catalog::Catalog;

struct Home {
    dir: tempfile::TempDir,
    vars: Vec<(&'static str, &'static str)>,
}

impl Home {
    fn new(dotenv: &str, vars: &[(&'static str, &'static str)]) -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap(), vars: vars.to_vec() };
        std::fs::write(home.dir.path().join(".env"), dotenv).unwrap();
        home
    }

    fn places(&self) -> Places {
        let d = self.dir.path().to_path_buf();
        Places { config: d.clone(), state: d.clone(), cache: d }
    }

    /// What `look` sees of a provider's keys.
    fn look<T>(&self, provider: &str, look: impl FnOnce(&Keys<'_>, &Provider) -> T) -> Result<T, Failure> {
        let env = |n: &str| self.vars.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        let catalog = Catalog::load(&self.places(), None, &env).unwrap();
        let keys = Keys::load(&self.places(), &env, Backend::File, &Redactor::default())?;
        Ok(look(&keys, catalog.provider(provider).unwrap()))
    }

    /// Label and secret of each key that would be used.
    fn usable(&self, provider: &str) -> Vec<(String, String)> {
        let all = self.look(provider, |keys, p| keys.access(p)).unwrap().unwrap();
        let pair = |a: &Access| a.key().map(|k| (k.label().to_owned(), k.secret().unwrap().expose().to_owned()));
        all.iter().map(|a| pair(a).unwrap()).collect()
    }

    fn refused(&self, provider: &str) -> String {
        let failure = match self.look(provider, |keys, p| (keys.access(p), keys.has(p))) {
            Ok((found, has)) => {
                assert!(!has || found.as_ref().is_err_and(|f| f.message.contains("that no key has") || f.message.contains("quotes")));
                found.unwrap_err()
            }
            Err(failure) => failure,
        };
        let text = format!("{}: {}\nhint: {}", failure.cause.as_str(), failure.message, failure.hint.unwrap_or_default());
        text.replace(&self.dir.path().display().to_string(), "~")
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.places(), Backend::File).unwrap()
    }
}

fn keys(dotenv: &str, vars: &[(&'static str, &'static str)], provider: &str) -> Vec<(String, String)> {
    Home::new(dotenv, vars).usable(provider)
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[test]
fn the_first_variable_that_is_set_wins() {
    let vars = [("GOOGLE_AI_KEY", "  "), ("GOOGLE_API_KEY", " second \n"), ("GEMINI_API_KEY", "third")];
    assert_eq!(keys("", &vars, "gemini"), [pair("GOOGLE_API_KEY", "second")]);
    assert_eq!(Home::new("", &[]).look("local", |keys, p| keys.access(p)).unwrap(), Ok(vec![Access::Open]));
}

#[test]
fn one_variable_and_its_numbered_sisters_hold_many_keys() {
    let vars = [
        ("OPENAI_API_KEY", ", one , two,\tone\u{a0}"),
        ("OPENAI_API_KEY_2", "three"),
        ("OPENAI_API_KEY_3", "four,five"),
        ("OPENAI_API_KEY_5", "six"),
    ];
    let wanted = [
        pair("OPENAI_API_KEY", "one"),
        pair("OPENAI_API_KEY#2", "two"),
        pair("OPENAI_API_KEY_2", "three"),
        pair("OPENAI_API_KEY_3", "four"),
        pair("OPENAI_API_KEY_3#2", "five"),
    ];
    assert_eq!(keys("", &vars, "openai"), wanted, "a value that comes again is one key; the count ends with a gap");
    let numbered = [("GOOGLE_API_KEY_1", "a"), ("GOOGLE_API_KEY_2", "b"), ("GEMINI_API_KEY", "c")];
    assert_eq!(
        keys("GOOGLE_API_KEY_3=d\n", &numbered, "gemini"),
        [pair("GOOGLE_API_KEY_1", "a"), pair("GOOGLE_API_KEY_2", "b"), pair("GOOGLE_API_KEY_3", "d")]
    );
    let home = Home::new("", &vars);
    let env = |n: &str| home.vars.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
    let hidden = home.look("openai", |_, p| variables(p, &env)).unwrap();
    assert_eq!(hidden, ["OPENAI_API_KEY", "OPENAI_API_KEY_1", "OPENAI_API_KEY_2", "OPENAI_API_KEY_3"]);
}

#[test]
fn keys_of_the_vault_stand_behind_those_of_the_environment() {
    let home = Home::new("", &[("GROQ_API_KEY", "from-env")]);
    home.vault().put(&vault_id("groq", "work"), &Secret::new("from-vault")).unwrap();
    home.vault().put(&vault_id("groq", "again"), &Secret::new("from-env")).unwrap();
    home.vault().put(&vault_id("groq2", "x"), &Secret::new("of another")).unwrap();
    assert_eq!(home.usable("groq"), [pair("GROQ_API_KEY", "from-env"), pair("work", "from-vault")]);
    let bare = Home { vars: Vec::new(), ..home };
    assert_eq!(bare.usable("groq"), [pair("again", "from-env"), pair("work", "from-vault")]);
    // A vault that cannot be read is in the way only of who needs it.
    std::fs::write(bare.dir.path().join("vault.json"), r#"{"v":9}"#).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(bare.dir.path().join("vault.json"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(bare.refused("groq").contains("newer pup"), "{}", bare.refused("groq"));
    let with_key = Home { vars: vec![("GROQ_API_KEY", "k")], ..bare };
    assert_eq!(with_key.usable("groq"), [pair("GROQ_API_KEY", "k")]);
    assert!(matches!(&with_key.look("groq", |keys, _| keys.file_notes()).unwrap()[..], [note] if note.contains("newer pup")));
}

#[test]
fn a_key_that_was_refused_is_passed_over_until_it_changes() {
    use crate::auth::standing::{Change, mark};
    use crate::model::{Class, ProviderError, Scope};
    let home = Home::new("", &[("OPENAI_API_KEY", "bad,good")]);
    let refusal = ProviderError::new(Class::Auth, Scope::Key, "no such key: bad").with_status(401);
    home.look("openai", |keys, p| {
        let key = keys.of(p)[0].key.id("openai");
        keys.standings().learn(Change::Marked { key, model: None, mark: mark(&refusal, None, 1).unwrap() });
    })
    .unwrap();
    assert_eq!(home.usable("openai"), [pair("OPENAI_API_KEY#2", "good")]);
    let notes = home.look("openai", |keys, p| keys.notes(p)).unwrap();
    assert!(
        matches!(&notes[..], [n] if n.contains("OPENAI_API_KEY is disabled since") && n.contains("pup auth enable openai OPENAI_API_KEY")),
        "{notes:?}"
    );
    let alone = Home { vars: vec![("OPENAI_API_KEY", "bad")], ..home };
    assert_eq!(alone.look("openai", |keys, p| keys.usable(p)).unwrap(), Usable::KeysDisabled);
    assert!(alone.refused("openai").contains("auth (HTTP 401): no such key: bad"), "{}", alone.refused("openai"));
    let moved = Home { vars: vec![("OPENAI_API_KEY", "bad"), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")], ..alone };
    assert_eq!(moved.usable("openai"), [pair("OPENAI_API_KEY", "bad")], "another place may know it");
    let changed = Home { vars: vec![("OPENAI_API_KEY", "new")], ..moved };
    assert_eq!(changed.usable("openai"), [pair("OPENAI_API_KEY", "new")]);
}

#[test]
fn the_env_file_of_the_config_folder_is_second() {
    let file = "# mine\n\nexport GROQ_API_KEY='from-file'  # the work one\r\nOPENAI_API_KEY=\"a\"\nTOGETHER_API_KEY = bare # note\n";
    assert_eq!(keys(file, &[], "groq"), [pair("GROQ_API_KEY", "from-file")]);
    assert_eq!(keys(file, &[("GROQ_API_KEY", "from-env")], "groq"), [pair("GROQ_API_KEY", "from-env")]);
    assert_eq!(keys(file, &[("GROQ_API_KEY", "")], "groq"), [pair("GROQ_API_KEY", "from-file")]);
    assert_eq!(keys(file, &[], "together"), [pair("TOGETHER_API_KEY", "bare")]);
}

#[test]
fn what_people_see() {
    let refused = |dotenv: &str, vars: &[(&'static str, &'static str)], provider: &str| Home::new(dotenv, vars).refused(provider);
    insta::assert_snapshot!(refused("", &[], "openai"), @r#"
    auth: there is no key for openai: OPENAI_API_KEY is not set
    hint: export OPENAI_API_KEY=..., or write OPENAI_API_KEY=... into ~/.env, or keep it safe: pup auth add-key openai
    "#);
    insta::assert_snapshot!(refused("", &[("GEMINI_API_KEY", "")], "gemini"), @r#"
    auth: there is no key for gemini: GOOGLE_AI_KEY, GOOGLE_API_KEY, GEMINI_API_KEY are not set
    hint: export GOOGLE_AI_KEY=..., or write GOOGLE_AI_KEY=... into ~/.env, or keep it safe: pup auth add-key gemini
    "#);
    insta::assert_snapshot!(refused("", &[("ANTHROPIC_API_KEY", "k")], "claude_code"), @"
    auth: claude_code wants a login, not a key
    hint: pup auth login claude_code
    ");
    insta::assert_snapshot!(refused("", &[("OPENAI_API_KEY", "sk-a b")], "openai"), @r#"
    auth: OPENAI_API_KEY holds a space, a line break or another character that no key has
    hint: copy the key again, without anything around it
    "#);
    insta::assert_snapshot!(refused("", &[("OPENAI_API_KEY", "'sk-abc'")], "openai"), @r#"
    auth: OPENAI_API_KEY is wrapped in quotes, which no key has
    hint: copy the key again, without anything around it
    "#);
    insta::assert_snapshot!(refused("A=1\nsk-canary-canary-canary\n", &[], "openai"), @r#"
    config: ~/.env:2: this line is not of the form NAME=VALUE
    hint: one assignment a line; put `#` before a comment; a quoted value ends on its line
    "#);
    insta::assert_snapshot!(refused("A=\"open\n", &[], "openai"), @r#"
    config: ~/.env:1: this line is not of the form NAME=VALUE
    hint: one assignment a line; put `#` before a comment; a quoted value ends on its line
    "#);
    assert_eq!(
        keys("", &[("OPENAI_API_KEY", "two words,good")], "openai"),
        [pair("OPENAI_API_KEY#2", "good")],
        "one that is none does not spoil the rest"
    );
}

#[test]
fn a_key_never_shows_itself_and_is_redacted_everywhere() {
    let home = Home::new("ACME_THING=canary-from-the-file\n", &[]);
    home.vault().put(&vault_id("openai", "work"), &Secret::new("canary-of-the-vault")).unwrap();
    let env = |n: &str| match n {
        "OPENAI_API_KEY" => Some("canary-one-00000,canary-two-00000".to_owned()),
        "OPENAI_API_KEY_2" => Some("canary-three-000".to_owned()),
        _ => None,
    };
    let catalog = Catalog::load(&home.places(), None, &env).unwrap();
    let redactor = Redactor::default();
    let keys = Keys::load(&home.places(), &env, Backend::File, &redactor).unwrap();
    let openai = catalog.provider("openai").unwrap();
    let (access, known) = (keys.access(openai).unwrap(), keys.of(openai));
    assert_eq!(access.len(), 4);
    assert!(!format!("{access:?} {keys:?} {known:?} {redactor:?}").contains("canary"), "{access:?} {keys:?}");
    keys.teach(catalog.providers().iter().map(AsRef::as_ref));
    let text = "canary-one-00000 canary-two-00000 canary-three-000 canary-from-the-file canary-of-the-vault";
    insta::assert_snapshot!(redactor.redact(text), @"[redacted:OPENAI_API_KEY] [redacted:OPENAI_API_KEY#2] [redacted:OPENAI_API_KEY_2] [redacted:ACME_THING] [redacted:key/openai/work]");
}
