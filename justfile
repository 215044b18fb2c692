# Short names for what one does all day. `just` alone lists them.

default:
    @just --list

# Types only: the quickest answer
check:
    cargo check --all-targets

# All tests, as the README says
test:
    cargo test

# Unit tests whose name contains NAME
unit NAME:
    cargo test --lib {{NAME}}

# Integration tests whose name contains NAME
it NAME:
    cargo test --test it {{NAME}}

fmt:
    cargo fmt

lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# The shape of the source: layers, sizes, crashes
shape:
    cargo test --test it architecture -- --nocapture

# Licences, advisories, banned crates (needs cargo-deny)
deny:
    cargo deny check

# The first thing a newcomer sees
demo:
    cargo run --release -- demo

# What the server runs
ci:
    .ci/run
