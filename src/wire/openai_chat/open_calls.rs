//! The tool calls of a reply that are still arriving, told apart whatever the server says of them.
//!
//! By the rules a piece names its call by `index`, and id and name come with the first. In practice the index is missing
//! or always 0, ids are missing, empty, repeated or shared, names are repeated, and arguments begin with a false `{}`.

use super::chunk::{CallPiece, Function, arguments};
use crate::base::digest;
use crate::model::{BlockKind, Delta, StreamEvent, ToolCall};
use crate::wire::names::ToolNames;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Debug, Clone, Default)]
pub struct OpenCalls {
    calls: Vec<Call>,
    pub names: ToolNames,
}

#[derive(Debug, Clone)]
struct Call {
    /// The server's number for it.
    index: Option<u64>,
    /// The server's id, if it gave one with the first piece.
    id: Option<String>,
    name: String,
    args: String,
    /// The arguments began with `{}`, which is either all of them or a placeholder.
    seed: bool,
    signature: Option<String>,
    /// Its block, once it has a name.
    ix: Option<usize>,
    /// Its id inside pup.
    own_id: String,
}

impl OpenCalls {
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes a piece. `next_ix` is the next free block number.
    pub fn piece(&mut self, piece: &CallPiece<'_>, reply: &str, next_ix: &mut usize, out: &mut Vec<StreamEvent>) {
        let none = Function::default();
        let function = piece.function.0.as_ref().or(piece.custom.0.as_ref()).unwrap_or(&none);
        let signature = piece.extra_content.and_then(google_signature);
        self.take(piece.index.0, piece.id.get(), function, signature, reply, next_ix, out);
    }

    /// The legacy form: all pieces belong to one call.
    pub fn legacy(&mut self, function: &Function<'_>, reply: &str, next_ix: &mut usize, out: &mut Vec<StreamEvent>) {
        self.take(Some(u64::MAX), None, function, None, reply, next_ix, out);
    }

    /// A call that is there at once.
    pub fn whole(&mut self, name: &str, args: &str, reply: &str, next_ix: &mut usize, out: &mut Vec<StreamEvent>) {
        let call = Call { name: name.to_owned(), ..Call::new(None, None) };
        self.calls.push(call);
        let at = self.calls.len() - 1;
        let taken: Vec<String> = self.calls.iter().map(|c| c.own_id.clone()).collect();
        if let Some(call) = self.calls.get_mut(at) {
            call.open(&Mint { reply, at, taken: &taken }, &self.names, next_ix, out);
            call.args(args, out);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one private place where a piece's parts meet the reply's state")]
    fn take(
        &mut self,
        index: Option<u64>,
        id: Option<&str>,
        function: &Function<'_>,
        signature: Option<String>,
        reply: &str,
        next_ix: &mut usize,
        out: &mut Vec<StreamEvent>,
    ) {
        let name = function.name.get();
        let args = function.arguments.map(arguments).unwrap_or_default();
        if id.is_none() && name.is_none() && args.is_empty() && signature.is_none() && self.calls.is_empty() {
            return;
        }
        let at = self.find(index, id, name, &args).unwrap_or_else(|| {
            self.calls.push(Call::new(index, id));
            self.calls.len() - 1
        });
        let unopened = self.calls.get(at).is_some_and(|c| c.ix.is_none());
        let taken: Vec<String> = if unopened { self.calls.iter().map(|c| c.own_id.clone()).collect() } else { Vec::new() };
        let Some(call) = self.calls.get_mut(at) else { return };
        if call.id.is_none() && call.ix.is_none() {
            call.id = id.map(str::to_owned);
        }
        call.name(name, out);
        call.signature = signature.or(call.signature.take());
        call.open(&Mint { reply, at, taken: &taken }, &self.names, next_ix, out);
        call.args(&args, out);
    }

    /// Which call a piece belongs to; nothing for a new one.
    fn find(&self, index: Option<u64>, id: Option<&str>, name: Option<&str>, args: &str) -> Option<usize> {
        if let Some(index) = index {
            let at = self.calls.iter().rposition(|c| c.index == Some(index))?;
            let call = self.calls.get(at)?;
            // Servers that number every call 0 tell them apart by id and name, or send each of them whole.
            let another = name.is_some()
                && match (id, &call.id) {
                    (Some(new), Some(old)) => new != old,
                    _ => !args.is_empty() && call.is_whole(),
                };
            return (!another).then_some(at);
        }
        let last = self.calls.last()?;
        if let Some(id) = id {
            let known = self.calls.iter().rposition(|c| c.id.as_deref() == Some(id));
            // A new id without a name is no new call: some servers make one up for each piece.
            return known.or_else(|| name.is_none().then(|| self.calls.len() - 1));
        }
        let another = name.is_some_and(|n| !last.name.is_empty() && (n != last.name || !last.args.is_empty() || last.seed));
        (!another).then_some(self.calls.len() - 1)
    }

    /// Whether a call has no name. Ask at the end: a name can come late.
    pub fn headless(&self) -> bool {
        self.calls.iter().any(|c| c.name.is_empty())
    }

    /// Closes every call: what was held back is handed on.
    pub fn close(&mut self, reply: &str, next_ix: &mut usize, out: &mut Vec<StreamEvent>) {
        let mut taken: Vec<String> = self.calls.iter().map(|c| c.own_id.clone()).collect();
        for (at, call) in self.calls.iter_mut().enumerate() {
            if call.ix.is_none() && call.name.is_empty() {
                // Arguments without a name are kept, as a call that no tool will answer but an error.
                "unknown".clone_into(&mut call.name);
            }
            call.open(&Mint { reply, at, taken: &taken }, &self.names, next_ix, out);
            taken.push(call.own_id.clone());
            let Some(ix) = call.ix else { continue };
            if call.seed {
                call.args.push_str("{}");
                call.seed = false;
                out.push(StreamEvent::Delta { ix, delta: Delta::Args { text: "{}".to_owned() } });
            }
            out.push(StreamEvent::BlockEnd { ix });
        }
    }

    /// Whether some call could be run: it has a name and its arguments are an object. Ask after [`Self::close`].
    pub fn any_complete(&self) -> bool {
        self.calls.iter().any(|c| {
            let call = ToolCall { id: String::new(), name: c.name.clone(), args_raw: c.args.clone(), signature: None };
            !c.name.is_empty() && call.args().is_ok()
        })
    }
}

/// What an id is made of where the server gave none, or one that is taken: the same bytes give the same id.
struct Mint<'a> {
    reply: &'a str,
    at: usize,
    taken: &'a [String],
}

impl Mint<'_> {
    fn id(&self, given: Option<&str>, name: &str) -> String {
        match given {
            Some(id) if !self.taken.iter().any(|t| t == id) => id.to_owned(),
            _ => format!("call_{}", digest::short(format!("{}\n{}\n{name}", self.reply, self.at).as_bytes(), 24)),
        }
    }
}

