//! Errors in the words and form of AWS, so that a client's SDK raises its usual typed error.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{catalogue::Protocol, name::Dialect};
use crate::cloud::{Blame, Refusal};

/// An error as a client gets it, but for the HTTP status.
#[derive(Debug)]
pub struct Rendered {
    /// The error code, for the log: `AccessDeniedException`.
    pub code: &'static str,
    /// What belongs into the header besides the length.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Words `refusal` as the service itself would.
pub fn render(refusal: &Refusal, dialect: Dialect<'_>, request_id: &str) -> Rendered {
    let protocol = dialect.protocol;
    let code = code(refusal, protocol);
    let message = refusal.to_string();
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-amzn-requestid", request_id);
    let content_type = match protocol {
        Protocol::Cbor => "application/cbor",
        Protocol::Ec2 | Protocol::Query | Protocol::RestXml => "text/xml",
        Protocol::Json10 => "application/x-amz-json-1.0",
        Protocol::Json11 => "application/x-amz-json-1.1",
        Protocol::RestJson => "application/json",
    };
    set(header::CONTENT_TYPE.as_str(), content_type);
    let body = match protocol {
        Protocol::Cbor => {
            set("smithy-protocol", "rpc-v2-cbor");
            cbor(code, &message)
        }
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => {
            set("x-amzn-errortype", code);
            json(code, &message)
        }
        Protocol::Ec2 => ec2_xml(code, &message, request_id),
        Protocol::Query | Protocol::RestXml => {
            let namespace = dialect.service.and_then(|service| service.xml_namespace);
            xml(code, &message, request_id, namespace, at_fault(refusal.blame()))
        }
    };
    Rendered { code, headers, body: body.into() }
}

/// The code that AWS has for it: JSON services say some things in other words than XML ones.
fn code(refusal: &Refusal, protocol: Protocol) -> &'static str {
    let xml = matches!(protocol, Protocol::Ec2 | Protocol::Query | Protocol::RestXml);
    let pick = |in_json, in_xml| if xml { in_xml } else { in_json };
    match refusal {
        Refusal::AccountNotAllowed { .. }
        | Refusal::CredentialOperation { .. }
        | Refusal::NotActive
        | Refusal::NotGranted
        | Refusal::Policy { .. }
        | Refusal::UnknownOperation
        | Refusal::UnsupportedAuth { .. } => pick("AccessDeniedException", "AccessDenied"),
        Refusal::BodyTooLarge { .. } => "RequestEntityTooLarge",
        Refusal::ClockSkew { .. } => pick("InvalidSignatureException", "RequestTimeTooSkewed"),
        Refusal::IncompleteSignature { .. } => pick("IncompleteSignatureException", "IncompleteSignature"),
        Refusal::Malformed { .. } => pick("SerializationException", "MalformedInput"),
        Refusal::MissingToken => pick("MissingAuthenticationTokenException", "MissingAuthenticationToken"),
        Refusal::PayloadHashMismatch | Refusal::ScopeMismatch { .. } | Refusal::SignatureMismatch => {
            pick("InvalidSignatureException", "SignatureDoesNotMatch")
        }
        Refusal::Throttled { .. } => pick("ThrottlingException", "Throttling"),
        Refusal::UnknownKey => pick("UnrecognizedClientException", "InvalidClientTokenId"),
        Refusal::GatewayUnavailable { .. } | Refusal::UpstreamTimeout { .. } | Refusal::UpstreamUnavailable { .. } => {
            "ServiceUnavailable"
        }
    }
}

/// Who is at fault, in the words of the query protocol.
const fn at_fault(blame: Blame) -> &'static str {
    match blame {
        Blame::Gateway | Blame::Upstream | Blame::UpstreamSlow => "Receiver",
        Blame::NotAllowed | Blame::NotUnderstood | Blame::TooLarge | Blame::TooOften => "Sender",
    }
}

fn json(code: &str, message: &str) -> Vec<u8> {
    serde_json::json!({ "__type": code, "message": message }).to_string().into_bytes()
}

fn xml(code: &str, message: &str, request_id: &str, namespace: Option<&str>, fault: &str) -> Vec<u8> {
    let namespace = namespace.map(|uri| format!(" xmlns=\"{}\"", escape(uri))).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\"?>\n<ErrorResponse{namespace}><Error><Type>{fault}</Type><Code>{code}</Code>\
         <Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>\n",
        escape(message),
        escape(request_id)
    )
    .into_bytes()
}

fn ec2_xml(code: &str, message: &str, request_id: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error></Errors>\
         <RequestID>{}</RequestID></Response>\n",
        escape(message),
        escape(request_id)
    )
    .into_bytes()
}

/// `text` between tags. Characters that XML 1.0 (section 2.2) has no way to write become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

/// A CBOR map of two texts (RFC 8949, section 3): all that an error needs.
fn cbor(code: &str, message: &str) -> Vec<u8> {
    let mut out = vec![0xa2];
    for text in ["__type", code, "message", message] {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        out.push(0x7a); // a text whose length follows in four bytes
        out.extend(length.to_be_bytes());
        out.extend(text.bytes().take(length as usize));
    }
    out
}
