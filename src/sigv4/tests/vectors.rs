//! The vectors that AWS publishes, from the package of the `aws-sigv4` crate.
//!
//! Forty folders. Two ("double-…") have neither key nor signature, so that only the canonical form can be checked. The
//! others are signed twice, in the header and in the query. Thirty-eight more are signed with SigV4A, both ways.

use std::{fs, path::PathBuf, process::Command, sync::LazyLock};

use serde_json::Value;

use super::*;
use crate::sigv4::{canonical, date::Moment};

struct Vector {
    name: String,
    folder: PathBuf,
    context: Option<Value>,
}

static VECTORS: LazyLock<Vec<Vector>> = LazyLock::new(|| vectors("v4"));
static ASYMMETRIC: LazyLock<Vec<Vector>> = LazyLock::new(|| vectors("v4a"));

fn vectors(suite: &str) -> Vec<Vector> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder_of(suite)).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let vector = |folder: PathBuf| Vector {
        name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
        context: fs::read(folder.join("context.json")).ok().map(|json| serde_json::from_slice(&json).unwrap()),
        folder,
    };
    folders.into_iter().map(vector).collect()
}

fn folder_of(suite: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--filter-platform", "host-tuple"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "aws-sigv4").unwrap();
    PathBuf::from(package["manifest_path"].as_str().unwrap()).with_file_name("aws-signing-test-suite").join(suite)
}

impl Vector {
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap_or_else(|error| panic!("{}/{file}: {error}", self.name))
    }

    fn request(&self, file: &str) -> Message {
        Message::parse(self.read(file).as_bytes()).unwrap_or_else(|| panic!("{}/{file}", self.name))
    }

    fn flag(&self, name: &str) -> bool {
        self.context.as_ref().is_some_and(|context| context[name] == true)
    }

    /// The two with a space show the path as the client means it, so for them the path on the wire is encoded once.
    fn style(&self) -> PathStyle {
        let once = !self.flag("normalize") || self.name.starts_with("get-space");
        if once { PathStyle::EncodedOnce } else { PathStyle::EncodedTwice }
    }

    /// The token, and whether the client adds it only after signing.
    fn token(&self) -> (Option<Secret>, bool) {
        let token = self.context.as_ref().and_then(|context| context["credentials"]["token"].as_str());
        (token.map(Secret::new), self.flag("omit_session_token"))
    }

    fn signer(&self) -> Signer {
        Signer { token: self.token().0, ..Signer::new(self.style()) }
    }
}

/// A request as text, split but not interpreted.
#[derive(Clone, PartialEq)]
struct Message {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Message {
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.windows(2).position(|pair| pair == b"\n\n").unwrap_or(text.len());
        let mut lines = text.get(..end)?.split(|&byte| byte == b'\n');
        let line = std::str::from_utf8(lines.next()?).ok()?;
        let (method, target) = line.strip_suffix(" HTTP/1.1").unwrap_or("").split_once(' ')?;
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            if line.starts_with(b" ") {
                // RFC 9112 §5.2: a folded line is made one with spaces before it is read.
                headers.last_mut()?.1.extend_from_slice(line);
            } else {
                let colon = line.iter().position(|&byte| byte == b':')?;
                headers.push((String::from_utf8(line[..colon].to_vec()).ok()?, line[colon + 1..].to_vec()));
            }
        }
        let body = text.get(end + 2..).unwrap_or_default().to_vec();
        Some(Self { method: method.into(), target: target.replace(' ', "%20"), headers, body })
    }

    fn parts(&self) -> Option<Parts> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.trim_ascii()));
        parts_of(&self.method, &self.target, headers).ok()
    }

    fn header(&self, wanted: &str) -> &str {
        let header = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).unwrap();
        std::str::from_utf8(&header.1).unwrap().trim()
    }

    /// Equal ones mean the same: whatever the case of names, the number of spaces, and the detours of a path.
    fn meaning(&self, style: PathStyle) -> Self {
        let spaces = |value: &[u8]| {
            value.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' ')
        };
        let headers = self.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), spaces(value))).collect();
        let mut target = self.target.clone();
        for escape in 0..=255_u8 {
            target = target.replace(&format!("%{escape:02x}"), &format!("%{escape:02X}"));
        }
        if style == PathStyle::EncodedTwice {
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let mut kept = Vec::new();
            for segment in path.split('/').filter(|segment| !["", "."].contains(segment)) {
                if segment == ".." { kept.truncate(kept.len().saturating_sub(1)) } else { kept.push(segment) }
            }
            let end = if ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) { "/" } else { "" };
            target = format!("{}{end}?{query}", kept.join("/"));
        }
        Self { target, headers, ..self.clone() }
    }
}

