//! What a request claims about who signed it, taken strictly; here the `Authorization` header and its companions, in
//! `query` and `legacy` what a presigned URL holds.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{AUTHORIZATION, DATE, HOST},
    request::Parts,
};

use super::{
    Payload, Scheme, Scope, SignedHeaders, TERMINATOR,
    byte_set::Set,
    date::Moment,
    header::{self, is_amz},
    hex,
    key::{Algorithm, Signature},
    legacy, query,
    scheme::Signed,
};

/// Longer than any that a client has reason to send; what comes in is parsed before anything is known of the sender.
const MAX_AUTHORIZATION: usize = 8 * 1024;

/// What a request claims. Nothing of it is proven before [`Claim::verify`].
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose key it is.
    pub access_key_id: String,
    /// What the signature is good for. Its date is that of the request.
    pub scope: Scope,
    /// What the signature covers: `host` and every `x-amz-*` header of the request are among it, and all are present. Of
    /// SigV2, what it would cover.
    pub signed_headers: SignedHeaders,
    /// What the signature says about the body; with none, its hash has to be computed.
    pub payload: Option<Payload>,
    /// `X-Amz-Security-Token`. It is part of the key: one that doesn't belong to it must be refused, as must its absence.
    pub session_token: Option<HeaderValue>,
    /// When it was signed; of SigV2, when it ends.
    pub(super) at: Moment,
    pub(super) form: Form,
    pub(super) signature: Signature,
}

/// Where a signature stands, and what follows from that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the `Authorization` header.
    Header,
    /// SigV2 in the query, for this bucket if the host names one.
    Legacy { bucket: Option<String> },
    /// In the query: a presigned URL with a life of its own.
    Query { expires: Duration },
}

/// Why a request makes no claim that could be checked. The words are AWS's where AWS has words for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The credential of SigV4A is not `id/date/service/aws4_request`.
    #[error("Credential must have exactly 4 slash-delimited elements, e.g. keyid/date/service/term")]
    AsymmetricCredential,
    /// The credential is not `id/date/region/service/aws4_request`.
    #[error("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term")]
    Credential,
    /// Neither `X-Amz-Date` nor `Date` holds a date of the right form.
    #[error("Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601")]
    Date,
    /// A header or a parameter that can be there only once is there twice.
    #[error("'{0}' must not be given more than once")]
    Duplicate(&'static str),
    /// `X-Amz-Expires` is no life that a presigned URL can have; or `Expires`, of SigV2, is no time.
    #[error("X-Amz-Expires must be a number of seconds from 1 to {}, and Expires a time in seconds", 7 * 24 * 60 * 60)]
    Expires,
    /// The `Authorization` header is no list of `name=value`.
    #[error("Invalid key=value pair (missing equal-sign) in Authorization header")]
    KeyValue,
    /// There is no authentication at all.
    #[error("Missing Authentication Token")]
    Missing,
    /// `host` is not among the signed headers.
    #[error("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    /// Parts are missing; all of them are named.
    #[error("{}", incomplete(.0))]
    Incomplete(Vec<&'static str>),
    /// Parameters of a presigned URL are missing; all of them are named.
    #[error("{}", incomplete_query(.0))]
    IncompleteQuery(Vec<&'static str>),
    /// A value in the query of a SigV2 URL holds a line's end or the like.
    #[error("The parameters of a Signature Version 2 URL must not hold control characters")]
    LegacyControl,
    /// A parameter that a SigV2 signature does not cover, so that anyone could have put it there.
    #[error("The parameter '{0}' is not covered by Signature Version 2. Please use AWS4-HMAC-SHA256.")]
    LegacyParameter(String),
    /// A parameter of the query is not written as AWS writes it, or holds what it can't.
    #[error("The query parameter '{0}' must be written exactly so, and hold what a header can hold")]
    Parameter(&'static str),
    /// `X-Amz-Content-Sha256` holds nothing known.
    #[error(
        "The provided 'x-amz-content-sha256' header must be a valid SHA256, UNSIGNED-PAYLOAD or a STREAMING- value."
    )]
    Payload,
    /// `X-Amz-Region-Set` is no list of regions.
    #[error("X-Amz-Region-Set must be a list of regions, separated by commas")]
    RegionSet,
    /// The day in the scope is not that of the request.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' != '{day}', from '{date}'."
    )]
    ScopeDate {
        /// The day in the scope.
        scope: String,
        /// The day of the request.
        day: String,
        /// The date of the request.
        date: String,
    },
    /// The signature is not 64 lower-case hex digits.
    #[error("Signature must be 64 lower-case hexadecimal digits")]
    Signature,
    /// The signature is not of the form that its algorithm gives it.
    #[error("Signature must be hexadecimal digits for AWS4-ECDSA-P256-SHA256, Base64 for Signature Version 2")]
    SignatureForm,
    /// A header on the list is not in the request.
    #[error("The header '{0}' is a 'SignedHeader' but is not part of the request")]
    SignedHeaderAbsent(String),
    /// The list of signed headers is not lower-case, sorted and without repeats.
    #[error("'SignedHeaders' must be lower-case header names in alphabetical order, separated by ';', without repeats")]
    SignedHeaders,
    /// The request is for no path: `CONNECT host:443`, `OPTIONS *`.
    #[error("The request target must be a path")]
    Target,
    /// The scope doesn't end with `aws4_request`.
    #[error("Credential should be scoped with a valid terminator: '{TERMINATOR}'")]
    Terminator,
    /// The `Authorization` header is longer than any that makes sense.
    #[error("Authorization header is longer than {MAX_AUTHORIZATION} bytes")]
    TooLong,
    /// More than one signature.
    #[error(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified"
    )]
    TwoSignatures,
    /// A parameter of the `Authorization` header is not known.
    #[error("Authorization header may only hold the parameters 'Credential', 'SignedHeaders' and 'Signature'")]
    UnknownParameter,
    /// An `x-amz-*` header is not signed, so anyone on the way could have put it there.
    #[error("There were headers present in the request which were not signed: {0}")]
    UnsignedHeader(String),
    /// Another way to authenticate.
    #[error("{0} Please use AWS4-HMAC-SHA256.")]
    Unsupported(Scheme),
}

