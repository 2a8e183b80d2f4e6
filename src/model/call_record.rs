//! What is kept of every call of a cloud client, allowed or refused.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AccessKeyId, AccessRequestId, EnvironmentId, ServiceId, UserName};
use crate::clock::Timestamp;

/// One call: who, what, how it went. Nothing of its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CallRecord {
    /// When the head of the request had arrived.
    pub at: Timestamp,
    /// The gateway's id of the call; where the gateway answers itself, the client sees it as `x-amzn-requestid`.
    pub id: String,
    /// The client's address, without the port.
    #[schema(value_type = String)]
    pub client: Arc<str>,
    /// The key it was signed with, if one could be read; if `request` is none, nobody vouches for it.
    #[schema(required)]
    pub access_key_id: Option<AccessKeyId>,
    /// The access request behind the key, once the signature was found right.
    #[schema(required)]
    pub request: Option<AccessRequestId>,
    /// Who asked for that access.
    #[schema(required)]
    pub user: Option<UserName>,
    /// Where it is used.
    #[schema(required)]
    pub environment: Option<EnvironmentId>,
    /// The cloud host that was called.
    #[schema(value_type = String)]
    pub host: Arc<str>,
    /// The service.
    #[schema(required)]
    pub service: Option<ServiceId>,
    /// The operation in the cloud's own words: `PutItem`.
    #[schema(required)]
    pub operation: Option<String>,
    /// The region in the credential scope. SigV2 has none: where the call went.
    #[schema(required)]
    pub region: Option<String>,
    /// How it went.
    pub outcome: Outcome,
    /// For what was not allowed or failed: the error code the client was given. For an answer that was cut: why, unless
    /// the client did it.
    #[schema(required)]
    pub error: Option<String>,
    /// The HTTP status the client was given; 0 if it went away before one.
    pub status: u16,
    /// Bytes of request body taken from the client.
    pub bytes_in: u64,
    /// Bytes of response body given to the client.
    pub bytes_out: u64,
    /// From the head of the request to the last byte of the answer, in microseconds.
    pub duration_us: u64,
    /// The cloud's own request id, if it gave one.
    #[schema(required)]
    pub cloud_request_id: Option<String>,
}

/// How a call went, seen from the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Sent on, and the cloud's whole answer given to the client, whatever it was.
    Allowed,
    /// Ended before its last byte: by the client, the cloud, or because access ended.
    Cut,
    /// Allowed, but the cloud could not be reached or did not answer.
    Failed,
    /// Not allowed.
    Refused,
}

impl Outcome {
    /// The word for it in the REST API: `allowed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Cut => "cut",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}
