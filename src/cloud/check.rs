//! Why a real credential could not be shown to work.
//!
//! The `Display` text is for whoever administers credentials.

/// A credential that was tried with its cloud, in vain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// What answered does not speak as the cloud does.
    #[error("what answered as {host} does not speak as AWS does ({what}): something else may stand in its place")]
    Garbled {
        /// The host.
        host: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// The cloud knows no such key, or does not take it.
    #[error("AWS does not take it: {message} ({code})")]
    Refused {
        /// The cloud's code: `InvalidClientTokenId`.
        code: String,
        /// The cloud's words.
        message: String,
    },
    /// Nobody answered.
    #[error("no answer came from {host}: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why, as far as is known.
        reason: String,
    },
}
