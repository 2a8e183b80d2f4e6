//! Calls under a role that the gateway assumes: its sessions are had when they are needed, shared, and renewed in time.

use std::{sync::Arc, time::Duration};

use csg::{
    clock::{Clock, Timestamp},
    model::{
        AccessKeyId, AssumedRole, CloudIdentity, CredentialId, Grant, IdentitySource, RoleArn, RoleSession, UserName,
    },
    secret::Secret,
};

use super::{
    LIST_TABLES,
    whereabouts::{question, signed_by, tell},
};
use crate::harness::{Call, DYNAMODB, Key, S3, Site, skip, until, within};

const STS: &str = "sts.us-east-1.amazonaws.com";
/// As short as sessions are.
const QUARTER: Duration = Duration::from_mins(15);

/// A site whose time the test sets, and whose grant stands on a role.
struct Roles {
    site: Site,
    clock: Clock,
}

impl Roles {
    async fn start() -> Self {
        let clock = Clock::manual(Clock::system().now());
        let own = clock.clone();
        let site = Site::with(|plan| plan.clock = own).await;
        let roles = Self { site, clock };
        roles.publish(&session("gateway", roles.key(), "dora"));
        roles
    }

    fn publish(&self, source: &IdentitySource) {
        self.site.publish_as(Some(source), [self.site.grant()]);
    }

    /// The real key.
    fn key(&self) -> IdentitySource {
        IdentitySource::Keys(Arc::new(CloudIdentity {
            access_key_id: self.site.real.id.clone(),
            secret_access_key: Secret::new(&self.site.real.secret),
            session_token: None,
        }))
    }

    fn advance(&self, span: Duration) {
        self.clock.set(self.clock.now().plus(span));
    }

    /// Sends a call by itself; its answer's status and text can be waited for.
    async fn send(&self) -> tokio::task::JoinHandle<(u16, String)> {
        self.send_with(&self.site.key).await
    }

    async fn send_with(&self, key: &Key) -> tokio::task::JoinHandle<(u16, String)> {
        let mut client = self.site.tunnel(DYNAMODB).await;
        client.send(key.sign(LIST_TABLES).bytes()).await;
        tokio::spawn(async move {
            let answer = client.answer().await;
            (answer.status(), answer.text().to_owned())
        })
    }

    /// The next question to STS, asked by `by`, with what it says.
    async fn asked(&self, by: &Key) -> (Call, String) {
        let mut call = self.site.cloud.call().await;
        assert_eq!((call.sni.as_str(), call.head.header("host")), (STS, Some(STS)));
        let body = call.whole_body().await;
        by.verify(&call, &body);
        (call, String::from_utf8(body).unwrap())
    }

    /// Waits for the next question and answers it with `keys`.
    async fn give(&self, by: &Key, role: &str, user: &str, keys: &Key) -> String {
        let (call, asked) = self.asked(by).await;
        call.answer(&assumed(role, user, keys, self.clock.now().plus(QUARTER))).await;
        asked
    }

    /// Waits for the call itself, which must be signed with `keys`.
    async fn arrives(&self, keys: &Key) {
        let mut call = self.site.cloud.call().await;
        assert_eq!(call.sni, DYNAMODB);
        let body = call.whole_body().await;
        keys.verify(&call, &body);
        call.ok().await;
    }

    /// The keys that STS gives with the number `number`; they sign at the gateway's time.
    fn keys(number: u8) -> Key {
        let mut key = Key::new(format!("ASIAEXAMPLEEXAMPLE{number:02}"), format!("secret/of+number{number}"));
        key.token = Some(format!("token//of+number{number}=="));
        key
    }
}

fn session(role: &str, source: IdentitySource, user: &str) -> IdentitySource {
    let role = AssumedRole {
        role_arn: RoleArn::new(format!("arn:aws:iam::123456789012:role/{role}")).unwrap(),
        source_credential: CredentialId::new("credential-2").unwrap(),
        external_id: None,
        session_seconds: 900,
    };
    IdentitySource::Role(Arc::new(RoleSession::of(role, source, &UserName::new(user).unwrap())))
}

