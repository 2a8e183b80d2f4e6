//! Where a bucket is, which SigV2 does not say: S3 is asked once, and the call goes there.

use std::time::Duration;

use csg::{clock::Clock, gateway::Address, model::Grant};

use crate::harness::{Answer, Call, Key, Site, Tls, skip};

const GLOBAL: &str = "s3.amazonaws.com";
const PAPERS: &str = "papers.s3.amazonaws.com";

/// So many questions are asked at one time for one address.
const PLACES: usize = 4;

/// A request for `target` at `host` under a SigV2 signature of `key`.
pub(super) fn signed_by(key: &Key, method: &str, host: &str, target: &str, headers: &str) -> String {
    let ends = Clock::system().now().seconds() + 3600;
    let bucket = host.strip_suffix(&format!(".{GLOBAL}")).or(host.strip_suffix(".s3-accelerate.amazonaws.com"));
    let bucket = bucket.map_or(String::new(), |bucket| format!("/{bucket}"));
    let url = key.presign_legacy(method, target, &bucket, "", &[], ends);
    format!("{method} {url} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")
}

/// A client that has asked for a key in `bucket`, by the global host.
async fn asks(site: &Site, bucket: &str) -> Tls {
    asks_from(site, 1, bucket).await
}

/// The same from 127.0.0.`machine`.
async fn asks_from(site: &Site, machine: u8, bucket: &str) -> Tls {
    let host = format!("{bucket}.{GLOBAL}");
    let mut client = site.tunnel_from(machine, &host).await;
    client.send(signed_by(&site.key, "GET", &host, "/key", "")).await;
    client
}

/// The gateway's question where `bucket` is, which nobody has signed.
pub(super) async fn question(site: &Site, bucket: &str) -> Call {
    let call = site.cloud.call().await;
    assert_eq!(call.head.first, format!("HEAD /{bucket} HTTP/1.1"));
    assert_eq!(call.head.headers, [("host".to_owned(), "s3.us-east-1.amazonaws.com".to_owned())]);
    assert_eq!(call.sni, "s3.us-east-1.amazonaws.com");
    call
}

/// Says that it is in `region`, as S3 does to somebody unknown.
pub(super) async fn tell(question: Call, region: &str) {
    let head =
        format!("HTTP/1.1 301 Moved Permanently\nx-amz-bucket-region: {region}\nContent-Type: application/xml\n\n");
    question.answer(&head).await;
}

/// The call that was asked for: signed with the real key for `region`, and sent to `host`.
async fn arrives(site: &Site, host: &str, region: &str) -> Call {
    let mut call = site.cloud.call().await;
    let body = call.whole_body().await;
    assert_eq!((call.sni.as_str(), call.head.header("host")), (host, Some(host)));
    site.real.verify(&call, &body);
    assert!(call.head.header("authorization").unwrap().contains(&format!("/{region}/s3/")), "{:?}", call.head);
    call
}

async fn served(call: Call, client: &mut Tls) {
    call.answer("HTTP/1.1 200 OK\nContent-Length: 0\n\n").await;
    assert_eq!(client.answer().await.status(), 200);
}

#[tokio::test]
async fn a_call_goes_where_its_bucket_is() {
    let site = Site::start().await;
    for (host, target, bucket, served_at) in [
        (PAPERS, "/key", "papers", "papers.s3.eu-west-1.amazonaws.com"),
        (GLOBAL, "/in-the-path/key", "in-the-path", "s3.eu-west-1.amazonaws.com"),
        (GLOBAL, "/dotted.papers/key", "dotted.papers", "s3.eu-west-1.amazonaws.com"),
        ("fast.s3-accelerate.amazonaws.com", "/key", "fast", "fast.s3-accelerate.amazonaws.com"),
    ] {
        let mut client = site.tunnel(host).await;
        for (nth, method) in ["GET", "PUT", "HEAD"].into_iter().enumerate() {
            let body = if method == "PUT" { "a body" } else { "" };
            let length = format!("Content-Length: {}\r\n", body.len());
            client.send(signed_by(&site.key, method, host, target, &length) + body).await;
            if nth == 0 {
                tell(question(&site, bucket).await, "eu-west-1").await;
            }
            let call = arrives(&site, served_at, "eu-west-1").await;
            assert_eq!(call.head.first, format!("{method} {target} HTTP/1.1"));
            served(call, &mut client).await;
        }
    }
    for record in site.records(12).await {
        assert_eq!(record.region.as_deref(), Some("eu-west-1"));
        assert_ne!(&*record.host, GLOBAL);
        assert!(record.host.contains("eu-west-1") || record.host.contains("accelerate"), "{}", record.host);
    }
}

