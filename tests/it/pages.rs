//! The pages, as a browser without scripts gets them: over real HTTP, with cookies.

mod admin;
mod browser;
mod live;
mod requests;
mod sessions;
mod setup;
