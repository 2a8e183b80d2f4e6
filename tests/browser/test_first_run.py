"""From an empty directory to the first signed call, as whoever installs the gateway sees it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browsing.site import PASSWORD
from harness.calls import call
from harness.certificates import CloudCertificates
from harness.clients import Way
from harness.cloud import REAL_KEY, Key, StrictMoto
from harness.gateway import Gateway
from harness.process import wait_until


@pytest.fixture
def new_gateway(tmp_path: Path, cloud: StrictMoto, certificates: CloudCertificates) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path / "gateway", certificates.ca, {"*.amazonaws.com": cloud.address}).start()
    yield gateway
    gateway.stop()


def test_first_run_to_the_first_signed_call(new_gateway: Gateway, browse: Callable, tmp_path: Path):
    gateway = new_gateway
    log = gateway.running()
    [link] = wait_until(lambda: re.findall(r"http://\S+/setup\?token=\S+", log.text()), 10, "the set-up link")
    sam = browse(gateway.console_url)

    # Nobody gets in without the link.
    sam.visit("/")
    assert sam.path == "/setup"
    sam.visit(link)
    sam.fill("User name", "admin")
    sam.fill("Password", PASSWORD)
    sam.press("Make administrator")
    assert sam.heading() == "First steps"

    sam.fill("Name", "Development account")
    sam.fill("Access key id", REAL_KEY.id)
    sam.fill("Secret access key", REAL_KEY.secret)
    sam.press("Test and add it")
    assert REAL_KEY.secret not in sam.page.content()
    assert "account 123456789012" in sam.text(), "what AWS says of the key"

    # It can be left and resumed.
    sam.sign_out()
    sam.sign_in("admin")
    if sam.path != "/welcome":
        sam.visit("/welcome")
    sam.fill("Name", "Staging")
    sam.fill("Id", "staging")
    sam.press("Make the environment")

    with sam.page.expect_download() as download:
        sam.page.get_by_role("link", name=re.compile("PEM")).first.click()
    ca = tmp_path / "ca.pem"
    download.value.save_as(ca)
    assert ca.read_bytes() == gateway.ca.read_bytes()
    assert browse(gateway.console_url).visit(link).status == 410, "the link works once"

    admin = gateway.sign_in("admin")
    for name, role, environment in (("dora", "developer", "staging"), ("anna", "approver", None)):
        roles = [{"role": role, "environment": environment}]
        admin.post("/users", username=name, password=PASSWORD, roles=roles)
    dora = browse(gateway.console_url).sign_in("dora")
    request = dora.ask("DynamoDB")
    anna = browse(gateway.console_url).sign_in("anna")
    anna.visit(f"/access-requests/{request}/decide")
    assert "in account 123456789012 until" in anna.text(), "as whom the calls will be made"
    anna.press("Approve access")
    dora.visit(f"/access-requests/{request}")
    endpoint = dora.page.get_by_text(re.compile(r"^http://[\w.-]+:\d+$")).first.inner_text()
    assert endpoint.endswith(f":{gateway.port}")
    key, secret = dora.take_secret(request)
    way = Way(gateway.proxy_url, ca, Key(key, secret))
    assert call(way, "dynamodb")["TableNames"] == []
