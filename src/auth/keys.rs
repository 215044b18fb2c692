//! Keys from the environment and from the config folder's `.env`.

use super::dotenv;
use super::oauth::Login;
use crate::base::places::Places;
use crate::base::redact::Redactor;
use crate::base::{Cause, Failure};
use crate::catalog::{Provider, Usable};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A secret and the name it goes by. Only [`Key::secret`] gives the value away.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    label: String,
    secret: String,
}

impl Key {
    /// The variable that it came from; safe to show and to store.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The value, for the one header that carries it.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Enough to tell two keys apart: `sk-...abcd`. Short keys show nothing.
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.secret.chars().collect();
        if chars.len() < 16 {
            return "...".to_owned();
        }
        let head: String = chars.iter().take(3).collect();
        let tail: String = chars.iter().skip(chars.len() - 4).collect();
        format!("{head}...{tail}")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ...)", self.label)
    }
}

/// How a provider is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    Key(Key),
    Login(Login),
    /// The provider asks for no key.
    Open,
}

impl Access {
    pub fn login(&self) -> Option<&Login> {
        match self {
            Self::Login(login) => Some(login),
            Self::Key(_) | Self::Open => None,
        }
    }

    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Login(_) | Self::Open => None,
        }
    }
}

/// All keys that could be used.
pub struct Keys<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    file: BTreeMap<String, String>,
    file_path: PathBuf,
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("file", &self.file.keys()).finish_non_exhaustive()
    }
}

impl<'e> Keys<'e> {
    /// Reads `<config>/.env`; `env` wins over it.
    pub fn load(places: &Places, env: &'e dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let file_path = places.config.join(".env");
        let file = dotenv::read(&file_path)?.into_iter().collect();
        Ok(Self { env, file, file_path })
    }

