"""An independent SigV4 verifier: the judge of what the gateway signs.

It shares no code with the gateway or with botocore, works on the request as it came over the wire, and is strict: what
AWS refuses, or might refuse, it refuses. Pure: the request, a way to look up keys, and the time come in.

References: "Authenticating requests (AWS Signature Version 4)" and "Signature Version 4 streaming" in the AWS docs.
"""

import base64
import hashlib
import hmac
import io
import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote, unquote_to_bytes

CLOCK_TOLERANCE_SECONDS = 15 * 60
UNRESERVED = "-_.~"
S3_SIGNING_NAMES = {"s3", "s3-object-lambda", "s3-outposts", "s3express"}
# Headers that belong to one connection: a proxy may change them, so a signature over them is a trap.
HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/,]+)/(?P<scope>[^,]+),\s*"
    r"SignedHeaders=(?P<signed_headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """Why a request is not rightly signed; the first word is a code."""


@dataclass
class Request:
    """A request as it arrived. Header names are in lower case, repeated headers joined with a comma."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


@dataclass
class Verdict:
    """What a rightly signed request was signed with."""

    key: str
    scope: str
    signed_headers: list[str]
    payload: str
    presigned: bool
    token: bool


@dataclass
class _Claim:
    """What a request says of its own signature."""

    key: str
    scope: str
    signed_headers: str
    signature: str
    date: str
    token: str | None
    expires: int | None = None  # presigned only
    scope_parts: list[str] = field(default_factory=list)

    @property
    def presigned(self) -> bool:
        return self.expires is not None


def verify(request: Request, secret_of, now: datetime, normalise: bool = True) -> Verdict:
    """Check everything; `secret_of(key)` gives (secret, session token or None) or raises `Refused`."""
    claim = _read_claim(request)
    secret, token = secret_of(claim.key)
    if claim.token != token:
        raise Refused("SecurityToken is not the key's own")
    _check_time(claim, now)
    _check_signed_headers(request, claim)

    s3 = claim.scope_parts[2] in S3_SIGNING_NAMES
    payload = _payload_hash(request, claim, s3)
    canonical = _canonical_request(request, claim, payload, s3, normalise)
    key = signing_key(secret, claim.scope)
    to_sign = "\n".join(["AWS4-HMAC-SHA256", claim.date, claim.scope, _sha256(canonical.encode())])
    if not hmac.compare_digest(_hmac(key, to_sign).hex(), claim.signature):
        raise Refused("SignatureDoesNotMatch\n" + canonical)
    if payload.startswith("STREAMING-"):
        _verify_chunks(request, claim, payload, key)
    return Verdict(
        key=claim.key,
        scope=claim.scope,
        signed_headers=claim.signed_headers.split(";"),
        payload="hash" if SHA256_HEX.fullmatch(payload) else payload,
        presigned=claim.presigned,
        token=claim.token is not None,
    )


def sign(request: Request, key: str, secret: str, scope: str, date: str, signed_headers: list[str]) -> str:
    """The Authorization header of `request`, by the same rules: for what no SDK's signer would send."""
    claim = _Claim(key, scope, ";".join(sorted(signed_headers)), "", date, None, scope_parts=scope.split("/"))
    payload = request.headers.get("x-amz-content-sha256", _sha256(request.body))
    canonical = _canonical_request(request, claim, payload, s3=claim.scope_parts[2] in S3_SIGNING_NAMES, normalise=True)
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, _sha256(canonical.encode())])
    signature = _hmac(signing_key(secret, scope), to_sign).hex()
    return f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={claim.signed_headers}, Signature={signature}"


