//! Where a request comes from: the other end of its connection, and what the program there calls itself.
//!
//! Behind a program that ends TLS the other end is that program. What it writes into `X-Forwarded-For` is not believed:
//! anybody who reaches the port could write it.

use std::{convert::Infallible, net::IpAddr};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use super::State;
use crate::workflow::Origin;

/// The other end of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

const LONGEST: usize = 200;

impl FromRequestParts<State> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Infallible> {
        let client = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            address: parts.extensions.get::<Peer>().map(|peer| peer.0),
            client: client.map(|text| text.chars().take(LONGEST).collect()),
        })
    }
}
