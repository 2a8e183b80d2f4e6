//! The pages, as a browser without scripts gets them: over real HTTP, with cookies.

mod browser;
mod live;
mod requests;
mod second_factor;
mod sessions;
mod setup;
