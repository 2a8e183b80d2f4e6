//! Signatures of the less usual forms, made as clients make them: with AWS's own code, and SigV2 as botocore does.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningParams,
        SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::{v4, v4a},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

use super::{Key, sha256};

/// How to presign.
#[derive(Clone, Copy)]
pub(crate) struct Presigning<'a> {
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) expires: Duration,
    /// SigV4A, for `region` as the set of regions.
    pub(crate) asymmetric: bool,
}

/// Headers, or parameters of a query.
type Pairs = Vec<(String, String)>;

impl Presigning<'_> {
    pub(crate) const S3: Self =
        Self { service: "s3", region: "us-east-1", expires: Duration::from_mins(1), asymmetric: false };
}

impl Key {
    /// The target of a presigned URL: `target` with the parameters of the signature behind it.
    pub(crate) fn presign(
        &self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        how: Presigning<'_>,
    ) -> String {
        let (_, parameters) = self.instructions(method, host, target, headers, &sha256(b""), how, true);
        let joint = if target.contains('?') { '&' } else { '?' };
        let pairs: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        format!("{target}{joint}{}", pairs.join("&"))
    }

    /// The headers of a SigV4A signature.
    pub(crate) fn asymmetric(
        &self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        scope: (&str, &str),
    ) -> String {
        self.asymmetric_of(method, host, target, headers, &sha256(body), scope)
    }

    /// The same, of a body of which this is said.
    pub(crate) fn asymmetric_of(
        &self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload: &str,
        (service, regions): (&str, &str),
    ) -> String {
        let how = Presigning { service, region: regions, asymmetric: true, ..Presigning::S3 };
        let (headers, _) = self.instructions(method, host, target, headers, payload, how, false);
        headers.iter().map(|(name, value)| [name, ": ", value, "\r\n"].concat()).collect()
    }

    #[expect(clippy::too_many_arguments, reason = "a request has so many parts")]
    fn instructions(
        &self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        payload: &str,
        how: Presigning<'_>,
        in_query: bool,
    ) -> (Pairs, Pairs) {
        let identity = Credentials::new(&self.id, &self.secret, self.token.clone(), None, "test").into();
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        let s3 = how.service == "s3";
        if s3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        if in_query {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(how.expires);
        } else if s3 {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let time = SystemTime::from(self.at);
        let parameters: SigningParams<'_> = if how.asymmetric {
            let builder = v4a::SigningParams::builder().identity(&identity).region_set(how.region).name(how.service);
            builder.time(time).settings(settings).build().unwrap().into()
        } else {
            let builder = v4::SigningParams::builder().identity(&identity).region(how.region).name(how.service);
            builder.time(time).settings(settings).build().unwrap().into()
        };
        let payload =
            if in_query && s3 { SignableBody::UnsignedPayload } else { SignableBody::Precomputed(payload.to_owned()) };
        let all = std::iter::once(("host", host)).chain(headers.iter().copied());
        let request = SignableRequest::new(method, format!("https://{host}{target}"), all, payload).unwrap();
        let (headers, query) = sign(request, &parameters).unwrap().into_parts().0.into_parts();
        (
            headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect(),
            query.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect(),
        )
    }

    /// The target of a SigV2-presigned URL: `resource` is what is signed of it, `bucket` what the host names.
    pub(crate) fn presign_legacy(
        &self,
        method: &str,
        target: &str,
        bucket: &str,
        covered: &str,
        headers: &[(&str, &str)],
        ends: i64,
    ) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |name: &str| headers.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        let amz: String = headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-amz-"))
            .map(|(name, value)| [name, ":", value, "\n"].concat())
            .collect();
        let text = format!(
            "{method}\n{}\n{}\n{ends}\n{amz}{bucket}{path}{covered}",
            header("content-md5"),
            header("content-type")
        );
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
        let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        let joint = if query.is_empty() { "?" } else { "&" };
        format!("{target}{joint}AWSAccessKeyId={}&Signature={}&Expires={ends}", self.id, encode(&signature))
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