fn assumed(role: &str, user: &str, keys: &Key, end: Timestamp) -> String {
    let (id, secret, token) = (&keys.id, &keys.secret, keys.token.as_ref().unwrap());
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>\
         <AssumedRoleId>AROAX:{user}</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/{role}/{user}</Arn>\
         </AssumedRoleUser><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials></AssumeRoleResult>\
         </AssumeRoleResponse>"
    );
    xml("200 OK", &body)
}

fn refused(message: &str) -> String {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>AccessDenied</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    xml("403 Forbidden", &body)
}

fn xml(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\nContent-Type: text/xml\nContent-Length: {}\n\n{body}", body.len())
}

#[tokio::test]
async fn calls_are_signed_with_the_keys_of_the_role_which_are_asked_for_once() {
    let roles = Roles::start().await;
    let mut calls = Vec::new();
    for _ in 0..20 {
        calls.push(roles.send().await);
    }
    let keys = Roles::keys(1);
    let asked = roles.give(&roles.site.real, "gateway", "dora", &keys).await;
    assert_eq!(
        asked,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fgateway\
         &RoleSessionName=dora&DurationSeconds=900"
    );
    // In whatever order.
    for _ in &calls {
        roles.arrives(&keys).await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap().0, 200);
    }
    assert!(roles.site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_role_is_assumed_by_the_role_before_it() {
    let roles = Roles::start().await;
    let first = session("first", roles.key(), "dora");
    roles.publish(&session("second", first, "dora"));
    let call = roles.send().await;
    let (first, second) = (Roles::keys(1), Roles::keys(2));
    assert!(roles.give(&roles.site.real, "first", "dora", &first).await.contains("role%2Ffirst"));
    assert!(roles.give(&first, "second", "dora", &second).await.contains("role%2Fsecond"));
    roles.arrives(&second).await;
    assert_eq!(call.await.unwrap().0, 200);

    // Both are renewed in time, and no call waits for it. The first still works while it is asked for anew.
    roles.advance(Duration::from_mins(12));
    let call = roles.send().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut at_the_cloud = roles.site.cloud.call().await;
        let body = at_the_cloud.whole_body().await;
        let text = String::from_utf8(body.clone()).unwrap();
        let (name, by, given) = match at_the_cloud.sni.as_str() {
            DYNAMODB => ("call", &second, None),
            _ if text.contains("role%2Ffirst") => ("first", &roles.site.real, Some(Roles::keys(3))),
            _ => ("second", &first, Some(Roles::keys(4))),
        };
        by.verify(&at_the_cloud, &body);
        match given {
            Some(keys) => {
                let end = roles.clock.now().plus(QUARTER);
                at_the_cloud.answer(&assumed(name, "dora", &keys, end)).await;
            }
            None => at_the_cloud.ok().await,
        }
        seen.push(name);
    }
    seen.sort_unstable();
    assert_eq!(seen, ["call", "first", "second"]);
    assert_eq!(call.await.unwrap().0, 200);
    Box::pin(roles.changes_over(&second, &Roles::keys(4))).await;
}

#[tokio::test]
async fn a_session_is_renewed_before_its_end_and_no_call_waits() {
    let roles = Roles::start().await;
    let (old, new) = (Roles::keys(1), Roles::keys(2));
    roles.begin(&old).await;
    // Of 15 minutes, 11 and a quarter are over when the last quarter begins.
    roles.advance(Duration::from_mins(11));
    roles.passes(&old).await;
    assert!(roles.site.cloud.is_quiet().await, "asked too soon");
    roles.advance(Duration::from_secs(16));
    let call = roles.send().await;
    let mut asked = None;
    for _ in 0..2 {
        let mut at_the_cloud = roles.site.cloud.call().await;
        let body = at_the_cloud.whole_body().await;
        if at_the_cloud.sni == STS {
            roles.site.real.verify(&at_the_cloud, &body);
            asked = Some(at_the_cloud);
        } else {
            old.verify(&at_the_cloud, &body);
            at_the_cloud.ok().await;
        }
    }
    assert_eq!(call.await.unwrap().0, 200);
    // Nor is it asked a second time meanwhile.
    roles.passes(&old).await;
    asked.unwrap().answer(&assumed("gateway", "dora", &new, roles.clock.now().plus(QUARTER))).await;
    Box::pin(roles.changes_over(&old, &new)).await;
}

