//! aws-chunked uploads: each chunk verified as it arrives and made anew, the checksum behind them found right, and never
//! a whole object at the cloud of which anything was wrong.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use csg::model::Outcome;

use crate::harness::{Answer, Call, Chunks, S3, Site, Tls, skip, within_time};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const FORMS: [&str; 3] = [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER];

/// How an upload differs from the usual one.
struct Upload<'t> {
    form: &'t str,
    data: &'t [u8],
    /// The size of the client's chunks.
    size: usize,
    /// Headers beside the usual ones.
    more: &'t str,
}

impl<'t> Upload<'t> {
    fn new(form: &'t str, data: &'t [u8]) -> Self {
        Self { form, data, size: 8192, more: "" }
    }

    /// The line behind the last chunk.
    fn trailer(&self) -> Option<String> {
        self.form.ends_with("TRAILER").then(|| crc32(self.data))
    }

    /// The signed head; `length` is that of the whole body, if it is to be declared.
    fn head(&self, site: &Site, length: Option<usize>) -> String {
        let framing = length.map_or("+ Transfer-Encoding: chunked".to_owned(), |l| format!("+ Content-Length: {l}"));
        let trailer = if self.form.ends_with("TRAILER") { "X-Amz-Trailer: x-amz-checksum-crc32" } else { "" };
        let head = format!(
            "PUT /bucket/key HTTP/1.1
            Host: {S3}
            Content-Encoding: aws-chunked
            X-Amz-Content-Sha256: {}
            X-Amz-Decoded-Content-Length: {}
            {trailer}
            {}
            {framing}",
            self.form,
            self.data.len(),
            self.more
        );
        site.key.sign_with_body(&head, "").head
    }

    /// What signs the chunks behind `head`.
    fn chunks<'k>(&self, site: &'k Site, head: &str) -> Chunks<'k> {
        if self.form.contains("UNSIGNED") { Chunks::unsigned() } else { Chunks::after(&site.key, head) }
    }

    /// The whole request with its length declared, head and body.
    fn request(&self, site: &Site) -> (String, Vec<u8>) {
        // A head of the same date has the same length of body behind it.
        let trailer = self.trailer();
        let draft = self.head(site, Some(0));
        let length = self.chunks(site, &draft).body(self.data, self.size, trailer.as_deref()).len();
        let head = self.head(site, Some(length));
        let body = self.chunks(site, &head).body(self.data, self.size, trailer.as_deref());
        (head, body)
    }

    /// The same in HTTP's own chunks, as boto3 sends it; the body is the test's to spoil.
    fn in_http_chunks(&self, site: &Site) -> (String, Vec<u8>) {
        let head = self.head(site, None);
        let body = self.chunks(site, &head).body(self.data, self.size, self.trailer().as_deref());
        (head, body)
    }
}

/// The line of the trailer, computed by other code than the gateway's.
fn crc32(data: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    format!("x-amz-checksum-crc32:{}", STANDARD.encode(crc.sum().to_be_bytes()))
}

