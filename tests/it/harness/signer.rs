//! Signs as clients do, and checks signatures as the cloud does, with AWS's own code: ours must agree with it.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use csg::clock::{Clock, Timestamp};
use ring::digest;

use super::{Call, wire::Head};

/// An access key, and what is signed with it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    /// The time to sign with.
    pub(crate) at: Timestamp,
    /// The service and region to sign for; those of the `Host` header if none.
    pub(crate) scope: Option<(&'static str, &'static str)>,
}

/// A request with its signature.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// With the empty line at its end.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.id.as_bytes()
    }
}

impl Key {
    pub(crate) fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into(), token: None, at: Clock::system().now(), scope: None }
    }

    /// Signs a request written as text: indentation does not count, and after an empty line comes the body.
    ///
    /// A line that begins with `+` is put in after signing. `{sha256}` becomes the body's. `Content-Length` is added,
    /// unsigned, where there is a body and nothing says how long it is.
    pub(crate) fn sign(&self, text: &str) -> Signed {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        self.sign_with_body(head, body.trim())
    }

    /// Signs a request whose head is written as text.
    pub(crate) fn sign_with_body(&self, head: &str, body: impl Into<Vec<u8>>) -> Signed {
        let body = body.into();
        let head = head.replace("{sha256}", &sha256(&body));
        let mut lines = head.lines().map(str::trim).filter(|line| !line.is_empty());
        let request_line = lines.next().unwrap();
        let (added, lines): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with('+'));
        let headers: Vec<_> = lines.iter().map(|line| line.split_once(':').unwrap()).collect();
        let (method, target) = request_line.split_once(' ').unwrap();
        let target = target.strip_suffix(" HTTP/1.1").or_else(|| target.strip_suffix(" HTTP/1.0")).unwrap();
        let signature = self.signature(method, target, &headers, &body);

        let mut out = format!("{request_line}\r\n");
        let added = added.into_iter().map(|line| line[1..].trim().to_owned());
        let has = |name: &str| head.to_ascii_lowercase().contains(&format!("{name}:"));
        let length = (!body.is_empty() && !has("content-length") && !has("transfer-encoding"))
            .then(|| format!("Content-Length: {}", body.len()));
        for line in lines.into_iter().map(str::to_owned).chain(signature).chain(added).chain(length) {
            out.push_str(&line);
            out.push_str("\r\n");
        }
        Signed { head: out + "\r\n", body }
    }

    /// The headers that the signature consists of.
    fn signature(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<String> {
        let one = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, v)| *v);
        let host = one("host").expect("a Host header").trim();
        let uri = if target.starts_with('/') { format!("https://{host}{target}") } else { target.to_owned() };
        let body = match one("x-amz-content-sha256") {
            Some(hash) => SignableBody::Precomputed(hash.trim().to_owned()),
            None => SignableBody::Bytes(body),
        };
        let (service, region) = self.scope.unwrap_or_else(|| scope_of(host));
        let request = SignableRequest::new(method, uri, headers.iter().copied(), body).unwrap();
        let (instructions, _) = self.calculate(request, service, region).into_parts();
        instructions.into_parts().0.iter().map(|header| format!("{}: {}", header.name(), header.value())).collect()
    }

    fn calculate(
        &self,
        request: SignableRequest<'_>,
        service: &str,
        region: &str,
    ) -> aws_sigv4::SigningOutput<aws_sigv4::http_request::SigningInstructions> {
        let identity = Credentials::new(&self.id, &self.secret, self.token.clone(), None, "test").into();
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        if service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(SystemTime::from(self.at))
            .settings(settings)
            .build()
            .unwrap();
        sign(request, &params.into()).unwrap()
    }

    /// Fails unless the request that reached the cloud is rightly signed with this key, in all that is signed.
    pub(crate) fn verify(&self, call: &Call, body: &[u8]) {
        self.verify_head(&call.head, body);
    }

    /// The same of a head alone, whichever way it came.
    pub(crate) fn verify_head(&self, head: &Head, body: &[u8]) {
        let Head { first, headers } = head;
        let authorization = head.header("authorization").expect("an Authorization header");
        let field = |name: &str| {
            let value = authorization.split_once(&format!("{name}=")).unwrap().1;
            value.split(',').next().unwrap().trim().to_owned()
        };
        let [id, day, region, service, _] = &field("Credential").split('/').map(str::to_owned).collect::<Vec<_>>()[..]
        else {
            panic!("{authorization}")
        };
        assert_eq!(*id, self.id);
        assert_eq!(head.header("x-amz-security-token"), self.token.as_deref());
        let date = head.header("x-amz-date").expect("an X-Amz-Date header");
        assert!(date.starts_with(day.as_str()), "{date} {day}");
        let signed = field("SignedHeaders");
        let by_signer = ["x-amz-date", "x-amz-security-token"];
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| signed.split(';').any(|signed| signed == *name) && !by_signer.contains(name));
        let mut parts = first.split(' ');
        let (method, target) = (parts.next().unwrap(), parts.next().unwrap());
        let payload = match head.header("x-amz-content-sha256") {
            Some(hash) => {
                if !hash.starts_with("STREAMING-") && hash != "UNSIGNED-PAYLOAD" {
                    assert_eq!(hash, sha256(body));
                }
                SignableBody::Precomputed(hash.to_owned())
            }
            None => SignableBody::Bytes(body),
        };
        let uri = format!("https://{}{target}", head.header("host").unwrap());
        let request = SignableRequest::new(method, uri, headers, payload).unwrap();
        let key = Self { at: read_date(date), ..self.clone() };
        assert_eq!(key.calculate(request, service, region).signature(), field("Signature"), "{head:?}");
    }
}

impl Signed {
    /// All of it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }

    /// The request with `from` replaced in its head, as someone on the way might do.
    pub(crate) fn tampered(&self, from: &str, to: &str) -> Self {
        assert!(self.head.contains(from), "{from} is not in {}", self.head);
        Self { head: self.head.replacen(from, to, 1), body: self.body.clone() }
    }
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// What a client signs for that talks to `host`.
fn scope_of(host: &str) -> (&'static str, &'static str) {
    let mut labels = host.trim_end_matches(":443").split('.');
    let (first, second) = (labels.next().unwrap(), labels.next().unwrap());
    let services = [
        "apigateway",
        "dynamodb",
        "ebs",
        "ec2",
        "ecs",
        "glacier",
        "kinesis",
        "kms",
        "lambda",
        "rds",
        "redshift",
        "route53",
        "s3",
        "sns",
    ];
    let service = match first {
        "email" => "ses",
        "monitoring" => "monitoring",
        _ if second == "s3" => return ("s3", "us-east-1"),
        account if account.starts_with(|c: char| c.is_ascii_digit()) => return ("dynamodb", "us-east-1"),
        name => services.into_iter().find(|known| name.eq_ignore_ascii_case(known)).unwrap_or_else(|| panic!("{host}")),
    };
    let regions = ["eu-west-1", "us-east-1"];
    (service, regions.into_iter().find(|known| second.eq_ignore_ascii_case(known)).unwrap_or("us-east-1"))
}

/// `20150830T123600Z`
pub(super) fn read_date(text: &str) -> Timestamp {
    let part = |range: std::ops::Range<usize>| &text[range];
    let (day, time) = ((part(0..4), part(4..6), part(6..8)), (part(9..11), part(11..13), part(13..15)));
    let text = format!("{}-{}-{}T{}:{}:{}Z", day.0, day.1, day.2, time.0, time.1, time.2);
    Timestamp::parse_rfc3339(&text).unwrap()
}
