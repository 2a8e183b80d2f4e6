//! Presigned URLs: SigV4 for any service, SigV2 for S3. What is signed in the query arrives signed in the headers.

use std::time::Duration;

use csg::clock::Clock;

use crate::harness::{Answer, DYNAMODB, Key, LAMBDA, Presigning, S3, SNS, Site};

/// Sends a request with this target, and gives what arrived at the cloud: its request line.
async fn arrives(site: &Site, host: &str, method: &str, target: &str, headers: &str, body: &str) -> String {
    let mut client = site.tunnel(host).await;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}{length}\r\n{body}")).await;
    let mut call = site.cloud.call().await;
    assert_eq!(call.whole_body().await, body.as_bytes());
    site.real.verify(&call, body.as_bytes());
    assert!(!format!("{:?}", call.head).contains(&site.key.id), "{:?}", call.head);
    for gone in ["X-Amz-Signature", "X-Amz-Credential", "X-Amz-Date=", "AWSAccessKeyId", "Signature=", "Expires"] {
        assert!(!call.head.first.contains(gone), "{}", call.head.first);
    }
    let mut shown = format!("{}\n", call.head.first);
    for name in ["x-amz-content-sha256", "x-amz-acl", "x-amz-checksum-crc32", "x-amz-meta-a", "content-type"] {
        if let Some(value) = call.head.header(name) {
            shown.extend([name, ": ", value, "\n"]);
        }
    }
    call.answer("HTTP/1.1 200 OK\nContent-Length: 0\n\n").await;
    assert_eq!(client.answer().await.status(), 200);
    shown
}

/// What comes back for a request that must not reach the cloud.
async fn refused(site: &Site, host: &str, method: &str, target: &str, headers: &str) -> Answer {
    let mut client = site.tunnel(host).await;
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")).await;
    let answer = client.answer().await;
    assert!(site.cloud.is_quiet().await, "it reached the cloud: {target}");
    answer
}

fn assert_says(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert!(answer.text().contains(words), "{words:?} is not in {}", answer.text());
}

#[tokio::test]
async fn what_is_signed_in_the_query_arrives_signed_in_the_headers() {
    let site = Site::start().await;
    let unsigned = "x-amz-content-sha256: UNSIGNED-PAYLOAD\n";
    for (method, target, headers, body, arrived) in [
        ("GET", "/bucket/key", "", "", String::from("GET /bucket/key HTTP/1.1\n")),
        ("HEAD", "/bucket/a%20b//../%C3%A9", "", "", "HEAD /bucket/a%20b//../%C3%A9 HTTP/1.1\n".into()),
        // In their order and as they are written.
        (
            "GET",
            "/bucket/key?x-id=GetObject&response-content-disposition=a%20%2b%2B&versionId=a~b&",
            "",
            "",
            "GET /bucket/key?x-id=GetObject&response-content-disposition=a%20%2b%2B&versionId=a~b& HTTP/1.1\n".into(),
        ),
        ("PUT", "/bucket/key", "Content-Type: text/plain\r\n", "a body", "PUT /bucket/key HTTP/1.1\n".into()),
    ] {
        let url = site.key.presign(method, S3, target, &[], Presigning::S3);
        let shown = arrives(&site, S3, method, &url, headers, body).await;
        let kind = if headers.is_empty() { "" } else { "content-type: text/plain\n" };
        // A parameter list that ended with an ampersand has one less: the signature stood behind it.
        assert_eq!(shown.replace("a~b HTTP", "a~b& HTTP"), format!("{arrived}{unsigned}{kind}"));
    }
}

/// S3 reads these parameters as the headers of their names, but not where the signature is in the headers.
#[tokio::test]
async fn headers_that_were_signed_as_parameters_arrive_as_headers() {
    let site = Site::start().await;
    let target = "/bucket/key?x-amz-acl=private&X-Amz-Checksum-Crc32=AAAAAA%3D%3D&x-amz-meta-a=b+c\
                  &X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-id=PutObject";
    let url = site.key.presign("PUT", S3, target, &[], Presigning::S3);
    assert_eq!(
        arrives(&site, S3, "PUT", &url, "", "body").await,
        "PUT /bucket/key?x-id=PutObject HTTP/1.1\n\
         x-amz-content-sha256: UNSIGNED-PAYLOAD\nx-amz-acl: private\nx-amz-checksum-crc32: AAAAAA==\nx-amz-meta-a: b c\n"
    );
    // What says two things at once is not for us to choose from.
    let twice = site.key.presign("PUT", S3, "/b/k?x-amz-acl=private&X-Amz-Acl=public-read", &[], Presigning::S3);
    assert_says(&refused(&site, S3, "PUT", &twice, "").await, 400, "contradicts");
    let signed = [("x-amz-acl", "public-read")];
    let both = site.key.presign("PUT", S3, "/b/k?x-amz-acl=private", &signed, Presigning::S3);
    assert_says(&refused(&site, S3, "PUT", &both, "X-Amz-Acl: public-read\r\n").await, 400, "contradicts");
    let line = site.key.presign("PUT", S3, "/b/k?x-amz-meta-a=b%0D%0AX-Evil:%201", &[], Presigning::S3);
    assert_says(&refused(&site, S3, "PUT", &line, "").await, 400, "can't hold");
}

