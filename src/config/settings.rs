//! The settings as types, for the code that uses them.

use super::layers::Config;
use super::value::Value;
use std::path::PathBuf;
use std::time::Duration;

/// What tools may do without a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approve {
    Ask,
    Edits,
    All,
    ReadOnly,
    /// The same for a conversation that is to end with a plan, which the model is told.
    Plan,
}

impl Approve {
    /// From the word of the command line and the config.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "ask" => Some(Self::Ask),
            "edits" => Some(Self::Edits),
            "all" => Some(Self::All),
            "read-only" => Some(Self::ReadOnly),
            "plan" => Some(Self::Plan),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Edits => "edits",
            Self::All => "all",
            Self::ReadOnly => "read-only",
            Self::Plan => "plan",
        }
    }
}

/// Where new secrets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The keyring where there is one, else the file.
    #[default]
    Auto,
    Keyring,
    File,
}

impl Backend {
    /// From the word of the config.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "keyring" => Some(Self::Keyring),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

/// Which of several keys of a provider is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rotation {
    /// The one that was used last, until it fails.
    #[default]
    Sticky,
    /// The next one with every call that nothing binds to a key.
    RoundRobin,
}

impl Rotation {
    /// From the word of the config.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "sticky" => Some(Self::Sticky),
            "round_robin" => Some(Self::RoundRobin),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::RoundRobin => "round_robin",
        }
    }
}

/// Whether links behind the first one are used where that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failover {
    #[default]
    Auto,
    /// After a question, where somebody can be asked; else not.
    Ask,
    /// Only the first model, with all of its keys.
    Never,
}

impl Failover {
    pub const WORDS: &'static [&'static str] = &["auto", "ask", "never"];

    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "ask" => Some(Self::Ask),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// What may be spent, in US dollars; none is no limit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Budget {
    pub daily: Option<f64>,
    /// Whether the user said so, and it is not only what is built in.
    pub daily_is_set: bool,
    pub monthly: Option<f64>,
    pub monthly_is_set: bool,
    pub session: Option<f64>,
    /// A day's, by provider id.
    pub providers: Vec<(String, f64)>,
    /// Prices per million tokens of input and output where none is known.
    pub ceiling: Option<(f64, f64)>,
}

/// Everything in force. The meaning of each field stands beside its key (`super::KEYS`).
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub model: Option<String>,
    pub paid_models: bool,
    pub agent: String,
    pub approve: Option<Approve>,
    pub max_turns: u32,
    pub compact: bool,
    pub timeout: Option<Duration>,
    pub loop_guard: u32,
    pub failover: Failover,
    /// Of single workloads, by their names in lower case.
    pub failovers: Vec<(&'static str, Failover)>,
    pub budget: Budget,
    pub auth: Auth,
    pub cli: Cli,
    pub http: Http,
    pub shell: Shell,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    pub store: Backend,
    pub rotation: Rotation,
}

/// Where programs are that are not to be searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli {
    pub claude: Option<PathBuf>,
    pub codex: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    pub connect_timeout: Duration,
    pub first_byte_timeout: Duration,
    pub idle_timeout: Duration,
    pub deadline: Duration,
    /// `None`: until the deadline.
    pub retries: Option<u32>,
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    pub timeout: Duration,
    /// Bytes.
    pub max_output: usize,
}

impl Config {
    /// The values in force, typed. Keys with a default in the table always have a value.
    pub fn settings(&self) -> Settings {
        Settings {
            model: self.text("model"),
            paid_models: matches!(self.get("paid_models"), Some(Value::Flag(true))),
            agent: self.text("agent").unwrap_or_default(),
            approve: self.text("approve").as_deref().and_then(Approve::from_word),
            max_turns: self.count("max_turns").unwrap_or(u32::MAX),
            compact: !matches!(self.get("compact"), Some(Value::Flag(false))),
            timeout: self.duration("timeout"),
            loop_guard: self.count("loop_guard").unwrap_or(u32::MAX),
            failover: self.text("failover").as_deref().and_then(Failover::from_word).unwrap_or_default(),
            failovers: ["orchestrator", "reasoning", "coding", "librarian"]
                .into_iter()
                .filter_map(|w| Some((w, Failover::from_word(&self.text(&format!("failover_{w}"))?)?)))
                .collect(),
            budget: Budget {
                daily: self.amount("budget.daily"),
                daily_is_set: self.is_set("budget.daily"),
                monthly: self.amount("budget.monthly"),
                monthly_is_set: self.is_set("budget.monthly"),
                session: self.amount("budget.session"),
                providers: self.amounts("budget.providers"),
                ceiling: ceiling(&self.amounts("budget.ceiling")),
            },
            auth: Auth {
                store: self.text("auth.store").as_deref().and_then(Backend::from_word).unwrap_or_default(),
                rotation: self.text("auth.rotation").as_deref().and_then(Rotation::from_word).unwrap_or_default(),
            },
            cli: Cli { claude: self.text("cli.claude").map(PathBuf::from), codex: self.text("cli.codex").map(PathBuf::from) },
            http: Http {
                connect_timeout: self.duration("http.connect_timeout").unwrap_or(Duration::MAX),
                first_byte_timeout: self.duration("http.first_byte_timeout").unwrap_or(Duration::MAX),
                idle_timeout: self.duration("http.idle_timeout").unwrap_or(Duration::MAX),
                deadline: self.duration("http.deadline").unwrap_or(Duration::MAX),
                retries: self.count("http.retries"),
                ca_file: self.text("http.ca_file").map(PathBuf::from),
            },
            shell: Shell {
                timeout: self.duration("shell.timeout").unwrap_or(Duration::MAX),
                max_output: self.count("shell.max_output").and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
            },
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        if let Some(Value::Text(text)) = self.get(name) { Some(text.clone()) } else { None }
    }

    fn count(&self, name: &str) -> Option<u32> {
        if let Some(Value::Count(n)) = self.get(name) { u32::try_from(*n).ok() } else { None }
    }

    fn amount(&self, name: &str) -> Option<f64> {
        if let Some(Value::Amount(n)) = self.get(name) { *n } else { None }
    }

    fn amounts(&self, name: &str) -> Vec<(String, f64)> {
        if let Some(Value::Amounts(all)) = self.get(name) { all.clone() } else { Vec::new() }
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        if let Some(Value::Duration(d)) = self.get(name) { Some(*d) } else { None }
    }
}

/// Both prices; one alone bounds nothing.
fn ceiling(prices: &[(String, f64)]) -> Option<(f64, f64)> {
    let of = |wanted: &str| prices.iter().find(|(name, _)| name == wanted).map(|(_, price)| *price);
    of("input").zip(of("output"))
}
