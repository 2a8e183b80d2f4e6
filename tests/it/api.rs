//! The REST API, over real HTTP: who may do what, the life of an access request, what goes wrong.

pub(crate) mod authenticator;
mod credentials;
pub(crate) mod harness;
mod life;
mod lists;
mod openapi;
mod permissions;
mod policies;
mod refusals;
mod second_factor;
