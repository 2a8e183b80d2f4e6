//! The REST API and the pages, over real HTTP: who may do what, the life of an access request, what goes wrong.

mod harness;
mod life;
mod pages;
mod permissions;
mod refusals;
