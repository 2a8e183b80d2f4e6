//! Where a bucket is, and at which host it is served: for SigV2, which names no region, where the host names none either.
//!
//! S3 says of any bucket where it is, to whoever asks and whatever else it answers (API Reference, `HeadBucket`:
//! "regardless of the permissions on the bucket"). It is asked as AWS's SDK for Go does it (`GetBucketRegion`): unsigned,
//! in one region, the bucket in the path. So one host knows all buckets, and names with dots need no certificate.

use http::{HeaderMap, HeaderName};

use super::host::{Host, bucket_in};
use crate::model::Call;

static BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// Its bucket is nowhere yet; where it shall be, its body says.
const MAKES_A_BUCKET: &str = "CreateBucket";

impl Host<'_> {
    /// The address whose headers tell in which region the bucket is that `call` is about, sent to this host, whose name is
    /// `name`, with this path. None if the host names a region, or the bucket can be but in the partition's global one.
    pub fn asks_where(&self, name: &str, path: &str, call: &Call) -> Option<String> {
        if !self.is_of_any_region() || call.operation.is_some_and(|operation| operation.name == MAKES_A_BUCKET) {
            return None;
        }
        let in_path = || path.strip_prefix('/')?.split('/').next();
        let bucket = bucket_in(name).or_else(in_path).filter(|bucket| may_be_anywhere(bucket))?;
        Some(format!("https://s3.{}.{}/{bucket}", self.home(), self.suffix()?))
    }

    /// The host that serves in `region` what this one, whose name is `name`, would serve or send there: buckets that are
    /// new, lie in a region opened after March 2019, or stand in the path, the global host only redirects (User Guide,
    /// "Virtual hosting of buckets"). None where it is this one for every region: S3's accelerator.
    pub fn in_region(&self, name: &str, region: &str) -> Option<String> {
        let global = format!("s3.{}", self.suffix()?);
        let before = name.strip_suffix(&global).filter(|before| before.is_empty() || before.ends_with('.'))?;
        Some(format!("{before}s3.{region}.{}", self.suffix()?))
    }
}

/// The region that an answer with these headers tells, whichever it is.
pub fn region_told(headers: &HeaderMap) -> Option<&str> {
    let mut told = headers.get_all(&BUCKET_REGION).iter();
    let first = told.next()?.to_str().ok()?;
    told.next().is_none().then_some(first)
}

