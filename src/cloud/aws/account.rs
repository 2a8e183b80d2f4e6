//! Which accounts a request names, outside its body, so that a call can be kept to the accounts of its environment; and
//! whose a bucket has to be, which S3 is told where a bucket's name tells no account.
//!
//! What is not looked at: parameters of JSON and query calls, wherever they stand, bodies, and names without an account.

use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};

use super::{
    form,
    hints::{Hints, Told},
};
use crate::model::{AccountId, Accounts, Call};

/// Headers whose value is the account that is addressed, in the order of [`Hints`]. S3 takes them in the query of a
/// presigned URL, too.
static OWNERS: [HeaderName; 3] = [ADDRESSED, BUCKET_OWNER, SOURCE_OWNER];
const ADDRESSED: HeaderName = HeaderName::from_static("x-amz-account-id");
const BUCKET_OWNER: HeaderName = HeaderName::from_static("x-amz-expected-bucket-owner");
const SOURCE_OWNER: HeaderName = HeaderName::from_static("x-amz-source-expected-bucket-owner");

/// What is copied: a bucket and key, or an ARN.
const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");

/// The operations of S3 that don't take the owner: those that address no bucket, or none that somebody has already.
const WITHOUT_OWNER: [&str; 6] =
    ["CreateBucket", "CreateSession", "ListBuckets", "ListDirectoryBuckets", "RenameObject", "WriteGetObjectResponse"];

/// Labels of hosts behind a name that ends in its account: `name-123456789012.s3-accesspoint.us-east-1.amazonaws.com`.
const NAMED_WITH_ACCOUNT: [&str; 5] =
    ["s3-accesspoint", "s3-accesspoint-fips", "s3-object-lambda", "s3-object-lambda-fips", "s3-outposts"];

/// Accounts that were found; a request may name several.
#[derive(Debug, Default)]
pub(super) struct Found(Accounts);

impl Found {
    pub(super) fn add(&mut self, account: impl IntoIterator<Item = AccountId>) {
        for account in account {
            if !self.0.contains(&account) {
                self.0.push(account);
            }
        }
    }

    /// Adds those that host, headers and query name; none if one of them can't be read as it should.
    pub(super) fn add_of(&mut self, parts: &Parts, hints: &Hints<'_>) -> Option<()> {
        self.add(in_host(hints.host.and_then(|host| host.to_str().ok()).unwrap_or_default()));
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        // Escapes make a key longer only: in most queries none is long enough.
        let may_tell = form::pairs(query).any(|(key, _)| key.len() >= ADDRESSED.as_str().len());
        let query = if may_tell { query } else { b"" };
        for (name, of_header) in OWNERS.iter().zip(hints.owners) {
            match (of_header, form::count_in_any_case(query, name.as_str())) {
                (Told::Nothing, 0) => {}
                (Told::Nothing, 1) => {
                    let told = form::values(query, name.as_str()).next()?;
                    self.add([whole(std::str::from_utf8(told).ok()?)?]);
                }
                (Told::Once(told), 0) => self.add([whole(std::str::from_utf8(told.as_bytes()).ok()?)?]),
                _ => return None,
            }
        }
        if hints.copies {
            for source in parts.headers.get_all(COPY_SOURCE) {
                self.add(inside(source.to_str().ok()?));
            }
        }
        for source in form::values(query, COPY_SOURCE.as_str()) {
            self.add(inside(std::str::from_utf8(source).ok()?));
        }
        Some(())
    }

    /// Adds those in the query of a REST call: what is called an account or an owner (`domain-owner`, `accountId`,
    /// `meshOwner`), and ARNs; Lambda takes a function's without its beginning.
    pub(super) fn add_of_query(&mut self, query: &str) {
        // An account's number has twelve digits.
        for (key, value) in form::pairs(query.as_bytes()).filter(|(_, value)| value.len() >= 12) {
            let (Some(key), Some(value)) = (form::decode(key), form::decode(value)) else { continue };
            let (Ok(key), Ok(value)) = (std::str::from_utf8(&key), std::str::from_utf8(&value)) else { continue };
            let value = value.trim();
            if let Ok(account) = AccountId::new(value)
                && ["account", "owner"].iter().any(|word| contains(key, word))
            {
                self.add([account]);
            }
            let is_arn = value.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("arn:"));
            if is_arn || key.eq_ignore_ascii_case("functionname") {
                self.add(value.split(':').find_map(|part| AccountId::new(part).ok()));
            }
        }
    }

    /// Adds those in the path of an address such as `/123456789012/queue`.
    pub(super) fn add_of_path(&mut self, path: &str) {
        self.add(path.split('/').filter_map(whole));
    }

    pub(super) fn into_accounts(self) -> Accounts {
        self.0
    }
}