/// One HTTP chunk for all of `body`, and the last one.
fn http_chunks(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

/// Fails unless the cloud was sent this upload, whole and signed with the real key.
async fn assert_arrives(site: &Site, call: &mut Call, upload: &Upload<'_>) {
    let body = call.whole_body().await;
    site.real.verify(call, b"");
    let mut chunks = if upload.form.contains("UNSIGNED") { Chunks::unsigned() } else { Chunks::of(&site.real, call) };
    let opened = chunks.open(&body);
    assert!(opened.data == upload.data, "the same arrives");
    assert_eq!(opened.trailer, upload.trailer());
    let (last, whole) = opened.sizes.split_last().unwrap_or((&1, &[]));
    assert!(whole.iter().all(|size| *size == 65_536) && *last <= 65_536, "{:?}", opened.sizes);
    for name in ["x-amz-decoded-content-length", "x-amz-trailer", "content-encoding"] {
        assert_eq!(call.head.all(name).count(), usize::from(name != "x-amz-trailer" || upload.trailer().is_some()));
    }
}

/// Whatever of a call has reached the cloud, it was no whole request.
async fn assert_nothing_whole_arrived(site: &Site) {
    for mut call in site.cloud.arrived().await {
        assert!(!call.body().await.complete, "{:?}", call.head);
    }
}

fn assert_code(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!(answer.status(), status, "{what}: {}", answer.text());
    assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{what}: {}", answer.text());
}

async fn refused(site: &Site, request: &[u8], what: &str) -> Answer {
    let mut client = site.tunnel(S3).await;
    let _ = client.try_send(request).await;
    let answer = client.answer().await;
    assert!(matches!(answer.status(), 400 | 403), "{what}: {}", answer.text());
    answer
}

#[tokio::test]
async fn every_form_arrives_with_its_framing_made_anew() {
    let site = Site::start().await;
    let mut client = site.tunnel(S3).await;
    let data: Vec<u8> = (0..=250).collect::<Vec<u8>>().repeat(1000);
    for form in FORMS {
        for (length, size) in [(0, 1), (1, 1), (1000, 100), (65_536, 65_536), (70_000, 8192), (251_000, 131_072)] {
            let upload = Upload { size, ..Upload::new(form, &data[..length]) };
            let (head, body) = upload.request(&site);
            client.send([head.as_bytes(), &body].concat()).await;
            let mut call = site.cloud.call().await;
            assert!(call.head.header("content-length").is_some() && call.head.header("transfer-encoding").is_none());
            assert_arrives(&site, &mut call, &upload).await;
            call.ok().await;
            assert_eq!(client.answer().await.status(), 200, "{form} {length}");

            let (head, body) = upload.in_http_chunks(&site);
            client.send([head.as_bytes(), &http_chunks(&body)].concat()).await;
            let mut call = site.cloud.call().await;
            assert_eq!(call.head.header("transfer-encoding"), Some("chunked"));
            assert_arrives(&site, &mut call, &upload).await;
            call.ok().await;
            assert_eq!(client.answer().await.status(), 200, "{form} {length}");
        }
    }
    let records = site.records(FORMS.len() * 12).await;
    assert!(records.iter().all(|record| record.operation.as_deref() == Some("PutObject")));
}

/// A client's chunk may be as large as it likes: what is here of it goes on.
#[tokio::test]
async fn an_upload_goes_on_while_the_client_still_sends_its_first_chunk() {
    let site = Site::start().await;
    let data = vec![b'x'; 3_000_000];
    for form in FORMS {
        let upload = Upload { size: data.len(), ..Upload::new(form, &data) };
        let (head, body) = upload.request(&site);
        let mut client = site.tunnel(S3).await;
        client.send(head).await;
        client.send(&body[..500_000]).await;
        let mut call = site.cloud.call().await;
        let early = call.wire.bytes(300_000).await;
        client.send(&body[500_000..]).await;
        let length: usize = call.head.header("content-length").unwrap().parse().unwrap();
        let rest = call.wire.bytes(length - early.len()).await;
        let mut chunks = if form == UNSIGNED_TRAILER { Chunks::unsigned() } else { Chunks::of(&site.real, &call) };
        assert!(chunks.open(&[early, rest].concat()).data == data);
        call.keep_read().ok().await;
        assert_eq!(client.answer().await.status(), 200);
    }
}

/// Nobody with a place on the way, and nobody with a key, gets a body through of which anything is wrong.
#[tokio::test]
async fn a_body_that_was_tampered_with_never_arrives_whole() {
    let site = Site::start().await;
    let data: Vec<u8> = (0..=250).collect::<Vec<u8>>().repeat(600);
    for form in FORMS {
        let upload = Upload::new(form, &data);
        let (head, body) = upload.request(&site);
        for at in [10, 5_000, body.len() / 2, body.len() - 200] {
            let mut body = body.clone();
            body[at] ^= 0x40;
            let answer = refused(&site, &[head.as_bytes(), &body].concat(), &format!("{form} {at}")).await;
            let code = ["SignatureDoesNotMatch", "BadDigest", "InvalidRequest"]
                .into_iter()
                .find(|code| answer.text().contains(&format!("<Code>{code}</Code>")));
            assert!(code.is_some(), "{form} {at}: {}", answer.text());
        }
        let mut wrong = body.clone();
        wrong[5_000] ^= 1;
        let answer = refused(&site, &[head.as_bytes(), &wrong].concat(), form).await;
        if form == UNSIGNED_TRAILER {
            assert_code(&answer, 400, "BadDigest", form);
            assert!(answer.text().contains("The x-amz-checksum-crc32 you specified did not match"));
        } else {
            assert_code(&answer, 403, "SignatureDoesNotMatch", form);
        }
    }
    assert_nothing_whole_arrived(&site).await;
}

/// The attacker's list, on bodies in HTTP chunks, which bound nothing by themselves.
#[tokio::test]
async fn a_body_of_the_wrong_form_never_arrives_whole() {
    let site = Site::start().await;
    let data = vec![b'x'; 20_000];
    for form in FORMS {
        let upload = Upload::new(form, &data);
        let (head, body) = upload.in_http_chunks(&site);
        let text = String::from_utf8(body.clone()).unwrap();
        let lines: Vec<&str> = text.split_inclusive("\r\n").collect();
        // 2000⏎ data⏎ 2000⏎ data⏎ e20⏎ data⏎ 0⏎ …
        let swap = |from: usize, to: usize| {
            let mut lines = lines.clone();
            lines.swap(from, to);
            lines.concat()
        };
        let other = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        };
        let mut cases = vec![
            ("cut", text[..text.len() / 2].to_owned()),
            ("without its end", lines[..6].concat()),
            ("without its last line", text[..text.len() - 2].to_owned()),
            ("with more behind it", format!("{text}x")),
            ("twice", format!("{text}{text}")),
            ("with an empty line behind it", format!("{text}\r\n")),
            ("with a chunk left out", lines[2..].concat()),
            ("with a chunk twice", [&lines[..2], &lines[..]].concat().concat()),
            ("with a chunk of 2^60 bytes", other("2000", "1000000000000000")),
            ("with a chunk of 2^64 bytes", other("2000", "10000000000000000")),
            ("with a signed size", other("2000", "+2000")),
            ("with a size in other words", other("2000", "0x2000")),
            ("with a long size", other("2000", "00002000")),
            ("with a long line", other("2000", &format!("2000{}", " ".repeat(1_000)))),
            ("with a line without an end", "2".repeat(1_000_000)),
            ("with many trailers", other("\r\n0", &format!("\r\n0{}", "\r\nx-amz-meta-a:b".repeat(50_000)))),
            ("with a long trailer", format!("{}x-amz-meta-a:{}", lines[..7].concat(), "b".repeat(1_000_000))),
            ("with another trailer", other("\r\n0", "\r\n0\r\nx-amz-meta-a:b")),
            ("empty", String::new()),
            ("not chunked", "x".repeat(20_000)),
        ];
        if form != UNSIGNED_TRAILER {
            cases.push(("with its signatures in another order", swap(0, 2)));
            cases.push((
                "with no signatures",
                Chunks::unsigned()
                    .body(&data, 8192, upload.trailer().as_deref())
                    .iter()
                    .map(|&byte| char::from(byte))
                    .collect(),
            ));
            // A signature that is right, of another request.
            let (_, other) = Upload { more: "X-Amz-Meta-Other: 1", ..Upload::new(form, &data) }.in_http_chunks(&site);
            cases.push(("of another request", String::from_utf8(other).unwrap()));
        }
        if form.ends_with("TRAILER") {
            let wrong = crc32(b"something else");
            cases.push(("with a wrong checksum", other(&crc32(&data), &wrong)));
            cases.push(("with a wrong checksum, well signed", {
                let mut chunks = upload.chunks(&site, &head);
                let body = chunks.body(&data, 8192, Some(&wrong));
                String::from_utf8(body).unwrap()
            }));
            cases
                .push(("with a checksum under another name", other("x-amz-checksum-crc32:", "x-amz-checksum-crc32c:")));
            cases.push(("with its trailer twice", other(&crc32(&data), &format!("{0}\r\n{0}", crc32(&data)))));
            cases.push(("without its trailer", other(&format!("{}\r\n", crc32(&data)), "")));
        }
        for (what, body) in cases {
            let what = format!("{form} {what}");
            refused(&site, &[head.as_bytes(), &http_chunks(body.as_bytes())].concat(), &what).await;
        }
    }
    assert_nothing_whole_arrived(&site).await;
}

