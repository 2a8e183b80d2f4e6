//! aws-chunked bodies as S3's clients write them and as S3 reads them: by hand, with no code of ours but the HMAC of
//! AWS's own crate, or, for SigV4A, its ECDSA.

use std::time::SystemTime;

use aws_sigv4::sign::{v4, v4a};
use p256::{SecretKey, elliptic_curve::sec1::ToSec1Point};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::{
    Call, Key,
    signer::{read_date, sha256},
};

/// Where a chain of signatures has come to; without a key, the chunks carry none.
pub(crate) struct Chunks<'k> {
    key: Option<&'k Key>,
    /// As the head names it: `AWS4-HMAC-SHA256`.
    algorithm: String,
    date: String,
    scope: String,
    previous: String,
}

/// A body that was read, and verified if it is signed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) data: Vec<u8>,
    /// The sizes of its chunks, the last one not among them.
    pub(crate) sizes: Vec<usize>,
    /// The line behind the last chunk.
    pub(crate) trailer: Option<String>,
}

impl<'k> Chunks<'k> {
    pub(crate) fn unsigned() -> Self {
        let none = String::new;
        Self { key: None, algorithm: none(), date: none(), scope: none(), previous: none() }
    }

    /// What follows a head, written as text, that `key` has signed.
    pub(crate) fn after(key: &'k Key, head: &str) -> Self {
        let line = |name: &str| {
            let is_it = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
            head.lines().find(is_it).unwrap().split_once(':').unwrap().1.trim()
        };
        Self::behind(key, line("authorization"), line("x-amz-date"))
    }

    /// What follows the head that arrived at the cloud, if `key` has signed it.
    pub(crate) fn of(key: &'k Key, call: &Call) -> Self {
        let header = |name| call.head.header(name).unwrap();
        Self::behind(key, header("authorization"), header("x-amz-date"))
    }

    fn behind(key: &'k Key, authorization: &str, date: &str) -> Self {
        let field = |name: &str| {
            authorization.split_once(&format!("{name}=")).unwrap().1.split(',').next().unwrap().trim().to_owned()
        };
        let scope = field("Credential").split_once('/').unwrap().1.to_owned();
        let algorithm = authorization.split(' ').next().unwrap().to_owned();
        Self { key: Some(key), algorithm, date: date.to_owned(), scope, previous: field("Signature") }
    }

    /// The next chunk.
    pub(crate) fn chunk(&mut self, data: &[u8]) -> Vec<u8> {
        let mut chunk = format!("{:x}", data.len()).into_bytes();
        if self.key.is_some() {
            chunk.extend(format!(";chunk-signature={}", self.sign_chunk(data)).bytes());
        }
        chunk.extend(b"\r\n");
        if !data.is_empty() {
            chunk.extend([data, b"\r\n"].concat());
        }
        chunk
    }

    /// The last chunk, this trailer, and the end.
    pub(crate) fn end(&mut self, trailer: Option<&str>) -> Vec<u8> {
        let mut end = self.chunk(b"");
        if let Some(line) = trailer {
            end.extend(format!("{line}\r\n").bytes());
            if self.key.is_some() {
                end.extend(format!("x-amz-trailer-signature:{}\r\n", self.sign_trailer(line)).bytes());
            }
        }
        [end, b"\r\n".to_vec()].concat()
    }

    /// All of a body, in chunks of `size`.
    pub(crate) fn body(&mut self, data: &[u8], size: usize, trailer: Option<&str>) -> Vec<u8> {
        let chunks: Vec<u8> = data.chunks(size).flat_map(|data| self.chunk(data)).collect();
        [chunks, self.end(trailer)].concat()
    }

    /// Reads a body that must be right to the last byte.
    pub(crate) fn open(&mut self, mut body: &[u8]) -> Opened {
        let mut opened = Opened::default();
        loop {
            let line = line(&mut body);
            let (size, signature) = line.split_once(";chunk-signature=").unwrap_or((&line, ""));
            let (data, rest) = body.split_at(usize::from_str_radix(size, 16).unwrap());
            if self.key.is_some() {
                self.check("PAYLOAD", &chunk_hashes(data), signature);
            } else {
                assert_eq!(signature, "");
            }
            if data.is_empty() {
                break;
            }
            opened.data.extend(data);
            opened.sizes.push(data.len());
            body = rest.strip_prefix(b"\r\n").expect("an end of line behind the data");
        }
        if body != b"\r\n" {
            let trailer = line(&mut body);
            if self.key.is_some() {
                let signature = line(&mut body);
                let signature = signature.strip_prefix("x-amz-trailer-signature:").expect("a signature");
                self.check("TRAILER", &trailer_hash(&trailer), signature);
            }
            opened.trailer = Some(trailer);
        }
        assert_eq!(body, b"\r\n", "the end of the body");
        opened
    }

    fn sign_chunk(&mut self, data: &[u8]) -> String {
        self.sign("PAYLOAD", &chunk_hashes(data))
    }

    fn sign_trailer(&mut self, line: &str) -> String {
        self.sign("TRAILER", &trailer_hash(line))
    }

    fn sign(&mut self, what: &str, hashes: &str) -> String {
        let (text, key) = (self.text(what, hashes), self.key.unwrap());
        if self.is_asymmetric() {
            let pair = v4a::generate_signing_key(&key.id, &key.secret);
            self.previous = v4a::calculate_signature(pair, text.as_bytes());
            return format!("{:*<144}", self.previous);
        }
        let mut scope = self.scope.split('/').skip(1);
        let (region, service) = (scope.next().unwrap(), scope.next().unwrap());
        let day = SystemTime::from(read_date(&self.date));
        let key = v4::generate_signing_key(&key.secret, day, region, service);
        self.previous = v4::calculate_signature(key, text.as_bytes());
        self.previous.clone()
    }

    /// Fails unless this is the next signature.
    fn check(&mut self, what: &str, hashes: &str, signature: &str) {
        if !self.is_asymmetric() {
            assert_eq!(signature, self.sign(what, hashes), "{what}");
            return;
        }
        let (text, key) = (self.text(what, hashes), self.key.unwrap());
        assert_eq!(signature.len(), 144, "{signature}");
        let secret = SecretKey::from_slice(v4a::generate_signing_key(&key.id, &key.secret).as_ref()).unwrap();
        let public = secret.public_key().to_sec1_point(false);
        signature.trim_end_matches('*').clone_into(&mut self.previous);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public.as_bytes())
            .verify(text.as_bytes(), &hex::decode(&self.previous).unwrap())
            .unwrap();
    }

    fn text(&self, what: &str, hashes: &str) -> String {
        format!("{}-{what}\n{}\n{}\n{}\n{hashes}", self.algorithm, self.date, self.scope, self.previous)
    }

    fn is_asymmetric(&self) -> bool {
        self.algorithm == "AWS4-ECDSA-P256-SHA256"
    }
}

fn chunk_hashes(data: &[u8]) -> String {
    format!("{}\n{}", sha256(b""), sha256(data))
}

fn trailer_hash(line: &str) -> String {
    sha256(format!("{line}\n").as_bytes())
}

fn line(body: &mut &[u8]) -> String {
    let end = body.windows(2).position(|two| two == b"\r\n").expect("a line");
    let (line, rest) = body.split_at(end);
    *body = &rest[2..];
    String::from_utf8(line.to_vec()).unwrap()
}
