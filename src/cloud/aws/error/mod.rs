//! Errors in the words and form of AWS, so that a client's SDK raises its usual typed error.

mod body;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{catalogue::Protocol, name::Dialect};
use crate::cloud::{Blame, Refusal};

/// An error as a client gets it, but for the HTTP status.
#[derive(Debug)]
pub struct Rendered {
    /// The error code, for the log: `AccessDeniedException`.
    pub code: &'static str,
    /// What belongs into the header; the length only where there is no body to tell it.
    pub headers: HeaderMap,
    /// The body; none where the request was HEAD.
    pub body: Bytes,
}

/// The forms that an error has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Cbor,
    Ec2,
    Json,
    S3,
    Xml,
}

/// Words `refusal` as the service itself would.
pub fn render(refusal: &Refusal, dialect: Dialect<'_>, request_id: &str) -> Rendered {
    let form = form(dialect);
    let code = code(refusal, form);
    let message = refusal.to_string();
    let fault = at_fault(refusal.blame());
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-amzn-requestid", request_id);
    set(header::CONTENT_TYPE.as_str(), content_type(dialect.protocol, form));
    let region = match refusal {
        Refusal::WrongRegion { expected, .. } => Some(expected.as_str()),
        _ => None,
    };
    match form {
        Form::Cbor if dialect.protocol == Protocol::Cbor => set("smithy-protocol", "rpc-v2-cbor"),
        Form::Cbor | Form::Json => set("x-amzn-errortype", code),
        Form::S3 => {
            set("x-amz-request-id", request_id);
            set("x-amz-id-2", request_id);
            // All that an answer to HEAD can tell.
            if let Some(region) = region {
                set("x-amz-bucket-region", region);
            }
        }
        Form::Ec2 | Form::Xml => {}
    }
    // A service that was spoken to in the query protocol before goes on to say its codes, too (Smithy, "awsQueryCompatible").
    if matches!(form, Form::Cbor | Form::Json) && speaks_query(dialect) {
        set("x-amzn-query-error", &format!("{};{fault}", self::code(refusal, Form::Xml)));
    }
    let body = match form {
        Form::Cbor => body::cbor(code, &message),
        Form::Ec2 => body::ec2(code, &message, request_id),
        Form::Json => body::json(code, &message),
        Form::S3 => body::s3(code, &message, region, request_id),
        Form::Xml => {
            let namespace = dialect.service.and_then(|service| service.xml_namespace);
            body::xml(code, &message, request_id, namespace, fault)
        }
    };
    if dialect.bodiless {
        // The length that the answer to GET would have (RFC 9110, section 8.6), and nothing of it.
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        return Rendered { code, headers, body: Bytes::new() };
    }
    Rendered { code, headers, body: body.into() }
}

/// The code for what ends an answer after it has begun.
pub fn code_in(refusal: &Refusal, dialect: Dialect<'_>) -> &'static str {
    code(refusal, form(dialect))
}

/// The type and the payload of an `initial-response` without members, where an event stream has to begin with one: in
/// protocols that call an operation by its name.
pub fn empty_in(dialect: Dialect<'_>) -> Option<(&'static str, &'static [u8])> {
    let form = form(dialect);
    let by_name = matches!(dialect.protocol, Protocol::Cbor | Protocol::Json10 | Protocol::Json11);
    let payload: &[u8] = if form == Form::Cbor { b"\xa0" } else { b"{}" };
    by_name.then(|| (content_type(dialect.protocol, form), payload))
}

fn form(dialect: Dialect<'_>) -> Form {
    match dialect.protocol {
        Protocol::Cbor => Form::Cbor,
        _ if dialect.in_cbor => Form::Cbor,
        Protocol::Ec2 => Form::Ec2,
        Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => Form::Json,
        // Smithy, "restXml": S3 alone has `noErrorWrapping`.
        Protocol::RestXml if dialect.service.is_some_and(|service| service.id.as_str() == "s3") => Form::S3,
        Protocol::Query | Protocol::RestXml => Form::Xml,
    }
}

const fn content_type(protocol: Protocol, form: Form) -> &'static str {
    match (form, protocol) {
        (Form::Cbor, Protocol::Cbor) => "application/cbor",
        (Form::Cbor, _) => "application/x-amz-cbor-1.1",
        (Form::S3, _) => "application/xml",
        (Form::Ec2 | Form::Xml, _) => "text/xml",
        (Form::Json, Protocol::Json10) => "application/x-amz-json-1.0",
        (Form::Json, Protocol::Json11) => "application/x-amz-json-1.1",
        (Form::Json, _) => "application/json",
    }
}