fn incomplete(missing: &[&str]) -> String {
    let sentence = |name: &&str| match *name {
        "Date" => "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
        "X-Amz-Region-Set" => "AWS4-ECDSA-P256-SHA256 requires existence of the 'X-Amz-Region-Set' header.".to_owned(),
        name => format!("Authorization header requires '{name}' parameter."),
    };
    missing.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

fn incomplete_query(missing: &[&str]) -> String {
    let sentence = |name: &&str| format!("AWS query-string parameters must include '{name}'.");
    let sentences = missing.iter().map(sentence).collect::<Vec<_>>().join(" ");
    format!("{sentences} Re-examine the query-string parameters.")
}

/// Reads what `parts` claims.
pub fn parse(parts: &Parts) -> Result<Claim, ParseError> {
    let in_query = Signed::in_query(&parts.uri);
    let authorization = single(&parts.headers, &AUTHORIZATION, "Authorization")?;
    let signed = match (authorization, in_query) {
        (Some(authorization), None) => Signed::in_header(authorization.as_bytes()),
        (None, Some(signed)) => signed,
        // Whoever reads only one of them could be led astray by the other.
        (Some(_), Some(_)) => return Err(ParseError::TwoSignatures),
        (None, None) => return Err(ParseError::Missing),
    };
    let algorithm = match signed {
        Signed::With(algorithm) => algorithm,
        Signed::Otherwise(scheme) => return Err(ParseError::Unsupported(scheme)),
    };
    if !parts.uri.path().starts_with('/') {
        return Err(ParseError::Target);
    }
    match (authorization, algorithm) {
        (Some(authorization), _) => in_header(parts, authorization.as_bytes(), algorithm),
        (None, Algorithm::HmacSha1) => legacy::claim(parts),
        (None, _) if query::is_there(parts.uri.query().unwrap_or_default(), legacy::ACCESS_KEY_ID) => {
            Err(ParseError::TwoSignatures)
        }
        (None, _) => query::claim(parts, algorithm),
    }
}

fn in_header(parts: &Parts, authorization: &[u8], algorithm: Algorithm) -> Result<Claim, ParseError> {
    let parameters = Parameters::parse(authorization, algorithm)?;
    let date = match date(&parts.headers)? {
        Some(at) => Ok(at),
        None => Err("Date"),
    };
    let regions = match algorithm {
        Algorithm::EcdsaP256 => match single(&parts.headers, &header::REGION_SET, "X-Amz-Region-Set")? {
            Some(regions) => Ok(Some(regions.to_str().map_err(|_| ParseError::RegionSet)?)),
            None => Err("X-Amz-Region-Set"),
        },
        Algorithm::HmacSha1 | Algorithm::HmacSha256 => Ok(None),
    };
    let (credential, signed_headers, signature, at, regions) =
        match (parameters.credential, parameters.signed_headers, parameters.signature, date, regions) {
            (Some(credential), Some(headers), Some(signature), Ok(at), Ok(regions)) => {
                (credential, headers, signature, at, regions)
            }
            (credential, headers, signature, date, regions) => {
                let missing = [
                    credential.is_none().then_some("Credential"),
                    signature.is_none().then_some("Signature"),
                    headers.is_none().then_some("SignedHeaders"),
                    date.err(),
                    regions.err(),
                ];
                return Err(ParseError::Incomplete(missing.into_iter().flatten().collect()));
            }
        };
    let (access_key_id, scope) = self::credential(credential, &at, regions)?;
    let signed_headers = SignedHeaders::parse(signed_headers).ok_or(ParseError::SignedHeaders)?;
    check_coverage(parts, &signed_headers)?;
    let payload = single(&parts.headers, &header::CONTENT_SHA256, "X-Amz-Content-Sha256")?;
    Ok(Claim {
        access_key_id,
        scope,
        signed_headers,
        payload: payload.map(|value| Payload::parse(value.as_bytes()).ok_or(ParseError::Payload)).transpose()?,
        session_token: single(&parts.headers, &header::SECURITY_TOKEN, "X-Amz-Security-Token")?.cloned(),
        at,
        form: Form::Header,
        signature: self::signature(signature, algorithm)?,
    })
}

impl Claim {
    /// Must the header `name` (lower-case) stay, whatever `Connection` says of it? So for all that was verified.
    pub fn protects(&self, name: &str) -> bool {
        is_amz(name) || name == "host" || self.signed_headers.contains(name)
    }

    /// Is the signature in the query?
    pub const fn is_presigned(&self) -> bool {
        !matches!(self.form, Form::Header)
    }

    /// Tells a SigV2 signature, which covers no host, which bucket the host names, if it names one.
    pub fn for_bucket<'n>(&mut self, name: impl FnOnce() -> Option<&'n str>) {
        if let Form::Legacy { bucket } = &mut self.form {
            *bucket = name().map(str::to_owned);
        }
    }
}

