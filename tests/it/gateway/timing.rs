//! An unknown key and a wrong secret take the same time.
//!
//! What each costs is counted in `sigv4`; here it is timed at the port, with calls that are dear to verify, so that work
//! left out shows. Of many tries of each, in turn, the shortest counts: whatever else the machine does only adds.

use std::time::{Duration, Instant};

use crate::harness::{Key, S3, Site, Tls};

const TRIES: usize = 25;
const EVENTS: &str = "events.us-east-1.amazonaws.com";

/// A call of S3 whose head is long, and in it every byte is signed.
fn long_head(key: &Key) -> String {
    let value = "a b ".repeat(300);
    let headers: Vec<_> = (10..60).map(|number| format!("X-Amz-Meta-{number}: {value}")).collect();
    let headers = headers.join("\n");
    key.sign(&format!("GET /bucket/key HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: {{sha256}}\n{headers}")).head
}

/// With SigV4A, the key itself is dear.
fn asymmetric(key: &Key) -> String {
    let target = ("x-amz-target", "AWSEvents.ListEventBuses");
    let signature = key.asymmetric("POST", EVENTS, "/", &[target], b"{}", ("events", "*"));
    format!(
        "POST / HTTP/1.1\r\nHost: {EVENTS}\r\nX-Amz-Target: {}\r\n{signature}Content-Length: 2\r\n\r\n{{}}",
        target.1
    )
}

async fn took(client: &mut Tls, request: &str) -> Duration {
    let began = Instant::now();
    client.send(request).await;
    assert_eq!(client.answer().await.status(), 403);
    began.elapsed()
}

#[tokio::test]
async fn an_unknown_key_takes_as_long_as_a_wrong_secret() {
    let site = Site::start().await;
    let wrong = Key { secret: "wrong".to_owned(), ..site.key.clone() };
    for (host, call) in [(S3, long_head as fn(&Key) -> String), (EVENTS, asymmetric)] {
        let mut client = site.tunnel(host).await;
        // Its key is in use, so it is kept.
        client.send(call(&site.key)).await;
        site.cloud.call().await.ok().await;
        assert_eq!(client.answer().await.status(), 200);
        let mut shortest = [Duration::MAX; 2];
        for number in 0..TRIES {
            let unknown = Key { id: format!("CSGAUNKNOWNUNKNOW{number:03}"), ..site.key.clone() };
            for (shortest, key) in shortest.iter_mut().zip([&unknown, &wrong]) {
                *shortest = took(&mut client, &call(key)).await.min(*shortest);
            }
        }
        let [unknown, wrong] = shortest.map(|time| time.as_secs_f64());
        println!("{host}: {:.0} µs for an unknown key, {:.0} µs for a wrong secret", unknown * 1e6, wrong * 1e6);
        assert!((0.6..1.6).contains(&(unknown / wrong)), "{host}: {unknown} s and {wrong} s");
    }
}