#[test]
fn there_are_as_many_as_were_published() {
    assert_eq!(VECTORS.len(), 40);
    assert_eq!(VECTORS.iter().filter(|vector| vector.context.is_some()).count(), 38);
}

#[test]
fn signing_gives_the_published_signatures() {
    for vector in VECTORS.iter().filter(|vector| vector.context.is_some()) {
        let (token, after) = vector.token();
        let signer = Signer { token: token.filter(|_| !after), ..vector.signer() };
        let message = vector.request("request.txt");
        let mut parts = message.parts().unwrap();
        if vector.flag("sign_body") {
            parts.headers.insert(&header::CONTENT_SHA256, HeaderValue::from_static("to be replaced"));
        }
        signer.sign(&mut parts, Payload::of(&message.body), now());
        let expected = vector.request("header-signed-request.txt");
        assert_eq!(parts.headers["authorization"], expected.header("authorization"), "{}", vector.name);
    }
}

#[test]
fn the_published_signatures_are_found_true() {
    for vector in VECTORS.iter().filter(|vector| vector.context.is_some()) {
        let message = vector.request("header-signed-request.txt");
        let parts = message.parts().unwrap();
        assert!(vector.signer().accepts(&parts, &message.body, now()), "{}", vector.name);

        let claim = parse(&parts).unwrap();
        let payload = claim.payload.unwrap_or_else(|| Payload::of(&message.body));
        let canonical = canonical::request(&parts, vector.style(), &claim.signed_headers, &payload);
        assert_eq!(String::from_utf8_lossy(&canonical), vector.read("header-canonical-request.txt"), "{}", vector.name);
        let to_sign = canonical::string_to_sign(&claim.at, &claim.scope, &canonical);
        assert_eq!(String::from_utf8_lossy(&to_sign), vector.read("header-string-to-sign.txt"), "{}", vector.name);
    }
}

#[test]
fn those_without_a_key_have_the_published_canonical_form() {
    for vector in VECTORS.iter().filter(|vector| vector.context.is_none()) {
        let mut parts = vector.request("request.txt").parts().unwrap();
        let expected = vector.read("header-canonical-request.txt");
        let date = expected.lines().find_map(|line| line.strip_prefix("x-amz-date:")).unwrap();
        let at = Moment::parse_iso_basic(date.as_bytes()).unwrap();
        let scope = Scope::at(at.at(), "us-east-1", "service");
        let signer = Signer { scope, ..Signer::new(PathStyle::EncodedTwice) };
        signer.sign(&mut parts, Payload::EMPTY, at.at());
        let list = parse(&parts).unwrap().signed_headers;
        let canonical = canonical::request(&parts, PathStyle::EncodedTwice, &list, &Payload::EMPTY);
        assert_eq!(String::from_utf8_lossy(&canonical), expected, "{}", vector.name);
    }
}