/// A copy that is asked for by a parameter is a copy: the call is named after what goes on.
#[tokio::test]
async fn a_presigned_call_is_named_by_what_the_cloud_will_read() {
    let site = Site::start().await;
    for (target, operation) in
        [("/bucket/key", "PutObject"), ("/bucket/key?x-amz-copy-source=%2Fother%2Fkey", "CopyObject")]
    {
        let url = site.key.presign("PUT", S3, target, &[], Presigning::S3);
        arrives(&site, S3, "PUT", &url, "", "").await;
        let reader = site.audit.reader();
        reader.flush(Duration::from_secs(5));
        let record = reader.calls(&csg::audit::Filter::default(), None, 1).unwrap().items.remove(0).1;
        assert_eq!(record.operation.as_deref(), Some(operation));
        assert_eq!(record.request.unwrap().as_str(), "request-1");
    }
}

/// Whoever presigned the URL does not choose whose bucket it may be.
#[tokio::test]
async fn a_parameter_does_not_outdo_the_environments_account() {
    let site = Site::start().await;
    site.publish([site.in_account("111111111111")]);
    for target in [
        "/bucket/key?x-amz-expected-bucket-owner=222222222222",
        "/bucket/key?X-Amz-Expected-Bucket-Owner=222222222222",
        "/bucket/key?x-amz-copy-source=%2Fother%2Fkey&x-amz-source-expected-bucket-owner=222222222222",
        "/bucket/key?x-amz-copy-source=arn%3Aaws%3As3%3Aus-east-1%3A222222222222%3Aaccesspoint%2Fp%2Fobject%2Fk",
    ] {
        let url = site.key.presign("PUT", S3, target, &[], Presigning::S3);
        let answer = refused(&site, S3, "PUT", &url, "").await;
        assert_says(&answer, 403, "Account '222222222222' is not allowed by this access request");
    }
    // Signed with a header of that name that the client sends along.
    for (name, value) in [
        ("x-amz-expected-bucket-owner", "222222222222"),
        ("x-amz-copy-source", "arn:aws:s3:us-east-1:222222222222:accesspoint/p/object/k"),
    ] {
        let url = site.key.presign("PUT", S3, "/bucket/key", &[(name, value)], Presigning::S3);
        let answer = refused(&site, S3, "PUT", &url, &format!("{name}: {value}\r\n")).await;
        assert_says(&answer, 403, "Account '222222222222' is not allowed by this access request");
    }
    let url = site.key.presign("GET", S3, "/bucket/key", &[], Presigning::S3);
    let mut client = site.tunnel(S3).await;
    client.send(format!("GET {url} HTTP/1.1\r\nHost: {S3}\r\n\r\n")).await;
    let call = site.cloud.call().await;
    assert_eq!(call.head.header("x-amz-expected-bucket-owner"), Some("111111111111"));
    site.real.verify(&call, b"");
}

#[tokio::test]
async fn elsewhere_than_with_s3_the_body_is_signed() {
    let site = Site::start().await;
    let how = |service| Presigning { service, ..Presigning::S3 };
    let publish = "/?Action=Publish&Version=2010-03-31&Message=a%20b";
    let url = site.key.presign("GET", SNS, publish, &[], how("sns"));
    assert_eq!(arrives(&site, SNS, "GET", &url, "", "").await, format!("GET {publish} HTTP/1.1\n"));
    let target = "/2015-03-31/functions/f%20g/configuration?Qualifier=a%2Fb";
    let url = site.key.presign("GET", LAMBDA, target, &[], how("lambda"));
    assert_eq!(arrives(&site, LAMBDA, "GET", &url, "", "").await, format!("GET {target} HTTP/1.1\n"));
    // With a body that was not there when it was signed; and where it is said that none was signed.
    let body = "Content-Length: 1\r\n\r\nx";
    let url = site.key.presign("POST", LAMBDA, "/2015-03-31/functions/f/invocations", &[], how("lambda"));
    assert_says(&refused(&site, LAMBDA, "POST", &url, body).await, 403, "does not match");
    let target = "/2015-03-31/functions/?X-Amz-Content-Sha256=UNSIGNED-PAYLOAD";
    let url = site.key.presign("GET", LAMBDA, target, &[], how("lambda"));
    assert_eq!(refused(&site, LAMBDA, "GET", &url, "").await.status(), 403);
}

