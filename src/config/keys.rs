//! Every setting that there is: name, kind, default and purpose. Parsing, validation, `pup config` and the published
//! schema all read this table.

use super::settings::Failover;
use crate::base::{Failure, nearest};

/// What a setting may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// The absolute path of a file.
    Path,
    OneOf(&'static [&'static str]),
    /// A whole number, at least this.
    Count {
        least: u64,
    },
    /// More than no time at all.
    Duration,
    /// True or false.
    Flag,
    /// US dollars; `off` where none.
    Amount,
    /// `a=1.5, b=2`: dollars by name.
    Amounts,
}

/// A setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Dots are tables of the file.
    pub name: &'static str,
    pub kind: Kind,
    /// As a person would write it; `None` means that it is not set.
    pub default: Option<&'static str>,
    pub doc: &'static str,
}

pub const KEYS: &[Key] = &[
    Key { name: "model", kind: Kind::Text, default: None, doc: "Model to use: a catalogue id, or PROVIDER/NAME." },
    Key {
        name: "paid_models",
        kind: Kind::Flag,
        default: Some("true"),
        doc: "Whether models that cost money are used. `USE_PAID_MODELS` sets it too.",
    },
    Key { name: "agent", kind: Kind::Text, default: Some("code-puppy"), doc: "Agent to use." },
    Key {
        name: "approve",
        kind: Kind::OneOf(&["ask", "edits", "all", "read-only", "plan"]),
        default: None,
        doc: "What tools may do without a question. Unset: `ask` on a terminal, else `edits`.",
    },
    Key { name: "max_turns", kind: Kind::Count { least: 1 }, default: Some("200"), doc: "Model calls in one run." },
    Key {
        name: "compact",
        kind: Kind::Flag,
        default: Some("true"),
        doc: "Whether a conversation is made smaller before it is too long for its model.",
    },
    Key { name: "timeout", kind: Kind::Duration, default: None, doc: "Longest time of one run. Unset: no limit." },
    Key {
        name: "loop_guard",
        kind: Kind::Count { least: 2 },
        default: Some("24"),
        doc: "How often the same call with the same result may come before the run is stopped.",
    },
    Key {
        name: "auth.store",
        kind: Kind::OneOf(&["auto", "keyring", "file"]),
        default: Some("auto"),
        doc: "Where `pup auth` keeps secrets. `auto`: in the keyring where there is one, else in a file that only you can read.",
    },
    Key {
        name: "auth.rotation",
        kind: Kind::OneOf(&["sticky", "round_robin"]),
        default: Some("sticky"),
        doc: "Which of several keys of a provider is used. `sticky`: the last one, until it fails; `round_robin`: the next one with every call.",
    },
    Key {
        name: "failover",
        kind: Kind::OneOf(Failover::WORDS),
        default: Some("auto"),
        doc: "Whether another model goes on where the chosen one cannot. `ask` asks on a terminal, and is `never` elsewhere.",
    },
    Key {
        name: "failover_orchestrator",
        kind: Kind::OneOf(Failover::WORDS),
        default: None,
        doc: "The same for agents whose workload is ORCHESTRATOR.",
    },
    Key {
        name: "failover_reasoning",
        kind: Kind::OneOf(Failover::WORDS),
        default: None,
        doc: "The same for agents whose workload is REASONING.",
    },
    Key {
        name: "failover_coding",
        kind: Kind::OneOf(Failover::WORDS),
        default: None,
        doc: "The same for agents whose workload is CODING.",
    },
    Key {
        name: "failover_librarian",
        kind: Kind::OneOf(Failover::WORDS),
        default: None,
        doc: "The same for agents whose workload is LIBRARIAN.",
    },
    Key {
        name: "budget.daily",
        kind: Kind::Amount,
        default: Some("50"),
        doc: "The most that may be spent a day (UTC) on models that cost money, in US dollars; `off` for no limit.",
    },
    Key { name: "budget.monthly", kind: Kind::Amount, default: Some("500"), doc: "The same for a month." },
    Key { name: "budget.session", kind: Kind::Amount, default: None, doc: "The same for one session." },
    Key {
        name: "budget.providers",
        kind: Kind::Amounts,
        default: None,
        doc: "The same for a day on single providers: `openai=5, xai=2.50`.",
    },
    Key {
        name: "budget.ceiling",
        kind: Kind::Amounts,
        default: None,
        doc: "Prices to reckon with where none is known, in US dollars per million tokens: `input=10, output=50`.",
    },
    Key {
        name: "cli.claude",
        kind: Kind::Path,
        default: None,
        doc: "Anthropic's `claude` program, for the provider `claude_cli`. Unset: the first one on the search path.",
    },
    Key {
        name: "cli.codex",
        kind: Kind::Path,
        default: None,
        doc: "OpenAI's `codex` program, for the provider `codex_cli`. Unset: the first one on the search path.",
    },
    Key { name: "http.connect_timeout", kind: Kind::Duration, default: Some("10s"), doc: "Wait for a connection to a provider." },
    Key {
        name: "http.first_byte_timeout",
        kind: Kind::Duration,
        default: Some("2m"),
        doc: "Wait from a request to the first byte of its answer.",
    },
    Key { name: "http.idle_timeout", kind: Kind::Duration, default: Some("90s"), doc: "Wait between two pieces of a stream." },
    Key {
        name: "http.deadline",
        kind: Kind::Duration,
        default: Some("10m"),
        doc: "Longest time of one model call in `pup run`, retries included.",
    },
    Key {
        name: "http.retries",
        kind: Kind::Count { least: 0 },
        default: None,
        doc: "Retries of one model call on the last usable link. Unset: until the deadline.",
    },
    Key {
        name: "http.ca_file",
        kind: Kind::Path,
        default: None,
        doc: "PEM file of certificate authorities that are believed besides the system's. `SSL_CERT_FILE` names one too.",
    },
    Key { name: "shell.timeout", kind: Kind::Duration, default: Some("2m"), doc: "Longest time of one command, unless the call says." },
    Key {
        name: "shell.max_output",
        kind: Kind::Count { least: 1000 },
        default: Some("16000"),
        doc: "Bytes of a command's output that the model sees.",
    },
];

