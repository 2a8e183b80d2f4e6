//! aws-chunked bodies: AWS's own examples, and what an attacker with or without a key may make of such a body.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::sigv4::date::Moment;

const CHECKSUM: &str = "x-amz-checksum-crc32c";
const HMAC: Option<Algorithm> = Some(Algorithm::HmacSha256);

/// A chain as in AWS's examples, behind a head with this signature.
fn chain(seed: &str) -> Chain {
    chain_with(Algorithm::HmacSha256, seed)
}

pub(super) fn chain_with(algorithm: Algorithm, seed: &str) -> Chain {
    let at = Moment::parse_iso_basic(b"20130524T000000Z").unwrap();
    let scope = match algorithm {
        Algorithm::EcdsaP256 => Scope::asymmetric_at(at.at(), "us-east-1", "s3"),
        _ => Scope::at(at.at(), "us-east-1", "s3"),
    };
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    Chain::new(SigningKey::of("AKIAIOSFODNN7EXAMPLE", &secret, scope), at, seed)
}

pub(super) fn framing(decoded_length: usize, signed: Option<Algorithm>, trailer: bool) -> Framing {
    Framing { signed, decoded_length: decoded_length as u64, trailer: trailer.then_some(CHECKSUM) }
}

/// What a gateway makes of `body`, which arrives in pieces of this size.
pub(super) fn decode(body: &[u8], framing: &Framing, piece: usize) -> Result<(Vec<u8>, Option<String>), ChunkError> {
    let chain = framing.signed.map(|algorithm| chain_with(algorithm, &"0".repeat(64)));
    let mut decoder = Decoder::new(framing.clone(), chain);
    decode_with(&mut decoder, body, piece)
}

fn decode_with(decoder: &mut Decoder, body: &[u8], piece: usize) -> Result<(Vec<u8>, Option<String>), ChunkError> {
    let (mut data, mut trailer) = (Vec::new(), None);
    for piece in body.chunks(piece) {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(piece) = decoder.next(&mut input)? {
            match piece {
                Piece::Data(more) => data.extend_from_slice(&more),
                Piece::End(value) => trailer = value,
            }
        }
        assert!(input.is_empty());
    }
    decoder.finish().map(|()| (data, trailer))
}

pub(super) fn encode(data: &[u8], framing: &Framing, trailer: Option<&str>, piece: usize, chain: Chain) -> Vec<u8> {
    let (mut encoder, mut body) = (Encoder::new(framing, chain), Vec::new());
    for piece in data.chunks(piece) {
        let mut input = Bytes::copy_from_slice(piece);
        while !input.is_empty() {
            body.extend(encoder.push(&mut input).unwrap_or_default());
        }
    }
    body.extend(encoder.finish(trailer));
    body
}

/// A body whose chunks have these data, signed as a client would.
pub(super) fn client_body(chunks: &[&[u8]], signed: Option<Algorithm>, trailer: Option<&str>) -> Vec<u8> {
    let mut chain = chain_with(signed.unwrap_or(Algorithm::HmacSha256), &"0".repeat(64));
    let mut body = Vec::new();
    for data in chunks.iter().chain([&&b""[..]]) {
        body.extend(format!("{:x}", data.len()).bytes());
        if signed.is_some() {
            body.extend(b";chunk-signature=");
            body.extend(chain.sign_chunk(ring::digest::digest(&ring::digest::SHA256, data).as_ref()).bytes());
        }
        body.extend(b"\r\n");
        if !data.is_empty() {
            body.extend(*data);
            body.extend(b"\r\n");
        }
    }
    if let Some(value) = trailer {
        body.extend(format!("{CHECKSUM}:{value}\r\n").bytes());
        if signed.is_some() {
            body.extend(b"x-amz-trailer-signature:");
            body.extend(chain.sign_trailer(format!("{CHECKSUM}:{value}\n").as_bytes()).bytes());
            body.extend(b"\r\n");
        }
    }
    [body, b"\r\n".to_vec()].concat()
}

