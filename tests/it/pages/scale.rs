//! With 10,000 access requests and 1,000 people a page reads what it shows: records are counted, since time depends on
//! the machine. What it takes is printed, too: `cargo test --test it scale -- --nocapture`, of an optimised build.

use std::time::{Duration, Instant};

use csg::{
    clock::{Clock, Timestamp},
    model::{
        AccessKeyId, AccessRequest, AccessRequestId, CloudId, CredentialId, EnvironmentId, Role, RoleAssignment,
        ServiceId, Status, User, UserName,
    },
    store::{
        MasterKey, Order, Read as _, Span, Store, Writer,
        tables::{
            access_keys::{ACCESS_KEYS, AccessKeyRecord},
            access_requests,
            credentials::CREDENTIALS,
            environments::ENVIRONMENTS,
            tokens::{self, TokenRecord},
            users::{self, UserRecord},
        },
    },
};
use serde_json::{Value, json};

use super::browser::Browser;
use crate::api::harness::Console;

const PEOPLE: u64 = 1_000;
const REQUESTS: u64 = 10_000;

/// An environment, and the credential of those who have access in it.
type Place = (EnvironmentId, CredentialId);

fn id(number: u64) -> AccessRequestId {
    AccessRequestId::new(format!("01m84{number:021}")).unwrap()
}

/// The last thousand wait; of the others, every status has as many.
fn request(number: u64, now: Timestamp, places: &[Place; 2]) -> AccessRequest {
    let status = if number >= REQUESTS - 1_000 { Status::Pending } else { Status::ALL[1 + (number % 7) as usize] };
    let had = !matches!(status, Status::Pending | Status::Denied | Status::Withdrawn);
    let place = (number / 3 % 2) as usize;
    AccessRequest {
        id: id(number),
        environment: places[place].0.clone(),
        cloud: CloudId::aws(),
        services: [["dynamodb", "sns"], ["lambda", "ses"]][(number % 2) as usize]
            .map(|id| ServiceId::new(id).unwrap())
            .into(),
        status,
        requested_by: person(number % PEOPLE),
        justification: "The order service keeps its orders in a table and tells customers of them. ".repeat(5),
        duration_seconds: Some(30 * 86_400),
        requested_policy_group: None,
        created_at: now,
        decided_by: None,
        decided_at: None,
        decision_comment: None,
        credential: had.then(|| places[place].1.clone()),
        policy_group: None,
        expires_at: None,
        allow_credential_operations: Vec::new(),
        version: 1,
    }
}

fn person(number: u64) -> UserName {
    UserName::new(format!("person-{number}")).unwrap()
}

fn fill(console: &Console) {
    let root = console.sign_in("root");
    let place = |id: &str| {
        let credential = CredentialId::new(console.credential(id, &root)).unwrap();
        (EnvironmentId::new(id).unwrap(), credential)
    };
    fill_store(&console.store, console.clock.now(), &["dev", "prod"].map(place));
}

fn fill_store(store: &Store, now: Timestamp, places: &[Place; 2]) {
    let all = |writer: &mut Writer| {
        for number in 0..PEOPLE {
            let role = RoleAssignment { role: Role::Developer, environment: None };
            let user = User {
                name: person(number),
                roles: vec![role],
                disabled: false,
                created_at: now,
                second_factor: false,
            };
            users::put(writer, &UserRecord { user, password: String::new() })?;
        }
        // Each person is signed in somewhere, and has a token that has ended.
        for number in 0..PEOPLE {
            for (name, ends) in [(None, now.plus(Duration::from_hours(1))), (Some("nightly".into()), now)] {
                let record = TokenRecord {
                    id: format!("t-{number}"),
                    user: person(number),
                    created_at: now,
                    expires_at: ends,
                    address: None,
                    client: None,
                    last_used_at: None,
                    name,
                };
                let sha256 = format!("{number:063}{}", u8::from(record.name.is_some()));
                tokens::put(writer, &sha256, &record)?;
            }
        }
        for number in 0..REQUESTS {
            let request = request(number, now, places);
            access_requests::put(writer, &request)?;
            if request.credential.is_some() {
                let key = AccessKeyId::new(format!("CSGA{number:016}")).unwrap();
                let record = AccessKeyRecord {
                    created_at: now,
                    revealed_at: Some(now),
                    secret: None,
                    overlap_seconds: 0,
                    ends_at: None,
                };
                writer.put(&ACCESS_KEYS, &(request.id, key), &record)?;
            }
        }
        Ok::<_, csg::store::Error>(())
    };
    store.transact(all).unwrap();
}

