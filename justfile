# What one does here every day. `just` lists it; each line also works without just.

default:
    @just --list

# The main job on loopback: ask, approve, use.
demo:
    cargo run --release -- demo

# Everything, with real clients; or one suite: just test refusals
test *suite:
    ./tests/run {{ suite }}

# The Rust tests alone: seconds, while you write.
unit *filter:
    cargo test {{ filter }}

# The static executable, the packages and SHA256SUMS, in target/dist/release.
dist:
    packaging/build.sh

# What CI holds every change to, besides the tests.
check:
    ./.ci/run --checks

fmt:
    cargo fmt
    tests/.cache/venv/bin/ruff format tests/clients tests/browser tests/packages

# Verify and sign, in nanoseconds.
bench *filter:
    cargo bench {{ filter }}