/// By today's rules for names (User Guide, "Bucket naming rules"). Those of before 2018 held in us-east-1 alone.
fn may_be_anywhere(bucket: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [bucket.bytes().next(), bucket.bytes().next_back()];
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|byte| is_plain(byte) || matches!(byte, b'-' | b'.'))
        && ends.into_iter().flatten().all(is_plain)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;
    use crate::cloud::aws::Catalogue;

    fn host(name: &str) -> Host<'static> {
        Catalogue::embedded().host(name).unwrap_or_else(|| panic!("{name}"))
    }

    fn asked(name: &str, method: &str, target: &str) -> Option<String> {
        let (parts, ()) = Request::builder().method(method).uri(target).body(()).unwrap().into_parts();
        let host = host(name);
        let call = host.claim("s3", host.home()).unwrap().name(&parts, &[], |_| true).call;
        host.asks_where(name, parts.uri.path(), &call)
    }

    #[test]
    fn s3_is_asked_where_nothing_else_tells() {
        for (name, method, target, bucket) in [
            ("papers.s3.amazonaws.com", "GET", "/key", Some("papers")),
            ("papers.s3.amazonaws.com", "GET", "/", Some("papers")),
            ("my.dotted.papers.s3.amazonaws.com", "PUT", "/a/b", Some("my.dotted.papers")),
            ("s3.papers.s3.amazonaws.com", "GET", "/s3/x", Some("s3.papers")),
            ("s3.amazonaws.com", "GET", "/papers/key", Some("papers")),
            ("s3.amazonaws.com", "GET", "/my.dotted.papers", Some("my.dotted.papers")),
            ("s3.amazonaws.com", "HEAD", "/papers/", Some("papers")),
            ("papers.s3-accelerate.amazonaws.com", "PUT", "/key", Some("papers")),
            ("papers.s3-accelerate.dualstack.amazonaws.com", "GET", "/key", Some("papers")),
            // No bucket, or one that is still to be made.
            ("s3.amazonaws.com", "GET", "/", None),
            ("s3.amazonaws.com", "PUT", "/papers", None),
            ("papers.s3.amazonaws.com", "PUT", "/", None),
            // By the rules of before, which held in us-east-1 alone; and what is no name at all.
            ("s3.amazonaws.com", "GET", "/Papers/key", None),
            ("s3.amazonaws.com", "GET", "/old_papers/key", None),
            ("s3.amazonaws.com", "GET", "/pa%70ers/key", None),
            ("s3.amazonaws.com", "GET", "/../key", None),
            ("s3.amazonaws.com", "GET", "//key", None),
            ("s3.amazonaws.com", "GET", "/-papers/key", None),
            ("s3.amazonaws.com", "GET", "/papers./key", None),
            ("s3.amazonaws.com", "GET", "/arn:aws:s3:us-east-1:123456789012:accesspoint/p/k", None),
            // The host says it.
            ("papers.s3.us-east-1.amazonaws.com", "GET", "/key", None),
            ("papers.s3.dualstack.eu-west-1.amazonaws.com", "GET", "/key", None),
            ("s3-eu-west-1.amazonaws.com", "GET", "/papers/key", None),
            ("s3-external-1.amazonaws.com", "GET", "/papers/key", None),
            ("papers.s3.cn-north-1.amazonaws.com.cn", "GET", "/key", None),
            ("point-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", "GET", "/key", None),
            ("papers.bucket.vpce-1a2b-3c4d.s3.eu-west-1.vpce.amazonaws.com", "GET", "/key", None),
        ] {
            let expected = bucket.map(|bucket| format!("https://s3.us-east-1.amazonaws.com/{bucket}"));
            assert_eq!(asked(name, method, target), expected, "{method} {name} {target}");
        }
        assert_eq!(asked("s3.amazonaws.com", "GET", &format!("/{}/key", "a".repeat(64))), None);
    }

    #[test]
    fn a_bucket_is_served_in_its_region() {
        for (name, served) in [
            ("papers.s3.amazonaws.com", Some("papers.s3.eu-west-1.amazonaws.com")),
            ("my.dotted.papers.s3.amazonaws.com", Some("my.dotted.papers.s3.eu-west-1.amazonaws.com")),
            ("s3.papers.s3.amazonaws.com", Some("s3.papers.s3.eu-west-1.amazonaws.com")),
            ("s3.amazonaws.com", Some("s3.eu-west-1.amazonaws.com")),
            ("papers.s3-accelerate.amazonaws.com", None),
            ("papers.s3-accelerate.dualstack.amazonaws.com", None),
        ] {
            let found = host(name).in_region(name, "eu-west-1");
            assert_eq!(found.as_deref(), served);
            if let Some(found) = found {
                assert_eq!((host(&found).region(), host(&found).is_s3()), (Some("eu-west-1"), true));
                assert_eq!(host(&found).names_bucket(), host(name).names_bucket());
                assert_eq!(bucket_in(&found), bucket_in(name));
            }
        }
    }

    #[test]
    fn an_answer_tells_one_region_or_none() {
        let told = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(&BUCKET_REGION, HeaderValue::from_bytes(value).unwrap());
            }
            region_told(&headers).map(str::to_owned)
        };
        assert_eq!(told(&[b"eu-west-1"]).as_deref(), Some("eu-west-1"));
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[b"eu-west-1", b"us-west-2"]), None);
        assert_eq!(told(&[b"\xff"]), None);
    }
}
