//! Why a call does not go through, in words that are the same for every cloud and protocol.
//!
//! The `Display` text is what the client reads; nothing internal belongs into it.

use crate::clock::Timestamp;

/// A call that is refused, or that failed on its way, and what its client may know about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The call addresses an account that the environment does not allow.
    #[error("Account '{account}' is not allowed by this access request")]
    AccountNotAllowed {
        /// The account that the call names.
        account: String,
    },
    /// A body whose hash has to be computed is longer than may be held.
    #[error(
        "The request body is larger than {limit} bytes, the most that the gateway holds to compute its hash; send \
         the header x-amz-content-sha256, or have {setting} raised"
    )]
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
        /// The setting that it comes from.
        setting: &'static str,
    },
    /// The body is not what the checksum behind it says.
    #[error("The {header} you specified did not match the calculated checksum.")]
    ChecksumMismatch {
        /// The name of the trailer.
        header: &'static str,
    },
    /// The date of the signature is too far from the gateway's clock.
    #[error("Signature not current: it was made at {signed_at}, and the time here is {now}")]
    ClockSkew {
        /// When the client says it signed.
        signed_at: Timestamp,
        /// The gateway's time.
        now: Timestamp,
    },
    /// The operation's answer would hold cloud credentials.
    #[error("Action '{operation}' would hand out cloud credentials and is not allowed by this access request")]
    CredentialOperation {
        /// The operation.
        operation: String,
    },
    /// The gateway itself can't do its duty now (the audit log is full, a credential can't be had).
    #[error("The gateway cannot take calls now: {reason}")]
    GatewayUnavailable {
        /// What is missing, in public words.
        reason: String,
    },
    /// There is an Authorization header, but it lacks something or can't be read.
    #[error("{what}")]
    IncompleteSignature {
        /// What is wrong with it, as AWS words it.
        what: String,
    },
    /// The request is not HTTP as it should be.
    #[error("{what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// Nothing in the request says who calls.
    #[error("Missing Authentication Token")]
    MissingToken,
    /// The key is known, but revoked, archived or expired, or its owner is disabled.
    #[error("Client is not Active")]
    NotActive,
    /// The key is known and active, but not for this service.
    #[error("Client is unknown or has no access to service")]
    NotGranted,
    /// The body is not what its declared hash says.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    PayloadHashMismatch,
    /// A rule of the grant's policy group forbids the call.
    #[error("Action '{operation}' violates policy '{policy}'")]
    Policy {
        /// The operation.
        operation: String,
        /// The policy's type: `csg.resource.name.prefix`.
        policy: String,
    },
    /// The credential scope names another service or region than the host does.
    #[error("{what}")]
    ScopeMismatch {
        /// What it should be scoped to, as AWS words it.
        what: String,
    },
    /// The signature is not the one that the key makes.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
    )]
    SignatureMismatch,
    /// More calls than allowed.
    #[error("Rate exceeded: {what}")]
    Throttled {
        /// Which limit.
        what: String,
    },
    /// No key of that id was ever given out.
    #[error("Client is unknown or has no access to service")]
    UnknownKey,
    /// The request could not be matched to one operation of the service, so nothing can be said about it.
    #[error("The operation of this request could not be recognised, so the gateway cannot allow it")]
    UnknownOperation,
    /// Signed in a way that the gateway does not take.
    #[error("{what}")]
    UnsupportedAuth {
        /// Which way, and what to use instead.
        what: String,
    },
    /// The life of a presigned URL is over.
    #[error("Request has expired: the URL was good until {ended_at}, and the time here is {now}")]
    UrlExpired {
        /// Its end.
        ended_at: Timestamp,
        /// The gateway's time.
        now: Timestamp,
    },
    /// The cloud did not answer in time.
    #[error("{host} did not answer in time: {reason}")]
    UpstreamTimeout {
        /// The cloud's host.
        host: String,
        /// What was waited for.
        reason: String,
    },
    /// The cloud can't be reached, or its certificate is refused.
    #[error("{host} could not be reached: {reason}")]
    UpstreamUnavailable {
        /// The cloud's host.
        host: String,
        /// Why.
        reason: String,
    },
    /// S3 is asked with a signature for another region than the host's. Its clients read the right one out of the answer,
    /// and try again with it.
    #[error("{}; the region '{claimed}' is wrong; expecting '{expected}'", of_scope(*in_query))]
    WrongRegion {
        /// The region that the client signed for.
        claimed: String,
        /// The host's.
        expected: String,
        /// Is it a presigned URL?
        in_query: bool,
    },
}

/// What holds the region, as S3 words it.
const fn of_scope(in_query: bool) -> &'static str {
    if in_query { "Error parsing the X-Amz-Credential parameter" } else { "The authorization header is malformed" }
}

/// Whose move it is: enough to pick an HTTP status by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The gateway can't work now.
    Gateway,
    /// The client may not do this.
    NotAllowed,
    /// The request can't be understood.
    NotUnderstood,
    /// The client sent more than can be held.
    TooLarge,
    /// The client calls too often.
    TooOften,
    /// The cloud could not be reached.
    Upstream,
    /// The cloud was too slow.
    UpstreamSlow,
}

impl Refusal {
    /// Whose move it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::AccountNotAllowed { .. }
            | Self::ClockSkew { .. }
            | Self::CredentialOperation { .. }
            | Self::MissingToken
            | Self::NotActive
            | Self::NotGranted
            | Self::PayloadHashMismatch
            | Self::Policy { .. }
            | Self::ScopeMismatch { .. }
            | Self::SignatureMismatch
            | Self::UnknownKey
            | Self::UnknownOperation
            | Self::UnsupportedAuth { .. }
            | Self::UrlExpired { .. } => Blame::NotAllowed,
            Self::BodyTooLarge { .. } => Blame::TooLarge,
            Self::GatewayUnavailable { .. } => Blame::Gateway,
            Self::ChecksumMismatch { .. }
            | Self::IncompleteSignature { .. }
            | Self::Malformed { .. }
            | Self::WrongRegion { .. } => Blame::NotUnderstood,
            Self::Throttled { .. } => Blame::TooOften,
            Self::UpstreamTimeout { .. } => Blame::UpstreamSlow,
            Self::UpstreamUnavailable { .. } => Blame::Upstream,
        }
    }
}