impl Key {
    /// Whether a project's file may set it, trusted or not: whom to believe on the network, and what to spend, is the
    /// user's to say.
    pub fn is_a_projects(&self) -> bool {
        !matches!(self.kind, Kind::Path | Kind::Amount | Kind::Amounts)
    }

    /// The variable that sets it: `http.idle_timeout` is `PUP_HTTP_IDLE_TIMEOUT`.
    pub fn env(&self) -> String {
        format!("PUP_{}", self.name.to_ascii_uppercase().replace('.', "_"))
    }

    /// Every variable that sets it, the first that is set wins.
    pub fn variables(&self) -> Vec<String> {
        let old: &[&str] = match self.name {
            "paid_models" => &["USE_PAID_MODELS"],
            "budget.daily" => &["PUP_DAILY_BUDGET", "CODE_PUPPY_DAILY_BUDGET"],
            "budget.monthly" => &["PUP_MONTHLY_BUDGET", "CODE_PUPPY_MONTHLY_BUDGET"],
            _ => &[],
        };
        std::iter::once(self.env()).chain(old.iter().map(|v| (*v).to_owned())).collect()
    }
}

impl Kind {
    /// For errors: "must be ...".
    pub fn wanted(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Path => "the absolute path of a file".into(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Count { least } => format!("a whole number from {least}"),
            Self::Flag => "true or false".into(),
            Self::Amount => "an amount in US dollars such as 12.50, or `off`".into(),
            Self::Amounts => "amounts in US dollars by name, such as `openai=5, xai=2.50`".into(),
            Self::Duration => "a time such as \"90s\", \"10m\" or a number of seconds".into(),
        }
    }
}

/// The setting of this name, or a `usage` failure with the nearest names.
pub fn key(name: &str) -> Result<&'static Key, Failure> {
    KEYS.iter().find(|k| k.name == name).ok_or_else(|| Failure::usage(format!("there is no setting `{name}`")).hint(near(name)))
}

/// A hint towards the names like `wrong`.
pub fn near(wrong: &str) -> String {
    let names = || KEYS.iter().map(|k| k.name);
    let leaf = |n: &'static str| n.rsplit('.').next().unwrap_or(n);
    nearest::did_you_mean(wrong, names())
        .or_else(|| {
            let near = nearest::nearest(wrong.rsplit('.').next().unwrap_or(wrong), names().map(leaf));
            let full = near.first().and_then(|l| names().find(|n| leaf(n) == *l))?;
            Some(format!("did you mean `{full}`?"))
        })
        .unwrap_or_else(|| format!("the settings are {}", names().collect::<Vec<_>>().join(", ")))
}