/// Does `word` stand in `text`, in whatever case?
fn contains(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// The account that `label` is, once decoded.
pub(super) fn whole(label: &str) -> Option<AccountId> {
    // Most are too short, which is seen at once.
    if label.len() < 12 {
        return None;
    }
    let text = form::decode(label.as_bytes())?;
    AccountId::new(std::str::from_utf8(&text).ok()?).ok()
}

/// The account inside `label`, an ARN (`arn:aws:lambda:us-east-1:123456789012:function:x`) or what is left of one where
/// a service takes it without its beginning, as Lambda does (`us-east-1:123456789012:x`, `123456789012:x`).
pub(super) fn inside(label: &str) -> Option<AccountId> {
    if !may_be_inside(label) {
        return None;
    }
    let text = form::decode(label.as_bytes())?;
    let text = std::str::from_utf8(&text).ok()?;
    text.contains(':').then(|| text.split(':').find_map(|part| AccountId::new(part).ok()))?
}

/// A quick look whether there can be one [`inside`].
pub(super) fn may_be_inside(label: &str) -> bool {
    label.bytes().any(|byte| matches!(byte, b':' | b'%'))
}

/// The account at the end of the first label of the hosts of access points.
fn in_host(host: &str) -> Option<AccountId> {
    let mut labels = host.split('.');
    let (_, account) = labels.next()?.rsplit_once('-')?;
    labels
        .take(2)
        .any(|label| NAMED_WITH_ACCOUNT.iter().any(|known| label.eq_ignore_ascii_case(known)))
        .then_some(())?;
    AccountId::new(account).ok()
}

/// Tells S3 that the buckets of `call` have to be `account`'s, where that can be told and the client has not told it: what
/// the client says is signed, and was compared when the call was permitted.
pub fn expect_owner(headers: &mut HeaderMap, call: &Call, account: &AccountId) {
    let Some(operation) = call.operation.filter(|operation| !WITHOUT_OWNER.contains(&operation.name)) else { return };
    let Ok(value) = HeaderValue::from_str(account.as_str()) else { return };
    if call.service.as_str() == "s3" {
        if matches!(operation.name, "CopyObject" | "UploadPartCopy") {
            headers.entry(SOURCE_OWNER).or_insert_with(|| value.clone());
        }
        headers.entry(BUCKET_OWNER).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::model::{CloudId, Names, Operation, ServiceId, Twins};

    const ONE: &str = "123456789012";
    const TWO: &str = "210987654321";

    fn named(request: Request<()>) -> Option<Vec<String>> {
        let (mut found, parts) = (Found::default(), request.into_parts().0);
        found.add_of(&parts, &Hints::of(&parts.headers))?;
        Some(found.into_accounts().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn accounts_are_seen_however_they_are_written() {
        for (label, account) in [
            ("arn:aws:lambda:us-east-1:123456789012:function:f", Some(ONE)),
            ("arn%3Aaws%3alambda:us-east-1:%3123456789012:function:f", Some(ONE)),
            ("arn::lambda:us-east-1:123456789012:function:f", Some(ONE)),
            ("arn:aws:lambda:123456789012:function:f", Some(ONE)),
            ("us-east-1:123456789012:function:f", Some(ONE)),
            ("123456789012:f", Some(ONE)),
            ("arn:aws:s3:::bucket", None),
            ("arn:aws:apigateway:us-east-1::/restapis/abc", None),
            ("123456789012", None),
            ("f:1", None),
            ("arn:aws:lambda:us-east-1:1234567890123:function:f", None),
        ] {
            assert_eq!(inside(label).as_ref().map(AccountId::as_str), account, "{label}");
        }
        for (label, account) in [(ONE, Some(ONE)), ("%3123456789012", Some(ONE)), ("-", None), ("12345678901", None)] {
            assert_eq!(whole(label).as_ref().map(AccountId::as_str), account, "{label}");
        }
    }

    #[test]
    fn hosts_headers_and_queries_name_accounts() {
        let request = |host: &str, target: &str, headers: &[(&str, &str)]| {
            let all = headers
                .iter()
                .fold(Request::get(target).header("host", host), |r, (name, value)| r.header(*name, *value));
            named(all.body(()).unwrap())
        };
        let found = |accounts: &[&str]| Some(accounts.iter().map(|&account| account.to_owned()).collect::<Vec<_>>());
        let s3 = "s3.us-east-1.amazonaws.com";
        for (host, target, headers, accounts) in [
            (s3, "/", vec![], found(&[])),
            ("my-point-123456789012.s3-accesspoint.us-east-1.amazonaws.com", "/", vec![], found(&[ONE])),
            ("My-Point-123456789012.S3-AccessPoint-FIPS.dualstack.us-east-1.amazonaws.com", "/", vec![], found(&[ONE])),
            ("p-123456789012.s3-object-lambda.us-east-1.amazonaws.com", "/", vec![], found(&[ONE])),
            ("p-123456789012.op-01ac5d28a6a232904.s3-outposts.us-east-1.amazonaws.com", "/", vec![], found(&[ONE])),
            // A bucket may be called so.
            ("logs-123456789012.s3.us-east-1.amazonaws.com", "/", vec![], found(&[])),
            (s3, "/", vec![("x-amz-account-id", ONE)], found(&[ONE])),
            (
                s3,
                "/",
                vec![("x-amz-expected-bucket-owner", ONE), ("x-amz-source-expected-bucket-owner", TWO)],
                found(&[ONE, TWO]),
            ),
            (s3, "/?x-amz-expected-bucket-owner=%3123456789012", vec![], found(&[ONE])),
            (
                s3,
                "/",
                vec![("x-amz-copy-source", "arn%3Aaws%3As3%3Aus-east-1%3A123456789012%3Aaccesspoint%2Fp%2Fobject%2Fk")],
                found(&[ONE]),
            ),
            (
                s3,
                "/?x-amz-copy-source=arn%3Aaws%3As3%3Aus-east-1%3A123456789012%3Aaccesspoint%2Fp",
                vec![],
                found(&[ONE]),
            ),
            (s3, "/", vec![("x-amz-copy-source", "bucket/key:with:colons")], found(&[])),
            // What may be read in two ways.
            (s3, "/", vec![("x-amz-account-id", ONE), ("x-amz-account-id", ONE)], None),
            (s3, "/?x-amz-expected-bucket-owner=123456789012", vec![("x-amz-expected-bucket-owner", TWO)], None),
            (s3, "/?X-Amz-Expected-Bucket-Owner=123456789012&x-amz-expected-bucket-owner=210987654321", vec![], None),
            (s3, "/?X-Amz-Expected-Bucket-Owner=123456789012", vec![], None),
            (s3, "/", vec![("x-amz-expected-bucket-owner", "123456789012,210987654321")], None),
            (s3, "/", vec![("x-amz-expected-bucket-owner", "")], None),
        ] {
            assert_eq!(request(host, target, &headers), accounts, "{host} {target} {headers:?}");
        }
        let mut found = Found::default();
        found.add_of_path("/123456789012/queue/%3210987654321");
        assert_eq!(found.into_accounts().iter().map(AccountId::as_str).collect::<Vec<_>>(), [ONE, TWO]);
    }

    #[test]
    fn queries_of_rest_calls_name_accounts() {
        for (query, accounts) in [
            ("domain=d&domain-owner=123456789012", vec![ONE]),
            ("Domain%2dOwner=%3123456789012+", vec![ONE]),
            ("accountId=123456789012&accountId=210987654321", vec![ONE, TWO]),
            ("meshOwner=123456789012;backupVaultAccountId=210987654321", vec![ONE, TWO]),
            ("EventSourceArn=arn%3Aaws%3Asqs%3Aus-east-1%3A123456789012%3Aq&x=1", vec![ONE]),
            ("x=+ARN:aws:sqs:us-east-1:123456789012:q", vec![ONE]),
            ("FunctionName=123456789012%3Afunction%3Af", vec![ONE]),
            // Not every number is an account, and not every text with an ARN in it addresses what that names.
            ("size=123456789012&token=a:123456789012:b&q=see+arn:aws:sqs:us-east-1:123456789012:q", vec![]),
            ("owner=self&accountId=%zz&arn=arn:aws:s3:::bucket&flag&=", vec![]),
            ("", vec![]),
        ] {
            let mut found = Found::default();
            found.add_of_query(query);
            assert_eq!(found.into_accounts().iter().map(AccountId::as_str).collect::<Vec<_>>(), accounts, "{query}");
        }
    }

    #[test]
    fn s3_is_told_whose_a_bucket_has_to_be() {
        let told = |service: &str, operation: &'static str, headers: &[(&'static str, &'static str)]| {
            let call = Call {
                cloud: CloudId::aws(),
                service: ServiceId::new(service).unwrap(),
                operation: Some(Operation::plain(operation)),
                accounts: Accounts::new(),
                twins: Twins::new(),
                names: Names::Untold,
            };
            let mut map: HeaderMap =
                headers.iter().map(|&(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
            expect_owner(&mut map, &call, &AccountId::new(ONE).unwrap());
            [BUCKET_OWNER, SOURCE_OWNER].map(|name| map.get(name).map(|value| value.to_str().unwrap().to_owned()))
        };
        let (one, two) = (Some(ONE.to_owned()), Some(TWO.to_owned()));
        assert_eq!(told("s3", "GetObject", &[]), [one.clone(), None]);
        assert_eq!(told("s3", "CopyObject", &[]), [one.clone(), one.clone()]);
        assert_eq!(told("s3", "GetObject", &[("x-amz-expected-bucket-owner", TWO)]), [two, None]);
        for operation in WITHOUT_OWNER {
            assert_eq!(told("s3", operation, &[]), [None, None], "{operation}");
        }
        assert_eq!(told("s3control", "GetBucket", &[]), [None, None]);
        // What the list is made from: all others of the model have the member.
        let s3 = super::super::Catalogue::embedded().service("s3").unwrap();
        assert!(WITHOUT_OWNER.iter().all(|name| s3.operation(name).is_some()));
    }
}
