#!/usr/bin/env python3
"""An AWS stand-in that checks signatures: moto's server behind the verifier of `sigv4_verifier.py`.

    strict_moto.py --port 5001 --cert cloud.pem --key cloud.key --static AKID:SECRET[:TOKEN] --log verdicts.jsonl

A request reaches moto only if it is rightly signed, and sent to a host that belongs to the service and region it is
signed for. What is refused is refused in AWS's own format with the reason in `x-strict-reason`. Every verdict is one
line of JSON in the log. Services that moto lacks are verified, then echoed. A bucket of S3 is served where it is, and
signed for that region; elsewhere, clients are told so as S3 tells them: `strict_regions.py`.
"""

import argparse
import io
import json
import re
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import moto.backend_index
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

import strict_regions
import strict_roles
from sigv4_verifier import Refused, Request, verify

# Calls that AWS takes without a signature.
PUBLIC_TARGETS = {
    "ConfirmSignUp", "ForgotPassword", "GetCredentialsForIdentity", "GetId", "GetOpenIdToken", "GetUser", "InitiateAuth",
    "RespondToAuthChallenge", "SignUp",
}  # fmt: skip
PUBLIC_ACTIONS = (b"Action=AssumeRoleWithWebIdentity", b"Action=AssumeRoleWithSAML")

# Backends of moto that answer for one host together.
TWINS = (
    {"apigateway", "apigatewayv2"},
    {"apigateway", "execute-api"},
    {"dynamodb", "dynamodb_v20111205"},
    {"dynamodb", "dynamodbstreams"},
    {"s3", "s3bucket_path"},
    {"ses", "sesv2"},
)
SIGNING_NAME_TO_HOST = {"AWSMobileHubService": "mobile"}
REGION_IN_HOST = re.compile(r"[.-]((?:us|eu|ap|sa|ca|me|af|il|mx|cn)(?:-[a-z]+)+-\d)\.(?:amazonaws|api\.aws|on\.aws)")


class StrictMoto:
    """A WSGI application: verify, write the verdict down, then let moto answer."""

    def __init__(self, keys: dict[str, tuple[str, str | None]], log: Path):
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.keys = keys
        self.log = log
        self.log_lock = threading.Lock()

    def __call__(self, environ, start_response):
        request = read_request(environ)
        record = {
            "method": request.method,
            "host": request.headers.get("host"),
            "target": request.target,
            "headers": sorted(request.headers),
        }
        if told := strict_regions.told_to_anybody(request):
            self.write_down(record | {"asks_where": told.bucket})
            return told.send(request, start_response)
        try:
            application = self.application_for(environ)
            record |= self.judge(request, application)
        except Refused as reason:
            record["refused"] = str(reason)
        except Exception as error:  # a verifier that fails has not verified
            record["refused"] = f"VerifierError {type(error).__name__}: {error}"
        if elsewhere := "scope" in record and strict_regions.elsewhere(request, record["scope"].split("/")[1]):
            record["elsewhere"] = elsewhere.code
        self.write_down(record)
        if elsewhere:
            return elsewhere.send(request, start_response)
        if "refused" in record:
            return refuse(record["refused"], request, start_response)
        if record.get("scope", "").split("/")[2:3] == ["execute-api"]:
            application = echo
        environ["wsgi.input"] = io.BytesIO(request.body)
        return application(environ, start_response)

    def application_for(self, environ):
        try:
            return self.moto.get_application(environ)
        except AttributeError:  # how moto says that it has no such service
            return echo

    def judge(self, request: Request, application) -> dict:
        if "authorization" not in request.headers and "X-Amz-Signature" not in request.query and is_public(request):
            return {"unsigned": True}
        verdict = verify(request, self.secret_of, datetime.now(UTC))
        region, service = verdict.scope.split("/")[1:3]
        host = request.headers["host"].lower()
        if application is echo or service == "execute-api":
            check_echo_host(host, service, region)
        else:
            check_host(host, application.service, region)
        assumed = strict_roles.check_trust(request, verdict.key) if service == "sts" else {}
        return {
            **assumed,
            "key": verdict.key,
            "scope": verdict.scope,
            "signed_headers": verdict.signed_headers,
            "payload": verdict.payload,
            "presigned": verdict.presigned,
            "token": verdict.token,
        }

    def secret_of(self, key: str) -> tuple[str, str | None]:
        """The secret and session token of a key: given at the start, or made in moto since."""
        if key in self.keys:
            return self.keys[key]
        for account in list(iam_backends.values()):
            for partition in list(account.values()):
                for user in list(partition.users.values()):
                    for candidate in user.access_keys:
                        if candidate.access_key_id == key:
                            return candidate.secret_access_key, None
        if found := strict_roles.secret_of_session(key):
            return found
        raise Refused("UnknownAccessKey " + key)

    def write_down(self, record: dict) -> None:
        with self.log_lock, self.log.open("a") as log:
            log.write(json.dumps(record) + "\n")


