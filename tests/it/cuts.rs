//! The same task with its replies cut at random bytes: the same files at the end, nothing run twice, one answer.
//!
//! 200 offsets by default; `PUP_TEST_CASES=10000` takes more. The seed is fixed, so that a failure comes again.

use crate::journal;
use crate::support::reply::Ask;
use crate::support::{Api, Cut, Framing, Reply, Server, TestEnv};
use crate::task::{self, TURNS};
use std::collections::HashSet;
use std::sync::Mutex;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// The bytes of a turn's reply as this run will get them.
fn body(api: Api, reply: &Reply, turn: usize) -> Vec<u8> {
    reply.pieces(&Ask { api, model: api.model(), stream: true, usage: true, turn }).0.concat()
}

/// Where a reply is cut, and how.
#[derive(Debug, Clone, Copy)]
struct Plan {
    at: usize,
    how: Cut,
    framing: Framing,
}

impl Plan {
    /// Any byte; one time in four moved to the end of its event, which hardly any random byte is.
    fn random(random: &mut Random, body: &[u8]) -> Self {
        let how = if random.below(2) == 0 { Cut::Close } else { Cut::Reset };
        let framing = if random.below(3) == 0 { Framing::UntilClose } else { Framing::Chunked };
        let at = random.below(body.len() + 1);
        let to_end = body[at..].windows(2).position(|w| w == b"\n\n").map_or(0, |n| n + 2);
        Self { at: if random.below(4) == 0 { at + to_end } else { at }, how, framing }
    }
}

/// In which part of a reply a cut fell.
#[derive(Debug, Default)]
struct Shapes {
    nothing_yet: usize,
    inside_an_event: usize,
    between_events: usize,
    in_arguments: usize,
    in_text: usize,
    behind_the_finish: usize,
}

impl Shapes {
    fn count(&mut self, api: Api, body: &[u8], plan: Plan) {
        let (end, args, text) = match api {
            Api::Chat => ("\"finish_reason\":\"", "\"arguments\"", ["\"content\":\"D", "\"content\":\"N"]),
            Api::Responses => ("event: response.completed", "arguments.delta", ["\"delta\":\"D", "\"delta\":\"N"]),
        };
        let come = String::from_utf8_lossy(&body[..plan.at]).into_owned();
        self.nothing_yet += usize::from(!come.contains("\n\n"));
        *(if come.ends_with("\n\n") { &mut self.between_events } else { &mut self.inside_an_event }) += 1;
        if come.split_inclusive("\n\n").any(|event| event.contains(end) && event.ends_with("\n\n")) {
            self.behind_the_finish += 1;
        } else if come.contains(args) {
            self.in_arguments += 1;
        } else if text.iter().any(|t| come.contains(t)) {
            self.in_text += 1;
        }
    }
}

#[test]
fn a_task_whose_replies_are_cut_anywhere_ends_as_if_they_were_not() {
    let cases: usize = std::env::var("PUP_TEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let runs: Vec<u64> = (0..cases.div_ceil(TURNS) as u64).collect();
    for api in Api::ALL {
        let shapes = cut_anywhere(api, &runs);
        let all = [
            shapes.nothing_yet,
            shapes.inside_an_event,
            shapes.between_events,
            shapes.in_arguments,
            shapes.in_text,
            shapes.behind_the_finish,
        ];
        assert!(all.iter().all(|n| *n >= 3), "a shape is missing from these cuts: {api:?} {shapes:?}");
    }
}

/// One run of the task for each seed; returns where the cuts fell.
fn cut_anywhere(api: Api, runs: &[u64]) -> Shapes {
    let shapes = Mutex::new(Shapes::default());
    task::each(
        8,
        runs,
        |seed| format!("{api:?}: seed {seed}"),
        |seed| {
            let mut random = Random(*seed);
            let replies = task::replies();
            let bodies: Vec<Vec<u8>> = replies.iter().enumerate().map(|(turn, reply)| body(api, reply, turn)).collect();
            let plans: Vec<Plan> = bodies.iter().map(|b| Plan::random(&mut random, b)).collect();
            for (body, plan) in bodies.iter().zip(&plans) {
                shapes.lock().unwrap().count(api, body, *plan);
            }
            let mut cut = HashSet::new();
            let server = {
                let plans = plans.clone();
                Server::respond(move |request| {
                    let turn = request.turn();
                    let right = replies[turn].clone();
                    let Plan { at, how, framing } = plans[turn];
                    if cut.insert(turn) { right.framing(framing).cut_at(at, how) } else { right }
                })
            };
            let env = TestEnv::new();
            let out = task::launch_on(api, &env, &server).run();
            let requests = server.finish();
            let result = task::assert_finished(&env, &out, &requests);
            let attempts = task::attempts(&result);
            assert_eq!(attempts.len(), requests.len(), "{plans:?}\n{}", out.report());
            assert!(attempts.iter().all(|a| a == "ok" || a == "network"), "{plans:?}\n{}", out.report());
            assert_eq!(attempts.iter().filter(|a| *a == "ok").count(), TURNS, "{plans:?}\n{}", out.report());
            journal::assert_effects_once(&journal::of(&env, &result), TURNS - 1);
        },
    );
    shapes.into_inner().unwrap()
}

#[test]
fn the_same_reply_cut_again_and_again_is_one_reply() {
    let env = TestEnv::new();
    let replies = task::replies();
    let length = replies[1].stream_len(1);
    let mut left = vec![length / 4, length / 2, length * 3 / 5];
    let server = Server::respond(move |request| {
        let right = replies[request.turn()].clone();
        if request.turn() == 1
            && let Some(at) = left.pop()
        {
            right.cut_at(at, Cut::Reset)
        } else {
            right
        }
    });
    let out = task::launch(&env, &server).run();
    let result = task::assert_finished(&env, &out, &server.finish());
    assert_eq!(task::attempts(&result), ["ok", "network", "network", "network", "ok", "ok", "ok"], "{}", out.report());
}