fn speaks_query(dialect: Dialect<'_>) -> bool {
    dialect.service.is_some_and(|service| service.protocols.contains(&Protocol::Query))
}

/// The code that AWS has for it: JSON services say some things in other words than XML ones, and S3 has its own. Where
/// S3's own word is another than that of all XML services, it is what S3's clients know: `InvalidClientTokenId` would be
/// an unknown I/O error to s3fs, `InvalidAccessKeyId` is one of permission.
fn code(refusal: &Refusal, form: Form) -> &'static str {
    let pick = |in_json, in_xml, in_s3| match form {
        Form::Cbor | Form::Json => in_json,
        Form::Ec2 | Form::Xml => in_xml,
        Form::S3 => in_s3,
    };
    match refusal {
        Refusal::AccountNotAllowed { .. }
        | Refusal::CredentialOperation { .. }
        | Refusal::NotActive
        | Refusal::NotGranted
        | Refusal::Policy { .. }
        | Refusal::UnknownOperation
        | Refusal::UnsupportedAuth { .. }
        | Refusal::UrlExpired { .. } => pick("AccessDeniedException", "AccessDenied", "AccessDenied"),
        Refusal::BodyTooLarge { .. } => "RequestEntityTooLarge",
        Refusal::ChecksumMismatch { .. } => "BadDigest",
        Refusal::ClockSkew { .. } => pick("InvalidSignatureException", "RequestTimeTooSkewed", "RequestTimeTooSkewed"),
        Refusal::IncompleteSignature { .. } => {
            pick("IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed")
        }
        Refusal::Malformed { .. } => pick("SerializationException", "MalformedInput", "InvalidRequest"),
        Refusal::MissingToken => {
            pick("MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied")
        }
        Refusal::PayloadHashMismatch => {
            pick("InvalidSignatureException", "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch")
        }
        Refusal::ScopeMismatch { .. } | Refusal::SignatureMismatch => {
            pick("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch")
        }
        Refusal::Throttled { .. } => pick("ThrottlingException", "Throttling", "SlowDown"),
        Refusal::UnknownKey => pick("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"),
        Refusal::GatewayUnavailable { .. } | Refusal::UpstreamTimeout { .. } | Refusal::UpstreamUnavailable { .. } => {
            "ServiceUnavailable"
        }
        Refusal::WrongRegion { in_query: false, .. } => "AuthorizationHeaderMalformed",
        Refusal::WrongRegion { in_query: true, .. } => "AuthorizationQueryParametersError",
    }
}

