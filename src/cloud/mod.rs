//! What a cloud is to the gateway: recognise a host, name a call, put the real identity in, word an error.

pub mod aws;
mod refusal;

pub use refusal::{Blame, Refusal};
