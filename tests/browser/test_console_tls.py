"""The console over TLS: whom Chromium and curl trust, what Chromium keeps, and what it is told on every page."""

import re
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from browsing.chromium import launch, trust
from browsing.headers import wrong_headers
from browsing.person import Person
from browsing.places import PLACES, Scene
from browsing.site import Site
from harness.gateway import Gateway
from harness.process import wait_until

HOST = "gateway.example.test"
UNTRUSTED = 60  # curl's exit status for a certificate that it does not trust


@pytest.fixture(scope="module")
def site(make_gateway: Callable) -> Site:
    """A console on every address of the machine, that people reach by its name."""
    gateway = make_gateway({}, {"gateway": {"hostnames": [HOST, "127.0.0.1"]}}, console="0.0.0.0")
    site = Site(gateway)
    site.url = f"https://{HOST}:{gateway.console_port}"
    return site


@pytest.fixture(scope="module")
def chromium(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Trusts the gateway's authority, and knows where its name leads."""
    home = tmp_path_factory.mktemp("home")
    trust(home, site.gateway.ca)
    with sync_playwright() as playwright:
        browser = launch(playwright, f"--host-resolver-rules=MAP {HOST} 127.0.0.1", home=home)
        yield browser
        browser.close()


def curl(site: Site, *arguments: str, url: str | None = None) -> subprocess.CompletedProcess:
    port = site.gateway.console_port
    command = ["curl", "-sS", "--noproxy", "*", "--resolve", f"{HOST}:{port}:127.0.0.1", *arguments, url or site.url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_who_trusts_the_ca_trusts_the_console_and_nobody_else_does(site: Site):
    ca = str(site.gateway.ca)
    for url in (site.url, site.gateway.console_url):
        for version in ("1.2", "1.3"):
            only = [f"--tlsv{version}", "--tls-max", version]
            assert curl(site, "--cacert", ca, *only, url=f"{url}/healthz").stdout == "ok\n", (url, version)
        assert curl(site, url=url).returncode == UNTRUSTED
    port = site.gateway.console_port
    other = curl(site, "--cacert", ca, "--resolve", f"other.test:{port}:127.0.0.1", url=f"https://other.test:{port}/")
    assert other.returncode == UNTRUSTED and "subject name" in other.stderr, other
    old = curl(site, "--cacert", ca, "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
    assert old.returncode == 35, old


def test_plain_http_leads_to_https(site: Site):
    plain = site.url.replace("https:", "http:")
    sent_on = curl(site, "-i", url=f"{plain}/sign-in?next=/account").stdout
    assert sent_on.startswith("HTTP/1.1 307 ") and f"location: {site.url}/sign-in?next=/account" in sent_on, sent_on
    assert "strict-transport-security" not in sent_on
    followed = curl(site, "-L", "--cacert", str(site.gateway.ca), url=f"{plain}/sign-in").stdout
    assert "<h1>Sign in</h1>" in followed
    refused = curl(site, "-H", "Authorization: Bearer x", url=f"{plain}/api/v1/me").stdout
    assert f"This port speaks TLS: use {site.url}" in refused


def test_the_cookies_as_chromium_holds_them(site: Site, browse: Callable):
    dora = browse(site.url)
    # What another host of the domain, or somebody on the way, may have put there is never taken for a session.
    token = site.session("dora")
    dora.context.add_cookies([{"name": "csg_session", "value": token, "url": site.url}])
    dora.visit("/account")
    assert dora.path == "/sign-in"
    dora.context.clear_cookies()
    dora.sign_in("dora")
    cookies = {cookie["name"]: cookie for cookie in dora.context.cookies()}
    assert "__Host-csg_session" in cookies
    for name, cookie in cookies.items():
        assert name.startswith("__Host-"), cookie
        # A domain without a dot in front: of this host alone.
        expected = {"domain": HOST, "path": "/", "secure": True, "httpOnly": True, "sameSite": "Lax"}
        assert {key: cookie[key] for key in expected} == expected
    assert dora.page.evaluate("document.cookie") == ""
    # None of them goes out in clear, and the session ends with signing out.
    assert dora.context.cookies(site.url.replace("https:", "http:")) == []
    dora.sign_out()
    assert "__Host-csg_session" not in {cookie["name"] for cookie in dora.context.cookies()}


def test_once_there_chromium_never_comes_in_clear_again(site: Site, browse: Callable):
    plain = site.url.replace("https:", "http:")

    def comes_in_clear(person: Person) -> bool:
        """Whether the way over http led out of the browser, or was turned within it."""
        answer = person.page.goto(f"{plain}/sign-in")
        assert person.page.url == f"{site.url}/sign-in"
        turned = answer.request.redirected_from.response()
        assert turned.status == 307
        return turned.headers.get("non-authoritative-reason") != "HSTS"

    dora = browse(site.url, friends=[plain])
    assert comes_in_clear(dora)
    assert not comes_in_clear(dora)


@pytest.fixture(scope="module")
def scene(site: Site) -> Scene:
    for name in sorted({place.who for place in PLACES if place.who} - set(site.people)):
        site.add_person(name)
    return Scene(site)


@pytest.mark.parametrize("who", sorted({place.who or "" for place in PLACES}))
def test_every_page_guards_itself_over_tls(who: str, scene: Scene, browse: Callable):
    person = browse(scene.site.url).is_signed_in(scene.site, who or None)
    for place in PLACES:
        if (place.who or "") == who and isinstance(place.where, str):
            answer = person.visit(place.where.format(**scene.ids))
            assert wrong_headers(answer.headers, over_tls=True) == [], place
            assert person.page.evaluate("window.isSecureContext")
            # All that it names is fetched over TLS, too: `Person` minds whatever is asked of another place.
            assert "http://" not in re.sub(r"http://(127\.0\.0\.1|gateway\.example\.test):\d+", "", answer.text()), (
                place
            )


def test_a_page_changes_by_itself_over_tls(scene: Scene, browse: Callable):
    site = scene.site
    dora = browse(site.url).sign_in("dora")
    request = dora.ask("DynamoDB")
    with dora.page.expect_response(re.compile(r"/live\?")) as live:
        dora.visit(f"/access-requests/{request}")
    assert live.value.headers["content-type"].startswith("text/event-stream")
    site.decide(request, comment="by itself")
    dora.page.get_by_role("button", name="Show the secret once").wait_for()
    assert "by itself" in dora.text()
    key, secret = dora.take_secret(request)
    assert key and secret


def test_the_pages_name_the_right_addresses(scene: Scene, browse: Callable):
    site = scene.site
    admin = browse(site.url).is_signed_in(site, "admin")
    admin.visit("/system")
    assert site.url in admin.text() and "Certificate of the console ends" in admin.text()
    assert "plain HTTP" not in admin.text()
    # The gateway's port speaks plain HTTP as a proxy: HTTPS_PROXY and the CA's address stay what they are.
    admin.visit("/ca")
    with admin.page.expect_download() as download:
        admin.page.locator("a[href='/ca/pem']").first.click()
    assert download.value.path().read_bytes() == site.gateway.ca.read_bytes()
    request = site.team.ask("sns")["id"]
    site.decide(request)
    shown = site.people["dora"].post(f"/access-requests/{request}/secret")
    assert shown["ca_url"] == f"{site.gateway.proxy_url}/cert/pem"


def make_certificate(folder: Path, name: str) -> str:
    """A self-signed certificate and its key, as `console.tls` names them; what a client sees of it."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "30"]
    command += ["-keyout", str(folder / "console.key"), "-out", str(folder / "console.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return (folder / "console.pem").read_text()


def test_a_given_certificate_is_shown_and_its_successor_without_a_restart(tmp_path: Path, make_gateway: Callable):
    first = make_certificate(tmp_path, "first")
    files = {"cert": str(tmp_path / "console.pem"), "key": str(tmp_path / "console.key")}
    gateway: Gateway = make_gateway({}, {"console.tls": files})

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", gateway.console_port))

    assert shown() == first
    assert f"https://127.0.0.1:{gateway.console_port}" in gateway.running().text()
    second = make_certificate(tmp_path, "second")
    wait_until(lambda: shown() == second, 60, "the new certificate")
    # Half of a pair is of no use, and changes nothing.
    (tmp_path / "console.key").write_text("no key")
    wait_until(lambda: "keeps the certificate that it has" in gateway.running().text(), 60, "a word in the log")
    assert shown() == second
