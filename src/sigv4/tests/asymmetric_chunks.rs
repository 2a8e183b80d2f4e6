//! Chunks signed with SigV4A: against the published test of AWS's own signer and its code, and what must not go through.

use aws_sigv4::sign::v4a;
use proptest::prelude::*;
use ring::{
    digest,
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};

use super::{
    chunks::{chain_with, client_body, decode, encode, framing, value},
    *,
};

const ECDSA: Option<Algorithm> = Some(Algorithm::EcdsaP256);
const HEAD: &str = "3044022000";

fn sha256(data: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, data).as_ref().to_vec()
}

/// The public key and the strings to sign of `tests/test_chunked_signing.c` of `awslabs/aws-c-auth`: what stands before
/// the signature of the chunk before, and what behind it.
const POINT: &str = "0418b7d04643359f6ec270dcbab8dce6d169d66ddc9778c75cfb08dfdb701637ab\
                     fa36b35e4fe67e3112261d2e17a956ef85b06e44712d2850bcd3c2161e9993f2";
const CHUNK: &str = "AWS4-ECDSA-P256-SHA256-PAYLOAD\n20130524T000000Z\n20130524/s3/aws4_request\n";
const TRAILER: &str = "AWS4-ECDSA-P256-SHA256-TRAILER\n20130524T000000Z\n20130524/s3/aws4_request\n";
const HASHES: [&str; 3] = [
    "\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
     bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a",
    "\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
     2edc986847e209b4016e141a6dc8716d3207350f416969382d431539bf292e4a",
    "\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\
     e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];
const TRAILER_HASH: &str = "\n83d8f190334fb741bc8daf73c891689d320bd8017756bc730c540021ed48001f";

#[test]
fn signs_what_aws_s_test_signs_and_verifies_what_aws_s_code_signs() {
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, ::hex::decode(POINT).unwrap());
    let (mut signs, mut verifies) = (chain_with(Algorithm::EcdsaP256, HEAD), chain_with(Algorithm::EcdsaP256, HEAD));
    let (mut ours, mut theirs) = (HEAD.to_owned(), HEAD.to_owned());
    let (whole, rest) = ("a".repeat(65_536), "a".repeat(1024));
    let lines = b"first:1st\nsecond:2nd\nthird:3rd\n";
    let chunks = [&*whole, &rest, ""].map(|data| Some(sha256(data.as_bytes())));
    let texts = HASHES.map(|hashes| (CHUNK, hashes)).into_iter().chain([(TRAILER, TRAILER_HASH)]);
    for (chunk, (before, behind)) in chunks.into_iter().chain([None]).zip(texts) {
        let signature = match &chunk {
            Some(hash) => signs.sign_chunk(hash),
            None => signs.sign_trailer(lines),
        };
        assert_eq!(signature.len(), 144);
        let digits = signature.trim_end_matches('*');
        let text = format!("{before}{ours}{behind}");
        public.verify(text.as_bytes(), &::hex::decode(digits).unwrap()).unwrap();
        ours = digits.to_owned();

        let key = v4a::generate_signing_key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        theirs = v4a::calculate_signature(key, format!("{before}{theirs}{behind}").as_bytes());
        let wire = format!("{theirs:*<144}");
        assert!(match &chunk {
            Some(hash) => verifies.verify_chunk(hash, wire.as_bytes()),
            None => verifies.verify_trailer(lines, wire.as_bytes()),
        });
    }
}

/// The request of the same file's integration test: one byte and a checksum, with `Content-Length: 535`.
#[test]
fn the_length_is_that_of_aws_s_example() {
    let framing = framing(1, ECDSA, true);
    assert_eq!(Encoder::length(&framing, "wdBDMA==".len()), 535);
    assert_eq!(encode(b"a", &framing, Some("wdBDMA=="), 1, chain_with(Algorithm::EcdsaP256, HEAD)).len(), 535);
}