#[tokio::test]
async fn a_body_flows_once_it_is_known_where_to() {
    let site = Site::start().await;
    let mut client = site.tunnel(PAPERS).await;
    let headers = "Content-Length: 11\r\nExpect: 100-continue\r\n";
    client.send(signed_by(&site.key, "PUT", PAPERS, "/key", headers)).await;
    tell(question(&site, "papers").await, "eu-west-1").await;
    assert_eq!(client.head().await.status(), 100);
    client.send("hello ").await;
    let mut call = site.cloud.call().await;
    client.send("there").await;
    assert_eq!(call.whole_body().await, b"hello there");
    assert_eq!(call.head.header("host"), Some("papers.s3.eu-west-1.amazonaws.com"));
    served(call, &mut client).await;
}

#[tokio::test]
async fn in_us_east_1_it_goes_as_it_came() {
    let site = Site::start().await;
    for (host, target, bucket) in [(PAPERS, "/key", "papers"), (GLOBAL, "/in-the-path/key", "in-the-path")] {
        let mut client = site.tunnel(host).await;
        client.send(signed_by(&site.key, "GET", host, target, "")).await;
        tell(question(&site, bucket).await, "us-east-1").await;
        served(arrives(&site, host, "us-east-1").await, &mut client).await;
    }
    // What is of no bucket, of one that is still to be made, or can be nowhere else, is not asked for.
    let mut client = site.tunnel(GLOBAL).await;
    for (method, target) in [("GET", "/"), ("PUT", "/new-papers"), ("GET", "/Old_Papers/key"), ("GET", "/it/key")] {
        client.send(signed_by(&site.key, method, GLOBAL, target, "")).await;
        served(arrives(&site, GLOBAL, "us-east-1").await, &mut client).await;
    }
}

/// Whatever else the answer says: nothing but a region where the call's own partition has S3 counts.
#[tokio::test]
async fn what_can_be_no_region_is_nothing() {
    let site = Site::start().await;
    let long = "x".repeat(16 * 1024);
    for (nth, told) in [
        "",
        "x-amz-bucket-region: cn-north-1\n",
        "x-amz-bucket-region: us-gov-west-1\n",
        "x-amz-bucket-region: us-nowhere-1\n",
        "x-amz-bucket-region:\n",
        "x-amz-bucket-region: aws-global\n",
        "x-amz-bucket-region: EU\n",
        "x-amz-bucket-region: eu-west-1.evil.example/\n",
        "x-amz-bucket-region: eu-west-1, eu-west-1\n",
        "x-amz-bucket-region: eu-west-1\nx-amz-bucket-region: us-west-2\n",
        "x-amz-bucket-region: \u{e9}u-west-1\n",
        &format!("x-amz-bucket-region: {long}\n"),
        "Location: https://evil.example/\n",
    ]
    .into_iter()
    .enumerate()
    {
        let bucket = format!("papers-{nth}");
        let mut client = asks(&site, &bucket).await;
        question(&site, &bucket).await.answer(&format!("HTTP/1.1 301 Moved Permanently\n{told}\n")).await;
        served(arrives(&site, &format!("{bucket}.{GLOBAL}"), "us-east-1").await, &mut client).await;
    }
}

