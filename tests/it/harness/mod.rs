//! A data plane on a free port, a cloud that the test plays by hand, a client that writes raw bytes, and a signer that
//! is not ours. A test reads like what goes over the wire, in the order in which it goes:
//!
//! ```text
//! client.send(&key.sign("POST / HTTP/1.1 …"))      client ──▶ gateway
//! let mut call = site.cloud.call().await           gateway ──▶ cloud
//! call.answer("HTTP/1.1 200 OK …").await           gateway ◀── cloud
//! client.answer().await                            client ◀── gateway
//! ```
//!
//! Nothing here sleeps to wait: whatever is waited for has [`within`] its limit to happen.

mod chunks;
mod cloud;
pub(crate) mod frames;
mod h2;
mod log;
mod panics;
mod presign;
mod signer;
mod site;
mod wire;

use std::{pin::pin, time::Duration};

use csg::clock::Clock;

pub(crate) use self::{
    chunks::Chunks,
    cloud::{Call, Cloud, Identity},
    h2::{Answering, H2Call, H2Client, H2Cloud, Talk, answered},
    log::Log,
    presign::Presigning,
    signer::{Key, Signed, sha256},
    site::{Site, handshake},
    wire::{Answer, Head, Tls, Wire},
};

/// For anything that should happen at once, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) const DYNAMODB: &str = "dynamodb.us-east-1.amazonaws.com";
pub(crate) const LAMBDA: &str = "lambda.us-east-1.amazonaws.com";
pub(crate) const ROUTE53: &str = "route53.amazonaws.com";
pub(crate) const S3: &str = "s3.us-east-1.amazonaws.com";
pub(crate) const SNS: &str = "sns.us-east-1.amazonaws.com";

/// What `future` gives; fails if that takes too long.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_time(LIMIT, what, future).await
}

/// What `future` gives; fails if that takes longer than `limit`.
pub(crate) async fn within_time<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, pin!(future)).await.unwrap_or_else(|_| panic!("waited too long: {what}"))
}

/// Waits until `condition` gives something.
pub(crate) async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            Clock::system().sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// Lets `span` pass for whoever sleeps, without waiting for it.
pub(crate) async fn skip(span: Duration) {
    tokio::time::pause();
    tokio::time::advance(span).await;
    tokio::time::resume();
}
