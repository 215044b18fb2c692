//! `no-metadata` and its like: fields of the request that a server refuses instead of passing over.
//!
//! Google's OpenAI flavour answers 400 to any field that it does not know (`Unknown name "metadata"`), Mistral 422; xAI's
//! reasoning models refuse `stop`. Each is named as a loss where a request has it.

use super::Quirk;

pub(super) const METADATA: Quirk =
    Quirk { name: "no-metadata", what: "never sends `metadata`", apply: |dialect| dialect.unsent.push("metadata") };

pub(super) const SEED: Quirk = Quirk { name: "no-seed", what: "never sends `seed`", apply: |dialect| dialect.unsent.push("seed") };

pub(super) const STOP: Quirk = Quirk { name: "no-stop", what: "never sends `stop`", apply: |dialect| dialect.unsent.push("stop") };

pub(super) const PARALLEL: Quirk = Quirk {
    name: "no-parallel-tool-calls",
    what: "never sends `parallel_tool_calls`",
    apply: |dialect| dialect.unsent.push("parallel_tool_calls"),
};