#[derive(Default)]
struct Parameters<'a> {
    credential: Option<&'a str>,
    signed_headers: Option<&'a str>,
    signature: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    /// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, in any order, with or without spaces.
    fn parse(value: &'a [u8], algorithm: Algorithm) -> Result<Self, ParseError> {
        if value.len() > MAX_AUTHORIZATION {
            return Err(ParseError::TooLong);
        }
        let text = std::str::from_utf8(value).map_err(|_| ParseError::KeyValue)?;
        let list = text.strip_prefix(algorithm.name()).unwrap_or_default();
        if list.is_empty() {
            return Ok(Self::default());
        }
        let mut parameters = Self::default();
        for pair in list.split(',') {
            let (name, value) = pair.trim_matches([' ', '\t']).split_once('=').ok_or(ParseError::KeyValue)?;
            let (field, name) = match name {
                "Credential" => (&mut parameters.credential, "Credential"),
                "Signature" => (&mut parameters.signature, "Signature"),
                "SignedHeaders" => (&mut parameters.signed_headers, "SignedHeaders"),
                _ => return Err(ParseError::UnknownParameter),
            };
            if field.replace(value).is_some() {
                return Err(ParseError::Duplicate(name));
            }
        }
        Ok(parameters)
    }
}

/// The one value of the header, if it is there.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    shown: &'static str,
) -> Result<Option<&'a HeaderValue>, ParseError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(ParseError::Duplicate(shown)),
        (value, None) => Ok(value),
    }
}

/// `X-Amz-Date`, or else `Date`.
fn date(headers: &HeaderMap) -> Result<Option<Moment>, ParseError> {
    if let Some(value) = single(headers, &header::DATE, "X-Amz-Date")? {
        return Moment::parse_iso_basic(value.as_bytes()).map(Some).ok_or(ParseError::Date);
    }
    let Some(value) = single(headers, &DATE, "Date")? else { return Ok(None) };
    let value = value.as_bytes();
    Moment::parse_iso_basic(value).or_else(|| Moment::parse_http_date(value)).map(Some).ok_or(ParseError::Date)
}

