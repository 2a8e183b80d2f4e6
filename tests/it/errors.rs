//! Every refusal in every form that an answer has: the message comes whole, and the code that the log tells is the one in it.

use base64::{Engine, engine::general_purpose::STANDARD};
use csg::{
    clock::Timestamp,
    cloud::{
        Refusal,
        aws::{
            Catalogue, Dialect, Protocol,
            error::{Rendered, render},
        },
    },
};

/// One of each, in words that no form carries as they are.
fn all() -> Vec<Refusal> {
    let odd = || "a <b> & \"c\" 'd' ü \\ %".to_owned();
    let at = Timestamp::from_millis(1_000_000);
    let all = vec![
        Refusal::AccountNotAllowed { account: odd() },
        Refusal::BodyTooLarge { limit: 16_777_216, setting: "gateway.max_buffered_body" },
        Refusal::ChecksumMismatch { header: "x-amz-checksum-crc32" },
        Refusal::ClockSkew { signed_at: at, now: at },
        Refusal::CredentialOperation { operation: odd() },
        Refusal::GatewayUnavailable { reason: odd() },
        Refusal::IncompleteSignature { what: odd() },
        Refusal::Malformed { what: odd() },
        Refusal::MissingToken,
        Refusal::NotActive,
        Refusal::NotGranted,
        Refusal::PayloadHashMismatch,
        Refusal::Policy { operation: odd(), policy: odd() },
        Refusal::ScopeMismatch { what: odd() },
        Refusal::SignatureMismatch,
        Refusal::Throttled { what: odd() },
        Refusal::UnknownKey,
        Refusal::UnknownOperation,
        Refusal::UnsupportedAuth { what: odd() },
        Refusal::UrlExpired { ended_at: at, now: at },
        Refusal::UpstreamTimeout { host: odd(), reason: odd() },
        Refusal::UpstreamUnavailable { host: odd(), reason: odd() },
        Refusal::WrongRegion { claimed: odd(), expected: "eu-west-1".to_owned(), in_query: false },
    ];
    let kinds: std::collections::HashSet<_> = all.iter().map(std::mem::discriminant).collect();
    assert_eq!((kinds.len(), all.iter().map(kinds_with).max()), (all.len(), Some(all.len())));
    all
}

/// How many kinds there are; one that is new does not compile before it is counted, and listed above.
fn kinds_with(one: &Refusal) -> usize {
    match one {
        Refusal::AccountNotAllowed { .. }
        | Refusal::BodyTooLarge { .. }
        | Refusal::ChecksumMismatch { .. }
        | Refusal::ClockSkew { .. }
        | Refusal::CredentialOperation { .. }
        | Refusal::GatewayUnavailable { .. }
        | Refusal::IncompleteSignature { .. }
        | Refusal::Malformed { .. }
        | Refusal::MissingToken
        | Refusal::NotActive
        | Refusal::NotGranted
        | Refusal::PayloadHashMismatch
        | Refusal::Policy { .. }
        | Refusal::ScopeMismatch { .. }
        | Refusal::SignatureMismatch
        | Refusal::Throttled { .. }
        | Refusal::UnknownKey
        | Refusal::UnknownOperation
        | Refusal::UnsupportedAuth { .. }
        | Refusal::UrlExpired { .. }
        | Refusal::UpstreamTimeout { .. }
        | Refusal::UpstreamUnavailable { .. }
        | Refusal::WrongRegion { .. } => 23,
    }
}

fn dialects() -> Vec<Dialect<'static>> {
    let of = |service: &str, protocol| {
        let service = Catalogue::embedded().service(service).unwrap();
        assert!(service.protocols.contains(&protocol), "{protocol:?}");
        Dialect { protocol, service: Some(service), bodiless: false, in_cbor: false }
    };
    vec![
        of("dynamodb", Protocol::Json10),
        of("kinesis", Protocol::Json11),
        Dialect { in_cbor: true, ..of("kinesis", Protocol::Json11) },
        of("sqs", Protocol::Json10),
        of("cloudwatch", Protocol::Cbor),
        of("cloudwatch", Protocol::Query),
        of("lambda", Protocol::RestJson),
        of("sns", Protocol::Query),
        of("ec2", Protocol::Ec2),
        of("route53", Protocol::RestXml),
        of("s3control", Protocol::RestXml),
        of("s3", Protocol::RestXml),
    ]
}

/// Code and message as the body has them.
fn read(rendered: &Rendered) -> (String, String) {
    let body = &rendered.body[..];
    match rendered.headers["content-type"].to_str().unwrap() {
        "application/xml" | "text/xml" => {
            let document = roxmltree::Document::parse(std::str::from_utf8(body).unwrap()).unwrap();
            let text = |name: &str| {
                let found = document.descendants().find(|node| node.tag_name().name() == name).unwrap();
                found.text().unwrap().to_owned()
            };
            (text("Code"), text("Message"))
        }
        kind if kind.contains("cbor") => (of_cbor(body, "__type"), of_cbor(body, "message")),
        _ => {
            let value: serde_json::Value = serde_json::from_slice(body).unwrap();
            let text = |name: &str| value[name].as_str().unwrap().to_owned();
            (text("__type"), text("message"))
        }
    }
}

/// The text behind this key: each is written with four bytes of length.
fn of_cbor(body: &[u8], key: &str) -> String {
    let at = body.windows(key.len()).position(|part| part == key.as_bytes()).unwrap() + key.len();
    let (kind, rest) = body[at..].split_first().unwrap();
    assert_eq!(*kind, 0x7a, "a text");
    let (length, rest) = rest.split_first_chunk().unwrap();
    String::from_utf8(rest[..u32::from_be_bytes(*length) as usize].to_vec()).unwrap()
}

#[test]
fn each_says_its_code_and_its_message_in_each_form() {
    for dialect in dialects() {
        for refusal in all() {
            let rendered = render(&refusal, dialect, "r-1");
            assert_eq!(read(&rendered), (rendered.code.to_owned(), refusal.to_string()), "{dialect:?}");
            assert_eq!(rendered.headers["x-amzn-requestid"], "r-1");
            let head = render(&refusal, Dialect { bodiless: true, ..dialect }, "r-1");
            assert_eq!((head.code, head.body.len()), (rendered.code, 0));
            assert_eq!(head.headers["content-length"], rendered.body.len().to_string());
        }
    }
}

/// Kept for the suite `errors`, in which botocore reads each: not all of them can be brought on from outside.
#[test]
fn each_is_as_botocore_was_shown_it() {
    let mut shown = String::new();
    for (dialect, refusal) in
        dialects().into_iter().flat_map(|dialect| all().into_iter().map(move |one| (dialect, one)))
    {
        let rendered = render(&refusal, dialect, "r-1");
        let headers = rendered.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
        let one = serde_json::json!({
            "service": dialect.service.unwrap().id.as_str(),
            "protocol": if dialect.in_cbor { "CBOR, of old".to_owned() } else { format!("{:?}", dialect.protocol) },
            "headers": headers.collect::<serde_json::Map<_, serde_json::Value>>(),
            "body": STANDARD.encode(&rendered.body),
            "code": rendered.code,
            "message": refusal.to_string(),
        });
        shown.extend([one.to_string(), "\n".to_owned()]);
    }
    insta::assert_snapshot!(shown);
}