/// "Example: PUT Object" of sigv4-streaming.html, and that of sigv4-streaming-trailers.html: 66,560 times `a`.
#[test]
fn aws_s_examples_come_out_to_the_byte_and_go_in() {
    let data = vec![b'a'; 66_560];
    let plain = (
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        None,
        66_824,
    );
    let with_trailer = (
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        Some(("sOO8/Q==", "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435")),
        66_946,
    );
    for (seed, first, second, last, trailer, length) in [plain, with_trailer] {
        let lines = trailer.map_or(String::new(), |(value, signature)| {
            format!("{CHECKSUM}:{value}\r\nx-amz-trailer-signature:{signature}\r\n")
        });
        let (whole, rest) = ("a".repeat(65_536), "a".repeat(1024));
        let expected = format!(
            "10000;chunk-signature={first}\r\n{whole}\r\n400;chunk-signature={second}\r\n{rest}\r\n\
             0;chunk-signature={last}\r\n{lines}\r\n"
        );
        let (framing, value) = (framing(66_560, HMAC, trailer.is_some()), trailer.map(|(value, _)| value));
        assert!(encode(&data, &framing, value, 10_000, chain(seed)) == expected.as_bytes());
        assert_eq!((expected.len(), Encoder::length(&framing, value.map_or(0, str::len))), (length, length as u64));
        let mut decoder = Decoder::new(framing, Some(chain(seed)));
        let (read, found) = decode_with(&mut decoder, expected.as_bytes(), 777).unwrap();
        assert!(read == data);
        assert_eq!(found.as_deref(), value);
    }
}