/// Fewer or more bytes than the head declares, in chunks that are each right.
#[tokio::test]
async fn a_wrong_decoded_length_lets_nothing_through() {
    let site = Site::start().await;
    for form in FORMS {
        for (declared, data) in [(9, "hello world"), (12, "hello world"), (0, "hello world"), (11, "")] {
            let lie = vec![b'x'; declared];
            let head = Upload::new(form, &lie).head(&site, None);
            let upload = Upload::new(form, data.as_bytes());
            let body = upload.chunks(&site, &head).body(data.as_bytes(), 8192, upload.trailer().as_deref());
            let request = [head.as_bytes(), &http_chunks(&body)].concat();
            let answer = refused(&site, &request, form).await;
            assert!(answer.text().contains("x-amz-decoded-content-length"), "{}", answer.text());
        }
    }
    assert_nothing_whole_arrived(&site).await;
}

/// Without a word that can be checked, the body is not even asked for.
#[tokio::test]
async fn a_head_that_does_not_say_what_follows_is_refused() {
    let site = Site::start().await;
    for (form, headers) in [
        (SIGNED, ""),
        (SIGNED, "X-Amz-Decoded-Content-Length: +5"),
        (SIGNED, "X-Amz-Decoded-Content-Length: 5 5"),
        (SIGNED, "X-Amz-Decoded-Content-Length: 0x5"),
        (SIGNED, "X-Amz-Decoded-Content-Length: 99999999999999999999"),
        (SIGNED, "X-Amz-Decoded-Content-Length: 9999999999999999999"),
        (SIGNED, "X-Amz-Decoded-Content-Length: 5\nX-Amz-Decoded-Content-Length: 5"),
        (SIGNED, "X-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-checksum-crc32"),
        (SIGNED_TRAILER, "X-Amz-Decoded-Content-Length: 5"),
        (SIGNED_TRAILER, "X-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-checksum-crc16"),
        (UNSIGNED_TRAILER, "X-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-checksum-crc16"),
        (UNSIGNED_TRAILER, "X-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-meta-a"),
        (UNSIGNED_TRAILER, "X-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-trailer-signature"),
        (UNSIGNED_TRAILER, "X-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-checksum-crc32,x-amz-checksum-sha1"),
        (
            UNSIGNED_TRAILER,
            "X-Amz-Decoded-Content-Length: 5\nX-Amz-Trailer: x-amz-checksum-crc32\nX-Amz-Trailer: x-amz-checksum-sha1",
        ),
    ] {
        let mut client = site.tunnel(S3).await;
        let head = format!(
            "PUT /bucket/key HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: {form}\n{headers}\n+ Content-Length: 9\n\
             Expect: 100-continue"
        );
        client.send(site.key.sign_with_body(&head, "").head).await;
        let answer = client.answer().await;
        assert_code(&answer, 400, "InvalidRequest", &format!("{form} {headers}"));
    }
    assert!(site.cloud.is_quiet().await);
}