#[tokio::test]
async fn a_session_that_can_not_be_renewed_serves_until_its_end_and_no_longer() {
    let roles = Roles::start().await;
    let old = Roles::keys(1);
    roles.begin(&old).await;
    roles.advance(Duration::from_mins(12));
    let call = roles.send().await;
    for _ in 0..2 {
        let mut at_the_cloud = roles.site.cloud.call().await;
        at_the_cloud.whole_body().await;
        if at_the_cloud.sni == STS {
            at_the_cloud.send(&refused("not any more")).await;
            // It has read that, and noted when.
            at_the_cloud.is_given_up().await;
        } else {
            at_the_cloud.ok().await;
        }
    }
    assert_eq!(call.await.unwrap().0, 200);
    roles.passes(&old).await;
    // With less than a minute left, a call waits for another one, and is refused if there is none.
    roles.advance(Duration::from_secs(121));
    let call = roles.send().await;
    let (question, _) = roles.asked(&roles.site.real).await;
    question.answer(&refused("not any more")).await;
    let (status, said) = call.await.unwrap();
    assert_eq!(status, 503);
    assert!(said.contains("the cloud credential behind this access request can't be used"), "{said}");
}

/// AWS gives none, but a clock that is minutes ahead of AWS's makes such of longer ones.
#[tokio::test]
async fn a_session_of_two_minutes_serves_for_one() {
    let roles = Roles::start().await;
    let (first, second) = (Roles::keys(1), Roles::keys(2));
    let call = roles.send().await;
    let (question, _) = roles.asked(&roles.site.real).await;
    question.answer(&assumed("gateway", "dora", &first, roles.clock.now().plus(Duration::from_mins(2)))).await;
    roles.arrives(&first).await;
    assert_eq!(call.await.unwrap().0, 200);
    roles.advance(Duration::from_secs(59));
    roles.passes(&first).await;
    roles.advance(Duration::from_secs(2));
    roles.begin(&second).await;
}

#[tokio::test]
async fn after_a_refusal_sts_is_left_alone_for_five_seconds() {
    let roles = Roles::start().await;
    let calls = [roles.send().await, roles.send().await, roles.send().await];
    let (question, _) = roles.asked(&roles.site.real).await;
    let message = "User: arn:aws:iam::123456789012:user/gateway is not authorized to perform: sts:AssumeRole";
    question.answer(&refused(message)).await;
    for call in calls {
        let (status, said) = call.await.unwrap();
        assert_eq!(status, 503);
        assert!(!said.contains("arn:aws:iam"), "what stands behind it is not the client's to know: {said}");
    }
    let client = Duration::from_secs(4);
    roles.advance(client);
    assert_eq!(roles.send().await.await.unwrap().0, 503);
    assert!(roles.site.cloud.is_quiet().await, "asked again at once");
    roles.advance(Duration::from_secs(2));
    let call = roles.send().await;
    let keys = Roles::keys(1);
    roles.give(&roles.site.real, "gateway", "dora", &keys).await;
    roles.arrives(&keys).await;
    assert_eq!(call.await.unwrap().0, 200);
}

