//! What a cloud is to the gateway: recognise a host, name a call, put the real identity in, word an error.

pub mod aws;
mod check;
mod refusal;

pub use check::CheckError;
pub use refusal::{Blame, Refusal};
