//! How the use cases ask AWS whose a credential is: a signed question, over the gateway's own way to the cloud.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::{
    clock::Clock,
    cloud::aws::sts::{Sts, caller_identity},
    gateway::Gateway,
    model::IdentitySource,
    workflow::Checker,
};

/// Must be called inside a Tokio runtime; what it gives, on a thread that may block.
pub(super) fn checker(gateway: Gateway, clock: Clock) -> Checker {
    let runtime = Handle::current();
    Arc::new(move |source| {
        runtime.block_on(async {
            let sts = match source {
                IdentitySource::Keys(_) => Sts::usual()?,
                IdentitySource::Role(session) => Sts::of(session.role.role_arn.partition())?,
            };
            let identity = gateway.identity(source).await?;
            let question = caller_identity::request(&sts, &identity, clock.now())?;
            let answer = gateway.errand(question).await.map_err(|error| sts.unanswered(&error))?;
            caller_identity::read(&sts, &answer)
        })
    })
}