/// Something stands in the place of STS: what it says is not believed.
#[tokio::test]
async fn what_is_no_answer_of_sts_signs_nothing() {
    let roles = Roles::start().await;
    let (keys, end) = (Roles::keys(1), roles.clock.now().plus(QUARTER));
    for answer in [
        assumed("admin", "dora", &keys, end),
        assumed("gateway", "root", &keys, end),
        assumed("gateway", "dora", &keys, roles.clock.now()),
        // To be used it would have to be asked for again with each call.
        assumed("gateway", "dora", &keys, roles.clock.now().plus(Duration::from_mins(1))),
        xml("200 OK", "<html>Welcome to the hotel's network</html>"),
        xml("500 Internal Server Error", ""),
        "HTTP/1.1 307 Temporary Redirect\nLocation: https://sts.evil.example/\nContent-Length: 0\n\n".to_owned(),
    ] {
        let call = roles.send().await;
        let (question, _) = roles.asked(&roles.site.real).await;
        question.answer(&answer).await;
        assert_eq!(call.await.unwrap().0, 503, "{answer}");
        roles.advance(Duration::from_secs(6));
    }
    assert!(roles.site.cloud.is_quiet().await);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_the_session_from_nobody() {
    let roles = Roles::start().await;
    let mut gone = roles.site.tunnel(DYNAMODB).await;
    gone.send(roles.site.key.sign(LIST_TABLES).bytes()).await;
    let (question, _) = roles.asked(&roles.site.real).await;
    let waits = roles.send().await;
    drop(gone);
    let keys = Roles::keys(1);
    question.answer(&assumed("gateway", "dora", &keys, roles.clock.now().plus(QUARTER))).await;
    roles.arrives(&keys).await;
    assert_eq!(waits.await.unwrap().0, 200);
    assert!(roles.site.cloud.is_quiet().await);
}

/// Clients come and go while STS hangs: what waits for it does not grow with them.
#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() {
    let roles = Roles::start().await;
    let mut first = roles.site.tunnel(DYNAMODB).await;
    first.send(roles.site.key.sign(LIST_TABLES).bytes()).await;
    let (question, _) = roles.asked(&roles.site.real).await;
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = alive();
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = roles.site.tunnel(DYNAMODB).await;
        client.send(roles.site.key.sign(LIST_TABLES).bytes()).await;
        // Once the gateway has begun to answer it, it waits like the first.
        roles.refused_meanwhile().await;
        clients.push(client);
    }
    drop(clients);
    until("the end of what served them", || (alive() <= before).then_some(())).await;
    let keys = Roles::keys(1);
    question.answer(&assumed("gateway", "dora", &keys, roles.clock.now().plus(QUARTER))).await;
    roles.arrives(&keys).await;
    assert_eq!(first.answer().await.status(), 200);
}

#[tokio::test]
async fn access_that_ends_meanwhile_ends_the_call() {
    let roles = Roles::start().await;
    let call = roles.send().await;
    let (question, _) = roles.asked(&roles.site.real).await;
    roles.site.revoke();
    question.answer(&assumed("gateway", "dora", &Roles::keys(1), roles.clock.now().plus(QUARTER))).await;
    let (status, said) = call.await.unwrap();
    assert_eq!((status, said.contains("Client is not Active")), (403, true), "{said}");
    assert!(roles.site.cloud.is_quiet().await);
}

/// S3 is asked where the bucket is, STS for the keys, and both count.
#[tokio::test]
async fn a_url_of_sigv2_goes_with_the_keys_of_the_role_where_its_bucket_is() {
    const HOST: &str = "papers.s3.amazonaws.com";
    let roles = Roles::start().await;
    let mut client = roles.site.tunnel(HOST).await;
    client.send(signed_by(&roles.site.key, "GET", HOST, "/key", "")).await;
    tell(question(&roles.site, "papers").await, "eu-west-1").await;
    let keys = Roles::keys(1);
    roles.give(&roles.site.real, "gateway", "dora", &keys).await;
    let mut call = roles.site.cloud.call().await;
    let body = call.whole_body().await;
    assert_eq!(
        (call.sni.as_str(), call.head.first.as_str()),
        ("papers.s3.eu-west-1.amazonaws.com", "GET /key HTTP/1.1")
    );
    keys.verify(&call, &body);
    call.ok().await;
    assert_eq!(client.answer().await.status(), 200);
}

/// What is left of its body must not be taken for the next call.
#[tokio::test]
async fn a_body_that_has_no_keys_to_go_with_ends_the_connection() {
    let roles = Roles::start().await;
    let mut client = roles.site.tunnel(S3).await;
    let head = format!(
        "PUT /bucket/key HTTP/1.1\nHost: {S3}\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\nContent-Length: 11\n\
         Expect: 100-continue"
    );
    client.send(roles.site.key.sign(&head).head).await;
    let (question, _) = roles.asked(&roles.site.real).await;
    question.answer(&refused("not today")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.head.header("connection")), (503, Some("close")));
    client.ends().await;
}

/// Nobody waits for ever, and STS is not asked again at once.
#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let roles = Roles::start().await;
    let call = roles.send().await;
    let (mut question, _) = roles.asked(&roles.site.real).await;
    skip(Duration::from_secs(10)).await;
    question.is_given_up().await;
    assert_eq!(call.await.unwrap().0, 503);
    assert_eq!(roles.send().await.await.unwrap().0, 503);
    assert!(roles.site.cloud.is_quiet().await);
}

