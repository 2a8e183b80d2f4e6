//! From a claim to a proof.

use std::time::Duration;

use http::request::Parts;

use super::{Chain, Claim, PathStyle, Payload, SigningKey, canonical, claim::Form, date::Moment, legacy, query};
use crate::clock::Timestamp;

/// How far the clocks of client and gateway may lie apart.
const TOLERANCE: Duration = Duration::from_mins(15);

/// A claim that was found true. Only [`Claim::verify`] makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    claim: Claim,
    payload: Payload,
}

/// Why a claim is not true. The words are AWS's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Signed more than 15 minutes ago.
    #[error("Signature expired: {signed} is now earlier than {limit} ({now} - 15 min.)")]
    Expired {
        /// The client's time.
        signed: String,
        /// The earliest acceptable.
        limit: String,
        /// Our time.
        now: String,
    },
    /// The key, or anything that was signed, is not what it was when the client signed.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
    /// Signed more than 15 minutes from now.
    #[error("Signature not yet current: {signed} is still later than {limit} ({now} + 15 min.)")]
    NotYetCurrent {
        /// The client's time.
        signed: String,
        /// The latest acceptable.
        limit: String,
        /// Our time.
        now: String,
    },
    /// The life of a presigned URL is over.
    #[error("Request has expired: it was good until {until}, and the time here is {now}")]
    UrlExpired {
        /// Its end.
        until: String,
        /// Our time.
        now: String,
    },
    /// The body is not the one whose hash the client declared.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    PayloadMismatch,
}

impl Claim {
    /// When the client says it signed.
    pub fn at(&self) -> Timestamp {
        self.at.at()
    }

    /// When a presigned URL ends; none for a signature in the header.
    pub fn ends(&self) -> Option<Timestamp> {
        match self.form {
            Form::Header => None,
            Form::Legacy { .. } => Some(self.at.at()),
            Form::Query { expires } => Some(self.at.at().plus(expires)),
        }
    }

    /// Is that within 15 minutes of `now`? A presigned URL may also be older, up to its own end. Part of
    /// [`Claim::verify`]; alone, for before a body is read.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), SignatureError> {
        let text = |at| Moment::of(at).as_str().to_owned();
        let (signed, exactly, now) = (self.at.at(), now, Timestamp::from_millis(now.seconds() * 1000));
        if let Some(until) = self.ends()
            && until <= exactly
        {
            return Err(SignatureError::UrlExpired { until: text(until), now: text(now) });
        }
        if self.form == Form::Header && signed < now.minus(TOLERANCE) {
            let (signed, limit, now) = (text(signed), text(now.minus(TOLERANCE)), text(now));
            return Err(SignatureError::Expired { signed, limit, now });
        }
        // SigV2 says when it ends, and not when it was made.
        if !matches!(self.form, Form::Legacy { .. }) && signed > now.plus(TOLERANCE) {
            let (signed, limit, now) = (text(signed), text(now.plus(TOLERANCE)), text(now));
            return Err(SignatureError::NotYetCurrent { signed, limit, now });
        }
        Ok(())
    }

    /// Is the claim true of `parts`, from which it was parsed?
    ///
    /// `payload` is that of the claim, or, if it has none, [`Payload::of`] the body. A declared hash is taken here as
    /// declared; that the body has it is [`Verified::check_body`]'s to say, once the body is there.
    pub fn verify(
        self,
        parts: &Parts,
        style: PathStyle,
        key: &SigningKey,
        payload: Payload,
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        self.check_clock(now)?;
        if self.payload.is_some_and(|declared| declared != payload) {
            return Err(SignatureError::PayloadMismatch);
        }
        let same_signature = self.is_signature_of(parts, style, key, &payload);
        let same_scope = key.scope() == &self.scope;
        if same_scope && same_signature { Ok(Verified { claim: self, payload }) } else { Err(SignatureError::Mismatch) }
    }
}

impl Claim {
    fn is_signature_of(&self, parts: &Parts, style: PathStyle, key: &SigningKey, payload: &Payload) -> bool {
        let without = |left_out: &[&str]| {
            let request = canonical::request_without(parts, style, &self.signed_headers, payload, left_out);
            key.verify(&canonical::string_to_sign(&self.at, &self.scope, &request), self.signature.as_slice())
        };
        match &self.form {
            Form::Header => without(&[]),
            Form::Legacy { bucket } => {
                let bucket = bucket.as_deref();
                let with = |behind| {
                    let to_sign = legacy::string_to_sign(parts, &self.at, bucket, behind);
                    key.verify(&to_sign, self.signature.as_slice())
                };
                with("") || (legacy::is_bare_bucket(parts, bucket) && with("/"))
            }
            // For some services the token is put in after signing, as AWS documents.
            Form::Query { .. } => {
                without(&[query::SIGNATURE])
                    || (self.session_token.is_some() && without(&[query::SIGNATURE, "X-Amz-Security-Token"]))
            }
        }
    }
}

impl Verified {
    /// What was claimed, now true. The session token is not: compare it.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// What the signature says about the body.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// The chain that the signatures of the body's chunks go on with, under the `key` that the head was verified with.
    pub fn chain(&self, key: &SigningKey) -> Chain {
        Chain::new(key.clone(), self.claim.at, &hex::encode(self.claim.signature.as_slice()))
    }

    /// Is `sha256` what the signature says of the body? True of any body that it says nothing about.
    pub fn check_body(&self, sha256: &[u8]) -> Result<(), SignatureError> {
        match &self.payload {
            Payload::Sha256(declared) if declared.as_slice() != sha256 => Err(SignatureError::PayloadMismatch),
            Payload::Sha256(_) | Payload::Streaming(_) | Payload::Unsigned => Ok(()),
        }
    }
}
