//! Plans of conversations: what proptest makes and shrinks. A plan becomes a history when it is told ([`super::tell`]).

use super::tools::{NAMES, SCHEMAS};
use super::words::{ArgsForm, IdForm, Words, args_form, id_form, said, words};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[derive(Debug, Clone)]
pub struct Plan {
    pub system: Vec<Words>,
    /// Name and schema of each.
    pub tools: Vec<(usize, usize)>,
    /// The parties that this conversation goes through.
    pub cast: Vec<Index>,
    /// Whether the assistant speaks first.
    pub opens: bool,
    pub turns: Vec<TurnPlan>,
    /// A system message behind this turn.
    pub late: Option<Index>,
    pub damage: Vec<(Damage, Index)>,
    pub settings: Settings,
}

#[derive(Debug, Clone)]
pub struct TurnPlan {
    pub users: Vec<Vec<UserBlock>>,
    pub steps: Vec<StepPlan>,
}

#[derive(Debug, Clone)]
pub enum UserBlock {
    Text(Words),
    Image(Media),
    Document { pdf: bool, named: bool },
    Opaque,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    Png,
    Url,
    /// A type that some wires do not take.
    Odd,
}

/// An assistant's message and the results of its calls.
#[derive(Debug, Clone)]
pub struct StepPlan {
    pub party: Index,
    pub how: How,
    pub blocks: Vec<BlockPlan>,
    pub calls: Vec<CallPlan>,
    /// The calls stand before the last block.
    pub calls_first: bool,
    pub order: Order,
}

/// How a message came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Its blocks as they are.
    Neutral,
    /// Read by the codec from the frames that a provider writes.
    Frames,
    /// Written by the codec's server half and read by its client half.
    Writer,
}

#[derive(Debug, Clone)]
pub enum BlockPlan {
    Text(Words),
    Thinking(Proof, Words),
    Image,
    Opaque,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    Signed,
    Unsigned,
    Redacted,
    /// A signature and no text.
    Alone,
}

#[derive(Debug, Clone)]
pub struct CallPlan {
    pub name: Index,
    pub id: IdForm,
    pub args: ArgsForm,
    pub signed: bool,
    /// Its tool is not offered.
    pub unknown: bool,
    pub result: Vec<PartPlan>,
    pub error: bool,
}

#[derive(Debug, Clone)]
pub enum PartPlan {
    Text(Words),
    Image(Media),
}

/// How results stand in their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    AsCalled,
    /// The last call was done first.
    Reversed,
    /// Each in a message of its own.
    Apart,
}

/// What crashes, imports and foreign ids leave behind, before it is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    NoResults,
    OneResultGone,
    OtherId,
    Doubled,
    EmptyIds,
    SharedIds,
    NoName,
    EmptyMessage,
    StrayResult,
    TextAmongResults,
}

#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub choice: u8,
    pub parallel: Option<bool>,
    pub format: u8,
    pub max_output: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub stop: Vec<&'static str>,
    pub seed: Option<i64>,
    pub n: Option<u32>,
    pub effort: Option<&'static str>,
    pub stream: bool,
    pub metadata: Option<&'static str>,
    pub cache: Vec<(Index, usize, bool)>,
}

pub fn plan() -> impl Strategy<Value = Plan> {
    let tools = || vec((0..NAMES.len(), 0..SCHEMAS.len()), 0..5);
    let late = option::weighted(0.8, any::<Index>());
    let damage = prop_oneof![2 => Just(Vec::new()), 1 => vec((damage(), any::<Index>()), 1..4)];
    let settings = prop_oneof![1 => Just(Settings::default()), 1 => settings()];
    (vec(words(), 0..3), tools(), vec(any::<Index>(), 1..4), proptest::bool::weighted(0.7), vec(turn(), 1..5), late, damage, settings)
        .prop_map(|(system, tools, cast, opens, turns, late, damage, settings)| Plan {
            system,
            tools,
            cast,
            opens,
            turns,
            late,
            damage,
            settings,
        })
}