/// All checksums that S3 knows; the values are for "hello world", from other tools.
#[tokio::test]
async fn every_checksum_is_verified() {
    let site = Site::start().await;
    for (name, value) in [
        ("crc32", "DUoRhQ=="),
        ("crc32c", "yZRlqg=="),
        ("crc64nvme", "jSnVw/bqjr4="),
        ("md5", "XrY7u+Ae7tCTyyK7j1rNww=="),
        ("sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
        ("sha256", "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
        ("sha512", "MJ7MSJwS1utMxA9QyQLytNDtd+5RGnx6m808qG1M2G+YndNbxf9JlnDaNCVbRbDP2DDoH2Bdz33FVC6TrpzXbw=="),
        ("xxhash128", "340J6T+HSQCpm4d1zBW2xw=="),
        ("xxhash3", "1Eex6kDmmIs="),
        ("xxhash64", "RatnNLIeaWg="),
    ] {
        for right in [true, false] {
            let head = format!(
                "PUT /bucket/key HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: {UNSIGNED_TRAILER}
                X-Amz-Decoded-Content-Length: 11\nX-Amz-Trailer: x-amz-checksum-{name}\n+ Transfer-Encoding: chunked"
            );
            let data: &[u8] = if right { b"hello world" } else { b"hello_world" };
            let body = Chunks::unsigned().body(data, 5, Some(&format!("x-amz-checksum-{name}:{value}")));
            let request = [site.key.sign_with_body(&head, "").head.as_bytes(), &http_chunks(&body)].concat();
            if right {
                let mut client = site.tunnel(S3).await;
                client.send(request).await;
                let mut call = site.cloud.call().await;
                let opened = Chunks::unsigned().open(&call.whole_body().await);
                assert_eq!(opened.data, data);
                assert_eq!(opened.trailer, Some(format!("x-amz-checksum-{name}:{value}")));
                call.ok().await;
                assert_eq!(client.answer().await.status(), 200);
            } else {
                assert_code(&refused(&site, &request, name).await, 400, "BadDigest", name);
            }
        }
    }
    assert_nothing_whole_arrived(&site).await;
}

/// What minio-go sends: no `Content-Encoding`, and the trailer ends as in AWS's documentation.
#[tokio::test]
async fn what_other_clients_write_arrives_as_it_should() {
    let site = Site::start().await;
    let head = format!(
        "PUT /bucket/key HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: {SIGNED_TRAILER}
        X-Amz-Decoded-Content-Length: 11\nX-Amz-Trailer: x-amz-checksum-crc32\n+ Transfer-Encoding: chunked"
    );
    let head = site.key.sign_with_body(&head, "").head;
    let line = crc32(b"hello world");
    let body = Chunks::after(&site.key, &head).body(b"hello world", 65_536, Some(&line));
    let body = String::from_utf8(body).unwrap().replace(&format!("{line}\r\n"), &format!("{line}\n\r\n"));
    let mut client = site.tunnel(S3).await;
    client.send([head.as_bytes(), &http_chunks(body.as_bytes())].concat()).await;
    let mut call = site.cloud.call().await;
    let body = call.whole_body().await;
    let opened = Chunks::of(&site.real, &call).open(&body);
    assert_eq!((&opened.data[..], opened.trailer), (&b"hello world"[..], Some(line)));
}

/// A checksum that is given up front is for the cloud to check.
#[tokio::test]
async fn a_checksum_up_front_goes_on_as_it_is() {
    let site = Site::start().await;
    let upload = Upload { more: "X-Amz-Checksum-Sha256: AAAA", ..Upload::new(SIGNED, b"hello world") };
    let (head, body) = upload.request(&site);
    let mut client = site.tunnel(S3).await;
    client.send([head.as_bytes(), &body].concat()).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.head.header("x-amz-checksum-sha256"), Some("AAAA"));
    assert_arrives(&site, &mut call, &upload).await;
}

/// A byte now and then, in the middle of a line, of data, and behind the last chunk.
#[tokio::test]
async fn a_body_that_stalls_is_given_up() {
    let site = Site::start().await;
    let data = vec![b'x'; 200_000];
    for form in FORMS {
        let (head, body) = Upload::new(form, &data).request(&site);
        for stop in [2, 100_000, body.len() - 1] {
            let mut client: Tls = site.tunnel(S3).await;
            client.send(&head).await;
            client.send(&body[..stop]).await;
            let mut call = site.cloud.call().await;
            if stop > 2 {
                call.wire.bytes(65_536).await;
            }
            skip(Duration::from_secs(61)).await;
            let answer = client.answer().await;
            assert_eq!(answer.status(), 400, "{form} {stop}");
            assert!(answer.text().contains("nothing moved for too long"), "{}", answer.text());
            assert!(!call.body().await.complete);
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_whole_behind() {
    let site = Site::start().await;
    let data = vec![b'x'; 100_000];
    let (head, body) = Upload::new(UNSIGNED_TRAILER, &data).request(&site);
    let mut client = site.tunnel(S3).await;
    client.send(&head).await;
    client.send(&body[..body.len() - 2]).await;
    let mut call = site.cloud.call().await;
    drop(client);
    assert!(!call.body().await.complete);
    assert_eq!(site.record().await.outcome, Outcome::Cut);
}

/// The whole way, in both directions of pressure: nothing is lost, nothing is kept.
#[tokio::test]
async fn a_large_upload_of_tiny_chunks_arrives() {
    let site = Site::start().await;
    let data = (0..=250).collect::<Vec<u8>>().repeat(40_000);
    let upload = Upload { size: 1000, ..Upload::new(SIGNED_TRAILER, &data) };
    let (head, body) = upload.request(&site);
    let mut client = site.tunnel(S3).await;
    let there = async {
        client.send(head).await;
        client.push(&body).await.unwrap();
        assert_eq!(client.answer().await.status(), 200);
    };
    let cloud = async {
        let mut call = site.cloud.call().await;
        assert_arrives(&site, &mut call, &upload).await;
        call.ok().await;
    };
    within_time(Duration::from_mins(2), "the upload", Box::pin(async { tokio::join!(there, cloud) })).await;
}
