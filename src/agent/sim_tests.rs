//! A simulator: the router with its plan, limiter, breaker, cooldowns and ledger, and the turn machine above it, on a virtual
//! clock, against providers that fail as they like. Each seed is a schedule of its own; what a provider was told, charged
//! and answered is kept on its own side, and what must never happen is judged from there.
//!
//! A test run has some of the schedules; `PUP_SIM_SCHEDULES=10000` runs as many, `PUP_SIM_SEED=N` one.

use super::turn::{Limits, Ran, Step, Turn};
use crate::base::Cause;
use crate::catalog::{Billing, Price};
use crate::model::money::Nanos;
use crate::model::{
    Accumulator, BlockKind, Delta, History, Message, ProviderError, Request, Stop, StreamEvent, ToolResult, ToolSpec, Usage,
};
use crate::provider::{Answer, Answers, Piece, Provider, Scripted, Timeouts};
use crate::route::budget::Caps;
use crate::route::{Ask, Caller, Link, LiveEvent, Operation, Purse, Quota, Rotation, Router, Rules, Terms, limiter};
use crate::store::{Desk, Store};
use crate::wire::openai_chat::{self, Head};
use crate::wire::{Encoded, Wire};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Schedules in a test run.
const SCHEDULES: u64 = 1_500;
/// How much later than a link is well again it may be found so: the probe of another task, a stall, backoff.
const MARGIN: u64 = 90_000;
const MINUTE: u64 = 60_000;

/// A small generator, the same everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A 429 that names the time, and one that does not.
    LimitNamed,
    Limit,
    Quota,
    Server,
    Overloaded,
    /// The overload stands in a good reply.
    InBand,
    /// The stream ends in the middle.
    Cut,
    Stall,
    Garbage,
    Auth,
    Billing,
}

const FAULTS: [Fault; 11] = [
    Fault::LimitNamed,
    Fault::Limit,
    Fault::Quota,
    Fault::Server,
    Fault::Overloaded,
    Fault::InBand,
    Fault::Cut,
    Fault::Stall,
    Fault::Garbage,
    Fault::Auth,
    Fault::Billing,
];

impl Fault {
    /// It passes by itself, and pup finds that out by itself.
    fn passes(self) -> bool {
        !matches!(self, Self::Limit | Self::Quota | Self::Auth | Self::Billing)
    }
}

/// A time in which something fails, for one key or model of a provider or for all.
#[derive(Debug, Clone)]
struct Episode {
    provider: usize,
    key: Option<usize>,
    model: Option<usize>,
    from: u64,
    until: u64,
    fault: Fault,
}

type Door = (usize, usize, usize);

impl Episode {
    fn hits(&self, (provider, key, model): Door) -> bool {
        self.provider == provider && self.key.is_none_or(|k| k == key) && self.model.is_none_or(|m| m == model)
    }
}

