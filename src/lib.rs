//! Cloud Service Gateway: applications use cloud services with keys that work only here; the real ones stay here.
//!
//! Imports point down this table only: a module sees the rows below its own, and nothing beside or above it
//! (`tests/it/architecture.rs` reads this page and holds the code to it):
//!
//! | floor | module | what lives there |
//! | --- | --- | --- |
//! | 6 | `main.rs` | exit codes |
//! | 6 | [`cli`] | one file per subcommand |
//! | 5 | [`app`] | configuration → running appliance |
//! | 5 | [`config`] | file and environment → configuration |
//! | 4 | [`console`], [`gateway`] | pages and REST API; the stages of a cloud client's call |
//! | 3 | [`workflow`], [`audit`] | the use cases and their permissions; what happened |
//! | 2 | [`store`], [`policy`], [`cloud`] | state on disk; may this call go?; what a cloud is to the gateway |
//! | 1 | [`model`] | the nouns, without I/O |
//! | 0 | [`sigv4`], [`ca`] | signatures, certificates: pure |
//! | 0 | [`clock`], [`secret`] | time, secrets |
//!
//! Besides, [`gateway`] sees neither [`store`] nor [`workflow`]: it is given a snapshot of the grants, and a sink.

pub mod app;
pub mod audit;
pub mod ca;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod config;
pub mod console;
pub mod gateway;
pub mod model;
pub mod policy;
pub mod secret;
pub mod sigv4;
pub mod store;
pub mod workflow;