    /// The provider's key from the first of its variables that is set and not blank. Of several values separated by
    /// commas the first is taken. None at all is an `auth` failure that says which variables would do.
    pub fn access(&self, provider: &Provider) -> Result<Access, Failure> {
        let names = &provider.api_key_env;
        if names.is_empty() && provider.login.is_some() {
            return Err(Failure::new(Cause::Auth, format!("{} wants a login, not a key", provider.id))
                .hint(format!("pup auth login {}", provider.id)));
        }
        if names.is_empty() {
            return Ok(Access::Open);
        }
        let Some(key) = names.iter().find_map(|name| self.find(name)) else {
            let first = names.first().map_or("", String::as_str);
            let are = if names.len() == 1 { "is not set" } else { "are not set" };
            return Err(Failure::new(Cause::Auth, format!("there is no key for {}: {} {are}", provider.id, names.join(", ")))
                .hint(format!("export {first}=..., or write {first}=... into {}", self.file_path.display())));
        };
        if key.secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Access::Key(key));
        }
        Err(Failure::new(Cause::Auth, format!("{} holds a space, a line break or another character that no key has", key.label))
            .hint("copy the key again, without anything around it"))
    }

    /// Whether [`Keys::access`] finds a way in.
    pub fn has(&self, provider: &Provider) -> bool {
        self.usable(provider) == Usable::Yes
    }

    /// The same, with the reason. Whether a server answers where none needs a key is not known here.
    pub fn usable(&self, provider: &Provider) -> Usable {
        match (provider.api_key_env.as_slice(), provider.login) {
            ([], Some(_)) => Usable::NoLogin,
            ([], None) => Usable::Yes,
            (names, _) if names.iter().any(|name| self.find(name).is_some()) => Usable::Yes,
            _ => Usable::NoKey,
        }
    }

    /// Teaches `redactor` every value of the `.env` file and every provider key in use.
    pub fn teach<'p>(&self, redactor: &Redactor, providers: impl IntoIterator<Item = &'p Provider>) {
        for (name, value) in &self.file {
            redactor.learn(name, value.trim());
        }
        for name in providers.into_iter().flat_map(|p| &p.api_key_env) {
            for value in self.values(name).iter().flat_map(|v| v.split(',')) {
                redactor.learn(name, value.trim());
            }
        }
    }

    fn values(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|v| !v.trim().is_empty()).or_else(|| self.file.get(name).cloned())
    }

    fn find(&self, name: &str) -> Option<Key> {
        let all = self.values(name)?;
        let secret = all.split(',').map(str::trim).find(|v| !v.is_empty())?.to_owned();
        Some(Key { label: name.to_owned(), secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(dotenv: &str) -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            std::fs::write(home.0.path().join(".env"), dotenv).unwrap();
            home
        }

        fn places(&self) -> Places {
            let d = self.0.path().to_path_buf();
            Places { config: d.clone(), state: d.clone(), cache: d }
        }
    }

    fn access(dotenv: &str, vars: &[(&str, &str)], provider: &str) -> Result<Access, String> {
        let home = Home::new(dotenv);
        let env = |n: &str| vars.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        let show = |f: Failure| {
            format!("{}: {}\nhint: {}", f.cause.as_str(), f.message, f.hint.unwrap_or_default())
                .replace(&home.0.path().display().to_string(), "~")
        };
        let catalog = Catalog::load(&home.places(), None, &env).unwrap();
        let keys = Keys::load(&home.places(), &env).map_err(show)?;
        let provider = catalog.provider(provider).unwrap();
        let found = keys.access(provider);
        assert!(found.is_err() || keys.has(provider));
        found.map_err(show)
    }

    fn key(dotenv: &str, vars: &[(&str, &str)], provider: &str) -> (String, String) {
        let Access::Key(key) = access(dotenv, vars, provider).unwrap() else { panic!("no key needed") };
        (key.label().to_owned(), key.secret().to_owned())
    }

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.to_owned(), b.to_owned())
    }

    #[test]
    fn the_first_variable_that_is_set_wins() {
        let vars = [("GOOGLE_AI_KEY", "  "), ("GOOGLE_API_KEY", " second \n"), ("GEMINI_API_KEY", "third")];
        assert_eq!(key("", &vars, "gemini"), pair("GOOGLE_API_KEY", "second"));
        assert_eq!(key("", &[("OPENAI_API_KEY", ", one , two")], "openai"), pair("OPENAI_API_KEY", "one"));
        assert_eq!(access("", &[], "local"), Ok(Access::Open));
    }

    #[test]
    fn the_env_file_of_the_config_folder_is_second() {
        let file = "# mine\n\nexport GROQ_API_KEY='from-file'  # the work one\r\nOPENAI_API_KEY=\"a\"\nTOGETHER_API_KEY = bare # note\n";
        assert_eq!(key(file, &[], "groq"), pair("GROQ_API_KEY", "from-file"));
        assert_eq!(key(file, &[("GROQ_API_KEY", "from-env")], "groq"), pair("GROQ_API_KEY", "from-env"));
        assert_eq!(key(file, &[("GROQ_API_KEY", "")], "groq"), pair("GROQ_API_KEY", "from-file"));
        assert_eq!(key(file, &[], "together"), pair("TOGETHER_API_KEY", "bare"));
    }

    #[test]
    fn what_people_see() {
        insta::assert_snapshot!(access("", &[], "openai").unwrap_err(), @r#"
        auth: there is no key for openai: OPENAI_API_KEY is not set
        hint: export OPENAI_API_KEY=..., or write OPENAI_API_KEY=... into ~/.env
        "#);
        insta::assert_snapshot!(access("", &[("GEMINI_API_KEY", "")], "gemini").unwrap_err(), @r#"
        auth: there is no key for gemini: GOOGLE_AI_KEY, GOOGLE_API_KEY, GEMINI_API_KEY are not set
        hint: export GOOGLE_AI_KEY=..., or write GOOGLE_AI_KEY=... into ~/.env
        "#);
        insta::assert_snapshot!(access("", &[("ANTHROPIC_API_KEY", "k")], "claude_code").unwrap_err(), @r#"
        auth: claude_code wants a login, not a key
        hint: pup auth login claude_code
        "#);
        insta::assert_snapshot!(access("", &[("OPENAI_API_KEY", "sk-a b")], "openai").unwrap_err(), @r#"
        auth: OPENAI_API_KEY holds a space, a line break or another character that no key has
        hint: copy the key again, without anything around it
        "#);
        insta::assert_snapshot!(access("A=1\nsk-canary-canary-canary\n", &[], "openai").unwrap_err(), @r#"
        config: ~/.env:2: this line is not of the form NAME=VALUE
        hint: one assignment a line; put `#` before a comment; a quoted value ends on its line
        "#);
        insta::assert_snapshot!(access("A=\"open\n", &[], "openai").unwrap_err(), @r#"
        config: ~/.env:1: this line is not of the form NAME=VALUE
        hint: one assignment a line; put `#` before a comment; a quoted value ends on its line
        "#);
    }

    #[test]
    fn a_key_never_shows_itself_and_is_redacted_everywhere() {
        let home = Home::new("ACME_THING=canary-from-the-file\n");
        let env = |n: &str| (n == "OPENAI_API_KEY").then(|| "canary-one-00000,canary-two-00000".to_owned());
        let catalog = Catalog::load(&home.places(), None, &env).unwrap();
        let keys = Keys::load(&home.places(), &env).unwrap();
        let access = keys.access(catalog.provider("openai").unwrap()).unwrap();
        assert!(!format!("{access:?} {keys:?}").contains("canary"), "{access:?} {keys:?}");
        let redactor = Redactor::default();
        keys.teach(&redactor, catalog.providers().iter().map(AsRef::as_ref));
        let text = "canary-one-00000 canary-two-00000 canary-from-the-file";
        assert_eq!(redactor.redact(text), "[redacted:OPENAI_API_KEY] [redacted:OPENAI_API_KEY] [redacted:ACME_THING]");
    }
}