/// Not a test: for `tests/browser/test_scale.py`, which asks the executable as it is shipped.
#[test]
#[ignore = "fills the data directory that CSG_FILL names"]
fn fill_a_data_directory() {
    let directory = std::path::PathBuf::from(std::env::var_os("CSG_FILL").expect("CSG_FILL is a data directory"));
    let key = MasterKey::read(&directory.join("master.key")).unwrap();
    let store = Store::open(&directory.join("csg.redb"), &key).unwrap();
    let reader = store.read().unwrap();
    let (credential, _) = reader.first(&CREDENTIALS, &Span::all(), Order::Ascending).unwrap().expect("a credential");
    let environments = reader.all(&ENVIRONMENTS, &Span::all(), Order::Ascending).unwrap();
    let [first, second, ..] = &environments[..] else { panic!("there are to be two environments") };
    fill_store(&store, Clock::system().now(), &[first, second].map(|(id, _)| (id.clone(), credential.clone())));
}

/// How many records `work` reads, once it has been done before. Prints that, and the shortest time it took.
fn reads<T>(store: &Store, name: &str, work: impl Fn() -> T) -> u64 {
    drop(work());
    let (mut shortest, mut records) = (Duration::MAX, 0);
    for _ in 0..8 {
        let (before, began) = (store.records_read(), Instant::now());
        drop(work());
        (shortest, records) = (shortest.min(began.elapsed()), records.max(store.records_read() - before));
    }
    println!("{:>7.2} ms {records:>6} records  {name}", shortest.as_secs_f64() * 1000.0);
    records
}

