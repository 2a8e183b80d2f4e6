//! The tests that see the library from outside; one binary, because linking is what takes the time.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml permits these in tests, but does not see that this is one as a whole"
)]

mod api;
mod architecture;
mod ca;
mod cli;
mod console_tls;
mod credential_check;
mod docs;
mod errors;
mod field_notes;
mod gateway;
mod harness;
mod messages;
mod names;
mod pages;
mod recognition;
mod store;