#[test]
fn those_signed_in_the_query_are_found_true_and_signed_anew_in_the_header() {
    for vector in VECTORS.iter().filter(|vector| vector.context.is_some()) {
        let message = vector.request("query-signed-request.txt");
        let mut parts = message.parts().unwrap();
        let signer = vector.signer();
        assert!(signer.accepts(&parts, &message.body, now()), "{}", vector.name);
        let claim = parse(&parts).unwrap();
        assert_eq!(claim.signature.as_slice(), ::hex::decode(vector.read("query-signature.txt").trim()).unwrap());

        let payload = claim.payload.unwrap_or_else(|| Payload::of(&message.body));
        let after = vector.token().1.then_some("X-Amz-Security-Token");
        let left_out: Vec<&str> = after.into_iter().chain(["X-Amz-Signature"]).collect();
        let canonical = canonical::request_without(&parts, vector.style(), &claim.signed_headers, &payload, &left_out);
        assert_eq!(String::from_utf8_lossy(&canonical), vector.read("query-canonical-request.txt"), "{}", vector.name);
        let to_sign = canonical::string_to_sign(&claim.at, &claim.scope, &canonical);
        assert_eq!(String::from_utf8_lossy(&to_sign), vector.read("query-string-to-sign.txt"), "{}", vector.name);

        // What is left is the request before it was signed.
        let key = SigningKey::derive(&signer.secret, claim.scope.clone());
        let verified = claim.verify(&parts, vector.style(), &key, payload, now()).unwrap();
        verified.unwrap_query(&mut parts, false).unwrap();
        let unsigned = vector.request("request.txt").parts().unwrap();
        assert_eq!(parts.uri, unsigned.uri, "{}", vector.name);
        signer.sign(&mut parts, payload, now());
        assert!(signer.accepts(&parts, &message.body, now()), "{}", vector.name);
    }
}

/// Their signatures are random, so that each is verified with the key pair derived here, which must be the published one.
#[test]
fn the_asymmetric_ones_are_found_true_both_ways_and_signed_anew() {
    assert_eq!(ASYMMETRIC.len(), 38);
    for vector in ASYMMETRIC.iter() {
        let region = vector.context.as_ref().unwrap()["region"].as_str().unwrap();
        let (token, after) = vector.token();
        let signer = Signer { scope: Scope::asymmetric_at(now(), region, "service"), ..vector.signer() };
        let public = serde_json::from_str::<Value>(&vector.read("public-key.json")).unwrap();
        let point = ["X", "Y"].map(|name| ::hex::decode(public[name].as_str().unwrap()).unwrap()).concat();
        let published = ring::signature::UnparsedPublicKey::new(
            &ring::signature::ECDSA_P256_SHA256_ASN1,
            [&[4][..], &point].concat(),
        );
        for form in ["header", "query"] {
            let message = vector.request(&format!("{form}-signed-request.txt"));
            let mut parts = message.parts().unwrap();
            assert!(signer.accepts(&parts, &message.body, now()), "{} {form}", vector.name);
            let claim = parse(&parts).unwrap();
            assert_eq!((claim.scope.region(), claim.scope.service()), (region, "service"));

            let payload = claim.payload.unwrap_or_else(|| Payload::of(&message.body));
            let left_out: Vec<&str> =
                after.then_some("X-Amz-Security-Token").into_iter().chain(["X-Amz-Signature"]).collect();
            let canonical =
                canonical::request_without(&parts, vector.style(), &claim.signed_headers, &payload, &left_out);
            let expected = vector.read(&format!("{form}-canonical-request.txt"));
            assert_eq!(String::from_utf8_lossy(&canonical), expected, "{} {form}", vector.name);
            let to_sign = canonical::string_to_sign(&claim.at, &claim.scope, &canonical);
            let expected = vector.read(&format!("{form}-string-to-sign.txt"));
            assert_eq!(String::from_utf8_lossy(&to_sign), expected, "{} {form}", vector.name);
            published.verify(&to_sign, claim.signature.as_slice()).unwrap();

            let key = SigningKey::of(Signer::ID, &signer.secret, claim.scope.clone());
            let verified = claim.verify(&parts, vector.style(), &key, payload, now()).unwrap();
            verified.unwrap_query(&mut parts, false).unwrap();
            assert!(!parts.uri.to_string().contains("X-Amz"), "{}", parts.uri);
            let anew = Signer { token: token.clone().filter(|_| !after), ..vector.signer() };
            Signer { scope: signer.scope.clone(), ..anew }.sign(&mut parts, payload, now());
            let claim = parse(&parts).unwrap();
            let canonical = canonical::request(&parts, vector.style(), &claim.signed_headers, &payload);
            let to_sign = canonical::string_to_sign(&claim.at, &claim.scope, &canonical);
            published.verify(&to_sign, claim.signature.as_slice()).unwrap();
        }
    }
}

