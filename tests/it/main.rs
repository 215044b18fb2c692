//! The one integration binary; each topic is a module. Helpers live in `tests/support`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by failing; helpers of tests are outside #[test] functions"
)]

mod agents;
mod anthropic;
mod architecture;
mod bad_state;
mod budget;
mod calls;
mod chat;
mod chat_screen;
mod classify;
mod cli_links;
mod cli_smoke;
mod commands;
mod compact;
mod compact_facts;
mod crossing;
mod cuts;
mod demo;
mod doctor;
mod every_pair;
mod faults;
mod gemini;
mod guide;
mod interrupt;
mod journal;
mod keys;
mod kills;
mod login;
mod login_faults;
mod login_oidc;
mod login_use;
mod login_wires;
mod models;
mod models_update;
mod ops;
mod paused;
mod plug_grid;
mod pool;
mod quirks;
mod readme;
mod recordings;
mod recordings_anthropic;
mod recordings_errors;
mod recordings_gemini;
mod recordings_operations;
mod recordings_ops;
mod recordings_responses;
mod responses;
mod resume;
mod rules;
mod run;
mod skills;
mod spenders;
#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a tool box: a helper is kept for the topics that come next")]
mod support;
mod task;
mod terminal;
mod undo;
mod undo_proof;
mod words;