class RawRequestHandler(MotoRequestHandler):
    """Hands on the headers as they came: WSGI's own form of them drops names with an underscore."""

    def make_environ(self):
        environ = super().make_environ()
        environ["strict.headers"] = self.headers.items()
        return environ


def read_request(environ) -> Request:
    chunked = environ.pop("HTTP_TRANSFER_ENCODING", None) or environ.get("wsgi.input_terminated")
    stream = environ["wsgi.input"]
    body = stream.read() if chunked else stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    headers: dict[str, str] = {}
    for name, value in environ["strict.headers"]:
        name = name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    target = re.sub(r"^https?://[^/]*", "", environ.get("RAW_URI") or environ["REQUEST_URI"]) or "/"
    return Request(environ["REQUEST_METHOD"], target, headers, body)


def is_public(request: Request) -> bool:
    operation = request.headers.get("x-amz-target", "").split(".")[-1]
    return operation in PUBLIC_TARGETS or any(action in request.body for action in PUBLIC_ACTIONS)


def check_host(host: str, backend: str, region: str) -> None:
    """moto itself goes by the credential scope alone; AWS would not."""
    bare = host.split(":")[0]
    patterns = [
        pattern
        for name, pattern in moto.backend_index.backend_url_patterns
        if name == backend or {name, backend} in TWINS
    ]
    urls = (f"https://{bare}/x", f"https://{bare}", f"http://{bare}")
    if not any(pattern.match(url) for pattern in patterns for url in urls):
        raise Refused(f"HostNotOfService host={bare} backend={backend}")
    found = REGION_IN_HOST.search(bare)
    if found and found[1] != region:
        raise Refused(f"RegionMismatch host={found[1]} scope={region}")


def check_echo_host(host: str, service: str, region: str) -> None:
    label = re.escape(SIGNING_NAME_TO_HOST.get(service, service))
    if not re.search(rf"(^|\.){label}\.({region}\.)?amazonaws\.com(:\d+)?$", host):
        raise Refused(f"HostNotOfService host={host} scope={service}/{region}")


def refuse(reason: str, request: Request, start_response):
    reason = reason.split("\n")[0]
    code = reason.split()[0]
    if "json" in request.headers.get("content-type", "") or "x-amz-target" in request.headers:
        kind, body = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": reason})
    elif b"Action=" in request.body:
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{reason}</Message></Error>"
        kind, body = "text/xml", f"<ErrorResponse>{error}<RequestId>strict</RequestId></ErrorResponse>"
    else:
        kind, body = "application/xml", f"<Error><Code>{code}</Code><Message>{reason}</Message></Error>"
    extra = [("x-strict-reason", reason), ("x-amzn-errortype", code)]
    return answer("403 Forbidden", kind, body, start_response, extra)


def echo(environ, start_response):
    told = {
        "method": environ["REQUEST_METHOD"],
        "uri": environ.get("RAW_URI"),
        "host": environ.get("HTTP_HOST"),
        "target": environ.get("HTTP_X_AMZ_TARGET"),
    }
    return answer("200 OK", "application/json", json.dumps({"echo": told}), start_response)


def answer(status: str, kind: str, text: str, start_response, extra=()):
    body = text.encode()
    start_response(status, [("content-type", kind), ("content-length", str(len(body))), *extra])
    return [body]


class PatientContext(ssl.SSLContext):
    """Shakes hands where a connection is served, not where it is accepted: who connects and says nothing holds up
    nobody else."""

    def wrap_socket(self, *arguments, **options) -> ssl.SSLSocket:
        return super().wrap_socket(*arguments, **{**options, "do_handshake_on_connect": False})


def tls_context(chain: str, key: str | None) -> ssl.SSLContext:
    context = PatientContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("--cert", help="PEM chain; without one, plain HTTP")
    parser.add_argument("--key")
    parser.add_argument("--static", action="append", default=[], metavar="AKID:SECRET[:TOKEN]")
    parser.add_argument("--log", type=Path, default=Path("verdicts.jsonl"))
    parser.add_argument("--session-seconds", type=int, help="how long sessions of roles last, whatever was asked for")
    arguments = parser.parse_args()
    if arguments.session_seconds:
        strict_roles.let_sessions_last(arguments.session_seconds)

    keys: dict[str, tuple[str, str | None]] = {}
    for static in arguments.static:
        key, secret, *token = static.split(":", 2)
        keys[key] = (secret, token[0] if token else None)
    run_simple(
        arguments.host,
        arguments.port,
        StrictMoto(keys, arguments.log),
        threaded=True,
        ssl_context=tls_context(arguments.cert, arguments.key) if arguments.cert else None,
        request_handler=RawRequestHandler,
    )


if __name__ == "__main__":
    main()