/// The clock was ahead when AWS said no, or gave a session, and is set right.
#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nobody_out() {
    let roles = Roles::start().await;
    let right = roles.clock.now();
    roles.advance(Duration::from_mins(4));
    let call = roles.send().await;
    let (question, _) = roles.asked(&roles.site.real).await;
    question.answer(&refused("Signature not yet current")).await;
    assert_eq!(call.await.unwrap().0, 503);
    roles.clock.set(right);
    roles.begin(&Roles::keys(1)).await;
}

/// AWS's own records name the person, and nobody's calls are made in another's name.
#[tokio::test]
async fn each_person_has_a_session_of_their_own() {
    let roles = Roles::start().await;
    let mut other = Key::new("CSGA0123456789EXAMPL2", "another+secret");
    other.at = roles.site.key.at;
    let grant = Grant {
        access_key_id: AccessKeyId::new(&other.id).unwrap(),
        secret_access_key: Secret::new(&other.secret),
        user: UserName::new("dan").unwrap(),
        ..roles.site.grant()
    };
    roles.site.publish_each([
        (Some(session("gateway", roles.key(), "dora")), roles.site.grant()),
        (Some(session("gateway", roles.key(), "dan")), grant),
    ]);
    let (doras, dans) = (Roles::keys(1), Roles::keys(2));
    roles.begin(&doras).await;
    let call = roles.send_with(&other).await;
    assert!(roles.give(&roles.site.real, "gateway", "dan", &dans).await.contains("RoleSessionName=dan"));
    roles.arrives(&dans).await;
    assert_eq!(call.await.unwrap().0, 200);
    roles.passes(&doras).await;
}

/// Another key at the bottom, or another role: what was had with the one before is not used any more.
#[tokio::test]
async fn a_change_of_the_credential_counts_from_the_next_call_on() {
    let roles = Roles::start().await;
    roles.begin(&Roles::keys(1)).await;
    // Published again, as after any change of something else.
    roles.publish(&session("gateway", roles.key(), "dora"));
    roles.passes(&Roles::keys(1)).await;
    roles.publish(&session("narrower", roles.key(), "dora"));
    let call = roles.send().await;
    roles.give(&roles.site.real, "narrower", "dora", &Roles::keys(2)).await;
    roles.arrives(&Roles::keys(2)).await;
    assert_eq!(call.await.unwrap().0, 200);
}

/// What is refused anyway is no reason to ask STS.
#[tokio::test]
async fn who_may_not_call_makes_nobody_ask() {
    let roles = Roles::start().await;
    roles.site.publish_as(Some(&session("gateway", roles.key(), "dora")), [roles.site.only(&["lambda"])]);
    assert_eq!(roles.send().await.await.unwrap().0, 403);
    let wrong = Key { secret: "wrong".into(), ..roles.site.key.clone() };
    assert_eq!(roles.send_with(&wrong).await.await.unwrap().0, 403);
    assert!(roles.site.cloud.is_quiet().await);
}

impl Roles {
    /// The first call of all, for which the session is asked.
    async fn begin(&self, keys: &Key) {
        let call = self.send().await;
        self.give(&self.site.real, "gateway", "dora", keys).await;
        self.arrives(keys).await;
        assert_eq!(call.await.unwrap().0, 200);
    }

    /// A call that is refused: whatever was sent before it has been looked at by then.
    async fn refused_meanwhile(&self) {
        let wrong = Key { secret: "wrong".into(), ..self.site.key.clone() };
        assert_eq!(self.send_with(&wrong).await.await.unwrap().0, 403);
    }

    /// A call goes through with `keys`, and nobody is asked.
    async fn passes(&self, keys: &Key) {
        let call = self.send().await;
        self.arrives(keys).await;
        assert_eq!(call.await.unwrap().0, 200);
    }

    /// Calls go on without interruption, until one is signed with the keys after those before.
    async fn changes_over(&self, before: &Key, after: &Key) {
        let goes_on = async {
            loop {
                let call = self.send().await;
                let mut at_the_cloud = self.site.cloud.call().await;
                let body = at_the_cloud.whole_body().await;
                let new = at_the_cloud.head.header("authorization").unwrap().contains(&after.id);
                if new { after } else { before }.verify(&at_the_cloud, &body);
                at_the_cloud.ok().await;
                assert_eq!(call.await.unwrap().0, 200);
                if new {
                    return;
                }
            }
        };
        within("calls with the new keys", Box::pin(goes_on)).await;
    }
}