/// What the providers keep of what happened.
#[derive(Debug, Default)]
struct Books {
    /// From when on pup knows until when a key and model may not be asked.
    told: BTreeMap<Door, Vec<(u64, u64)>>,
    /// Keys that were refused for good.
    dead: BTreeSet<(usize, usize)>,
    /// Doors that answered in a way of which pup cannot know when it ends, and when.
    vague: BTreeMap<Door, u64>,
    /// Charged, in nano-dollars.
    charged: i64,
    requests: u64,
    /// When the call of each task hangs up.
    until: BTreeMap<u64, u64>,
    /// When each key was asked, and the most tokens that it may have used.
    asked: BTreeMap<(usize, usize), Vec<u64>>,
    wrong: Vec<String>,
    seen: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct World {
    began: Instant,
    episodes: Vec<Episode>,
    /// Nano-dollars a token, in and out.
    prices: Vec<(i64, i64)>,
    rpm: Option<u64>,
    books: Mutex<Books>,
    rng: Mutex<u64>,
}

impl World {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    fn rng(&self) -> Rng {
        let mut state = self.rng.lock().unwrap();
        *state = state.wrapping_add(1);
        Rng(state.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }
}

/// One door of a provider: a key and a model.
#[derive(Debug)]
struct Door1 {
    world: Arc<World>,
    door: Door,
}

fn count(haystack: &str, needle: &str) -> usize {
    haystack.matches(needle).count()
}

fn number_behind(text: &str, what: &str) -> Option<u64> {
    let rest = text.split_once(what)?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Answers for Door1 {
    fn answer(&self, request: &Encoded) -> Result<Answer, ProviderError> {
        let (world, now, door) = (&*self.world, self.world.now(), self.door);
        let body = String::from_utf8(request.to_vec()).unwrap();
        let mut rng = world.rng();
        let fault = world.episodes.iter().find(|e| e.hits(door) && (e.from..e.until).contains(&now));
        let mut books = world.books();
        books.requests += 1;
        // The newest word counts.
        let newest = books.told.get(&door).and_then(|told| told.iter().filter(|(known, _)| *known < now).max().copied());
        if let Some((_, until)) = newest.filter(|(_, until)| now < *until) {
            books.wrong.push(format!("{door:?} was asked at {now} and had said: not before {until}"));
        }
        if books.dead.contains(&(door.0, door.1)) {
            books.wrong.push(format!("the key of {door:?} was refused for good and is asked again at {now}"));
        }
        let asked = books.asked.entry((door.0, door.1)).or_default();
        asked.retain(|at| now - at < MINUTE);
        asked.push(now);
        if let Some(rpm) = world.rpm.filter(|rpm| asked.len() as u64 > *rpm) {
            books.wrong.push(format!("more than {rpm} requests of {door:?} in the minute before {now}"));
        }
        *books.seen.entry(fault.map_or("whole".into(), |e| format!("{:?}", e.fault))).or_default() += 1;
        // A token of input has a byte at the least, and an answer is as long as it may be.
        let input = body.len() as u64 - rng.below(body.len() as u64 / 2 + 1);
        let most =
            number_behind(&body, "\"max_tokens\":").or(number_behind(&body, "\"max_completion_tokens\":")).unwrap_or(2_000).min(2_000);
        let output = if rng.chance(50) { most } else { rng.below(most + 1) };
        let price = world.prices[door.0];
        let charge = |output: u64| price.0 * i64::try_from(input).unwrap() + price.1 * i64::try_from(output).unwrap();
        let (turn, task) = (count(&body, "\"role\":\"assistant\""), number_behind(&body, "task ").unwrap_or(0));
        let stream =
            said(door, usize::try_from(task).unwrap(), turn, Usage { input: Some(input), output: Some(output), ..Usage::default() });
        let pieces =
            |bytes: &[u8]| bytes.chunks(bytes.len() / 3 + 1).map(|c| Piece::Bytes(Bytes::copy_from_slice(c), Duration::ZERO)).collect();
        let refusal = |status: u16, headers: Vec<(String, String)>, text: &str| Answer { status, headers, body: pieces(text.as_bytes()) };
        let Some(Episode { fault, until, .. }) = fault else {
            let mut headers = Vec::new();
            let wait = if rng.chance(20) { rng.below(3_000) } else { 0 };
            // Who hangs up before anything of the answer came pays for what was asked.
            let hung_up = books.until.get(&task).is_some_and(|until| now + wait >= *until);
            books.charged += charge(if hung_up { 0 } else { output });
            if rng.chance(4) {
                let reset = 1 + rng.below(40);
                books.told.entry(door).or_default().push((now + wait, now + wait + reset * 1000));
                headers = vec![
                    ("x-ratelimit-limit-requests".to_owned(), "100".to_owned()),
                    ("x-ratelimit-remaining-requests".to_owned(), "0".to_owned()),
                    ("x-ratelimit-reset-requests".to_owned(), format!("{reset}s")),
                ];
            }
            let mut body: VecDeque<Piece> = pieces(&stream);
            if let Some(Piece::Bytes(_, before)) = body.front_mut() {
                *before = Duration::from_millis(wait);
            }
            return Ok(Answer { status: 200, headers, body });
        };
        let left = (until - now).div_ceil(1000).max(1);
        let named = vec![("retry-after".to_owned(), left.to_string())];
        let part = usize::try_from(rng.below(stream.len() as u64)).unwrap();
        Ok(match fault {
            Fault::LimitNamed => {
                books.told.entry(door).or_default().push((now, now + left * 1000));
                refusal(429, named, r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#)
            }
            Fault::Limit => {
                books.vague.insert(door, now);
                refusal(429, Vec::new(), r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#)
            }
            Fault::Quota => {
                books.vague.insert(door, now);
                refusal(429, Vec::new(), r#"{"error":{"message":"Daily quota exceeded for this key","type":"quota_exceeded"}}"#)
            }
            Fault::Server => refusal(500, Vec::new(), r#"{"error":{"message":"sorry","type":"server_error"}}"#),
            Fault::Overloaded => refusal(529, Vec::new(), r#"{"error":{"message":"overloaded","type":"overloaded_error"}}"#),
            Fault::Auth => {
                books.dead.insert((door.0, door.1));
                refusal(401, Vec::new(), r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#)
            }
            Fault::Billing => {
                books.vague.insert(door, u64::MAX / 4);
                refusal(402, Vec::new(), r#"{"error":{"message":"Insufficient credits"}}"#)
            }
            Fault::InBand => {
                let error = b"data: {\"error\":{\"message\":\"overloaded\",\"type\":\"overloaded_error\",\"code\":529}}\n\n";
                books.charged += charge(0);
                Answer { status: 200, headers: Vec::new(), body: pieces(error) }
            }
            Fault::Cut => {
                // What was delivered is charged, by the byte at the most.
                books.charged += charge((part as u64 / 50).min(output));
                let mut body: VecDeque<Piece> = pieces(&stream[..part]);
                body.extend(rng.chance(50).then_some(Piece::Cut));
                Answer { status: 200, headers: Vec::new(), body }
            }
            Fault::Stall => {
                books.charged += charge(0);
                let mut body: VecDeque<Piece> = if rng.chance(50) { pieces(&stream[..part / 4]) } else { VecDeque::new() };
                body.push_back(Piece::Silence);
                Answer { status: 200, headers: Vec::new(), body }
            }
            Fault::Garbage => refusal(502, Vec::new(), "<html><body><h1>502 Bad Gateway</h1></body></html>"),
        })
    }
}

/// The words of a door's answer to a turn. Each piece has its door's mark, so that words of two doors can be told.
fn words(door: Door, task: usize, turn: usize) -> String {
    (0..4).fold(String::new(), |mut text, n| {
        let _ = write!(text, "[{door:?} task{task} turn{turn} {n}]");
        text
    })
}

/// How many turns a task has; all but the last call a tool.
const TURNS: usize = 3;

fn said(door: Door, task: usize, turn: usize, usage: Usage) -> Vec<u8> {
    let text = words(door, task, turn);
    let mut events = vec![StreamEvent::BlockStart { ix: 0, kind: BlockKind::Text }];
    for piece in text.split_inclusive(']') {
        events.push(StreamEvent::Delta { ix: 0, delta: Delta::Text { text: piece.to_owned() } });
    }
    events.push(StreamEvent::BlockEnd { ix: 0 });
    if turn + 1 < TURNS {
        events
            .push(StreamEvent::BlockStart { ix: 1, kind: BlockKind::ToolCall { id: format!("call_{task}_{turn}"), name: "note".into() } });
        events.push(StreamEvent::Delta { ix: 1, delta: Delta::Args { text: format!("{{\"turn\":{turn}}}") } });
        events.push(StreamEvent::BlockEnd { ix: 1 });
    }
    events.push(StreamEvent::Usage { usage });
    events.push(StreamEvent::End { stop: if turn + 1 < TURNS { Stop::ToolUse } else { Stop::End }, reason: None });
    openai_chat::encode_events(Head { id: "r".into(), model: "m".into(), created: 0 }, &events).0
}

/// A schedule: the world, and the ways into it.
struct Schedule {
    world: Arc<World>,
    router: Router,
    doors: Vec<Door>,
    cap: Option<Nanos>,
    run: String,
    tasks: usize,
}

fn schedule(seed: u64, desk: &Arc<Desk>) -> Schedule {
    let mut rng = Rng(seed);
    let providers = 1 + rng.below(3) as usize;
    let keys: Vec<usize> = (0..providers).map(|_| 1 + rng.below(3) as usize).collect();
    let models = 1 + rng.below(2) as usize;
    let mut episodes = Vec::new();
    for (provider, mine) in keys.iter().enumerate() {
        // Some are well all the time.
        for _ in 0..rng.below(5) {
            let from = if rng.chance(60) { 0 } else { rng.below(60_000) };
            let lasts = match rng.below(3) {
                0 => 1 + rng.below(2_000),
                1 => 1 + rng.below(60_000),
                _ => 1 + rng.below(900_000),
            };
            episodes.push(Episode {
                provider,
                key: rng.chance(60).then(|| rng.below(*mine as u64) as usize),
                model: rng.chance(40).then(|| rng.below(models as u64) as usize),
                from,
                until: from + lasts,
                fault: FAULTS[rng.below(FAULTS.len() as u64) as usize],
            });
        }
    }
    let metered = rng.chance(60);
    let price = |rng: &mut Rng| if metered { (1 + rng.below(20_000).cast_signed(), 1 + rng.below(80_000).cast_signed()) } else { (0, 0) };
    let prices: Vec<(i64, i64)> = (0..providers).map(|_| price(&mut rng)).collect();
    let cap = (metered && rng.chance(60)).then(|| Nanos(rng.below(400_000_000).cast_signed()));
    let rpm = rng.chance(25).then(|| 2 + rng.below(4));
    let world = Arc::new(World {
        began: Instant::now(),
        episodes,
        prices: prices.clone(),
        rpm,
        books: Mutex::default(),
        rng: Mutex::new(seed ^ 0x5eed),
    });
    let mut doors: Vec<Door> = Vec::new();
    for (provider, mine) in keys.iter().enumerate() {
        for model in 0..models {
            doors.extend((0..*mine).map(|key| (provider, key, model)));
        }
    }
    let timeout = Duration::from_secs(20);
    let link = |door: &Door| {
        let answers = Box::new(Door1 { world: Arc::clone(&world), door: *door });
        let timeouts = Timeouts { connect: timeout, first_byte: timeout, idle: timeout };
        let scripted = Scripted::answering(&format!("p{}", door.0), Wire::OpenaiChat, timeouts, answers);
        let (input, output) = prices[door.0];
        let per_million = |nanos: i64| Some(nanos as f64 / 1000.0);
        let price = Price { input: per_million(input), output: per_million(output), ..Price::default() };
        let terms = Terms {
            billing: if metered { Billing::Metered } else { Billing::Free },
            price: metered.then_some(price),
            max_output: Some(2_000),
            quotas: rpm
                .map(|rpm| Quota { name: "q".into(), limits: limiter::Limits { rpm: Some(rpm), ..limiter::Limits::default() } })
                .into_iter()
                .collect(),
            ..Terms::default()
        };
        Link::new(format!("p{}/m{}", door.0, door.2), format!("m{}", door.2), Provider::Scripted(scripted), Some(format!("k{}", door.1)))
            .under(terms)
    };
    let links = doors.iter().map(link).collect();
    let run = format!("sim{seed}");
    let purse = Purse::new(Arc::clone(desk), Caps { run: cap, ..Caps::default() }, None);
    purse.set_caller(Caller { run: run.clone(), ..Caller::default() });
    let router = Router::new(links, Rules::default(), Rotation::default()).in_virtual_time().paying(Some(purse));
    Schedule { world, router, doors, cap, run, tasks: 1 + rng.below(3) as usize }
}

/// What a task found wrong, or how it ended.
type Judged = Result<(), String>;

impl Schedule {
    /// A link that could have answered between these two moments, as far as its provider knows.
    fn able(&self, began: u64, deadline: u64) -> Option<Door> {
        let books = self.world.books();
        if self.cap.is_some() || self.world.rpm.is_some() {
            return None;
        }
        // A door that is silent takes time from all.
        let stalls = self.world.episodes.iter().any(|e| e.fault == Fault::Stall && e.from < deadline && e.until > began);
        let able = |door: &&Door| {
            let mine = || self.world.episodes.iter().filter(|e| e.hits(**door) && e.from < deadline && e.until > began);
            !books.dead.contains(&(door.0, door.1))
                && !books.vague.keys().any(|v| v.0 == door.0 && v.1 == door.1)
                && books
                    .told
                    .iter()
                    .filter(|(t, _)| t.0 == door.0 && t.1 == door.1)
                    .all(|(_, told)| told.iter().all(|(_, until)| until + MARGIN < deadline))
                && mine().all(|e| e.fault.passes() && e.until + MARGIN < deadline)
                && (!stalls || began + 20_000 * self.doors.len() as u64 + MARGIN < deadline)
        };
        self.doors.iter().find(able).copied()
    }

    /// One model call; the text and the calls of its answer, or none where it gave up.
    async fn call(&self, task: usize, history: &History, rng: &mut Rng) -> Result<Option<crate::model::Reply>, String> {
        let tool = ToolSpec { name: "note".into(), description: "notes".into(), parameters: serde_json::json!({"type": "object"}) };
        let request = Request { messages: history.clone(), tools: vec![tool].into(), stream: true, ..Request::default() };
        let deadline = [Duration::from_secs(30), Duration::from_mins(2), Duration::from_mins(9)][rng.below(3) as usize];
        let began = self.world.now();
        let until = began + u64::try_from(deadline.as_millis()).unwrap();
        self.world.books().until.insert(task as u64, until);
        let mut live = self.router.start(Ask { operation: Operation::Generate(request), deadline: Some(deadline) });
        let (mut reply, mut shown, mut attempts, mut answered) = (Accumulator::default(), false, 0u32, None);
        while let Some(event) = live.next().await {
            if answered.is_some() {
                return Err(format!("{event:?} behind the end of a call"));
            }
            match event {
                LiveEvent::Event(event) => {
                    shown |= event.is_content();
                    reply.push(&event);
                }
                LiveEvent::Discarded { .. } => (reply, shown) = (Accumulator::default(), false),
                LiveEvent::Failed { .. } => {
                    attempts += 1;
                    if shown {
                        return Err("an attempt failed, and what it had shown stands".into());
                    }
                    reply = Accumulator::default();
                }
                LiveEvent::Answered { .. } => {
                    attempts += 1;
                    answered = Some(true);
                }
                LiveEvent::GaveUp(report) => {
                    answered = Some(false);
                    if let Some(door) = self.able(began, until) {
                        return Err(format!(
                            "gave up at {}, but {door:?} could have answered before {until}: {report:?}",
                            self.world.now()
                        ));
                    }
                }
                _ => {}
            }
        }
        let now = self.world.now();
        if attempts > 200 || now > until + 5_000 {
            return Err(format!("{attempts} attempts, over at {now}, the deadline was {until}"));
        }
        match answered {
            Some(true) => Ok(Some(reply.finish())),
            Some(false) => Ok(None),
            None => Err("a call ended without an end".into()),
        }
    }

    /// A task: turns of the turn machine, with a tool between them, each call once more where it gave up.
    async fn task(&self, task: usize, seed: u64) -> Judged {
        let mut rng = Rng(seed ^ (task as u64).wrapping_mul(0x1234_5677));
        tokio::time::sleep(Duration::from_millis(rng.below(5_000))).await;
        let history: History = [Message::user(format!("task {task}"))].into_iter().collect();
        let mut turn = Turn::new(history, Limits { max_turns: 50, loop_guard: 10 });
        let (mut ran, mut gave_up): (Vec<String>, u32) = (Vec::new(), 0);
        loop {
            match turn.step() {
                Step::CallModel => match self.call(task, turn.history(), &mut rng).await? {
                    Some(reply) => {
                        let (text, at) = (
                            reply.message.joined_text(),
                            turn.history().iter().filter(|m| m.role == crate::model::Role::Assistant).count(),
                        );
                        if !self.doors.iter().any(|door| words(*door, task, at) == text) {
                            return Err(format!("turn {at} of task {task} is nobody's answer: {text}"));
                        }
                        turn.replied(reply);
                    }
                    None if gave_up < 2 => {
                        gave_up += 1;
                        tokio::time::sleep(Duration::from_millis(rng.below(120_000))).await;
                    }
                    None => turn.stop(Cause::Exhausted, None, None),
                },
                Step::RunTools(calls) => {
                    for call in calls {
                        if ran.contains(&call.id) {
                            return Err(format!("{} ran twice", call.id));
                        }
                        ran.push(call.id.clone());
                        turn.tool_done(ToolResult::text(&call.id, "noted", false), Ran::Allowed(None));
                    }
                    tokio::time::sleep(Duration::from_millis(rng.below(2_000))).await;
                }
                Step::Finish(outcome) => {
                    let answers = turn.history().iter().filter(|m| m.role == crate::model::Role::Assistant).count();
                    let whole = outcome.cause == Cause::Done && answers == TURNS && ran.len() == TURNS - 1;
                    let stopped = outcome.cause == Cause::Exhausted && ran.len() == answers;
                    return if whole || stopped { Ok(()) } else { Err(format!("{outcome:?} after {answers} answers and {ran:?}")) };
                }
            }
        }
    }

    /// What was spent, against what the providers charged.
    fn money(&self, store: &Store) -> Judged {
        let totals = store.totals(&format!("run:{}", self.run)).unwrap();
        let charged = self.world.books().charged;
        if totals.reserved != Nanos::ZERO {
            return Err(format!("{totals:?}: something is still reserved"));
        }
        if self.cap.is_some_and(|cap| totals.spent > cap || charged > cap.0) {
            return Err(format!("{charged} were charged and {totals:?} stand in the ledger, over {:?}", self.cap));
        }
        if charged > totals.spent.0 {
            return Err(format!("{charged} were charged, more than {totals:?}"));
        }
        Ok(())
    }
}

/// Runs a schedule; what happened in it, or what must not have.
fn run(seed: u64) -> Result<BTreeMap<String, u64>, String> {
    // One of its own: what other schedules found out of their providers is nothing to this one.
    let store = Arc::new(Store::in_memory(None).unwrap());
    let desk = Arc::new(Desk::here(Arc::clone(&store)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let schedule = schedule(seed, &desk);
        let tasks = (0..schedule.tasks).map(|task| schedule.task(task, seed));
        let ends: Judged = futures_util::future::join_all(tasks).await.into_iter().collect();
        ends?;
        schedule.money(&store)?;
        let mut books = schedule.world.books();
        match books.wrong.first() {
            Some(wrong) => Err(wrong.clone()),
            None => Ok(std::mem::take(&mut books.seen)),
        }
    })
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_schedule_of_faults_splices_loses_repeats_overspends_or_asks_what_rests() {
    let seeds: Vec<u64> =
        env("PUP_SIM_SEED").map_or_else(|| (0..env("PUP_SIM_SCHEDULES").unwrap_or(SCHEDULES)).collect(), |seed| vec![seed]);
    let threads = 2;
    let found: Vec<(Vec<String>, BTreeMap<String, u64>)> = std::thread::scope(|scope| {
        let part = |n: usize| {
            let seeds: Vec<u64> = seeds.iter().copied().skip(n).step_by(threads).collect();
            move || {
                let (mut wrong, mut seen) = (Vec::new(), BTreeMap::<String, u64>::new());
                for seed in seeds {
                    match run(seed) {
                        Ok(what) => what.into_iter().for_each(|(k, n)| *seen.entry(k).or_default() += n),
                        Err(e) => wrong.push(format!("seed {seed}: {e}")),
                    }
                }
                (wrong, seen)
            }
        };
        let running: Vec<_> = (0..threads).map(|n| scope.spawn(part(n))).collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    });
    let wrong: Vec<&String> = found.iter().flat_map(|(w, _)| w).collect();
    let list = || wrong.iter().take(12).map(|w| w.as_str()).collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} schedules\n{}", wrong.len(), seeds.len(), list());
    if seeds.len() as u64 >= 1_000 {
        // A proof has seen each of them often.
        let of = |what: &str| found.iter().filter_map(|(_, seen)| seen.get(what)).sum::<u64>();
        for fault in FAULTS {
            assert!(of(&format!("{fault:?}")) > seeds.len() as u64 / 50, "{fault:?} came {} times", of(&format!("{fault:?}")));
        }
        assert!(of("whole") > seeds.len() as u64);
    }
}