/// `id/20150830/us-east-1/service/aws4_request`; of SigV4A, whose `regions` stand apart, without the region.
pub(super) fn credential(credential: &str, at: &Moment, regions: Option<&str>) -> Result<(String, Scope), ParseError> {
    let mut elements = credential.split('/');
    let malformed = || if regions.is_some() { ParseError::AsymmetricCredential } else { ParseError::Credential };
    let mut next = || elements.next().filter(|element| is_plain(element)).ok_or_else(malformed);
    let (access_key_id, day) = (next()?, next()?);
    let region = match regions {
        Some(regions) => regions,
        None => next()?,
    };
    let (service, terminator) = (next()?, next()?);
    if elements.next().is_some() {
        return Err(malformed());
    }
    if terminator != TERMINATOR {
        return Err(ParseError::Terminator);
    }
    if day != at.day() {
        let (scope, day, date) = (day.to_owned(), at.day().to_owned(), at.as_str().to_owned());
        return Err(ParseError::ScopeDate { scope, day, date });
    }
    let scope = Scope::on(at, region.to_owned(), service.to_owned());
    match regions {
        Some(regions) if !is_region_set(regions) => Err(ParseError::RegionSet),
        Some(_) => Ok((access_key_id.to_owned(), scope.asymmetric())),
        None => Ok((access_key_id.to_owned(), scope)),
    }
}

/// Access key ids, regions and service names are all of this form.
pub(super) fn is_plain(element: &str) -> bool {
    static PLAIN: Set = Set::of(b"AZaz09--..__");
    (1..=128).contains(&element.len()) && PLAIN.holds(element)
}

/// `us-east-1,eu-*`: names of regions, or their beginnings with a `*` behind.
fn is_region_set(regions: &str) -> bool {
    let is_member = |member: &str| member == "*" || is_plain(member.strip_suffix('*').unwrap_or(member));
    regions.len() <= 1024 && regions.split(',').all(|member| is_member(member.trim_matches(' ')))
}

pub(super) fn signature(signature: &str, algorithm: Algorithm) -> Result<Signature, ParseError> {
    let text = signature.as_bytes();
    let found = match algorithm {
        Algorithm::EcdsaP256 if text.iter().any(u8::is_ascii_uppercase) => None,
        Algorithm::EcdsaP256 => ::hex::decode(text).ok().and_then(|der| Signature::of(&der)),
        Algorithm::HmacSha1 => STANDARD.decode(text).ok().and_then(|bytes| Signature::of(&bytes)),
        Algorithm::HmacSha256 => hex::decode(text).and_then(|bytes| Signature::of(&bytes)),
    };
    found.ok_or(match algorithm {
        Algorithm::HmacSha256 => ParseError::Signature,
        Algorithm::EcdsaP256 | Algorithm::HmacSha1 => ParseError::SignatureForm,
    })
}

/// `host` (over HTTP/2 also as `:authority`) and every `x-amz-*` header is signed, and what is signed is there.
///
/// `X-Amz-Security-Token` may be added after signing, as AWS documents for some services: it is proven by comparison.
pub(super) fn check_coverage(parts: &Parts, signed: &SignedHeaders) -> Result<(), ParseError> {
    let by_authority = signed.contains(header::AUTHORITY);
    if !signed.contains("host") && !by_authority {
        return Err(ParseError::HostNotSigned);
    }
    let headers = &parts.headers;
    single(headers, &HOST, "Host")?;
    if by_authority && parts.version != Version::HTTP_2 {
        return Err(ParseError::SignedHeaderAbsent(header::AUTHORITY.to_owned()));
    }
    if let Some(absent) = signed.iter().find(|name| header::values(headers, name).next().is_none()) {
        return Err(ParseError::SignedHeaderAbsent(absent.to_owned()));
    }
    let unsigned = |name: &str| is_amz(name) && header::SECURITY_TOKEN != name && !signed.contains(name);
    match headers.keys().find(|name| unsigned(name.as_str())) {
        Some(name) => Err(ParseError::UnsignedHeader(name.as_str().to_owned())),
        None => Ok(()),
    }
}