#[tokio::test]
async fn a_presigned_url_ends_by_itself_and_with_its_access() {
    let site = Site::start().await;
    let (now, hour) = (Clock::system().now(), Duration::from_hours(1));
    let week = Presigning { expires: 7 * 24 * hour, ..Presigning::S3 };
    let at = |at| Key { at, ..site.key.clone() };
    // The quarter of an hour is for signatures in the header.
    let old = at(now.minus(6 * 24 * hour)).presign("GET", S3, "/bucket/key", &[], week);
    arrives(&site, S3, "GET", &old, "", "").await;
    let ahead = at(now.plus(Duration::from_mins(14))).presign("GET", S3, "/bucket/key", &[], week);
    arrives(&site, S3, "GET", &ahead, "", "").await;
    let future = at(now.plus(Duration::from_mins(16))).presign("GET", S3, "/bucket/key", &[], week);
    assert_says(&refused(&site, S3, "GET", &future, "").await, 403, "Signature not current");
    for span in [Duration::from_mins(1), Duration::from_hours(100)] {
        let over = at(now.minus(span)).presign("GET", S3, "/bucket/key", &[], Presigning::S3);
        assert_says(&refused(&site, S3, "GET", &over, "").await, 403, "Request has expired");
    }
    let legacy = |ends| site.key.presign_legacy("GET", "/bucket/key", "", "", &[], ends);
    let (good, over) = (legacy(now.seconds() + 60), legacy(now.seconds() - 1));
    arrives(&site, S3, "GET", &good, "", "").await;
    assert_says(&refused(&site, S3, "GET", &over, "").await, 403, "Request has expired");

    site.revoke();
    for url in [old, ahead, good] {
        assert_says(&refused(&site, S3, "GET", &url, "").await, 403, "Client is not Active");
    }
}

#[tokio::test]
async fn a_presigned_url_that_was_changed_is_refused() {
    let site = Site::start().await;
    let url = site.key.presign("GET", S3, "/bucket/key?versionId=1", &[], Presigning::S3);
    let ends = Clock::system().now().seconds() + 60;
    let legacy = site.key.presign_legacy("GET", "/bucket/key?versionId=1", "", "?versionId=1", &[], ends);
    let wrong = "The request signature we calculated does not match";
    for url in [&url, &legacy] {
        arrives(&site, S3, "GET", url, "", "").await;
        for (from, to) in [("/bucket/key", "/bucket/other"), ("versionId=1", "versionId=2"), ("versionId=1&", "")] {
            assert_says(&refused(&site, S3, "GET", &url.replacen(from, to, 1), "").await, 403, wrong);
        }
        assert_says(&refused(&site, S3, "DELETE", url, "").await, 403, wrong);
        let other = Key { id: "CSGAUNKNOWNUNKNOWN01".to_owned(), ..site.key.clone() };
        let unknown = url.replace(&site.key.id, &other.id);
        assert_says(&refused(&site, S3, "GET", &unknown, "").await, 403, "Client is unknown");
        // No key that is given out here has a session token.
        let token = format!("{url}&{}=t", if url == &legacy { "x-amz-security-token" } else { "X-Amz-Security-Token" });
        assert_says(&refused(&site, S3, "GET", &token, "").await, 403, "Client is unknown");
    }
    for (from, to) in [("X-Amz-Expires=60", "X-Amz-Expires=61"), ("us-east-1%2Fs3", "us-east-1%2Fs4")] {
        assert_eq!(refused(&site, S3, "GET", &url.replacen(from, to, 1), "").await.status(), 403, "{from}");
    }
    assert_says(&refused(&site, S3, "GET", &legacy.replace(&ends.to_string(), "9999999999"), "").await, 403, wrong);
    let unsigned = "X-Amz-Meta-Evil: 1\r\n";
    assert_eq!(refused(&site, S3, "GET", &url, unsigned).await.status(), 400);
    assert_says(&refused(&site, S3, "GET", &legacy, unsigned).await, 403, wrong);
}