#[test]
fn what_a_chunk_says_is_taken_strictly() {
    for (body, error) in [
        ("3\r\nabc\r\n0\r\n\r\n", None),
        ("1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", None),
        ("+3\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("-3\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        (" 3\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("3 \r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("3\t\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("03\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("0x3\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("3;name=value\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("3_0\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("\r\n", Some(ChunkError::Header)),
        ("é\r\n", Some(ChunkError::Header)),
        ("10000000000000003\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Header)),
        ("ffffffffffffffff\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Length)),
        ("1000000000000000\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Length)),
        ("4\r\nabcd\r\n0\r\n\r\n", Some(ChunkError::Length)),
        ("2\r\nab\r\n0\r\n\r\n", Some(ChunkError::Length)),
        ("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", Some(ChunkError::Length)),
        ("2\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Length)),
        ("3\nabc\n0\n\n", Some(ChunkError::Line)),
        ("3\r\nabc\n0\r\n\r\n", Some(ChunkError::Line)),
        ("3\r\r\nabc\r\n0\r\n\r\n", Some(ChunkError::Line)),
        ("3\rabc\r\n0\r\n\r\n", Some(ChunkError::Line)),
        (&"3".repeat(600), Some(ChunkError::Line)),
        ("3\r\nabc\r\n0\r\n", Some(ChunkError::Truncated)),
        ("3\r\nabc\r\n", Some(ChunkError::Truncated)),
        ("3\r\nab", Some(ChunkError::Truncated)),
        ("", Some(ChunkError::Truncated)),
        ("3\r\nabc\r\n0\r\n\r\n\r\n", Some(ChunkError::AfterEnd)),
        ("3\r\nabc\r\n0\r\n\r\n0\r\n\r\n", Some(ChunkError::AfterEnd)),
        ("3\r\nabc\r\n0\r\nx-amz-checksum-crc32c:AAAA\r\n\r\n", Some(ChunkError::AfterEnd)),
    ] {
        for piece in [1, 2, 1000] {
            let result = decode(body.as_bytes(), &framing(3, None, false), piece);
            match error {
                Some(error) => assert_eq!(result, Err(error), "{body:?}"),
                None => assert_eq!(result.as_ref().map(|(data, _)| &data[..]), Ok(&b"abc"[..]), "{body:?}"),
            }
        }
    }
}

#[test]
fn the_one_trailer_is_the_one_that_was_declared() {
    let lines = |lines: &str| format!("3\r\nabc\r\n0\r\n{lines}\r\n");
    let long = format!("{CHECKSUM}:{}\r\n", "A".repeat(600));
    for (trailer, error) in [
        ("x-amz-checksum-crc32c:AAAA\r\n", None),
        ("X-Amz-Checksum-Crc32c:AAAA\r\n", None),
        ("", Some(ChunkError::Trailer)),
        ("x-amz-checksum-crc32:AAAA\r\n", Some(ChunkError::Trailer)),
        ("x-amz-checksum-crc32c :AAAA\r\n", Some(ChunkError::Trailer)),
        ("x-amz-checksum-crc32c\r\n", Some(ChunkError::Trailer)),
        ("x-amz-meta-a:b\r\nx-amz-checksum-crc32c:AAAA\r\n", Some(ChunkError::Trailer)),
        ("x-amz-checksum-crc32c:AAAA\r\nx-amz-meta-a:b\r\n", Some(ChunkError::AfterEnd)),
        ("x-amz-checksum-crc32c:AAAA\r\nx-amz-checksum-crc32c:BBBB\r\n", Some(ChunkError::AfterEnd)),
        ("x-amz-checksum-crc32c:AAAA\r\nx-amz-trailer-signature:00\r\n", Some(ChunkError::AfterEnd)),
        (&long, Some(ChunkError::Line)),
        (&"x-amz-checksum-crc32c:A\r\n".repeat(100_000), Some(ChunkError::AfterEnd)),
    ] {
        let result = decode(lines(trailer).as_bytes(), &framing(3, None, true), 10);
        match error {
            Some(error) => assert_eq!(result, Err(error), "{trailer:.60}"),
            None => assert_eq!(result, Ok((b"abc".to_vec(), Some("AAAA".to_owned()))), "{trailer}"),
        }
    }
}

#[test]
fn signed_chunks_are_good_for_their_place_alone() {
    let (a, b) = (&b"first"[..], &b"other"[..]);
    let length = framing(10, HMAC, true);
    let good = client_body(&[a, b], HMAC, Some("AAAA"));
    assert_eq!(decode(&good, &length, 3), Ok((b"firstother".to_vec(), Some("AAAA".to_owned()))));
    let text = String::from_utf8(good).unwrap();
    let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
    let at = |order: &[usize]| order.iter().map(|&index| lines[index]).collect::<String>();
    let unsigned = String::from_utf8(client_body(&[a, b], None, Some("AAAA"))).unwrap();
    let other_trailer = text.replace("AAAA", "BBBB");
    for (body, error) in [
        (at(&[2, 3, 0, 1, 4, 5, 6, 7]), ChunkError::Signature), // swapped
        (at(&[0, 1, 0, 1, 4, 5, 6, 7]), ChunkError::Signature), // replayed
        (at(&[0, 3, 2, 1, 4, 5, 6, 7]), ChunkError::Signature), // another's data
        (at(&[0, 1, 4, 5, 6, 7]), ChunkError::Length),          // left out
        (at(&[0, 1, 2, 3, 4, 5, 7]), ChunkError::Trailer),      // no signature of the trailer
        (at(&[0, 1, 2, 3, 4, 6, 7]), ChunkError::Trailer),      // no trailer
        (at(&[0, 1, 2, 3, 4, 7]), ChunkError::Trailer),
        (other_trailer, ChunkError::Signature),
        (unsigned, ChunkError::Header),
        (text.replace("chunk-signature", "chunk-signaturf"), ChunkError::Header),
        (text.replace(";chunk", "; chunk"), ChunkError::Header),
        (text.replacen("\r\n", "0\r\n", 1), ChunkError::Header),
        (text.replacen("\r\n", ";a=b\r\n", 1), ChunkError::Header),
    ] {
        assert_eq!(decode(body.as_bytes(), &length, 7), Err(error), "{body}");
    }
    let upper = |line: &str| line.replace(|c: char| c.is_ascii_lowercase(), "A");
    let signature = lines[0].trim_end().split_once('=').unwrap().1;
    assert_eq!(decode(text.replace(signature, &upper(signature)).as_bytes(), &length, 7), Err(ChunkError::Signature));
}

/// As AWS's documentation has it, and minio-go.
#[test]
fn a_signed_trailer_may_end_with_a_line_feed_and_an_empty_line() {
    let framing = framing(3, HMAC, true);
    let body = String::from_utf8(client_body(&[b"abc"], HMAC, Some("AAAA"))).unwrap();
    let decode = |from: &str, to: &str| {
        assert!(body.contains(from));
        decode(body.replace(from, to).as_bytes(), &framing, 5)
    };
    assert_eq!(decode("AAAA\r\n", "AAAA\n\r\n"), Ok((b"abc".to_vec(), Some("AAAA".to_owned()))));
    assert_eq!(decode("AAAA\r\n", "AAAA\n"), Err(ChunkError::Line));
    assert_eq!(decode("AAAA\r\n", "AAAA\r\n\r\n"), Err(ChunkError::Trailer));
    assert_eq!(decode("AAAA\r\n", "AAAA\n\r\n\r\n"), Err(ChunkError::Trailer));
    assert_eq!(decode("AAAA\r\n", "AAAA\n\n"), Err(ChunkError::Line));
}

pub(super) fn value() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[A-Za-z0-9+/]{6}==")
}

fn signed() -> impl Strategy<Value = Option<Algorithm>> {
    prop::option::of(prop_oneof![Just(Algorithm::HmacSha256), Just(Algorithm::EcdsaP256)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_and_as_long_as_foretold(
        length in prop_oneof![0..100_usize, 65_000..66_000_usize, 130_000..132_000_usize],
        signed in signed(), trailer in value(), pieces in (1..70_000_usize, 1..70_000_usize),
    ) {
        let data: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let framing = framing(length, signed, trailer.is_some());
        let chain = chain_with(signed.unwrap_or(Algorithm::HmacSha256), &"0".repeat(64));
        let body = encode(&data, &framing, trailer.as_deref(), pieces.0, chain);
        prop_assert_eq!(body.len() as u64, Encoder::length(&framing, trailer.as_ref().map_or(0, String::len)));
        prop_assert_eq!(decode(&body, &framing, pieces.1), Ok((data, trailer)));
    }

    /// A byte that was changed on the way is told, unless it says the same: a digit of a size, or a name, in upper case.
    #[test]
    fn any_changed_byte_of_a_signed_body_is_caught(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
        trailer in value(), at: prop::sample::Index, bit in 0..8_u8,
    ) {
        let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let data = chunks.concat();
        let framing = framing(data.len(), HMAC, trailer.is_some());
        let mut body = client_body(&slices, HMAC, trailer.as_deref());
        prop_assert_eq!(decode(&body, &framing, 11), Ok((data.clone(), trailer.clone())));
        let at = at.index(body.len());
        let before = body[at];
        body[at] ^= 1 << bit;
        let same = body[at].eq_ignore_ascii_case(&before);
        if let Ok(read) = decode(&body, &framing, 11) {
            prop_assert!(same && read == (data, trailer));
        }
    }

    #[test]
    fn no_body_makes_it_stumble(body: Vec<u8>, text in "([0-9a-f]{0,3}(;chunk-signature=[0-9a-f]{0,70}[*]{0,150})?\r?\n?[a-z:=]{0,9}){0,5}", signed in signed(), piece in 1..9_usize) {
        for body in [&body[..], text.as_bytes()] {
            let _ = decode(body, &framing(10, signed, true), piece);
        }
    }
}
