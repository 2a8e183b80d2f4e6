//! Cloud Service Gateway: applications use cloud services with keys that work only here; the real ones stay here.
//!
//! Imports point downwards only, and siblings on one floor do not import each other
//! (`tests/it/architecture.rs` holds the code to it):
//!
//! | floor | module | what lives there |
//! | --- | --- | --- |
//! | 6 | `main.rs`, [`cli`] | exit codes; one file per subcommand |
//! | 5 | [`app`], [`config`] | configuration → running appliance |
//! | 4 | [`console`], [`gateway`] | pages and REST API; the stages of a cloud client's call |
//! | 3 | [`workflow`], [`audit`] | the use cases and their permissions; what happened |
//! | 2 | [`store`], [`policy`], [`cloud`] | state on disk; may this call go?; what a cloud is to the gateway |
//! | 1 | [`model`] | the nouns, without I/O |
//! | 0 | [`sigv4`], [`ca`], [`clock`], [`secret`] | signatures, certificates, time, secrets: pure |

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