impl Call {
    fn new(index: Option<u64>, id: Option<&str>) -> Self {
        Self {
            index,
            id: id.map(str::to_owned),
            name: String::new(),
            args: String::new(),
            seed: false,
            signature: None,
            ix: None,
            own_id: String::new(),
        }
    }

    /// Whether its arguments are an object already.
    fn is_whole(&self) -> bool {
        self.args.trim_end().ends_with('}') && serde_json::from_str::<serde::de::IgnoredAny>(&self.args).is_ok()
    }

    fn name(&mut self, piece: Option<&str>, out: &mut Vec<StreamEvent>) {
        let Some(piece) = piece else { return };
        if self.ix.is_none() {
            piece.clone_into(&mut self.name);
        } else if piece != self.name && self.args.is_empty() && !self.seed {
            // A name in pieces; one that only repeats what is known is passed over.
            self.name.push_str(piece);
            if let Some(ix) = self.ix {
                out.push(StreamEvent::Delta { ix, delta: Delta::Name { text: piece.to_owned() } });
            }
        }
    }

    fn open(&mut self, mint: &Mint<'_>, names: &ToolNames, next_ix: &mut usize, out: &mut Vec<StreamEvent>) {
        if self.ix.is_none() && !self.name.is_empty() {
            self.own_id = mint.id(self.id.as_deref(), &self.name);
            let ix = *next_ix;
            *next_ix += 1;
            self.ix = Some(ix);
            let name = names.original(&self.name).to_owned();
            out.push(StreamEvent::BlockStart { ix, kind: BlockKind::ToolCall { id: self.own_id.clone(), name } });
            if !self.args.is_empty() {
                out.push(StreamEvent::Delta { ix, delta: Delta::Args { text: self.args.clone() } });
            }
        }
        if let (Some(ix), Some(text)) = (self.ix, self.signature.take()) {
            out.push(StreamEvent::Delta { ix, delta: Delta::Signature { text } });
        }
    }

    fn args(&mut self, piece: &str, out: &mut Vec<StreamEvent>) {
        if piece.is_empty() {
            return;
        }
        if self.args.is_empty() && !self.seed && piece.trim() == "{}" {
            self.seed = true;
            return;
        }
        self.seed = false;
        self.args.push_str(piece);
        if let Some(ix) = self.ix {
            out.push(StreamEvent::Delta { ix, delta: Delta::Args { text: piece.to_owned() } });
        }
    }
}

fn google_signature(raw: &RawValue) -> Option<String> {
    let extra: Value = serde_json::from_str(raw.get()).ok()?;
    extra.get("google")?.get("thought_signature")?.as_str().map(str::to_owned)
}