#[test]
fn each_list_reads_what_it_shows() {
    let console = Console::furnished();
    let began = Instant::now();
    fill(&console);
    println!("{:>7.2} s to fill the store", began.elapsed().as_secs_f64());
    let store = &console.store;
    let [anna, paula] = ["anna", "paula"].map(|name| Browser::signed_in(&console, name));
    let token = console.sign_in("anna");
    assert!(anna.page("/access-requests").contains("1000 wait for you"));

    // A row costs the request, its entry in the index and its keys; a page, its frame and the beginnings of its runs.
    let bound = |rows: u64| 60 + 5 * rows;
    for path in [
        "/access-requests",
        "/access-requests?status=active",
        "/access-requests?environment=prod",
        "/access-requests?requested_by=person-7",
        "/access-requests?service=ses",
        "/access-requests?service=lambda&environment=dev&requested_by=person-9&status=revoked",
        "/access-requests?service=glacier",
        "/access-requests?requested_by=nobody",
        &format!("/access-requests?after=waiting.{}", id(REQUESTS - 20)),
        &format!("/access-requests?after=decided.{}", id(4_000)),
        &format!("/access-requests/{}", id(REQUESTS - 1)),
        &format!("/access-requests/{}/decide", id(REQUESTS - 1)),
    ] {
        for (name, browser) in [("anna", &anna), ("paula", &paula)] {
            let known = browser.get(path).status;
            let count = reads(store, &format!("{name} {path}"), || browser.get(path));
            assert!(count <= bound(40), "{name} {path}: {known}, {count} records");
        }
    }
    let chosen: Vec<_> = (0..40).map(|back| format!("request={}", id(REQUESTS - 1 - back))).collect();
    let forty = format!("/access-requests/several?step=deny&{}", chosen.join("&"));
    assert!(reads(store, "anna, forty to confirm", || anna.page(&forty)) <= 60 + 8 * 40);
    let living = "/environments/dev/cloud-services";
    for path in ["/access-requests", living] {
        let weight = anna.page(path).len() + console.weight_of_assets();
        println!("{weight} bytes: {path} with all that belongs to it");
        assert!(weight < 100_000, "{path}: {weight} bytes");
    }
    assert!(reads(store, living, || anna.page(living)) <= bound(75));

    for path in [
        "/access-requests",
        "/access-requests?status=pending,active&environment=dev&service=sns",
        "/environments/dev/access-requests?requested_by=person-3",
        &format!("/access-requests?cursor={}", id(5_000)),
    ] {
        let count = reads(store, &format!("REST {path}"), || console.get(path, &token).expect(200));
        assert!(count <= bound(50), "{path}: {count} records");
    }

    // What is in use is known without looking at every request.
    let root = console.sign_in("root");
    let credential = console.credential("dev", &root);
    let refused = || console.send("DELETE", "/environments/dev", &root, &Value::Null).problem(409);
    assert!(refused()["detail"].as_str().unwrap().contains("more than 100"), "{}", refused());
    assert!(reads(store, "an environment in use", refused) <= 200);
    let refused = || console.send("DELETE", &format!("/credentials/{credential}"), &root, &Value::Null).problem(409);
    assert!(refused()["detail"].as_str().unwrap().contains("more than 100"), "{}", refused());
    assert!(reads(store, "a credential in use", refused) <= 200);
    let unlink = || {
        console.send("PATCH", &format!("/credentials/{credential}"), &root, &json!({"environments": []})).problem(409)
    };
    assert!(reads(store, "a credential to be unlinked", unlink) <= 200);
}

