//! Every exchange leaves one record, whatever becomes of it.

use std::time::Duration;

use csg::{
    audit::Settings,
    clock::Clock,
    gateway::{Address, OnAuditFailure},
    model::Outcome,
};

use super::LIST_TABLES;
use crate::harness::{DYNAMODB, Site};

#[tokio::test]
async fn an_allowed_call_is_recorded_with_all_that_is_known_of_it() {
    let (site, before) = (Site::start().await, Clock::system().now());
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(&LIST_TABLES.replace("{}", "{\"Limit\":10}")).bytes()).await;
    let answer = "HTTP/1.1 400 Bad Request\nX-Amzn-RequestId: R-17\nContent-Length: 14\n\n{\"__type\":\"X\"}";
    site.cloud.call().await.answer(answer).await;
    client.answer().await;

    let record = site.record().await;
    assert!(record.at >= before && record.at <= Clock::system().now());
    assert_eq!(record.id.len(), 36);
    assert_eq!(&*record.client, "127.0.0.1");
    assert_eq!(record.access_key_id.unwrap().as_str(), site.key.id);
    assert_eq!(record.request.unwrap().as_str(), "request-1");
    assert_eq!(record.user.unwrap().as_str(), "dora");
    assert_eq!(record.environment.unwrap().as_str(), "payments-dev");
    assert_eq!(&*record.host, DYNAMODB);
    assert_eq!(record.service.unwrap().as_str(), "dynamodb");
    assert_eq!(record.operation.as_deref(), Some("ListTables"));
    assert_eq!(record.region.as_deref(), Some("us-east-1"));
    assert_eq!((record.outcome, record.error, record.status), (Outcome::Allowed, None, 400));
    assert_eq!((record.bytes_in, record.bytes_out), (12, 14));
    assert!(record.duration_us > 0);
    assert_eq!(record.cloud_request_id.as_deref(), Some("R-17"));
}

/// Its end is known only once it has come: an answer in chunks was once recorded as cut.
#[tokio::test]
async fn answers_of_unknown_length_and_none_are_recorded_as_whole() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    for (count, (answer, bytes_out)) in [
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\r\nabc\r\n0\r\n\r\n", 3),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTrailer: X-Sum\n\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", 3),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", 0),
        ("HTTP/1.1 204 No Content\n\n", 0),
    ]
    .into_iter()
    .enumerate()
    {
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        site.cloud.call().await.answer(answer).await;
        client.answer().await;
        let record = site.records(count + 1).await.pop().unwrap();
        assert_eq!((record.outcome, record.bytes_out), (Outcome::Allowed, bytes_out), "{answer}");
    }
}

#[tokio::test]
async fn an_uploaded_body_is_counted() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    let declared = LIST_TABLES.replacen("\n\n", "\nX-Amz-Content-Sha256: {sha256}\n\n", 1);
    client.send(site.key.sign(&declared).bytes()).await;
    site.cloud.call().await.ok().await;
    client.answer().await;
    assert_eq!(site.record().await.bytes_in, 2);
}

#[tokio::test]
async fn a_refused_call_is_recorded_with_the_code_the_client_was_given() {
    let site = Site::start().await;
    site.publish([site.only(&["sns"])]);
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let answer = client.answer().await;

    let record = site.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Refused, 403));
    assert_eq!(record.error.as_deref(), Some("AccessDeniedException"));
    assert_eq!(record.user.unwrap().as_str(), "dora");
    assert_eq!(record.operation.as_deref(), Some("ListTables"));
    assert_eq!(answer.head.header("x-amzn-requestid"), Some(record.id.as_str()));
    assert_eq!(record.bytes_out, answer.body.bytes.len() as u64);
    assert_eq!(record.bytes_in, 2);
}

#[tokio::test]
async fn nobody_is_named_for_a_call_whose_signature_is_wrong() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).tampered("ListTables", "DeleteTable").bytes()).await;
    client.answer().await;

    let record = site.record().await;
    assert_eq!(record.error.as_deref(), Some("InvalidSignatureException"));
    assert_eq!(record.access_key_id.unwrap().as_str(), site.key.id, "what was claimed");
    assert_eq!((record.request, record.user, record.environment), (None, None, None));
    assert_eq!((record.service, record.operation), (None, None));
}

#[tokio::test]
async fn a_refused_connect_is_recorded() {
    let site = Site::start().await;
    let mut client = site.connect().await;
    client.send("CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n").await;
    assert_eq!(client.answer().await.status(), 403);

    let record = site.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Refused, 403));
    assert_eq!((&*record.host, record.error.as_deref()), ("www.example.com:443", Some("HostNotInCatalogue")));
}