/// Every byte of request line, headers and body, one at a time.
#[test]
fn one_changed_byte_is_refused() {
    let (mut refused, mut meaningless) = (0, 0);
    for vector in VECTORS.iter().filter(|vector| vector.context.is_some()) {
        let gateway = vector.signer();
        let accepts =
            |message: &Message| message.parts().is_some_and(|parts| gateway.accepts(&parts, &message.body, now()));
        let text = vector.read("header-signed-request.txt").into_bytes();
        let original = Message::parse(&text).unwrap().meaning(gateway.style);
        for (position, &byte) in text.trim_ascii_end().iter().enumerate() {
            for other in [b'x', b'y', byte ^ 1, byte ^ 0x20, byte ^ 0x80].into_iter().filter(|&other| other != byte) {
                let mut changed = text.clone();
                changed[position] = other;
                if let Some(message) = Message::parse(&changed).filter(accepts) {
                    let words = String::from_utf8_lossy(&changed);
                    assert!(message.meaning(gateway.style) == original, "{}: accepted {words}", vector.name);
                    meaningless += 1;
                } else {
                    refused += 1;
                }
            }
        }
    }
    // Without meaning: the case of a header's name, a space more or less, another way to the same folder.
    assert!(refused > 60_000 && meaningless < 1500, "{refused} refused, {meaningless} without meaning");
}

/// The SDK for JavaScript signs so over HTTP/2 (made with its signer, `@smithy/signature-v4`).
#[test]
fn a_host_signed_as_authority() {
    const HOST: &str = "service.us-east-1.amazonaws.com";
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                         SignedHeaders=:authority;content-type;x-amz-content-sha256;x-amz-date, \
                         Signature=2ab352d98e27305af456ddfe455f4db131b587fe82bdcbef7eeb324dca68635c";
    let headers = |host: &'static str| {
        [
            ("host", host),
            ("content-type", "application/vnd.amazon.eventstream"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-EVENTS"),
            ("x-amz-date", "20150830T123600Z"),
            ("authorization", authorization),
        ]
        .map(|(name, value)| (name, value.as_bytes()))
    };
    let signer = Signer::new(PathStyle::EncodedTwice);
    let over = |version, host| {
        let mut parts = parts_of("POST", "/stream", headers(host)).unwrap();
        parts.version = version;
        parts
    };
    assert!(signer.accepts(&over(http::Version::HTTP_2, HOST), b"", now()));
    assert!(!signer.accepts(&over(http::Version::HTTP_2, "other.us-east-1.amazonaws.com"), b"", now()));
    let absent = parse(&over(http::Version::HTTP_11, HOST)).unwrap_err();
    assert_eq!(absent, ParseError::SignedHeaderAbsent(":authority".to_owned()));
    // It is never signed so again.
    let mut parts = over(http::Version::HTTP_2, HOST);
    let claim = parse(&parts).unwrap();
    assert!(claim.protects("host"));
    let key = SigningKey::of(Signer::ID, &signer.secret, signer.scope.clone());
    let signing = Signing {
        access_key_id: Signer::ID,
        key: &key,
        session_token: None,
        style: PathStyle::EncodedTwice,
        also: &claim.signed_headers,
        payload: claim.payload.unwrap(),
        now: now(),
    };
    sign(&mut parts, &signing).unwrap();
    let authorization = parts.headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,"));
}
