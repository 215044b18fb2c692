//! Conversations as they really get: through several providers, with everything that any of them hangs on a message, and
//! with what crashes and imports leave behind.
//!
//! [`plan::plan`] is the proptest strategy, [`tell`] makes the [`Story`] of a plan, [`shapes::of`] says what is in it.

pub mod damage;
pub mod frames;
pub mod parties;
pub mod plan;
pub mod shapes;
pub mod tools;
pub mod words;

use code_pup::model::history::{check, repair};
use code_pup::model::request::CacheMark;
use code_pup::model::{
    Accumulator, Block, BlockKind, Delta, ImageSource, Message, Part, Reply, Request, ResponseFormat, Role, Stop, StreamEvent, ToolCall,
    ToolChoice, ToolResult, ToolSpec, Usage,
};
use code_pup::wire::{Decoder, Wire, anthropic, antigravity, gemini, openai_chat, openai_responses};
use parties::Party;
use plan::{BlockPlan, CallPlan, How, Media, Order, PartPlan, Plan, Proof, Settings, StepPlan, UserBlock};
use proptest::sample::Index;
use serde_json::{Value, json};
use std::sync::Arc;
use words::{ArgsForm, Marks};

/// The wires that servers speak. A program on this machine takes a conversation as text and says text, so that nothing of
/// the rest has a shape there; `tests/it/cli_links.rs` is about those.
pub const SERVED: [Wire; 5] = [Wire::OpenaiChat, Wire::OpenaiResponses, Wire::Anthropic, Wire::Gemini, Wire::Antigravity];

/// A conversation and how it is asked to go on.
#[derive(Debug, Clone)]
pub struct Story {
    pub messages: Vec<Message>,
    pub tools: Arc<[ToolSpec]>,
    /// Which schema each tool has.
    pub schemas: Vec<&'static str>,
    pub settings: Settings,
    pub damage: Vec<plan::Damage>,
}

impl Story {
    /// The request for what comes next, of the first `n` messages and with no more than the tools beside them.
    pub fn plain(&self, n: usize, model: &str) -> Request {
        Request {
            model: model.to_owned(),
            messages: self.messages[..n].iter().cloned().collect(),
            tools: Arc::clone(&self.tools),
            ..Request::default()
        }
    }

    /// The whole conversation with all settings.
    pub fn request(&self, model: &str) -> Request {
        let s = &self.settings;
        let schema = || tools::schema("plain");
        Request {
            tool_choice: match (s.choice, self.tools.first()) {
                (1, _) => ToolChoice::None,
                (2, _) => ToolChoice::Required,
                (3, Some(tool)) => ToolChoice::Tool(tool.name.clone()),
                _ => ToolChoice::Auto,
            },
            parallel_tool_calls: s.parallel,
            response_format: match s.format {
                1 => Some(ResponseFormat::JsonObject),
                2 => Some(ResponseFormat::JsonSchema { name: "answer".into(), schema: schema(), strict: Some(true) }),
                3 => Some(ResponseFormat::JsonSchema { name: "an odd name!".into(), schema: schema(), strict: None }),
                _ => None,
            },
            max_output: s.max_output,
            temperature: s.temperature,
            top_p: s.top_p,
            stop: s.stop.iter().map(|s| (*s).to_owned()).collect(),
            seed: s.seed,
            n: s.n,
            reasoning_effort: s.effort.map(str::to_owned),
            stream: s.stream,
            metadata: s.metadata.iter().map(|key| ((*key).to_owned(), "u-1".to_owned())).collect(),
            cache_marks: s
                .cache
                .iter()
                .map(|(at, block, long)| CacheMark { message: at.index(self.messages.len()), block: *block, long: *long })
                .collect(),
            ..self.plain(self.messages.len(), model)
        }
    }

    /// The party that made a message.
    pub fn maker<'a>(&self, at: usize, parties: &'a [Party]) -> Option<&'a Party> {
        let origin = self.messages[at].origin.as_ref()?;
        parties.iter().find(|p| p.origin == *origin)
    }
}

struct Teller<'a> {
    plan: &'a Plan,
    parties: &'a [Party],
    marks: Marks,
    serial: usize,
    tools: Arc<[ToolSpec]>,
    out: Vec<Message>,
}