/// Nobody behind us shall read another signature than the one that was read here.
#[tokio::test]
async fn what_could_be_read_in_two_ways_is_refused() {
    let site = Site::start().await;
    let url = site.key.presign("GET", S3, "/bucket/key", &[], Presigning::S3);
    let signature = url.split("X-Amz-Signature=").nth(1).unwrap().to_owned();
    for (from, to) in [
        ("X-Amz-Signature=", format!("X-Amz-Signature={signature}&X-Amz-Signature=")),
        ("X-Amz-Signature=", "x-amz-signature=".to_owned()),
        ("X-Amz-Expires=", "X-Amz%2DExpires=".to_owned()),
        ("X-Amz-Expires=60", "X-Amz-Expires=0".to_owned()),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801".to_owned()),
        ("X-Amz-Expires=60", "X-Amz-Expires=-1".to_owned()),
        ("X-Amz-Expires=60", "X-Amz-Expires=".to_owned()),
        ("X-Amz-Expires=60&", String::new()),
        ("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=".to_owned()),
        ("X-Amz-Date=2", "X-Amz-Date=X".to_owned()),
        ("?", "?AWSAccessKeyId=AKID&".to_owned()),
        ("?", "?x-amz-algorithm=AWS4-HMAC-SHA256&".to_owned()),
    ] {
        assert!(url.contains(from), "{from} {url}");
        assert_eq!(refused(&site, S3, "GET", &url.replacen(from, &to, 1), "").await.status(), 400, "{to}");
    }
    let both = "Authorization: AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c\r\n";
    assert_says(&refused(&site, S3, "GET", &url, both).await, 400, "Only one auth mechanism allowed");
    assert_says(&refused(&site, S3, "GET", &url, "Authorization: Bearer x\r\n").await, 400, "Only one auth mechanism");
    let hash = "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&";
    let twice = url.replacen('?', &format!("?{hash}{hash}"), 1);
    assert_says(&refused(&site, S3, "GET", &twice, "").await, 400, "more than once");
}

#[tokio::test]
async fn sigv2_covers_what_it_must_and_is_for_s3_alone() {
    let site = Site::start().await;
    let ends = Clock::system().now().seconds() + 60;
    // As boto3 does it: what would be headers is in the query.
    let signed = [("content-type", "text/plain"), ("x-amz-acl", "private")];
    let target = "/bucket/key?content-type=text%2Fplain&x-amz-acl=private";
    let url = site.key.presign_legacy("PUT", target, "", "", &signed, ends);
    let shown = arrives(&site, S3, "PUT", &url, "Content-Type: text/plain\r\n", "body").await;
    assert_eq!(
        shown,
        "PUT /bucket/key?content-type=text%2Fplain HTTP/1.1\n\
         x-amz-content-sha256: UNSIGNED-PAYLOAD\nx-amz-acl: private\ncontent-type: text/plain\n"
    );
    let other = refused(&site, S3, "PUT", &url, "Content-Type: text/html\r\n").await;
    assert_says(&other, 403, "The request signature we calculated");
    // Pages of a list are not signed, sub-resources are.
    let list = site.key.presign_legacy("GET", "/bucket?list-type=2&prefix=a", "", "", &[], ends);
    let shown = arrives(&site, S3, "GET", &list, "", "").await;
    assert!(shown.starts_with("GET /bucket?list-type=2&prefix=a HTTP/1.1\n"), "{shown}");
    // botocore signs a slash behind the bucket's name that it does not send.
    let url = site.key.presign_legacy("GET", "/bucket", "", "/?versions", &[], ends).replacen('?', "?versions&", 1);
    let shown = arrives(&site, S3, "GET", &url, "", "").await;
    assert!(shown.starts_with("GET /bucket?versions HTTP/1.1\n"), "{shown}");
    let disposition = "?response-content-disposition=attachment; filename=\"a b\"&versionId=v";
    let target = "/bucket/key?versionId=v&response-content-disposition=attachment%3B%20filename%3D%22a%20b%22";
    let url = site.key.presign_legacy("GET", target, "", disposition, &[], ends);
    arrives(&site, S3, "GET", &url, "", "").await;
    for parameter in ["acl", "uploads", "tagging"] {
        let added = list.replacen('?', &format!("?{parameter}&"), 1);
        assert_says(&refused(&site, S3, "GET", &added, "").await, 403, "The request signature we calculated");
    }
    for parameter in ["encryption", "a%63l", "publicAccessBlock", "unheard-of=1"] {
        let added = list.replacen('?', &format!("?{parameter}&"), 1);
        assert_says(&refused(&site, S3, "GET", &added, "").await, 400, "not covered by Signature Version 2");
    }
    let line = list.replacen('?', "?marker=a%0Ab&", 1);
    assert_says(&refused(&site, S3, "GET", &line, "").await, 400, "control characters");
    for (from, to) in [("Signature=", "Signature=%21"), ("Expires=", "Expires=x"), ("&Expires", "&Expired")] {
        assert_eq!(refused(&site, S3, "GET", &list.replace(from, to), "").await.status(), 400, "{to}");
    }
    let elsewhere = site.key.presign_legacy("GET", "/", "", "", &[], ends);
    assert_says(&refused(&site, DYNAMODB, "GET", &elsewhere, "").await, 403, "presigned S3 URLs alone");
    // In the header it is refused, in AWS's words.
    let header = format!("Authorization: AWS {}:c2lnbmF0dXJl\r\n", site.key.id);
    let words = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
    assert_says(&refused(&site, S3, "GET", "/bucket/key", &header).await, 403, words);
}
