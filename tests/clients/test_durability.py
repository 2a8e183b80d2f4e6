"""kill -9 in the middle of a hundred writes: what was acknowledged is there afterwards, and the gateway starts."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.clients import Way
from harness.cloud import StrictMoto
from harness.console import ApiError
from harness.gateway import Gateway, Team
from harness.process import wait_until

WRITES = 100
THREADS = 8


class Writer:
    """Writes of every kind, until the gateway is gone; remembers what was acknowledged."""

    def __init__(self, team: Team, kill_after: int):
        self.team, self.kill_after = team, kill_after
        self.lock = threading.Lock()
        self.asked: dict[str, str] = {}  # id of the request -> its status when it was last acknowledged
        self.environments: set[str] = set()
        self.users: set[str] = set()
        self.acknowledged = 0

    def run(self) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(self.write, range(WRITES)))

    def write(self, number: int) -> None:
        try:
            match number % 4:
                case 0 | 1:
                    self.request(approve=number % 4 == 1)
                case 2:
                    slug = f"env-{number}"
                    self.team.admin.post("/environments", id=slug, name=slug)
                    self.count(self.environments.add, slug)
                case 3:
                    name = f"user-{number}"
                    self.team.admin.post("/users", username=name, password="correct horse battery", roles=[])
                    self.count(self.users.add, name)
        except ApiError:
            raise
        except OSError:
            pass  # killed: not acknowledged

    def request(self, approve: bool) -> None:
        request = self.team.ask("sns")
        self.count(self.asked.__setitem__, request["id"], "pending")
        if approve:
            self.team.approve(request)
            self.count(self.asked.__setitem__, request["id"], "approved")

    def count(self, remember: Callable, *what: str) -> None:
        with self.lock:
            remember(*what)
            self.acknowledged += 1
            if self.acknowledged == self.kill_after:
                self.team.gateway.running().kill()


@pytest.mark.parametrize("kill_after", [10, 30, 50, 70])
def test_what_was_acknowledged_is_there(kill_after: int, make_gateway: Callable, cloud: StrictMoto):
    gateway: Gateway = make_gateway({"*.amazonaws.com": cloud.address})
    team = Team(gateway)
    key = team.grant("dynamodb")
    writer = Writer(team, kill_after)
    writer.run()
    assert kill_after <= writer.acknowledged < WRITES, "it was to be killed in the middle"

    gateway.start()
    admin = gateway.sign_in("admin")
    found = {request["id"]: request["status"] for request in admin.items("/access-requests?limit=100")}
    later = {"pending": {"pending", "approved"}, "approved": {"approved"}}
    for request, status in writer.asked.items():
        assert found.get(request) in later[status], f"{request} was acknowledged as {status}"
    assert writer.environments <= {environment["id"] for environment in admin.items("/environments?limit=100")}
    assert writer.users <= {user["username"] for user in admin.items("/users?limit=100")}
    Way(gateway.proxy_url, gateway.ca, key).boto3("dynamodb").list_tables()


def test_a_secret_that_was_read_stays_read(make_gateway: Callable, cloud: StrictMoto):
    """The answer with the secret was given, then power was lost: it is not given again."""
    gateway: Gateway = make_gateway({"*.amazonaws.com": cloud.address})
    team = Team(gateway)
    key = team.grant("dynamodb")
    gateway.running().kill()
    gateway.start()
    dora = gateway.sign_in("dora")
    with pytest.raises(ApiError) as refused:
        dora.post(f"/access-requests/{key.request}/secret")
    assert refused.value.status == 410
    Way(gateway.proxy_url, gateway.ca, key).boto3("dynamodb").list_tables()


def test_audit_records_survive(make_gateway: Callable, cloud: StrictMoto):
    """Up to the last batch: what could be read before the crash can be read after it."""
    gateway: Gateway = make_gateway({"*.amazonaws.com": cloud.address})
    team = Team(gateway)
    key = team.grant("dynamodb")
    client = Way(gateway.proxy_url, gateway.ca, key).boto3("dynamodb")
    for _ in range(50):
        client.list_tables()
    query = f"request={key.request}&limit=100"
    seen = wait_until(lambda: (items := team.admin.calls(query)) and len(items) == 50 and items, 10, "fifty records")
    gateway.running().kill()
    gateway.start()
    assert gateway.sign_in("admin").calls(query) == seen


def test_a_crash_at_each_of_many_moments(make_gateway: Callable, cloud: StrictMoto):
    """Ten times: write, kill at once, start. It always starts, and loses nothing acknowledged."""
    gateway: Gateway = make_gateway({"*.amazonaws.com": cloud.address})
    Team(gateway)
    made: set[str] = set()
    for number in range(10):
        admin = gateway.sign_in("admin")
        slug = f"crash-{number}"
        admin.post("/environments", id=slug, name=slug)
        made.add(slug)
        gateway.running().kill()
        gateway.start()
        assert made <= {environment["id"] for environment in gateway.sign_in("admin").items("/environments")}
