//! The pages, as a browser without scripts gets them: over real HTTP, with cookies.

mod admin;
mod asked_rules;
mod browser;
mod decide;
mod live;
mod queue;
mod requests;
mod scale;
mod second_factor;
mod sessions;
mod setup;
mod usage;
