"""What root and the service's own user may do at the machine, without signing in: the set-up link, and a way back in."""

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.certificates import CloudCertificates
from harness.console import ApiError
from harness.gateway import PASSWORD, Gateway
from harness.paths import CSG
from harness.process import Process, wait_until

# Of no user that this machine has.
OWNER, STRANGER = 64001, 64002


def csg(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(CSG), *map(str, arguments)]
    return subprocess.run(command, env=os.environ, input=given, capture_output=True, text=True, timeout=60)


def link(gateway: Gateway) -> dict:
    ran = csg("setup-link", "--json", "--config", gateway.configuration)
    assert ran.returncode == 0 and ran.stderr == "", ran
    return json.loads(ran.stdout)


def use(url: str, name: str = "sam") -> int:
    """Sends the form behind the link, and gives the status that answers."""
    address, token = url.split("?token=")
    form = urllib.parse.urlencode({"token": token, "username": name, "password": PASSWORD}).encode()

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
    try:
        return opener.open(urllib.request.Request(address, form), timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def fresh(tmp_path: Path, certificates: CloudCertificates) -> Iterator[Gateway]:
    """A gateway that nobody has set up."""
    gateway = Gateway(tmp_path / "fresh", certificates.ca, {})
    yield gateway
    if gateway.process:
        gateway.stop()


def test_a_new_link_makes_the_old_one_dead_and_works_once(fresh: Gateway):
    fresh.start()
    printed = wait_until(lambda: [word for word in fresh.running().text().split() if "/setup?token=" in word], 30, "it")
    first, second = link(fresh), link(fresh)
    assert (first["running"], second["running"]) == (True, True)
    assert first["url"].startswith(f"{fresh.console_url}/setup?token=")
    life = time.mktime(time.strptime(second["expires_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())
    assert 3500 < life <= 3600
    assert [use(printed[0]), use(first["url"])] == [403, 403], "only the newest"
    assert use(second["url"]) == 303
    assert use(second["url"], "mallory") == 410, "once"
    ran = csg("setup-link", "--config", fresh.configuration)
    assert (ran.returncode, ran.stdout) == (1, "")
    says = f"this gateway is set up already, and needs no link: sign in at {fresh.console_url}"
    assert ran.stderr == f"csg: {says}\n"
    events = [event for event in fresh.sign_in("sam").events() if event["action"] == "set_up.begin"]
    assert [event["detail"] for event in events] == ["on the machine itself, by root"] * 2 + [None]


def test_one_of_a_stopped_gateway_works_once_it_runs(fresh: Gateway):
    ran = csg("setup-link", "--config", fresh.configuration)
    assert ran.returncode == 1 and "is not initialised: run `csg init` or `csg serve` first" in ran.stderr, ran
    fresh.start().stop()
    told = link(fresh)
    assert told["running"] is False
    # Nor does a restart make it dead.
    fresh.start().stop()
    assert fresh.start().running().text().count("/setup?token=") == 1, "that of the very first start"
    assert use(told["url"]) == 303


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be somebody else")
def test_it_is_for_the_service_s_own_user_and_root_and_for_nobody_else(certificates: CloudCertificates):
    """Whether the gateway runs or not."""
    folder = Path(tempfile.mkdtemp(prefix="csg-test-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        executable = folder / "csg"
        shutil.copy(CSG, executable)
        gateway = Gateway(folder / "site", certificates.ca, {})
        # It lies where others can't read.
        gateway.configure(lambda text: re.sub('"ca_file" = .*\n', "", text))

        def acting(uid: int) -> list[str]:
            return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", str(executable)]

        def ask(uid: int) -> subprocess.CompletedProcess[str]:
            command = [*acting(uid), "setup-link", "--json", "--config", str(gateway.configuration)]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        (gateway.folder / "data").mkdir(mode=0o700)
        os.chown(gateway.folder / "data", OWNER, OWNER)
        serve = [*acting(OWNER), "serve", "--config", str(gateway.configuration)]
        for running in (True, False):
            if running:
                gateway.process = Process(serve, gateway.folder / "csg.log")
                wait_until(gateway.is_healthy, 30, "GET /healthz to answer 200")
            stranger = ask(STRANGER)
            assert (stranger.returncode, stranger.stdout) == (1, ""), stranger
            assert len(stranger.stderr.splitlines()) == 1, stranger
            for uid in (OWNER, 0):
                told = ask(uid)
                assert (told.returncode, told.stderr) == (0, ""), (uid, running, told)
                assert json.loads(told.stdout)["running"] is running
            if running:
                assert gateway.stop() == 0
        owners = {path.stat().st_uid for path in (gateway.folder / "data").rglob("*")}
        assert owners == {OWNER}, "what root did, the service can still open"
    finally:
        shutil.rmtree(folder)


def test_the_page_of_a_dead_link_says_what_to_run(fresh: Gateway):
    fresh.start()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{fresh.console_url}/setup?token=csg_setup_dead", timeout=30)
    assert caught.value.code == 403 and "csg setup-link" in caught.value.read().decode()


def code(key: str) -> str:
    """Of an authenticator app: RFC 6238."""
    tag = hmac.new(base64.b32decode(key.replace(" ", "")), (int(time.time()) // 30).to_bytes(8, "big"), hashlib.sha1)
    digest = tag.digest()
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


@pytest.mark.parametrize("running", [True, False])
def test_the_only_administrator_comes_in_again_without_telephone_and_codes(
    running: bool, make_gateway: Callable[..., Gateway]
):
    gateway = make_gateway({})
    admin = gateway.sign_in("admin")
    key = admin.post("/me/second-factor", password=PASSWORD)["key"]
    admin.token = admin.post("/me/second-factor/confirm", otp=code(key))["session"]["token"]
    with pytest.raises(ApiError, match="second_factor_required"):
        gateway.sign_in("admin")
    if not running:
        gateway.stop()

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return csg("user", *arguments, "--local", "--config", gateway.configuration, given=given)

    nobody = run("reset-second-factor", "nobody")
    assert (nobody.returncode, nobody.stderr) == (1, "csg: there is no such user\n")
    assert run("reset-second-factor", "admin").stdout == "admin signs in with the password alone now.\n"
    again = run("reset-second-factor", "admin")
    assert (again.returncode, again.stderr) == (1, "csg: admin has no second factor\n")
    short = run("reset-password", "admin", given="short\n")
    assert short.returncode == 1 and "password must" in short.stderr, short
    assert run("reset-password", "admin", given="another password\n").returncode == 0
    if not running:
        gateway.start()
    with pytest.raises(ApiError, match="401"):
        admin.get("/me")
    with pytest.raises(ApiError, match="401"):
        gateway.sign_in("admin")
    admin.token = None
    admin.token = admin.post("/sessions", username="admin", password="another password")["token"]
    events = {event["action"]: event["detail"] for event in admin.events()}
    assert events["second_factor.reset"] == events["user.reset_password"] == "on the machine itself, by root"
