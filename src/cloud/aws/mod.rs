//! AWS, from generated data: which host is which service, what a call is called there, and how an error is worded.
//!
//! No service has code of its own. What a service is stands in `assets/aws/catalogue.tsv`.

mod account;
mod bucket;
mod catalogue;
pub mod checksum;
mod creation;
pub mod error;
pub mod event_stream;
mod form;
mod hints;
mod host;
mod labels;
mod name;
mod operations;
mod route;
pub mod sts;

pub use account::expect_owner;
pub use bucket::region_told;
pub use catalogue::{Catalogue, CatalogueError, Protocol, Service};
pub use host::{Claim, Host, ScopeMismatch, bucket_in, certificate_name};
pub use name::{Dialect, Named, is_read_to_name};
