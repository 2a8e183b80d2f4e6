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
        Refusal::ChecksumMismatch { .. } => "BadDigest",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, cloud::aws::Catalogue};

    fn of(service: &'static str) -> Dialect<'static> {
        let service = Catalogue::embedded().service(service).unwrap();
        Dialect { protocol: service.protocols[0], service: Some(service) }
    }

    fn text(refusal: &Refusal, dialect: Dialect<'_>) -> String {
        let rendered = render(refusal, dialect, "r-1");
        assert_eq!(rendered.headers["x-amzn-requestid"], "r-1");
        let headers: Vec<_> = ["content-type", "x-amzn-errortype"]
            .iter()
            .filter_map(|name| Some(format!("{name}: {}\n", rendered.headers.get(*name)?.to_str().ok()?)))
            .collect();
        format!("{}{}", headers.concat(), std::str::from_utf8(&rendered.body).unwrap())
    }

    #[test]
    fn each_protocol_has_its_own_form() {
        let policy = Refusal::Policy { operation: "CreateTable".into(), policy: "csg.resource.name.prefix".into() };
        assert_eq!(
            text(&policy, of("dynamodb")),
            "content-type: application/x-amz-json-1.0\nx-amzn-errortype: AccessDeniedException\n\
             {\"__type\":\"AccessDeniedException\",\
             \"message\":\"Action 'CreateTable' violates policy 'csg.resource.name.prefix'\"}"
        );
        assert_eq!(
            text(&Refusal::UnknownKey, of("lambda")),
            "content-type: application/json\nx-amzn-errortype: UnrecognizedClientException\n\
             {\"__type\":\"UnrecognizedClientException\",\
             \"message\":\"Client is unknown or has no access to service\"}"
        );
        assert_eq!(
            text(&Refusal::UnknownKey, of("sns")),
            "content-type: text/xml\n<?xml version=\"1.0\"?>\n\
             <ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
             <Code>InvalidClientTokenId</Code><Message>Client is unknown or has no access to service</Message></Error>\
             <RequestId>r-1</RequestId></ErrorResponse>\n"
        );
        let down = Refusal::UpstreamUnavailable { host: "a.example".into(), reason: "<&>\u{1}".into() };
        assert_eq!(
            text(&down, of("route53")),
            "content-type: text/xml\n<?xml version=\"1.0\"?>\n\
             <ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Receiver</Type>\
             <Code>ServiceUnavailable</Code><Message>a.example could not be reached: &lt;&amp;&gt;\u{fffd}</Message>\
             </Error><RequestId>r-1</RequestId></ErrorResponse>\n"
        );
        let rendered = render(&Refusal::NotActive, Dialect { protocol: Protocol::Cbor, service: None }, "r-1");
        assert_eq!(rendered.headers["smithy-protocol"], "rpc-v2-cbor");
        assert_eq!(
            rendered.body,
            b"\xa2\x7a\0\0\0\x06__type\x7a\0\0\0\x15AccessDeniedException\
              \x7a\0\0\0\x07message\x7a\0\0\0\x14Client is not Active"
                .as_slice()
        );
    }

    #[test]
    fn codes_are_those_that_the_protocol_knows() {
        let at = Timestamp::from_millis(0);
        for (refusal, json, xml) in [
            (Refusal::NotGranted, "AccessDeniedException", "AccessDenied"),
            (Refusal::NotActive, "AccessDeniedException", "AccessDenied"),
            (Refusal::UnknownKey, "UnrecognizedClientException", "InvalidClientTokenId"),
            (Refusal::SignatureMismatch, "InvalidSignatureException", "SignatureDoesNotMatch"),
            (Refusal::ClockSkew { signed_at: at, now: at }, "InvalidSignatureException", "RequestTimeTooSkewed"),
            (Refusal::BodyTooLarge { limit: 1, setting: "s" }, "RequestEntityTooLarge", "RequestEntityTooLarge"),
            (Refusal::MissingToken, "MissingAuthenticationTokenException", "MissingAuthenticationToken"),
        ] {
            assert_eq!(render(&refusal, of("dynamodb"), "r").code, json);
            assert_eq!(render(&refusal, of("lambda"), "r").code, json);
            assert_eq!(render(&refusal, of("ses"), "r").code, xml);
            assert_eq!(render(&refusal, of("route53"), "r").code, xml);
        }
    }
}
