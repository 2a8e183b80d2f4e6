//! What a request claims about who signed it: the `Authorization` header and its companions, taken strictly.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, DATE, HOST},
    request::Parts,
};

use super::{
    ALGORITHM, Payload, Scheme, Scope, SignedHeaders, TERMINATOR,
    date::Moment,
    header::{self, is_amz},
    hex,
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
    /// What the signature covers: `host` and every `x-amz-*` header of the request are among it, and all are present.
    pub signed_headers: SignedHeaders,
    /// What the signature says about the body; with none, its hash has to be computed.
    pub payload: Option<Payload>,
    /// `X-Amz-Security-Token`. It is part of the key: one that doesn't belong to it must be refused, as must its absence.
    pub session_token: Option<HeaderValue>,
    pub(super) at: Moment,
    pub(super) signature: [u8; 32],
}

/// Why a request makes no claim that could be checked. The words are AWS's where AWS has words for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The credential is not `id/date/region/service/aws4_request`.
    #[error("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term")]
    Credential,
    /// Neither `X-Amz-Date` nor `Date` holds a date of the right form.
    #[error("Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601")]
    Date,
    /// A header or a parameter that can be there only once is there twice.
    #[error("'{0}' must not be given more than once")]
    Duplicate(&'static str),
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
    /// `X-Amz-Content-Sha256` holds nothing known.
    #[error(
        "The provided 'x-amz-content-sha256' header must be a valid SHA256, UNSIGNED-PAYLOAD or a STREAMING- value."
    )]
    Payload,
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
    /// A parameter of the `Authorization` header is not known.
    #[error("Authorization header may only hold the parameters 'Credential', 'SignedHeaders' and 'Signature'")]
    UnknownParameter,
    /// An `x-amz-*` header is not signed, so anyone on the way could have put it there.
    #[error("There were headers present in the request which were not signed: {0}")]
    UnsignedHeader(String),
    /// Another way to authenticate.
    #[error("{0} can't be used here. Please use {ALGORITHM} in the Authorization header.")]
    Unsupported(Scheme),
}

fn incomplete(missing: &[&str]) -> String {
    let sentence = |name: &&str| match *name {
        "Date" => "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned(),
        name => format!("Authorization header requires '{name}' parameter."),
    };
    missing.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

/// Reads what `parts` claims.
pub fn parse(parts: &Parts) -> Result<Claim, ParseError> {
    let in_query = Scheme::of_query(&parts.uri);
    let Some(authorization) = single(&parts.headers, &AUTHORIZATION, "Authorization")? else {
        return Err(in_query.map_or(ParseError::Missing, ParseError::Unsupported));
    };
    let parameters = Parameters::parse(authorization.as_bytes())?;
    if let Some(scheme) = in_query {
        // Two signatures: whoever reads only one of them could be led astray by the other.
        return Err(ParseError::Unsupported(scheme));
    }
    let date = match date(&parts.headers)? {
        Some(at) => Ok(at),
        None => Err("Date"),
    };
    let (credential, signed_headers, signature, at) =
        match (parameters.credential, parameters.signed_headers, parameters.signature, date) {
            (Some(credential), Some(headers), Some(signature), Ok(at)) => (credential, headers, signature, at),
            (credential, headers, signature, date) => {
                let missing = [
                    credential.is_none().then_some("Credential"),
                    signature.is_none().then_some("Signature"),
                    headers.is_none().then_some("SignedHeaders"),
                    date.err(),
                ];
                return Err(ParseError::Incomplete(missing.into_iter().flatten().collect()));
            }
        };
    if !parts.uri.path().starts_with('/') {
        return Err(ParseError::Target);
    }
    let (access_key_id, scope) = parse_credential(credential, &at)?;
    let signed_headers = SignedHeaders::parse(signed_headers).ok_or(ParseError::SignedHeaders)?;
    check_coverage(&parts.headers, &signed_headers)?;
    let payload = single(&parts.headers, &header::CONTENT_SHA256, "X-Amz-Content-Sha256")?;
    Ok(Claim {
        access_key_id,
        scope,
        signed_headers,
        payload: payload.map(|value| Payload::parse(value.as_bytes()).ok_or(ParseError::Payload)).transpose()?,
        session_token: single(&parts.headers, &header::SECURITY_TOKEN, "X-Amz-Security-Token")?.cloned(),
        at,
        signature: parse_signature(signature)?,
    })
}

impl Claim {
    /// Must the header `name` (lower-case) stay, whatever `Connection` says of it? So for all that was verified.
    pub fn protects(&self, name: &str) -> bool {
        is_amz(name) || self.signed_headers.contains(name)
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
    fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        if value.len() > MAX_AUTHORIZATION {
            return Err(ParseError::TooLong);
        }
        let unsupported = || ParseError::Unsupported(Scheme::of_header(value));
        let text = std::str::from_utf8(value).map_err(|_| unsupported())?;
        let list = match text.strip_prefix(ALGORITHM) {
            Some("") => return Ok(Self::default()),
            Some(list) if list.starts_with([' ', '\t']) => list,
            _ => return Err(unsupported()),
        };
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
fn single<'a>(
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

/// `id/20150830/us-east-1/service/aws4_request`.
fn parse_credential(credential: &str, at: &Moment) -> Result<(String, Scope), ParseError> {
    let mut elements = credential.split('/');
    let mut next = || elements.next().filter(|element| is_plain(element)).ok_or(ParseError::Credential);
    let (access_key_id, day, region, service, terminator) = (next()?, next()?, next()?, next()?, next()?);
    if elements.next().is_some() {
        return Err(ParseError::Credential);
    }
    if terminator != TERMINATOR {
        return Err(ParseError::Terminator);
    }
    if day != at.day() {
        let (scope, day, date) = (day.to_owned(), at.day().to_owned(), at.as_str().to_owned());
        return Err(ParseError::ScopeDate { scope, day, date });
    }
    Ok((access_key_id.to_owned(), Scope::on(at, region.to_owned(), service.to_owned())))
}

/// Access key ids, regions and service names are all of this form.
fn is_plain(element: &str) -> bool {
    (1..=128).contains(&element.len())
        && element.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn parse_signature(signature: &str) -> Result<[u8; 32], ParseError> {
    hex::decode(signature.as_bytes()).ok_or(ParseError::Signature)
}

/// `host` and every `x-amz-*` header is signed, and what is signed is there.
///
/// `X-Amz-Security-Token` may be added after signing, as AWS documents for some services: it is proven by comparison.
fn check_coverage(headers: &HeaderMap, signed: &SignedHeaders) -> Result<(), ParseError> {
    if !signed.contains("host") {
        return Err(ParseError::HostNotSigned);
    }
    single(headers, &HOST, "Host")?;
    if let Some(absent) = signed.iter().find(|name| header::values(headers, name).next().is_none()) {
        return Err(ParseError::SignedHeaderAbsent(absent.to_owned()));
    }
    let unsigned = |name: &str| is_amz(name) && header::SECURITY_TOKEN != name && !signed.contains(name);
    match headers.keys().find(|name| unsigned(name.as_str())) {
        Some(name) => Err(ParseError::UnsignedHeader(name.as_str().to_owned())),
        None => Ok(()),
    }
}
