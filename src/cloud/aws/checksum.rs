//! The checksums that S3's clients send behind a body, in the trailer of its aws-chunked coding.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use ring::digest;
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};

/// A way to compute a checksum; all that botocore's model of S3 names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32 of ISO/HDLC: the default of most SDKs.
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME: the default of the others.
    Crc64Nvme,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// XXH3 with 128 bits.
    Xxhash128,
    /// XXH3 with 64 bits.
    Xxhash3,
    /// XXH64.
    Xxhash64,
}

/// A checksum on its way.
pub struct Checksum(State);

enum State {
    Crc(crc_fast::Digest, usize),
    Md5(Md5),
    Sha(digest::Context),
    Xxhash128(Box<XxHash3_128>),
    Xxhash3(Box<XxHash3_64>),
    Xxhash64(XxHash64),
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Xxhash128,
        Self::Xxhash3,
        Self::Xxhash64,
    ];

    /// The one whose values are in the header of this name, in any case.
    pub fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// The name of the header, or the trailer, that holds its value.
    pub const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Md5 => "x-amz-checksum-md5",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha512 => "x-amz-checksum-sha512",
            Self::Xxhash128 => "x-amz-checksum-xxhash128",
            Self::Xxhash3 => "x-amz-checksum-xxhash3",
            Self::Xxhash64 => "x-amz-checksum-xxhash64",
        }
    }

    /// How long its value is as text.
    pub const fn text_length(self) -> usize {
        let bytes: usize = match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::Xxhash3 | Self::Xxhash64 => 8,
            Self::Md5 | Self::Xxhash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        };
        bytes.div_ceil(3) * 4
    }

    /// Of nothing, so far.
    pub fn begin(self) -> Checksum {
        use crc_fast::{CrcAlgorithm, Digest};
        Checksum(match self {
            Self::Crc32 => State::Crc(Digest::new(CrcAlgorithm::Crc32IsoHdlc), 4),
            Self::Crc32c => State::Crc(Digest::new(CrcAlgorithm::Crc32Iscsi), 4),
            Self::Crc64Nvme => State::Crc(Digest::new(CrcAlgorithm::Crc64Nvme), 8),
            Self::Md5 => State::Md5(Md5::new()),
            Self::Sha1 => State::Sha(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            Self::Sha256 => State::Sha(digest::Context::new(&digest::SHA256)),
            Self::Sha512 => State::Sha(digest::Context::new(&digest::SHA512)),
            Self::Xxhash128 => State::Xxhash128(Box::new(XxHash3_128::new())),
            Self::Xxhash3 => State::Xxhash3(Box::new(XxHash3_64::new())),
            Self::Xxhash64 => State::Xxhash64(XxHash64::with_seed(0)),
        })
    }
}

impl Checksum {
    /// Takes in what comes next.
    pub fn update(&mut self, data: &[u8]) {
        use std::hash::Hasher as _;
        match &mut self.0 {
            State::Crc(crc, _) => crc.update(data),
            State::Md5(md5) => md5.update(data),
            State::Sha(sha) => sha.update(data),
            State::Xxhash128(hash) => hash.write(data),
            State::Xxhash3(hash) => hash.write(data),
            State::Xxhash64(hash) => hash.write(data),
        }
    }

    /// The value of the header: base64, the bytes of a number with the highest first.
    pub fn text(self) -> String {
        use std::hash::Hasher as _;
        match self.0 {
            State::Crc(crc, bytes) => {
                let number = crc.finalize().to_be_bytes();
                STANDARD.encode(number.get(number.len() - bytes..).unwrap_or_default())
            }
            State::Md5(md5) => STANDARD.encode(md5.finalize()),
            State::Sha(sha) => STANDARD.encode(sha.finish()),
            State::Xxhash128(hash) => STANDARD.encode(hash.finish_128().to_be_bytes()),
            State::Xxhash3(hash) => STANDARD.encode(hash.finish().to_be_bytes()),
            State::Xxhash64(hash) => STANDARD.encode(hash.finish().to_be_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values that each algorithm's specification publishes, mostly for "123456789".
    #[test]
    fn each_gives_its_published_value() {
        let long = "a".repeat(66_560);
        for (algorithm, data, hex) in [
            (Algorithm::Crc32, "123456789", "cbf43926"),
            (Algorithm::Crc32c, "123456789", "e3069283"),
            (Algorithm::Crc64Nvme, "123456789", "ae8b14860a799888"),
            (Algorithm::Md5, "message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (Algorithm::Sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Algorithm::Sha512,
                "abc",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (Algorithm::Xxhash128, "", "99aa06d3014798d86001c324468d497f"),
            (Algorithm::Xxhash3, "", "2d06800538d394c2"),
            (Algorithm::Xxhash64, "", "ef46db3751d8e999"),
            // By the algorithm's own C code, as in AWS's library (`awscrt.checksums.XXHash`).
            (Algorithm::Xxhash128, "a", "a96faf705af16834e6c632b61e964e1f"),
            (Algorithm::Xxhash3, "a", "e6c632b61e964e1f"),
            (Algorithm::Xxhash64, "a", "d24ec4f1a98c6e5b"),
            (Algorithm::Xxhash128, "123456789", "33119477ede5dcd5e9716427681d5860"),
            (Algorithm::Xxhash3, "123456789", "72dcb18b67a17dff"),
            (Algorithm::Xxhash64, "123456789", "8cb841db40e6ae83"),
            (Algorithm::Xxhash128, &long, "074bcfdf0c465e5adb6a00480289e9fa"),
            (Algorithm::Xxhash3, &long, "db6a00480289e9fa"),
            (Algorithm::Xxhash64, &long, "db4486d1f038a871"),
        ] {
            let mut checksum = algorithm.begin();
            data.bytes().for_each(|byte| checksum.update(&[byte]));
            let text = checksum.text();
            assert_eq!(hex::encode(STANDARD.decode(&text).unwrap()), hex, "{algorithm:?}");
            assert_eq!(text.len(), algorithm.text_length(), "{algorithm:?}");
        }
    }

    #[test]
    fn each_is_found_by_its_header() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::of_header(algorithm.header()), Some(algorithm));
            assert_eq!(Algorithm::of_header(&algorithm.header().to_uppercase()), Some(algorithm));
        }
        for other in ["", "x-amz-checksum-", "x-amz-checksum-crc16", "x-amz-meta-crc32", "x-amz-trailer-signature"] {
            assert_eq!(Algorithm::of_header(other), None);
        }
    }

    /// AWS's documentation, "Including trailing headers": 66,560 times `a`.
    #[test]
    fn the_trailer_of_aws_s_example_is_right() {
        let mut checksum = Algorithm::Crc32c.begin();
        checksum.update(&vec![b'a'; 66_560]);
        assert_eq!(checksum.text(), "sOO8/Q==");
    }
}
