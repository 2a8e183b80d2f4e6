//! From host, method, path and target to service, region and operation without an allocation.
#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml permits these in tests, but does not see that this is one as a whole"
)]

use allocation_counter::measure;
use csg::cloud::aws::Catalogue;
use http::{Request, request::Parts};

fn parts(method: &str, target: &str, header: Option<(&str, &str)>) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn a_call_is_known_without_allocation() {
    let form = Some(("content-type", "application/x-www-form-urlencoded"));
    let catalogue = Catalogue::embedded();
    for (host, signs, parts, body) in [
        (
            "dynamodb.us-east-1.amazonaws.com",
            "dynamodb",
            parts("POST", "/", Some(("x-amz-target", "DynamoDB_20120810.PutItem"))),
            "",
        ),
        ("my-bucket.s3.us-east-1.amazonaws.com", "s3", parts("GET", "/reports/2026/part-0.parquet", None), ""),
        ("sns.us-east-1.amazonaws.com", "sns", parts("POST", "/", form), "Action=Publish&Version=2010-03-31&Message=m"),
        ("lambda.us-east-1.amazonaws.com", "lambda", parts("POST", "/2015-03-31/functions/f/invocations", None), ""),
        ("route53.amazonaws.com", "route53", parts("GET", "/2013-04-01/hostedzone/Z1/rrset", None), ""),
        ("ec2.us-east-1.amazonaws.com", "ec2", parts("POST", "/", form), "Action=DescribeInstances&Version=2016-11-15"),
    ] {
        let name = || {
            let known = catalogue.host(host).unwrap();
            let claim = known.claim(signs, "us-east-1").unwrap();
            assert!(claim.name(&parts, body.as_bytes(), |_| true).call.operation.is_some());
        };
        name(); // a service's operations become a table when it is first called
        assert_eq!(measure(name).count_total, 0, "{host}");
    }
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1, "they are counted");
}