#[test]
fn a_signature_is_taken_in_one_form_alone() {
    let hash = sha256(b"data");
    // As often as it takes to have one that is filled up: three in four are.
    let signature = std::iter::repeat_with(|| chain_with(Algorithm::EcdsaP256, HEAD).sign_chunk(&hash))
        .find(|signature| signature.ends_with("**"))
        .unwrap();
    let digits = signature.trim_end_matches('*');
    let upper = digits.to_uppercase();
    for (wire, right) in [
        (signature.clone(), true),
        (digits.to_owned(), false),
        (format!("{signature}*"), false),
        (format!("{signature}**"), false),
        (format!("{digits:*>144}"), false),
        (format!("{digits:*^144}"), false),
        (format!("{digits:0<144}"), false),
        (format!("{digits: <144}"), false),
        (format!("{upper:*<144}"), false),
        ("*".repeat(144), false),
        ("0".repeat(144), false),
        (String::new(), false),
    ] {
        let is_taken = chain_with(Algorithm::EcdsaP256, HEAD).verify_chunk(&hash, wire.as_bytes());
        assert_eq!(is_taken, right, "{wire}");
    }
    // Of another place, another key's kind, and with its filling where HMAC has none.
    assert!(!chain_with(Algorithm::EcdsaP256, "3045").verify_chunk(&hash, signature.as_bytes()));
    assert!(!chain_with(Algorithm::EcdsaP256, HEAD).verify_trailer(b"data", signature.as_bytes()));
    let hmac = chain_with(Algorithm::HmacSha256, HEAD).sign_chunk(&hash);
    assert!(!chain_with(Algorithm::EcdsaP256, HEAD).verify_chunk(&hash, format!("{hmac:*<144}").as_bytes()));
    assert!(!chain_with(Algorithm::HmacSha256, HEAD).verify_chunk(&hash, format!("{hmac:*<144}").as_bytes()));
    assert!(chain_with(Algorithm::HmacSha256, HEAD).verify_chunk(&hash, hmac.as_bytes()));
}

#[test]
fn chunks_are_good_for_their_place_alone() {
    let (a, b) = (&[b'a'; 8192][..], &[b'b'; 8192][..]);
    let length = framing(2 * 8192, ECDSA, true);
    let good = String::from_utf8(client_body(&[a, b], ECDSA, Some("AAAA"))).unwrap();
    assert_eq!(decode(good.as_bytes(), &length, 999), Ok(([a, b].concat(), Some("AAAA".to_owned()))));
    let lines: Vec<&str> = good.split_inclusive("\r\n").collect();
    let at = |order: &[usize]| order.iter().map(|&index| lines[index]).collect::<String>();
    let hmac = String::from_utf8(client_body(&[a, b], Some(Algorithm::HmacSha256), Some("AAAA"))).unwrap();
    for (body, error) in [
        (at(&[2, 3, 0, 1, 4, 5, 6, 7]), ChunkError::Signature), // swapped
        (at(&[0, 1, 0, 1, 4, 5, 6, 7]), ChunkError::Signature), // replayed
        (at(&[0, 3, 2, 1, 4, 5, 6, 7]), ChunkError::Signature), // another's data
        (at(&[0, 1, 2, 3, 4, 5, 7]), ChunkError::Trailer),      // no signature of the trailer
        (good.replace("AAAA", "BBBB"), ChunkError::Signature),
        (good.replacen("\r\n", "*\r\n", 1), ChunkError::Header),
        (hmac, ChunkError::Header),
    ] {
        assert_eq!(decode(body.as_bytes(), &length, 999), Err(error), "{body}");
    }
}

/// Each costs the gateway a verification, and the client, who may sign anything, next to nothing.
#[test]
fn a_chunk_below_s3_s_least_is_refused_unless_it_is_the_last() {
    let body = |sizes: &[usize]| {
        let chunks: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![b'x'; size]).collect();
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let body = client_body(&chunks, ECDSA, None);
        decode(&body, &framing(sizes.iter().sum(), ECDSA, false), 5000).map(|(data, _)| data.len())
    };
    assert_eq!(body(&[]), Ok(0));
    assert_eq!(body(&[1]), Ok(1));
    assert_eq!(body(&[8192, 8192, 1]), Ok(16_385));
    assert_eq!(body(&[8191, 1]), Err(ChunkError::Short));
    assert_eq!(body(&[8192, 1, 8192]), Err(ChunkError::Short));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// A byte that was changed on the way is told, unless it says the same.
    #[test]
    fn any_changed_byte_is_caught(
        last in prop::collection::vec(any::<u8>(), 1..40), is_first in any::<bool>(),
        trailer in value(), at: prop::sample::Index, from_end in any::<bool>(), bit in 0..8_u8,
    ) {
        let first = [7; 8192];
        let chunks = if is_first { vec![&last[..]] } else { vec![&first[..], &last[..]] };
        let data = chunks.concat();
        let framing = framing(data.len(), ECDSA, trailer.is_some());
        let mut body = client_body(&chunks, ECDSA, trailer.as_deref());
        prop_assert_eq!(decode(&body, &framing, 1100), Ok((data.clone(), trailer.clone())));
        // In the middle is the bulk of the data: more is at stake around it.
        let at = at.index(body.len().min(400));
        let at = if from_end { body.len() - 1 - at } else { at };
        let before = body[at];
        body[at] ^= 1 << bit;
        let same = body[at].eq_ignore_ascii_case(&before);
        if let Ok(read) = decode(&body, &framing, 1100) {
            prop_assert!(same && read == (data, trailer));
        }
    }
}