/// Anybody may ask, and it is kept for months.
#[tokio::test]
async fn an_endless_host_name_is_not_kept_whole() {
    let site = Site::start().await;
    let mut client = site.connect().await;
    client.send(format!("CONNECT {}.example.com:443 HTTP/1.1\r\n\r\n", "a".repeat(30_000))).await;
    assert_eq!(client.answer().await.status(), 403);
    assert!(site.record().await.host.len() < 300);
}

#[tokio::test]
async fn a_call_that_could_not_reach_the_cloud_is_recorded_as_failed() {
    let site = Site::with(|plan| plan.dial = Some(Address::Socket("127.0.0.1:1".parse().unwrap()))).await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    assert_eq!(client.answer().await.status(), 502);

    let record = site.record().await;
    assert_eq!((record.outcome, record.status), (Outcome::Failed, 502));
    assert_eq!(record.error.as_deref(), Some("ServiceUnavailable"));
    assert_eq!((record.operation.as_deref(), record.bytes_in), (Some("ListTables"), 2));
}

#[tokio::test]
async fn a_call_whose_client_went_away_is_recorded_as_cut() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    drop(client);
    call.is_given_up().await;

    let record = site.record().await;
    assert_eq!((record.outcome, record.error, record.status), (Outcome::Cut, None, 0));
    assert_eq!(record.operation.as_deref(), Some("ListTables"));
}

#[tokio::test]
async fn an_answer_that_the_client_did_not_wait_for_is_recorded_as_cut() {
    let site = Site::start().await;
    let mut client = site.tunnel(DYNAMODB).await;
    client.send(site.key.sign(LIST_TABLES).bytes()).await;
    let mut call = site.cloud.call().await;
    call.send("HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf ").await;
    client.bytes(20).await;
    drop(client);
    call.is_given_up().await;

    let record = site.record().await;
    assert_eq!((record.outcome, record.error, record.status, record.bytes_out), (Outcome::Cut, None, 200, 5));
}

#[tokio::test]
async fn an_answer_that_the_cloud_broke_off_is_recorded_as_cut_and_the_client_can_tell() {
    for answer in [
        "HTTP/1.1 200 OK\nContent-Length: 10\n\nhalf ",
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\r\nhalf \r\n",
    ] {
        let site = Site::start().await;
        let mut client = site.tunnel(DYNAMODB).await;
        client.send(site.key.sign(LIST_TABLES).bytes()).await;
        let mut call = site.cloud.call().await;
        call.send(answer).await;
        call.close().await;
        let answer = client.answer().await;
        assert_eq!((answer.text(), answer.body.complete), ("half ", false));

        let record = site.record().await;
        assert_eq!((record.outcome, record.status, record.bytes_out), (Outcome::Cut, 200, 5));
        assert_eq!(record.error.as_deref(), Some("AnswerBrokeOff"));
    }
}

/// A queue with one place, which a call in flight holds.
async fn site_with_a_full_log(on_audit_failure: OnAuditFailure) -> Site {
    Site::with(|plan| {
        plan.audit = Settings { queue: 1, interval: Duration::from_millis(1), ..Settings::default() };
        plan.config.on_audit_failure = on_audit_failure;
    })
    .await
}

#[tokio::test]
async fn a_full_log_stops_calls() {
    let site = site_with_a_full_log(OnAuditFailure::Deny).await;
    let mut first = site.tunnel(DYNAMODB).await;
    first.send(site.key.sign(LIST_TABLES).bytes()).await;
    let call = site.cloud.call().await;
    let mut second = site.tunnel(DYNAMODB).await;
    second.send(site.key.sign(LIST_TABLES).bytes()).await;

    let answer = second.answer().await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.head.header("x-amzn-errortype"), Some("ServiceUnavailable"));
    assert!(answer.text().contains("the audit log takes no more records"), "{}", answer.text());
    assert!(site.cloud.is_quiet().await);

    call.ok().await;
    assert_eq!(first.answer().await.status(), 200);
    site.record().await;
    second.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(second.answer().await.status(), 200);
    site.records(2).await;
}

#[tokio::test]
async fn a_full_log_lets_calls_go_unrecorded_where_that_was_chosen() {
    let site = site_with_a_full_log(OnAuditFailure::Allow).await;
    let mut first = site.tunnel(DYNAMODB).await;
    first.send(site.key.sign(LIST_TABLES).bytes()).await;
    let call = site.cloud.call().await;
    let mut second = site.tunnel(DYNAMODB).await;
    second.send(site.key.sign(LIST_TABLES).bytes()).await;
    site.cloud.call().await.ok().await;
    assert_eq!(second.answer().await.status(), 200);
    call.ok().await;
    assert_eq!(first.answer().await.status(), 200);
    site.record().await;
}
