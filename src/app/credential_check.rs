//! How the use cases ask AWS whose a credential is: a signed question, over the gateway's own way to the cloud.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::{clock::Clock, cloud::aws::caller_identity, gateway::Gateway, workflow::Checker};

/// Must be called inside a Tokio runtime; what it gives, on a thread that may block.
pub(super) fn checker(gateway: Gateway, clock: Clock) -> Checker {
    let runtime = Handle::current();
    Arc::new(move |identity| {
        let question = caller_identity::request(identity, clock.now())?;
        let answer = runtime.block_on(gateway.errand(question)).map_err(|error| caller_identity::unanswered(&error))?;
        caller_identity::read(&answer)
    })
}
