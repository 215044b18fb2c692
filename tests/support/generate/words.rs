//! Small pieces of generated conversations: words, ids, arguments.
//!
//! A piece that should arrive somewhere, or must not, has a [`Mark`] in it: eight letters and digits that no JSON escaping
//! and no base64 changes, so that bytes can be searched for them.

use proptest::prelude::*;
use proptest::sample::select;

/// Numbers marks, and says by a letter what they are in.
#[derive(Debug, Default)]
pub struct Marks(u32);

impl Marks {
    /// `T` a text, `R` a result, `A` arguments, `K` thinking, `M` an image or a document: lost only if a loss says so.
    /// `S` a signature, an encrypted or opaque item: goes back to its origin and to nobody else. `N` a provider's own id of
    /// an item: it may go back, to its origin alone.
    pub fn next(&mut self, what: char) -> String {
        self.0 += 1;
        format!("{what}{:06}q", self.0)
    }
}

/// All marks in a text, in their order.
pub fn marks(text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(7)).filter_map(move |at| {
        let piece = text.get(at..at + 8)?;
        let (what, rest) = (piece.as_bytes()[0], &piece.as_bytes()[1..]);
        (b"TRAKMSN".contains(&what) && rest[..6].iter().all(u8::is_ascii_digit) && rest[6] == b'q').then_some(piece)
    })
}

/// Text: nothing but white space, or something around a mark.
#[derive(Debug, Clone)]
pub enum Words {
    Blank(&'static str),
    Around(String, String),
}

impl Words {
    pub fn say(&self, marks: &mut Marks, what: char) -> String {
        match self {
            Self::Blank(text) => (*text).to_owned(),
            Self::Around(before, after) => format!("{before}{}{after}", marks.next(what)),
        }
    }
}

/// Characters of every plane, and those that JSON, SSE and terminals care about.
fn odd_text() -> impl Strategy<Value = String> {
    let plane = (1..=16u32, 0..0xfffeu32).prop_map(|(plane, low)| char::from_u32(plane << 16 | low).unwrap_or('\u{1f600}'));
    let one = prop_oneof![
        3 => any::<char>(),
        2 => plane,
        3 => select(vec!['\0', '\u{7f}', '\n', '\r', '\t', '"', '\\', '/', '<', '\u{2028}', '\u{202e}', '\u{feff}', '\u{ffff}', '\u{301}']),
        2 => select(vec!['é', 'ß', '漢', 'ع', '🦮']),
    ];
    proptest::collection::vec(one, 0..6).prop_map(|chars| chars.into_iter().collect())
}

fn plain_text() -> impl Strategy<Value = String> {
    select(vec!["", "a ", "data: ", "\n\n", "[DONE]", "{\"a\":1}", "<tool_call>", "```json\n", "I will look. "]).prop_map(str::to_owned)
}

/// Words that hold something.
pub fn said() -> impl Strategy<Value = Words> {
    let side = || prop_oneof![2 => plain_text(), 1 => odd_text()];
    (side(), side()).prop_map(|(before, after)| Words::Around(before, after))
}

/// Words, now and then blank.
pub fn words() -> impl Strategy<Value = Words> {
    prop_oneof![7 => said(), 2 => select(vec!["", " ", "\n\n", " \t\r\n", "\u{a0}"]).prop_map(Words::Blank)]
}

/// How a call's id looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdForm {
    Nine,
    OpenAi,
    Anthropic,
    /// Kimi's, which Anthropic's charset excludes.
    Dotted,
    Over40,
    Over64,
    /// As long as Responses' pair of ids, joined.
    Joined,
    Unicode,
    Quoted,
    /// The same ids turn after turn, as some servers number them.
    Counted,
}

pub fn id_form() -> impl Strategy<Value = IdForm> {
    use IdForm::{Anthropic, Counted, Dotted, Joined, Nine, OpenAi, Over40, Over64, Quoted, Unicode};
    select(vec![Nine, OpenAi, Anthropic, Dotted, Over40, Over64, Joined, Unicode, Quoted, Counted, Counted, Counted, Counted])
}

impl IdForm {
    /// The id of call `n` of its message; `serial` differs from call to call.
    pub fn id(self, serial: usize, n: usize) -> String {
        match self {
            Self::Nine => format!("aB{serial:07}"),
            Self::OpenAi => format!("call_{serial:024}"),
            Self::Anthropic => format!("toolu_{serial:024}"),
            Self::Dotted => format!("functions.read.file:{serial}"),
            Self::Over40 => format!("chatcmpl-tool-{serial:032}"),
            Self::Over64 => format!("call_{serial:080}"),
            Self::Joined => format!("call_{serial:024}|fc_{serial:048}"),
            Self::Unicode => format!("aufruf-é漢-{serial}"),
            Self::Quoted => format!("a \"b\\c\" {serial}"),
            Self::Counted => format!("call_{n}"),
        }
    }
}

/// How a call's arguments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ArgsForm {
    Empty,
    Blank,
    EmptyObject,
    Null,
    Plain,
    Spaced,
    Numbers,
    Doubled,
    Escaped,
    Nested,
    Cut,
    NotJson,
    List,
    JustText,
    TwoObjects,
}

pub const ARGS: [ArgsForm; 15] = [
    ArgsForm::Empty,
    ArgsForm::Blank,
    ArgsForm::EmptyObject,
    ArgsForm::Null,
    ArgsForm::Plain,
    ArgsForm::Spaced,
    ArgsForm::Numbers,
    ArgsForm::Doubled,
    ArgsForm::Escaped,
    ArgsForm::Nested,
    ArgsForm::Cut,
    ArgsForm::NotJson,
    ArgsForm::List,
    ArgsForm::JustText,
    ArgsForm::TwoObjects,
];

impl ArgsForm {
    pub fn write(self, marks: &mut Marks) -> String {
        let mut mark = || marks.next('A');
        match self {
            Self::Empty => String::new(),
            Self::Blank => " \n".to_owned(),
            Self::EmptyObject => "{}".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Plain => format!(r#"{{"path":"{}","n":1}}"#, mark()),
            Self::Spaced => format!("{{\n  \"path\" : \"{}\",\r\n  \"x\": [ 1, null ] }}\n", mark()),
            Self::Numbers => format!(r#"{{"big":12345678901234567890123,"f":1.50,"m":-0.0,"t":"{}"}}"#, mark()),
            Self::Doubled => format!(r#"{{"a":1,"a":"{}"}}"#, mark()),
            Self::Escaped => format!(r#"{{"a\u00e9\n":"\ud83e\uddae\u0000{}","\ud800":"x"}}"#, mark()).replace("\\ud800", "d800"),
            Self::Nested => format!(r#"{{"a":{{"b":[{{"c":{{"d":["{}"]}}}}]}}}}"#, mark()),
            Self::Cut => format!(r#"{{"path":"{}"#, mark()),
            Self::NotJson => format!("path={}", mark()),
            Self::List => format!(r#"["{}"]"#, mark()),
            Self::JustText => format!(r#""{}""#, mark()),
            Self::TwoObjects => format!(r#"{{}}{{"a":"{}"}}"#, mark()),
        }
    }

    pub fn is_object(self) -> bool {
        use ArgsForm::{Doubled, EmptyObject, Escaped, Nested, Numbers, Plain, Spaced};
        matches!(self, EmptyObject | Plain | Spaced | Numbers | Doubled | Escaped | Nested)
    }
}

pub fn args_form() -> impl Strategy<Value = ArgsForm> {
    select(ARGS.to_vec())
}