fn turn() -> impl Strategy<Value = TurnPlan> {
    let user = vec(
        prop_oneof![
            3 => words().prop_map(UserBlock::Text),
            3 => media().prop_map(UserBlock::Image),
            3 => (any::<bool>(), any::<bool>()).prop_map(|(pdf, named)| UserBlock::Document { pdf, named }),
            1 => Just(UserBlock::Opaque),
        ],
        1..4,
    );
    (vec(user, 0..4), vec(step(), 1..4)).prop_map(|(users, steps)| TurnPlan { users, steps })
}

fn media() -> impl Strategy<Value = Media> {
    select(vec![Media::Png, Media::Url, Media::Odd])
}

fn step() -> impl Strategy<Value = StepPlan> {
    let block = prop_oneof![
        6 => words().prop_map(BlockPlan::Text),
        14 => (select(vec![Proof::Signed, Proof::Signed, Proof::Unsigned, Proof::Redacted, Proof::Alone]), said())
            .prop_map(|(proof, text)| BlockPlan::Thinking(proof, text)),
        4 => Just(BlockPlan::Image),
        6 => Just(BlockPlan::Opaque),
    ];
    let calls = prop_oneof![2 => Just(0usize), 2 => Just(1), 4 => 2..=5usize].prop_flat_map(|n| vec(call(), n));
    let how = select(vec![How::Neutral, How::Frames, How::Writer]);
    let order = select(vec![Order::AsCalled, Order::AsCalled, Order::Reversed, Order::Apart]);
    (any::<Index>(), how, vec(block, 0..6), calls, proptest::bool::weighted(0.2), order)
        .prop_map(|(party, how, blocks, calls, calls_first, order)| StepPlan { party, how, blocks, calls, calls_first, order })
}

fn call() -> impl Strategy<Value = CallPlan> {
    let part = prop_oneof![4 => words().prop_map(PartPlan::Text), 1 => media().prop_map(PartPlan::Image)];
    let result = prop_oneof![1 => Just(Vec::new()), 6 => vec(part, 1..3)];
    let often = proptest::bool::weighted;
    (any::<Index>(), id_form(), args_form(), often(0.4), often(0.1), result, often(0.25))
        .prop_map(|(name, id, args, signed, unknown, result, error)| CallPlan { name, id, args, signed, unknown, result, error })
}

fn damage() -> impl Strategy<Value = Damage> {
    use Damage::{Doubled, EmptyIds, EmptyMessage, NoName, NoResults, OneResultGone, OtherId, SharedIds, StrayResult, TextAmongResults};
    select(vec![NoResults, OneResultGone, OtherId, Doubled, EmptyIds, SharedIds, NoName, EmptyMessage, StrayResult, TextAmongResults])
}

fn settings() -> impl Strategy<Value = Settings> {
    let some = option::of(select(vec![1u64, 10, 1500, 40_000]));
    let stop = select(vec![vec![], vec!["END"], vec!["a", "b", "c", "d", "e", "f"], vec![" "], vec!["\n"], vec![""]]);
    let words = (
        option::of(select(vec!["none", "minimal", "low", "medium", "high", "xhigh", "odd"])),
        option::of(select(vec!["user_id", "trace"])),
        vec((any::<Index>(), 0..3usize, any::<bool>()), 0..7),
    );
    let numbers = (some, option::of(select(vec![0.0, 0.7, 1.0, 2.0])), option::of(select(vec![0.5, 1.0])), option::of(Just(7i64)));
    ((0..5u8, option::of(any::<bool>()), 0..4u8, option::of(1..3u32), any::<bool>()), numbers, stop, words).prop_map(
        |((choice, parallel, format, n, stream), (max_output, temperature, top_p, seed), stop, (effort, metadata, cache))| Settings {
            choice,
            parallel,
            format,
            max_output,
            temperature,
            top_p,
            stop,
            seed,
            n,
            effort,
            stream,
            metadata,
            cache,
        },
    )
}