/// Who is at fault, in the words of the query protocol.
const fn at_fault(blame: Blame) -> &'static str {
    match blame {
        Blame::Gateway | Blame::Upstream | Blame::UpstreamSlow => "Receiver",
        Blame::NotAllowed | Blame::NotUnderstood | Blame::TooLarge | Blame::TooOften => "Sender",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, cloud::aws::Catalogue};

    fn of(service: &'static str) -> Dialect<'static> {
        let service = Catalogue::embedded().service(service).unwrap();
        Dialect { protocol: service.protocols[0], service: Some(service), bodiless: false, in_cbor: false }
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
        let rendered = render(
            &Refusal::NotActive,
            Dialect { protocol: Protocol::Cbor, service: None, bodiless: false, in_cbor: false },
            "r-1",
        );
        assert_eq!(rendered.headers["smithy-protocol"], "rpc-v2-cbor");
        assert_eq!(
            rendered.body,
            b"\xa2\x7a\0\0\0\x06__type\x7a\0\0\0\x15AccessDeniedException\
              \x7a\0\0\0\x07message\x7a\0\0\0\x14Client is not Active"
                .as_slice()
        );
    }

    #[test]
    fn s3_has_a_form_of_its_own_and_its_siblings_have_not() {
        let rendered = render(&Refusal::UnknownKey, of("s3"), "r-1");
        assert_eq!(
            rendered.body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidAccessKeyId</Code>\
             <Message>Client is unknown or has no access to service</Message>\
             <RequestId>r-1</RequestId><HostId>r-1</HostId></Error>"
        );
        for name in ["x-amz-request-id", "x-amz-id-2", "x-amzn-requestid"] {
            assert_eq!(rendered.headers[name], "r-1");
        }
        assert_eq!(rendered.headers["content-type"], "application/xml");
        let head = render(&Refusal::UnknownKey, Dialect { bodiless: true, ..of("s3") }, "r-1");
        assert_eq!((head.body.len(), head.code), (0, "InvalidAccessKeyId"));
        assert_eq!(head.headers["content-length"], rendered.body.len().to_string());
        assert!(text(&Refusal::UnknownKey, of("s3control")).contains("<ErrorResponse xmlns=\"http://awss3control."));
        assert!(text(&Refusal::UnknownKey, of("ec2")).contains("<Response><Errors><Error><Code>InvalidClientTokenId"));
    }

    #[test]
    fn s3_tells_the_region_that_it_expects() {
        let wrong =
            |in_query| Refusal::WrongRegion { claimed: "us-<1>".into(), expected: "eu-west-1".into(), in_query };
        let rendered = render(&wrong(false), of("s3"), "r-1");
        assert_eq!(
            rendered.body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code>\
             <Message>The authorization header is malformed; the region 'us-&lt;1&gt;' is wrong; expecting 'eu-west-1'\
             </Message><Region>eu-west-1</Region><RequestId>r-1</RequestId><HostId>r-1</HostId></Error>"
        );
        assert_eq!(rendered.headers["x-amz-bucket-region"], "eu-west-1");
        let rendered = render(&wrong(true), of("s3"), "r-1");
        assert_eq!(rendered.code, "AuthorizationQueryParametersError");
        assert!(!render(&Refusal::NotGranted, of("s3"), "r-1").headers.contains_key("x-amz-bucket-region"));
    }

    #[test]
    fn services_that_were_spoken_to_in_the_query_protocol_say_their_old_codes_too() {
        for service in ["sqs", "cloudwatch"] {
            let rendered = render(&Refusal::NotActive, of(service), "r-1");
            assert_eq!(rendered.headers["x-amzn-query-error"], "AccessDenied;Sender", "{service}");
            assert_eq!(rendered.code, "AccessDeniedException");
        }
        for service in ["dynamodb", "sns", "lambda"] {
            assert!(!render(&Refusal::NotActive, of(service), "r-1").headers.contains_key("x-amzn-query-error"));
        }
    }

    #[test]
    fn a_json_protocol_may_have_its_bodies_in_cbor() {
        let rendered = render(&Refusal::NotActive, Dialect { in_cbor: true, ..of("kinesis") }, "r-1");
        assert_eq!(rendered.headers["content-type"], "application/x-amz-cbor-1.1");
        assert_eq!(rendered.headers["x-amzn-errortype"], "AccessDeniedException");
        assert!(!rendered.headers.contains_key("smithy-protocol"));
        assert!(rendered.body.starts_with(b"\xa2\x7a\0\0\0\x06__type"));
    }

    #[test]
    fn a_stream_begins_with_an_answer_where_operations_are_called_by_name() {
        let cbor = Dialect { protocol: Protocol::Cbor, ..of("cloudwatch") };
        let in_cbor = Dialect { in_cbor: true, ..of("kinesis") };
        for (dialect, expected) in [
            (of("kinesis"), Some(("application/x-amz-json-1.1", b"{}".as_slice()))),
            (in_cbor, Some(("application/x-amz-cbor-1.1", b"\xa0".as_slice()))),
            (cbor, Some(("application/cbor", b"\xa0".as_slice()))),
            (of("lambda"), None),
            (of("s3"), None),
        ] {
            assert_eq!(empty_in(dialect), expected, "{dialect:?}");
        }
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
            let in_s3 = match xml {
                "InvalidClientTokenId" => "InvalidAccessKeyId",
                "MissingAuthenticationToken" => "AccessDenied",
                same => same,
            };
            assert_eq!(render(&refusal, of("s3"), "r").code, in_s3);
        }
    }
}