#[tokio::test]
async fn whoever_may_not_call_makes_nobody_ask() {
    let site = Site::start().await;
    let stranger = Key { id: "CSGAUNKNOWNUNKNOWN01".to_owned(), ..site.key.clone() };
    let wrong = Key { secret: "another".to_owned(), ..site.key.clone() };
    let refused = async |key: &Key, headers: &str| -> Answer {
        let mut client = site.tunnel(PAPERS).await;
        client.send(signed_by(key, "GET", PAPERS, "/key", headers)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status(), 403, "{}", answer.text());
        assert!(site.cloud.is_quiet().await, "S3 was asked");
        answer
    };
    refused(&stranger, "").await;
    refused(&wrong, "").await;
    site.publish([site.only(&["sqs", "s3control"])]);
    assert!(refused(&site.key, "").await.text().contains("has no access to service"));
    site.publish([Grant { expires_at: Some(Clock::system().now()), ..site.grant() }]);
    refused(&site.key, "").await;
    site.revoke();
    refused(&site.key, "").await;
}

#[tokio::test]
async fn all_who_wait_for_a_bucket_ask_once() {
    let site = Site::start().await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(asks(&site, "papers").await);
    }
    let first = question(&site, "papers").await;
    assert!(site.cloud.is_quiet().await);
    tell(first, "eu-west-1").await;
    for _ in 0..clients.len() {
        let call = arrives(&site, "papers.s3.eu-west-1.amazonaws.com", "eu-west-1").await;
        call.answer("HTTP/1.1 200 OK\nContent-Length: 0\n\n").await;
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.status(), 200);
    }
}

#[tokio::test]
async fn who_asks_may_go_away() {
    let site = Site::start().await;
    let first = asks(&site, "papers").await;
    let mut left = question(&site, "papers").await;
    let mut second = asks(&site, "papers").await;
    drop(first);
    left.is_given_up().await;
    tell(question(&site, "papers").await, "eu-west-1").await;
    served(arrives(&site, "papers.s3.eu-west-1.amazonaws.com", "eu-west-1").await, &mut second).await;
}

#[tokio::test]
async fn few_are_asked_for_at_a_time() {
    let site = Site::start().await;
    let (mut clients, mut questions) = (Vec::new(), Vec::new());
    for nth in 0..PLACES + 3 {
        clients.push(asks(&site, &format!("papers-{nth}")).await);
        if nth < PLACES {
            questions.push(question(&site, &format!("papers-{nth}")).await);
        }
    }
    // A call of another kind goes by, and by then the others would have come as well.
    let mut other = site.tunnel(GLOBAL).await;
    other.send(signed_by(&site.key, "GET", GLOBAL, "/", "")).await;
    served(arrives(&site, GLOBAL, "us-east-1").await, &mut other).await;
    assert!(site.cloud.is_quiet().await);
    // Each that is answered makes room for one.
    tell(questions.remove(0), "us-east-1").await;
    let mut came = [site.cloud.call().await, site.cloud.call().await];
    came.sort_by_key(|call| call.head.first.starts_with("HEAD"));
    let [call, next] = came;
    served(call, &mut clients.remove(0)).await;
    assert!(next.head.first.starts_with("HEAD /papers-"), "{:?}", next.head);
    assert!(site.cloud.is_quiet().await);
    for waiting in questions.into_iter().chain([next]) {
        tell(waiting, "us-east-1").await;
    }
    // What is left: two more questions, and the call of every client.
    for _ in 0..2 + clients.len() {
        site.cloud.call().await.answer("HTTP/1.1 404 Not Found\nContent-Length: 0\n\n").await;
    }
    for client in &mut clients {
        assert_eq!(client.answer().await.status(), 404);
    }
}

