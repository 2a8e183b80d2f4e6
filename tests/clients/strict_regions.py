"""Which of moto's buckets S3 would serve at a host, signed for a region, and how it says no.

As in S3's user guide, "Virtual hosting of buckets" (backward compatibility) and "Request routing", and as HeadBucket is
described: where a bucket is, it tells anybody.
"""

import re
from dataclasses import dataclass

from moto.s3.models import s3_backends

from sigv4_verifier import Request

HOST = re.compile(
    r"(?:(?P<bucket>.+)\.)?(?P<endpoint>s3|s3-accelerate|s3-fips)(?:\.dualstack)?"
    r"(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com"
)
FIRST = "us-east-1"
# The only ones that DNS leads to from the global host; of a bucket in a region that came later, it says 400.
BEFORE_MARCH_2019 = {
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-central-1", "eu-north-1",
    "eu-west-1", "eu-west-2", "eu-west-3", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
    "ap-southeast-1", "ap-southeast-2",
}  # fmt: skip


@dataclass(frozen=True)
class Elsewhere:
    """S3's answer about a bucket that is not served so."""

    bucket: str
    status: str
    code: str
    region: str | None = None  # of the bucket, if there is one
    words: str = ""

    def send(self, request: Request, start_response):
        region = f"<Region>{self.region}</Region>" if self.code == "AuthorizationHeaderMalformed" else ""
        error = f"<Error><Code>{self.code}</Code><Message>{self.words}</Message>{region}<Bucket>{self.bucket}</Bucket></Error>"
        body = b"" if request.method == "HEAD" else error.encode()
        told = [("x-amz-bucket-region", self.region)] if self.region else []
        start_response(self.status, [("content-type", "application/xml"), ("content-length", str(len(body))), *told])
        return [body]


def told_to_anybody(request: Request) -> Elsewhere | None:
    """The answer to a HEAD of a bucket that nobody has signed."""
    host, bucket, key = named(request)
    signed = "authorization" in request.headers or "Signature=" in request.query
    if host is None or not bucket or key or request.method != "HEAD" or signed:
        return None
    region = region_of(bucket)
    if region is None:
        return Elsewhere(bucket, "404 Not Found", "NoSuchBucket")
    if region == (host["region"] or FIRST):
        return Elsewhere(bucket, "403 Forbidden", "AccessDenied", region)
    return Elsewhere(bucket, "301 Moved Permanently", "PermanentRedirect", region)


def elsewhere(request: Request, signed_for: str) -> Elsewhere | None:
    """None if the bucket is served, or there is none yet."""
    host, bucket, _ = named(request)
    region = region_of(bucket) if host and bucket else None
    if region is None:
        return None
    accelerated = host["endpoint"] == "s3-accelerate"
    stands_in_path = not host["bucket"] and not host["region"]
    if (host["region"] or (stands_in_path and FIRST) or region) != region:
        words = "The bucket you are attempting to access must be addressed using the specified endpoint."
        return Elsewhere(bucket, "301 Moved Permanently", "PermanentRedirect", region, words)
    if not host["region"] and not accelerated and region not in BEFORE_MARCH_2019:
        words = f"The {region} location constraint is incompatible for the region specific endpoint this request was sent to."
        return Elsewhere(bucket, "400 Bad Request", "IllegalLocationConstraintException", None, words)
    if signed_for != region:
        words = f"The authorization header is malformed; the region '{signed_for}' is wrong; expecting '{region}'"
        return Elsewhere(bucket, "400 Bad Request", "AuthorizationHeaderMalformed", region, words)
    return None


def named(request: Request) -> tuple[re.Match | None, str, str]:
    """S3's host, the bucket and the key; the bucket as it is written."""
    host = HOST.fullmatch(request.headers.get("host", "").lower().partition(":")[0])
    path = request.target.partition("?")[0].removeprefix("/")
    if host is None or host["bucket"]:
        return host, host["bucket"] if host else "", path
    bucket, _, key = path.partition("/")
    return host, bucket, key


def region_of(bucket: str) -> str | None:
    for account in list(s3_backends.values()):
        for backend in list(account.values()):
            if bucket in backend.buckets:
                return backend.buckets[bucket].region_name
    return None