/// Every page by who looks at it, and how many records it may read: what the navigation leads to, and what that does.
#[test]
#[expect(clippy::too_many_lines, reason = "a table of pages")]
fn each_page_reads_what_it_shows() {
    let console = Console::furnished();
    fill(&console);
    let store = &console.store;
    let root = console.sign_in("root");
    let credential = console.credential("dev", &root);
    let (pending, active) = (id(REQUESTS - 2), id(1 + 7 * 6));
    let [frame, looked_at] = [60, 1_000];
    let list = frame + 5 * 50;
    let everybodys = ["/account", "/account/second-factor", "/tokens", "/ca", "/clients", "/api", "/search"];
    let mut places: Vec<(&str, String, u64)> = Vec::new();
    for name in ["root", "anna", "dora", "ada"] {
        places.extend(everybodys.map(|path| (name, path.to_owned(), frame)));
        // Looks through the newest thousand, however many there are.
        places.extend(
            ["person-7", "nothing-of-that-name"].map(|q| (name, format!("/search?q={q}"), list + 2 * looked_at)),
        );
    }
    for name in ["root", "anna"] {
        places.extend([
            (name, "/access-requests".into(), list),
            (name, format!("/access-requests/{pending}"), frame),
            (name, format!("/access-requests/{pending}/decide"), frame + 5 * 20),
            (name, format!("/access-requests/{active}"), frame),
            (name, format!("/access-requests/several?step=revoke&request={active}"), frame),
            (name, "/environments/dev/cloud-services".into(), list + 5 * 75),
            (name, "/credentials".into(), list),
            (name, format!("/credentials/{credential}"), list),
        ]);
    }
    places.extend(
        [
            ("root", "/welcome", frame),
            ("root", "/environments", list),
            ("root", "/environments/dev", frame),
            ("root", "/environments/dev/delete", list),
            ("root", "/new/environment", frame),
            ("root", "/new/credential", frame),
            ("root", "/people", list),
            ("root", "/people?q=person-99", list),
            ("root", "/people?q=99", list),
            ("root", "/people?q=nobody-of-that-name", frame),
            ("root", "/people/person-7", frame),
            ("root", "/people/person-7/disable", frame + 2 * 10),
            ("root", "/people/person-7/roles/take?role=developer&environment=*", frame),
            ("root", "/new/person", frame),
            ("root", "/settings", frame),
            ("root", "/system", frame),
            ("root", "/audit", list),
            ("ada", "/audit", list),
            ("dora", "/environments/dev/cloud-services", frame),
            ("dora", "/environments/dev/cloud-services/request", frame),
            ("dora", "/environments/dev/usage", frame),
            ("root", "/environments/dev/usage", frame),
        ]
        .map(|(name, path, bound)| (name, path.to_owned(), bound)),
    );
    places.push(("root", format!("/credentials/{credential}/delete"), list));
    // Done after every commit, as the appliance does it: what has ended does not pile up.
    let forget = || console.workflow.expire_due().unwrap();
    assert!(reads(store, "what has ended is forgotten", forget) <= 4);
    let browsers = ["root", "anna", "dora", "ada"].map(|name| (name, Browser::signed_in(&console, name)));
    for (name, path, bound) in places {
        let (_, browser) = browsers.iter().find(|(known, _)| *known == name).unwrap();
        assert_eq!(browser.get(&path).status, 200, "{name} {path}");
        let count = reads(store, &format!("{name} {path}"), || browser.page(&path));
        assert!(count <= bound, "{name} {path}: {count} records, more than {bound}");
    }

    for path in ["/users/person-7/tokens", "/users?limit=20", "/tokens", "/sessions"] {
        let count = reads(store, &format!("REST {path}"), || console.get(path, &root).expect(200));
        assert!(count <= frame, "{path}: {count} records");
    }
    // What is done once, and not to be done again to be measured.
    let once = |name: &str, bound: u64, work: &dyn Fn()| {
        let before = store.records_read();
        work();
        let count = store.records_read() - before;
        println!("{count:>17} records  {name}");
        assert!(count <= bound, "{name}: {count} records, more than {bound}");
    };
    console.post("/environments", &root, &json!({"id": "empty", "name": "Empty"})).expect(201);
    once("an environment is deleted", frame, &|| {
        console.send("DELETE", "/environments/empty", &root, &Value::Null).expect(204);
    });
    once("a person loses their roles", frame, &|| {
        console.send("PATCH", "/users/person-7", &root, &json!({"roles": []})).expect(200);
    });
    once("a person is disabled, and signed out everywhere", frame, &|| {
        console.send("PATCH", "/users/person-7", &root, &json!({"disabled": true})).expect(200);
    });
    once("somebody signs in", frame, &|| drop(console.sign_in("dora")));

    // A credential that much stands on is looked through page by page, each access once.
    let mut path = format!("/credentials/{credential}");
    let mut seen = Vec::new();
    loop {
        let page = browsers[0].1.page(&path);
        let uses =
            page.split("href=\"/access-requests/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        seen.extend(uses.filter(|id| id.len() == 26));
        let Some(next) = page.split("?after=").nth(1) else { break };
        path = format!("/credentials/{credential}?after={}", next.split('#').next().unwrap());
    }
    let nowhere = ["dev", "prod"].map(|id| (EnvironmentId::new(id).unwrap(), CredentialId::new("c-1").unwrap()));
    let living = |number: &u64| request(*number, console.clock.now(), &nowhere);
    let dev = (0..REQUESTS).map(|number| living(&number)).filter(|request| request.environment.as_str() == "dev");
    let mut dev: Vec<_> = dev
        .filter(|request| matches!(request.status, Status::Approved | Status::Active))
        .map(|request| request.id.to_string())
        .collect();
    dev.reverse();
    assert_eq!(seen, dev);
}