/// Somebody with a key makes up buckets, more than are asked for at a time, and names another's among them.
#[tokio::test]
async fn one_address_holds_up_no_other() {
    let site = Site::start().await;
    let (mut clients, mut questions) = (Vec::new(), Vec::new());
    for nth in 0..PLACES {
        clients.push(asks(&site, &format!("made-up-{nth}")).await);
        questions.push(question(&site, &format!("made-up-{nth}")).await);
    }
    // It waits for its turn.
    clients.push(asks(&site, "papers").await);
    let mut passes = site.tunnel(GLOBAL).await;
    passes.send(signed_by(&site.key, "GET", GLOBAL, "/", "")).await;
    served(arrives(&site, GLOBAL, "us-east-1").await, &mut passes).await;
    assert!(site.cloud.is_quiet().await);
    let mut other = asks_from(&site, 2, "papers").await;
    tell(question(&site, "papers").await, "eu-west-1").await;
    served(arrives(&site, "papers.s3.eu-west-1.amazonaws.com", "eu-west-1").await, &mut other).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let site = Site::start().await;
    let mut client = asks(&site, "papers").await;
    let mut silent = question(&site, "papers").await;
    silent.send("HTTP/1.1 301 Moved").await;
    skip(Duration::from_secs(2)).await;
    silent.is_given_up().await;
    served(arrives(&site, PAPERS, "us-east-1").await, &mut client).await;
    // Nor is it asked again at once.
    client.send(signed_by(&site.key, "GET", PAPERS, "/key", "")).await;
    served(arrives(&site, PAPERS, "us-east-1").await, &mut client).await;
    skip(Duration::from_secs(11)).await;
    client.send(signed_by(&site.key, "GET", PAPERS, "/key", "")).await;
    tell(question(&site, "papers").await, "eu-west-1").await;
    served(arrives(&site, "papers.s3.eu-west-1.amazonaws.com", "eu-west-1").await, &mut client).await;
}

#[tokio::test]
async fn what_was_told_holds_for_a_while() {
    let site = Site::start().await;
    let mut client = asks(&site, "papers").await;
    tell(question(&site, "papers").await, "eu-west-1").await;
    served(arrives(&site, "papers.s3.eu-west-1.amazonaws.com", "eu-west-1").await, &mut client).await;
    for (later, moves) in [(9, false), (2, true)] {
        skip(Duration::from_mins(later)).await;
        let mut client = asks(&site, "papers").await;
        if moves {
            tell(question(&site, "papers").await, "us-east-1").await;
            served(arrives(&site, PAPERS, "us-east-1").await, &mut client).await;
        } else {
            served(arrives(&site, "papers.s3.eu-west-1.amazonaws.com", "eu-west-1").await, &mut client).await;
        }
    }
}

#[tokio::test]
async fn access_that_ends_meanwhile_ends_the_call() {
    let site = Site::start().await;
    let mut client = asks(&site, "papers").await;
    let first = question(&site, "papers").await;
    site.revoke();
    tell(first, "eu-west-1").await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.text().contains("Client is not Active")), (403, true), "{}", answer.text());
    assert!(site.cloud.is_quiet().await);
}

/// The account that a bucket has to be of is told wherever the call goes, and nobody who asks for the region tells it.
#[tokio::test]
async fn whose_the_bucket_has_to_be_is_still_told() {
    let site = Site::start().await;
    site.publish([site.in_account("111111111111")]);
    let mut client = asks(&site, "papers").await;
    tell(question(&site, "papers").await, "eu-west-1").await;
    let call = arrives(&site, "papers.s3.eu-west-1.amazonaws.com", "eu-west-1").await;
    assert_eq!(call.head.header("x-amz-expected-bucket-owner"), Some("111111111111"));
    served(call, &mut client).await;
}

#[tokio::test]
async fn a_region_that_cannot_be_reached_is_named() {
    let nobody = Address::Socket("127.0.0.1:1".parse().unwrap());
    let site = Site::with(|plan| plan.overrides.push(("*.eu-west-1.amazonaws.com".parse().unwrap(), nobody))).await;
    let mut client = asks(&site, "papers").await;
    tell(question(&site, "papers").await, "eu-west-1").await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("papers.s3.eu-west-1.amazonaws.com could not be reached"), "{}", answer.text());
    assert_eq!(&*site.record().await.host, "papers.s3.eu-west-1.amazonaws.com");
}

/// Nothing of S3 is asked for through a way that is closed; the call meets the same and says so.
#[tokio::test]
async fn where_nobody_can_be_asked_the_call_says_why() {
    let site = Site::with(|plan| plan.dial = Some(Address::Socket("127.0.0.1:1".parse().unwrap()))).await;
    let mut client = asks(&site, "papers").await;
    let answer = client.answer().await;
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("papers.s3.amazonaws.com could not be reached"), "{}", answer.text());
}