def signing_key(secret: str, scope: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _read_claim(request: Request) -> _Claim:
    headers = request.headers
    parameters = {
        unquote(name): unquote(value) for name, _, value in (p.partition("=") for p in request.query.split("&"))
    }
    authorization = headers.get("authorization")
    if authorization and "X-Amz-Signature" in parameters:
        raise Refused("TwoSignatures: in the query and in a header")
    if authorization:
        found = AUTHORIZATION.fullmatch(authorization)
        if not found:
            raise Refused("AuthorizationFormat " + authorization[:60])
        claim = _Claim(
            date=headers.get("x-amz-date", ""), token=headers.get("x-amz-security-token"), **found.groupdict()
        )
    elif "X-Amz-Signature" in parameters:
        key, _, scope = parameters["X-Amz-Credential"].partition("/")
        claim = _Claim(
            key=key,
            scope=scope,
            signed_headers=parameters["X-Amz-SignedHeaders"],
            signature=parameters["X-Amz-Signature"],
            date=parameters["X-Amz-Date"],
            token=parameters.get("X-Amz-Security-Token"),
            expires=int(parameters["X-Amz-Expires"]),
        )
    else:
        raise Refused("MissingAuthenticationToken")
    claim.scope_parts = claim.scope.split("/")
    return claim


def _check_time(claim: _Claim, now: datetime) -> None:
    if len(claim.scope_parts) != 4 or claim.scope_parts[3] != "aws4_request":
        raise Refused("Scope " + claim.scope)
    if not re.fullmatch(r"\d{8}T\d{6}Z", claim.date) or not claim.date.startswith(claim.scope_parts[0] + "T"):
        raise Refused(f"ScopeDate {claim.scope_parts[0]} against {claim.date!r}")
    signed_at = datetime.strptime(claim.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    age = (now - signed_at).total_seconds()
    late = age > claim.expires if claim.presigned else age > CLOCK_TOLERANCE_SECONDS
    if late or age < -CLOCK_TOLERANCE_SECONDS:
        raise Refused(f"RequestTimeTooSkewed by {age:.0f} s")


def _check_signed_headers(request: Request, claim: _Claim) -> None:
    signed = claim.signed_headers.split(";")
    if "host" not in signed or signed != sorted(set(signed)) or claim.signed_headers != claim.signed_headers.lower():
        raise Refused("SignedHeaders " + claim.signed_headers)
    absent = [name for name in signed if name not in request.headers]
    if absent:
        raise Refused("SignedHeadersAbsent " + ",".join(absent))
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in signed]
    if unsigned and not claim.presigned:
        raise Refused("UnsignedAmzHeaders " + ",".join(unsigned))
    if HOP_BY_HOP.intersection(signed):
        raise Refused("SignedHopByHop " + ",".join(sorted(HOP_BY_HOP.intersection(signed))))


def _payload_hash(request: Request, claim: _Claim, s3: bool) -> str:
    """The last line of the canonical request, checked against the body where it names a hash."""
    declared = request.headers.get("x-amz-content-sha256")
    actual = _sha256(request.body)
    if declared is None:
        if s3 and not claim.presigned:
            raise Refused("MissingContentSHA256")
        return "UNSIGNED-PAYLOAD" if s3 else actual
    if declared == "UNSIGNED-PAYLOAD" or declared.startswith("STREAMING-"):
        return declared
    if declared != actual:
        raise Refused("XAmzContentSHA256Mismatch")
    return declared


def _canonical_request(request: Request, claim: _Claim, payload: str, s3: bool, normalise: bool) -> str:
    names = claim.signed_headers.split(";")
    headers = "".join(f"{name}:{re.sub(' +', ' ', request.headers[name].strip())}\n" for name in names)
    return "\n".join(
        [
            request.method,
            _canonical_path(request.path, once=s3, normalise=normalise),
            _canonical_query(request.query, without="X-Amz-Signature" if claim.presigned else None),
            headers,
            claim.signed_headers,
            payload,
        ]
    )


def _canonical_path(raw: str, once: bool, normalise: bool) -> str:
    """S3 encodes once and keeps the path; everyone else normalises it and encodes what is already encoded."""
    if once:  # decoded as a form is, `+` included: aws/aws-sdk-net#4473
        return quote(unquote_to_bytes(raw.replace("+", " ")), safe="/" + UNRESERVED) or "/"
    if normalise:
        segments: list[str] = []
        for segment in raw.split("/"):
            if segment == "..":
                del segments[-1:]
            elif segment not in ("", "."):
                segments.append(segment)
        raw = "/" + "/".join(segments) + ("/" if raw.endswith(("/", "/.", "/..")) and segments else "")
    return quote(raw, safe="/" + UNRESERVED)


def _canonical_query(raw: str, without: str | None) -> str:
    def encoded(text: str) -> str:
        return quote(unquote_to_bytes(text.replace("+", "%20")), safe=UNRESERVED)

    pairs = [
        (encoded(name), encoded(value)) for name, _, value in (part.partition("=") for part in raw.split("&") if part)
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs) if unquote(name) != without)


def _verify_chunks(request: Request, claim: _Claim, kind: str, key: bytes) -> None:
    """An aws-chunked body: each chunk's signature, the trailer's, and the checksums that it declares."""
    signed = "HMAC" in kind
    previous = claim.signature
    stream, data = io.BytesIO(request.body), b""

    def signature_of(algorithm: str, *rest: str) -> str:
        return _hmac(key, "\n".join([algorithm, claim.date, claim.scope, previous, *rest])).hex()

    while True:
        head, _, extension = stream.readline().rstrip(b"\r\n").partition(b";")
        if not re.fullmatch(rb"[0-9a-fA-F]+", head):
            raise Refused(f"ChunkHead {head[:40]!r}")
        size = int(head, 16)
        chunk = stream.read(size)
        if len(chunk) != size:
            raise Refused("ChunkTruncated")
        data += chunk
        if signed:
            expected = signature_of("AWS4-HMAC-SHA256-PAYLOAD", _sha256(b""), _sha256(chunk))
            if extension.decode() != "chunk-signature=" + expected:
                raise Refused("ChunkSignature")
            previous = expected
        if size == 0:
            break
        if stream.read(2) != b"\r\n":
            raise Refused("ChunkEnd")

    trailers = _read_trailers(stream.read())
    trailer_signature = trailers.pop("x-amz-trailer-signature", None)
    announced = [name.strip().lower() for name in request.headers.get("x-amz-trailer", "").split(",") if name.strip()]
    if sorted(trailers) != sorted(announced):
        raise Refused(f"Trailers {sorted(trailers)} but announced {sorted(announced)}")
    if signed and kind.endswith("TRAILER"):
        lines = "".join(f"{name}:{trailers[name]}\n" for name in sorted(trailers))
        if trailer_signature != signature_of("AWS4-HMAC-SHA256-TRAILER", _sha256(lines.encode())):
            raise Refused("TrailerSignature")
    if str(len(data)) != request.headers.get("x-amz-decoded-content-length"):
        raise Refused("DecodedContentLength")
    _check_checksums(trailers, data)


def _read_trailers(raw: bytes) -> dict[str, str]:
    lines = [line.decode() for line in raw.replace(b"\r\n", b"\n").split(b"\n") if line]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _check_checksums(trailers: dict[str, str], data: bytes) -> None:
    known = {
        "x-amz-checksum-crc32": lambda: zlib.crc32(data).to_bytes(4, "big"),
        "x-amz-checksum-sha1": lambda: hashlib.sha1(data).digest(),
        "x-amz-checksum-sha256": lambda: hashlib.sha256(data).digest(),
    }
    for name, value in trailers.items():
        if name in known and base64.b64encode(known[name]()).decode() != value:
            raise Refused("TrailerChecksum " + name)


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), hashlib.sha256).digest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
