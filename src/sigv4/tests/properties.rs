//! What holds for every request.

use std::borrow::Cow;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign as reference_sign,
    },
    sign::v4,
};
use proptest::prelude::*;

use super::*;
use crate::sigv4::canonical;

#[derive(Clone, Debug)]
struct Sample {
    style: PathStyle,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    declares_payload: bool,
}

impl Sample {
    fn parts(&self) -> Parts {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let mut parts = parts_of(&self.method, &self.target, headers).unwrap();
        parts.headers.insert("host", HeaderValue::from_static("service.us-east-1.amazonaws.com"));
        if self.declares_payload {
            parts.headers.insert(&header::CONTENT_SHA256, HeaderValue::from_static(""));
        }
        parts
    }
}

fn samples(path: [&'static str; 2], value: &'static str) -> impl Strategy<Value = Sample> {
    let path = prop_oneof![(Just(PathStyle::EncodedOnce), path[0]), (Just(PathStyle::EncodedTwice), path[1]),];
    let query = "(\\?([a-cA-C0-9._~@:/?&=&=+-]|%[2-7][0-9a-fA-F]|%c3%a9|é){0,30})?";
    let name = "(x-amz-)?[a-z][a-z0-9-]{0,6}";
    let value = proptest::string::bytes_regex(value).unwrap();
    let headers = prop::collection::vec((name, value), 0..6);
    (path, "[A-Z]{1,8}", query, headers, any::<Vec<u8>>(), any::<bool>()).prop_map(
        |((style, path), method, query, headers, body, declares_payload)| {
            let reserved = ["host", "te", "expect", "date", "trailer", "upgrade"];
            let headers = headers.into_iter().filter(|(name, _)| !reserved.contains(&name.as_str())).collect();
            Sample { style, method, target: path + &query, headers, body, declares_payload }
        },
    )
}

const ANY_PATH: &str = "(/([a-c._~@:!$&'()*+,;=-]|\\.|%[0-9a-fA-F]{2}|é){0,4}){1,6}";
/// What S3's clients send. (The reference takes any other encoding as it is; S3 decodes.)
const ENCODED_PATH: &str = "(/([a-c0-9._~-]|%[8-9A-F][0-9A-F]|%20|%2B){0,4}){1,6}";
/// All that HTTP permits in a value, tabs inside it aside.
const ANY_VALUE: &str = "(?s-u)([!-~\\x80-\\xff]([ -~\\x80-\\xff]{0,8}[!-~\\x80-\\xff])?)?";
const ASCII_VALUE: &str = "([!-~]([ a-c]{0,8}[!-~])?)?";

proptest! {
    #[test]
    fn what_was_signed_is_found_true(sample in samples([ANY_PATH, ANY_PATH], ANY_VALUE)) {
        let signer = Signer::new(sample.style);
        let mut parts = sample.parts();
        signer.sign(&mut parts, Payload::of(&sample.body), now());
        prop_assert!(signer.accepts(&parts, &sample.body, now()));
    }

    #[test]
    fn a_changed_byte_is_refused(
        sample in samples([ANY_PATH, ANY_PATH], ANY_VALUE), part in 0..5, index: prop::sample::Index, by in 1..=255_u8,
    ) {
        let signer = Signer::new(sample.style);
        let mut parts = sample.parts();
        signer.sign(&mut parts, Payload::of(&sample.body), now());
        let canonical = |parts: &Parts| {
            let claim = parse(parts).ok()?;
            let request = canonical::request(parts, sample.style, &claim.signed_headers, &Payload::EMPTY);
            Some((request, claim.access_key_id, claim.signature.as_slice().to_vec(), claim.scope))
        };
        let change = |text: &[u8]| {
            let mut text = text.to_vec();
            if let Some(position) = (!text.is_empty()).then(|| index.index(text.len())) { text[position] ^= by; }
            text
        };
        let before = canonical(&parts);
        let mut body = sample.body.clone();
        match part {
            0 => parts.method = Method::from_bytes(&change(parts.method.as_str().as_bytes())).unwrap_or(parts.method),
            1 => parts.uri = Uri::try_from(change(sample.target.as_bytes())).unwrap_or(parts.uri),
            2 => {
                let position = index.index(parts.headers.len());
                let value = parts.headers.values_mut().nth(position).unwrap();
                if let Ok(changed) = HeaderValue::from_bytes(&change(value.as_bytes())) { *value = changed; }
            }
            3 => body = change(&body),
            _ => {
                let changed = change(parts.headers["authorization"].as_bytes());
                if let Ok(changed) = HeaderValue::from_bytes(&changed) { parts.headers.insert("authorization", changed); }
            }
        }
        let same = before == canonical(&parts) && body == sample.body;
        prop_assert_eq!(signer.accepts(&parts, &body, now()), same);
    }

    #[test]
    fn signatures_are_those_of_the_reference(sample in samples([ENCODED_PATH, ANY_PATH], ASCII_VALUE), token in "[a-z]{0,8}") {
        let token = Some(token).filter(|token| !token.is_empty());
        let signer = Signer { token: token.clone().map(Secret::new), ..Signer::new(sample.style) };
        let mut parts = sample.parts();
        let uri = format!("https://service.us-east-1.amazonaws.com{}", parts.uri);

        let identity = Credentials::new(Signer::ID, signer.secret.expose(), token, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.excluded_headers = Some(vec![Cow::Borrowed("authorization")]);
        if sample.style == PathStyle::EncodedOnce {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        if sample.declares_payload {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity).region("us-east-1").name("service").time(now().into()).settings(settings).build().unwrap();
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        let request = SignableRequest::new(&sample.method, &uri, headers, SignableBody::Bytes(&sample.body)).unwrap();
        let (_, expected) = reference_sign(request, &params.into()).unwrap().into_parts();

        signer.sign(&mut parts, Payload::of(&sample.body), now());
        let ours = parse(&parts).unwrap();
        prop_assert_eq!(::hex::encode(ours.signature.as_slice()), expected);
    }

    #[test]
    fn parsing_never_panics(
        authorization in prop_oneof![
            any::<Vec<u8>>(),
            "(AWS4-HMAC-SHA256|AWS|Bearer|) ?((Credential|Signature|SignedHeaders|)=?[a-z0-9/;, é]{0,20},? ?){0,4}".prop_map(String::into_bytes),
        ],
        date in prop_oneof![any::<Vec<u8>>(), "[0-9]{8}T[0-9]{6}Z".prop_map(String::into_bytes)],
        hash: Vec<u8>,
        target in ANY_PATH,
    ) {
        let (mut parts, ()) = Request::get(target).header("host", "h").body(()).unwrap().into_parts();
        for (name, value) in [("authorization", authorization), ("x-amz-date", date), ("x-amz-content-sha256", hash)] {
            if let Ok(value) = HeaderValue::from_bytes(&value) { parts.headers.insert(name, value); }
        }
        let _ = parse(&parts);
    }
}
