"""HTTP/2 as AWS's library in C speaks it, in a process of its own: beside it botocore would sign everything with it."""

import asyncio
import base64
import json
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

from .crt import CRT


def call_over_http2(way: Any, host: str, calls: list[dict[str, str]], body: bytes) -> list[list]:
    """POSTs `body` with each of these heads over one connection: its version, and the status and text of each answer."""
    proxy = urlsplit(way.proxy_url)
    given = {
        "host": host,
        "proxy": [proxy.hostname, proxy.port],
        "ca": str(way.ca),
        "calls": calls,
        "body": base64.b64encode(body).decode(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "harness.crt_http2"],
        input=json.dumps(given),
        cwd=CRT.parent.parent / "clients",
        env={**way.environment(), "PYTHONPATH": str(CRT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout)


async def main(given: dict) -> list[list]:
    from awscrt.aio.http import AIOHttp2ClientConnection
    from awscrt.http import HttpHeaders, HttpProxyConnectionType, HttpProxyOptions, HttpRequest
    from awscrt.io import ClientTlsContext, TlsContextOptions

    options = TlsContextOptions()
    options.override_default_trust_store_from_path(None, given["ca"])
    options.alpn_list = ["h2"]
    tls = ClientTlsContext(options).new_connection_options()
    tls.set_server_name(given["host"])
    name, port = given["proxy"]
    connection = await AIOHttp2ClientConnection.new(
        given["host"],
        443,
        tls_connection_options=tls,
        proxy_options=HttpProxyOptions(name, port, connection_type=HttpProxyConnectionType.Tunneling),
    )
    answers = []
    for call in given["calls"]:
        # What HTTP/2 has instead of them, the library makes of these.
        request = HttpRequest("POST", "/", HttpHeaders([("host", given["host"]), *call.items()]))

        async def body():
            yield base64.b64decode(given["body"])

        stream = connection.request(request, body())
        status, text = await stream.get_response_status_code(), b""
        while chunk := await stream.get_next_response_chunk():
            text += chunk
        answers.append([connection.version.name, status, text.decode()])
    await connection.close()
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