/// Makes the story of a plan. An `Err` is a codec that does not read what its own wire wrote, or a repair that does not mend.
pub fn tell(plan: &Plan, parties: &[Party]) -> Result<Story, String> {
    let mut specs: Vec<(ToolSpec, &'static str)> = Vec::new();
    for (name, schema) in &plan.tools {
        if !specs.iter().any(|(s, _)| s.name == tools::NAMES[*name]) {
            specs.push((tools::spec(*name, *schema), tools::SCHEMAS[*schema]));
        }
    }
    let (specs, schemas): (Vec<_>, Vec<_>) = specs.into_iter().unzip();
    let mut teller = Teller { plan, parties, marks: Marks::default(), serial: 0, tools: specs.into(), out: Vec::new() };
    for words in &plan.system {
        let text = words.say(&mut teller.marks, 'T');
        if !text.trim().is_empty() {
            teller.out.push(Message::system(text));
        }
    }
    let late = plan.late.map(|at| at.index(plan.turns.len()));
    for (n, turn) in plan.turns.iter().enumerate() {
        if n > 0 || !plan.opens {
            teller.users(&turn.users);
        }
        for step in &turn.steps {
            teller.step(step)?;
        }
        if late == Some(n) {
            let text = format!("from now on {}", teller.marks.next('T'));
            teller.out.push(Message::system(text));
        }
    }
    if !teller.out.iter().any(|m| m.role == Role::User) {
        // Somebody asks for something, sooner or later.
        teller.users(&[]);
    }
    let Teller { out: mut messages, tools, .. } = teller;
    let damaged: Vec<plan::Damage> =
        plan.damage.iter().filter(|(kind, at)| damage::apply(*kind, *at, &mut messages)).map(|(k, _)| *k).collect();
    if !damaged.is_empty() {
        messages = mend(messages)?;
    }
    Ok(Story { messages, tools, schemas, settings: plan.settings.clone(), damage: damaged })
}

/// Repairs, and checks what repair promises.
fn mend(broken: Vec<Message>) -> Result<Vec<Message>, String> {
    let before = serde_json::to_string(&broken).unwrap();
    let (mended, _) = repair(broken);
    let found = check(&mended.iter().cloned().collect());
    if let Some(first) = found.first() {
        return Err(format!("a repaired history is still broken: {first}"));
    }
    let after = serde_json::to_string(&mended).unwrap();
    for mark in words::marks(&before).filter(|m| m.starts_with(['T', 'R'])) {
        if !after.contains(mark) {
            return Err(format!("repair lost {mark}"));
        }
    }
    let (again, notes) = repair(mended.clone());
    if again != mended || !notes.is_empty() {
        return Err(format!("repair is not done with the first time: {notes:?}"));
    }
    Ok(mended)
}

impl Teller<'_> {
    fn users(&mut self, plans: &[Vec<UserBlock>]) {
        let mut spoke = false;
        for plan in plans {
            let blocks: Vec<Block> = plan.iter().map(|block| self.user_block(block)).collect();
            let content = blocks.iter().any(|b| !matches!(b, Block::Text { text } if text.trim().is_empty()));
            if content {
                self.out.push(Message::new(Role::User, blocks));
                spoke = true;
            }
        }
        if !spoke {
            let text = format!("go on {}", self.marks.next('T'));
            self.out.push(Message::user(text));
        }
    }

    fn user_block(&mut self, block: &UserBlock) -> Block {
        match block {
            UserBlock::Text(words) => Block::Text { text: words.say(&mut self.marks, 'T') },
            UserBlock::Image(media) => Block::Image { source: self.image(*media) },
            UserBlock::Document { pdf, named } => Block::Document {
                media_type: if *pdf { "application/pdf" } else { "text/csv" }.to_owned(),
                data: format!("JVBERi0x{}", self.marks.next('M')),
                name: named.then(|| "notes, \"v2\".pdf".to_owned()),
            },
            UserBlock::Opaque => Block::Opaque {
                wire: "anthropic".to_owned(),
                raw: json!({"type": "search_result", "source": "https://example.com/", "title": "t",
                    "content": [{"type": "text", "text": self.marks.next('S')}]})
                .to_string(),
            },
        }
    }

    fn image(&mut self, media: Media) -> ImageSource {
        let mark = self.marks.next('M');
        let inline = |media_type: &str| ImageSource::Inline { media_type: media_type.to_owned(), data: format!("iVBORw0KGgoA{mark}") };
        match media {
            Media::Png => inline("image/png"),
            Media::Odd => inline("image/bmp"),
            Media::Url => ImageSource::Url { url: format!("https://example.com/{mark}.png") },
        }
    }

    fn step(&mut self, step: &StepPlan) -> Result<(), String> {
        // Each wire as often as any other, however many parties are on it.
        let member = |ix: &Index| {
            let n = ix.index(SERVED.len() * 12);
            let wire = SERVED[n % SERVED.len()];
            let there: Vec<&Party> = self.parties.iter().filter(|p| p.wire == wire).collect();
            there[n / SERVED.len() % there.len()]
        };
        let cast: Vec<&Party> = self.plan.cast.iter().map(member).collect();
        let party = cast[step.party.index(cast.len())];
        let mut blocks: Vec<Block> = step.blocks.iter().flat_map(|block| self.block(block, party.wire)).collect();
        match party.wire {
            Wire::OpenaiChat => {
                // What Chat Completions hang on a message is one block.
                let mut first = true;
                blocks.retain(|b| !matches!(b, Block::Opaque { .. }) || std::mem::take(&mut first));
            }
            // A reply that thinks begins with that.
            Wire::Anthropic => blocks.sort_by_key(|b| !matches!(b, Block::Thinking { .. })),
            Wire::OpenaiResponses | Wire::Gemini | Wire::Antigravity | Wire::ClaudeCli | Wire::CodexCli => {}
        }
        let calls: Vec<Block> =
            step.calls.iter().enumerate().map(|(n, call)| Block::ToolCall(self.call(call, n, step.how, party.wire))).collect();
        let at = if step.calls_first { blocks.len().saturating_sub(1) } else { blocks.len() };
        blocks.splice(at..at, calls);
        let says = |b: &Block| match b {
            Block::Text { text } => !text.trim().is_empty(),
            Block::ToolCall(_) | Block::Opaque { .. } | Block::Image { .. } => true,
            Block::Thinking { .. } => false,
            _ => unreachable!("no block of an assistant's"),
        };
        let bare = step.how != How::Neutral
            && !blocks.iter().any(|b| matches!(b, Block::Text { text } if !text.trim().is_empty()) || matches!(b, Block::ToolCall(_)));
        if bare || !blocks.iter().any(says) {
            blocks.push(Block::Text { text: format!("well, {}", self.marks.next('T')) });
        }
        let mut message = match step.how {
            How::Neutral => Message::new(Role::Assistant, blocks),
            How::Frames => {
                let bytes = frames::stream(party.wire, &blocks, &mut self.marks);
                self.read(party.wire, &blocks, &bytes, "its provider's frames")?
            }
            How::Writer => {
                let bytes = write(party.wire, &blocks);
                self.read(party.wire, &blocks, &bytes, "what its server half wrote")?
            }
        };
        message.origin = Some(party.origin.clone());
        let ids: Vec<String> = message.calls().map(|c| c.id.clone()).collect();
        self.out.push(message);
        let mut results: Vec<ToolResult> = step.calls.iter().zip(ids).map(|(call, id)| self.result(call, id)).collect();
        match step.order {
            _ if results.is_empty() => {}
            Order::AsCalled => self.out.push(Message::results(results)),
            Order::Reversed => {
                results.reverse();
                self.out.push(Message::results(results));
            }
            Order::Apart => self.out.extend(results.into_iter().map(|r| Message::results(vec![r]))),
        }
        Ok(())
    }

    fn block(&mut self, plan: &BlockPlan, wire: Wire) -> Vec<Block> {
        let thinking = |text: String, signature, redacted| vec![Block::Thinking { text, signature, redacted }];
        match plan {
            BlockPlan::Text(words) => vec![Block::Text { text: words.say(&mut self.marks, 'T') }],
            BlockPlan::Thinking(Proof::Unsigned, words) => thinking(words.say(&mut self.marks, 'K'), None, false),
            BlockPlan::Thinking(kind, words) => {
                let text = if *kind == Proof::Signed { words.say(&mut self.marks, 'K') } else { String::new() };
                let mut mark = || self.marks.next('S');
                if wire != Wire::OpenaiResponses {
                    // Base64, as these are.
                    return thinking(text, Some(format!("Er{}AAEw==", mark())), *kind == Proof::Redacted);
                }
                // The proof is the whole item.
                let summary: Vec<Value> = (!text.is_empty()).then(|| json!({"type": "summary_text", "text": text})).into_iter().collect();
                let sealed = format!("gAAAAABo{}", mark());
                let item = json!({"type": "reasoning", "id": format!("rs_{}", mark()), "summary": summary, "encrypted_content": sealed});
                thinking(text, Some(item.to_string()), false)
            }
            BlockPlan::Image => vec![Block::Image { source: self.image(Media::Png) }],
            BlockPlan::Opaque => self.opaque(wire),
        }
    }

    /// Items of the provider's own.
    fn opaque(&mut self, wire: Wire) -> Vec<Block> {
        let mut mark = || self.marks.next('S');
        let raws = match wire {
            Wire::OpenaiChat => {
                vec![json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": mark(), "id": mark(), "index": 0}]})]
            }
            Wire::Anthropic => {
                let id = format!("srvtoolu_{}", mark());
                vec![
                    json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": mark()}}),
                    json!({"type": "web_search_tool_result", "tool_use_id": id, "content": [
                        {"type": "web_search_result", "url": "https://example.com/", "title": mark(), "encrypted_content": mark(), "page_age": null}]}),
                ]
            }
            Wire::OpenaiResponses => {
                let id = format!("ws_{}", mark());
                vec![json!({"type": "web_search_call", "id": id, "status": "completed", "action": {"type": "search", "query": mark()}})]
            }
            Wire::Gemini | Wire::Antigravity => vec![
                json!({"executableCode": {"language": "PYTHON", "code": mark()}}),
                json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": mark()}}),
            ],
            Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
        };
        // What Antigravity wraps is Gemini's.
        let of = if wire == Wire::Antigravity { Wire::Gemini } else { wire };
        raws.into_iter().map(|raw| Block::Opaque { wire: of.as_str().to_owned(), raw: raw.to_string() }).collect()
    }

    fn call(&mut self, plan: &CallPlan, n: usize, how: How, wire: Wire) -> ToolCall {
        self.serial += 1;
        let google = matches!(wire, Wire::Gemini | Wire::Antigravity);
        // Google's frames hold nothing but objects.
        let only_objects = how != How::Neutral && google;
        let args = if only_objects && !plan.args.is_object() { ArgsForm::Plain } else { plan.args };
        let offered = (!plan.unknown && !self.tools.is_empty()).then(|| self.tools[plan.name.index(self.tools.len())].name.clone());
        // The server's half writes names as its wire has them, and only those of offered tools are mapped back.
        let other = || if how == How::Writer { "gone".to_owned() } else { tools::NAMES[plan.name.index(tools::NAMES.len())].to_owned() };
        ToolCall {
            id: plan.id.id(self.serial, n),
            name: offered.unwrap_or_else(other),
            args_raw: args.write(&mut self.marks),
            // Google signs the first call of each step.
            signature: (plan.signed || google && n == 0).then(|| match wire {
                // The item's own id.
                Wire::OpenaiResponses => format!(r#"{{"type":"function_call","id":"fc_{}"}}"#, self.marks.next('N')),
                _ => format!("Ct{}Aa", self.marks.next('S')),
            }),
        }
    }

    fn result(&mut self, plan: &CallPlan, call_id: String) -> ToolResult {
        let parts = plan.result.iter().map(|part| match part {
            PartPlan::Text(words) => Part::Text { text: words.say(&mut self.marks, 'R') },
            PartPlan::Image(media) => Part::Image { source: self.image(*media) },
        });
        ToolResult { call_id, parts: parts.collect(), is_error: plan.error }
    }

    /// Reads a stream with the client's half; text and calls have to be those that were written.
    fn read(&self, wire: Wire, written: &[Block], bytes: &[u8], what: &str) -> Result<Message, String> {
        let mut decoder = Decoder::new(wire, &code_pup::wire::Dialect::default()).with_tools(&self.tools);
        let mut events = Vec::new();
        decoder.feed(bytes, &mut events);
        decoder.finish(&mut events);
        let mut all = Accumulator::default();
        for event in &events {
            all.push(event);
        }
        let reply = all.finish();
        let context = || format!("{wire} on {what}: {}", String::from_utf8_lossy(bytes));
        if !reply.complete {
            return Err(format!("{:?}, {}", reply.error, context()));
        }
        let wanted = Message::new(Role::Assistant, written.to_vec());
        if reply.message.joined_text() != wanted.joined_text() {
            return Err(format!("the text became {:?}, {}", reply.message.joined_text(), context()));
        }
        let calls = |m: &Message| -> Vec<(String, String)> { m.calls().map(|c| (c.name.clone(), c.args_raw.clone())).collect() };
        let (got, want) = (calls(&reply.message), calls(&wanted));
        let same = got.len() == want.len()
            && got.iter().zip(&want).all(|(g, w)| {
                let named = g.0 == w.0 || !self.tools.iter().any(|t| t.name == w.0);
                named && same_args(&g.1, &w.1)
            });
        if !same {
            return Err(format!("the calls became {got:?}, were {want:?}, {}", context()));
        }
        Ok(reply.message)
    }
}

/// The same to the letter, or the same object.
fn same_args(got: &str, want: &str) -> bool {
    let none = |raw: &str| matches!(raw.trim(), "" | "{}" | "null");
    let value = |raw: &str| serde_json::from_str::<Value>(raw).ok();
    got == want || none(got) && none(want) || value(got).is_some_and(|v| v.is_object() && Some(v) == value(want))
}

/// The blocks as a stream of the wire's server half.
pub fn write(wire: Wire, blocks: &[Block]) -> Vec<u8> {
    let mut events = vec![StreamEvent::Start { id: Some("r-1".into()), model: Some("m".into()) }];
    for (ix, block) in blocks.iter().enumerate() {
        let (kind, deltas) = match block.clone() {
            Block::Text { text } => (BlockKind::Text, vec![Delta::Text { text }]),
            Block::Thinking { signature, redacted: true, .. } => {
                (BlockKind::RedactedThinking, signature.into_iter().map(|text| Delta::Signature { text }).collect())
            }
            Block::Thinking { text, signature, .. } => {
                let mut deltas = vec![Delta::Thinking { text }];
                deltas.extend(signature.map(|text| Delta::Signature { text }));
                (BlockKind::Thinking, deltas)
            }
            Block::ToolCall(ToolCall { id, name, args_raw, signature }) => {
                let mut deltas = vec![Delta::Args { text: args_raw }];
                deltas.extend(signature.map(|text| Delta::Signature { text }));
                (BlockKind::ToolCall { id, name }, deltas)
            }
            Block::Opaque { wire, raw } => (BlockKind::Opaque { wire }, vec![Delta::Raw { text: raw }]),
            _ => continue,
        };
        events.push(StreamEvent::BlockStart { ix, kind });
        events.extend(deltas.into_iter().map(|delta| StreamEvent::Delta { ix, delta }));
        events.push(StreamEvent::BlockEnd { ix });
    }
    let stop = if blocks.iter().any(|b| matches!(b, Block::ToolCall(_))) { Stop::ToolUse } else { Stop::End };
    events.push(StreamEvent::Usage { usage: Usage { input: Some(3), output: Some(5), ..Usage::default() } });
    events.push(StreamEvent::End { stop, reason: None });
    match wire {
        Wire::OpenaiChat => openai_chat::encode_events(openai_chat::Head::default(), &events).0,
        Wire::OpenaiResponses => openai_responses::encode_events(openai_responses::Head::default(), &events).0,
        Wire::Anthropic => anthropic::encode_events(anthropic::Head::default(), &events).0,
        Wire::Gemini => gemini::encode_events(gemini::Head::default(), &events).0,
        Wire::Antigravity => antigravity::encode_events(gemini::Head::default(), &events).0,
        Wire::ClaudeCli | Wire::CodexCli => unreachable!("no server speaks it"),
    }
}

/// What a decoder makes of a body, whole.
pub fn reply(wire: Wire, body: &[u8]) -> (Reply, Vec<StreamEvent>) {
    let mut decoder = Decoder::new(wire, &code_pup::wire::Dialect::default());
    let mut events = Vec::new();
    decoder.feed(body, &mut events);
    decoder.finish(&mut events);
    let mut all = Accumulator::default();
    for event in &events {
        all.push(event);
    }
    (all.finish(), events)
}
